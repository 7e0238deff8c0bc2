#!/usr/bin/env python3
"""What training wins back. Writes bench/training.json and tables of docs/accuracy.md.

    .venv/bin/python bench/training.py NIBBLE DATA_FOLDER run|ablate|tables [--only ROW...] [--seeds 0 1 2] [--epochs N] [--threads 2]

Every row has four columns, each over the seeds:
    float      the network as it came (its float twin's training is the next column where a row trains from scratch)
    further    the float network trained further in exactly the same way: `nibble train --float` with the same flags
    rounding   the best that nibble does without training: clip rules (entropy for activations alone), with and without equalization;
               chosen on the part that training validates on, never on test data
    trained    `nibble train`
Training, validation and calibration see `data` alone; `test` is looked at once a run, at its end, compared sample by sample with the
float network. A finished run is stored at once and not repeated unless its flags have changed.
"""
import argparse
import itertools
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/networks"))
import networks  # noqa: E402

RESULTS = ROOT / "bench/training.json"
VALIDATION = {"cifar": 1500, "kws": 70, "digits": 400}  # samples kept for validation: the front of the seed's order
CIFAR = {"set": "cifar", "data": "cifar10/train_jpeg_30000.zip", "test": "cifar10/test_jpeg_9700.zip", "samples": 30000}
RESNET20 = CIFAR | {"network": "cifar_resnet20_jpeg", "preprocess": networks.CIFAR}
RESNET8 = CIFAR | {"network": "mlperf_tiny_resnet8_cifar10_jpeg", "preprocess": networks.RESNET8}
IMAGES = ["--augment", "crop=4,flip"]
# A row that names another as `further` shares that row's training of floats: same network, epochs and flags.
# The recipes: tuned on validation alone. `epochs` and flags of `nibble train`; everything else is at its default.
ROWS = {
    "resnet20-w4a4": RESNET20 | {"scheme": "W4A4", "epochs": 8, "flags": IMAGES},
    "resnet20-w4a8": RESNET20 | {"scheme": "W4A8", "epochs": 8, "flags": IMAGES, "further": "resnet20-w4a4"},
    "resnet8-w4a4": RESNET8 | {"scheme": "W4A4", "epochs": 14, "flags": IMAGES},
    "resnet8-w4a8": RESNET8 | {"scheme": "W4A8", "epochs": 14, "flags": IMAGES, "further": "resnet8-w4a4"},
    # A fixed shuffle: 700 vectors to train on without labels, the other 300 to measure.
    "kws-w4a4": {"set": "kws", "network": "mlperf_tiny_dscnn_kws", "data": "kws/kws_mfcc_1000.npy", "test": "kws/kws_mfcc_1000.npy", "samples": 700, "shuffle": 1,
                 "labels": "none", "scheme": "W4A4", "epochs": 200, "flags": ["--distill", "1", "--batch", "32", "--clip", "aciq"]},
    # A fixed shuffle: 8,000 of MNIST's t10k to train and validate, the other 2,000 to test.
    "digits-w4a4": {"set": "digits", "made_by": "bench/make_digits.py", "network": "digits", "data": "mnist/t10k-images-idx3-ubyte.gz", "test": "mnist/t10k-images-idx3-ubyte.gz", "samples": 8000,
                    "shuffle": 1, "labels": "mnist/t10k-labels-idx1-ubyte.gz", "preprocess": "order=grey,scale=1/255,layout=nchw", "scheme": "W4A4", "epochs": 40,
                    "flags": ["--from-scratch", "--batch-norm", "follow", "--learning-rate", "0.03", "--batch", "64", "--weight-decay", "0.1", "--augment", "crop=2"]},
}
# One option changed at a time. A shorter training than the table's, scored on validation: 3,000 samples that it does not train on.
ABLATION = RESNET8 | {"scheme": "W4A4", "epochs": 4, "flags": IMAGES, "samples": 15000}
VARIANTS = [
    "defaults", "--quantizer lsq+", "--quantizer pact", "--quantizer ste", "--distill 0", "--distill 1", "--temperature 1",
    "--temperature 4", "--distill-features 1", "--label-smoothing 0.1", "--weight-decay 0.05", "--damping 1", "--freeze 0.01",
    "--kurtosis 0.1", "--gradual activations", "--gradual bits", "--average 0.99", "--clip-gradient 1", "--warm-up 0", "--schedule constant",
    "--optimizer sgd --learning-rate 0.005", "--batch 64", "--augment none", "--augment crop=4,flip,colour=0.2",
]
# Batch normalisation, in the network that has it.
NORM_ABLATION = RESNET20 | {"scheme": "W4A4", "epochs": 2, "flags": IMAGES, "samples": 12000}
NORM_VARIANTS = ["defaults", "--batch-norm freeze", "--batch-norm follow", "--batch-norm follow --reestimate 20"]
CLIPS = {c: ["--clip", c] for c in ("mse", "percentile", "minmax", "octav", "aciq")} | {"mse, of activations entropy": ["--clip", "mse", "--act-clip", "entropy"]}
PREPARATIONS = {"": [], ", equalized": ["--prepare", "equalize"]}
CALIBRATION = ["--calib-samples", "1024"]
STUDENT_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}  # 97.5 % quantiles by degrees of freedom


class Row:
    def __init__(self, name, options, results):
        self.name, self.o, self.r = name, options, ROWS[name]
        self.found = results.setdefault(name, {})
        self.save = lambda: RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        self.epochs = options.epochs or self.r["epochs"]
        self.scratch = "--from-scratch" in self.r["flags"]

    def nibble(self, *arguments, threads=True):
        command = [self.o.nibble, *map(str, arguments), "--force", *(["--threads", str(self.o.threads)] if threads else [])]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")

    def network(self, work):
        if "made_by" not in self.r:
            return self.o.folder / "models" / f"{self.r['network']}.onnx"
        path = work / f"{self.r['network']}.onnx"
        subprocess.run([sys.executable, ROOT / self.r["made_by"], path], check=True, stdout=subprocess.DEVNULL)
        return path

    def describe(self):
        """Flags that say how the data become inputs."""
        labels = self.r.get("labels")
        flags = ["--preprocess", self.r["preprocess"]] if "preprocess" in self.r else []
        return flags + (["--labels", labels if labels == "none" else self.o.folder / labels] if labels else [])

    def order(self, seed):
        return self.r.get("shuffle", seed)

    def evaluate(self, file, baseline, work, part, seed):
        """On the part that training with this seed validates on, or on the test data."""
        which = {"validation": ["--shuffle", self.order(seed), "--samples", VALIDATION[self.r["set"]]], "test": []}[part]
        if part == "test" and self.r["test"] == self.r["data"]:
            which = ["--shuffle", self.order(seed), "--skip", self.r["samples"]]
        data = self.o.folder / self.r["test" if part == "test" else "data"]
        self.nibble("eval", file, "--baseline", baseline, "--data", data, "--no-latency", "--json", work / "r.json", *self.describe(), *which)
        r = json.loads((work / "r.json").read_text())
        out = {"samples": r["samples"], "same_answer": r["same_answer"] / r["samples"], "kl": r["kl_divergence"]["mean"]}
        if "accuracy" in r:
            change = r["accuracy"]["change"]
            out |= {"top1": r["accuracy"]["after"]["top1_share"], "float_top1": r["accuracy"]["before"]["top1_share"], "change": change["difference"], "interval": change["interval"]}
        return out

    def train(self, network, out, work, seed, *more):
        held = VALIDATION[self.r["set"]]
        begin = time.time()
        self.nibble("train", network, "-o", out, "--data", self.o.folder / self.r["data"], "--shuffle", self.order(seed), "--samples", self.r["samples"], "--val", held,
                    "--scheme", self.r["scheme"], "--seed", seed, "--epochs", self.epochs, "--log", work / "log", "--json", work / "t.json", *self.describe(), *self.r["flags"], *more)
        epochs = [json.loads(line) for line in (work / "log").read_text().splitlines()]
        # `after` is of what was written: it knows of batch normalisation's statistics that were taken anew at the end.
        after = json.loads((work / "t.json").read_text())["training"]["score"]["after"]
        return {"seconds": round(time.time() - begin, 1), "validation": [e.get("score") for e in epochs], "after": after}

    def run(self, kind, seed):
        """One run; kept where it is already there under the same flags."""
        if kind == "further" and "further" in self.r:
            return  # the same training of floats as in that row
        flags = " ".join([self.r["scheme"], *(CALIBRATION if kind == "rounding" else ["epochs", str(self.epochs), *self.r["flags"]])])
        key = f"{kind} {seed}"
        if self.found.get(key, {}).get("flags") == flags:
            return
        print(self.name, key, flags, flush=True)
        with tempfile.TemporaryDirectory() as temporary:
            work = pathlib.Path(temporary)
            network = self.network(work)
            twin = network
            entry = {"flags": flags}
            if self.scratch:  # the float network is what the same training makes of floats
                twin = pathlib.Path(self.o.keep) / f"{self.name}-float-{seed}.onnx"
                if kind != "further" and not twin.exists():
                    sys.exit(f"{twin} is missing: delete \"further {seed}\" of {self.name} in {RESULTS.name}, or give the folder as --keep")
            out = work / "out.onnx"
            if kind == "rounding":
                entry |= self.best_rounding(twin, out, work, seed)
            elif kind == "further":
                out = twin if self.scratch else out
                entry |= self.train(network, out, work, seed, "--float")
            else:
                entry |= self.train(network, out, work, seed)
            self.found[key] = entry | {"test": self.evaluate(out, twin, work, "test", seed)}
            self.save()

    def best_rounding(self, network, out, work, seed):
        held = VALIDATION[self.r["set"]]
        tried, best = {}, None
        for name, flags in PREPARATIONS.items():
            for clip, rule in CLIPS.items():
                file = work / "candidate.onnx"
                self.nibble("quantize", network, "-o", file, "--scheme", self.r["scheme"], *rule, *flags, *CALIBRATION, "--calib", self.o.folder / self.r["data"],
                            "--shuffle", self.order(seed), "--skip", held, "--samples", self.r["samples"] - held, *self.describe())
                score = self.evaluate(file, network, work, "validation", seed)
                tried[clip + name] = {k: score[k] for k in ("top1", "same_answer", "kl") if k in score}
                rank = (score.get("top1", score["same_answer"]), -score["kl"])
                if best is None or rank > best[0]:
                    best = rank, clip + name
                    out.write_bytes(file.read_bytes())
        return {"chosen": best[1], "validation_of": tried}


def ablate(options, results):
    """Every variant with every seed, compared with the defaults of the same seed: the same samples validate both."""
    ROWS["ablation"], ROWS["ablation-norm"] = ABLATION, NORM_ABLATION
    VALIDATION["cifar"] = 3000
    for seed, (name, variants) in itertools.product(options.seeds, (("ablation", VARIANTS), ("ablation-norm", NORM_VARIANTS))):
        row = Row(name, options, results)
        for variant in variants:
            key = f"{variant} {seed}"
            if key in row.found:
                continue
            more = [] if variant == "defaults" else variant.split()
            if "--augment" in more:
                row.r = row.r | {"flags": []}
            with tempfile.TemporaryDirectory() as work:
                work = pathlib.Path(work)
                entry = row.train(row.network(work), work / "out.onnx", work, seed, *more)
            row.r = ROWS[name]
            row.found[key] = entry
            row.save()
            print(name, key, f"{100 * max(v for v in entry['validation'] if v is not None):.2f}", entry["seconds"], flush=True)


def ablation_table(results):
    rows = []
    for name, variants, title in (("ablation", VARIANTS, "ResNet-8"), ("ablation-norm", NORM_VARIANTS, "ResNet-20")):
        found = results.get(name, {})
        best = {k: 100 * e.get("after", max(v for v in e["validation"] if v is not None)) for k, e in found.items()}
        if "defaults 0" not in best:
            continue
        rows += [f"| {title} | validation top-1 % | against the defaults, points | time |", "|---|---|---|---|"]
        for variant in variants:
            seeds = [k.split()[-1] for k in best if k.rsplit(" ", 1)[0] == variant]
            mean, _ = mean_with_interval([best[f"{variant} {s}"] for s in seeds])
            difference, half = mean_with_interval([best[f"{variant} {s}"] - best[f"defaults {s}"] for s in seeds])
            against = "" if variant == "defaults" else f"{difference:+.2f}" + (f" ± {half:.2f}" if half is not None else "")
            time_ratio = found[f"{variant} 0"]["seconds"] / found["defaults 0"]["seconds"]
            rows.append(f"| {'defaults' if variant == 'defaults' else f'`{variant}`'} | {mean:.2f} | {against} | {time_ratio:.1f} |")
        rows.append("")
    return rows[:-1]


def mean_with_interval(values):
    """Mean and the half width of its 95 % interval over seeds (Student's t)."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, None
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return mean, STUDENT_T[min(len(values) - 1, 4)] * deviation / math.sqrt(len(values))


def cell(runs, key):
    """`key` in percent: the mean over seeds, and each seed's change with its paired interval."""
    if not runs:
        return "-"
    mean, half = mean_with_interval([100 * r["test"][key] for r in runs])
    text = f"{mean:.2f}" + (f" ± {half:.2f}" if half is not None else "")
    if key == "top1":
        text += "; " + ", ".join(f"{100 * r['test']['change']:+.2f} [{100 * r['test']['interval'][0]:+.2f}, {100 * r['test']['interval'][1]:+.2f}]" for r in runs)
    return text


def tables(results):
    accuracy = ["| row | float top-1 % | trained further, float | best rounding without training | after training | minutes |", "|---|---|---|---|---|---|"]
    agreement = ["| row | agreement with float %: best rounding | float trained further | after training | share won back |", "|---|---|---|---|---|"]
    for name in ROWS:
        found = dict(results.get(name, {}))
        found |= {k: v for k, v in results.get(ROWS[name].get("further"), {}).items() if k.startswith("further")}
        by = {k: [v for key, v in sorted(found.items()) if key.startswith(k)] for k in ("further", "rounding", "trained")}
        if not by["trained"]:
            continue
        chosen = "; ".join(dict.fromkeys(r["chosen"] for r in by["rounding"]))
        chosen = f" (clip {chosen})" if chosen else ""
        if "top1" in by["trained"][0]["test"]:
            scratch = "--from-scratch" in ROWS[name]["flags"]
            start = "from scratch" if scratch else f"{100 * by['trained'][0]['test']['float_top1']:.2f}"
            minutes = sum(r["seconds"] for r in by["trained"]) / len(by["trained"]) / 60
            accuracy.append(f"| {name} | {start} | {cell(by['further'], 'top1')} | {cell(by['rounding'], 'top1')}{chosen} | {cell(by['trained'], 'top1')} | {minutes:.1f} |")
        else:
            before, after = (mean_with_interval([r["test"]["same_answer"] for r in by[k]])[0] if by[k] else math.nan for k in ("rounding", "trained"))
            agreement.append(f"| {name} | {cell(by['rounding'], 'same_answer')}{chosen} | {cell(by['further'], 'same_answer')} | {cell(by['trained'], 'same_answer')} | "
                             f"{100 * (after - before) / (1 - before):.0f} % |")
    return {"training": accuracy, "training without labels": agreement, "ablation": ablation_table(results)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nibble")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("stage", choices=["run", "ablate", "tables"])
    parser.add_argument("--only", nargs="*", choices=list(ROWS), help="rows (default: all)")
    parser.add_argument("--kinds", nargs="*", choices=["further", "rounding", "trained"], default=["further", "rounding", "trained"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="instead of each row's own")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", default=str(ROOT / "build"), help="folder for float twins that are trained from scratch")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if options.stage == "run":
        for seed in options.seeds:
            for name in options.only or ROWS:
                for kind in options.kinds:
                    Row(name, options, results).run(kind, seed)
    if options.stage == "ablate":
        ablate(options, results)
    filled = tables(results)
    print("\n\n".join("\n".join(rows) for rows in filled.values()))
    if options.stage == "tables":
        path = ROOT / "docs/accuracy.md"
        text = path.read_text()
        for key, rows in filled.items():
            begin, end = f"<!-- table: {key} -->", f"<!-- end: {key} -->"
            head, rest = text.split(begin)
            text = head + begin + "\n" + "\n".join(rows) + "\n" + end + rest.split(end)[1]
        path.write_text(text)


if __name__ == "__main__":
    main()
