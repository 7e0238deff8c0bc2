"""The pictures of the glyphs example: digits and capital letters from free fonts, distorted.

Needs: numpy, pillow with FreeType, and Debian's fonts-dejavu-core and fonts-liberation.
"""
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

# Without I and O, which some fonts draw as they draw 1 and 0.
CLASSES = list("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ")
SIDE = 28
LEVELS = 16  # pictures have 16 greys, so that a PNG of them takes under 400 bytes
FONT_FILES = [
    "dejavu/DejaVuSans.ttf", "dejavu/DejaVuSans-Bold.ttf", "dejavu/DejaVuSerif.ttf", "dejavu/DejaVuSerif-Bold.ttf",
    "dejavu/DejaVuSansMono.ttf", "dejavu/DejaVuSansMono-Bold.ttf", "liberation/LiberationSans-Regular.ttf",
    "liberation/LiberationSans-Italic.ttf", "liberation/LiberationSerif-Regular.ttf",
    "liberation/LiberationSerif-Bold.ttf", "liberation/LiberationSerif-Italic.ttf",
    "liberation/LiberationMono-Regular.ttf",
]
FONTS = [ImageFont.truetype(f"/usr/share/fonts/truetype/{name}", 44) for name in FONT_FILES]
CANVAS = 68


def render(rng, text):
    """One 28x28 picture of `text` with 16 grey levels (0..15)."""
    font = FONTS[rng.integers(len(FONTS))]
    canvas = Image.new("L", (CANVAS, CANVAS), 0)
    ImageDraw.Draw(canvas).text((CANVAS / 2, CANVAS / 2), text, fill=255, font=font, anchor="mm")
    angle, shear = np.deg2rad(rng.uniform(-20, 20)), rng.uniform(-0.25, 0.25)
    scale_x, scale_y = rng.uniform(0.75, 1.25, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(turn @ np.array([[scale_x, shear], [0, scale_y]]))
    centre = np.full(2, CANVAS / 2)
    offset = centre - inverse @ (centre + rng.uniform(-6, 6, 2))
    canvas = canvas.transform(canvas.size, Image.Transform.AFFINE,
                              (*inverse[0], offset[0], *inverse[1], offset[1]), Image.Resampling.BILINEAR)
    canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2.5)))
    ink = np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32) / 255
    paper, contrast = rng.uniform(0, 0.3), rng.uniform(0.4, 0.7)
    picture = paper + contrast * ink + rng.normal(0, rng.uniform(0.01, 0.08), ink.shape)
    if rng.random() < 0.5:
        picture = 1 - picture
    return np.clip(np.round(picture * (LEVELS - 1)), 0, LEVELS - 1).astype(np.uint8)


def pictures(seed, count):
    """`count` pictures with their labels, the classes in turn: uint8 [count, 28, 28] in 0..15, int64 [count]."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    return np.stack([render(rng, CLASSES[label]) for label in labels]), labels


def png(picture):
    """A 4-bit grey PNG."""
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (picture[:, 0::2] << 4 | picture[:, 1::2]).astype(np.uint8)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows), 9)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 4, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def write_zip(path, seed, count):
    """A stored zip of CLASS/NNNN.png, sorted; the same bytes every time."""
    images, labels = pictures(seed, count)
    files = {f"{CLASSES[label]}/{i:04d}.png": png(image) for i, (image, label) in enumerate(zip(images, labels))}
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), files[name])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(files[sorted(files)[0]]))) // 17,
                          images[[f"{CLASSES[l]}/{i:04d}.png" for i, l in enumerate(labels)].index(sorted(files)[0])])
    return images, labels


if __name__ == "__main__":
    here = Path(__file__).parent
    write_zip(here / "calib.zip", seed=11, count=408)
    write_zip(here / "test.zip", seed=12, count=2040)
