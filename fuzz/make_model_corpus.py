"""Makes the seeds of fuzz/corpus/gguf and fuzz/corpus/safetensors: a small whole file each, and files with one thing wrong.

    python fuzz/make_model_corpus.py

Needs nothing but Python.
"""
import json
import struct
from pathlib import Path

HERE = Path(__file__).parent / "corpus"


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def key(name, kind, payload):
    return text(name) + struct.pack("<I", kind) + payload


def info(name, sizes, kind, offset):
    return text(name) + struct.pack(f"<I{len(sizes)}q", len(sizes), *sizes) + struct.pack("<IQ", kind, offset)


def build(keys, infos, data, version=3, tensors=None):
    head = b"GGUF" + struct.pack("<IQQ", version, len(infos) if tensors is None else tensors, len(keys))
    head += b"".join(keys) + b"".join(infos)
    return head + bytes(-len(head) % 32) + data


def folder(name):
    path = HERE / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def safetensors(header, data):
    header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def make_safetensors():
    def tensor(kind, shape, begin, end):
        return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}

    a, b = tensor("F32", [1, 2], 0, 8), tensor("BF16", [2], 8, 12)
    whole = safetensors({"__metadata__": {"format": "pt"}, "a": a, "b": b}, bytes(12))
    seeds = {
        "whole": whole,
        "truncated": whole[:-1],
        "trailing": whole + b"x",
        "overlap": safetensors({"a": a, "b": tensor("BF16", [2], 4, 8)}, bytes(8)),
        "hole": safetensors({"b": b}, bytes(12)),
        "huge": safetensors({"a": tensor("F32", [1 << 40, 1 << 40], 0, 8)}, bytes(8)),
        "type": safetensors({"a": tensor("F4", [2], 0, 1)}, bytes(1)),
        "empty": safetensors({}, b""),
        "long_header": struct.pack("<Q", 1 << 50) + b"{}",
    }
    for name, seed in seeds.items():
        (folder("safetensors") / f"{name}.safetensors").write_bytes(seed)


def main():
    make_safetensors()
    keys = [key("general.architecture", 8, text("llama")), key("llama.block_count", 4, struct.pack("<I", 1)),
            key("x", 6, struct.pack("<f", 0.5)), key("flag", 7, b"\1"),
            key("words", 9, struct.pack("<IQ", 8, 2) + text("a") + text("bc")),
            key("numbers", 9, struct.pack("<IQ3i", 5, 3, 1, 2, 3))]
    infos = [info("w", [32, 2], 2, 0), info("b", [3], 0, 64)]
    data = bytes(36) + bytes(28) + struct.pack("<3f", 1, 2, 3) + bytes(20)
    seeds = {
        "whole": build(keys, infos, data),
        "v2": build(keys, infos, data, version=2),
        "v1": build(keys, infos, data, version=1),
        "big_endian": build(keys, infos, data, version=0x03000000),
        "truncated": build(keys, infos, data)[:-40],
        "no_tensors": build(keys, [], b""),
        "many_tensors": build(keys, infos, data, tensors=1 << 40),
        "twice": build(keys, [infos[0], infos[0]], data),
        "gap": build(keys, [infos[0], info("b", [3], 0, 96)], data + bytes(64)),
        "huge": build(keys, [info("w", [1 << 40, 1 << 40], 0, 0)], data),
        "zero_size": build(keys, [info("w", [0, 5], 0, 0)], b""),
        "alignment": build([key("general.alignment", 4, struct.pack("<I", 48))], infos, data),
        "nested": build([key("l", 9, struct.pack("<IQ", 9, 1))], [], b""),
        "long_list": build([key("l", 9, struct.pack("<IQ", 5, 1 << 60))], [], b""),
        "split": build([key("split.count", 2, struct.pack("<H", 2))], infos, data),
    }
    for name, seed in seeds.items():
        (folder("gguf") / f"{name}.gguf").write_bytes(seed)


if __name__ == "__main__":
    main()
