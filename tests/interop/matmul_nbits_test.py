#!/usr/bin/env python3
"""Files in onnxruntime's own form, `quantize --onnx-style matmulnbits`: MatMulNBits and GatherBlockQuantized.

    matmul_nbits_test.py NIBBLE FOLDER

Float networks made here are quantized by nibble in both styles. The packed codes, scales and zero points are decoded by numpy
and must be those of the standard file; onnxruntime, its graph optimizations on and off, and nibble must compute what numpy
does with them. Foreign files (no zero points, filling that is not zero, byte tables) must run in both alike.
"""
import json
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

NIBBLE, FOLDER = os.path.abspath(sys.argv[1]), sys.argv[2]
RNG = np.random.default_rng(7)
FAILURES, RAN = [], [0]
VOCABULARY, WIDTH = 200, 48


def check(ok, what):
    RAN[0] += 1
    if not ok:
        FAILURES.append(what)


def path(name):
    return os.path.join(FOLDER, "nbits_" + name)


def nibble(*arguments):
    return subprocess.run([NIBBLE, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


def succeeds(*arguments):
    done = nibble(*arguments)
    assert done.returncode == 0, (arguments, done.stderr.decode()[-500:])
    return done


def nibble_outputs(file, x):
    np.save(path("in.npy"), x)
    succeeds("run", file, "--data", path("in.npy"), "-o", path("out.npy"), "--force", "--quiet")
    return np.load(path("out.npy"))


def onnxruntime_outputs(file, x, optimize):
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def relative(got, wanted):
    return float(np.abs(np.asarray(got, np.float64).reshape(wanted.shape) - wanted).max() / np.abs(wanted).max())


def weight(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def save(nodes, initializers, name, x_shape, opset=17, ir=8, domains=()):
    """A network from float input "x" to output "y"."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "net", [info("x", TensorProto.FLOAT, x_shape)], [info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(v, k) if isinstance(v, np.ndarray) else v for k, v in initializers.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains])
    model.ir_version = ir
    onnx.save(model, path(name))
    return path(name)


def transformer_like():
    """Token numbers (as floats) -> embedding -> products of every kind that becomes MatMulNBits."""
    n = helper.make_node
    parameters = {"table": weight(VOCABULARY, WIDTH), "wq": weight(WIDTH, 96), "w1": weight(96, 80), "w2": weight(80, 300), "b2": weight(300),
                  "shape": np.int64([-1, 300]), "w3": weight(130, 300), "b3": weight(130), "w4": weight(130, 7), "w5": weight(7, 64)}
    nodes = [n("Cast", ["x"], ["ids"], to=TensorProto.INT64), n("Gather", ["table", "ids"], ["e"]), n("MatMul", ["e", "wq"], ["q"]),
             n("Relu", ["q"], ["r"]), n("MatMul", ["r", "w1"], ["m1"]), n("MatMul", ["m1", "w2"], ["m2"]), n("Add", ["m2", "b2"], ["a"]),
             n("Reshape", ["a", "shape"], ["flat"]), n("Gemm", ["flat", "w3", "b3"], ["g3"], transB=1), n("Gemm", ["g3", "w4"], ["g4"]),
             n("MatMul", ["g4", "w5"], ["y"])]
    return save(nodes, parameters, "float.onnx", ["batch", 6])


def half_bytes(raw, count):
    both = np.frombuffer(raw, np.uint8)
    return np.stack([both & 15, both >> 4], 1).reshape(-1)[:count].astype(np.int64)


class File:
    """A written file, decoded by numpy."""

    def __init__(self, file):
        self.model = onnx.load(file)
        self.constants = {i.name: i for i in self.model.graph.initializer}
        self.producers = {o: node for node in self.model.graph.node for o in node.output}

    def raw(self, name):
        return self.constants[name]

    def scale(self, name):
        """A scale as float32: an initializer, or a 16-bit one behind a Cast."""
        if name in self.constants:
            return numpy_helper.to_array(self.constants[name])
        cast = self.producers[name]
        assert cast.op_type == "Cast" and cast.attribute[0].i == TensorProto.FLOAT
        stored = numpy_helper.to_array(self.constants[cast.input[0]])
        assert stored.dtype == np.float16
        return stored.astype(np.float32)

    def codes(self, name):
        t = self.constants[name]
        low = half_bytes(t.raw_data, int(np.prod(t.dims))).reshape(tuple(t.dims))
        return np.where(low > 7, low - 16, low) if t.data_type == TensorProto.INT4 else low

    def of_nbits(self, node):
        """[K, N] of a MatMulNBits."""
        a = {x.name: helper.get_attribute_value(x) for x in node.attribute}
        k, n, block = a["K"], a["N"], a["block_size"]
        blocks = -(-k // block)
        b = numpy_helper.to_array(self.constants[node.input[1]])
        check(b.dtype == np.uint8 and b.shape == (n, blocks, block // 2), f"{node.output[0]}: codes {b.shape}")
        check(a["bits"] == 4 and a["accuracy_level"] == 1 and block >= 16 and block & (block - 1) == 0, f"{node.output[0]}: attributes {a}")
        codes = np.stack([b & 15, b >> 4], -1).reshape(n, blocks * block).astype(np.int64)
        check(np.all(codes[:, k:] == 0), f"{node.output[0]}: filling that is not zero")
        scales = self.scale(node.input[2]).reshape(n, blocks)
        check(node.input[3] != "", f"{node.output[0]}: no zero points")
        stored = numpy_helper.to_array(self.constants[node.input[3]])
        if stored.dtype == np.uint8:
            check(stored.shape == (n, (blocks + 1) // 2), f"{node.output[0]}: zero points {stored.shape}")
            zeros = np.stack([stored & 15, stored >> 4], -1).reshape(n, -1)
            check(np.all(zeros[:, blocks:] == 0), f"{node.output[0]}: filling of zero points")
            zeros = zeros[:, :blocks].astype(np.float32)
        else:
            check(stored.dtype == np.float32, f"{node.output[0]}: zero points {stored.dtype}")
            zeros = stored.reshape(n, blocks)
        spread = lambda p: np.repeat(p, block, 1)[:, :k]
        return ((codes[:, :k].astype(np.float32) - spread(zeros)) * spread(scales)).T

    def of_dequantized(self, name):
        """A quantized weight of the standard style: DequantizeLinear [Add]."""
        node = self.producers[name]
        if node.op_type == "Add":
            return self.of_dequantized(node.input[0]) + numpy_helper.to_array(self.constants[node.input[1]])
        assert node.op_type == "DequantizeLinear", node.op_type
        a = {x.name: helper.get_attribute_value(x) for x in node.attribute}
        codes, scale = self.codes(node.input[0]), self.scale(node.input[1])
        zero = self.codes(node.input[2]) if len(node.input) > 2 else np.zeros(scale.shape, np.int64)
        return self.spread(codes, scale, zero, a["axis"], a.get("block_size", 0))

    def spread(self, codes, scale, zero, axis, block):
        def over(p):
            if block:
                return np.repeat(p, block, axis)[tuple(slice(0, n) for n in codes.shape)]
            return p.reshape([-1 if i == axis else 1 for i in range(codes.ndim)])
        return (codes - over(zero)).astype(np.float32) * over(scale)

    def of_table(self, node):
        a = {x.name: helper.get_attribute_value(x) for x in node.attribute}
        check(a["gather_axis"] == 0 and a["quantize_axis"] == 1, f"{node.output[0]}: attributes {a}")
        check(len(node.input) == 4 and node.input[3] != "", f"{node.output[0]}: no zero points")
        return self.spread(self.codes(node.input[0]), self.scale(node.input[2]), self.codes(node.input[3]), 1, a["block_size"])

    def weights(self):
        """Name of the node's output -> its weight as [inputs, outputs] (tables as they are)."""
        found = {}
        for node in self.model.graph.node:
            if node.op_type == "MatMulNBits":
                found[node.output[0]] = self.of_nbits(node)
            elif node.op_type == "GatherBlockQuantized":
                found[node.output[0]] = self.of_table(node)
            elif node.op_type in ("MatMul", "Gemm"):
                w = self.of_dequantized(node.input[1])
                turned = any(a.name == "transB" and a.i for a in node.attribute)
                found[node.output[0]] = w.T if turned else w
        return found


def reference(weights, tables, parameters, x):
    """The float network with the decoded weights, in float64."""
    w = {k: v.astype(np.float64) for k, v in weights.items()}
    e = tables[x.astype(np.int64)]
    m1 = np.maximum(e @ w["q"], 0) @ w["m1"]
    flat = (m1 @ w["m2"] + parameters["b2"]).reshape(-1, 300)
    return (flat @ w["g3"] + parameters["b3"]) @ w["g4"] @ w["y"]


def check_written(net, scheme):
    packed, standard = path("packed.onnx"), path("standard.onnx")
    succeeds("quantize", net, "-o", packed, "--force", "--quiet", "--scheme", scheme, "--onnx-style", "matmulnbits")
    onnx.checker.check_model(packed)
    file = File(packed)
    imports = {o.domain: o.version for o in file.model.opset_import}
    check(imports == {"": 21, "com.microsoft": 1} and file.model.ir_version == 10, f"{scheme}: imports {imports}")
    weights = file.weights()
    kinds = [n.op_type for n in file.model.graph.node]
    check("DequantizeLinear" not in kinds and kinds.count("MatMulNBits") == 6, f"{scheme}: {kinds}")
    parameters = {i.name: numpy_helper.to_array(i) for i in onnx.load(net).graph.initializer}
    real_offsets = "minmax" in scheme
    check(kinds.count("GatherBlockQuantized") == (0 if real_offsets else 1), f"{scheme}: {kinds}")
    table = parameters["table"] if real_offsets else weights.pop("e")
    if not real_offsets:  # the standard style has the same values, bit for bit, but float tables
        succeeds("quantize", net, "-o", standard, "--force", "--quiet", "--scheme", scheme)
        same = File(standard).weights()
        check(set(same) == set(weights), f"{scheme}: {set(same)} against {set(weights)}")
        for name, w in weights.items():
            check(np.array_equal(w, same[name]), f"{scheme}: {name} has other values than in the standard style")
    x = RNG.integers(0, VOCABULARY, (5, 6)).astype(np.float32)
    wanted = reference(weights, table.astype(np.float64), parameters, x)
    for optimize in (False, True):
        error = relative(onnxruntime_outputs(packed, x, optimize), wanted)
        check(error < 1e-5, f"{scheme}: onnxruntime, optimizations {optimize}: {error:.2g}")
    error = relative(nibble_outputs(packed, x), wanted)
    check(error < 1e-5, f"{scheme}: nibble: {error:.2g}")


def check_bits(scheme, most):
    """True bits of a product with whole blocks, as inspect and the file have them."""
    net = save([helper.make_node("MatMul", ["x", "w"], ["y"], name="m")], {"w": weight(1024, 256)}, "large.onnx", [1, 1024])
    packed, report, plan = path("packed.onnx"), path("report.json"), path("plan.json")
    succeeds("quantize", net, "-o", packed, "--force", "--quiet", "--scheme", scheme, "--onnx-style", "matmulnbits", "--json", plan)
    succeeds("inspect", packed, "--json", report, "--force")
    layer = json.load(open(report))["layers"][0]
    stored = sum(len(i.raw_data) for i in onnx.load(packed).graph.initializer)
    check(layer["operator"] == "MatMulNBits" and layer["bytes"] == stored, f"{scheme}: inspect says {layer}, the file has {stored} bytes")
    check(layer["bits_per_weight"] <= most, f"{scheme}: {layer['bits_per_weight']} bits")
    written = json.load(open(plan))
    check(written["layers"][0]["bytes"] == stored and written["plan"]["layers"][0]["bytes_after"] == stored, f"{scheme}: plan and report")
    check(abs(written["plan"]["file_bytes_after"] - os.path.getsize(packed)) < 200, f"{scheme}: predicted size of the file")


def check_foreign_product(zeros, level, fill):
    """A MatMulNBits that nibble did not write: with or without zero points, any filling of the last block."""
    n, k, block = 5, 70, 32
    b = RNG.integers(0, 256, (n, 3, block // 2)).astype(np.uint8)
    codes = np.stack([b & 15, b >> 4], -1).reshape(n, -1)
    codes[:, k:] = fill
    b = (codes[:, 0::2] | codes[:, 1::2] << 4).astype(np.uint8).reshape(n, 3, -1)
    scales = RNG.uniform(0.01, 0.1, (n, 3)).astype(np.float32)
    parameters, inputs, zero = {"b": b, "s": scales}, ["x", "b", "s"], np.full((n, 3), 8.0)
    if zeros == "packed":
        packed = RNG.integers(0, 256, (n, 2)).astype(np.uint8)  # the high half of each row's second byte is no zero point
        zero = np.stack([packed & 15, packed >> 4], -1).reshape(n, 4)[:, :3].astype(np.float64)
        parameters["z"] = packed
    elif zeros == "float":
        parameters["z"] = RNG.uniform(0, 15, (n, 3)).astype(np.float32)
        zero = parameters["z"].astype(np.float64)
    if zeros:
        inputs.append("z")
    node = helper.make_node("MatMulNBits", inputs, ["y"], domain="com.microsoft", K=k, N=n, bits=4, block_size=block, accuracy_level=level)
    net = save([node], parameters, "foreign.onnx", [3, k], 21, 10, ["com.microsoft"])
    x = weight(3, k)
    w = (codes[:, :k] - np.repeat(zero, block, 1)[:, :k]) * np.repeat(scales, block, 1)[:, :k].astype(np.float64)
    wanted = x @ w.T
    for got, who in ((onnxruntime_outputs(net, x, True), "onnxruntime"), (onnxruntime_outputs(net, x, False), "onnxruntime, plain"), (nibble_outputs(net, x), "nibble")):
        check(relative(got, wanted) < 1e-5, f"foreign product, zero points {zeros}, level {level}: {who} is {relative(got, wanted):.2g} off")


def check_foreign_table(kind, zeros, width, block):
    v = 30
    codes = RNG.integers(0, 16, (v, width))
    blocks = -(-width // block)
    scales = RNG.uniform(0.01, 0.1, (v, blocks)).astype(np.float32)
    stored = RNG.integers(0, 16, (v, blocks))
    half = lambda c: (np.pad(c, ((0, 0), (0, c.shape[1] % 2)))[:, 0::2] | np.pad(c, ((0, 0), (0, c.shape[1] % 2)))[:, 1::2] << 4).astype(np.uint8)
    signed = lambda c: np.where(c > 7, c - 16, c) if kind == TensorProto.INT4 else c
    if kind == TensorProto.UINT8:
        data, zero_points, default = numpy_helper.from_array(half(codes), "d"), numpy_helper.from_array(half(stored), "z"), 8
    else:
        flat = lambda c: (lambda f: (f[0::2] | f[1::2] << 4).astype(np.uint8).tobytes())(np.append(c.ravel(), np.zeros(c.size % 2, np.int64)))
        data = helper.make_tensor("d", kind, codes.shape, flat(codes), raw=True)
        zero_points, default = helper.make_tensor("z", kind, stored.shape, flat(stored), raw=True), 0
    zero = signed(stored) if zeros else np.full((v, blocks), default)
    table = (signed(codes) - np.repeat(zero, block, 1)[:, :width]) * np.repeat(scales, block, 1)[:, :width].astype(np.float64)
    parameters = {"d": data, "s": scales} | ({"z": zero_points} if zeros else {})
    nodes = [helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
             helper.make_node("GatherBlockQuantized", ["d", "i", "s"] + (["z"] if zeros else []), ["y"], domain="com.microsoft", gather_axis=0, quantize_axis=1, block_size=block)]
    net = save(nodes, parameters, "foreign.onnx", [2, 4], 21, 10, ["com.microsoft"])
    x = RNG.integers(0, v, (2, 4)).astype(np.float32)
    wanted = table[x.astype(np.int64)]
    what = f"foreign table of type {kind}, zero points {zeros}, width {width}"
    for optimize in (False, True):
        check(relative(onnxruntime_outputs(net, x, optimize), wanted) < 1e-6, f"{what}: onnxruntime")
    check(relative(nibble_outputs(net, x), wanted) < 1e-6, f"{what}: nibble")
    np.save(path("in.npy"), np.full((2, 4), v, np.float32))
    done = nibble("run", net, "--data", path("in.npy"), "-o", path("out.npy"), "--force")
    check(done.returncode != 0 and b"index 30" in done.stderr, f"{what}: an index outside the table (onnxruntime gives zeros): {done.stderr!r}")


def check_left_as_they_are():
    """What has no such form is written as DequantizeLinear, and said."""
    n = helper.make_node
    parameters = {"w1": weight(300, 64), "w2": weight(64, 64), "w3": weight(64, 32), "c": weight(8, 32, 1, 1), "s": np.int64([1, 32, 1, 1])}
    nodes = [n("MatMul", ["x", "w1"], ["a"]), n("Gemm", ["a", "w2"], ["b"], alpha=0.5), n("MatMul", ["b", "w3"], ["m"]), n("Reshape", ["m", "s"], ["r"]),
             n("Conv", ["r", "c"], ["y"])]
    net = save(nodes, parameters, "mixed.onnx", [1, 300])
    done = succeeds("quantize", net, "-o", path("packed.onnx"), "--force", "--scheme", "W4A16:int4,group=channel,map=symmetric", "--onnx-style", "matmulnbits")
    text = done.stderr.decode() + done.stdout.decode()
    for reason in ("one scale serves 300 inputs", "transA or alpha", "no 4-bit Conv", "1 as MatMulNBits"):
        check(reason in text, f"not said: {reason}\n{text}")
    kinds = [node.op_type for node in onnx.load(path("packed.onnx")).graph.node]
    check(kinds.count("MatMulNBits") == 1 and kinds.count("DequantizeLinear") == 3, f"left as they are: {kinds}")
    x = weight(1, 300)
    error = relative(nibble_outputs(path("packed.onnx"), x), onnxruntime_outputs(path("packed.onnx"), x, False).astype(np.float64))
    check(error < 1e-5, f"left as they are: {error}")
    # Integers are multiplied where the input is quantized: those products keep their standard form.
    np.save(path("in.npy"), weight(16, 300))
    succeeds("quantize", net, "-o", path("packed.onnx"), "--force", "--scheme", "W4A8", "--calib", path("in.npy"), "--onnx-style", "matmulnbits", "--quiet")
    check(all(node.op_type != "MatMulNBits" for node in onnx.load(path("packed.onnx")).graph.node), "a product of integers became MatMulNBits")


def check_refusals(net):
    for arguments, says in ((["--onnx-style", "magic"], b"there are qdq and matmulnbits"), (["--scheme", "W4A16:map=minmax"], b"--onnx-style matmulnbits")):
        done = nibble("quantize", net, "-o", path("refused.onnx"), *arguments)
        check(done.returncode != 0 and says in done.stderr and not os.path.exists(path("refused.onnx")), f"{arguments}: {done.stderr!r}")


def main():
    onnxruntime.set_default_logger_severity(4)
    net = transformer_like()
    for scheme in ("W4A16", "W4A16:int4,map=symmetric", "W4A16:int4,map=affine,group=16", "W4A16:int4,map=restricted,group=64", "W4A16:map=minmax"):
        check_written(net, scheme)
    check_bits("W4A16", 4.7)
    check_bits("W4A16:int4,map=symmetric", 4.7)
    check_bits("W4A16:map=minmax", 6.0)
    for zeros in ("", "packed", "float"):
        for level in (0, 1):
            check_foreign_product(zeros, level, 15)
    for kind in (TensorProto.UINT8, TensorProto.UINT4, TensorProto.INT4):
        for zeros in (False, True):
            for width, block in ((64, 16), (40, 32)):
                check_foreign_table(kind, zeros, width, block)
    check_left_as_they_are()
    check_refusals(net)
    print("\n".join(FAILURES))
    print(f"{RAN[0]} checks ran, {len(FAILURES)} failed")
    sys.exit(1 if FAILURES or RAN[0] < 100 else 0)


main()
