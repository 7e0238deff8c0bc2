#!/usr/bin/env python3
"""Writes the seeds of the fuzz target `run`: a small network for every operator, and the quantized forms that the Session
turns into integer arithmetic.

    make_run_corpus.py FOLDER        (Python's standard library only)
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "cli"))
from onnx_file import (BOOL, DOUBLE, FLOAT16, INT32, INT4, INT64, INT8, UINT4, UINT8, model, node, normal, subgraph,  # noqa: E402
                       tensor, value)


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
    yield from more_seeds(image)
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


def more_seeds(image):
    """Operators of networks that are no image classifiers."""
    for op in ("Sign", "Floor", "Ceil", "Round", "Reciprocal", "Sin", "Asin", "Erf", "Softplus", "Mish", "Selu", "Celu", "Shrink", "Swish", "Gelu",
               "ThresholdedRelu", "IsNaN", "IsInf", "LogSoftmax", "Hardmax", "Size", "NonZero", "ArgMax", "ReduceMean", "ReduceLogSumExp", "ReduceMax"):
        yield op, one(op, image)
    yield "Not", one("Not", [3], kind=BOOL)
    yield "ReduceSum", one("ReduceSum", image, [ints("a", -1, 1)], ["x", "a"], keepdims=0)
    yield "ReduceProd_int", one("ReduceProd", [2, 3], kind=INT64)
    for op in ("Pow", "Mod", "PRelu", "Sum", "Mean", "Equal", "Less", "GreaterOrEqual"):
        yield op, one(op, image, [normal("w", [2, 1, 1])], ["x", "w"], **({"fmod": 1} if op == "Mod" else {}))
    for op in ("Pow", "Mod", "BitwiseAnd"):
        yield op + "_int", one(op, [2, 3], [tensor("w", [3], [1, -1, 2], INT32)], ["x", "w"], INT32)
    yield "BitShift", one("BitShift", [3], [tensor("w", [3], [1, 200, 2], UINT8)], ["x", "w"], UINT8, direction="LEFT")
    yield "Where", model([node("Where", ["c", "x", "w"], ["y"])], [value("c", [3, 1], BOOL), value("x", [3])], [value("y")], [normal("w", [3, 3])])
    yield "CastLike", one("CastLike", [4], [tensor("w", [1], [1], INT64)], ["x", "w"])
    for op, size in (("InstanceNormalization", [2]), ("GroupNormalization", [2])):
        yield op, one(op, image, [normal("s", size), normal("b", size)], ["x", "s", "b"], **({"num_groups": 2} if op[0] == "G" else {}))
    yield "LayerNormalization", one("LayerNormalization", image, [normal("s", [5, 4]), normal("b", [5, 4])], ["x", "s", "b"], outputs=("y", "m", "v"), axis=2)
    yield "RMSNormalization", one("RMSNormalization", image, [normal("s", [4])], ["x", "s"], opset=23)
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        weights = [normal("w", [2, gates * 3, 2]), normal("r", [2, gates * 3, 3]), normal("b", [2, gates * 6]), tensor("l", [2], [1, 4], INT32)]
        yield op, one(op, [4, 2, 2], weights, ["x", "w", "r", "b", "l"], outputs=("y", "h"), direction="bidirectional", hidden_size=3)
    yield "LSTM_peephole", one("LSTM", [2, 3, 2], [normal("w", [1, 8, 2]), normal("r", [1, 8, 2]), normal("h", [2, 1, 2]), normal("p", [1, 6])],
                               ["x", "w", "r", "", "", "h", "h", "p"], outputs=("y", "yh", "yc"), layout=1, input_forget=1, clip=1.5)
    yield "GRU_reset", one("GRU", [3, 1, 2], [normal("w", [1, 6, 2]), normal("r", [1, 6, 2])], ["x", "w", "r"], direction="reverse", linear_before_reset=1)
    yield "ConvTranspose", one("ConvTranspose", image, [normal("w", [2, 2, 3, 2]), normal("b", [4])], ["x", "w", "b"], group=2, strides=[2, 1],
                               pads=[1, 0, 0, 1], output_padding=[1, 0], dilations=[1, 2])
    yield "ConvTranspose_shape", one("ConvTranspose", [1, 2, 4], [normal("w", [2, 1, 3])], ["x", "w"], strides=[3], output_shape=[10])
    for mode in ("nearest", "linear", "cubic"):
        yield "Resize_" + mode, one("Resize", image, [tensor("s", [4], [1, 1, 1.5, 0.6])], ["x", "", "s"], mode=mode)
        yield "Resize_sizes_" + mode, one("Resize", image, [ints("s", 3, 7)], ["x", "", "", "s"], mode=mode, axes=[3, 2], antialias=int(mode != "nearest"),
                                          coordinate_transformation_mode="align_corners", keep_aspect_ratio_policy="not_larger")
    yield "Resize_crop", one("Resize", [1, 1, 3, 3], [tensor("r", [8], [0, 0, .2, .3, 1, 1, .9, 1.2]), ints("s", 1, 1, 2, 4)], ["x", "r", "", "s"],
                             mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=3.0)
    yield "GatherElements", one("GatherElements", [3, 2], [tensor("i", [2, 2], [0, -1, 2, 1], INT64)], ["x", "i"])
    yield "GatherND", one("GatherND", [2, 2, 3], [tensor("i", [2, 1], [1, -2], INT64)], ["x", "i"], batch_dims=1)
    yield "ScatterElements", one("ScatterElements", [3, 2], [tensor("i", [1, 2], [0, -1], INT64), normal("u", [1, 2])], ["x", "i", "u"], reduction="add")
    yield "ScatterND", one("ScatterND", [3, 2], [tensor("i", [2, 1], [0, -1], INT64), normal("u", [2, 2])], ["x", "i", "u"], reduction="max")
    yield "Expand", one("Expand", [2, 1], [ints("s", 3, 1, 4)], ["x", "s"])
    yield "Tile", one("Tile", [2, 3], [ints("r", 2, 0)], ["x", "r"])
    yield "Split", one("Split", image, [ints("s", 1, 4)], ["x", "s"], outputs=("y", "z"), axis=2)
    yield "Split_equal", one("Split", image, outputs=("y", "z", "u"), axis=-2, num_outputs=3)
    yield "DepthToSpace", one("DepthToSpace", [1, 8, 2, 3], blocksize=2, mode="CRD")
    yield "SpaceToDepth", one("SpaceToDepth", [1, 2, 4, 6], blocksize=2)
    yield "ConstantOfShape", model([node("ConstantOfShape", ["x"], ["y"], value=tensor("v", [1], [7], INT64))], [value("x", [2], INT64)], [value("y")])
    yield "Range", model([node("Range", ["a", "b", "d"], ["y"])], [value("a", [])], [value("y")], [tensor("b", [], [3.5]), tensor("d", [], [0.5])])
    yield "EyeLike", one("EyeLike", [3, 4], k=1, dtype=INT64)
    yield "OneHot", one("OneHot", [3], [tensor("d", [], [4], INT64), tensor("v", [2], [0, 1])], ["x", "d", "v"], INT64, axis=0)
    yield "Trilu", one("Trilu", [3, 4], [tensor("k", [], [-1], INT64)], ["x", "k"], upper=0)
    yield "CumSum", one("CumSum", [3, 4], [tensor("a", [], [-1], INT64)], ["x", "a"], reverse=1, exclusive=1)
    yield "TopK", one("TopK", [3, 4], [ints("k", 2)], ["x", "k"], outputs=("y", "i"), axis=0, largest=0)
    condition = [value("c", [], BOOL), value("x", [3])]
    yes = subgraph([node("Add", ["x", "w"], ["s"])], ["s"])
    no = subgraph([node("Neg", ["x"], ["n"]), node("Mul", ["n", "k"], ["m"])], ["m"], [normal("k", [1])])
    yield "If", model([node("If", ["c"], ["t"], then_branch=yes, else_branch=no), node("Relu", ["t"], ["y"])], condition, [value("y")], [normal("w", [3])])
    nested = subgraph([node("If", ["d"], ["r"], then_branch=yes, else_branch=no)], ["r"], [tensor("d", [], [1], BOOL)])
    yield "If_nested", model([node("If", ["c"], ["y"], then_branch=nested, else_branch=no)], condition, [value("y")], [normal("w", [3])])
    shapes = subgraph([node("NonZero", ["x"], ["p"]), node("Cast", ["p"], ["q"], to=1)], ["q"])
    yield "If_shapes", model([node("If", ["c"], ["y"], then_branch=shapes, else_branch=no)], condition, [value("y")])
    yield "If_known", model([node("Identity", ["x"], ["x2"]), node("If", ["t"], ["y"], then_branch=subgraph([node("Abs", ["x2"], ["a"])], ["a"]), else_branch=no)],
                            condition[1:], [value("y")], [tensor("t", [], [1], BOOL)])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, content in seeds():
        with open(os.path.join(sys.argv[1], name + ".onnx"), "wb") as f:
            f.write(content)


if __name__ == "__main__":
    main()
