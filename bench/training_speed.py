#!/usr/bin/env python3
"""What a training step costs beside the same float step in libtorch, and where the time goes. Writes bench/training_speed.json and, with
--write, a table of docs/performance.md.

    .venv/bin/python bench/training_speed.py NIBBLE LIBTORCH_STEP DATA_FOLDER [--threads 2] [--batch 128] [--rounds 5] [--write]

LIBTORCH_STEP is bench/libtorch_step, built with -DNIBBLE_BUILD_BENCH=ON. A round runs every row once, one after the other, each with the
machine's cores to itself; the table holds medians over the rounds, and the lowest and highest ratio of a round as the spread. libtorch's
time is that of its faster layout. Both train on random inputs that lie in memory: nothing is decoded or changed.

Where the time goes is told by switching things off: floats without teacher are libtorch's forward and backward pass in
nibble's slices with the optimiser; fake quantization (with what follows oscillations) and the teacher come on top, one after the other.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent

RESULTS = ROOT / "bench/training_speed.json"
STEPS = 6  # an epoch; the first epoch warms up, the second counts
NETWORKS = {"resnet20": ("cifar_resnet20_jpeg", (3, 32, 32), 10, "fold"), "resnet20-bn": ("cifar_resnet20_jpeg", (3, 32, 32), 10, "follow"),
            "ds-cnn": ("mlperf_tiny_dscnn_kws", (49, 10, 1), 12, "fold")}
FLOATS = ["--float", "--distill", "0"]
STAGES = {"floats": FLOATS, "+ fake quantization": ["--distill", "0"], "+ teacher (the defaults)": []}


def nibble_ms(options, model, batch_norm, flags, work):
    log = work / "log"
    command = [options.nibble, "train", model, "-o", work / "out.onnx", "--data", work / "x.npy", "--labels", work / "y.npy", "--val", "none", "--batch-norm", batch_norm, "--scheme", "W4A4",
               "--calib-samples", "64", "--epochs", "3", "--batch", options.batch, "--threads", options.threads, "--log", log, "--force", "--quiet", *flags]
    done = subprocess.run([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    seconds = [json.loads(line)["seconds"] for line in log.read_text().splitlines()]
    return 1e3 * min(b - a for a, b in zip(seconds, seconds[1:])) / STEPS


def libtorch_ms(options, name, layout):
    out = subprocess.run([options.libtorch_step, name, layout, str(options.batch), str(options.threads), str(STEPS)], check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(np.median([float(v) for v in out.split()]))


def measure(options):
    rounds = {name: [] for name in options.only}
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        for _ in range(options.rounds):
            for name in options.only:
                model, shape, classes, batch_norm = NETWORKS[name]
                random = np.random.default_rng(1)
                np.save(work / "x.npy", random.normal(size=(STEPS * options.batch, *shape)).astype(np.float32))
                np.save(work / "y.npy", random.integers(0, classes, STEPS * options.batch).astype(np.int32))
                row = {f"libtorch {layout}": libtorch_ms(options, name, layout) for layout in ("contiguous", "channels_last")}
                row |= {stage: nibble_ms(options, options.folder / "models" / f"{model}.onnx", batch_norm, flags, work) for stage, flags in STAGES.items()}
                rounds[name].append(row)
                print(name, {k: round(v, 1) for k, v in row.items()}, flush=True)
    return rounds


def table(rounds):
    lines = ["| network | libtorch, float ms | nibble, floats ms | + fake quantization | + teacher (the defaults) | W4A4 step without teacher / libtorch | whole step / libtorch |", "|---|---|---|---|---|---|---|"]
    for name, rows in rounds.items():
        peer = [min(r["libtorch contiguous"], r["libtorch channels_last"]) for r in rows]

        def ratio(stage):
            all_of = sorted(r[stage] / p for r, p in zip(rows, peer))
            return f"{float(np.median(all_of)):.2f} ({all_of[0]:.2f}-{all_of[-1]:.2f})"
        cells = [float(np.median(peer)), *(float(np.median([r[s] for r in rows])) for s in STAGES)]
        lines.append(f"| {name} | " + " | ".join(f"{c:.0f}" for c in cells) + f" | {ratio('+ fake quantization')} | {ratio('+ teacher (the defaults)')} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nibble")
    parser.add_argument("libtorch_step")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    rounds = measure(options)
    lines = table(rounds)
    print("\n".join(lines))
    RESULTS.write_text(json.dumps({"batch": options.batch, "threads": options.threads, "milliseconds": rounds}, indent=1) + "\n")
    if options.write:
        page = ROOT / "docs/performance.md"
        begin, end = "<!-- table: training step -->", "<!-- end: training step -->"
        head, rest = page.read_text().split(begin)
        page.write_text(head + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
