#!/usr/bin/env python3
"""nibble and onnxruntime agree on the trained networks. Usage: onnxruntime_test.py NIBBLE DATA_FOLDER [NETWORK...]

For each network, on real inputs:
  float    outputs within 1e-4 of the output's largest value
  W4A16    onnx.checker accepts the file; it loads with optimisations on and off; with onnxruntime's float arithmetic the
           outputs are within 1e-3; the default arithmetic (int8 activations in MatMul) is reported
  W4A8, W4A4   the same; top class agreement at least 99.5 % (or onnxruntime's with itself when scales move by one
           unit in the last place, where the network is that unstable); and layer by layer, fed the same inputs, codes differ by at most
           one, and only where the value lies within 1e-5 of the layer's largest value from a tie between two codes
  int8     the file of --also-int8 gives the same outputs as the 4-bit one
"""
import math
import pathlib
import subprocess
import sys
import tempfile

import networks
import numpy as np
import onnx
import onnxruntime as ort
from onnx.utils import Extractor

nibble, folder = sys.argv[1], pathlib.Path(sys.argv[2])
chosen = [networks.by_name(n) for n in sys.argv[3:]] or networks.NETWORKS
failures = []


def check(ok, text):
    print(f"  {'ok  ' if ok else 'FAIL'} {text}", flush=True)
    if not ok:
        failures.append(text)


def session(path, optimised, exact=True):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL if optimised else ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if exact:
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_onnxruntime(model, x, batch):
    name = model.get_inputs()[0].name
    return np.concatenate([model.run(None, {name: x[i:i + batch]})[0] for i in range(0, len(x), batch)])


def run_nibble(network, x, work):
    np.save(work / "in.npy", x)
    subprocess.run([nibble, "run", network, "--data", work / "in.npy", "-o", work / "out.npy", "--force", "--quiet"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return np.load(work / "out.npy")


def relative(a, b):
    return float(np.abs(a.astype(np.float64) - b).max() / np.abs(a).max())


def agreement(a, b):
    return float((a.reshape(len(a), -1).argmax(1) == b.reshape(len(b), -1).argmax(1)).mean())


def most_by_chance(n, share):
    """The smallest k that a binomial(n, share) count exceeds with a probability below 1 %."""
    left, k = 1.0, -1
    while left >= 0.01:
        k += 1
        left -= math.comb(n, k) * share ** k * (1 - share) ** (n - k)
    return k


def moved_scales(path, work, seed):
    """The network with the scale of every dequantized activation moved by 2^-23 of itself, up or down."""
    model, random = onnx.load(path), np.random.default_rng(seed)
    constants = {i.name: i for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] not in constants:
            scale = onnx.numpy_helper.to_array(constants[node.input[1]])
            name = node.output[0] + "_moved_scale"
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(scale * (1 + 2.0 ** -23 * random.choice([-1, 1]))), name))
            node.input[1] = name
    onnx.save(model, work / "moved.onnx")
    return work / "moved.onnx"


def quantized_segments(model):
    """(input value, output value, scale, zero point, largest code) of every piece of the network between two quantizations:
    both are float values that a QuantizeLinear reads."""
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    producer = {o: n for n in model.graph.node for o in n.output}
    quantizers = {n.input[0]: n for n in model.graph.node if n.op_type == "QuantizeLinear"}
    for value, q in quantizers.items():
        sources, queue, seen = set(), [value], set()
        while queue:
            v = queue.pop()
            if v in seen or v not in producer:
                continue
            seen.add(v)
            node = producer[v]
            if node.op_type == "QuantizeLinear":
                sources.add(node.input[0])
                continue
            queue += [i for i in node.input if i]
        if len(sources) == 1 and value not in sources:
            zero = constants[q.input[2]]
            yield sources.pop(), value, float(constants[q.input[1]]), int(zero), 15 if "int4" in str(zero.dtype) else 255


def check_layers(path, x, work, batch):
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    known = {v.name for v in list(model.graph.value_info) + list(model.graph.input) + list(model.graph.output)}
    segments = [s for s in quantized_segments(model) if s[0] in known and s[1] in known]
    full = onnx.load(path)
    wanted = {s[0] for s in segments} - {full.graph.input[0].name}
    full.graph.output.extend(onnx.helper.make_tensor_value_info(v, onnx.TensorProto.FLOAT, None) for v in sorted(wanted))
    onnx.save(full, work / "watched.onnx")
    watched = session(work / "watched.onnx", False)
    name = watched.get_inputs()[0].name
    values = {v: [] for v in wanted}
    for i in range(0, len(x), batch):
        for v, y in zip(sorted(wanted), watched.run(sorted(wanted), {name: x[i:i + batch]})):
            values[v].append(y)
    values = {v: np.concatenate(y) for v, y in values.items()} | {name: x}
    worst, far, farthest = 0, 0, 0.0
    for source, target, scale, zero, largest in segments:
        # An ONNX graph may be cut at any value; the piece gets the batch of the whole.
        piece = Extractor(model).extract_model([source], [target])
        onnx.save(piece, work / "piece.onnx")
        ours = run_nibble(work / "piece.onnx", values[source], work)
        theirs = run_onnxruntime(session(work / "piece.onnx", False), values[source], batch)
        a, b = (np.clip(np.rint(v / np.float32(scale)) + zero, 0, largest) for v in (ours, theirs))
        differ = a != b
        worst = max(worst, int(np.abs(a - b).max()))
        # How far the exact sums are from the tie, in codes; onnxruntime's float32 sums are off by parts of the largest one.
        quotient = ours.astype(np.float64) / scale
        distance = np.abs(np.abs(quotient - np.floor(quotient)) - 0.5)
        farthest = max(farthest, float(distance[differ].max(initial=0)))
        far += int((differ & (distance > 1e-5 * max(1, float(np.abs(quotient).max())))).sum())
    check(worst <= 1 and far == 0, f"{len(segments)} layers fed the same inputs: codes differ by at most {worst}, {far} away from ties, the farthest by {farthest:.1e} codes")


for network in chosen:
    print(network.name, flush=True)
    model = folder / "models" / f"{network.name}.onnx"
    large = "imagenet" in network.data  # 224 x 224: fewer samples and schemes, so that all networks take a few minutes
    x = networks.inputs(network, folder, 100 if large else 200)
    shape = ort.InferenceSession(str(model)).get_inputs()[0].shape
    batch = shape[0] if isinstance(shape[0], int) else 50
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        base = run_onnxruntime(session(model, True), x, batch)
        check(relative(base, run_nibble(model, x, work)) < 1e-4, f"float: {relative(base, run_nibble(model, x, work)):.1e} of the largest output")
        for scheme in ("W4A16", "W4A16:int4,map=symmetric", "W4A8", "W4A16:map=minmax,group=channel", "W4A4", "W4A8:positions=all")[::2 if large else 1]:
            out, int8 = work / "out.onnx", work / "int8.onnx"
            subprocess.run([nibble, "quantize", model, "-o", out, "--scheme", scheme, "--also-int8", int8, "--force", "--quiet", "--calib", folder / network.calibration,
                            "--calib-samples", "64", *networks.flags(network, folder)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            onnx.checker.check_model(str(out), full_check=True)
            ours = run_nibble(out, x, work)
            plain = run_onnxruntime(session(out, False), x, batch)
            optimised = run_onnxruntime(session(out, True), x, batch)
            default = run_onnxruntime(session(out, True, exact=False), x, batch)
            as_int8 = run_onnxruntime(session(int8, False), x, batch)
            int8_optimised = run_onnxruntime(session(int8, True), x, batch)  # integer kernels, biases rounded by onnxruntime
            text = f"{scheme}: {{:.1e}}, optimised {relative(plain, optimised):.1e}, default arithmetic {relative(plain, default):.1e}"
            check(relative(plain, as_int8) < 1e-5, f"{scheme}: --also-int8 differs by {relative(plain, as_int8):.1e}; optimised {100 * agreement(plain, int8_optimised):.1f} % the same class")
            if scheme.startswith("W4A16"):
                check(relative(plain, ours) < 1e-3 and relative(optimised, ours) < 1e-3, text.format(relative(plain, ours)))
            else:
                same = min(agreement(plain, ours), agreement(default, ours))
                # 99.5 % of all samples; of these few, as many may differ as chance leaves room for (one-sided 99 %).
                different, allowed = round((1 - same) * len(x)), most_by_chance(len(x), 0.005)
                # A network that narrow activations made unstable amplifies any rounding of a sum: it cannot agree better with us
                # than onnxruntime does with itself when the scales of the activations move by one unit in their last place.
                itself = 1.0 if different <= allowed else min(agreement(plain, run_onnxruntime(session(moved_scales(out, work, seed), False), x, batch)) for seed in range(5))
                if itself < 1:
                    print(f"       onnxruntime agrees with itself on {100 * itself:.1f} % when scales move by one unit in the last place")
                check(different <= allowed or same >= itself, f"{text.format(relative(plain, ours))}, same top class {100 * same:.1f} %")
                check_layers(out, x[:20] if batch > 20 else x[:20], work, min(batch, 20))
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
