#!/usr/bin/env python3
"""nibble check: all that hinders a network at once, with places, and what is worth knowing of one that nothing hinders."""
import json
import math
import os

from harness import check, finish, path, read, refused, run, succeeds, write
from onnx_file import FLOAT, INT64, classifier, model, node, normal, npy, tensor, value


def findings(name, status, *flags):
    """The findings of a file as (severity, place, sentence), after checking the exit status and what is printed."""
    result = run("check", name, "--json", "check.json", "--force", *flags)
    check(result.status == status, "status %d was expected:\n  %s" % (status, result))
    report = json.loads(read("check.json"))
    found = [(f["severity"], f["place"], f["finding"]) for f in report["findings"]]
    order = ["error", "warning", "note"]
    check([f[0] for f in found] == sorted((f[0] for f in found), key=order.index), "the worst come first: %s" % found)
    for severity in order:
        check(report[severity + "s"] == sum(f[0] == severity for f in found), report)
    check((report["errors"] > 0) == (status == 1), report)
    check("\x1b" not in result.out, "escape bytes in the output")
    return found, result


def has(found, severity, place, *texts):
    check(any(s == severity and place in p and all(t in f for t in texts) for s, p, f in found), "no %s of %r that says %s in:\n  %s" % (
        severity, place, texts, "\n  ".join(map(str, found))))


# Nothing hinders.
net = write("net.onnx", classifier())
found, result = findings(net, 0)
check(not any(s == "error" for s, _, _ in found) and "nothing hinders" in result.out, result)

# Several things that are wrong, in one run: unsupported operators with their counts, and a node whose shapes clash, but not
# the nodes behind these.
bad = write("bad.onnx", model(
    [node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]), node("NoSuchThing", ["c"], ["n1"], name="first"),
     node("NoSuchThing", ["n1"], ["n2"]), node("Odd", ["n2"], ["o"], domain="my.domain"), node("Relu", ["o"], ["y"]),
     node("MatMul", ["x", "wrong"], ["m"], name="clash"), node("Relu", ["m"], ["z"])],
    [value("x", ["N", 3, 8, 8])], [value("y", None), value("z", None)], [normal("w", [4, 3, 3, 3]), normal("wrong", [5, 5])], domains=["my.domain"]))
found, result = findings(bad, 1)
has(found, "error", "operator NoSuchThing x2", "not supported", '"first"')
has(found, "error", "operator my.domain.Odd x1", "not supported")
has(found, "error", 'node "clash" (MatMul)')
check(sum(s == "error" for s, _, _ in found) == 3, "something is said twice: %s" % found)
check("cannot be used" in result.out, result)
refused(4, "inspect", bad, says="2 operators are not supported: NoSuchThing x2, my.domain.Odd x1")

# What opening refuses is a finding; a file that cannot be opened is not.
has(findings(write("old.onnx", classifier(opset=3)), 1)[0], "error", "", "opset 3")
has(findings(write("cut.onnx", classifier()[:2000]), 1)[0], "error", "")
has(findings(write("empty.onnx", b""), 1)[0], "error", "", "empty")
refused(5, "check", "missing.onnx", says="missing.onnx")
refused(2, "check", net, "--scheme", "W5", says="W5")
os.mkdir(path("folder"))
refused(5, "check", "folder", says="directory")

# Weights that are not numbers: quantize refuses those of layers with the same words.
poisoned = write("nan.onnx", classifier(poison=(7, math.nan)))
found, _ = findings(poisoned, 1)
has(found, "error", 'tensor "w2"', "nan at index 7")
refused(3, "quantize", poisoned, "-o", "never.onnx", says=['tensor "w2"', "nan at index 7"])

# Channels and scales: one channel of zeros, one far above the others, one too small for 16-bit floats.
# Different values within a row, so that none lies on a 4-bit lattice.
spread = [0.5 + i * 37 % 64 / 128 for i in range(64)]
rows = [[height * s for s in spread] for height in (0.0, 50.0, 3e-8, 1e-5)] + [[s * (-1) ** i for i, s in enumerate(spread)] for _ in range(12)]
found, _ = findings(write("rows.onnx", model(
    [node("Gemm", ["x", "w"], ["y"], name="fc", transB=1)], [value("x", ["N", 64])], [value("y", ["N", 16])],
    [tensor("w", [16, 64], [v for row in rows for v in row])])), 0)
has(found, "note", 'layer "fc" (Gemm)', "1 output channel spans more than 20 times")
has(found, "note", 'layer "fc" (Gemm)', "1 output channel is all zeros")
has(found, "warning", 'tensor "w"', "2 of its 32 scales would be too small")
small = model([node("Gemm", ["x", "w"], ["y"], name="fc", transB=1)], [value("x", ["N", 20])], [value("y", ["N", 4])], [normal("w", [4, 20])])
has(findings(write("small.onnx", small), 0)[0], "note", "", "1 layer differs from the scheme", '"fc"', "fewer than two groups")
has(found, "warning", 'tensor "w"', "2 of its 32 scales would be below 2^-20")

# Layers that stay wide, constants that nothing reads, inputs that are open or many, and shapes that only a run settles.
found, _ = findings(write("odd.onnx", model(
    [node("MatMul", ["x", "cube"], ["a"], name="cubic"), node("MatMul", ["a", "b"], ["y"], name="two"), node("MatMul", ["x", "w"], ["z"], name="plain"),
     node("Reshape", ["z", "s"], ["r"], name="late")],
    [value("x", ["N", 4, "L", 8]), value("b", ["N", 4, 8, 8]), value("s", [2], INT64)], [value("y", None), value("r", None)],
    [normal("cube", [4, 8, 8]), normal("w", [8, 8]), normal("spare", [3]), normal("unread", [2])])), 0)
has(found, "warning", 'layer "cubic" (MatMul)', "cannot be quantized", "no matrix")
has(found, "note", "left out", "two", "computed, not constant")
has(found, "note", "", "2 constants are read by nothing", '"spare"')
has(found, "note", 'input "x"', "beside the batch are open")
has(found, "note", "inputs", "3 of them")
late = write("late.onnx", model([node("MatMul", ["x", "w"], ["z"], name="plain"), node("Reshape", ["z", "s"], ["r"], name="late")],
                                [value("x", ["N", 8]), value("s", [2], INT64)], [value("r", None)], [normal("w", [8, 8])]))
has(findings(late, 0)[0], "note", 'node "late" (Reshape)', "known only when the network runs")

# Quantized already; nothing to quantize.
succeeds("quantize", net, "-o", "q.onnx")
has(findings("q.onnx", 0)[0], "note", "", "3 of 3 weights are quantized already")
has(findings(write("relu.onnx", model([node("Relu", ["x"], ["y"])], [value("x", [1, 4])], [value("y", [1, 4])])), 0)[0], "warning", "", "nothing to quantize")

# At most 20 are printed, all are in the JSON.
many = write("many.onnx", model([node("Op%d" % i, ["x"], ["y%d" % i]) for i in range(30)], [value("x", [1, 4])], [value("y0", [1, 4])]))
found, result = findings(many, 1)
check(len(found) == 30 and result.out.count("  error ") == 20 and "... and 10 more" in result.out, result)
check(findings(many, 1, "--all")[1].out.count("  error ") == 30, "--all leaves some out")

# Hostile names are shown harmlessly.
found, result = findings(write("evil.onnx", model([node("Ev\x1b[31mil\n", ["x"], ["y"], name='a"\x07b')], [value("x", [1, 4])], [value("y", [1, 4])])), 1)
check("\x07" not in result.out and "\\x1b" in result.out, result)

# A file whose products are onnxruntime's own: check knows that nothing is left to do, eval compares their weights and outputs.
products = write("products.onnx", model([node("MatMul", ["x", "a"], ["h"], name="first"), node("Relu", ["h"], ["r"]),
                                         node("MatMul", ["r", "b"], ["y"], name="second")],
                                        [value("x", ["N", 64])], [value("y", ["N", 32])], [normal("a", [64, 96]), normal("b", [96, 32])]))
rows = write("rows.npy", npy([8, 64], [(i * 37 % 101) / 50 - 1 for i in range(8 * 64)]))
succeeds("quantize", products, "-o", "packed.onnx", "--onnx-style", "matmulnbits")
succeeds("quantize", products, "-o", "plain.onnx")
packed = succeeds("check", "packed.onnx")
check("2 of 2 weights are quantized already" in packed.out and "nothing to quantize" not in packed.out, packed)
reports = {}
for name in "packed", "plain":
    succeeds("eval", name + ".onnx", "--baseline", products, "--data", rows, "--no-latency", "--json", name + ".json", "--html", name + ".html")
    reports[name] = json.loads(read(name + ".json"))
check([w["layer"] for w in reports["packed"]["weights"]] == ["first", "second"], reports["packed"]["weights"])
for a, b in zip(reports["packed"]["weights"], reports["plain"]["weights"]):
    check(a["shape"] == b["shape"] and abs(a["sqnr_db"] - b["sqnr_db"]) < 1e-6, [a, b])
check([(l["operator"], l["four_bit"]) for l in reports["packed"]["layers"]] == [("MatMulNBits", True)] * 2, reports["packed"]["layers"])
check(b"MatMulNBits" in read("packed.html"), "the page does not list the packed products")

finish()
