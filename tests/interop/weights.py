"""Matrices of float weights to quantize: those of safetensors and GGUF files, and random ones."""
import json
import struct

import numpy as np

import ggml


def safetensors(path):
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__" or len(entry["shape"]) != 2:
                continue
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            data = file.read(end - begin)
            if entry["dtype"] == "F32":
                values = np.frombuffer(data, np.float32)
            elif entry["dtype"] == "F16":
                values = np.frombuffer(data, np.float16).astype(np.float32)
            elif entry["dtype"] == "BF16":
                values = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
            else:
                continue
            yield name, values.reshape(entry["shape"])


def gguf(path):
    """The matrices of a GGUF file that are F32 or in a block format, decoded by ggml."""
    by_number = {number: name for name, (_, _, number, _) in ggml.FORMATS.items()}
    data = np.memmap(path, np.uint8, "r")
    at = 0

    def number(kind):
        nonlocal at
        value = struct.unpack_from("<" + kind, data, at)[0]
        at += struct.calcsize(kind)
        return value

    def text():
        nonlocal at
        length = number("Q")
        at += length
        return bytes(data[at - length:at])

    def skip(kind):
        nonlocal at
        if kind == 8:
            text()
        elif kind == 9:
            inner, count = number("I"), number("Q")
            for _ in range(count):
                skip(inner)
        else:
            at += {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}[kind]

    assert number("I") == 0x46554747 and number("I") in (2, 3), path
    tensors, pairs = number("Q"), number("Q")
    alignment = 32
    for _ in range(pairs):
        key, kind = text(), number("I")
        if key == b"general.alignment":
            alignment = number("I")
        else:
            skip(kind)
    infos = []
    for _ in range(tensors):
        name = text().decode()
        shape = [number("Q") for _ in range(number("I"))]
        infos.append((name, shape, number("I"), number("Q")))
    base = (at + alignment - 1) // alignment * alignment
    for name, shape, kind, offset in infos:
        count = int(np.prod(shape))
        if len(shape) != 2 or (kind != 0 and kind not in by_number):
            continue
        if kind == 0:
            values = np.frombuffer(data[base + offset:base + offset + 4 * count].tobytes(), np.float32)
        else:
            elements, size = ggml.FORMATS[by_number[kind]][:2]
            values = ggml.decode(by_number[kind], data[base + offset:base + offset + count // elements * size])
        yield name, values.reshape(shape[1], shape[0])


def of_file(path):
    return gguf(path) if path.endswith(".gguf") else safetensors(path)


def random(rows=64, columns=1024):
    rng = np.random.default_rng(17)
    shape = (rows, columns)
    wild = rng.random(shape) < 0.01
    for name, values in {
            "normal": rng.normal(size=shape), "uniform": rng.uniform(-1, 1, size=shape), "laplace": rng.laplace(size=shape),
            "student t": rng.standard_t(4, size=shape), "outliers": rng.normal(size=shape) * np.where(wild, 20, 1),
            "skewed": rng.gamma(2, size=shape), "positive": 1 + rng.random(size=shape),
            "wide rows": rng.normal(size=shape) * 2.0 ** rng.integers(-8, 8, size=(rows, 1)),
            "wide columns": rng.normal(size=shape) * np.exp(rng.normal(size=(1, columns))),
            "sparse": rng.normal(size=shape) * (rng.random(shape) < 0.1),
            "tiny": 1e-5 * rng.normal(size=shape)}.items():
        yield name, (0.02 * values).astype(np.float32)


def importance(columns, seed):
    """Of the spread that mean squares of inputs have."""
    return np.random.default_rng(seed).lognormal(0, 1.5, size=columns).astype(np.float32)
