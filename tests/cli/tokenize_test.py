#!/usr/bin/env python3
"""nibble tokenize: tokens of a text as a table or as numbers, whole or by line, and what it refuses."""
import json

from harness import check, finish, refused, run, succeeds, write

BYTES = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
ALPHABET = [chr(b) for b in BYTES] + [chr(256 + n) for n in range(256 - len(BYTES))]
SPACE = "\u0120"  # GPT-2's character for it


def tokenizer(alphabet=ALPHABET, **model):
    tokens = alphabet + ["ab", SPACE + "a", "<s>"]
    return json.dumps({
        "added_tokens": [{"id": len(tokens) - 1, "content": "<s>", "special": True}], "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
                           "special_tokens": {"<s>": {"ids": [len(tokens) - 1]}}},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(tokens)}, "merges": [["a", "b"], [SPACE, "a"]], **model}})


net = write("tokenizer.json", tokenizer())
at = {c: ALPHABET.index(c) for c in "abc"}  # "ab" is merged before " a" could be
ids = succeeds("tokenize", net, "--text", "ab abc", "--ids", "--quiet")
check(ids.out == f"258 256 {ALPHABET.index(SPACE)} 256 {at['c']}\n", ids)
check(ids.err == "", ids)
check(succeeds("tokenize", net, "--text", "ab", "--ids", "--no-special").out == "256\n", "--no-special leaves BOS out")
check(succeeds("tokenize", net, "--text", "<s>", "--ids", "--parse-special").out == "258 258\n", "--parse-special finds control tokens")
table = succeeds("tokenize", net, "--text", "ab\n")
check("256  \"ab\"" in table.out and "special" in table.out and "\\x0a" in table.out, table)
check("3" in table.err, table)
lines = succeeds("tokenize", net, "--file", write("lines.txt", b"ab\n\nab\xff\n"), "--lines", "--ids", "--no-special", "--quiet")
replacement = " ".join(str(ALPHABET.index(c)) for c in "\u00ef\u00bf\u00bd")
check(lines.out == f"256\n\n256 {replacement}\n", lines)

poor = write("poor.json", tokenizer([c for c in ALPHABET if c != "c"]))
dropped = succeeds("tokenize", poor, "--text", "abcc", "--ids", "--no-special")
check(dropped.out == "255\n" and "2 bytes or characters" in dropped.err, dropped)

refused(2, "tokenize", net, says="neither --text nor --file")
refused(2, "tokenize", write("x.txt", "x"), "--text", "a", says="no vocabulary that nibble knows")
refused(4, "tokenize", write("w.json", tokenizer(type="WordPiece")), "--text", "a", says="WordPiece")
refused(3, "tokenize", write("broken.json", "{"), "--text", "a", says="malformed")
refused(5, "tokenize", "missing.json", "--text", "a", says="")
check(run("tokenize", "--help").status == 0, "--help works")
finish()
