#!/usr/bin/env python3
"""How fast the float convolutional networks run beside onnxruntime. Prints a table and, with --write, puts it into
docs/performance.md.

    .venv/bin/python bench/float_speed.py NIBBLE DATA_FOLDER [--threads 2] [--rounds 7] [--seconds 0.5] [--write] [NETWORK...]

Batch 1, the same input for both. A round runs onnxruntime, then nibble, each with its threads to itself: the threads of an idle
session spin for a while and would take the other's cores, so they are never mixed call by call. Every round gives one median a side
and one ratio; the table holds the medians over the rounds, and the lowest and highest ratio as their spread. A round in which
another program took the cores shows up in the spread; such a program only adds time, so the last column compares the fastest
round of each side.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/networks"))
import networks  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime as ort  # noqa: E402


def onnxruntime_seconds(path, x, threads, seconds):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x}
    end = time.perf_counter() + seconds / 10
    while time.perf_counter() < end:
        session.run(None, feed)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 10:
        start = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def nibble_seconds(nibble, path, data, threads, seconds, work):
    report = work / "report.json"
    subprocess.run([nibble, "bench", path, "--data", data, "--labels", "none", "--threads", str(threads), "--seconds", str(seconds), "--quiet", "--json", report, "--force"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return json.loads(report.read_text())["settings"][0]["networks"][0]["latency_seconds"]["p50"]


def measure(nibble, folder, network, options, work):
    """Medians in seconds: pairs (nibble, onnxruntime), one a round."""
    path = folder / "models" / f"{network.name}.onnx"
    x = networks.inputs(network, folder, 1)[:1]
    np.save(work / "in.npy", x)
    pairs = []
    for _ in range(options.rounds):
        theirs = onnxruntime_seconds(path, x, options.threads, options.seconds)
        time.sleep(0.05)
        pairs.append((nibble_seconds(nibble, path, work / "in.npy", options.threads, options.seconds, work), theirs))
    return pairs


def row(name, pairs):
    ratios = sorted(theirs / ours for ours, theirs in pairs)
    best = min(p[1] for p in pairs) / min(p[0] for p in pairs)
    ours, theirs = (1e3 * float(np.median([p[i] for p in pairs])) for i in (0, 1))
    return f"| {name} | {ours:.3f} | {theirs:.3f} | {float(np.median(ratios)):.2f} | {ratios[0]:.2f}-{ratios[-1]:.2f} | {best:.2f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nibble")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("network", nargs="*")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long each side runs in a round")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    lines = ["| network | nibble ms | onnxruntime ms | nibble / onnxruntime speed | spread | fastest rounds |", "|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as work:
        for network in [networks.by_name(n) for n in options.network] or networks.NETWORKS:
            lines.append(row(network.name, measure(options.nibble, options.folder, network, options, pathlib.Path(work))))
            print(lines[-1], flush=True)
    if options.write:
        page = ROOT / "docs/performance.md"
        begin, end = "<!-- table: float speed -->", "<!-- end: float speed -->"
        head, rest = page.read_text().split(begin)
        page.write_text(head + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
