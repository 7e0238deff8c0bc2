#!/usr/bin/env python3
"""The float networks score what onnxruntime measured on the same files. Usage: accuracy_test.py NIBBLE DATA_FOLDER
Exact where nothing is resized: the decoders agree bit for bit and no answer of these networks is a near tie."""
import json
import pathlib
import subprocess
import sys
import tempfile

import networks

nibble, folder = sys.argv[1], pathlib.Path(sys.argv[2])
failures = 0
with tempfile.TemporaryDirectory() as work:
    report = pathlib.Path(work) / "report.json"
    for network in networks.NETWORKS:
        for data, (right, of) in network.scores.items():
            subprocess.run([nibble, "eval", folder / "models" / f"{network.name}.onnx", "--data", folder / data, "--no-latency", "--quiet", "--json", report, "--force",
                            *networks.flags(network, folder, data)], check=True, stdout=subprocess.DEVNULL)
            got = json.loads(report.read_text())["accuracy"]["after"]
            ok = (got["top1"], got["samples"]) == (right, of)
            failures += not ok
            print(f"{'ok  ' if ok else 'FAIL'} {network.name} on {data}: {got['top1']} of {got['samples']}, expected {right} of {of}", flush=True)
sys.exit(1 if failures else 0)
