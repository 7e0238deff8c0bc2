#!/usr/bin/env python3
"""fit::quantize_blocks against what llama-quantize stores. usage: block_search_test.py BLOCKS [WEIGHTS...]

For every format and every matrix (random ones, and those of the safetensors and GGUF files WEIGHTS), with and without an
importance a column, the squared error (weighted by the importance) may not be above 1.000001 times that of
ggml_quantize_chunk, and "reference" must give the bytes of quantize_row_*_ref. Errors are measured on ggml's decoding.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np

import ggml
import weights

BLOCKS = os.path.abspath(sys.argv[1])
PLAIN = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
BOUND = 1.000001
LARGEST = 1 << 21  # values of a matrix; of larger ones the first rows
SAMPLED = 24  # rows of a matrix of a large file, some after every other: ggml's own searches take minutes for more


def ours(search, name, matrix, importance=None):
    with tempfile.NamedTemporaryFile() as file:
        if importance is not None:
            importance.tofile(file.name)
        done = subprocess.run([BLOCKS, search, name, str(matrix.shape[1]), file.name if importance is not None else "-"],
                              input=np.ascontiguousarray(matrix).tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, np.uint8)


def error(name, data, matrix, importance):
    squares = (ggml.decode(name, data).reshape(matrix.shape).astype(np.float64) - matrix) ** 2
    return float(squares.sum() if importance is None else (squares @ importance.astype(np.float64)).sum())


def main():
    failures, compared, worst = [], 0, {}
    sources = [("random", weights.random(), False)]
    sources += [(os.path.basename(os.path.dirname(p)), weights.of_file(p), os.path.getsize(p) > 50e6) for p in sys.argv[2:]]
    for source, matrices, large in sources:
        used = 0
        for seed, (label, matrix) in enumerate(matrices):
            matrix = matrix[:max(1, LARGEST // matrix.shape[1])]
            if large:
                matrix = matrix[seed % 7::max(1, len(matrix) // SAMPLED)][:SAMPLED]
            matrix = np.ascontiguousarray(matrix)
            for name, (elements, _, _, _) in ggml.FORMATS.items():
                if matrix.shape[1] % elements:
                    continue
                used += 1
                for importance in (None, weights.importance(matrix.shape[1], seed)):
                    mine = error(name, ours("best", name, matrix, importance), matrix, importance)
                    theirs = error(name, ggml.quantize(name, matrix, importance), matrix, importance)
                    compared += 1
                    worst[name] = max(worst.get(name, 0.0), mine / theirs if theirs else 0.0)
                    if mine > BOUND * theirs:
                        failures.append(f"{name} on {source} {label}{'' if importance is None else ', weighted'}: {mine:.9g} is "
                                        f"{mine / theirs if theirs else np.inf:.6f} of ggml's {theirs:.9g}")
                if name in PLAIN and not np.array_equal(ours("reference", name, matrix), ggml.encode(name, matrix)):
                    failures.append(f"{name} on {source} {label}: the reference's bytes are not ggml's")
        if not used:
            failures.append(f"{source}: no matrix with rows of whole blocks")
    # A scale that is off by 1 % must be seen.
    matrix = next(weights.random())[1]
    data = ggml.quantize("Q4_0", matrix).copy().reshape(-1, 18)
    data[:, :2] = (data[:, :2].copy().view(np.float16) * np.float16(1.01)).view(np.uint8)
    if error("Q4_0", data, matrix, None) <= BOUND * error("Q4_0", ggml.quantize("Q4_0", matrix), matrix, None):
        failures.append("the measure does not see scales that are off by 1 %")
    print("\n".join(failures))
    print(f"{compared} comparisons; the highest part of ggml's error: " + ", ".join(f"{n} {r:.4f}" for n, r in worst.items()))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
