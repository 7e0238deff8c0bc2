#!/usr/bin/env python3
"""scripts/new writes pieces that compile, and refuses what it should. Usage: new_test.py SOURCE_DIR COMPILER"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

source, compiler = pathlib.Path(sys.argv[1]), sys.argv[2]


def new(root, *arguments):
    return subprocess.run([sys.executable, source / "scripts/new", *arguments, "--root", root], capture_output=True, text=True)


with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    shutil.copytree(source / "src", root / "src")
    for kind in ("format", "clip", "round", "prepare", "operator", "command"):
        name = f"sample_{kind}"
        made = new(root, kind, name)
        assert made.returncode == 0, made.stderr
        files = [root / line.split()[1] for line in made.stdout.splitlines() if line.startswith("wrote")]
        assert len(files) == 2 and all(f.exists() for f in files), made.stdout
        tables = [f for f in (root / "src").rglob("*.def") if name in f.read_text()]
        assert len(tables) == 1, tables
        for file in files:
            if file.suffix == ".py":
                compile(file.read_text(), file, "exec")
                continue
            done = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion", "-Werror",
                                   "-I", root / "src", "-I", source / "include", file], capture_output=True, text=True)
            assert done.returncode == 0, f"{file}:\n{done.stderr}"
        again = new(root, kind, name)
        assert again.returncode != 0 and "already" in again.stderr, again.stderr
    assert new(root, "clip", "minmax").returncode != 0, "what exists is refused"
    assert new(root, "clip", "Not-Snake").returncode != 0
    assert new(root, "attic", "x").returncode != 0
print("six kinds of pieces begin, and nothing that exists is replaced")
