#!/usr/bin/env python3
"""Writes the ONNX backend node tests into a folder, for tests/interop/node_tests.cpp.

    make_node_tests.py FOLDER

A case NAME becomes FOLDER/NAME/model.onnx with input_I.pb and output_I.pb (TensorProto). FOLDER/index.tsv has a line for
each case: name, relative and absolute tolerance, number of inputs, number of outputs. -1 stands for a number where an
input or output is no tensor (a sequence, an optional); those have no .pb files.
"""
import os
import sys
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def as_tensor(value):
    """The TensorProto of one input or output, or None where it is no tensor of numbers."""
    if isinstance(value, onnx.TensorProto):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return numpy_helper.from_array(np.asarray(value))
    return None


def write_values(folder, kind, values):
    """Writes KIND_I.pb; returns how many, or -1 where one of them is no tensor."""
    tensors = [as_tensor(v) for v in values]
    if any(t is None for t in tensors):
        return -1
    for i, tensor in enumerate(tensors):
        with open(os.path.join(folder, f"{kind}_{i}.pb"), "wb") as f:
            f.write(tensor.SerializeToString())
    return len(tensors)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = sys.argv[1]
    warnings.simplefilter("ignore")  # some cases divide by zero on purpose
    lines = []
    for case in sorted(collect_testcases(None), key=lambda c: c.name):
        folder = os.path.join(target, case.name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "model.onnx"), "wb") as f:
            f.write(case.model.SerializeToString())
        inputs, outputs = case.data_sets[0]
        counts = write_values(folder, "input", inputs), write_values(folder, "output", outputs)
        lines.append(f"{case.name}\t{case.rtol}\t{case.atol}\t{counts[0]}\t{counts[1]}\n")
    with open(os.path.join(target, "index.tsv"), "w") as f:
        f.writelines(lines)
    print(f"{len(lines)} cases in {target}")


if __name__ == "__main__":
    main()
