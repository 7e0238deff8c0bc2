#!/usr/bin/env python3
"""Runs the commands of the README and compares what they print with what stands there.

usage: run_examples.py SOURCE NIBBLE [--write]

A block that begins with ```console holds commands, on lines that start with `$ nibble`, each followed by its output
(stdout and stderr together). All blocks of a file run in order in one temporary folder, which holds the files of
examples/glyphs. A line `...` stands for any number of lines. --write puts what the program prints now in the place of
what stood there (blocks with `...` keep it).

What is compared, line by line, after runs of spaces have become one:
  - times, and all that follows from them (1.8 x faster, p90 / p99), predicted and measured memory, measured or estimated
    energy, numbers of threads, p-values and the version's commit are masked: they belong to the machine or to one run;
  - sizes of files, bits a weight and all words must be the same;
  - other decimals (accuracies, divergences, decibels) may differ by 5 % or by 0.15, other whole numbers by 2: float
    convolutions round differently on other instruction sets, which moves a few answers.
"""
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

MASKS = [
    (r"latency p50.*|p90 / p99.*", "LATENCY"), (r"energy an inference .*", "ENERGY"), (r"energy from .*", "ENERGY SOURCE"),
    (r"(about|predicted) [0-9.]+ (ns|us|µs|ms|s|min)\b", "about TIME"), (r"\b[0-9.]+ (ns|us|µs|ms|s|min)\b(?! about)", "TIME"),
    (r"[0-9.]+ [kMG]?B of memory", "MEMORY"), (r"memory in nibble .*", "MEMORY"), (r"\b[0-9]+ threads?\b", "THREADS"),
    (r"p = [0-9.e-]+", "p = P"), (r"(nibble [0-9.]+) \([0-9a-z]+\)", r"\1 (COMMIT)"), (r"[▁-█░]+", ""),
]
EXACT = re.compile(r"[0-9][0-9.,]* ?(?:[kMG]?B\b|bits a weight|times smaller|x smaller)|bits a weight .*|[+-]?[0-9]*\.?[0-9]+(?:e-?[0-9]+)?")


def masked(line):
    for pattern, text in MASKS:
        line = re.sub(pattern, text, line)
    return re.sub(r"\s+", " ", line).strip()


def same_number(a, b):
    try:
        x, y = float(a), float(b)
    except ValueError:  # with a unit: exact
        return a == b
    if "." in a or "." in b:
        return abs(x - y) <= max(0.15, 0.05 * max(abs(x), abs(y)))
    return abs(x - y) <= 2


def same_line(expected, found):
    expected, found = masked(expected), masked(found)
    if EXACT.sub("#", expected) != EXACT.sub("#", found):
        return False
    return all(same_number(a, b) for a, b in zip(EXACT.findall(expected), EXACT.findall(found)))


def same_text(expected, found):
    """Whether the lines agree; an expected `...` stands for any number of lines."""
    if not expected:
        return not found
    if expected[0].strip() == "...":
        return any(same_text(expected[1:], found[i:]) for i in range(len(found) + 1))
    return bool(found) and same_line(expected[0], found[0]) and same_text(expected[1:], found[1:])


def self_test():
    """A comparison that cannot fail is none."""
    assert same_text(["a  1.50 dB   0.3 s"], ["a 1.52 dB 0.9 s"])
    assert not same_text(["a 1.50 dB"], ["a 1.70 dB"])
    assert not same_text(["file 85.7 kB"], ["file 85.8 kB"])
    assert not same_text(["4.05 bits a weight"], ["4.06 bits a weight"])
    assert not same_text(["a"], ["a", "b"]) and not same_text(["a", "b"], ["a"]) and not same_text(["a"], ["b"])
    assert same_text(["a", "...", "c"], ["a", "b", "b", "c"]) and not same_text(["...", "c"], ["a"])
    assert same_text(["8 lost, 4 won (p = 0.39)"], ["7 lost, 4 won (p = 0.55)"])
    assert not same_text(["8 lost, 4 won"], ["80 lost, 4 won"])
    assert not same_text(["nibble: error: x; y"], ["nibble: error: x"])


def split(block):
    """[(command, [output lines])]; empty lines at either end of an output do not count."""
    runs = []
    for line in block.splitlines():
        if line.startswith("$ "):
            runs.append((line[2:], []))
        elif runs:
            runs[-1][1].append(line)
        elif line.strip():
            raise SystemExit(f"a console block begins with output: {line}")
    return [(command, strip(lines)) for command, lines in runs]


def strip(lines):
    lines = [line.rstrip() for line in lines]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def run(command, nibble, folder):
    words = shlex.split(command)
    if words[:1] != ["nibble"]:
        raise SystemExit(f"only `$ nibble ...` can be run, not: {command}")
    done = subprocess.run([nibble, *words[1:]], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    return strip(done.stdout.splitlines())


def check(document, nibble, example, write):
    text, faults, count = document.read_text(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        for path in example.iterdir():
            if path.suffix in {".onnx", ".json", ".zip"}:
                shutil.copy(path, folder)

        def block(match):
            nonlocal count
            new = []
            for command, expected in split(match[1]):
                found = run(command, nibble, folder)
                count += 1
                same = same_text(expected, found)
                if not same:
                    faults.append(f"$ {command}\n--- {document.name} says\n" + "\n".join(expected) + "\n--- it prints\n" + "\n".join(found))
                keep = same or any(line.strip() == "..." for line in expected)
                new.append("\n".join([f"$ {command}"] + (expected if keep else found)))
            return "```console\n" + "\n\n".join(new) + "\n```"

        updated = re.sub(r"```console\n(.*?)\n```", block, text, flags=re.S)
    if write and updated != text:
        document.write_text(updated)
    return faults, count


def main(source, nibble, write):
    self_test()
    source = pathlib.Path(source)
    faults, count = [], 0
    for document in [source / "README.md", source / "docs/guide.md"]:
        found, ran = check(document, pathlib.Path(nibble).resolve(), source / "examples/glyphs", write)
        faults += found
        count += ran
    print("\n\n".join(faults) if faults else f"{count} commands print what the documents say")
    if count == 0:
        print("no commands were found")
    return 0 if count and (write or not faults) else 1


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    if len(arguments) != 2:
        raise SystemExit(__doc__)
    sys.exit(main(*arguments, "--write" in sys.argv))
