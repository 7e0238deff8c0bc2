#!/usr/bin/env python3
"""Links in the documents lead to files and headings that exist. Usage: check_links.py SOURCE"""
import pathlib
import re
import sys


def anchors(path):
    """GitHub's anchors of a page's headings."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)}


def faults_of(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    faults = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        page = (path.parent / file) if file else path
        if not page.exists():
            faults.append(f"{path}: {target} is not there")
        elif anchor and page.suffix == ".md" and anchor not in anchors(page):
            faults.append(f"{path}: {target}: no such heading")
    # Names of files in backquotes that look like paths of the tree must exist too.
    for name in re.findall(r"`((?:src|docs|scripts|tests|examples|include|cmake|bench|fuzz)/[\w./-]+)`", text):
        if not (ROOT / name).exists() and not re.search(r"\b(NAME|FAMILY|ISA)\b", name):
            faults.append(f"{path}: `{name}` is not there")
    return faults


ROOT = pathlib.Path(sys.argv[1])
pages = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
found = [fault for page in pages for fault in faults_of(page)]
print("\n".join(found) if found else f"every link of {len(pages)} pages leads somewhere")
sys.exit(1 if found or len(pages) < 5 else 0)
