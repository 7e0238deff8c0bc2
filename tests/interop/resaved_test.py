#!/usr/bin/env python3
"""Saves the ONNX backend node tests again, at nibble's canonical opset, and runs the result in onnxruntime.

    resaved_test.py RESAVE FOLDER     (FOLDER as make_node_tests.py wrote it)

For every case that nibble can read: onnx.checker accepts the written file (full_check) unless it refuses the original
too, and onnxruntime gives the expected outputs from it, or the same as from the original file. So every upgrade rule and
every attribute is checked by two readers that are not ours.
"""
import collections
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

RANDOM = "bernoulli"  # cases whose output is random


def accepted(path):
    try:
        onnx.checker.check_model(path, full_check=True)
        return ""
    except Exception as e:  # the checker raises several unrelated types
        return str(e)[:300]


def load(folder, kind, count):
    values = []
    for i in range(count):
        with open(f"{folder}/{kind}_{i}.pb", "rb") as f:
            values.append(numpy_helper.to_array(onnx.TensorProto.FromString(f.read())))
    return values


def run(path, inputs):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {info.name: value for info, value in zip(session.get_inputs(), inputs)})


def attempt(path, inputs):
    try:
        return run(path, inputs), ""
    except Exception as e:
        return None, str(e)[:300]


def equal(got, wanted, rtol, atol):
    if got is None or len(got) != len(wanted):
        return False
    for a, b in zip(got, wanted):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if not np.allclose(a.astype(np.float64), b.astype(np.float64), rtol=rtol, atol=atol, equal_nan=True):
            return False
    return True


def check(folder, rtol, atol, inputs, outputs):
    """The outcome of one case, and what is wrong with it."""
    name = os.path.basename(folder)
    problem = accepted(f"{folder}/resaved.onnx")
    if problem and not accepted(f"{folder}/model.onnx"):
        return "refused by the checker", problem
    if inputs < 0 or outputs < 0 or RANDOM in name:
        return "not compared", ""
    feeds = load(folder, "input", inputs)
    got, problem = attempt(f"{folder}/resaved.onnx", feeds)
    if equal(got, load(folder, "output", outputs), rtol, atol):
        return "as expected", ""
    original, original_problem = attempt(f"{folder}/model.onnx", feeds)
    if original is None and original_problem:
        return "onnxruntime runs neither file", ""
    if equal(got, original, 0, 0):
        return "as onnxruntime's own", ""
    return "different", problem or "other values"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    onnxruntime.set_default_logger_severity(4)
    subprocess.run([sys.argv[1], "--folder", sys.argv[2]], check=True)
    counts, errors = collections.Counter(), []
    with open(f"{sys.argv[2]}/index.tsv") as f:
        for line in f:
            name, rtol, atol, inputs, outputs = line.rstrip("\n").split("\t")
            folder = f"{sys.argv[2]}/{name}"
            if not os.path.exists(f"{folder}/resaved.onnx"):
                continue
            outcome, problem = check(folder, float(rtol), float(atol), int(inputs), int(outputs))
            counts[outcome] += 1
            if outcome in ("different", "refused by the checker"):
                errors.append(f"{name}: {outcome}: {problem}")
    print("\n".join(errors))
    print(", ".join(f"{n} {outcome}" for outcome, n in counts.most_common()))
    sys.exit(1 if errors or counts["as expected"] < 1000 else 0)


if __name__ == "__main__":
    main()
