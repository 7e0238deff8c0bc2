#!/usr/bin/env python3
"""What 4 bits cost the trained networks, and how fast they run. Writes bench/results.json and the tables of docs/accuracy.md and
docs/performance.md.

    .venv/bin/python bench/results.py NIBBLE DATA_FOLDER accuracy|against|latency|tables [NETWORK...]

accuracy   float against W4A16, W4A8 and W4A4 at clip minmax, percentile and mse
against    onnxruntime's own static quantizer at its defaults (int4 per channel, the same operators, the same calibration
           images) beside W4A8 and W4A4 at clip mse
latency    batch 1, two threads, all in one run, interleaved: nibble and onnxruntime on the float file, the W4A8 file and its
           --also-int8 twin; medians with their 10 % and 90 % quantiles
Each stage keeps what the others found.
"""
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
import numpy as np  # noqa: E402

nibble, folder, stage = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
chosen = [networks.by_name(n) for n in sys.argv[4:]] or networks.NETWORKS
RESULTS = ROOT / "bench/results.json"
results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
CALIBRATION = ["--calib-samples", "128", "--shuffle", "1"]
THREADS = 2


def run(*arguments):
    subprocess.run([nibble, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def model_of(network):
    return folder / "models" / f"{network.name}.onnx"


def quantize(network, scheme, out, *more):
    run("quantize", model_of(network), "-o", out, "--scheme", scheme, "--force", "--calib", folder / network.calibration, *CALIBRATION, *networks.flags(network, folder), *more)


def evaluate(network, file, work, *more):
    report = work / "report.json"
    run("eval", file, "--baseline", model_of(network), "--data", folder / network.data, "--no-latency", "--json", report, "--force", *networks.flags(network, folder), *more)
    r = json.loads(report.read_text())
    out = {"bytes": r["after"]["file_bytes"], "bits": round(r["after"]["bits_per_weight"], 3), "samples": r["samples"]}
    if "accuracy" in r:
        change = r["accuracy"]["change"]
        out |= {"top1": r["accuracy"]["after"]["top1_share"], "float_top1": r["accuracy"]["before"]["top1_share"], "change": change["difference"], "interval": change["interval"]}
    out |= {"same_answer": r["same_answer"] / r["samples"], "kl": r["kl_divergence"]["mean"], "kl_interval": r["kl_divergence"]["interval"]}
    return out


def calibration_inputs(network, count):
    """The same for both: a seeded choice, because data often lies sorted by class."""
    x = networks.inputs(networks.dataclasses.replace(network, data=network.calibration), folder, None)
    return x[np.random.default_rng(1).permutation(len(x))[:count]]


def onnxruntime_quantizer(network, bits, x, out, work):
    """onnxruntime's quantize_static at its defaults (MinMax calibration), for the same positions: int4 weights per channel, uint8
    or uint4 activations at the inputs of Conv, Gemm and MatMul."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    import onnxruntime as ort
    info = ort.InferenceSession(str(model_of(network))).get_inputs()[0]
    batch = info.shape[0] if isinstance(info.shape[0], int) else 16

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.at = 0

        def get_next(self):
            if self.at + batch > len(x):
                return None
            self.at += batch
            return {info.name: x[self.at - batch:self.at]}

    prepared = work / "prepared.onnx"
    quant_pre_process(str(model_of(network)), str(prepared), skip_symbolic_shape=True)
    quantize_static(str(prepared), str(out), Reader(), quant_format=QuantFormat.QDQ, per_channel=True, weight_type=QuantType.QInt4,
                    activation_type=QuantType.QUInt8 if bits == 8 else QuantType.QUInt4, op_types_to_quantize=["Conv", "Gemm", "MatMul"])


def divergence_from_outputs(network, file):
    """KL divergence and agreement of a foreign file, its outputs computed by onnxruntime as the file says."""
    import onnxruntime as ort
    x = networks.inputs(network, folder, 10000)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    outputs = []
    for path in (model_of(network), file):
        session = ort.InferenceSession(str(path), options)
        info = session.get_inputs()[0]
        batch = info.shape[0] if isinstance(info.shape[0], int) else 50
        outputs.append(np.concatenate([session.run(None, {info.name: x[i:i + batch]})[0] for i in range(0, len(x), batch)]).astype(np.float64))
    p, q = outputs
    if not (np.all(p >= 0) and np.allclose(p.sum(1), 1, atol=1e-3)):
        p, q = (np.exp(v - v.max(1, keepdims=True)) for v in (p, q))
    p, q = (np.maximum(v, 1e-12) for v in (p, q))
    p, q = (v / v.sum(1, keepdims=True) for v in (p, q))
    return {"kl": float((p * np.log(p / q)).sum(1).mean()), "same_answer": float((p.argmax(1) == q.argmax(1)).mean()), "samples": len(p)}


def accuracy(network, entry):
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        entry["float_bytes"] = model_of(network).stat().st_size
        table = entry.setdefault("accuracy", {})
        for scheme in ("W4A16", "W4A8", "W4A4"):
            for clip in ("minmax", "percentile", "mse"):
                out = work / "out.onnx"
                quantize(network, scheme, out, "--clip", clip)
                table[f"{scheme} {clip}"] = evaluate(network, out, work)


def against(network, entry):
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        x = calibration_inputs(network, 128)
        np.save(work / "calibration.npy", x)
        versus = entry["against_onnxruntime"] = {}
        for scheme, bits in (("W4A8", 8), ("W4A4", 4)):
            ours, theirs = work / "ours.onnx", work / "theirs.onnx"
            run("quantize", model_of(network), "-o", ours, "--scheme", scheme, "--clip", "mse", "--force", "--calib", work / "calibration.npy", "--labels", "none")
            versus[f"{scheme} nibble"] = divergence_from_outputs(network, ours)
            try:
                onnxruntime_quantizer(network, bits, x, theirs, work)
                versus[f"{scheme} onnxruntime"] = divergence_from_outputs(network, theirs)
            except Exception as error:  # what the peer cannot do is a result too
                versus[f"{scheme} onnxruntime"] = {"failed": str(error).splitlines()[0][:100]}


def latency(network, entry):
    import onnxruntime as ort
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        quantize(network, "W4A8", work / "w4a8.onnx", "--also-int8", work / "int8.onnx")
        quantize(network, "W4A16", work / "w4a16.onnx")
        x = networks.inputs(network, folder, 1)[:1]
        np.save(work / "in.npy", x)
        files = {"float": model_of(network), "W4A16": work / "w4a16.onnx", "W4A8": work / "w4a8.onnx", "W4A8 int8": work / "int8.onnx"}
        sessions = {}
        for name, file in files.items():
            options = ort.SessionOptions()
            options.intra_op_num_threads = THREADS
            options.log_severity_level = 3
            sessions[name] = ort.InferenceSession(str(file), options)
        times = {}
        feed = {next(iter(sessions.values())).get_inputs()[0].name: x}
        # In rounds, so that what is compared sees the same machine: onnxruntime's sessions one after the other (never call by
        # call: the threads of an idle session spin for a while and would take the cores), then nibble's eval, which
        # measures two networks in turn.
        for _ in range(3):
            for name, session in sessions.items():
                time.sleep(0.05)
                for _ in range(3):
                    session.run(None, feed)
                end = time.perf_counter() + 0.7
                while time.perf_counter() < end:
                    start = time.perf_counter()
                    session.run(None, feed)
                    times.setdefault(f"onnxruntime {name}", []).append(time.perf_counter() - start)
            for name in ("W4A16", "W4A8"):
                run("eval", files[name], "--baseline", model_of(network), "--data", work / "in.npy", "--labels", "none", "--seconds", "1.5", "--threads", THREADS, "--json", work / "r.json", "--force")
                r = json.loads((work / "r.json").read_text())
                for side, label in (("before", "float"), ("after", name)):
                    s = r[side]["latency_seconds"]
                    times.setdefault(f"nibble {label}", []).append(s["p50"])
                    entry.setdefault("energy", {})[label] = r[side]["energy"]["joules"]
        entry["latency"] = {k: {"median": float(np.median(v)), "p10": float(np.quantile(v, .1)), "p90": float(np.quantile(v, .9))} for k, v in times.items()}


def percent(v):
    return f"{100 * v:.2f}"


def tables():
    lines = ["| network | scheme, clip | file kB | bits | top-1 % | change (95 %) | same answer % | KL divergence |", "|---|---|---|---|---|---|---|---|"]
    for name, entry in results.items():
        first = True
        for key, r in entry.get("accuracy", {}).items():
            if first:
                top = f"{percent(r['float_top1'])}" if "float_top1" in r else "-"
                lines.append(f"| {name} | float ({r['samples']} samples) | {entry['float_bytes'] / 1e3:.0f} | 32 | {top} | | | |")
                first = False
            change = f"{100 * r['change']:+.2f} [{100 * r['interval'][0]:+.2f}, {100 * r['interval'][1]:+.2f}]" if "change" in r else ""
            lines.append(f"| | {key} | {r['bytes'] / 1e3:.0f} | {r['bits']:.2f} | {percent(r['top1']) if 'top1' in r else '-'} | {change} | {percent(r['same_answer'])} | "
                         f"{r['kl']:.4f} [{r['kl_interval'][0]:.4f}, {r['kl_interval'][1]:.4f}] |")
    versus = ["| network | scheme | KL nibble, clip mse | KL onnxruntime's quantizer | same answer % | |", "|---|---|---|---|---|---|"]
    for name, entry in results.items():
        for scheme in ("W4A8", "W4A4"):
            a, b = (entry.get("against_onnxruntime", {}).get(f"{scheme} {who}") for who in ("nibble", "onnxruntime"))
            if a is None:
                continue
            if "failed" in b:
                versus.append(f"| {name} | {scheme} | {a['kl']:.4f} | failed: {b['failed']} | {percent(a['same_answer'])} / - | |")
            else:
                versus.append(f"| {name} | {scheme} | {a['kl']:.4f} | {b['kl']:.4f} | {percent(a['same_answer'])} / {percent(b['same_answer'])} | {'' if a['kl'] <= b['kl'] else 'worse'} |")
    speed = ["| network | nibble float | ort float | nibble / ort speed | nibble W4A16 | nibble W4A8 | ort W4A16 | ort W4A8 | ort W4A8 as int8 |", "|---|---|---|---|---|---|---|---|---|"]
    for name, entry in results.items():
        if "latency" not in entry:
            continue
        t = entry["latency"]

        def ms(key):
            v = t[key]
            digits = 2 if v["median"] < 0.01 else 1
            return f"{1e3 * v['median']:.{digits}f} ({1e3 * v['p10']:.{digits}f}-{1e3 * v['p90']:.{digits}f})"
        speed.append(f"| {name} | {ms('nibble float')} | {ms('onnxruntime float')} | {t['onnxruntime float']['median'] / t['nibble float']['median']:.2f} | {ms('nibble W4A16')} | {ms('nibble W4A8')} | "
                     f"{ms('onnxruntime W4A16')} | {ms('onnxruntime W4A8')} | {ms('onnxruntime W4A8 int8')} |")
    fill("accuracy", {"results": lines, "against": versus})
    fill("performance", {"latency": speed})


def fill(document, parts):
    """Puts tables between their markers in a page of docs/."""
    path = ROOT / f"docs/{document}.md"
    text = path.read_text()
    for key, rows in parts.items():
        begin, end = f"<!-- table: {key} -->", f"<!-- end: {key} -->"
        head, rest = text.split(begin)
        text = head + begin + "\n" + "\n".join(rows) + "\n" + end + rest.split(end)[1]
    path.write_text(text)


def main():
    if stage == "tables":
        return tables()
    for network in chosen:
        print(network.name, flush=True)
        {"accuracy": accuracy, "against": against, "latency": latency}[stage](network, results.setdefault(network.name, {}))
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
