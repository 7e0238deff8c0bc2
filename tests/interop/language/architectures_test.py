#!/usr/bin/env python3
"""Every architecture that nibble names: a tiny model with random weights gives the same logits in nibble from its Hugging
Face folder, in nibble from the GGUF file that nibble writes, in llama.cpp from that file, and in transformers, whose logits
are kept beside this file. Usage: architectures_test.py NIBBLE LOGITS LLAMA_CPP SCRATCH"""
import pathlib
import subprocess
import sys

import numpy as np

import language_models as models

NIBBLE, LOGITS, LLAMA, SCRATCH = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
LIMIT = 1e-4


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def logits(out):
    return np.fromfile(out, np.float32).reshape(models.TOKENS, models.VOCABULARY)


def difference(values, expected):
    assert values.shape == expected.shape
    assert np.isfinite(values).all()
    return float(np.abs(values - expected).max() / np.abs(expected).max())


def main():
    SCRATCH.mkdir(parents=True, exist_ok=True)
    assert difference(np.ones((2, 2)) * 1.001, np.ones((2, 2))) > LIMIT  # a comparison that cannot fail is none
    worst, failed = 0.0, []
    for name, config in models.MODELS.items():
        folder, gguf, out, tokens_file = SCRATCH / name, SCRATCH / f"{name}.gguf", SCRATCH / "out", SCRATCH / "tokens"
        models.write_folder(name, folder)
        tokens = models.tokens(name)
        np.array(tokens, np.int32).tofile(tokens_file)
        rows = models.kept_rows(tokens)
        expected = np.load(pathlib.Path(__file__).parent / "logits" / f"{name}.npy")
        run(NIBBLE, "quantize", folder, "-o", gguf, "--scheme", "F32", "--force")
        found = {}
        run(LOGITS, folder, tokens_file, out, "f32")
        found["nibble, folder"] = difference(logits(out)[rows], expected)
        run(LOGITS, gguf, tokens_file, out, "f32")
        ours = logits(out)
        found["nibble, GGUF"] = difference(ours[rows], expected)
        run(LLAMA / "llama_logits", gguf, tokens_file, out, models.TOKENS)
        theirs = logits(out)
        # llama.cpp has no window in its llama architecture: nibble says so when it writes, and tokens that see all agree.
        seen = [i for i, row in enumerate(rows) if row < (config.get("sliding_window") or models.TOKENS)]
        found["llama.cpp, GGUF"] = difference(theirs[rows][seen], expected[seen])
        worst = max(worst, *found.values())
        print(f"{name:14}", ", ".join(f"{k} {v:.1e}" for k, v in found.items()))
        failed += [f"{name}: {k} {v:.2e}" for k, v in found.items() if not v <= LIMIT]
        # The same weights rounded to 4 bits load there too.
        run(NIBBLE, "quantize", folder, "-o", gguf, "--scheme", "Q4_K_M", "--force", "--allow-fallback")
        run(LLAMA / "llama_logits", gguf, tokens_file, out, models.TOKENS)
        assert np.isfinite(logits(out)).all()
    print(f"largest difference {worst:.1e} of the largest logit")
    assert not failed, failed
    print(f"{len(models.MODELS)} passed, 0 failed")


if __name__ == "__main__":
    main()
