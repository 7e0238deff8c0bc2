#!/usr/bin/env python3
"""Writes the seeds of the fuzz target `run`: a small network for every operator, and the quantized forms that the Session
turns into integer arithmetic.

    make_run_corpus.py FOLDER        (Python's standard library only)
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "cli"))
from onnx_file import (BOOL, DOUBLE, FLOAT16, INT32, INT4, INT64, INT8, UINT4, UINT8, model, node, normal, tensor,  # noqa: E402
                       value)


def ints(name, *values):
    return tensor(name, [len(values)], values, INT64)


def one(op, shape, initializers=(), inputs=("x",), kind=1, outputs=("y",), opset=21, **attributes):
    names = list(inputs)
    return model([node(op, names, list(outputs), **attributes)], [value("x", shape, kind)], [value("y")], initializers, opset)


def quantized_product(op, x_kind, w_kind, per_channel, requantize):
    """x -> QuantizeLinear -> DequantizeLinear -> product of a quantized weight -> Relu [-> QuantizeLinear]."""
    conv = op == "Conv"
    shape = [2, 2, 3, 3] if conv else [4, 2] if op == "MatMul" else [2, 4]
    axis = 1 if op == "MatMul" else 0
    scale = tensor("ws", [2], [0.5, 0.25]) if per_channel else tensor("ws", [], [0.5])
    count = 36 if conv else 8
    nodes = [node("QuantizeLinear", ["x", "xs", "xz"], ["q"]), node("DequantizeLinear", ["q", "xs", "xz"], ["d"]),
             node("DequantizeLinear", ["wc", "ws"], ["w"], axis=axis)]
    init = [tensor("xs", [], [0.1]), tensor("xz", [], [3], x_kind), tensor("wc", shape, [i % 7 for i in range(count)], w_kind), scale,
            tensor("b", [2], [1, -1])]
    inputs = ["d", "w"] + ([] if op == "MatMul" else ["b"])
    attributes = {"pads": [1, 1, 1, 1]} if conv else {"transB": 1} if op == "Gemm" else {}
    nodes += [node(op, inputs, ["p"], **attributes), node("Relu", ["p"], ["r"])]
    if requantize:
        nodes += [node("QuantizeLinear", ["r", "xs", "xz"], ["q2"]), node("DequantizeLinear", ["q2", "xs", "xz"], ["y"])]
    return model(nodes, [value("x", [1, 2, 4, 4] if conv else ["N", 4])], [value("y" if requantize else "r")], init)


def seeds():
    image = ["N", 2, 5, 4]
    for op in ("Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Exp", "Log", "Sqrt", "Neg", "Abs", "Identity",
               "GlobalAveragePool", "GlobalMaxPool", "Shape", "Flatten", "Softmax", "Transpose"):
        yield op, one(op, image)
    yield "Neg_int", one("Neg", [3], kind=INT8)
    yield "Abs_int", one("Abs", [3], kind=INT64)
    yield "Clip", one("Clip", image, [tensor("lo", [], [0.0]), tensor("hi", [], [6.0])], ["x", "lo", "hi"])
    for op in ("Add", "Sub", "Mul", "Div", "Min", "Max"):
        yield op, one(op, image, [normal("w", [2, 1, 1])], ["x", "w"])
        yield op + "_int", one(op, [2, 3], [tensor("w", [3], [1, -1, 2], INT32)], ["x", "w"], INT32)
    yield "Conv", one("Conv", image, [normal("w", [4, 2, 3, 3]), normal("b", [4])], ["x", "w", "b"], pads=[1, 1, 1, 1], strides=[2, 1])
    yield "Conv_far", one("Conv", image, [normal("w", [4, 1, 1, 2])], ["x", "w"], group=2, pads=[2, 2, 2, 2], dilations=[1, 2])
    yield "Conv_1d", one("Conv", [1, 2, 6], [normal("w", [3, 2, 3])], ["x", "w"], auto_pad="SAME_UPPER")
    yield "Conv_3d", one("Conv", [1, 1, 3, 3, 3], [normal("w", [1, 1, 2, 2, 2])], ["x", "w"])
    yield "Conv_dynamic", model([node("Conv", ["x", "w"], ["y"])], [value("x", image), value("w", [2, 2, 2, 2])], [value("y")])
    bn = [normal(n, [4]) for n in ("g", "b", "m")] + [tensor("v", [4], [1, 2, 3, 4])]
    yield "BatchNormalization", model(
        [node("Conv", ["x", "w"], ["c"]), node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]), node("Relu", ["n"], ["y"])],
        [value("x", image)], [value("y")], bn + [normal("w", [4, 2, 2, 2])])
    for op in ("MaxPool", "AveragePool"):
        yield op, one(op, image, kernel_shape=[2, 2], strides=[2, 1], ceil_mode=1)
        yield op + "_pads", one(op, image, kernel_shape=[3, 3], pads=[1, 1, 2, 2], dilations=[1, 1])
    yield "MaxPool_indices", one("MaxPool", image, outputs=("y", "i"), kernel_shape=[2, 2], storage_order=1)
    yield "MatMul", one("MatMul", ["N", 3, 4], [normal("w", [4, 5])], ["x", "w"])
    yield "MatMul_int", one("MatMul", [2, 2], [tensor("w", [2], [1, 2], INT32)], ["x", "w"], INT32)
    yield "Gemm", one("Gemm", [2, 4], [normal("w", [5, 4]), normal("c", [1, 5])], ["x", "w", "c"], transB=1, alpha=0.5, beta=2.0)
    codes = tensor("q", [3, 2, 8], range(48), UINT8)
    yield "MatMulNBits", model(
        [node("MatMulNBits", ["x", "q", "s", "z"], ["y"], domain="com.microsoft", K=20, N=3, bits=4, block_size=16)], [value("x", [2, 20])],
        [value("y")], [codes, normal("s", [6]), tensor("z", [3], [1, 2, 3], UINT8)], domains=["com.microsoft"])
    yield "QuantizeLinear", model(
        [node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=1), node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=1)],
        [value("x", image)], [value("y")], [tensor("s", [2], [0.1, 0.2]), tensor("z", [2], [1, 2], UINT4)])
    yield "QuantizeLinear_blocked", model(
        [node("QuantizeLinear", ["x", "s"], ["q"], axis=1, block_size=2, output_dtype=INT4), node("Cast", ["q"], ["y"], to=1)],
        [value("x", [2, 4])], [value("y")], [tensor("s", [2, 2], [0.1, 0.2, 0.3, 0.4])])
    yield "Dropout", one("Dropout", image, [tensor("r", [], [0.5]), tensor("t", [], [0], BOOL)], ["x", "r", "t"], outputs=("y", "mask"))
    yield "Reshape", one("Reshape", image, [ints("s", 0, -1)], ["x", "s"])
    yield "Squeeze", one("Squeeze", [1, 3, 1], [ints("a", 0)], ["x", "a"])
    yield "Unsqueeze", one("Unsqueeze", [3], [ints("a", 0, -1)], ["x", "a"])
    yield "Concat", model([node("Concat", ["x", "w"], ["y"], axis=-3)], [value("x", [1, 2, 5, 4])], [value("y")], [normal("w", [1, 3, 5, 4])])
    yield "Slice", one("Slice", image, [ints("s", 4, 1), ints("e", -9, 3), ints("a", 2, -1), ints("t", -2, 1)], ["x", "s", "e", "a", "t"])
    for mode in ("constant", "reflect", "edge", "wrap"):
        yield "Pad_" + mode, one("Pad", image, [ints("p", 0, 0, 1, 2, 0, 0, -1, 3)], ["x", "p"], mode=mode)
    yield "Gather", one("Gather", image, [tensor("i", [2, 1], [1, -1], INT64)], ["x", "i"], axis=2)
    yield "Cast", one("Cast", [4], to=FLOAT16)
    yield "Cast_double", one("Cast", [4], kind=DOUBLE, to=INT8)
    # A chain of computed shapes, as exporters write it.
    yield "shape_chain", model(
        [node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]), node("Unsqueeze", ["n", "axis"], ["n1"]),
         node("Concat", ["n1", "rest"], ["target"], axis=0), node("Reshape", ["x", "target"], ["y"])],
        [value("x", image)], [value("y")], [tensor("zero", [], [0], INT64), ints("axis", 0), ints("rest", -1)])
    # A shortcut with Slice and Pad beside a convolution, poolings and a concatenation: what layouts move through.
    yield "shortcut", model(
        [node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]), node("Slice", ["x", "s", "e", "a", "t"], ["h"]),
         node("Pad", ["h", "p"], ["hp"]), node("Add", ["c", "hp"], ["sum"]), node("Relu", ["sum"], ["r"]),
         node("MaxPool", ["r"], ["m"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]), node("Concat", ["r", "m"], ["y"], axis=1)],
        [value("x", [1, 2, 4, 4])], [value("y")],
        [normal("w", [4, 2, 3, 3]), ints("s", 0, 0), ints("e", 9, 9), ints("a", 2, 3), ints("t", 2, 2), ints("p", 0, 1, 0, 0, 0, 1, 0, 0)])
    for op in ("Conv", "Gemm", "MatMul"):
        yield "integer_" + op, quantized_product(op, UINT8, INT4, True, True)
        yield "integer_%s_signed" % op, quantized_product(op, INT8, INT8, False, False)
        yield "integer_%s_narrow" % op, quantized_product(op, UINT4, UINT4, True, True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, content in seeds():
        with open(os.path.join(sys.argv[1], name + ".onnx"), "wb") as f:
            f.write(content)


if __name__ == "__main__":
    main()
