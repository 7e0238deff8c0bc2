"""Texts for comparisons of tokenizers: Debian's manual pages in eight languages, code, emoji, random characters of all
scripts, and bytes that are not UTF-8."""
import gzip
import pathlib
import random
import re
import sys
import unicodedata

LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


def is_known(char):
    """Libraries differ in what they know of characters that newer versions of Unicode added: those are left out."""
    return unicodedata.category(char) not in ("Cn", "Cs")


def manual_pages(characters_each, seed=1):
    """About that many characters of each language, in whole pages."""
    texts = []
    for language in ("de", "es", "fr", "ja", "pl", "ru", "zh_CN", "zh_TW", "."):
        pages = sorted(pathlib.Path("/usr/share/man", language).glob("man[1-8]/*.gz"))
        if language == ".":
            pages = [p for p in pages if p.parent.name in ("man2", "man3", "man7")]
        if not pages:
            sys.exit(f"no manual pages in {language}: scripts/setup test installs them (dpkg must not exclude /usr/share/man)")
        random.Random(seed).shuffle(pages)
        left = characters_each
        for page in pages:
            if left <= 0:
                break
            text = gzip.decompress(page.read_bytes()).decode("utf-8", "replace")
            if not text.startswith(".so "):
                texts.append("".join(c for c in text[:left] if is_known(c)))
                left -= len(texts[-1])
    return texts


def count_words(texts):
    """Words, and those of them without a Latin letter but with another one. Scripts that write no spaces count two
    characters as a word."""
    words = others = 0
    for text in texts:
        for word in text.split():
            letters = [c for c in word if c.isalpha()]
            if not letters:
                continue
            foreign = [c for c in letters if not LATIN.match(c)]
            dense = sum(c >= "\u3040" for c in foreign)
            n = max(1, dense // 2)
            words += n
            if len(foreign) > len(letters) / 2:
                others += n
    return words, others


def random_texts(count, seed=2):
    """Characters of every script and kind, spaces, digits, quotes, apostrophes and line ends in any order."""
    chooser = random.Random(seed)
    everything = [chr(c) for c in range(1, sys.maxunicode) if is_known(chr(c))]
    common = list(" \t\n\r'\"0123456789abcXYZ.,;:!?-_/\\()[]{}<>@#$%&*+=|~^`") + ["  ", "\n\n", "\r\n", " '", "'s", "'LL", "'\u017f",
              "\u00a0", "\u3000", "\u200b", "\u200d", "\ufe0f", "\U0001f600", "\u0301", "\u2581", "\u180e", "\x85", "\u00df", "\u4e00"]
    texts = []
    for _ in range(count):
        rare = chooser.choice([0.0, 0.2, 0.9])
        texts.append("".join(chooser.choice(everything if chooser.random() < rare else common) for _ in range(chooser.randrange(1, 60))))
    return texts


def edge_texts():
    flag, family = "\U0001f1e9\U0001f1ea", "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    return ["", " ", "  ", "\n", "\t\n \r\n", "a", " a", "a ", "  a  b  ", "\u2581", "\u2581\u2581 x", "\x00", "a\x00b", "\ufeffx", "e\u0301", "\u00e9",
            "\uac00", "\u1100\u1161\u11a8", "\u0344", "\u212b", flag, family, "\U0001f44d\U0001f3fd", "1234567890", "3.14159", "\u0663\u0664", "\u2167\u00bd",
            "x" * 3000, " " * 3000, "ab" * 2000, "\u4e00" * 1500, "\n" * 500, "\u0301" * 200, "<s>", "</s> <unk> <s>hi</s>", "<0x0A>", "<|endoftext|>",
            " <|endoftext|> ", "<|im_start|>user\nhi<|im_end|>\n", "<|begin_of_text|>", "def f(x):\n    return x + 1\n\n\tif x: pass\n",
            "for (int i = 0; i < n; ++i) { a[i] += b[i] * 2; }", "I'm you're it's WE'LL they'd 'tis", "\u201cquotes\u201d \u2018and\u2019 \u2014 dashes",
            "https://example.org/?q=1&r=%20", "caf\u00e9 na\u00efve \u0141\u00f3d\u017a", "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35"]


def broken_texts(count, seed=3):
    """Bytes that are not UTF-8."""
    chooser = random.Random(seed)
    texts = [b"\xff", b"a\x80b", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xf0\x80\x80\x41", b"\xe2\x28\xa1",
             b"\xf8\x88\x80\x80\x80", b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"]
    for _ in range(count):
        text = bytearray("Gr\u00fc\u00dfe \u65e5\u672c\u8a9e \U0001f600 \u043f\u0440\u0438\u0432\u0435\u0442".encode())
        for _ in range(chooser.randrange(1, 6)):
            text[chooser.randrange(len(text))] = chooser.randrange(256)
        texts.append(bytes(text))
    return texts
