#!/usr/bin/env python3
"""Tiny language models of every architecture that nibble knows, with random weights, and the logits that transformers
computes from them. Usage: make_models.py FOLDER

Needs torch==2.15.0 and transformers==5.23.0, which are too large for the test environment: the logits are kept beside this
file in logits/, and the test makes the same weights again with numpy (language_models.py). Run it when a model is added."""
import pathlib
import sys

import numpy as np
import torch
import transformers

import language_models


def main():
    folder = pathlib.Path(sys.argv[1])
    kept = pathlib.Path(__file__).parent / "logits"
    kept.mkdir(exist_ok=True)
    for name in language_models.MODELS:
        path = folder / name
        language_models.write_folder(name, path)
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            path, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
        assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"], (name, report)
        tokens = language_models.tokens(name)
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0].numpy()
        rows = language_models.kept_rows(tokens)
        np.save(kept / f"{name}.npy", logits[rows].astype(np.float32))
        print(f"{name}: {logits.shape}, {sum(p.numel() for p in model.parameters())} parameters, logits of {len(rows)} tokens "
              f"in [{logits.min():.3f}, {logits.max():.3f}]")


if __name__ == "__main__":
    main()
