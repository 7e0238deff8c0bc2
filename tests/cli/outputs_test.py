#!/usr/bin/env python3
"""What is written, where, and what is left when it cannot be: existing outputs, outputs that are inputs, full disks."""
import os
import resource
import shutil
import subprocess

from harness import FOLDER, check, finish, nothing_left, path, read, refused, run, succeeds, write
from onnx_file import classifier, images_npy

net = write("net.onnx", classifier())
data = write("data.npy", images_npy(16))
original = read(net)


def quantize(output, *more):
    return ["quantize", net, "-o", output] + list(more)


# An existing output.
succeeds(*quantize("out.onnx"))
first = read("out.onnx")
write("out.onnx", "precious")
refused(2, *quantize("out.onnx"), says=["out.onnx", "exists", "--force"])
check(read("out.onnx") == b"precious", "a refused run touched the existing output")
succeeds(*quantize("out.onnx", "--force"))
check(read("out.onnx") == first, "--force wrote other bytes")
refused(2, *quantize("out.onnx", "--json", "r.json"), says="exists")
check(not os.path.exists(path("r.json")), "a refused run wrote its report")

# The output is the input: by name, through a symbolic link, through a hard link.
os.symlink("net.onnx", path("link.onnx"))
os.link(net, path("hard.onnx"))
for name in ("net.onnx", "./net.onnx", "link.onnx", "hard.onnx"):
    refused(2, *quantize(name, "--force"), says="same file as the input")
    refused(2, *quantize("fresh.onnx", "--also-int8", name, "--force"), says="same file as the input")
refused(2, *quantize("data.npy", "--force", "--scheme", "W4A8", "--calib", data), says="same file as the input")
refused(2, *quantize("two.onnx", "--also-int8", "two.onnx"), says="two names")
check(read(net) == original, "the input was changed")
check(not os.path.exists(path("fresh.onnx")), "one of two outputs was written though the other was refused")

# A symbolic link as output is replaced, its target is not written to.
write("target", "target")
os.symlink("target", path("out_link.onnx"))
refused(2, *quantize("out_link.onnx"), says="exists")
succeeds(*quantize("out_link.onnx", "--force"))
check(read("target") == b"target" and not os.path.islink(path("out_link.onnx")), "the output was written through a link")

# Directories: missing, a file in its place, one that cannot be written to, the output itself.
refused(5, *quantize("missing/out.onnx"), says="missing")
refused(5, *quantize("net.onnx/out.onnx"))
os.mkdir(path("folder.onnx"))
refused(2, *quantize("folder.onnx", "--force"), says="is a directory")
if os.geteuid():
    os.mkdir(path("locked"), 0o555)
    refused(5, *quantize("locked/out.onnx"), says=["locked/out.onnx", "Permission denied"])
refused(5, *quantize("ranges.onnx", "--scheme", "W4A8", "--calib", data, "--save-ranges", "missing/r.json"), says="missing/r.json")

# Other outputs: reports, ranges, arrays.
write("there.json", "{}")
refused(2, "inspect", net, "--json", "there.json", says=["there.json", "exists"], out=True)
refused(2, "run", net, "--data", data, "-o", net, "--force", says="same file as the input", out=True)
refused(2, "run", net, "--data", data, "-o", data, "--force", says="same file as the input", out=True)
for report in "--json", "--html":
    refused(2, "eval", net, "--data", data, "--no-latency", report, net, "--force", says="same file as the input")
    refused(2, "eval", net, "--data", data, "--no-latency", report, data, "--force", says="same file as the input")
    refused(2, *quantize("fresh.onnx", report, "hard.onnx", "--force"), says="same file as the input")
    refused(2, *quantize("fresh.onnx", "--scheme", "W4A8", "--calib", data, report, data, "--force"), says="same file as the input")
for command in "inspect", "check":
    refused(2, command, net, "--json", net, "--force", says="same file as the input")
refused(2, "bench", net, "--json", net, "--force", says="same file as the input")
check(read(net) == original and not os.path.exists(path("fresh.onnx")), "a report replaced an input")
nothing_left("a refusal")


# A full disk: files may have 8 kB, or a file system of 64 kB, where mounting is allowed.
def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


for more in ([], ["--also-int8", "wide.onnx"]):
    refused(5, *quantize("big.onnx", *more), says=["big.onnx", "cannot be written"], preexec_fn=small_files)
    check(not os.path.exists(path("big.onnx")) and not os.path.exists(path("wide.onnx")), "a full disk left an output")
write("big.onnx", "old")
refused(5, *quantize("big.onnx", "--force"), preexec_fn=small_files)
check(read("big.onnx") == b"old", "a failed write destroyed the old output")
refused(5, *quantize("x.onnx", "--scheme", "W4A8", "--calib", data, "--save-ranges", "r.json"), preexec_fn=small_files)
check(not os.path.exists(path("r.json")) and not os.path.exists(path("x.onnx")), "a full disk left ranges")
nothing_left("a full disk")

os.mkdir(path("disk"))
mounted = shutil.which("mount") and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path("disk")], stderr=subprocess.DEVNULL).returncode == 0
if mounted:
    try:
        write("disk/filler", b"x" * 50000)
        refused(5, *quantize("disk/out.onnx"), says=["disk/out.onnx", "free"])
        check(os.listdir(path("disk")) == ["filler"], "a full disk holds %s" % os.listdir(path("disk")))
    finally:
        subprocess.run(["umount", path("disk")])
else:
    print("mounting is not allowed here: the part with a small file system is left out")

# Two outputs are both written, with the same names inside and readable.
succeeds(*quantize("four.onnx", "--also-int8", "eight.onnx"))
check(len(read("eight.onnx")) > len(read("four.onnx")), "int8 codes should take more bytes")
for name in ("four.onnx", "eight.onnx"):
    inspected = run("inspect", name)
    check(inspected.status == 0, inspected)
a, b = (run("run", n, "--data", data).out for n in ("four.onnx", "eight.onnx"))
check(a == b, "the 4-bit and the 8-bit file give other answers:\n%s\n%s" % (a, b))
nothing_left("writing two files")
check(FOLDER.encode() not in read("four.onnx"), "the output names the folder it was made in")

finish()
