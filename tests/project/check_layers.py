#!/usr/bin/env python3
"""The house keeps its floors: includes go down only, third-party headers stay in the room that owns them, and source
files stay small. The table is that of docs/architecture.md. Usage: check_layers.py SOURCE_DIR"""
import pathlib
import re
import sys

USES = {
    "base": [], "tensor": ["base"], "codec": ["tensor"], "kernels": ["codec"], "fit": ["kernels"],
    "graph": ["codec"], "ops": ["graph", "kernels"], "runtime": ["ops"], "arch": ["graph"], "io": ["arch", "graph"],
    "model": ["runtime", "io"], "text": ["io"], "generate": ["runtime", "text"], "data": ["io", "text"],
    "quant": ["model", "fit"], "eval": ["model", "data", "generate"], "tune": ["quant", "eval"],
    "train": ["quant", "eval"], "api": ["quant", "eval"],
    "cli": ["api", "quant", "eval", "data", "model", "tune", "train", "generate"],
}
OWNERS = {  # regular expression of a header -> rooms that may include it
    r"google/protobuf/|\.pb\.h$": {"io"}, r"^(oneapi/)?dnnl": {"ops"}, r"^nlohmann/": {"io"}, r"^CLI/": {"cli"},
    r"^(png|zlib|zip|archive|archive_entry|turbojpeg|jpeglib)\.h$|^openssl/": {"io"}, r"^Eigen/": {"fit"}, r"^torch/": {"train"}, r"^fmt/": {"eval", "cli"},
    r"^omp\.h$": {"ops"}, r"^pcre2\.h$": {"text"},
}
MOST_LINES = 500
GENERATED_OR_TABLES = re.compile(r"\.def$|_table\.cpp$")


def closure(room):
    below, queue = set(), list(USES[room])
    while queue:
        r = queue.pop()
        if r not in below:
            below.add(r)
            queue += USES[r]
    return below


def check(source):
    faults = []
    for path in sorted(source.rglob("*")):
        if path.suffix not in {".h", ".cpp", ".def"}:
            continue
        room = path.relative_to(source).parts[0]
        if room not in USES:
            faults.append(f"{path}: {room} is not a room of the house")
            continue
        lines = path.read_text().splitlines()
        if len(lines) > MOST_LINES and not GENERATED_OR_TABLES.search(path.name):
            faults.append(f"{path}: {len(lines)} lines, at most {MOST_LINES}")
        allowed = closure(room) | {room}
        for number, line in enumerate(lines, 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^">]+)[">]', line)
            if not match:
                continue
            header = match[2]
            for pattern, rooms in OWNERS.items():
                if re.search(pattern, header) and room not in rooms:
                    faults.append(f"{path}:{number}: <{header}> belongs to {', '.join(sorted(rooms))}")
            if match[1] == '"' and "/" in header and not header.startswith("nibble/"):
                other = header.split("/")[0]
                if other in USES and other not in allowed:
                    faults.append(f"{path}:{number}: {room} includes {header}, which is not below it")
    return faults


def self_test():
    """A check that cannot fail is no check."""
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for room, text in {"base": '#include "graph/graph.h"\n', "cli": "#include <dnnl.hpp>\n", "graph": "\n" * 501, "attic": "\n"}.items():
            (root / room).mkdir()
            (root / room / "a.h").write_text(text)
        faults = check(root)
        assert len(faults) == 4, faults


if __name__ == "__main__":
    self_test()
    found = check(pathlib.Path(sys.argv[1]) / "src")
    print("\n".join(found) if found else "every include goes down, every file is small enough")
    sys.exit(1 if found else 0)
