#!/usr/bin/env python3
"""The commands on language models as a user meets them: outputs, refusals with their exit status, and nothing left behind.
Usage: commands_test.py NIBBLE SCRATCH"""
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys

import language_models as models

NIBBLE, SCRATCH = sys.argv[1], pathlib.Path(sys.argv[2])
WORDS = "the other hound ran into a house near the shore and then it sat down there and ate the last of their corn "
failures, checks = [], 0


def run(*command, status=0):
    global checks
    checks += 1
    done = subprocess.run([NIBBLE, *[str(c) for c in command]], capture_output=True, text=True, timeout=300)
    if done.returncode != status:
        failures.append(f"{command}: status {done.returncode}, {status} was expected\n{done.stdout}{done.stderr}")
    if status and (done.stderr.count("nibble: error: ") != 1 or "internal" in done.stderr):
        failures.append(f"{command}: one error line was expected\n{done.stderr}")
    return done.stdout, done.stderr


def check(condition, text):
    global checks
    checks += 1
    if not condition:
        failures.append(text)


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def refused(says, *command, status):
    before = sorted(p.name for p in SCRATCH.iterdir())
    _, error = run(*command, status=status)
    check(says in error, f"{command}: {says!r} is not in {error!r}")
    check(sorted(p.name for p in SCRATCH.iterdir()) == before, f"{command}: left something behind")


def main():
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    folder, text, out = SCRATCH / "smollm2", SCRATCH / "text.txt", SCRATCH / "out.gguf"
    models.write_folder("smollm2", folder)
    text.write_text(WORDS * 60)

    said, _ = run("inspect", folder)
    check("smollm2" in said and "at 4 bits" in said and "next" in said, said)
    said, _ = run("quantize", folder, "--scheme", "Q4_K_M", "--dry-run")
    check("blk.0.ffn_down.weight" in said and "Q6_K" in said and not out.exists(), said)

    # The same bytes for any number of threads, and with a calibration for its saved matrix.
    made = {}
    for threads in (1, 2, 3):
        run("quantize", folder, "-o", out, "--scheme", "Q4_K_M", "--threads", threads, "--force")
        made[threads] = digest(out)
    check(len(set(made.values())) == 1, "the file depends on the number of threads")
    run("quantize", folder, "-o", out, "--calib", text, "--save-imatrix", SCRATCH / "i.gguf", "--scheme", "Q4_0", "--force", "--modelfile",
        SCRATCH / "Modelfile", "--json", SCRATCH / "q.json", "--html", SCRATCH / "q.html")
    first = {t["tensor"]: t["sqnr_db"] for t in json.loads((SCRATCH / "q.json").read_text())["tensors"]}
    check("<html" in (SCRATCH / "q.html").read_text() and len(first) == 20, "the reports of quantize")
    modelfile = (SCRATCH / "Modelfile").read_text()
    check(modelfile.startswith(f"FROM {out.resolve()}\n") and '"</s>"' in modelfile, modelfile)
    run("quantize", folder, "-o", SCRATCH / "again.gguf", "--imatrix", SCRATCH / "i.gguf", "--scheme", "Q4_0", "--force", "--json", SCRATCH / "q.json")
    check(first == {t["tensor"]: t["sqnr_db"] for t in json.loads((SCRATCH / "q.json").read_text())["tensors"]},
          "a saved importance matrix gives other weights than the run that saved it")

    # Types by name.
    run("quantize", folder, "-o", out, "--scheme", "Q4_0", "--tensor-type", "ffn_(up|gate)=Q8_0", "--tensor-type", "ffn=IQ4_NL",
        "--token-embedding-type", "F16", "--force", "--json", SCRATCH / "q.json")
    types = {t["tensor"]: t["to"] for t in json.loads((SCRATCH / "q.json").read_text())["plan"]["tensors"]}
    check(types["blk.1.ffn_up.weight"] == "Q8_0" and types["blk.1.ffn_down.weight"] == "IQ4_NL" and types["token_embd.weight"] == "F16"
          and types["blk.1.attn_q.weight"] == "Q4_0" and types["output_norm.weight"] == "F32", f"types {types}")

    # The bill.
    said, _ = run("eval", out, "--baseline", folder, "--data", text, "--context", 64, "--json", SCRATCH / "e.json", "--html", SCRATCH / "e.html", "--force")
    check("perplexity (ctx 64)" in said and "same top token" in said and max(map(len, said.splitlines())) <= 100, said)
    report = json.loads((SCRATCH / "e.json").read_text())
    check(report["kl_divergence"]["mean"] > 0 and report["before"]["activations"] == "f32", "the JSON of eval")
    run("eval", folder, "--baseline", folder, "--data", text, "--context", 64, "--max-drop", 0.001)
    said, _ = run("eval", folder, "--data", text, "--context", 64, "--stride", 32)
    check("Hugging Face's convention" in " ".join(said.split()), said)

    # Text.
    a, _ = run("run", out, "--prompt", "the other", "--tokens", 12, "--temperature", 30, "--top-p", 1, "--min-p", 0, "--seed", 3)
    b, _ = run("run", out, "--prompt", "the other", "--tokens", 12, "--temperature", 30, "--top-p", 1, "--min-p", 0, "--seed", 3)
    c, _ = run("run", out, "--prompt", "the other", "--tokens", 12, "--temperature", 30, "--top-p", 1, "--min-p", 0, "--seed", 4)
    check(a == b and a != c and a.startswith("the other"), f"seeds: {a!r} {b!r} {c!r}")
    single, _ = run("run", folder, "--prompt", "near the", "--tokens", 8, "--temperature", 0, "--act", "f32")
    both, _ = run("run", folder, "--prompt", "near the", "--prompt", "into a house", "--tokens", 8, "--temperature", 0, "--act", "f32")
    check("[1] " + single in both, f"a batch gives other text than one prompt: {single!r} {both!r}")

    # Refusals: one line, the right status, nothing left.
    refused("there is no scheme", "quantize", folder, "-o", SCRATCH / "n.gguf", "--scheme", "W4A8", status=2)
    refused("exists", "quantize", folder, "-o", out, "--scheme", "Q4_0", status=2)
    refused("already", "quantize", out, "-o", SCRATCH / "n.gguf", "--scheme", "Q8_0", status=2)
    refused("input", "quantize", out, "-o", out, "--scheme", "Q4_0", "--force", "--allow-requantize", status=2)
    refused("no tensor's name", "quantize", folder, "-o", SCRATCH / "n.gguf", "--scheme", "Q4_0", "--tensor-type", "moe=Q8_0", status=2)
    refused("regular expression", "quantize", folder, "-o", SCRATCH / "n.gguf", "--scheme", "Q4_0", "--tensor-type", "(=Q8_0", status=2)
    refused("no type", "quantize", folder, "-o", SCRATCH / "n.gguf", "--scheme", "Q4_0", "--output-tensor-type", "Q9", status=2)
    refused("no search", "quantize", folder, "-o", SCRATCH / "n.gguf", "--scheme", "Q4_0", "--search", "worst", status=2)
    refused("reference", "quantize", folder, "-o", SCRATCH / "n.gguf", "--scheme", "Q4_K_M", "--search", "reference", status=4)
    refused("context", "eval", folder, "--data", text, "--context", 100000, status=2)
    refused("one window takes", "eval", folder, "--data", folder / "tokenizer_config.json", "--context", 500, status=2)
    refused("--act", "run", folder, "--prompt", "a", "--act", "q2", status=2)
    refused("--temperature", "run", folder, "--prompt", "a", "--temperature", -1, status=2)
    refused("needs a --prompt", "run", folder, status=2)
    refused("--clip", "quantize", folder, "-o", SCRATCH / "n.gguf", "--scheme", "Q4_0", "--clip", "mse", status=2)
    refused("--no-latency", "eval", folder, "--data", text, "--no-latency", status=2)
    refused("--top:", "run", folder, "--prompt", "a", "--top", 3, status=2)
    refused("is a language model", "bench", folder, status=4)
    refused("is a language model", "check", out, status=4)
    damaged = SCRATCH / "damaged.gguf"
    damaged.write_bytes(out.read_bytes()[:-1000])
    refused("damaged.gguf", "inspect", damaged, status=3)
    broken = SCRATCH / "broken"
    models.write_folder("smollm2", broken)
    for key, value, says, status in [("num_hidden_layers", 3, "blk.2", 3), ("hidden_size", 128, "expected", 3), ("num_attention_heads", 7, "heads", 3),
                                     ("architectures", ["MambaForCausalLM"], "MambaForCausalLM", 4), ("hidden_act", "relu", "relu", 4)]:
        (broken / "config.json").write_text(json.dumps(models.MODELS["smollm2"] | {key: value}))
        refused(says, "inspect", broken, status=status)

    print("\n".join(failures))
    print(f"{checks - len(failures)} passed, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
