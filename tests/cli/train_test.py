#!/usr/bin/env python3
"""nibble train: exit statuses and their lines, what is left behind, interruption and resuming, the log."""
import json
import os
import random
import shutil
import signal
import subprocess
import time

from harness import ENVIRONMENT, FOLDER, NIBBLE, check, finish, nothing_left, path, read, refused, run, succeeds, write
from onnx_file import FLOAT, INT32, classifier, images_npy, model, node, normal, npy, tensor, value

if not os.path.exists(os.path.join(os.path.dirname(NIBBLE), "libnibble_train.so")):
    refused(4, "train", write("net.onnx", classifier(width=8)), "--data", write("data.npy", images_npy(4)), "-o", "x.onnx", says="the training component")
    print("nibble was built without its training component (libtorch): the rest is left out")
    finish()
    raise SystemExit


def stripes(count, seed, side=8):
    """Images whose class is the direction of a stripe, and the classes."""
    generator = random.Random(seed)
    pixels, labels = [], []
    for _ in range(count):
        label, at = generator.randrange(4), generator.randrange(side)
        labels.append(label)
        for _ in range(3):
            for y in range(side):
                for x in range(side):
                    on = (y == at, x == at, (x + y) % side == at, (x - y) % side == at)[label]
                    pixels.append(generator.gauss(0, 0.5) + (1.5 if on else 0))
    return npy([count, 3, side, side], pixels), npy([count], labels, "<i8")


net = write("net.onnx", classifier(width=8))
for name, count, seed in (("train", 240, 1), ("test", 80, 2)):
    images, labels = stripes(count, seed)
    write(name + ".npy", images)
    write(name + "_labels.npy", labels)
data = ["--data", "train.npy", "--labels", "train_labels.npy"]
quick = data + ["--epochs", "2", "--batch", "60"]

# The main way: one command, whose file scores what training said.
made = succeeds("train", net, *quick, "--val", "60", "-o", "a.onnx", "--log", "log.jsonl", "--json", "report.json", timeout=300)
check(not os.path.exists(path("a.onnx.checkpoint")), "the checkpoint of a finished training stayed")
epochs = [json.loads(line) for line in read("log.jsonl").decode().splitlines()]
check([e["epoch"] for e in epochs] == [1, 2], "the log's epochs: %s" % epochs)
for e in epochs:
    for key in ("loss", "label_loss", "teacher_loss", "feature_loss", "learning_rate", "seconds", "score"):
        check(isinstance(e[key], (int, float)) and e[key] >= 0, "the log's %s: %s" % (key, e))
    check(e["step"] == 3 * e["epoch"], "steps: 180 samples are three batches of 60: %s" % e)
score = json.loads(read("report.json"))["training"]["score"]
succeeds("eval", "a.onnx", "--data", "train.npy", "--labels", "train_labels.npy", "--shuffle", "0", "--samples", "60", "--no-latency", "--json", "eval.json")
right = json.loads(read("eval.json"))["accuracy"]["after"]
check((right["samples"], right["top1"] / 60) == (60, score["after"]), "the report says %s, nibble eval finds %s" % (score, right))
check(epochs[-1]["score"] <= score["after"] == max(e["score"] for e in epochs), "the best epoch is what is written: %s, %s" % (score, epochs))

# The same again, with any threads; and not without --force.
kept = read("a.onnx")
began = time.monotonic()
refused(2, "train", net, *data, "--epochs", "100000", "-o", "a.onnx", says=["a.onnx", "--force"])
check(time.monotonic() - began < 5, "an output that exists was refused after the work")
check(read("a.onnx") == kept and not os.path.exists(path("a.onnx.checkpoint")), "a refusal changed files")
for threads in ("1", "3"):
    succeeds("train", net, *quick, "--val", "60", "-o", "b.onnx", "--force", "--threads", threads, timeout=300)
    check(read("a.onnx") == read("b.onnx"), "other bytes with %s threads" % threads)
succeeds("train", net, *quick, "--val", "60", "--seed", "1", "-o", "b.onnx", "--force", timeout=300)
check(read("a.onnx") != read("b.onnx"), "the same bytes with another seed")

# Ways of their own.
succeeds("train", net, *quick, "--val", "none", "-o", "b.onnx", "--force", timeout=300)
succeeds("train", net, "--data", "train.npy", "--labels", "none", "--distill", "1", "--val", "test.npy", "--epochs", "2", "-o", "b.onnx", "--force", timeout=300)
succeeds("train", net, *quick, "--float", "-o", "b.onnx", "--force", timeout=300)
check("3 tensors, 3.3 kB, 32.00 bits a weight" in succeeds("inspect", "b.onnx").out, "floats were asked for")
for more in (["--gradual", "bits:0.5"], ["--gradual", "activations"], ["--gradual", "float:0.9"], ["--batch-norm", "follow", "--reestimate", "2"],
             ["--optimizer", "sgd", "--schedule", "constant"], ["--quantizer", "pact"], ["--from-scratch"], ["--scheme", "W4A16", "--distill-features", "0.5"]):
    succeeds("train", net, *quick, *more, "-o", "b.onnx", "--force", timeout=300)
os.remove(path("b.onnx"))
before = sorted(os.listdir(FOLDER))


def bad(status, *arguments, says):
    """A refusal that leaves nothing: no output, no checkpoint, no log."""
    result = refused(status, "train", *arguments, says=says, out=True, timeout=300)
    left = [n for n in sorted(os.listdir(FOLDER)) if n not in before and not n.startswith("bad")]
    check(not left, "%s left %s behind" % (arguments, left))
    for name in left:
        os.remove(path(name))
    return result


out = ["-o", "x.onnx"]
# 2: usage.
bad(2, net, *quick, says="-o")
bad(2, net, *out, says="--data")
bad(2, net, *quick, "-o", net, "--force", says="same file as the input")
for flag, wrong, word in (("--epochs", "0", "from 1"), ("--batch", "0", "from 1"), ("--slice", "-2", "from 1"), ("--learning-rate", "0", "above 0"),
                          ("--learning-rate", "nan", "above 0"), ("--learning-rate", "-1", "above 0"), ("--warm-up", "1", "below 1"), ("--momentum", "1.5", "below 1"),
                          ("--distill", "2", "0 (labels alone) to 1"), ("--temperature", "0", "above 0"), ("--label-smoothing", "1", "below 1"),
                          ("--weight-decay", "-1", "from 0"), ("--clip-gradient", "-1", "norm"), ("--damping", "-1", "from 0"), ("--kurtosis", "inf", "from 0"),
                          ("--freeze", "1", "below 1"), ("--average", "1", "below 1"), ("--patience", "-1", "epochs"), ("--reestimate", "-1", "batches"),
                          ("--scale-rate", "-1", "from 0"), ("--quantizer", "best", "lsq, lsq+, pact, ste"), ("--optimizer", "lion", "adam, sgd"), ("--schedule", "steps", "cosine, constant"),
                          ("--batch-norm", "keep", "fold, follow, freeze"), ("--gradual", "slowly", "none, activations, bits, float"),
                          ("--gradual", "bits:1", "share"), ("--gradual", "bits:0", "share"), ("--gradual", "bits:half", "share"), ("--gradual", "bits:0.5x", "share"),
                          ("--val", "some", "5%"), ("--val", "0", "share"), ("--val", "1.5", "share"), ("--val", "100%", "none to train on"),
                          ("--val", "240", "none to train on"), ("--task", "guess", "guess"), ("--augment", "spin", "spin")):
    bad(2, net, *data, *out, flag, wrong, says=[word] if flag == "--augment" else [flag, word])
bad(2, net, *quick, *out, "--from-scratch", "--distill", "0.5", says=["--distill", "--from-scratch"])
bad(2, net, "--data", "train.npy", "--labels", "none", "--distill", "0", *out, says=["no labels", "--distill 1"])
bad(2, net, *data, *out, "--checkpoint", net, "--force", says="same file as the input")
bad(2, net, *data, *out, "--checkpoint", "train.npy", "--force", says="same file as the input")
bad(2, net, *data, *out, "--checkpoint", "./x.onnx", says="--checkpoint")
bad(2, net, *data, *out, "--checkpoint", "log.jsonl", says=["log.jsonl", "--resume", "--force"])
check(json.loads(read("log.jsonl").splitlines()[0]), "a file that is no checkpoint was overwritten")
bad(2, net, *data, "--skip", "240", *out, says="240")

# 3: malformed. Labels out of range, labels of another number of samples, numbers that stop being numbers.
wrong_labels = list(range(4)) * 60
wrong_labels[17] = 4
bad(3, net, "--data", "train.npy", "--labels", write("bad_labels.npy", npy([240], wrong_labels, "<i8")), *out, says=["4"])
bad(3, net, "--data", "train.npy", "--labels", write("bad_count.npy", npy([239], [0] * 239, "<i8")), *out, says=["239", "240"])
bad(3, net, *quick, *out, "--learning-rate", "1e30", says=["epoch 1, step 1", "--learning-rate"])
bad(3, net, *quick, *out, "--float", "--learning-rate", "1e30", says=["epoch 1, step 1", "--learning-rate"])
bad(3, net, "--data", write("bad_nan.npy", npy([8, 3, 8, 8], [float("nan")] * (8 * 192))), "--labels", "none", "--distill", "1", "--val", "none", *out, says="NaN")

# 4: not supported.
bad(4, net, "--data", write("bad_size.npy", images_npy(16, side=6)), "--labels", "none", "--distill", "1", *out, says=["6", "8"])
opaque = model([node("Conv", ["x", "w"], ["c"], name="conv"), node("Cast", ["c"], ["i"], to=INT32), node("BitwiseNot", ["i"], ["n"], name="turn"),
                node("Cast", ["n"], ["f"], to=FLOAT), node("Hardmax", ["f"], ["h"], name="top"), node("GlobalAveragePool", ["h"], ["p"]), node("Flatten", ["p"], ["y"])],
               [value("x", ["N", 3, 8, 8])], [value("y", ["N", 4])], [normal("w", [4, 3, 3, 3])])
bad(4, write("bad_opaque.onnx", opaque), *quick, *out, says=['"turn" (BitwiseNot)', '"top" (Hardmax)', "docs/support.md"])
bad(4, "a.onnx", *quick, *out, says="quantized already")
write("bad_lm/config.json", json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}))
bad(4, "bad_lm", *quick, *out, says=["is a language model", "ONNX"])

# 5: input and output.
bad(5, "missing.onnx", *quick, *out, says="missing.onnx")
bad(5, net, "--data", "missing.npy", *out, says="missing.npy")
bad(5, net, *quick, "-o", "no/such/folder/x.onnx", says="no/such/folder")
bad(5, net, *quick, *out, "--resume", "missing.checkpoint", says="missing.checkpoint")
bad(3, net, *quick, *out, "--resume", write("bad_text", "no checkpoint"), says="bad_text")
bad(3, net, *quick, *out, "--resume", net, says="net.onnx")
nothing_left("a refusal")

# The program alone, in a folder without its component.
os.makedirs(path("alone"))
shutil.copy(NIBBLE, path("alone", "nibble"))
alone = subprocess.run([path("alone", "nibble"), "train", net] + quick + out, cwd=FOLDER, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
if os.path.exists(os.path.join(os.path.dirname(NIBBLE), "libnibble_train.so")):
    check(alone.returncode == 4 and b"the training component cannot be used: it is not installed" in alone.stderr and alone.stderr.count(b"\n") == 1,
          "without its component: %s %s" % (alone.returncode, alone.stderr))
os.remove(path("alone", "nibble"))

# Ctrl-C leaves a checkpoint, from which the same file comes as without interruption.
slow = data + ["--epochs", "30", "--batch", "20", "--val", "40", "--threads", "1"]
succeeds("train", net, *slow, "-o", "whole.onnx", "--log", "whole.jsonl", timeout=300)


def epochs_of(log):
    """The lines of a log without what the clock says."""
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in read(log).splitlines()]


def stopped(number, status):
    process = subprocess.Popen([NIBBLE, "train", net] + slow + ["-o", "part.onnx", "--force"], cwd=FOLDER, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not os.path.exists(path("part.onnx.checkpoint")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    printed, err = process.communicate(timeout=60)
    if not check(process.returncode == status, "signal %d: status %s\n%s" % (number, process.returncode, err.decode())):
        return
    check(b"nibble: error: interrupted" in err and b"--resume part.onnx.checkpoint" in err, err.decode())
    check(os.path.exists(path("part.onnx.checkpoint")) and not os.path.exists(path("part.onnx")), "an interrupted training left no checkpoint, or an output")
    nothing_left("signal %d" % number)
    refused(2, "train", net, *slow, "--seed", "9", "-o", "part.onnx", "--resume", "part.onnx.checkpoint", says="other options", out=True)
    refused(2, "train", net, *slow, "--scheme", "W4A8", "-o", "part.onnx", "--resume", "part.onnx.checkpoint", says="other scheme", out=True)
    refused(2, "train", net, *slow, "-o", "part.onnx", says=["part.onnx.checkpoint", "--resume"])
    check(os.path.exists(path("part.onnx.checkpoint")), "a refused resumption removed the checkpoint")
    succeeds("train", net, *slow, "-o", "part.onnx", "--resume", "part.onnx.checkpoint", "--log", "part.jsonl", timeout=300)
    check(len(epochs_of("part.jsonl")) == 30 and epochs_of("part.jsonl") == epochs_of("whole.jsonl"), "signal %d: the log of what went on is not whole" % number)
    os.remove(path("part.jsonl"))
    check(read("part.onnx") == read("whole.onnx"), "signal %d: other bytes after going on than without interruption" % number)
    check(not os.path.exists(path("part.onnx.checkpoint")), "the checkpoint of a finished training stayed")
    os.remove(path("part.onnx"))


stopped(signal.SIGINT, 130)
stopped(signal.SIGTERM, 143)

finish()
