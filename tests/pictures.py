"""Make small pictures in every format and pixel layout by Pillow, which is the reference for our decoding."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from scanner.imaging.decode import Picture

WIDTH, HEIGHT = 60, 44
FORMATS = ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif")


def scene(width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """Make a smooth picture with another colour in every corner, so that a turned or mirrored copy differs."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    channels = [230 * x + 20, 120 * y + 60 * x + 40, 200 * (1 - x) * y + 30 + 20 * np.sin(9 * x + 5 * y)]
    return np.stack(channels, axis=2).astype(np.uint8)


def noise(width: int, height: int, seed: int = 0) -> Picture:
    """Make random pixels, the worst case for every codec."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def rgba() -> Picture:
    """Make the scene with alpha, from transparent on the left to opaque on the right: uint8 (height, width, 4)."""
    alpha = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    return np.dstack([scene(), alpha])


def encode(pixels: Picture | Image.Image, kind: str, **options: object) -> bytes:
    """Encode pixels.

    Args:
        pixels: uint8 or uint16 array, or a Pillow picture.
        kind: Pillow's name of the format.
        options: of Pillow's encoder.
    """
    # A copy, since Pillow stores the options of one save in the picture, and they may break the next one.
    picture = pixels.copy() if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def flat(file: Path, level: int) -> None:
    """Save a plain grey picture; the test model `toy` returns its level (0..255) as the score."""
    file.write_bytes(encode(np.full((30, 40, 3), level, np.uint8), "PNG"))


ANIMATED = ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO")


def animation(kind: str, frames: list[Picture], **options: object) -> bytes:
    """Encode pictures as the frames of an animation, or the pages of a document.

    Args:
        kind: Pillow's name of the format, one of `ANIMATED`.
        frames: RGB uint8, all of the same size.
        options: of Pillow's encoder.
    """
    first, *others = (Image.fromarray(frame) for frame in frames)
    options |= {"WEBP": {"lossless": True}, "MPO": {"quality": 95}}.get(kind, {})
    options |= {} if kind in ("TIFF", "MPO") else {"duration": 20}
    return encode(first, kind, save_all=True, append_images=others, **options)


def oriented(kind: str, orientation: int) -> bytes:
    """Encode the scene with an orientation (1..8): in EXIF, or of AVIF as `irot` and `imir`."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(scene(), kind, exif=exif)


def reference(data: bytes) -> Picture:
    """Decode a file by Pillow: first frame, upright, RGB of 8 bits, transparency laid on white."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) / 257).round().astype(np.uint8))
    layer = picture.convert("RGBA")
    white = Image.new("RGB", picture.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return np.asarray(white)


def difference(one: Picture, other: Picture) -> float:
    """Return the mean absolute difference of two pictures, in levels (0..255)."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def png_16_bit(pixels: Picture) -> bytes:
    """Encode RGB or RGBA uint8 as a PNG of 16 bits, which Pillow writes in grey only: filter 0, one IDAT."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in pixels.astype(np.uint16) * 257)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + PNG_END


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Build a chunk of a PNG: length, type, content and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


PNG_END = png_chunk(b"IEND", b"")


def png_that_announces(width: int, height: int) -> bytes:
    """Build a PNG that announces a size in pixels, but has no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + PNG_END


def jpeg_of_scans(scans: int) -> bytes:
    """Build a progressive JPEG of the scene with `scans` more scans that change nothing, ten bytes each."""
    return (
        encode(scene(), "JPEG", progressive=True)[:-2]
        + b"\xff\xda\x00\x08\x01\x01\x00\x01\x05\x00" * scans
        + b"\xff\xd9"
    )


def bmp_from_the_top(pixels: Picture) -> bytes:
    """Encode a BMP with a negative height, whose top row comes first. The width must be a multiple of four."""
    data = bytearray(encode(pixels[::-1], "BMP"))
    struct.pack_into("<i", data, 22, -pixels.shape[0])
    return bytes(data)


def bmp_run_length(grey: Picture) -> bytes:
    """Encode grey uint8 (height, width) as a BMP with run lengths (BI_RLE8), every run one pixel long."""
    height, width = grey.shape
    rows = b"".join(b"".join(bytes([1, value]) for value in row) + b"\x00\x00" for row in grey[::-1]) + b"\x00\x01"
    palette = b"".join(bytes([value, value, value, 0]) for value in range(256))
    start = 14 + 40 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + palette + rows


def avif_deep(pixels: Picture, bits: int) -> bytes:
    """Encode RGB or RGBA uint8 as an AVIF of 10 or 12 bits by OpenCV, since Pillow writes 8 bits only."""
    deep = (pixels.astype(np.float32) * ((2**bits - 1) / 255)).round().astype(np.uint16)
    deep[..., :3] = deep[..., 2::-1]
    return cv2.imencode(".avif", deep, [cv2.IMWRITE_AVIF_DEPTH, bits])[1].tobytes()


def tiff_of(tags: dict[int, int], content: bytes = b"") -> bytes:
    """Build a little-endian TIFF of one directory, all numbers 32 bits; `content` begins at byte 8."""
    entries = [struct.pack("<HHII", tag, 4, 1, number) for tag, number in sorted(tags.items())]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\x00" + struct.pack("<I", 8 + len(content)) + content + directory


def jpeg_with_thumbnail() -> bytes:
    """Build a JPEG whose EXIF block contains another complete JPEG, with start and end markers."""
    thumbnail = encode(noise(32, 24), "JPEG")
    block = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + b"\x00" * 6 + thumbnail
    jpeg = encode(scene(), "JPEG")
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def film() -> dict[str, object]:
    """Return options of `encode` that add two frames of noise."""
    return {"save_all": True, "append_images": [Image.fromarray(noise(WIDTH, HEIGHT, seed)) for seed in (1, 2)]}


@cache
def pictures() -> dict[str, bytes]:
    """Encode the scene in every format and in every layout that the format has; by name."""
    colour = Image.fromarray(scene())
    grey, alpha = colour.convert("L"), Image.fromarray(rgba())
    palette = colour.quantize(32)
    return {
        "jpeg": encode(colour, "JPEG"),
        "jpeg progressive": encode(colour, "JPEG", progressive=True),
        "jpeg restarts": encode(colour, "JPEG", restart_marker_blocks=2),
        "jpeg 4:4:4": encode(colour, "JPEG", subsampling=0),
        "jpeg grey": encode(grey, "JPEG"),
        "jpeg cmyk": encode(colour.convert("CMYK"), "JPEG"),
        "jpeg thumbnail": jpeg_with_thumbnail(),
        "jpeg two pictures": encode(colour, "MPO", **film()),
        "jpeg trailing bytes": encode(colour, "JPEG") + b"garbage" * 20_000,
        "png": encode(colour, "PNG"),
        "png grey": encode(grey, "PNG"),
        "png 1 bit": encode(colour.convert("1"), "PNG"),
        "png palette": encode(palette, "PNG"),
        "png palette 2 bits": encode(colour.quantize(4), "PNG", bits=2),
        "png palette hole": encode(palette, "PNG", transparency=3),
        "png palette alpha": encode(alpha.quantize(32), "PNG"),
        "png colour key": encode(colour, "PNG", transparency=tuple(scene()[20, 20].tolist())),
        "png alpha": encode(alpha, "PNG"),
        "png grey alpha": encode(alpha.convert("LA"), "PNG"),
        "png 16 bit": png_16_bit(scene()),
        "png 16 bit alpha": png_16_bit(rgba()),
        "png 16 bit grey": encode(np.asarray(grey).astype(np.uint16) * 257, "PNG"),
        "png animated": encode(colour, "PNG", **film()),
        "png trailing bytes": encode(colour, "PNG") + b"x" * 5000,
        "webp": encode(colour, "WEBP"),
        "webp lossless": encode(colour, "WEBP", lossless=True),
        "webp alpha": encode(alpha, "WEBP"),
        "webp lossless alpha": encode(alpha, "WEBP", lossless=True),
        "webp animated": encode(colour, "WEBP", **film()),
        "webp trailing bytes": encode(colour, "WEBP") + b"x" * 500,
        "gif": encode(colour, "GIF"),
        "gif grey": encode(grey, "GIF"),
        "gif 1 bit": encode(colour.convert("1"), "GIF"),
        "gif hole": encode(alpha, "GIF"),
        "gif animated": encode(colour, "GIF", **film()),
        "gif trailing bytes": encode(colour, "GIF") + b"x" * 500,
        "bmp": encode(colour, "BMP"),
        "bmp grey": encode(grey, "BMP"),
        "bmp 1 bit": encode(colour.convert("1"), "BMP"),
        "bmp palette": encode(palette, "BMP"),
        "bmp alpha": encode(alpha, "BMP"),
        "bmp from the top": bmp_from_the_top(scene()),
        "bmp run length": bmp_run_length(np.asarray(grey)),
        "tiff": encode(colour, "TIFF"),
        "tiff lzw": encode(colour, "TIFF", compression="tiff_lzw"),
        "tiff deflate": encode(colour, "TIFF", compression="tiff_deflate"),
        "tiff packbits": encode(colour, "TIFF", compression="packbits"),
        "tiff jpeg": encode(colour, "TIFF", compression="jpeg"),
        "tiff strips": encode(colour, "TIFF", compression="tiff_deflate", strip_size=1024),
        "tiff fax": encode(colour.convert("1"), "TIFF", compression="group4"),
        "tiff grey": encode(grey, "TIFF"),
        "tiff 1 bit": encode(colour.convert("1"), "TIFF"),
        "tiff palette": encode(palette, "TIFF"),
        "tiff cmyk": encode(colour.convert("CMYK"), "TIFF"),
        "tiff 16 bit grey": encode(np.asarray(grey).astype(np.uint16) * 257, "TIFF"),
        "tiff alpha": encode(alpha, "TIFF"),
        "tiff pages": encode(colour, "TIFF", **film()),
        "avif": encode(colour, "AVIF"),
        "avif grey": encode(grey, "AVIF"),
        "avif alpha": encode(alpha, "AVIF"),
        "avif animated": encode(colour, "AVIF", **film()),
        "avif 10 bit": avif_deep(scene(), 10),
        "avif 12 bit": avif_deep(scene(), 12),
        "avif 10 bit alpha": avif_deep(rgba(), 10),
        "avif 12 bit alpha": avif_deep(rgba(), 12),
        "avif trailing bytes": encode(colour, "AVIF") + b"\x00" * 500,
    }


def one_picture() -> list[str]:
    """Return the names of the files that lose pixels of their only picture, wherever they are cut."""
    return [name for name in pictures() if not name.endswith(("trailing bytes", "pages", "two pictures"))]
