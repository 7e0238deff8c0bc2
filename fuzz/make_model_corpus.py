"""Makes the seeds of the targets that read models (gguf, safetensors, safetensors_index, imatrix, language_model, model_config,
training_checkpoint): a small whole file each, and files with one thing wrong.

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


def make_training_checkpoint():
    def checkpoint(record, tensors=b"", entries=None):
        header = {"student.weight.0.masters": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}} if tensors else {}
        begin = len(tensors)
        header["nibble.training"] = {"dtype": "U8", "shape": [len(record)], "data_offsets": [begin, begin + len(record)]}
        header.update(entries or {})
        return safetensors(header, tensors + record)

    record = json.dumps({"nibble": "training", "version": 1, "epoch": 1, "step": 2, "sums": [0.5, 1e-300, 0], "epochs": [{"loss": 0.25}]}).encode()
    whole = checkpoint(record, bytes(8))
    seeds = {
        "whole": whole,
        "no_tensors": checkpoint(record),
        "truncated": whole[:-1],
        "cut_record": checkpoint(record[:-1], bytes(8)),
        "empty_record": checkpoint(b"", bytes(8)),
        "text_record": checkpoint(b"training", bytes(8)),
        "float_record": safetensors({"nibble.training": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        "no_record": safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        "deep_record": checkpoint(b"[" * 2000),
    }
    for name, seed in seeds.items():
        (folder("training_checkpoint") / f"{name}.checkpoint").write_bytes(seed)


def make_imatrix():
    def entry(name, calls, values):
        return struct.pack("<i", len(name)) + name + struct.pack("<2i", calls, len(values)) + struct.pack(f"<{len(values)}f", *values)

    whole = struct.pack("<i", 2) + entry(b"blk.0.attn_q.weight", 3, [1, 2, 3]) + entry(b"output.weight", 1, [4])
    keys = [key("general.type", 8, text("imatrix")), key("imatrix.chunk_count", 4, struct.pack("<I", 1))]
    infos = [info("w.in_sum2", [2], 0, 0), info("w.counts", [1], 0, 32)]
    seeds = {
        "old": whole,
        "old_named": whole + struct.pack("<2i", 7, 3) + b"txt",
        "old_truncated": whole[:-2],
        "old_negative": struct.pack("<i", 1) + entry(b"w", 1, [-1]),
        "old_huge": struct.pack("<i", 1) + struct.pack("<i", 1) + b"w" + struct.pack("<2i", 1, 1 << 30),
        "gguf": build(keys, infos, struct.pack("<2f", 1, 2) + bytes(24) + struct.pack("<f", 8) + bytes(28)),
        "gguf_no_count": build(keys, infos[:1], struct.pack("<2f", 1, 2) + bytes(24)),
    }
    for name, seed in seeds.items():
        (folder("imatrix") / name).write_bytes(seed)


def make_language_models():
    """One block of width 4 each, whole; and with a size that does not fit."""
    def model(architecture, sizes, tensors, more=()):
        keys = [key("general.architecture", 8, text(architecture))]
        keys += [key(f"{architecture}.{k}", 4, struct.pack("<I", v)) for k, v in sizes.items()]
        epsilon = "layer_norm_epsilon" if architecture == "gpt2" else "layer_norm_rms_epsilon"
        keys += [key(f"{architecture}.attention.{epsilon}", 6, struct.pack("<f", 1e-5))] + list(more)
        infos, data = [], b""
        for name, shape in tensors.items():
            infos.append(info(name, shape, 0, len(data)))
            count = 1
            for n in shape:
                count *= n
            values = struct.pack(f"<{count}f", *[((7 * i) % 13 - 6) / 8 for i in range(count)])
            data += values + bytes(-len(values) % 32)
        return build(keys, infos, data)

    sizes = {"context_length": 16, "embedding_length": 4, "block_count": 1, "feed_forward_length": 8, "attention.head_count": 2}
    llama = {"token_embd.weight": [4, 8], "output_norm.weight": [4], "blk.0.attn_norm.weight": [4], "blk.0.ffn_norm.weight": [4],
             "blk.0.attn_q.weight": [4, 4], "blk.0.attn_k.weight": [4, 4], "blk.0.attn_v.weight": [4, 4], "blk.0.attn_output.weight": [4, 4],
             "blk.0.ffn_gate.weight": [4, 8], "blk.0.ffn_up.weight": [4, 8], "blk.0.ffn_down.weight": [8, 4]}
    gpt2 = {"token_embd.weight": [4, 8], "position_embd.weight": [4, 16]}
    gpt2 |= {f"{n}.{p}": [4] for n in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"] for p in ["weight", "bias"]}
    for name, rows, columns in [("attn_qkv", 12, 4), ("attn_output", 4, 4), ("ffn_up", 8, 4), ("ffn_down", 4, 8)]:
        gpt2 |= {f"blk.0.{name}.weight": [columns, rows], f"blk.0.{name}.bias": [rows]}
    seeds = {
        "llama": model("llama", sizes, llama),
        "llama_output": model("llama", sizes, llama | {"output.weight": [4, 8], "rope_freqs.weight": [1]}),
        "llama_yarn": model("llama", sizes, llama, [key("llama.rope.scaling.type", 8, text("yarn")),
                                                    key("llama.rope.scaling.factor", 6, struct.pack("<f", 4))]),
        "qwen3": model("qwen3", sizes, llama | {"blk.0.attn_q_norm.weight": [2], "blk.0.attn_k_norm.weight": [2]}),
        "qwen2": model("qwen2", sizes, llama | {"blk.0.attn_q.bias": [4], "blk.0.attn_k.bias": [4], "blk.0.attn_v.bias": [4]}),
        "gpt2": model("gpt2", sizes, gpt2),
        "heads": model("llama", sizes | {"attention.head_count": 3}, llama),
        "shape": model("llama", sizes, llama | {"blk.0.ffn_up.weight": [4, 7]}),
        "unknown": model("mamba", sizes, llama),
    }
    for name, seed in seeds.items():
        (folder("language_model") / f"{name}.gguf").write_bytes(seed)


def make_configs():
    llama = {"hidden_size": 8, "num_hidden_layers": 1, "intermediate_size": 16, "num_attention_heads": 2, "vocab_size": 10,
             "max_position_embeddings": 32, "rms_norm_eps": 1e-5}
    seeds = {
        "llama": llama,
        "llama3": llama | {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 16}},
        "yarn": llama | {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0}},
        "gpt2": {"n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 10},
        "missing": {},
        "huge": llama | {"num_hidden_layers": 1 << 60},
        "zero": llama | {"num_attention_heads": 0},
    }
    for name, seed in seeds.items():
        (folder("model_config") / f"{name}.json").write_text(json.dumps(seed))


def make_indices():
    seeds = {
        "whole": {"metadata": {"total_size": 8}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}},
        "outside": {"weight_map": {"a": "../x.safetensors"}},
        "absolute": {"weight_map": {"a": "/etc/x.safetensors"}},
        "pickle": {"weight_map": {"a": "pytorch_model.bin"}},
        "number": {"weight_map": {"a": 1}},
        "none": {},
    }
    for name, seed in seeds.items():
        (folder("safetensors_index") / f"{name}.json").write_text(json.dumps(seed))


def main():
    make_safetensors()
    make_indices()
    make_imatrix()
    make_language_models()
    make_configs()
    make_training_checkpoint()
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
