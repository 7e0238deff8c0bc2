"""Compares tokens with those of PyPI's tokenizers and sentencepiece: on the vocabularies of real models, on small ones trained
here with other options, and on every named pre-tokenizer. Equal or a failure.

usage: tokenizers_test.py TOKENIZE_TEXTS FOLDER SHARED_LM
"""
import io
import json
import pathlib
import struct
import subprocess
import sys
import unicodedata

import sentencepiece
import texts as corpus
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PROGRAM, FOLDER, DATA = sys.argv[1], pathlib.Path(sys.argv[2]) / "tokenizers", pathlib.Path(sys.argv[3])
failures = []


def packed(texts):
    return b"".join(struct.pack("<I", len(t)) + t for t in (t if isinstance(t, bytes) else t.encode() for t in texts))


def call(arguments, texts=()):
    done = subprocess.run([PROGRAM, *map(str, arguments)], input=packed(texts), capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def ours(model, texts, special=False):
    """For each text its tokens and what they decode to, or a message in place of the tokens."""
    data, at, out = call([model] + (["special"] if special else []), texts), 0, []

    def number():
        nonlocal at
        at += 4
        return struct.unpack_from("<i", data, at - 4)[0]
    for _ in texts:
        count = number()
        ids = list(struct.unpack_from(f"<{max(count, 0)}i", data, at))
        at += 4 * len(ids)
        length = number()
        text = data[at:at + length].decode()
        at += length
        out.append((ids, text) if count >= 0 else (text, None))
    assert at == len(data)
    return out


def report(name, texts, expected, got, decoded=None):
    wrong = [i for i in range(len(texts)) if got[i][0] != expected[i]]
    wrong_text = [i for i in range(len(texts)) if decoded and got[i][1] != decoded[i] and i not in wrong]
    for what, places in (("tokens", wrong), ("decoded text", wrong_text)):
        for i in places[:3]:
            want = expected[i] if what == "tokens" else decoded[i]
            have = got[i][0] if what == "tokens" else got[i][1]
            at = next((k for k in range(min(len(want), len(have))) if want[k] != have[k]), min(len(want), len(have)))
            failures.append(f"{name}: {what} of text {i} {texts[i][:80]!r}: {have[max(0, at - 3):at + 5]!r}, not {want[max(0, at - 3):at + 5]!r}")
        if places:
            failures.append(f"{name}: {len(places)} of {len(texts)} texts have other {what}")
    print(f"{name:<42} {len(texts):>6} texts {sum(map(len, expected)):>9} tokens  {'DIFFER' if wrong or wrong_text else 'equal'}", flush=True)


def as_text(texts):
    return [t.decode("utf-8", "replace") if isinstance(t, bytes) else t for t in texts]


def compare_with_tokenizers(name, model, theirs, texts, text_too=True):
    """Special tokens in the text stay text, and then become tokens with BOS and EOS around."""
    plain = as_text(texts)
    theirs.no_truncation()
    theirs.no_padding()
    for special in (False, True):
        theirs.encode_special_tokens = not special
        expected = [e.ids for e in theirs.encode_batch(plain, add_special_tokens=special)]
        decoded = [theirs.decode(ids) for ids in expected] if text_too else None
        report(name + (", special" if special else ""), texts, expected, ours(model, texts, special), decoded)


def compare_with_sentencepiece(name, model, theirs, texts):
    plain = as_text(texts)
    report(name, texts, [theirs.encode(t) for t in plain], ours(model, texts))


def read_gguf(path):
    """The metadata of a GGUF file, by its specification."""
    stream, plain = io.BytesIO(path.read_bytes()), "BbHhIif?"

    def value(kind):
        if kind < 8:
            return struct.unpack("<" + plain[kind], stream.read(struct.calcsize(plain[kind])))[0]
        if kind == 8:
            return stream.read(struct.unpack("<Q", stream.read(8))[0]).decode()
        if kind == 9:
            inner, count = struct.unpack("<IQ", stream.read(12))
            return [value(inner) for _ in range(count)]
        return struct.unpack({10: "<Q", 11: "<q", 12: "<d"}[kind], stream.read(8))[0]
    _, _, _, pairs = struct.unpack("<4sIQQ", stream.read(24))
    out = {}
    for _ in range(pairs):
        key = value(8)
        out[key] = value(struct.unpack("<I", stream.read(4))[0])
    return out


def tokenizer_of_gguf(path, patterns, ignore_merges):
    """The tokenizer that a byte-level vocabulary in GGUF stands for, put together by hand."""
    keys = read_gguf(path)
    tokens = keys["tokenizer.ggml.tokens"]
    merges = [tuple(m.split(" ")) for m in keys["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges, ignore_merges=ignore_merges))
    steps = [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    types = keys["tokenizer.ggml.token_type"]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, types) if k == 3])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t, k in zip(tokens, types) if k == 4])
    if keys.get("tokenizer.ggml.add_bos_token", ignore_merges):
        bos = keys["tokenizer.ggml.bos_token_id"]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{tokens[bos]} $A", special_tokens=[(tokens[bos], bos)])
    return tokenizer


def patterns():
    rows = call(["--patterns"]).decode().rstrip("\n").split("\n\n")
    return {row.split("\n")[0]: row.split("\n")[1:] for row in rows}


def words_of(arguments, texts):
    data, at, out = call(arguments, texts), 0, []
    for _ in texts:
        count, at = struct.unpack_from("<i", data, at)[0], at + 4
        out.append([])
        for _ in range(count):
            length, at = struct.unpack_from("<i", data, at)[0], at + 4
            out[-1].append(data[at:at + length].decode())
            at += length
    return out


def check_classes():
    """Every character that Unicode 14 knows is in the same classes of regular expressions here and there."""
    characters = [chr(c) for c in range(1, sys.maxunicode + 1) if corpus.is_known(chr(c))]
    for pattern in (r"\s", r"\S", r"\w", r"\W", r"\d", r"\D", r"[\w\s]", r"[^\w\s]", r"\p{L}", r"\p{M}", r"\p{N}", r"\p{P}", r"\p{S}", r"\p{Lu}", r"\p{Lt}",
                    r"\p{Lm}", r"\p{Lo}", r"\p{Ll}", r"\P{L}", r"[^\r\n\p{L}\p{N}]", r"\p{Han}", r"(?i:s)", r"(?i:k)"):
        theirs = pre_tokenizers.Split(Regex(f"{pattern}b"), "isolated")  # a match is what is not cut before the b
        want = [len(theirs.pre_tokenize_str(f"a{c}b")) == 2 for c in characters]
        got = [len(words) == 2 for words in words_of(["--split", f"{pattern}b"], [f"a{c}b" for c in characters])]
        wrong = [c for c, w, g in zip(characters, want, got) if w != g]
        if wrong or not any(want):
            failures.append(f"class {pattern}: {len(wrong)} characters differ, such as {wrong[:5]!r}")
        print(f"class {pattern:<36} {len(characters):>6} characters, {sum(want)} in it  {'DIFFER' if wrong else 'equal'}", flush=True)


def check_forms():
    """Normalization forms C and D of every character, alone and with marks behind it, are those of Python's unicodedata."""
    characters = [chr(c) for c in range(1, sys.maxunicode + 1) if corpus.is_known(chr(c))]
    marks = [c for c in characters if unicodedata.combining(c)]
    texts = characters + [a + marks[(i * 7) % len(marks)] + marks[(i * 31) % len(marks)] for i, a in enumerate(characters)]
    texts += [a + b for a in "AaEeOoUu\u1100\uac00\u0627\u0915\u09c7\u3042\u1b05" for b in marks + list("\u1161\u11a8\u3099\u09be\u1b35")]
    for form in "CD":
        wrong = [t for t, words in zip(texts, words_of(["--form", form], texts)) if words != [unicodedata.normalize("NF" + form, t)]]
        if wrong:
            failures.append(f"form {form}: {len(wrong)} texts differ, such as {wrong[:5]!r}")
        print(f"form {form:<37} {len(texts):>6} texts {'DIFFER' if wrong else 'equal'}", flush=True)


def check_pretokenizers(rows, texts):
    """Every named pre-tokenizer cuts as a Split with its expressions does there."""
    seen = set()
    for name, expressions in rows.items():
        if tuple(expressions) in seen:
            continue
        seen.add(tuple(expressions))
        theirs = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(p), "isolated") for p in expressions])
        wrong = words = 0
        for text, got in zip(texts, words_of(["--words", name], texts)):
            want = [w for w, _ in theirs.pre_tokenize_str(text)] if text else []
            words += len(want)
            if got != want:
                wrong += 1
                k = next(k for k in range(max(len(got), len(want))) if got[k:k + 1] != want[k:k + 1])
                failures.append(f"pre-tokenizer {name}: {text[:60]!r}: {got[k:k + 2]!r}, not {want[k:k + 2]!r}") if wrong < 4 else None
        print(f"pre-tokenizer {name:<28} {len(texts):>6} texts {words:>9} words   {'DIFFER' if wrong else 'equal'}", flush=True)


def check_trained_tokenizers(training, texts):
    """Small vocabularies with options that the models at hand do not use."""
    def make(name, trainer=None, **parts):
        tokenizer = Tokenizer(models.BPE(**parts.pop("model", {})))
        for part, value in parts.items():
            if part != "added":
                setattr(tokenizer, part, value)
        tokenizer.train_from_iterator(training, trainers.BpeTrainer(vocab_size=900, show_progress=False, **(trainer or {})))
        for token in parts.get("added", ()):
            (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        path = FOLDER / f"{name}.json"
        tokenizer.save(str(path))
        compare_with_tokenizers("trained " + name, path, Tokenizer.from_file(str(path)), texts, text_too=False)
    unknown = {"model": {"unk_token": "<unk>"}, "trainer": {"special_tokens": ["<unk>"]}}
    replace = decoders.Replace("\u2581", " ")
    bytes_alphabet = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()}
    make("metaspace", pre_tokenizer=pre_tokenizers.Metaspace(), decoder=decoders.Metaspace(), **unknown)
    make("metaspace-first", pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first"), decoder=decoders.Metaspace(prepend_scheme="first"),
         added=[AddedToken("the", single_word=True, normalized=False), AddedToken("[X]", special=True, lstrip=True, rstrip=True)], **unknown)
    make("metaspace-whole", pre_tokenizer=pre_tokenizers.Metaspace(split=False), decoder=decoders.Metaspace(), **unknown)
    make("whitespace-fused", pre_tokenizer=pre_tokenizers.Whitespace(), decoder=decoders.Fuse(), model={"unk_token": "<unk>", "fuse_unk": True},
         trainer={"special_tokens": ["<unk>"], "limit_alphabet": 60})
    make("words-digits-punctuation", pre_tokenizer=pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Punctuation("contiguous")]),
        decoder=decoders.Fuse(), normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.Strip()]), **unknown)
    for behavior in ("merged_with_previous", "merged_with_next", "removed", "contiguous"):
        make("split-" + behavior, pre_tokenizer=pre_tokenizers.Split(Regex(r"[\s\d]"), behavior), decoder=decoders.Fuse(), **unknown)
    make("split-inverted", pre_tokenizer=pre_tokenizers.Split(Regex(r"\w+"), "removed", invert=True), decoder=decoders.Fuse(), **unknown)
    make("byte-level-prefix", pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True), decoder=decoders.ByteLevel(), trainer=bytes_alphabet,
         added=[AddedToken("\u00e9l", normalized=True), AddedToken("<|x|>", special=True, normalized=False)])
    make("byte-level-nfc", pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False), decoder=decoders.ByteLevel(), normalizer=normalizers.NFC(),
         trainer=bytes_alphabet)
    make("replaced", normalizer=normalizers.Sequence([normalizers.Replace(Regex(r" {2,}"), "\u2581"), normalizers.Prepend("\u2581")]),
         decoder=decoders.Sequence([replace, decoders.Fuse(), decoders.Strip(" ", 1, 0)]), pre_tokenizer=pre_tokenizers.WhitespaceSplit(), **unknown)


def check_trained_sentencepiece(training, texts):
    for name, options in {
            "plain": {}, "bytes": {"byte_fallback": True}, "no-prefix": {"add_dummy_prefix": False}, "spaces": {"remove_extra_whitespaces": False},
            "user-defined": {"user_defined_symbols": ["<sep>", "ing", "\u65e5\u672c"], "byte_fallback": True, "remove_extra_whitespaces": False},
            "few": {"character_coverage": 0.98}}.items():
        prefix = FOLDER / f"sp-{name}"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(line for t in training for line in t.split("\n") if line.strip()), model_prefix=str(prefix), model_type="bpe",
            vocab_size=1200, normalization_rule_name="identity", max_sentence_length=100000, minloglevel=2, hard_vocab_limit=False,
            **({"character_coverage": 0.995} | options))
        theirs = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
        # Characters below U+0020 and the marks of the library itself are separators to its trainer and processor alike.
        compare_with_sentencepiece("sentencepiece " + name, f"{prefix}.model", theirs, texts)
        call(["--gguf", f"{prefix}.model", f"{prefix}.gguf"])
        compare_with_sentencepiece("sentencepiece " + name + ", GGUF", f"{prefix}.gguf", theirs, texts)


def check_models(rows, texts):
    """The vocabularies of models."""
    tokenizers, lm = DATA / "tokenizers", DATA / "models"
    gpt2 = Tokenizer(models.BPE.from_file(str(tokenizers / "gpt2/vocab.json"), str(tokenizers / "gpt2/merges.txt")))
    gpt2.pre_tokenizer, gpt2.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    gpt2.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    for model in (tokenizers / "gpt2/vocab.json", tokenizers / "ggml-vocab-gpt-2.gguf"):
        compare_with_tokenizers(f"gpt-2 {model.suffix}", model, gpt2, texts)
    for name, ignore_merges in (("llama-bpe", True), ("qwen2", False), ("deepseek-coder", False)):
        path = tokenizers / f"ggml-vocab-{name}.gguf"
        # That tokenizer spells single bytes as added tokens and decodes them as bytes, even where the text had the letter.
        compare_with_tokenizers(name, path, tokenizer_of_gguf(path, rows[name], ignore_merges), texts, name != "deepseek-coder")
    path = tokenizers / "smollm2-tokenizer.json"
    compare_with_tokenizers("smollm2", path, Tokenizer.from_file(str(path)), texts)
    path = lm / "glassllm-en"
    compare_with_tokenizers("glassllm-en", path, Tokenizer.from_file(str(path / "tokenizer.json")), texts)
    for name in ("stories260K", "tale-5M"):
        theirs = Tokenizer.from_file(str(lm / name / "tokenizer.json"))
        for model in (lm / name / "tokenizer.json", lm / name):
            compare_with_tokenizers(f"{name} {model.name}", model, theirs, texts)
        for model in (lm / name / "tokenizer.model", next(lm.glob(f"{name}-*.gguf"))):
            compare_with_sentencepiece(f"{name} {model.suffix}", model,
                                       sentencepiece.SentencePieceProcessor(model_file=str(lm / name / "tokenizer.model")), texts)
    llama2 = sentencepiece.SentencePieceProcessor(model_file=str(tokenizers / "llama2/tokenizer.model"))
    for model in (tokenizers / "llama2/tokenizer.model", tokenizers / "ggml-vocab-llama-spm.gguf"):
        compare_with_sentencepiece(f"llama-spm {model.suffix}", model, llama2, texts)


def check_written(texts):
    """Vocabularies written to GGUF say what those of llama.cpp's converter say, and give the same tokens."""
    for source, reference in (("models/stories260K", "models/stories260K-f32.gguf"), ("models/tale-5M", "models/tale-5M-bf16.gguf")):
        written = FOLDER / (pathlib.Path(source).name + ".gguf")
        call(["--gguf", DATA / source, written])
        have, want = read_gguf(written), read_gguf(DATA / reference)
        for key in want:
            if key.startswith("tokenizer.") and key != "tokenizer.ggml.add_sep_token" and have.get(key) != want[key]:
                failures.append(f"{source} written to GGUF: {key} is {str(have.get(key))[:80]}, not {str(want[key])[:80]}")
        # The same without its scores, which the merges stand in for.
        call(["--gguf", DATA / source / "tokenizer.json", FOLDER / "merges.gguf"])
        theirs = sentencepiece.SentencePieceProcessor(model_file=str(DATA / source / "tokenizer.model"))
        compare_with_sentencepiece(f"{source} from merges, GGUF", FOLDER / "merges.gguf", theirs, texts)
    for source in ("tokenizers/smollm2-tokenizer.json", "tokenizers/gpt2/vocab.json", "tokenizers/ggml-vocab-llama-bpe.gguf"):
        written = FOLDER / "written.gguf"
        call(["--gguf", DATA / source, written])
        report(f"{source} through GGUF", texts, [ids for ids, _ in ours(DATA / source, texts)], ours(written, texts))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    pages = corpus.manual_pages(160_000)
    words, others = corpus.count_words(pages)
    print(f"{len(pages)} manual pages with {words} words, {others} of them not in Latin script; Unicode {unicodedata.unidata_version}")
    if words < 100_000 or others < 20_000:
        failures.append(f"the manual pages have {words} words, {others} of them not in Latin script: too few")
    short = corpus.edge_texts() + corpus.random_texts(3000) + corpus.broken_texts(500)
    rows = patterns()
    check_forms()
    check_classes()
    check_pretokenizers(rows, pages + as_text(short))
    if DATA.exists():
        files = [p.read_text() for p in sorted((DATA / "text").glob("*")) if p.name in ("code-emoji.txt", "multilingual-udhr.txt", "alice-excerpt-curly.txt")]
        check_models(rows, pages + files + short)
        check_written(pages + short)
    else:
        print(f"no {DATA}: the vocabularies of models are left out")
    training = corpus.manual_pages(30_000, seed=7)
    some = corpus.manual_pages(20_000, seed=8) + short
    check_trained_tokenizers(training, some)
    check_trained_sentencepiece(training, some)
    print("\n".join(failures[:80]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
