"""Makes the seeds in fuzz/corpus/ of the readers of images and arrays (the ONNX seeds have a script of their own).

    python fuzz/make_corpus.py

Needs nothing but Python; the images and arrays are those of tests/data/expected.
"""
import gzip
import io
import json
import shutil
import struct
import zipfile
from pathlib import Path

HERE = Path(__file__).parent / "corpus"
EXPECTED = Path(__file__).parent.parent / "tests" / "data" / "expected"


def folder(name):
    path = HERE / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def zipped(files, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(info, data)
    return out.getvalue()


def main():
    for path in sorted(EXPECTED.iterdir()):
        if path.suffix in (".jpg", ".png"):
            shutil.copyfile(path, folder("image") / path.name)
        if path.name.startswith("array_") or path.suffix == ".npz":
            shutil.copyfile(path, folder("npy") / path.name)

    picture = (EXPECTED / "grey1.png").read_bytes()
    seeds = folder("zip")
    (seeds / "stored.zip").write_bytes(zipped({"a/1.png": picture, "b/2.png": picture, "notes.txt": b"hello"}))
    (seeds / "deflated.zip").write_bytes(zipped({"a.txt": b"hello " * 300, "b.txt": b""}, zipfile.ZIP_DEFLATED))
    (seeds / "empty.zip").write_bytes(zipped({}))
    (seeds / "bomb.zip").write_bytes(zipped({"zeros": bytes(3 << 20)}, zipfile.ZIP_DEFLATED))
    (seeds / "text.gz").write_bytes(gzip.compress(b"hello " * 100, mtime=0))

    seeds = folder("idx")
    images = struct.pack(">HBBIII", 0, 8, 3, 2, 3, 4) + bytes(range(24))
    (seeds / "images-idx3-ubyte").write_bytes(images)
    (seeds / "images-idx3-ubyte.gz").write_bytes(gzip.compress(images, mtime=0))
    (seeds / "floats").write_bytes(struct.pack(">HBBI", 0, 13, 1, 2) + struct.pack(">ff", 1.5, -2))
    (seeds / "shorts").write_bytes(struct.pack(">HBBII", 0, 11, 2, 1, 2) + struct.pack(">hh", 1, -2))

    (seeds / "empty_beside_huge").write_bytes(struct.pack(">HBBIIII", 0, 8, 4, 2**32 - 1, 2**32 - 1, 2**32 - 1, 0))

    seeds = folder("cifar")
    (seeds / "ten.bin").write_bytes(bytes([3]) + bytes(3072) + bytes([9]) + bytes(3072))
    (seeds / "hundred.bin").write_bytes(bytes([19, 99]) + bytes(3072))

    seeds = folder("data_json")
    description = {
        "preprocessing": {"orientation": "upright", "order": "bgr", "resize": [320, 240], "filter": "bicubic",
                          "pad": 330, "pad-value": 7, "crop": 224, "scale": "1/255", "offset": -0.5,
                          "mean": [0.1, 0.2, 0.3], "std": 2, "layout": "nhwc"},
        "classes": ["tench", "gold\u00efsh"],
    }
    (seeds / "full.json").write_text(json.dumps(description))
    (seeds / "values.json").write_text('{"a": [1, -2.5e3, true, null, "\\u00e9\\n"], "b": {"c": 9223372036854775807}}')
    (seeds / "deep.json").write_text("[" * 64 + "]" * 64)
    text = "order=bgr,resize=256,pad=300x310,crop=224,scale=1/255,mean=0.1:0.2:0.3,std=2,layout=nhwc"
    (seeds / "text").write_text(text)


if __name__ == "__main__":
    main()
