#!/usr/bin/env python3
"""What people see: help, version, --quiet, --json beside the text, no escape bytes, and hostile names shown harmlessly."""
import json
import os
import pty
import re
import select
import subprocess

from harness import ENVIRONMENT, FOLDER, NIBBLE, check, finish, number, path, read, refused, run, succeeds, write
from onnx_file import classifier, images_npy, model, node, normal, value

net = write("net.onnx", classifier())
data = write("data.npy", images_npy(30))
labels = write("labels.txt", "".join("%d\n" % (i % 4) for i in range(30)))

# Help and version.
commands = ("inspect", "check", "quantize", "eval", "bench", "run", "limits")
top = succeeds("--help")
for command in commands:
    check(re.search(r"^ +%s " % command, top.out, re.M), "--help does not name %s" % command)
    shown = succeeds(command, "--help")
    check("Usage" in shown.out or "usage" in shown.out.lower(), shown)
    check(shown.err == "", shown)
for flag in ("--scheme", "--calib", "--ranges", "--save-ranges", "--clip", "--group", "--keep", "--positions", "--dry-run", "--also-int8", "--force", "--json",
             "--threads", "--quiet", "--limit", "--allow-fallback", "--nonfinite", "--preprocess", "--skip-bad"):
    check(flag in succeeds("quantize", "--help").out, "quantize --help does not name %s" % flag)
version = succeeds("--version")
check(re.fullmatch(r"nibble \d+\.\d+\.\d+ \(([0-9a-f]{7,40}(-dirty|\+)?|unknown)\)\n", version.out), version)

# Results on stdout, the rest on stderr; --quiet prints results only.
quantize = ["quantize", net, "-o", "q.onnx", "--force", "--scheme", "W4A8", "--calib", data]
loud = succeeds(*quantize)
check(all(word in loud.err for word in ("scheme", "plan", "calibrate", "write")) and "layers that lost most" in loud.out, loud)
quiet = succeeds(*quantize, "--quiet")
check(quiet.out == loud.out, "--quiet changes the results:\n%s" % quiet)
check(all(line.startswith(("note ", " " * 15)) for line in quiet.err.splitlines()), "--quiet prints more than notes:\n%s" % quiet.err)
for arguments in (["inspect", net], ["run", net, "--data", data], ["quantize", net, "--dry-run"], ["limits"]):
    result = run(*arguments, *([] if arguments == ["limits"] else ["--quiet"]))
    check(result.status == 0 and result.out and all(line.startswith(("note ", " " * 15)) for line in result.err.splitlines()), result)

# JSON says what the text says.
evaluated = succeeds("eval", "q.onnx", "--baseline", net, "--data", data, "--labels", labels, "--no-latency", "--json", "eval.json")
report = json.loads(read("eval.json"))
check(isinstance(report, dict), report)


def leaves(tree):
    if isinstance(tree, dict):
        for v in tree.values():
            yield from leaves(v)
    elif isinstance(tree, list):
        for v in tree:
            yield from leaves(v)
    else:
        yield tree


numbers = [v for v in leaves(report) if isinstance(v, (int, float)) and not isinstance(v, bool)]
before, after = re.search(r"top-1 +([\d.]+) % +([\d.]+) %", evaluated.out).groups()
for shown in (before, after):
    check(any(abs(v - float(shown)) < 0.006 or abs(100 * v - float(shown)) < 0.006 for v in numbers), "top-1 of %s is not in the JSON" % shown)
divergence = number(evaluated.out, r"KL divergence.*? ([\d.e-]+) nats")
check(any(abs(v - divergence) <= 0.01 * divergence + 5e-5 for v in numbers), "the KL divergence %s is not in the JSON" % divergence)
check(os.path.getsize(path("q.onnx")) in numbers and os.path.getsize(net) in numbers, "the sizes of the files are not in the JSON")
planned = succeeds("quantize", net, "--dry-run", "--json", "plan.json")
plan = json.loads(read("plan.json"))
for layer in plan["layers"]:
    row = re.search(r"^ *%s .*" % layer["layer"], planned.out, re.M)
    check(row and "%.2f" % layer["bits_per_weight"] in row.group(0) and "{:,}".format(layer["bytes_after"]) in row.group(0), "%s is not the row of\n%s" % (layer, planned.out))
inspected = succeeds("inspect", net, "--json", "inspect.json")
check(json.loads(read("inspect.json"))["weights"] == int(number(inspected.out, r"([\d,]+) weights")), inspected)

# No escape bytes where there is no terminal; with one, a bar, and nothing of it with --quiet.
for result in (loud, quiet, evaluated, planned, inspected, top, version):
    check("\x1b" not in result.out + result.err, "escape bytes in:\n%s" % result)


def on_terminal(arguments, environment=ENVIRONMENT):
    main, side = pty.openpty()
    process = subprocess.Popen([NIBBLE] + arguments, stdout=subprocess.PIPE, stderr=side, cwd=FOLDER, env=environment)
    os.close(side)
    seen = b""
    while True:
        if not select.select([main], [], [], 30)[0]:
            break
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    out = process.stdout.read()
    process.wait()
    os.close(main)
    return out, seen


out, seen = on_terminal(quantize)
check("█".encode() in seen and b"\x1b" not in out, "no bar on a terminal: %r" % seen)
check(not re.search(rb"\x1b\[[0-9;]*m", seen), "colours: %r" % seen)
out, seen = on_terminal(quantize + ["--quiet"])
check(b"\x1b" not in seen + out, "--quiet draws: %r" % seen)
out, seen = on_terminal(quantize, dict(ENVIRONMENT, NO_COLOR="1"))
check(not re.search(rb"\x1b\[[0-9;]*m", seen), "colours with NO_COLOR: %r" % seen)

# Lines of results are at most 100 columns wide.
for result in (loud, evaluated, inspected):
    for line in result.out.splitlines():
        if FOLDER not in line:
            check(len(line) <= 100, "%d columns: %s" % (len(line), line))

# Names in files are shown, never obeyed.
evil = "conv\x1b[31m\n\r\x07\u202e\x9b31m" + '"'
nodes = [node("Conv", ["x" + evil, "w" + evil], ["y" + evil], name=evil, pads=[1, 1, 1, 1])]
hostile = write("hostile.onnx", model(nodes, [value("x" + evil, ["N\x1b[2J", 3, 8, 8])], [value("y" + evil, ["N", 64, 8, 8])],
                                      [normal("w" + evil, [64, 3, 3, 3])], name="net\x1b]0;owned\x07"))
shown = [succeeds("inspect", hostile, "-v"), succeeds("quantize", hostile, "--dry-run"), succeeds("quantize", hostile, "-o", "h.onnx", "--layers", "all"),
         succeeds("inspect", "h.onnx"), succeeds("quantize", hostile, "-o", "h8.onnx", "--scheme", "W4A8", "--calib", data, "-v"), succeeds("run", "h8.onnx", "--data", data),
         succeeds("eval", "h.onnx", "--baseline", hostile, "--data", data, "--no-latency", "--layers"),
         refused(2, "quantize", hostile, "-o", "x.onnx", "--scheme", "W4A8", "--ranges", write("no_ranges.json", '{"nibble":"ranges","version":1}')),
         refused(4, "inspect", write("unknown.onnx", model([node("Odd" + evil, ["x"], ["y"], name=evil, domain=evil)], [value("x")], [value("y")], domains=[evil]))),
         refused(3, "quantize", write("poisoned.onnx", model([node("Conv", ["x", "w" + evil], ["y"], name=evil)], [value("x", [1, 1, 2, 2])], [value("y")],
                                                             [normal("w" + evil, [1, 1, 1, 1], float("nan"))])), "-o", "x.onnx")]
for result in shown:
    text = result.out + result.err
    check(not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), "control characters in the output: %r" % text)
    check("\\x1b" in text or "conv" not in text, "the name should be shown escaped:\n%s" % result)
for arguments in (["inspect", "missing\x1b[31m\n.onnx"], ["inspect", net, "--limit", "x\x1b[31m\n=3"], ["quantize", net, "-o", "x.onnx", "--scheme", "W\x1b[31m\n"],
                  ["inspect", net, "--\x1b[31m\n"], ["eval", net, "--data", "missing\x1b[31m\n.npy"]):
    result = run(*arguments)
    check(result.status in (2, 5), result)
    check("\x1b" not in result.err and len([l for l in result.err.splitlines() if l.startswith("nibble: error")]) == 1, "an argument's escape bytes are printed: %r" % result.err)
    check(result.err.splitlines()[-1].startswith("nibble: error"), "the error takes more than one line: %r" % result.err)

finish()
