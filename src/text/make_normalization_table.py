#!/usr/bin/env python3
"""Writes src/text/normalization_table.cpp: Unicode's canonical decompositions and combining classes, as Python knows them.

    python3 src/text/make_normalization_table.py > src/text/normalization_table.cpp
"""
import sys
import unicodedata


def rows(items, per_line):
    items = list(items)
    return "\n".join("    " + " ".join(items[i:i + per_line]) for i in range(0, len(items), per_line))


def main():
    pairs, classes, starts = [], [], []
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        text = unicodedata.decomposition(char)
        if text and not text.startswith("<"):
            parts = [int(part, 16) for part in text.split()] + [0]
            composes = len(parts) == 3 and unicodedata.normalize("NFC", char) == char
            pairs.append(f"{{0x{code:X}, 0x{parts[0]:X}, 0x{parts[1]:X}, {'true' if composes else 'false'}}},")
        combining = unicodedata.combining(char)
        if combining:
            if classes and classes[-1][1] == code - 1 and classes[-1][2] == combining:
                classes[-1][1] = code
            else:
                classes.append([code, code, combining])
    print(f"// Made by src/text/make_normalization_table.py from Unicode {unicodedata.unidata_version}: do not edit.")
    print('#include "text/normalization_table.h"\n\nnamespace nibble::text {\n')
    print("// clang-format off")
    print(f"const CanonicalPair kCanonicalPairs[{len(pairs)}] = {{\n{rows(pairs, 4)}\n}};")
    print(f"const size_t kCanonicalPairCount = {len(pairs)};\n")
    ranges = [f"{{0x{a:X}, 0x{b:X}, {c}}}," for a, b, c in classes]
    print(f"const CombiningRange kCombiningRanges[{len(ranges)}] = {{\n{rows(ranges, 6)}\n}};")
    print(f"const size_t kCombiningRangeCount = {len(ranges)};")
    print("// clang-format on\n\n}  // namespace nibble::text")


main()
