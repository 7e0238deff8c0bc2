#!/usr/bin/env python3
"""nibble bench: the settings that were asked for, counts that add up, and refusals. Times are not judged, machines differ."""
import json

from harness import check, finish, read, refused, run, succeeds, write
from onnx_file import UINT8, classifier, images_npy, model, node, normal, value

net = write("net.onnx", classifier())
data = write("data.npy", images_npy(6))
succeeds("quantize", net, "-o", "q.onnx", "--scheme", "W4A8", "--calib", data)


def bench(*arguments, out=None):
    result = succeeds("bench", *arguments, "--seconds", "0.05", "--json", "bench.json", "--force")
    return result, json.loads(read("bench.json"))


result, report = bench("q.onnx", "--baseline", net, "--batch", "1,3", "--threads", "1,2", "--profile")
check([(s["threads"], s["batch"]) for s in report["settings"]] == [(1, 1), (1, 3), (2, 1), (2, 3)], report["settings"])
check("seed 1" in report["inputs"] and "seed 1" in result.err, "what the inputs are is not said: %s" % result)
for setting in report["settings"]:
    networks = setting["networks"]
    check([n["file"] for n in networks] == ["net.onnx", "q.onnx"], networks)
    runs = {n["latency_seconds"]["runs"] for n in networks}
    check(len(runs) == 1 and min(runs) >= 10, "the networks take turns, at least ten times each: %s" % networks)
    for n in networks:
        latency = n["latency_seconds"]
        check(0 < latency["p50"] <= latency["p90"], latency)
        check((latency["p99"] is None) == (latency["runs"] < 100), "a p99 of fewer than 100 runs: %s" % latency)
        check(abs(n["samples_a_second"] - setting["batch"] / latency["p50"]) < 1e-6 * n["samples_a_second"], n)
    up = setting["speed_up"]
    ratio = networks[0]["latency_seconds"]["p50"] / networks[1]["latency_seconds"]["p50"]
    check(abs(up["ratio"] - ratio) < 1e-9 * ratio and up["interval"][0] <= up["ratio"] <= up["interval"][1], up)
check(all(word in result.out for word in ("p50", "p90", "p99", "a second", "runs")), result)

# The profile: all multiply-adds are there, whatever operators the session made of them.
macs = 64 * 3 * 9 * 64 + 64 * 64 * 9 * 64 + 4 * 64
for profile in report["profile"]:
    check(sum(n["macs"] for n in profile["nodes"]) == macs, "%d multiply-adds were expected: %s" % (macs, profile))
    check(abs(sum(n["seconds"] for n in profile["nodes"]) - profile["seconds"]) < 1e-9 and profile["runs"] >= 3, profile)
check(any("Integer" in n["operator"] for n in report["profile"][1]["nodes"]), report["profile"][1])
check("GFLOP/s" in result.out and "slowest nodes" in result.out, result)

# One network, real data, a network of fixed batch.
_, report = bench("q.onnx", "--data", data, "--batch", "6")
check("data.npy" in report["inputs"] and "speed_up" not in report["settings"][0], report)
check([f["role"] for f in report["files"]] == ["network", "data"], report["files"])
_, report = bench(write("fixed.onnx", classifier(batch=2)))
check([s["batch"] for s in report["settings"]] == [2], report["settings"])
_, report = bench(write("bytes.onnx", model([node("Cast", ["x"], ["f"], to=1), node("MatMul", ["f", "w"], ["y"])], [value("x", ["N", 8], UINT8)],
                                            [value("y", ["N", 8])], [normal("w", [8, 8])])))
check("zeros" in report["inputs"], report["inputs"])

# Refusals.
refused(2, "bench", net, "--batch", "0", says="--batch")
refused(2, "bench", net, "--batch", "1,x", says="--batch")
refused(2, "bench", net, "--threads", "0", says="--threads")
refused(2, "bench", net, "--threads", "2000", says="--threads")
refused(2, "bench", net, "--seconds", "-1", says="--seconds")
refused(2, "bench", net, "--seconds", "nan", says="--seconds")
refused(2, "bench", "fixed.onnx", "--batch", "3", says=["3", "exactly 2"])
refused(2, "bench", net, "--data", data, "--batch", "7", says=["7", "6 samples"])
refused(6, "bench", net, "--batch", "1000000000000", says="too large")
refused(2, "bench", net, "--baseline", write("other.onnx", classifier(side=9)), says="other inputs")
open_sizes = write("open.onnx", model([node("Relu", ["x"], ["y"])], [value("x", ["N", "L"])], [value("y", ["N", "L"])]))
refused(2, "bench", open_sizes, says=['"x"', "--data"])
refused(2, "bench", write("rankless.onnx", model([node("Relu", ["x"], ["y"])], [value("x")], [value("y")])), says='"x"')
refused(5, "bench", "missing.onnx", says="missing.onnx")

finish()
