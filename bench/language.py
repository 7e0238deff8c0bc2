#!/usr/bin/env python3
"""Speed of quantizing a language model, against llama-quantize on the same f16 GGUF file, page cache warm, in turn; and how
much memory nibble takes for a model of any size. Usage:
  bench/language.py NIBBLE LLAMA_CPP FOLDER [--layers 16] [--rounds 3] [--schemes Q4_0,Q4_K_M,IQ4_NL,IQ4_XS]
  bench/language.py NIBBLE - FOLDER --memory GIGABYTES

LLAMA_CPP: the folder with llama-quantize (tests/interop/language/build_llama_cpp makes one). The model has the shape of
Llama 3.2 1B (16 layers: 1.24 billion weights) with random weights. Ratios above 1: nibble is faster."""
import argparse
import json
import os
import pathlib
import resource
import statistics
import struct
import subprocess
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests" / "interop" / "language"))
import language_models  # noqa: E402  (its tokenizer serves here too)

WIDTH, FEED_FORWARD, HEADS, KV_HEADS, VOCABULARY = 2048, 8192, 32, 8, 128256


def config(layers, tied=True):
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": FEED_FORWARD,
            "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "vocab_size": VOCABULARY,
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "hidden_act": "silu",
            "tie_word_embeddings": tied, "bos_token_id": 1, "eos_token_id": 2}


def write_folder(folder, layers):
    """A Hugging Face folder in F16: one block of normal numbers, rolled anew for every matrix."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config(layers)))
    small = {"model_type": "llama"}
    (folder / "tokenizer.json").write_text(json.dumps(language_models._tokenizer(small)))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}))
    size, kv = WIDTH // HEADS, WIDTH // HEADS * KV_HEADS
    shapes = {"model.embed_tokens.weight": (VOCABULARY, WIDTH), "model.norm.weight": (WIDTH,)}
    for i in range(layers):
        h = f"model.layers.{i}."
        shapes |= {h + "input_layernorm.weight": (WIDTH,), h + "self_attn.q_proj.weight": (size * HEADS, WIDTH),
                   h + "self_attn.k_proj.weight": (kv, WIDTH), h + "self_attn.v_proj.weight": (kv, WIDTH),
                   h + "self_attn.o_proj.weight": (WIDTH, WIDTH), h + "post_attention_layernorm.weight": (WIDTH,),
                   h + "mlp.gate_proj.weight": (FEED_FORWARD, WIDTH), h + "mlp.up_proj.weight": (FEED_FORWARD, WIDTH),
                   h + "mlp.down_proj.weight": (WIDTH, FEED_FORWARD)}
    header, at = {}, 0
    for name, shape in shapes.items():
        bytes_ = 2 * int(np.prod(shape))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + bytes_]}
        at += bytes_
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    normal = np.random.default_rng(1).standard_normal(1 << 24, dtype=np.float32) * np.float32(0.02)
    normal = normal.astype(np.float16)
    with open(folder / "model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for number, shape in enumerate(shapes.values()):
            left = int(np.prod(shape))
            offset = 7919 * number % len(normal)
            while left:
                part = normal[offset:offset + left]
                out.write(part.tobytes())
                left -= len(part)
                offset = 0
    return at


def seconds(*command):
    start = time.perf_counter()
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def speed(a):
    folder, f16 = a.folder / "speed", a.folder / "speed-f16.gguf"
    size = write_folder(folder, a.layers)
    os.sync()  # or the first conversions wait until the folder is on the disk
    conversions = [seconds(a.nibble, "quantize", folder, "-o", f16, "--scheme", "F16", "--force", "--threads", 2) for _ in range(a.rounds)]
    print(f"model: {a.layers} layers, {size / 2e9:.2f} billion weights, {size / 1e9:.2f} GB in f16; medians of {a.rounds} rounds, 2 threads")
    print(f"convert f16 folder to f16 GGUF: {size / 1e9 / statistics.median(conversions):.2f} GB of input a second")
    f16.read_bytes()  # the page cache is warm
    print(f"{'scheme':8} {'nibble s':>9} {'llama s':>9} {'ratio':>7}   spread of the ratio")
    for scheme in a.schemes.split(","):
        ours, theirs = [], []
        for _ in range(a.rounds):
            ours.append(seconds(a.nibble, "quantize", f16, "-o", a.folder / "a.gguf", "--scheme", scheme, "--force", "--threads", 2))
            theirs.append(seconds(pathlib.Path(a.llama) / "llama-quantize", f16, a.folder / "b.gguf", scheme, 2))
        ratios = sorted(t / o for o, t in zip(ours, theirs))
        print(f"{scheme:8} {statistics.median(ours):9.2f} {statistics.median(theirs):9.2f} {statistics.median(ratios):7.2f}   "
              f"{ratios[0]:.2f} to {ratios[-1]:.2f}", flush=True)


def memory(a):
    folder = a.folder / "memory"
    layers = max(1, round((a.memory * 1e9 / 2 - VOCABULARY * WIDTH) / 60.8e6))
    size = write_folder(folder, layers)
    largest = 4 * VOCABULARY * WIDTH
    seconds(a.nibble, "quantize", folder, "-o", a.folder / "m.gguf", "--scheme", "Q4_0", "--force")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"model of {size / 1e9:.2f} GB ({layers} layers): peak memory of quantizing to Q4_0 {peak / 1e6:.0f} MB; "
          f"the largest tensor is {largest / 1e6:.0f} MB in float, the bound {largest / 1e6 + 500:.0f} MB")
    assert peak <= largest + 500e6


def main():
    p = argparse.ArgumentParser()
    p.add_argument("nibble")
    p.add_argument("llama")
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--layers", type=int, default=16)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--schemes", default="Q4_0,Q4_K_M,IQ4_NL,IQ4_XS")
    p.add_argument("--memory", type=float)
    a = p.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    memory(a) if a.memory else speed(a)


if __name__ == "__main__":
    main()
