#!/usr/bin/env python3
"""Block formats against ggml's own code, byte for byte. usage: blocks_test.py BLOCKS

decode against dequantize_row_* on random bytes (every scale, NaN and infinity among them) and encode against
quantize_row_*_ref on random and adversarial values, for the formats whose reference is a plain encoder.
"""
import os
import subprocess
import sys

import numpy as np

import ggml

BLOCKS = os.path.abspath(sys.argv[1])
PLAIN = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "MXFP4", "NVFP4"]
RNG = np.random.default_rng(11)
FAILURES = []


def ours(verb, name, data):
    done = subprocess.run([BLOCKS, verb, name], input=data.tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, np.float32 if verb == "decode" else np.uint8)


def same(name, what, mine, theirs, size):
    """Bit for bit, except that a NaN is a NaN."""
    if mine.size != theirs.size:
        FAILURES.append(f"{name} {what}: {mine.size} and {theirs.size} items")
        return
    different = mine.view(np.uint32 if mine.dtype == np.float32 else np.uint8) != theirs.view(
        np.uint32 if mine.dtype == np.float32 else np.uint8)
    if mine.dtype == np.float32:
        different &= ~(np.isnan(mine) & np.isnan(theirs))
    if different.any():
        at = int(np.argmax(different))
        FAILURES.append(f"{name} {what}: {int(different.sum())} of {mine.size} differ, first {at} (block {at // size}): "
                        f"{mine[at]!r}, ggml {theirs[at]!r}")


def inputs(elements):
    blocks = 600
    shape = (blocks, elements)
    yield "normal", RNG.normal(size=shape)
    yield "uniform", RNG.uniform(-1, 1, size=shape)
    yield "laplace with outliers", RNG.laplace(size=shape) * np.where(RNG.random(shape) < 0.02, 20, 1)
    yield "bfloat16 values", (RNG.normal(size=shape).astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
    yield "few values", RNG.integers(-8, 9, size=shape) / 4
    yield "blocks of many magnitudes", RNG.normal(size=shape) * 2.0 ** RNG.integers(-24, 12, size=(blocks, 1))
    yield "positive", np.abs(RNG.normal(size=shape)) + 1
    yield "negative", -np.abs(RNG.normal(size=shape)) - 1
    special = np.zeros((16, elements), np.float32)
    special[1] = -0.0
    special[2] = 1.5
    special[3] = -1.5
    special[4, 5] = 3.0
    special[5, 6] = -3.0
    special[6] = 60000
    special[7] = np.linspace(-60000, 60000, elements)
    special[8] = np.float32(6e-8)
    special[9] = RNG.normal(size=elements) * 1e-7
    special[10, ::2] = 2.0
    special[11] = RNG.normal(size=elements) * 1e30
    special[12] = np.where(np.arange(elements) % 2, -0.0, 0.0)
    special[13] = np.linspace(0, 1, elements)
    special[14] = RNG.normal(size=elements) * 1e-20
    special[15] = np.nextafter(np.float32(2), np.float32(0))
    yield "adversarial", special


def main():
    for name, (elements, size, _, _) in ggml.FORMATS.items():
        data = RNG.integers(0, 256, size=(4000, size), dtype=np.uint8)
        same(name, "decode", ours("decode", name, data), ggml.decode(name, data), elements)
        if name not in PLAIN:
            continue
        for what, values in inputs(elements):
            values = np.ascontiguousarray(values, np.float32)
            mine, theirs = ours("encode", name, values).reshape(-1, size), ggml.encode(name, values).reshape(-1, size)
            if name == "IQ4_NL":  # of blocks below 1e-15 ggml stores whatever codes its memory held; their scale is 0
                tiny = np.abs(values).max(axis=1) < 1e-15
                same(name, f"scales of {what}", mine[tiny, :2].ravel(), theirs[tiny, :2].ravel(), 2)
                mine, theirs = mine[~tiny], theirs[~tiny]
            same(name, f"encode of {what}", mine.ravel(), theirs.ravel(), size)
    # The comparison itself must see one wrong bit.
    before = len(FAILURES)
    values = RNG.normal(size=(4, 32)).astype(np.float32)
    wrong = ggml.encode("Q4_0", values).copy()
    wrong[20] ^= 1
    same("Q4_0", "self-test", ours("encode", "Q4_0", values), wrong, 18)
    if len(FAILURES) != before + 1:
        FAILURES.append("the comparison misses a wrong bit")
    else:
        FAILURES.pop()
    print("\n".join(FAILURES) if FAILURES else f"{len(ggml.FORMATS)} formats decode and {len(PLAIN)} encode as ggml does")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
