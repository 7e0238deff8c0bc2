"""Makes the seeds of fuzz/corpus/tokenizer_json and fuzz/corpus/tokenizer_model: small vocabularies with every kind of step,
and files with one thing wrong.

    python fuzz/make_tokenizer_corpus.py
"""
import json
import struct
from pathlib import Path

HERE = Path(__file__).parent / "corpus"


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([0x80 | value & 0x7F]), value >> 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value & (1 << 64) - 1)


def nested(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def piece(text, score, kind):
    return nested(1, nested(1, text.encode()) + varint(2 << 3 | 5) + struct.pack("<f", score) + number(3, kind))


def model(pieces, trainer=number(3, 2), normalizer=b""):
    return b"".join(pieces) + nested(2, trainer) + nested(3, normalizer)


def make_models():
    special = [piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("</s>", 0, 3)]
    words = [piece(t, -i, 1) for i, t in enumerate(("\u2581H", "el", "lo", "\u2581", "H", "e", "l", "o", ","))]
    fallback = [piece(f"<0x{b:02X}>", 0, 6) for b in range(256)]
    seeds = {
        "plain": model(special + words),
        "bytes": model(special + fallback + words),
        "some_bytes": model(special + fallback[:9] + words),
        "unused": model(special + [piece("el", 0, 5), piece("12", 0, 4)] + words[:1] + words[2:]),
        "no_prefix": model(special + words, normalizer=number(3, 0) + number(4, 0)),
        "unigram": model(special + words, trainer=number(3, 1)),
        "map": model(special + words, normalizer=nested(2, b"xyz")),
        "twice": model(special + words + words),
        "ids": model(special + words, trainer=number(3, 2) + number(41, 1000) + number(43, -1)),
        "not_finite": model(special + [piece("x", float("nan"), 1)]),
        "truncated": model(special + words)[:-9],
    }
    folder = HERE / "tokenizer_model"
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds.items():
        (folder / f"{name}.model").write_bytes(seed)


def make_json():
    vocab = {t: i for i, t in enumerate(("<unk>", "<s>", "H", "e", "l", "o", "He", "lo", "\u2581", "\u2581H", "1", "2", "\u0120", "<0x0A>"))}
    space = {"String": " "}

    def file(normalizer=None, pre=None, decoder=({"type": "Fuse"},), added=(), **options):
        tokenizer = {
            "added_tokens": [{"id": 1, "content": "<s>", "special": True, "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False}, *added],
            "normalizer": {"type": "Sequence", "normalizers": normalizer or []}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": pre or []},
            "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
                               "special_tokens": {"<s>": {"ids": [1]}}},
            "decoder": {"type": "Sequence", "decoders": list(decoder)},
            "model": {"type": "BPE", "unk_token": "<unk>", "vocab": vocab, "merges": [["H", "e"], ["l", "o"], ["\u2581", "H"]], **options}}
        return json.dumps(tokenizer, ensure_ascii=False).encode()
    seeds = {
        "characters": file(),
        "bytes": file(pre=[{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": False}],
                      decoder=[{"type": "ByteLevel"}], ignore_merges=True),
        "prefix": file(pre=[{"type": "ByteLevel", "add_prefix_space": True}], decoder=[{"type": "ByteLevel"}]),
        "llama": file(normalizer=[{"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": space, "content": "\u2581"}],
                      decoder=[{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                               {"type": "Strip", "content": " ", "start": 1, "stop": 0}], byte_fallback=True, fuse_unk=True),
        "metaspace": file(pre=[{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}],
                          decoder=[{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}]),
        "split": file(normalizer=[{"type": "NFC"}, {"type": "NFD"}, {"type": "Strip"}],
                      pre=[{"type": "Split", "pattern": {"Regex": "\\s+|\\p{Han}"}, "behavior": "MergedWithNext", "invert": False},
                           {"type": "Punctuation"}, {"type": "Whitespace"}]),
        "removed": file(pre=[{"type": "Split", "pattern": {"Regex": "[^\\s]+(?!\\d)"}, "behavior": "Removed", "invert": True},
                             {"type": "Split", "pattern": space, "behavior": "Contiguous"}]),
        "added": file(added=[{"id": 20, "content": "e", "single_word": True, "lstrip": True, "rstrip": True, "normalized": True, "special": False}]),
        "slow": file(pre=[{"type": "Split", "pattern": {"Regex": "(a|aa|.)+$"}, "behavior": "Isolated"}]),
        "wordpiece": file(type="WordPiece"),
        "merge": file(merges=["He lo"]),
        "hole": file(vocab={"a": 1 << 40, "<unk>": 0}),
        "truncated": file()[:-30],
    }
    folder = HERE / "tokenizer_json"
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds.items():
        (folder / f"{name}.json").write_bytes(seed)


if __name__ == "__main__":
    make_models()
    make_json()
