#!/usr/bin/env python3
"""Runs files with quantized weights, as nibble writes them, in onnxruntime.

    quantized_files_test.py RESAVE FOLDER

Makes networks with a quantized weight in every format and granularity, has nibble read and write them (RESAVE), and
checks the written 4-bit file and the int8 file beside it: onnx.checker accepts them, their initializers hold the codes,
scales and zero points that went in, and onnxruntime's outputs equal numpy's, with its graph optimizations on (float
accuracy level: its default quantizes activations) and off.
"""
import itertools
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FORMATS = {  # name: type, lowest code, highest code, 8-bit type
    "int4": (TensorProto.INT4, -8, 7, TensorProto.INT8),
    "uint4": (TensorProto.UINT4, 0, 15, TensorProto.UINT8),
    "int8": (TensorProto.INT8, -128, 127, TensorProto.INT8),
    "uint8": (TensorProto.UINT8, 0, 255, TensorProto.UINT8),
}
RAN = [0]


def stored(name, kind, codes):
    """An initializer of codes; two to a byte below 8 bits, the first in the low half."""
    flat = codes.astype(np.int64).ravel()
    if kind in (TensorProto.INT4, TensorProto.UINT4):
        flat = np.append(flat, np.zeros(flat.size % 2, np.int64)) & 15
        data = (flat[0::2] | flat[1::2] << 4).astype(np.uint8).tobytes()
    else:
        data = (flat & 255).astype(np.uint8).tobytes()
    return helper.make_tensor(name, kind, codes.shape, data, raw=True)


def expand(parameter, shape, axis, block):
    """Scales or zero points in the shape of the codes."""
    if parameter.ndim == 0:
        return np.broadcast_to(parameter, shape)
    if block:
        return np.repeat(parameter, block, axis)[tuple(slice(0, n) for n in shape)]
    return np.broadcast_to(parameter.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape)


class Weight:
    def __init__(self, rng, fmt, shape, code_shape, axis, block, scale_type, zero, offset):
        self.kind, low, high, self.wide = FORMATS[fmt]
        self.shape, self.axis, self.block = shape, axis, block
        self.codes = rng.integers(low, high + 1, code_shape)
        if axis is None:
            parameter_shape = []
        elif block:
            parameter_shape = [-(-n // block) if i == axis else n for i, n in enumerate(code_shape)]
        else:
            parameter_shape = [code_shape[axis]]
        self.scale = rng.uniform(0.01, 0.1, parameter_shape).astype(scale_type)
        self.zero = rng.integers(low, high + 1, parameter_shape) if zero else None
        self.offset = rng.normal(size=parameter_shape).astype(np.float32) if offset else None

    def values(self):
        spread = lambda p: expand(np.asarray(p), self.codes.shape, self.axis, self.block)
        zero = 0 if self.zero is None else spread(self.zero)
        real = (self.codes - zero).astype(np.float32) * spread(self.scale.astype(np.float32))
        if self.offset is not None:
            real = real + spread(self.offset)
        return real.astype(np.float32).reshape(self.shape)

    def parts(self):
        """Nodes that make the value "w", and initializers."""
        nodes, initializers, scale = [], [stored("c", self.kind, self.codes), numpy_helper.from_array(self.scale, "s")], "s"
        if self.scale.dtype == np.float16:
            nodes.append(helper.make_node("Cast", ["s"], ["s32"], to=TensorProto.FLOAT))
            scale = "s32"
        inputs, attributes = ["c", scale], {}
        if self.zero is not None:
            inputs.append("z")
            initializers.append(stored("z", self.kind, np.asarray(self.zero)))
        if self.axis is not None:
            attributes["axis"] = self.axis
        if self.block:
            attributes["block_size"] = self.block
        at = "w0" if self.offset is not None or self.shape != list(self.codes.shape) else "w"
        nodes.append(helper.make_node("DequantizeLinear", inputs, [at], **attributes))
        if self.offset is not None:
            shape = [] if self.axis is None else [-1 if i == self.axis else 1 for i in range(self.codes.ndim)]
            initializers.append(numpy_helper.from_array(self.offset.reshape(shape), "o"))
            after = "w1" if self.shape != list(self.codes.shape) else "w"
            nodes.append(helper.make_node("Add", [at, "o"], [after]))
            at = after
        if at != "w":
            initializers.append(numpy_helper.from_array(np.int64(self.shape), "r"))
            nodes.append(helper.make_node("Reshape", [at, "r"], ["w"]))
        return nodes, initializers


def network(weight, op):
    nodes, initializers = weight.parts()
    if op == "MatMul":
        x, y, attributes = [3, weight.shape[0]], [3, weight.shape[1]], {}
    elif op == "Gemm":
        x, y, attributes = [3, weight.shape[1]], [3, weight.shape[0]], {"transB": 1}
    else:
        x, y, attributes = [1, weight.shape[1], 6, 6], [1, weight.shape[0], 4, 4], {"kernel_shape": weight.shape[2:]}
    nodes.append(helper.make_node(op, ["x", "w"], ["y"], **attributes))
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "net", [info("x", x)], [info("y", y)], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model, x


def reference(op, x, w):
    if op == "MatMul":
        return x.astype(np.float64) @ w
    if op == "Gemm":
        return x.astype(np.float64) @ w.T.astype(np.float64)
    out = np.zeros((1, w.shape[0], 6 - w.shape[2] + 1, 6 - w.shape[3] + 1))
    for i, j in itertools.product(range(out.shape[2]), range(out.shape[3])):
        patch = x[0, :, i:i + w.shape[2], j:j + w.shape[3]].astype(np.float64)
        out[0, :, i, j] = np.tensordot(w, patch, 3)
    return out


def initializers(path):
    return {t.name: t for t in onnx.load(path).graph.initializer}


def check_file(path, weight, kind, x, wanted):
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 21)] and model.ir_version == 10, "opset or IR"
    tensors = initializers(path)
    assert tensors["w_quantized"].data_type == kind
    assert tensors["w_quantized"].raw_data == stored("", kind, weight.codes).raw_data, "codes"
    assert tensors["w_scale"].raw_data == weight.scale.tobytes(), "scales"
    if weight.zero is not None:
        assert tensors["w_zero_point"].raw_data == stored("", kind, np.asarray(weight.zero)).raw_data, "zero points"
    levels = onnxruntime.GraphOptimizationLevel
    for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
        got = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        error = np.abs(got - wanted).max() / np.abs(wanted).max()
        assert error < 1e-5, f"error {error:.2g} at level {level}"
    RAN[0] += 1


def check(resave, folder, rng, op, *description):
    weight = Weight(rng, *description)
    model, shape = network(weight, op)
    source, narrow, wide = (os.path.join(folder, f"quantized_{n}.onnx") for n in ("in", "out", "int8"))
    onnx.save(model, source)
    subprocess.run([resave, source, narrow, wide], check=True)
    x = rng.normal(size=shape).astype(np.float32)
    wanted = reference(op, x, weight.values())
    check_file(narrow, weight, weight.kind, x, wanted)
    check_file(wide, weight, weight.wide, x, wanted)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    onnxruntime.set_default_logger_severity(4)
    resave, folder = sys.argv[1:]
    rng = np.random.default_rng(1)
    failures = []
    shapes = {"MatMul": ([64, 5], [64, 5]), "Gemm": ([5, 64], [5, 64]), "Conv": ([4, 2, 3, 3], [4, 18])}
    for fmt, (op, (shape, codes)), scale, zero in itertools.product(FORMATS, shapes.items(), (np.float16, np.float32), (False, True)):
        reduce_axis, out_axis = (0, 1) if op == "MatMul" else (1, 0)
        # Per tensor, per output channel (the weight's own shape), in groups along the reduction axis (one shorter).
        for axis, block, code_shape in ((None, 0, shape), (out_axis, 0, shape), (reduce_axis, 16, codes)):
            for offset in (False, True) if fmt == "uint4" and not block and not zero else (False,):
                what = (fmt, shape, code_shape, axis, block, scale, zero, offset)
                try:
                    check(resave, folder, rng, op, *what)
                except Exception as e:  # every failure is listed, whatever it is
                    failures.append(f"{op} {what}: {e}")
    print("\n".join(failures))
    print(f"{RAN[0]} files ran, {len(failures)} failures")
    sys.exit(1 if failures or RAN[0] < 100 else 0)


if __name__ == "__main__":
    main()
