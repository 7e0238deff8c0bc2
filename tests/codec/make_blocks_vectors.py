#!/usr/bin/env python3
"""Writes blocks_vectors.txt beside it from ggml's own code. usage: make_blocks_vectors.py (with tests/interop/requirements.txt)

A line is `decode NAME blocks crc` with the CRC-32 of the float32 values, or `encode NAME kind bytes` with the bytes that
quantize_row_*_ref writes for the values of that kind (blocks_test.cpp makes the same ones).
"""
import pathlib
import sys
import zlib

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "interop"))
import ggml  # noqa: E402

PLAIN = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "MXFP4", "NVFP4"]


def values(kind, count):
    i = np.arange(count)
    even = ((37 * i + 11) % 64 - 32) / 16
    return {"even": even, "positive": even + 3, "tiny": even * 2.0**-18, "large": even * 2.0**9,
            "cubes": even**3 / 4, "one": np.full(count, 1.5)}[kind].astype(np.float32)


def main():
    random = np.random.default_rng(5)
    lines = []
    for name, (elements, size, _, _) in ggml.FORMATS.items():
        decoded = np.array([np.nan])
        while not np.isfinite(decoded).all():  # random f16 scales may be NaN, whose bits are nobody's contract
            blocks = random.integers(0, 256, size=size * max(1, 128 // elements), dtype=np.uint8)
            decoded = ggml.decode(name, blocks)
        lines.append(f"decode {name} {blocks.tobytes().hex()} {zlib.crc32(decoded.tobytes()):08x}")
    for name in PLAIN:
        for kind in ["even", "positive", "tiny", "large", "cubes", "one"]:
            lines.append(f"encode {name} {kind} {ggml.encode(name, values(kind, ggml.FORMATS[name][0])).tobytes().hex()}")
    (FOLDER / "blocks_vectors.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
