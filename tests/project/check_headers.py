#!/usr/bin/env python3
"""Every header compiles on its own. Usage: check_headers.py SOURCE_DIR COMPILER GENERATED_INCLUDE_DIR"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

source, compiler, generated = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
headers = sorted(p for folder in ("src", "include", "tests/support") for p in (source / folder).rglob("*.h"))


def compile_alone(header):
    done = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-x", "c++", "-I", source / "src", "-I", source / "include",
                           "-I", source / "tests", "-I", generated, f'-DNIBBLE_SOURCE_DIR="{source}"', "-include", header, os.devnull],
                          capture_output=True, text=True)
    return header, done.returncode, done.stderr


with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    results = list(pool.map(compile_alone, headers))
failed = [r for r in results if r[1] != 0]
for header, _, errors in failed:
    print(f"{header} does not compile on its own:\n{errors}")
print(f"{len(results) - len(failed)} of {len(results)} headers compile on their own")
sys.exit(1 if failed or not results else 0)
