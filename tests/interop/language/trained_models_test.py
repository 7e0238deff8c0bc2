#!/usr/bin/env python3
"""Trained language models beside the checkout: perplexities equal those that transformers and llama.cpp measured, files
that nibble writes diverge no more than llama-quantize's, and llama.cpp computes from them what nibble does.
Usage: trained_models_test.py NIBBLE LOGITS LLAMA_CPP DATA SCRATCH [SMOLLM2.gguf]"""
import json
import pathlib
import subprocess
import sys

import numpy as np

NIBBLE, LOGITS, LLAMA, DATA, SCRATCH = sys.argv[1], sys.argv[2], *map(pathlib.Path, sys.argv[3:6])
SMOLLM2 = pathlib.Path(sys.argv[6]) if len(sys.argv) > 6 else None
STORIES = DATA / "text" / "tinystories-eval.txt"
MODELS = DATA / "models"

# Measured by transformers (F32 compute); see the README beside the models.
PERPLEXITIES = [("tale-5M", STORIES, 256, 60, 27.2620), ("tale-5M-bf16.gguf", STORIES, 256, 60, 27.2620),
                ("tale-5M", DATA / "text" / "father-brown.txt", 256, 60, 132.69), ("stories260K", STORIES, 256, 60, 4.6926),
                ("stories260K-f32.gguf", STORIES, 512, 60, 4.6757),
                ("glassllm-en", DATA / "text" / "alice-excerpt-curly.txt", 128, 80, 52.65)]
# Mean KL divergence of llama-quantize's files (no importance matrix), measured by llama-perplexity.
DIVERGENCES = {"Q8_0": 0.000068, "Q4_0": 0.002583, "Q4_1": 0.002018, "Q4_K_S": 0.001824, "Q4_K_M": 0.001835, "IQ4_NL": 0.001986,
               "IQ4_XS": 0.002106}
GATED = ["Q4_0", "Q4_K_M", "IQ4_NL", "IQ4_XS"]
failures = []


def run(*command, status=0):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def evaluate(model, text, context, *more, chunks=60):
    report = SCRATCH / "report.json"
    run(NIBBLE, "eval", model, "--data", text, "--context", context, "--chunks", chunks, "--json", report, "--force", *more)
    return json.loads(report.read_text())


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text)
    if not condition:
        failures.append(text)


def perplexities():
    for name, text, context, chunks, expected in PERPLEXITIES:
        found = evaluate(MODELS / name, text, context, chunks=chunks)["perplexity"]
        check(abs(found / expected - 1) < 1e-3, f"{name} on {text.name}, context {context}: perplexity {found:.4f}, {expected} expected")


def divergences():
    for scheme, theirs in DIVERGENCES.items():
        file = SCRATCH / f"tale-{scheme}.gguf"
        run(NIBBLE, "quantize", MODELS / "tale-5M", "-o", file, "--scheme", scheme, "--force")
        # llama-perplexity ran with 8-bit activations on the quantized side: so do we, for a fair comparison, and without.
        kl = evaluate(file, STORIES, 256, "--baseline", MODELS / "tale-5M")["kl_divergence"]["mean"]
        check(kl <= theirs or scheme not in GATED, f"tale-5M {scheme}: mean KL divergence {kl:.6f}, llama-quantize's file {theirs:.6f}")


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True), dtype=np.float64)
    return e / e.sum(axis=1, keepdims=True)


def divergence(base, other):
    p, q = softmax(base), softmax(other)
    return float((p * (np.log(p) - np.log(q))).sum(axis=1).mean()), float((base.argmax(axis=1) == other.argmax(axis=1)).mean())


def against_llama(model, vocabulary, tokens, window, scheme, limit=2e-4, same=0.995):
    tokens_file, ours_file, theirs_file = SCRATCH / "tokens", SCRATCH / "ours", SCRATCH / "theirs"
    np.array(tokens, np.int32).tofile(tokens_file)
    run(LOGITS, model, tokens_file, ours_file, "q8", window)
    run(LLAMA / "llama_logits", model, tokens_file, theirs_file, window)
    ours, theirs = (np.fromfile(f, np.float32).reshape(-1, vocabulary) for f in (ours_file, theirs_file))
    kl, top = divergence(theirs, ours)
    check(kl < limit and top >= same, f"{scheme}, 8-bit activations: KL to llama.cpp {kl:.2e}, same top token {100 * top:.2f} % of {len(ours)}")


def tokens_of(model, text, count):
    ids = run(NIBBLE, "tokenize", model, "--file", text, "--ids").split()
    return [int(i) for i in ids[:count]]


def llama_runs():
    tokens = tokens_of(MODELS / "tale-5M", STORIES, 16384)
    for scheme in ["F16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4"]:
        file = SCRATCH / f"tale-{scheme}.gguf"
        run(NIBBLE, "quantize", MODELS / "tale-5M", "-o", file, "--scheme", scheme, "--force")
        against_llama(file, 4096, tokens, 256, f"tale-5M {scheme}")


def transformers_logits():
    """Float activations on weights as they are, or dequantized by PyPI's gguf: what make_trained_logits.py kept."""
    for name, model, scheme in [("trained-tale-5M", MODELS / "tale-5M", None), ("trained-tale-5M-Q4_0", MODELS / "tale-5M", "Q4_0"),
                                ("trained-stories260K", MODELS / "stories260K", None)]:
        kept = np.load(pathlib.Path(__file__).parent / "logits" / f"{name}.npz")
        if scheme:
            run(NIBBLE, "quantize", model, "-o", SCRATCH / "kept.gguf", "--scheme", scheme, "--pure", "--search", "reference", "--force")
            model = SCRATCH / "kept.gguf"
        kept["tokens"].astype(np.int32).tofile(SCRATCH / "tokens")
        run(LOGITS, model, SCRATCH / "tokens", SCRATCH / "ours", "f32")
        ours = np.fromfile(SCRATCH / "ours", np.float32).reshape(len(kept["tokens"]), -1)[kept["rows"]]
        kl, _ = divergence(kept["logits"], ours)
        largest = np.abs(ours - kept["logits"]).max() / np.abs(kept["logits"]).max()
        check(kl < 1e-6 and largest < 1e-4, f"{name}: KL to transformers {kl:.1e}, largest difference {largest:.1e}")


def fallbacks():
    refused = run(NIBBLE, "quantize", MODELS / "stories260K", "-o", SCRATCH / "s.gguf", "--scheme", "Q4_0", "--force", status=4)
    check("ffn_down" in refused and "--allow-fallback" in refused, "stories260K Q4_0 is refused: " + refused.strip()[:160])
    run(NIBBLE, "quantize", MODELS / "stories260K", "-o", SCRATCH / "s.gguf", "--scheme", "Q4_0", "--force", "--allow-fallback")
    report = evaluate(SCRATCH / "s.gguf", STORIES, 256, "--baseline", MODELS / "stories260K")
    kl = report["kl_divergence"]["mean"]
    check(kl <= 0.0881, f"stories260K Q4_0 with fallbacks: mean KL divergence {kl:.4f}, llama-quantize's file 0.0881 ({report['after']['types']})")


def reference_bytes():
    for scheme in ["Q4_0", "Q4_1"]:
        ours, theirs = SCRATCH / "ours.gguf", SCRATCH / "theirs.gguf"
        run(NIBBLE, "quantize", MODELS / "tale-5M-bf16.gguf", "-o", ours, "--scheme", scheme, "--pure", "--search", "reference", "--force")
        run(LLAMA / "llama-quantize", "--pure", MODELS / "tale-5M-bf16.gguf", theirs, scheme)
        check(tensor_bytes(ours) == tensor_bytes(theirs), f"tale-5M {scheme} --search reference: the tensors are llama-quantize's, byte for byte")


def mixes():
    """Every tensor gets the type that llama-quantize gives it, in a model deep enough for the rules by block."""
    import gguf
    import language_models
    language_models.MODELS["deep"] = language_models.MODELS["smollm2"] | {"num_hidden_layers": 16, "tie_word_embeddings": False}
    folder, f16, ours, theirs = SCRATCH / "deep", SCRATCH / "deep.gguf", SCRATCH / "ours.gguf", SCRATCH / "theirs.gguf"
    language_models.write_folder("deep", folder)
    run(NIBBLE, "quantize", folder, "-o", f16, "--scheme", "F16", "--force")
    for source in (f16, MODELS / "tale-5M-bf16.gguf"):
        for scheme in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0", "IQ4_NL", "IQ4_XS"]:
            run(NIBBLE, "quantize", source, "-o", ours, "--scheme", scheme, "--force")
            run(LLAMA / "llama-quantize", source, theirs, scheme)
            a, b = ({t.name: t.tensor_type.name for t in gguf.GGUFReader(f).tensors} for f in (ours, theirs))
            different = [f"{n}: {a.get(n)}, {b.get(n)}" for n in sorted(a.keys() | b.keys()) if a.get(n) != b.get(n)]
            check(not different, f"{source.stem} {scheme}: the types of all {len(b)} tensors are llama-quantize's {different[:3]}")


def importance():
    """Matrices collected by both programs are the same, and each reads the other's."""
    import gguf
    model, text, mine, theirs = MODELS / "tale-5M-bf16.gguf", DATA / "text" / "tinystories-calib.txt", SCRATCH / "mine.gguf", SCRATCH / "theirs.gguf"
    run(LLAMA / "llama-imatrix", "-m", model, "-f", text, "-o", theirs, "-c", 512, "-b", 512, "--chunks", 4, "--process-output", "-t", 2)
    run(NIBBLE, "quantize", model, "-o", SCRATCH / "i.gguf", "--scheme", "Q4_K_M", "--calib", text, "--calib-chunks", 4, "--save-imatrix", mine,
        "--force")
    sums = [{t.name: t.data.astype(np.float64).ravel() for t in gguf.GGUFReader(f).tensors if t.name.endswith((".in_sum2", ".counts"))} for f in (mine, theirs)]
    check(sums[0].keys() == sums[1].keys(), f"importance matrices name the same {len(sums[1])} tensors")
    worst = max(float(np.abs(sums[0][n] - sums[1][n]).max() / np.abs(sums[1][n]).max()) for n in sums[1] if n in sums[0])
    check(worst < 0.02, f"their sums differ by {worst:.1e} of a weight's largest at most (llama.cpp rounds activations to bf16)")
    run(NIBBLE, "quantize", model, "-o", SCRATCH / "j.gguf", "--scheme", "Q4_K_M", "--imatrix", theirs, "--force")
    run(LLAMA / "llama-quantize", "--imatrix", mine, model, SCRATCH / "k.gguf", "Q4_K_M")
    kl = {f: evaluate(SCRATCH / f"{f}.gguf", STORIES, 256, "--baseline", MODELS / "tale-5M")["kl_divergence"]["mean"] for f in "ijk"}
    check(kl["i"] <= kl["k"] and kl["j"] <= kl["k"],
          f"Q4_K_M with an importance matrix: KL {kl['i']:.6f} with ours, {kl['j']:.6f} with llama.cpp's, llama-quantize {kl['k']:.6f}")


def tensor_bytes(path):
    import gguf
    return {t.name: (t.tensor_type, t.data.tobytes()) for t in gguf.GGUFReader(path).tensors}


def smollm2():
    wiki = DATA / "text" / "wiki.test.raw"
    report = SCRATCH / "report.json"
    run(NIBBLE, "eval", SMOLLM2, "--data", wiki, "--chunks", 1, "--json", report, "--force")
    found = json.loads(report.read_text())["perplexity"]
    check(abs(found / 12.9543 - 1) < 1e-3, f"SmolLM2-135M Q4_1 on wiki.test, first window: perplexity {found:.4f}, transformers 12.9543")
    run(NIBBLE, "eval", SMOLLM2, "--data", wiki, "--chunks", 1, "--act", "q8", "--json", report, "--force")
    found = json.loads(report.read_text())["perplexity"]
    print(f"        SmolLM2-135M, 8-bit activations: {found:.4f}, llama.cpp 13.0665")
    # Thirty blocks amplify every rounding: llama.cpp is as far from itself when its cache is in f16 (its default) as it is from us.
    np.array(tokens_of(SMOLLM2, wiki, 256), np.int32).tofile(SCRATCH / "tokens")
    run(LOGITS, SMOLLM2, SCRATCH / "tokens", SCRATCH / "ours", "q8", 128)
    run(LLAMA / "llama_logits", SMOLLM2, SCRATCH / "tokens", SCRATCH / "theirs", 128)
    run(LLAMA / "llama_logits", SMOLLM2, SCRATCH / "tokens", SCRATCH / "f16", 128, "f16")
    ours, theirs, half = (np.fromfile(SCRATCH / f, np.float32).reshape(-1, 49152) for f in ("ours", "theirs", "f16"))
    (kl, top), (noise, noise_top) = divergence(theirs, ours), divergence(theirs, half)
    check(kl < 1.5 * noise and top > noise_top - 0.02,
          f"SmolLM2-135M Q4_1, 8-bit activations: KL to llama.cpp {kl:.1e} ({100 * top:.1f} %), llama.cpp to itself {noise:.1e} ({100 * noise_top:.1f} %)")
    said = run(NIBBLE, "quantize", SMOLLM2, "-o", SCRATCH / "r.gguf", "--scheme", "Q4_0", "--force", status=2)
    check("--allow-requantize" in said, "quantizing a quantized file is refused")


def main():
    SCRATCH.mkdir(parents=True, exist_ok=True)
    perplexities()
    divergences()
    transformers_logits()
    llama_runs()
    fallbacks()
    reference_bytes()
    mixes()
    importance()
    if SMOLLM2:
        smollm2()
    assert not failures, failures


if __name__ == "__main__":
    main()
