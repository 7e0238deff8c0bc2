#!/usr/bin/env python3
"""Every exit status, and the one line that comes with it."""
import os
import signal
import subprocess
import time

from harness import (ENVIRONMENT, FOLDER, NIBBLE, check, finish, nothing_left, path, read, refused, run, succeeds, write)
from onnx_file import classifier, images_npy, model, node, npy, tensor, value

net = write("net.onnx", classifier())
data = write("data.npy", images_npy(32))
huge = write("huge.npy", images_npy(20000, side=4))
write("slow.onnx", classifier(side=4, width=96))

# 0 and 1: a gate that is met and one that is missed.
succeeds("quantize", net, "-o", "q.onnx", "--scheme", "W4A8", "--calib", data)
met = succeeds("eval", "q.onnx", "--baseline", net, "--data", data, "--no-latency", "--max-drop", "100")
check("--max-drop 100: met" in met.out, met)
missed = run("eval", "q.onnx", "--baseline", net, "--data", data, "--no-latency", "--max-drop", "-1")
check(missed.status == 1 and "--max-drop -1: missed" in missed.out, missed)
check("nibble: error" not in missed.err, missed)

# 2: usage.
refused(2, "quantize", net, says="-o")
refused(2, "quantize", net, "-o", "x.onnx", "--no-such-flag")
refused(2, "no-such-command")
refused(2)
refused(2, "quantize", net, "-o", "x.onnx", "--scheme", "W3A8", says=["W3A8", "W4A16"])
refused(2, "quantize", net, "-o", "x.onnx", "--clip", "best", says=["best", "mse"])
refused(2, "quantize", net, "-o", "x.onnx", "--group", "7", says="16 to 256")
refused(2, "quantize", net, "-o", "x.onnx", "--keep", "nowhere", says=["nowhere", "matches no layer"])
refused(2, "quantize", net, "-o", "x.onnx", "--nonfinite", "maybe", says="--nonfinite")
refused(2, "quantize", net, "-o", "x.onnx", "--scheme", "W4A8", says=["--calib", "--ranges"])
refused(2, "quantize", net, "-o", "x.onnx", "--layers", "some", says="--layers")
refused(2, "inspect", net, "--threads", "-3", says="--threads")
refused(2, "inspect", net, "--threads", "many")
refused(2, "inspect", net, "--limit", "no-such-limit=3", says="no-such-limit")
refused(2, "inspect", net, "--limit", "nodes", says="nodes")
refused(2, "run", net, says="--image")
refused(2, "eval", net, "--data", data, "--max-drop", "1", "--no-latency", says="baseline", out=True)
refused(2, "eval", net, "--scheme", "W4A16", "--baseline", net, "--data", data, says="--baseline")

# 3: malformed input.
whole = read("net.onnx")
refused(3, "inspect", write("empty.onnx", b""), says="empty")
for cut in (1, 10, len(whole) // 2, len(whole) - 1):
    refused(3, "inspect", write("cut.onnx", whole[:cut]), says="cut.onnx")
refused(3, "inspect", write("text.onnx", "this is not a network\n"), says="text.onnx")
clash = model([node("MatMul", ["x", "w"], ["y"])], [value("x", [1, 3])], [value("y")], [tensor("w", [4, 2], [0.0] * 8)])
refused(3, "inspect", write("clash.onnx", clash), says=["clash.onnx", 'node "y" (MatMul)', "[1,3]", "[4,2]"])
refused(3, "run", net, "--data", write("cut.npy", read("data.npy")[:500]), says="cut.npy")
poisoned = write("nan.onnx", classifier(poison=(1234, float("nan"))))
refused(3, "quantize", poisoned, "-o", "x.onnx", says=["nan.onnx", '"w2"', "nan at index 1234", "--nonfinite zero"])
refused(3, "quantize", write("inf.onnx", classifier(poison=(7, float("-inf")))), "-o", "x.onnx", says=['"w2"', "-inf at index 7"])
succeeds("quantize", poisoned, "-o", "zeroed.onnx", "--nonfinite", "zero")
refused(3, "quantize", net, "-o", "x.onnx", "--scheme", "W4A8", "--calib", write("nan.npy", npy([1, 3, 8, 8], [float("nan")] * 192)), says=["nan.npy", "sample #0", "NaN"])
private = model([node("Relu", ["x"], ["y"], channels_last=1)], [value("x", [1, 3])], [value("y")])
refused(3, "inspect", write("private.onnx", private), says="channels_last")

# 4: not supported, all of it at once.
unknown = model([node("NonMaxSuppression", ["x"], ["a"]), node("Frobnicate", ["a"], ["b"], domain="acme"), node("GridSample", ["b", "b"], ["c"]),
                 node("GridSample", ["c", "c"], ["d"])], [value("x", [1, 3])], [value("d")], domains=["acme"])
refused(4, "inspect", write("unknown.onnx", unknown), says=["NonMaxSuppression x1", "acme.Frobnicate x1", "GridSample x2", "3 operators"])
refused(4, "quantize", "unknown.onnx", "-o", "x.onnx", says=["NonMaxSuppression x1", "acme.Frobnicate x1", "GridSample x2"])
refused(4, "inspect", write("old.onnx", classifier(opset=6)), says="opset 6")
refused(4, "inspect", write("new.onnx", classifier(opset=99)), says="opset 99")
refused(4, "quantize", net, "-o", "x.onnx", "--format", "nf4")
refused(4, "quantize", "q.onnx", "-o", "x.onnx", says=["3 layers", "quantized already", "--allow-fallback"])
internal = model([node("IntegerConv", ["x", "x", "x", "x"], ["y"], domain="nibble")], [value("x", [1, 3])], [value("y")], domains=["nibble"])
refused(4, "inspect", write("internal.onnx", internal), says="nibble")

# 5: input and output.
refused(5, "inspect", "missing.onnx", says=["missing.onnx", "No such file"])
refused(5, "inspect", FOLDER, says="is a directory")
refused(5, "eval", net, "--data", "missing.npy", says="missing.npy")
refused(5, "quantize", net, "-o", "no/such/folder/x.onnx", says="no/such/folder")
refused(5, "quantize", net, "-o", "net.onnx/x.onnx", says="net.onnx/x.onnx")

# 6: limits, which name their flag.
refused(6, "inspect", net, "--limit", "nodes=2", says=["--limit", "nodes"])
refused(6, "inspect", net, "--limit", "tensor-elements=1K", says=["--limit", "tensor-elements"])
refused(6, "run", net, "--data", data, "--limit", "run-bytes=1K", says="run-bytes")

nothing_left("a refusal")
check(not os.path.exists(path("x.onnx")), "a refusal left an output behind")


# 130 and 143: signals during a calibration, with the ranges and the output still to write.
def interrupted(number, status):
    process = subprocess.Popen([NIBBLE, "quantize", "slow.onnx", "-o", "signal.onnx", "--scheme", "W4A8", "--calib", huge, "--calib-samples", "20000",
                                "--save-ranges", "signal.json", "--threads", "1"], cwd=FOLDER, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.7)
    process.send_signal(number)
    began = time.monotonic()
    out, err = process.communicate(timeout=30)
    took = time.monotonic() - began
    check(process.returncode == status, "signal %d: status %s\n%s" % (number, process.returncode, err.decode()))
    check(took < 2.5, "signal %d: took %.1f s to stop" % (number, took))
    check(b"nibble: error: interrupted" in err and out == b"", err.decode())
    check(not os.path.exists(path("signal.onnx")) and not os.path.exists(path("signal.json")), "an interrupted run left an output")
    nothing_left("signal %d" % number)


interrupted(signal.SIGINT, 130)
interrupted(signal.SIGTERM, 143)

# 141: nobody reads stdout.
for arguments in (["limits"], ["inspect", net], ["quantize", net, "--dry-run"], ["run", net, "--data", data], ["--version"], ["--help"]):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([NIBBLE] + arguments, stdout=writer, stderr=subprocess.PIPE, cwd=FOLDER, env=ENVIRONMENT, timeout=30)
    os.close(writer)
    check(done.returncode == 141 and b"error" not in done.stderr, "stdout closed, %s: %s %s" % (arguments, done.returncode, done.stderr))
shell = subprocess.run(["bash", "-c", '"%s" limits | head -0; echo ${PIPESTATUS[0]}' % NIBBLE], stdout=subprocess.PIPE, env=ENVIRONMENT)
check(shell.stdout.strip() in (b"141", b"0"), "limits | head -0: %r" % shell.stdout)  # 0 where it wrote before head left
full = subprocess.run([NIBBLE, "limits"], stdout=open("/dev/full", "w"), stderr=subprocess.PIPE)
check(full.returncode == 5 and b"standard output" in full.stderr, "stdout full: %s %s" % (full.returncode, full.stderr))

finish()
