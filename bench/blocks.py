#!/usr/bin/env python3
"""How good and how fast fit::quantize_blocks is beside ggml. usage: blocks.py BLOCKS [--threads N] [--seconds S] [WEIGHTS...]

BLOCKS is the built tests/interop/blocks, WEIGHTS are safetensors and GGUF files; random matrices are used without. Prints a
table: squared error as a part of ggml's (of all matrices together, and the highest of one), with and without an importance a
column, and weights a second as a multiple of ggml's. Both run on the same threads, in turn; times are medians. Needs the
packages of tests/interop/requirements.txt.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/interop"))
import ggml  # noqa: E402
import weights  # noqa: E402

TURNS, VALUES = 5, 1 << 20


def error(name, data, matrix, importance):
    squares = (ggml.decode(name, data).reshape(matrix.shape).astype(np.float64) - matrix) ** 2
    return float(squares.sum() if importance is None else (squares @ importance.astype(np.float64)).sum())


class Ours:
    def __init__(self, program):
        self.program = os.path.abspath(program)

    def run(self, name, matrix, importance, seconds=0.0, threads=0):
        """The bytes, and the median time of one quantization."""
        with tempfile.NamedTemporaryFile() as file:
            if importance is not None:
                importance.tofile(file.name)
            done = subprocess.run([self.program, "best", name, str(matrix.shape[1]), file.name if importance is not None else "-",
                                   str(seconds), str(threads)],
                                  input=np.ascontiguousarray(matrix).tobytes(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        return np.frombuffer(done.stdout, np.uint8), float(done.stderr.split()[0]) if seconds else 0.0


def ggml_time(name, matrix, importance, pool, threads):
    parts = np.array_split(matrix, threads)
    start = time.perf_counter()
    list(pool.map(lambda part: ggml.quantize(name, part, importance), parts))
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("blocks")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("weights", nargs="*")
    given = parser.parse_intermixed_args()
    ours, pool = Ours(given.blocks), ThreadPoolExecutor(given.threads)
    matrices = [m for path in given.weights for _, m in weights.of_file(path)] or [m for _, m in weights.random()]
    matrices = [np.ascontiguousarray(m[:max(1, VALUES // m.shape[1])]) for m in matrices]
    timed = (0.02 * np.random.default_rng(1).normal(size=(1024, 4096))).astype(np.float32)
    print(f"{len(matrices)} matrices, {given.threads} threads\n")
    print("| format | error, all | error, worst | weighted, all | weighted, worst | speed | weighted | Mweights/s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (elements, _, _, _) in ggml.FORMATS.items():
        cells, speeds, rate = [], [], 0.0
        for weighted in (False, True):
            mine, theirs = [], []
            for seed, matrix in enumerate(matrices):
                if matrix.shape[1] % elements:
                    continue
                importance = weights.importance(matrix.shape[1], seed) if weighted else None
                mine.append(error(name, ours.run(name, matrix, importance)[0], matrix, importance))
                theirs.append(error(name, ggml.quantize(name, matrix, importance), matrix, importance))
            worst = max((m / t for m, t in zip(mine, theirs) if t), default=float("nan"))
            cells += [f"{sum(mine) / sum(theirs):.4f}" if sum(theirs) else "-", f"{worst:.4f}"]
            importance = weights.importance(timed.shape[1], 0) if weighted else None
            elapsed, ratios = [], []
            for _ in range(TURNS):
                elapsed.append(ours.run(name, timed, importance, given.seconds, given.threads)[1])
                ratios.append(ggml_time(name, timed, importance, pool, given.threads) / elapsed[-1])
            speeds.append(f"{statistics.median(ratios):.2f}")
            rate = rate or timed.size / statistics.median(elapsed) / 1e6
        print(f"| {name} | {' | '.join(cells)} | {' | '.join(speeds)} | {rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
