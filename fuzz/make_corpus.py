"""Makes the seeds in fuzz/corpus/ of the readers of images and arrays (the ONNX seeds have a script of their own).

    python fuzz/make_corpus.py

Needs nothing but Python; the images and arrays are those of tests/data/expected.
"""
import gzip
import io
import json
import shutil
import struct
import tarfile
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


def tarred(files, mode="w", form=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def wav(code, channels, bits, data):
    head = struct.pack("<HHIIHH", code, channels, 16000, 16000 * channels * bits // 8, channels * bits // 8, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


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

    files = {"a/1.png": picture, "b/2.png": picture, "notes.txt": b"hello " * 50}
    seeds = folder("tar")
    (seeds / "ustar.tar").write_bytes(tarred(files))
    (seeds / "pax.tar").write_bytes(tarred({"n\u00e4me" * 40: b"x"}, form=tarfile.PAX_FORMAT))
    (seeds / "gnu.tar").write_bytes(tarred({"name" * 40: b"x"}, form=tarfile.GNU_FORMAT))
    (seeds / "packed.tar.xz").write_bytes(tarred(files, "w:xz"))
    (seeds / "packed.tar.bz2").write_bytes(tarred(files, "w:bz2"))
    packed = gzip.compress(tarred(files), mtime=0)
    (seeds / "packed.tar.gz").write_bytes(packed)
    (seeds / "bomb.tar.gz").write_bytes(gzip.compress(tarred({"zeros": bytes(3 << 20)}), mtime=0))

    seeds = folder("wav")
    sounds = {"u8": wav(1, 1, 8, bytes(range(20))), "s16_stereo": wav(1, 2, 16, bytes(range(24))), "s24": wav(1, 1, 24, bytes(24)),
              "s32": wav(1, 1, 32, bytes(24)), "f32": wav(3, 1, 32, struct.pack("<6f", 0, 1, -1, 0.5, 2, -3))}
    for name, sound in sounds.items():
        (seeds / name).write_bytes(sound)

    seeds = folder("csv")
    table = b'a,"label, said",b\r\n1,"c""at",2.5\n-3e1,dog,4\n'
    (seeds / "quoted.csv").write_bytes(table)
    (seeds / "tabs.tsv").write_bytes(b"\xef\xbb\xbf1\t2\n\n3\t4")
    (seeds / "semicolons.csv").write_bytes(b"1;2;3\n4;5;6\n")

    # The first byte names the file: see fuzz/data_source.cpp.
    seeds = folder("data_source")
    arrays = [p for p in sorted(EXPECTED.iterdir()) if p.suffix == ".npz"]
    for path in arrays:
        (seeds / path.name).write_bytes(b"\x00" + path.read_bytes())
    (seeds / "array.npy").write_bytes(b"\x01" + (EXPECTED / "array_f4.npy").read_bytes())
    (seeds / "table.csv").write_bytes(b"\x02" + b"a,label,b\n1,cat,2.5\n-3e1,dog,4\n")
    (seeds / "sound.wav").write_bytes(b"\x03" + sounds["s16_stereo"])
    (seeds / "run.wav").write_bytes(bytes([101]) + sounds["u8"])
    (seeds / "images.tar").write_bytes(b"\x04" + tarred(files))
    (seeds / "images.tar.gz").write_bytes(b"\x04" + packed)
    (seeds / "runs.zip").write_bytes(b"\x05" + zipped({"1.npz": arrays[0].read_bytes()}))


if __name__ == "__main__":
    main()
