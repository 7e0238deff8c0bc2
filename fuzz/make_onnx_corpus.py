#!/usr/bin/env python3
"""Writes the seeds of the fuzz target `onnx`: small networks that together use everything its reader looks at.

    make_onnx_corpus.py FOLDER        (needs PyPI's onnx and numpy)
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def info(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs, outputs, initializers=(), opset=21, functions=(), domains=(), **extra):
    graph = helper.make_graph(list(nodes), "net", inputs, outputs, list(initializers))
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    m = helper.make_model(graph, opset_imports=imports, functions=list(functions), **extra)
    m.ir_version = helper.find_min_ir_version_for(imports, True)
    return m


def raw(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def packed(name, kind, dims, data, typed=False):
    if not typed:
        return helper.make_tensor(name, kind, dims, bytes(data), raw=True)
    t = TensorProto(name=name, data_type=kind, dims=dims)
    t.int32_data.extend(data)
    return t


def seeds():
    x, y = info("x", ["N", 4]), info("y", None)
    f = np.float32

    yield "add", model([helper.make_node("Add", ["x", "w"], ["y"])], [x], [y], [raw("w", f([1, 2, 3, 4]))])
    typed = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], float_data=[1, 2, 3, 4])
    yield "typed", model([helper.make_node("Add", ["x", "w"], ["y"])], [x], [y], [typed])

    def weight(kind, axis, block, zero):
        nodes = [helper.make_node("Cast", ["s"], ["sf"], to=TensorProto.FLOAT),
                 helper.make_node("DequantizeLinear", ["c", "sf"] + (["z"] if zero else []), ["w"], axis=axis, block_size=block),
                 helper.make_node("MatMul", ["x", "w"], ["y"])]
        scale_shape = [2, 2] if block else [2]
        init = [packed("c", kind, [4, 2], range(4)), raw("s", np.ones(scale_shape, np.float16))]
        if zero:
            init.append(packed("z", kind, scale_shape, [0x11] * ((int(np.prod(scale_shape)) + 1) // 2), typed=True))
        return model(nodes, [x], [y], init)

    yield "int4_blocked", weight(TensorProto.INT4, 0, 2, False)
    yield "uint4_channel_zero", weight(TensorProto.UINT4, 1, 0, True)
    yield "uint4_blocked_zero", weight(TensorProto.UINT4, 0, 2, True)
    yield "minmax_reshape", model(
        [helper.make_node("DequantizeLinear", ["c", "s"], ["d"], axis=0), helper.make_node("Add", ["d", "o"], ["e"]),
         helper.make_node("Reshape", ["e", "r"], ["w"]), helper.make_node("Conv", ["x", "w"], ["y"])],
        [info("x", [1, 1, 4, 4])], [y],
        [packed("c", TensorProto.UINT4, [2, 4], range(4)), raw("s", f([1, 2])), raw("o", f([[1], [2]])), raw("r", np.int64([2, 1, 2, -1]))])

    half = lambda shape: np.full(shape, 0x21, np.uint8)
    packed_nodes = [helper.make_node("Cast", ["s"], ["sf"], to=TensorProto.FLOAT)]
    product = helper.make_node("MatMulNBits", ["x", "b", "sf", "z"], ["y"], domain="com.microsoft", K=4, N=2, bits=4, block_size=16)
    yield "nbits", model(packed_nodes + [product], [x], [y], [raw("b", half([2, 1, 8])), raw("s", np.ones([2, 1], np.float16)), raw("z", half([2, 1]))], domains=["com.microsoft"])
    table = helper.make_node("GatherBlockQuantized", ["d", "i", "sf", "z"], ["y"], domain="com.microsoft", block_size=16)
    rows = info("i", [2], TensorProto.INT64)
    yield "table", model(packed_nodes + [table], [rows], [y], [packed("d", TensorProto.UINT4, [2, 18], range(18)), raw("s", np.ones([2, 2], np.float16)),
                                                             packed("z", TensorProto.UINT4, [2, 2], range(2))], domains=["com.microsoft"])
    yield "byte_table", model(packed_nodes + [table], [rows], [y], [raw("d", half([2, 9])), raw("s", np.ones([2, 2], np.float16)), raw("z", half([2, 1]))], domains=["com.microsoft"])

    body = helper.make_graph([helper.make_node("Add", ["x", "w"], ["b"])], "body", [], [info("b", None)])
    yield "if", model([helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)],
                      [x, info("c", [], TensorProto.BOOL)], [y], [raw("w", f([1]))])
    function = helper.make_function("f", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["t"]),
                                    helper.make_node("LeakyRelu", ["t"], ["b"])], [helper.make_opsetid("", 21)], ["alpha"])
    function.node[1].attribute.add(name="alpha", type=onnx.AttributeProto.FLOAT, ref_attr_name="alpha")
    yield "function", model([helper.make_node("Twice", ["x"], ["y"], domain="f", alpha=0.25)], [x], [y], functions=[function], domains=["f"])

    old = {
        "pad": helper.make_node("Pad", ["x"], ["y"], pads=[0, 0, 1, 1], value=1.0),
        "slice": helper.make_node("Slice", ["x"], ["y"], starts=[0], ends=[1], axes=[1]),
        "clip": helper.make_node("Clip", ["x"], ["y"], min=0.0, max=6.0),
        "softmax": helper.make_node("Softmax", ["x"], ["y"], axis=0),
        "squeeze": helper.make_node("Squeeze", ["x"], ["y"], axes=[0]),
        "upsample": helper.make_node("Upsample", ["x"], ["y"], scales=[1.0, 2.0], mode="nearest"),
        "dropout": helper.make_node("Dropout", ["x"], ["y", "mask"], ratio=0.5),
        "split": helper.make_node("Split", ["x"], ["y", "z"], axis=1, split=[2, 2]),
        "topk": helper.make_node("TopK", ["x"], ["y", "i"], k=1),
        "batchnorm": helper.make_node("BatchNormalization", ["x", "w", "w", "w", "w"], ["y", "m", "v"], epsilon=1e-5),
        "constant": helper.make_node("Constant", [], ["y"], value=raw("", f([1, 2]))),
    }
    for name, node in old.items():
        yield "opset8_" + name, model([node], [x], [y], [raw("w", f([1, 1, 1, 1]))], opset=8)
    yield "cycle", model([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])], [x], [info("b", None)])
    external = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "../w.bin"), ("offset", "0"), ("length", "16")):
        external.external_data.add(key=key, value=value)
    yield "external", model([helper.make_node("Add", ["x", "w"], ["y"])], [x], [y], [external])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, m in seeds():
        with open(os.path.join(sys.argv[1], name + ".onnx"), "wb") as f:
            f.write(m.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
