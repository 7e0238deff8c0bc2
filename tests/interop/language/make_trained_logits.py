#!/usr/bin/env python3
"""Logits of trained models in transformers, kept in logits/ beside this file: of the float weights, and of 4-bit weights that
PyPI's gguf dequantizes. Usage: make_trained_logits.py NIBBLE DATA SCRATCH   (needs torch==2.15.0, transformers==5.23.0, gguf)

The 4-bit file is Q4_0 with --search reference, whose bytes are fixed by the format's plain encoder."""
import pathlib
import subprocess
import sys

import gguf
import numpy as np
import torch
import transformers

ROWS = list(range(7, 256, 16))


def hf_name(name):
    parts = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
             "ffn_down": "mlp.down_proj"}
    if name.startswith("blk."):
        _, layer, part, end = name.split(".")
        return f"model.layers.{layer}.{parts[part]}.{end}"
    return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}[name]


def state_of(path, config):
    """The tensors of a Llama GGUF file, dequantized, rows of queries and keys in transformers' order."""
    state = {}
    for t in gguf.GGUFReader(path).tensors:
        values = gguf.quants.dequantize(t.data, t.tensor_type).reshape([int(d) for d in reversed(t.shape)])
        for part, heads in [("attn_q", config.num_attention_heads), ("attn_k", config.num_key_value_heads)]:
            if part + "." in t.name:
                values = values.reshape(heads, -1, 2, values.shape[-1]).swapaxes(1, 2).reshape(values.shape)
        state[hf_name(t.name)] = torch.tensor(np.ascontiguousarray(values, np.float32))
    return state


def main():
    nibble, data, scratch = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    scratch.mkdir(parents=True, exist_ok=True)
    kept = pathlib.Path(__file__).parent / "logits"
    for name, scheme in [("tale-5M", None), ("tale-5M", "Q4_0"), ("stories260K", None)]:
        folder = data / "models" / name
        ids = subprocess.run([nibble, "tokenize", folder, "--file", data / "text" / "tinystories-eval.txt", "--ids"], check=True,
                             capture_output=True, text=True).stdout.split()
        tokens = [int(i) for i in ids[:256]]
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        if scheme:
            file = scratch / "model.gguf"
            subprocess.run([nibble, "quantize", folder, "-o", file, "--scheme", scheme, "--pure", "--search", "reference", "--force"], check=True)
            missing = model.load_state_dict(state_of(file, model.config), strict=False)
            assert not missing.missing_keys and not missing.unexpected_keys, missing
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0].numpy()[ROWS]
        np.savez(kept / f"trained-{name}{'-' + scheme if scheme else ''}.npz", tokens=np.array(tokens, np.int32), rows=np.array(ROWS),
                 logits=logits.astype(np.float32))
        print(name, scheme, logits.shape)


if __name__ == "__main__":
    main()
