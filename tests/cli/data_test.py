#!/usr/bin/env python3
"""Images, arrays and labels that do not fit, and what --skip-bad makes of broken ones."""
import os
import shutil
import struct
import zipfile

from harness import check, finish, nothing_left, number, path, read, refused, run, shared, succeeds, write
from onnx_file import classifier, images_npy, npy

here = os.path.dirname(os.path.abspath(__file__))
samples = os.path.join(here, "..", "data", "expected")
net = write("net.onnx", classifier(batch="N", side=8))
fixed = write("fixed.onnx", classifier(batch=1, side=8))
steps = ["--preprocess", "resize=8x8,scale=1/255,layout=nchw"]

# Images of a folder and of a zip file, and what is assumed where nothing is said.
os.mkdir(path("images"))
for name in ("rgb.png", "s444.jpg", "s420.jpg", "rgba.png", "palette.png"):
    shutil.copy(os.path.join(samples, name), path("images", name))
with zipfile.ZipFile(path("images.zip"), "w") as archive:
    for name in sorted(os.listdir(path("images"))):
        archive.write(path("images", name), name)
from_folder = succeeds("run", net, "--data", "images", *steps, "-o", "folder.npy")
from_zip = succeeds("run", net, "--data", "images.zip", *steps, "-o", "zip.npy")
check(read("folder.npy") == read("zip.npy"), "a folder and a zip of the same images give other outputs")
check("note" in succeeds("run", net, "--image", os.path.join(samples, "rgb.png")).err, "an assumed preprocessing is not said")
refused(2, "run", net, "--data", "images", "--preprocess", "resize=8x8,colour=blue", says="colour")

# Sizes: images without a resize, arrays of another shape, of another type.
refused(4, "run", net, "--image", os.path.join(samples, "rgb.png"), "--preprocess", "scale=1/255,layout=nchw", says=["rgb.png", "[3,8,8]"])
refused(4, "run", net, "--data", write("wrong.npy", images_npy(3, side=9)), says=["wrong.npy", "[3,9,9]", "[3,8,8]"])
refused(4, "run", net, "--data", write("flat.npy", npy([3, 5], [0.0] * 15)), says=["flat.npy", "[5]", "[3,8,8]"])
check(run("eval", net, "--data", write("none.npy", npy([0, 3, 8, 8], [])), "--no-latency").status in (2, 3), "an empty array was taken")

# A truncated JPEG: an error that names it, or left out and counted.
whole = read(path("images", "s444.jpg"))
write("images/broken.jpg", whole[: len(whole) // 3])
refused(3, "run", net, "--data", "images", *steps, "-o", "x.npy", says="broken.jpg", out=True)
check(not os.path.exists(path("x.npy")), "an output in spite of a broken image")
skipped = succeeds("run", net, "--data", "images", *steps, "--skip-bad", "-o", "x.npy")
check(len(read("x.npy")) == len(read("folder.npy")), "the five good images should have run")
counted = succeeds("eval", net, "--data", "images", *steps, "--skip-bad", "--no-latency")
check("1 samples could not be decoded" in counted.err, counted)
refused(3, "eval", net, "--data", "images", *steps, "--no-latency", says="broken.jpg", out=True)
refused(3, "quantize", net, "-o", "x.onnx", "--scheme", "W4A8", "--calib", "images", *steps, says="broken.jpg")
succeeds("quantize", net, "-o", "x.onnx", "--scheme", "W4A8", "--calib", "images", *steps, "--skip-bad")
os.mkdir(path("all_bad"))
write("all_bad/a.jpg", whole[:100])
refused(2, "quantize", net, "-o", "y.onnx", "--scheme", "W4A8", "--calib", "all_bad", *steps, "--skip-bad", says="no samples")
os.mkdir(path("nothing"))
check(run("eval", net, "--data", "nothing", *steps).status in (2, 3), "an empty folder was taken as data")
refused(6, "run", net, "--image", os.path.join(samples, "rgb.png"), *steps, "--limit", "image-pixels=4", says="image-pixels")

# Zip files: cut, with unsafe names, bombs.
packed = read("images.zip")
refused(3, "run", net, "--data", write("cut.zip", packed[: len(packed) // 2]), *steps, says="cut.zip")
with zipfile.ZipFile(path("bomb.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("bomb.png", b"\0" * (50 << 20))
refused(6, "run", net, "--data", "bomb.zip", *steps, says="zip-ratio")

# Labels.
data = write("data.npy", images_npy(6))
good = write("good.txt", "0\n1\n2\n3\n0\n1\n")
for arguments in (["eval", net, "--data", data, "--no-latency", "--labels"],):
    succeeds(*arguments, good)
    refused(3, *arguments, write("range.txt", "0\n1\n2\n4\n0\n1\n"), says=["sample #3", "label is 4", "--labels"], out=True)
    refused(3, *arguments, write("negative.txt", "0\n-1\n2\n3\n0\n1\n"), says="negative.txt", out=True)
    refused(3, *arguments, write("few.txt", "0\n1\n"), says="few.txt", out=True)
    refused(3, *arguments, write("words.txt", "cat\ndog\ncat\ndog\ncat\ndog\n"), says="words.txt", out=True)
    refused(5, *arguments, "missing.txt", says="missing.txt", out=True)
    refused(2, *arguments, "pattern:(", says="pattern", out=True)

# A network for batches of one, and arrays of several.
check(read("data.npy") and succeeds("run", fixed, "--data", data, "-o", "one.npy").status == 0, "a batch of one")
succeeds("run", net, "--data", data, "-o", "any.npy")
one, many = (struct.unpack("<24f", read(name)[-96:]) for name in ("one.npy", "any.npy"))
# A product of one row and one of six add up in another order: 64 products, each rounded to 2^-24 of sums below 8.
check(all(abs(a - b) <= 64 * 8 / 2 ** 24 for a, b in zip(one, many)) and len(set(one)) > 12, "one at a time gives other outputs than batches: %s %s" % (one, many))
succeeds("quantize", fixed, "-o", "fixed_q.onnx", "--scheme", "W4A8", "--calib", data)
succeeds("eval", "fixed_q.onnx", "--baseline", fixed, "--data", data, "--labels", good, "--seconds", "0.1")
refused(2, "eval", fixed, "--data", data, "--max-drop", "1", "--no-latency", out=True)

# The trained networks answer as they should on the first images.
resnet = shared("models", "cifar_resnet20.onnx")
if resnet:
    described = ["--preprocess", "scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225,order=rgb,layout=nchw", "--data", shared("cifar10", "test_lossless_700.bin")]
    result = succeeds("eval", resnet, *described, "--no-latency")
    check(abs(number(result.out, r"top-1 +([\d.]+) %") - 92.0) < 0.005, result)
nothing_left("data that does not fit")

finish()
