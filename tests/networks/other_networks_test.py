#!/usr/bin/env python3
"""nibble and onnxruntime agree on the networks of other_networks.py.

    other_networks_test.py NIBBLE RUN_NPZ DATA_FOLDER WHEELS_FOLDER|shared [NETWORK...]

For each network, on real inputs of several shapes where its shapes are open:
  float    every output within 1e-4 of its largest value over the runs; the result of its task is the one measured with onnxruntime
  W4A16    quantized; what the program prints names every layer whose large constants stay; onnxruntime loads the file, optimised and not, and the
           outputs are within 1e-3; products in branches are among the layers
"""
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
import other_networks

nibble, run_npz, data = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
wheels = pathlib.Path(sys.argv[4])
known = other_networks.SHARED if sys.argv[4] == "shared" else other_networks.WHEELS
for network in other_networks.SHARED + other_networks.WHEELS:
    network.path = (data if network in other_networks.SHARED else wheels) / network.file
chosen = [other_networks.BY_NAME[n] for n in sys.argv[5:]] or known
SAMPLES = 12  # runs that are compared; the task runs all where it has an expected result
failures = []


def check(ok, text):
    print(f"  {'ok  ' if ok else 'FAIL'} {text}", flush=True)
    if not ok:
        failures.append(text)


def run_onnxruntime(path, runs, optimised=True):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 2
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL if optimised else ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")  # float arithmetic, as the file says
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [session.run(None, inputs) for inputs in runs]


def run_nibble(path, runs):
    with tempfile.TemporaryDirectory() as folder:
        for k, inputs in enumerate(runs):
            np.savez(pathlib.Path(folder) / f"in_{k}.npz", **inputs)
        result = subprocess.run([run_npz, path, folder], capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(result.stderr.strip())
        return [[np.load(pathlib.Path(folder) / f"out_{k}_{j}.npy") for j in range(len(list(pathlib.Path(folder).glob(f"out_{k}_*.npy"))))]
                for k in range(len(runs))]


def farthest(wanted, got):
    """The largest difference of an output relative to its largest value, over all runs: a map of probabilities of which one run
    has none is judged by those of the others."""
    worst = 0.0
    for outputs in zip(zip(*wanted, strict=True), zip(*got, strict=True), strict=True):
        pairs = list(zip(*outputs, strict=True))
        if any(x.shape != y.shape or x.dtype != y.dtype for x, y in pairs):
            return float("inf")
        largest = max(np.abs(x.astype(np.float64)).max(initial=0) for x, _ in pairs)
        worst = max(worst, max(float(np.abs(x.astype(np.float64) - y).max(initial=0)) for x, y in pairs) / max(largest, 1e-30))
    return worst


def unquantized_readers(path):
    """Nodes, as `nibble` names them, whose large constants no scheme quantizes."""
    model = onnx.load(path)
    large = {i.name for i in model.graph.initializer if i.data_type == 1 and np.prod(i.dims) >= 4096}
    large |= {n.output[0] for n in model.graph.node if n.op_type == "Constant" and n.attribute[0].t.data_type == 1 and np.prod(n.attribute[0].t.dims) >= 4096}
    return [f"{n.name or n.output[0]} ({n.op_type})" for n in model.graph.node
            if n.op_type in ("LSTM", "GRU", "RNN", "ConvTranspose", "Gather") and large & set(n.input)]


def four_bit_weights_in_branches(graph, inside=False):
    own = sum(i.data_type == onnx.TensorProto.UINT4 and i.name.endswith("_quantized") for i in graph.initializer) if inside else 0
    return own + sum(four_bit_weights_in_branches(a.g, True) for n in graph.node for a in n.attribute if a.type == onnx.AttributeProto.GRAPH)


for network in chosen:
    started = time.monotonic()
    print(network.name, flush=True)
    runs = list(network.inputs(data))
    few = runs[::max(1, len(runs) // SAMPLES)][:SAMPLES] if len(runs) > SAMPLES else runs
    try:
        wanted, got = run_onnxruntime(network.path, few), run_nibble(network.path, few)
        difference = farthest(wanted, got)
        check(difference < 1e-4, f"float: {difference:.1e} of the largest output, {len(few)} runs")
        if network.task:
            result = network.task(data, run_nibble(network.path, runs))
            check(result == network.expected, f"{result}, expected {network.expected}")
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out.onnx"
            text = subprocess.run([nibble, "quantize", network.path, "-o", out, "--scheme", "W4A16"], capture_output=True, text=True)
            if text.returncode:
                raise RuntimeError(text.stderr.strip())
            onnx.checker.check_model(str(out), full_check=True)
            wide = unquantized_readers(network.path)
            silent = [n for n in wide if n not in text.stdout + text.stderr]
            check(not silent, f"W4A16: {network.path.stat().st_size} -> {out.stat().st_size} bytes, said to stay wide: {len(wide)}; not said: {silent}")
            in_branches = four_bit_weights_in_branches(onnx.load(out).graph)
            check(in_branches == network.quantized_in_branches, f"W4A16: {in_branches} weights of 4 bits in branches, expected {network.quantized_in_branches}")
            ours, plain, optimised = run_nibble(out, few), run_onnxruntime(out, few, False), run_onnxruntime(out, few)
            check(farthest(plain, ours) < 1e-3 and farthest(optimised, ours) < 1e-3,
                  f"W4A16: {farthest(plain, ours):.1e}, optimised {farthest(optimised, ours):.1e}; {farthest(wanted, ours):.2g} from float")
    except Exception as e:  # noqa: BLE001: the other networks are still of interest
        check(False, f"{type(e).__name__}: {e}")
    print(f"       {time.monotonic() - started:.1f} s", flush=True)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
