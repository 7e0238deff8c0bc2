#!/usr/bin/env python3
"""What is promised before the work: --dry-run writes nothing, its sizes, bits and memory are those of the real run; and
inspect shows the true bits of what was written."""
import json
import os
import re
import subprocess

from harness import ENVIRONMENT, FOLDER, NIBBLE, check, finish, path, read, shared, succeeds, write
from onnx_file import classifier, images_npy, model, node, normal, subgraph, tensor, value

net = write("net.onnx", classifier(width=128))
data = write("data.npy", images_npy(24))


def measured_peak(arguments):
    """Peak resident memory of one run, in bytes."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True); " \
           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    done = subprocess.run(["python3", "-c", code, NIBBLE] + arguments, stdout=subprocess.PIPE, cwd=FOLDER, env=ENVIRONMENT)
    return int(done.stdout or 0)


def promise(network, scheme, more=()):
    before = sorted(os.listdir(FOLDER))
    report = path("plan.json")
    arguments = [network, "--scheme", scheme] + list(more)
    dry = succeeds("quantize", *arguments, "--dry-run", "--json", report)
    plan = json.loads(read(report))
    os.remove(report)
    check(sorted(os.listdir(FOLDER)) == before, "--dry-run wrote files")
    output = path("real.onnx")
    succeeds("quantize", *arguments, "-o", output, "--force", "--json", report)
    real = json.loads(read(report))
    os.remove(report)
    size = os.path.getsize(output)
    check(real["file_bytes"] == size, "the report says %d bytes, the file has %d" % (real["file_bytes"], size))
    predicted = plan["file_bytes_after"]
    what = "%s %s: predicted %d bytes, written %d (%+.1f %%)" % (os.path.basename(network), scheme, predicted, size, 100 * predicted / size - 100)
    check(abs(predicted - size) <= 0.03 * size, what)
    check(plan["file_bytes_before"] == os.path.getsize(network), "bytes before: %s" % plan["file_bytes_before"])
    for planned, made in zip(plan["layers"], real["layers"]):
        check(planned["layer"] == made["layer"] and abs(planned["bits_per_weight"] - made["bits_per_weight"]) < 0.005 and planned["bytes_after"] == made["bytes"],
              "planned %s, made %s" % (planned, made))
        check(made["layer"][:40] in dry.out, "the plan does not show %s" % made["layer"])  # long names are cut
    peak = measured_peak(["quantize"] + arguments + ["-o", output, "--force"])
    print("%s; memory: predicted %.1f MB, measured %.1f MB" % (what, plan["memory_bytes"] / 1e6, peak / 1e6))
    # The documented margin: at most a tenth above what was promised. The promise may be generous for small networks.
    check(0 < peak <= 1.1 * plan["memory_bytes"], "%s: promised %d bytes of memory, used %d" % (what, plan["memory_bytes"], peak))
    check(peak <= os.path.getsize(network) + 200e6, "%s: used %d bytes of memory" % (what, peak))
    return output


for scheme in ("W4A16", "W4A8", "W4A4", "W8A8", "W4A16:int4,group=64", "W4A8:positions=all,keep=first"):
    promise(net, scheme, [] if "A16" in scheme else ["--calib", data])
for name, images, more in (("cifar_resnet20", "cifar10/train_lossless_2000.bin", []), ("squeezenet1.1", "imagenet/imagenet_800.zip", ["--calib-samples", "16"]),
                           ("mlperf_tiny_dscnn_kws", "kws/kws_mfcc_1000.npy", []), ("mnist-8", "mnist/t10k-images-idx3-ubyte.gz", [])):
    trained = shared("models", name + ".onnx")
    if trained:
        promise(trained, "W4A16")
        promise(trained, "W4A8", ["--calib", shared(images)] + more)


# inspect: the true bits, scales and zero points included. Conv and Gemm of these reduce over multiples of 32.
def bits_of_layers(output, most, tag):
    shown = succeeds("inspect", output, "--json", "bits.json", "--force")
    report = json.loads(read("bits.json"))
    checked = 0
    for layer in report["layers"]:
        dims = [int(d) for d in re.findall(r"\d+", layer["shape"])]
        reduction = dims[0] if layer["operator"] == "MatMul" else dims[1] * (dims[2] * dims[3] if len(dims) == 4 else 1)
        count = 1
        for d in dims:
            count *= d
        check(abs(layer["bits_per_weight"] - 8 * layer["bytes"] / count) < 1e-9, layer)
        row = re.search(r"^ *%s .*?([0-9.]+) +([0-9,]+)$" % re.escape(layer["layer"]), shown.out, re.M)
        check(row and abs(float(row.group(1)) - layer["bits_per_weight"]) <= 0.005 and int(row.group(2).replace(",", "")) == layer["bytes"],
              "the text shows another row than the JSON's %s:\n%s" % (layer, shown.out))
        if reduction % 32 == 0 and reduction >= 64:
            checked += 1
            check(4 < layer["bits_per_weight"] <= most, "%s: %s has %s bits" % (tag, layer["layer"], layer["bits_per_weight"]))
    check(checked > 0, "%s: no layer to look at" % tag)
    check(report["file_bytes"] == os.path.getsize(path(output)), report["file_bytes"])
    # The codes and scales are really in the file: it cannot be smaller than they are, nor much larger.
    check(report["weight_bytes"] < report["file_bytes"], report)


# Branches: inspect counts their operators, their products are layers.
branches = write("branches.onnx", model(
    [node("Gemm", ["x", "w"], ["g"], transB=1), node("Greater", ["m", "zero"], ["c"]), node("ReduceMean", ["g"], ["m"], keepdims=0),
     node("If", ["c"], ["y"], name="choice", then_branch=subgraph([node("MatMul", ["g", "v"], ["a"])], ["a"], [normal("v", [64, 100])]),
          else_branch=subgraph([node("MatMul", ["g", "u"], ["b"])], ["b"]))],
    [value("x", ["N", 64])], [value("y")], [normal("w", [64, 64]), normal("u", [64, 200]), tensor("zero", [], [0])]))
shown = succeeds("inspect", branches)
check(re.search(r"in branches +2 MatMul", shown.out), shown.out)
planned = succeeds("quantize", branches, "--dry-run")
for layer in ("a in then_branch of choice", "b in else_branch of choice"):
    check(layer in planned.out, planned.out)
succeeds("quantize", branches, "-o", "branches-w4.onnx")
succeeds("inspect", "branches-w4.onnx")

networks = [net] + [n for n in [shared("models", "squeezenet1.1.onnx"), shared("models", "cifar_resnet20.onnx")] if n]
for network in networks:
    succeeds("quantize", network, "-o", "symmetric.onnx", "--force", "--scheme", "W4A16:int4,map=symmetric,group=32")
    bits_of_layers("symmetric.onnx", 4.55, "symmetric")
    succeeds("quantize", network, "-o", "affine.onnx", "--force", "--scheme", "W4A16")
    bits_of_layers("affine.onnx", 4.70, "with zero points")

finish()
