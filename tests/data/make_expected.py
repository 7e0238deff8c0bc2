"""Makes tests/data/expected: small images with the pixels that Pillow gives for them, and checksums of Pillow's pixels
over the shared data. Run by hand after a change; its output is committed.

    python tests/data/make_expected.py [SHARED_DATA]

Needs: pillow (made with 13.0.0), numpy.
"""
import io
import json
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent / "expected"


def picture(width, height, seed):
    """Smooth colour with an edge and a little noise: every path of a decoder has something to do."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 / max(width - 1, 1), y * 255 / max(height - 1, 1), (x + y) * 7 % 256], axis=2)
    rgb[: height // 2, width // 3] = [255, 0, 40]
    return np.clip(rgb + rng.normal(0, 12, rgb.shape), 0, 255).astype(np.uint8)


def encoded(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour, rows, interlace=0, extra=b""):
    """A PNG that Pillow cannot write itself: any bit depth and colour type, rows already packed."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra
            + png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r for r in rows), 9)) + png_chunk(b"IEND", b""))


def packed_rows(values, depth):
    rows = []
    for row in values:
        bits = "".join(format(int(v), f"0{depth}b") for v in row)
        bits += "0" * (-len(bits) % 8)
        rows.append(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    return rows


def interlaced(values):
    """The rows of an Adam7 RGB image."""
    rows = []
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    for x0, y0, dx, dy in passes:
        part = values[y0::dy, x0::dx]
        rows += [row.tobytes() for row in part if row.size]
    return rows


def images():
    rgb = Image.fromarray(picture(37, 29, 1))
    yield "s420.jpg", encoded(rgb, format="JPEG", quality=88)
    yield "s422.jpg", encoded(rgb, format="JPEG", quality=75, subsampling=1)
    yield "s444.jpg", encoded(rgb, format="JPEG", quality=95, subsampling=0)
    yield "progressive.jpg", encoded(rgb, format="JPEG", quality=80, progressive=True)
    yield "grey.jpg", encoded(rgb.convert("L"), format="JPEG", quality=80)
    yield "cmyk.jpg", encoded(rgb.convert("CMYK"), format="JPEG", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "exif6.jpg", encoded(rgb, format="JPEG", quality=90, exif=exif)
    yield "tiny.jpg", encoded(Image.fromarray(picture(1, 1, 2)), format="JPEG")
    yield "rgb.png", encoded(rgb, format="PNG")
    yield "grey.png", encoded(rgb.convert("L"), format="PNG")
    alpha = Image.fromarray(picture(37, 29, 3)[:, :, 0])
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    yield "rgba.png", encoded(rgba, format="PNG")
    yield "la.png", encoded(rgba.convert("LA"), format="PNG")
    yield "palette.png", encoded(rgb.quantize(17), format="PNG")
    yield "palette_alpha.png", encoded(rgb.quantize(9), format="PNG", transparency=3)
    rng = np.random.default_rng(4)
    for depth in (1, 2, 4):
        values = rng.integers(0, 2**depth, (11, 13))
        yield f"grey{depth}.png", png(13, 11, depth, 0, packed_rows(values, depth))
    deep = rng.integers(0, 65536, (9, 10, 3))
    yield "rgb16.png", png(10, 9, 16, 2, [r.astype(">u2").tobytes() for r in deep])
    yield "interlaced.png", png(21, 19, 8, 2, interlaced(picture(21, 19, 5)), interlace=1)


RESIZES = [(16, 16), (37, 13), (9, 29), (80, 60), (5, 3), (1, 1), (38, 28), (36, 30)]
FILTERS = {name: Image.Resampling[name.upper()] for name in ("nearest", "bilinear", "bicubic")}


def as_decoded(data):
    image = Image.open(io.BytesIO(data))
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode in ("1", "LA") else "RGB")


def small():
    for name, data in images():
        (HERE / name).write_bytes(data)
        np.save(HERE / (name + ".npy"), np.asarray(as_decoded(data)))
    for name in ("rgb.png", "grey.png"):
        image = as_decoded((HERE / name).read_bytes())
        for label, method in FILTERS.items():
            out = [np.asarray(image.resize(size, method)).ravel() for size in RESIZES]
            np.save(HERE / f"resized_{name}_{label}.npy", np.concatenate(out))
    np.save(HERE / "grey_of_rgb.npy", np.asarray(as_decoded((HERE / "rgb.png").read_bytes()).convert("L")))


def arrays():
    values = np.arange(24).reshape(2, 3, 4)
    for descr in ("<f4", "<f8", "<f2", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "|b1"):
        np.save(HERE / f"array_{descr.strip('<|')}.npy", values.astype(descr))
    np.save(HERE / "array_fortran.npy", np.asfortranarray(values.astype("<f4")))
    np.save(HERE / "array_scalar.npy", np.float32(2.5))
    np.save(HERE / "array_big_endian.npy", values.astype(">f4"))
    np.save(HERE / "array_object.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    np.save(HERE / "array_structured.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
    np.save(HERE / "array_text.npy", np.array(["abc"]))
    np.save(HERE / "array_complex.npy", np.zeros(2, dtype="<c8"))
    for version in ((2, 0), (3, 0)):
        with open(HERE / f"array_v{version[0]}.npy", "wb") as f:
            np.lib.format.write_array(f, values.astype("<f4"), version=version)
    np.savez(HERE / "two.npz", x=values.astype("<f4"), labels=np.array([3, 1]))
    np.savez_compressed(HERE / "two_deflated.npz", x=values.astype("<f4"), labels=np.array([3, 1]))


ARCHIVES = ("imagenet/imagenet_800.zip", "cifar10/test_jpeg_9700.zip", "superres/superres_5.zip",
            "ocr/ocr_lines_240.zip")


def checksums(shared):
    result = {}
    for archive in ARCHIVES:
        crc = {"pixels": 0, "bilinear_96x80": 0, "bicubic_300x320": 0}
        count = 0
        with zipfile.ZipFile(shared / archive) as z:
            for name in sorted(z.namelist()):
                if not name.endswith((".jpg", ".png")):
                    continue
                count += 1
                image = as_decoded(z.read(name))
                crc["pixels"] = zlib.crc32(np.asarray(image).tobytes(), crc["pixels"])
                if count > 800:
                    continue
                for key, size in (("bilinear_96x80", (96, 80)), ("bicubic_300x320", (300, 320))):
                    resized = image.resize(size, FILTERS[key.split("_")[0]])
                    crc[key] = zlib.crc32(np.asarray(resized).tobytes(), crc[key])
        result[archive] = {"count": count, **crc}
    (HERE / "checksums.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    small()
    arrays()
    if len(sys.argv) > 1:
        checksums(Path(sys.argv[1]))
