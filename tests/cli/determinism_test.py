#!/usr/bin/env python3
"""The same bytes for any number of threads, and from saved ranges; what ranges files must look like."""
import json
import os

from harness import check, finish, nothing_left, path, read, refused, shared, succeeds, write
from onnx_file import classifier, images_npy

net = write("net.onnx", classifier())
data = write("data.npy", images_npy(24))


def same_for_threads(network, schemes, calibration, tag, *more):
    for scheme in schemes:
        made = []
        for threads in ("1", "2", "5"):
            out = "%s_%s.onnx" % (tag, threads)
            extra = [] if scheme.endswith("A16") else ["--calib", calibration] + list(more)
            succeeds("quantize", network, "-o", out, "--force", "--scheme", scheme, "--threads", threads, *extra)
            made.append(read(out))
        check(made[0] == made[1] == made[2], "%s of %s: other bytes with other threads" % (scheme, network))


same_for_threads(net, ["W4A16", "W4A16:int4", "W4A16:clip=minmax,group=64", "W4A16:clip=percentile,group=channel", "W4A8", "W4A4", "W8A16", "W8A8",
                       "W4A8:positions=all,clip=percentile", "W4A4:clip=minmax", "W4A8:keep=first,keep=last:16"], data, "small")
answers = [succeeds("run", net, "--data", data, "-o", "y.npy", "--force", "--threads", t) and read("y.npy") for t in ("1", "2", "5")]
check(answers[0] == answers[1] == answers[2], "run: other outputs with other threads")
trained = shared("models", "cifar_resnet20.onnx")
if trained:
    images = shared("cifar10", "train_lossless_2000.bin")
    same_for_threads(trained, ["W4A16", "W4A8", "W4A4"], images, "resnet", "--calib-samples", "64")

# Saved ranges give what the data gave.
for scheme in ("W4A8", "W4A4", "W4A8:positions=all,clip=minmax", "W4A8:clip=percentile"):
    succeeds("quantize", net, "-o", "from_data.onnx", "--force", "--scheme", scheme, "--calib", data, "--save-ranges", "ranges.json")
    succeeds("quantize", net, "-o", "from_ranges.onnx", "--force", "--scheme", scheme, "--ranges", "ranges.json")
    check(read("from_data.onnx") == read("from_ranges.onnx"), "%s: ranges give other bytes than the data that they came from" % scheme)
    succeeds("quantize", net, "-o", "again.onnx", "--force", "--scheme", scheme, "--ranges", "ranges.json", "--save-ranges", "again.json")
    check(json.loads(read("again.json")) == json.loads(read("ranges.json")), "%s: ranges written again are others" % scheme)
    os.remove(path("ranges.json"))
    os.remove(path("again.json"))

# A person's own ranges: minimum and maximum are enough.
names = ("x", "r1", "flat")
own = {"nibble": "ranges", "version": 1, "activations": {n: {"min": -1.5, "max": 2.25} for n in names}}
write("own.json", json.dumps(own))
succeeds("quantize", net, "-o", "own.onnx", "--scheme", "W4A8", "--ranges", "own.json", "--json", "own_report.json")
for activation in json.loads(read("own_report.json"))["plan"]["activations"]:
    check(abs(activation["scale"] - 3.75 / 255) < 1e-6 and activation["zero_point"] == 102, "a range of -1.5 to 2.25 gave %s" % activation)


# Ranges files that are not right.
def bad(status, change, *says):
    broken = json.loads(json.dumps(own))
    change(broken)
    refused(status, "quantize", net, "-o", "bad.onnx", "--scheme", "W4A8", "--ranges", write("bad.json", json.dumps(broken)), says=says)


bad(3, lambda r: r.pop("nibble"), "bad.json", "not a ranges file")
bad(4, lambda r: r.update(version=2), "another version")
bad(3, lambda r: r.update(extra=1), "extra")
bad(3, lambda r: r["activations"]["x"].pop("min"), "no min or no max")
bad(3, lambda r: r["activations"]["x"].update(min=3), "min is above its max")
bad(3, lambda r: r["activations"]["x"].update(min="low"), "activations.x")
bad(3, lambda r: r["activations"]["x"].update(max=1e39), "too large")
bad(3, lambda r: r["activations"]["x"].update(colour=1), "colour")
bad(3, lambda r: r["activations"].update(x=[1]), "activations.x")
bad(3, lambda r: r["activations"]["x"].update(histogram={"counts": [1]}), "no count")
bad(3, lambda r: r["activations"]["x"].update(count=-1), "out of range")
bad(3, lambda r: r["activations"]["x"].update(count=1, histogram={"counts": [1] * 5000}), "4096")
bad(2, lambda r: r["activations"].pop("r1"), '"r1"', "no range for 1 value")
bad(2, lambda r: r.update(activations={}), "no range for 3 values", '"x"', '"r1"', '"flat"')
refused(3, "quantize", net, "-o", "bad.onnx", "--scheme", "W4A8", "--ranges", write("text.json", "min=3"), says="text.json")
refused(3, "quantize", net, "-o", "bad.onnx", "--scheme", "W4A8", "--ranges", write("deep.json", "[" * 100000), says="deep.json")
refused(3, "quantize", net, "-o", "bad.onnx", "--scheme", "W4A8", "--ranges", write("null.json", b""), says="null.json")
refused(5, "quantize", net, "-o", "bad.onnx", "--scheme", "W4A8", "--ranges", "missing.json", says="missing.json")
refused(2, "quantize", net, "-o", "bad.onnx", "--scheme", "W4A8", "--ranges", "own.json", "--calib", data, says="not from both")
refused(2, "quantize", net, "-o", "own.json", "--force", "--scheme", "W4A8", "--ranges", "own.json", says="same file as the input")
check(not os.path.exists(path("bad.onnx")), "a refused ranges file gave an output")
nothing_left("a refused ranges file")

finish()
