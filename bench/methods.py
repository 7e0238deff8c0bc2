#!/usr/bin/env python3
"""When do clip rules, bias correction and equalization help? Writes bench/methods.json and two tables of docs/accuracy.md.

    .venv/bin/python bench/methods.py NIBBLE DATA_FOLDER run|tables [NETWORK...]

KL divergence of the quantized network's outputs from the float one's on the first samples of each network's data, at W4A8 and W4A4,
everything else at its default, 128 calibration samples:
    preparations   neither, bias correction, equalization, both (clip mse)
    clip rules     every one for weights and activations alike, with bias correction; entropy for activations alone too
"""
import json
import pathlib
import sys
import tempfile

import results as bench  # the same command line, the same ways to quantize and to evaluate

SAMPLES = 500
FEWER = {"squeezenet1.1": 200, "tinydarknet": 200}  # 224 x 224
METHODS = bench.ROOT / "bench/methods.json"
PREPARATIONS = {"neither": ["--bias-correction", "off"], "bias correction": [], "equalization": ["--bias-correction", "off", "--prepare", "equalize"],
                "both": ["--prepare", "equalize"]}
CLIPS = {c: ["--clip", c] for c in ("minmax", "percentile", "mse", "octav", "aciq", "entropy")} | {"entropy, activations alone": ["--act-clip", "entropy"]}
SCHEMES = ["W4A8", "W4A4"]
found = json.loads(METHODS.read_text()) if METHODS.exists() else {}


def measure(network):
    entry = found.setdefault(network.name, {})
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        for scheme in SCHEMES:
            for name, flags in {**PREPARATIONS, **{f"clip {c}": f for c, f in CLIPS.items() if c != "mse"}}.items():
                if f"{scheme} {name}" in entry:  # from a run that was cut short; delete methods.json to measure anew
                    continue
                bench.quantize(network, scheme, work / "out.onnx", *flags)
                r = bench.evaluate(network, work / "out.onnx", work, "--samples", FEWER.get(network.name, SAMPLES))
                entry[f"{scheme} {name}"] = {k: r[k] for k in ("kl", "kl_interval", "same_answer", "samples")}
            entry[f"{scheme} clip mse"] = entry[f"{scheme} bias correction"]  # the defaults


def table(columns):
    lines = ["| network | scheme | " + " | ".join(c.removeprefix("clip ") for c in columns) + " |", "|---|---|" + "---|" * len(columns)]
    for name, entry in found.items():
        for scheme in SCHEMES:
            values = [entry[f"{scheme} {c}"]["kl"] for c in columns]
            cells = [f"**{v:.4f}**" if v == min(values) else f"{v:.4f}" for v in values]
            lines.append(f"| {name if scheme == SCHEMES[0] else ''} | {scheme} | " + " | ".join(cells) + " |")
    return lines


def summary(columns, base):
    """In how many networks each is better or worse than `base`, where the intervals of the two do not meet."""
    lines = []
    for scheme in SCHEMES:
        cells = []
        for c in columns:
            if c == base:
                continue
            pairs = [(e[f"{scheme} {c}"]["kl_interval"], e[f"{scheme} {base}"]["kl_interval"]) for e in found.values()]
            better, worse = sum(a[1] < b[0] for a, b in pairs), sum(a[0] > b[1] for a, b in pairs)
            cells.append(f"{c.removeprefix('clip ')} better on {better}, worse on {worse}")
        lines.append(f"{scheme}, against {base.removeprefix('clip ')}, of {len(found)} networks (counted where the 95 % intervals do not meet): " + "; ".join(cells) + ".")
        lines.append("")
    return lines[:-1]


def main():
    if bench.stage == "tables":
        clips = [f"clip {c}" for c in CLIPS]
        bench.fill("accuracy", {"preparations": table(list(PREPARATIONS)) + [""] + summary(list(PREPARATIONS), "neither"),
                                "clips": table(clips) + [""] + summary(clips, "clip mse")})
        return
    for network in bench.chosen:
        print(network.name, flush=True)
        measure(network)
        METHODS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
