#!/usr/bin/env python3
"""Writes an untrained network for digits of 28 x 28 pixels, for training from scratch: Conv, BatchNormalization and Relu in blocks, strides
instead of pools, GlobalAveragePool and Gemm.

    .venv/bin/python bench/make_digits.py OUT.onnx [--channels 12 24 48] [--tiny]

Weights are what `--from-scratch` replaces: here zeros, so that nobody takes them for trained. --tiny is a network of 4,392 weights that a test
trains in seconds.
"""
import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES, SIZE = 10, 28


class Builder:
    def __init__(self):
        self.nodes, self.constants, self.weights = [], [], 0

    def constant(self, name, shape, value):
        self.constants.append(numpy_helper.from_array(np.full(shape, value, np.float32), name))
        return name

    def block(self, x, name, inputs, outputs, size, stride=1, groups=1):
        """Conv, BatchNormalization, Relu."""
        w = self.constant(f"{name}.weight", (outputs, inputs // groups, size, size), 0)
        self.weights += outputs * inputs // groups * size * size
        pads = [size // 2] * 4
        self.nodes.append(helper.make_node("Conv", [x, w], [f"{name}.conv"], f"{name}.conv", strides=[stride] * 2, pads=pads, group=groups))
        norm = [self.constant(f"{name}.{k}", (outputs,), v) for k, v in (("gamma", 1), ("beta", 0), ("mean", 0), ("variance", 1))]
        self.nodes.append(helper.make_node("BatchNormalization", [f"{name}.conv", *norm], [f"{name}.norm"], f"{name}.norm"))
        self.nodes.append(helper.make_node("Relu", [f"{name}.norm"], [f"{name}.out"], f"{name}.relu"))
        return f"{name}.out"

    def head(self, x, channels):
        self.nodes.append(helper.make_node("GlobalAveragePool", [x], ["pooled"], "pool"))
        self.nodes.append(helper.make_node("Flatten", ["pooled"], ["features"], "flatten"))
        self.weights += CLASSES * channels
        w, b = self.constant("classify.weight", (CLASSES, channels), 0), self.constant("classify.bias", (CLASSES,), 0)
        self.nodes.append(helper.make_node("Gemm", ["features", w, b], ["logits"], "classify", transB=1))


def network(channels):
    b = Builder()
    x = b.block("image", "stem", 1, channels[0], 5, stride=2)
    for i, (c, following) in enumerate(zip(channels, [*channels[1:], None])):
        x = b.block(x, f"stage{i}.same", c, c, 3)
        if following:
            x = b.block(x, f"stage{i}.down", c, following, 3, stride=2)
    b.head(x, channels[-1])
    graph = helper.make_graph(b.nodes, "digits", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIZE, SIZE])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])], b.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="bench/make_digits.py", ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model, b.weights


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--channels", nargs="+", type=int, default=[12, 24, 48])
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    model, weights = network([8, 16] if options.tiny else options.channels)
    onnx.save(model, options.out)
    print(f"{options.out}: {weights} weights")


if __name__ == "__main__":
    main()
