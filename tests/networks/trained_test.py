#!/usr/bin/env python3
"""What training reports is what the written file is worth. Usage: trained_test.py NIBBLE DATA_FOLDER [NETWORK...]

Each network is trained for an epoch on some images (keyword spotting: on vectors without labels) at W4A8 and W4A4. The score
that training reports is exactly that of `nibble eval` on the written file (integer arithmetic), and onnxruntime, with its
default optimisations, gives at least 99.5 % of the same top classes: at ties between two codes its sums may round to the
other one, which is what tests/networks/onnxruntime_test.py bounds layer by layer. So the scores differ by no more.
"""
import gzip
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import networks
import numpy as np
import onnxruntime as ort
from PIL import Image

nibble, folder = sys.argv[1], pathlib.Path(sys.argv[2])
if not (pathlib.Path(nibble).parent / "libnibble_train.so").exists():
    print("nibble was built without its training component (libtorch): left out")
    sys.exit(0)
failures = []


def check(ok, text):
    print(f"  {'ok  ' if ok else 'FAIL'} {text}", flush=True)
    if not ok:
        failures.append(text)


def onnxruntime_answers(path, x):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    size = session.get_inputs()[0].shape[0]
    size = size if isinstance(size, int) else 100
    return np.concatenate([session.run(None, {name: x[i:i + size]})[0] for i in range(0, len(x), size)]).argmax(1)


def cifar(work):
    """3,000 images to train on and 1,000 others to validate with, whose names hold their classes."""
    with zipfile.ZipFile(folder / "cifar10/train_jpeg_30000.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.lower().endswith(".jpg"))
        chosen = np.random.default_rng(0).permutation(len(names))[:4000]
        for target, part in (("train.zip", chosen[:3000]), ("val.zip", chosen[3000:])):
            with zipfile.ZipFile(work / target, "w") as out:
                for i in sorted(part):
                    out.writestr(names[i], archive.read(names[i]))
    validation = zipfile.ZipFile(work / "val.zip")
    names = sorted(validation.namelist())
    x = np.stack([np.asarray(Image.open(io.BytesIO(validation.read(n))).convert("RGB"), np.float32) for n in names])
    return work / "train.zip", work / "val.zip", x, np.array([int(pathlib.Path(n).name.split("_")[0]) for n in names]), []


def mnist(work):
    images = np.frombuffer(gzip.open(folder / "mnist/t10k-images-idx3-ubyte.gz").read(), np.uint8)[16:].reshape(-1, 28, 28)
    labels = np.frombuffer(gzip.open(folder / "mnist/t10k-labels-idx1-ubyte.gz").read(), np.uint8)[8:].astype(np.int64)
    for target, part in (("train.zip", range(2000)), ("val.zip", range(2000, 3000))):
        with zipfile.ZipFile(work / target, "w") as out:
            for i in part:
                png = io.BytesIO()
                Image.fromarray(images[i]).save(png, "PNG")
                out.writestr(f"{labels[i]}/{i:05}.png", png.getvalue())
    order = sorted(range(2000, 3000), key=lambda i: f"{labels[i]}/{i:05}.png")
    return work / "train.zip", work / "val.zip", images[order].astype(np.float32)[:, None], labels[order], []


def keywords(work):
    x = np.load(folder / "kws/kws_mfcc_1000.npy").astype(np.float32)
    np.save(work / "train.npy", x[:700])
    np.save(work / "val.npy", x[700:])
    return work / "train.npy", work / "val.npy", x[700:], None, ["--labels", "none", "--distill", "1"]


for name, prepare in (("mlperf_tiny_resnet8_cifar10_jpeg", cifar), ("mnist-8", mnist), ("mlperf_tiny_dscnn_kws", keywords)):
    if sys.argv[3:] and name not in sys.argv[3:]:
        continue
    network = networks.by_name(name)
    model = folder / "models" / f"{name}.onnx"
    with tempfile.TemporaryDirectory() as text:
        work = pathlib.Path(text)
        train, val, x, labels, more = prepare(work)
        preprocess = ["--preprocess", network.preprocess] if network.preprocess else []
        # Without labels the right answer is the float network's.
        wanted = onnxruntime_answers(model, x) if labels is None else labels
        for scheme in ("W4A8", "W4A4"):
            print(f"{name} {scheme}", flush=True)
            out = work / "out.onnx"
            subprocess.run([nibble, "train", model, "--data", train, "--val", val, *preprocess, *more, "--scheme", scheme, "--epochs", "1", "-o", out, "--force", "--quiet",
                            "--json", work / "train.json"], check=True, stdout=subprocess.DEVNULL)
            reported = json.loads((work / "train.json").read_text())["training"]["score"]
            subprocess.run([nibble, "eval", out, "--baseline", model, "--data", val, *preprocess, *more[:2], "--no-latency", "--quiet", "--force", "--json", work / "eval.json"],
                           check=True, stdout=subprocess.DEVNULL)
            report = json.loads((work / "eval.json").read_text())
            evaluated = report["agreement"]["outputs"][0]["same_share"] if labels is None else report["accuracy"]["after"]["top1"] / len(x)
            # Without labels training reports what it costs: the share of answers that changed, in percent, below 0.
            after = 1 + reported["after"] / 100 if labels is None else reported["after"]
            check(abs(after - evaluated) < 1e-12, f"reported {after:.4f} ({reported['name']}; before training {reported['before']:.4f}), nibble eval finds {evaluated:.4f}")

            np.save(work / "in.npy", x)
            subprocess.run([nibble, "run", out, "--data", work / "in.npy", "-o", work / "y.npy", "--force", "--quiet"], check=True, stdout=subprocess.DEVNULL)
            ours, theirs = np.load(work / "y.npy").argmax(1), onnxruntime_answers(out, x)
            right = int((ours == wanted).sum())
            check(abs(right / len(x) - after) < 1e-12, f"on inputs made with numpy {right} of {len(x)} are right")
            different = int((ours != theirs).sum())
            check(different <= 0.005 * len(x), f"onnxruntime: {int((theirs == wanted).sum())} are right; another top class in {different} of {len(x)}")
sys.exit(1 if failures else 0)
