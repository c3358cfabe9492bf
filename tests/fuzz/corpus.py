"""The seeds: every format by every layout, whole, cut and with its size changed; and whatever else one brings along.

``python -m tests.fuzz.corpus FOLDER [MORE...]`` writes them; MORE are files or folders of further seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from scanner.imaging.decode import Picture
from tests import colour_cases, costly_files, orientation_cases, provenance_cases
from tests.pictures import PNG_END, encode, noise, oriented, pictures, png_chunk, rgba, scene, tiff_of

MAX_BYTES = 2**16  # of one seed: libFuzzer mutates small ones better
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def seeds() -> dict[str, bytes]:
    """Every seed by name: those of the tests, those that only Pillow's and OpenCV's encoders have, and their pieces."""
    whole = pictures() | _more() | _by_opencv() | _heic()
    whole |= {
        f"{kind} {turn}": oriented(kind, turn) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") for turn in (5, 8)
    }
    whole |= {f"colour {name}": data for name, (_, data, _, _) in colour_cases.table().items()}
    whole |= {f"turn {name}": data for name, (_, data, _) in orientation_cases.table().items()}
    whole |= {f"marked {name}": data for name, (data, _, _) in provenance_cases.GENERATED.items()}
    cut = {f"{name} {part}": data[: int(len(data) * part)] for name, data in whole.items() for part in (0.5, 0.95)}
    return whole | cut


def png_interlaced(pixels: Picture) -> bytes:
    """Adam7, which neither Pillow nor OpenCV writes: seven pictures in one, each with its own rows."""
    rows = b"".join(b"\x00" + row.tobytes() for y, x, dy, dx in ADAM7 for row in pixels[y::dy, x::dx])
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + PNG_END


def _more() -> dict[str, bytes]:
    colour, alpha, large = Image.fromarray(scene()), Image.fromarray(rgba()), scene(300, 200)
    grey = colour.convert("L")
    seeds = {
        "png interlaced": png_interlaced(scene()),
        "png large": encode(large, "PNG"),
        "png early end": pictures()["png"][:33] + PNG_END + struct.pack(">I4s", 2**20, b"IDAT"),
        "png profile": encode(colour, "PNG", icc_profile=b"x" * 200),
        "jpeg large": encode(large, "JPEG"),
        "jpeg large progressive": encode(large, "JPEG", progressive=True),
        "jpeg progressive cmyk": encode(colour.convert("CMYK"), "JPEG", progressive=True),
        "jpeg profile": encode(colour, "JPEG", icc_profile=b"x" * 200),
        "jpeg 4:1:1": encode(colour, "JPEG", subsampling=2, quality=10),
        "webp large": encode(large, "WEBP", quality=20),
        "webp large lossless": encode(large, "WEBP", lossless=True),
        "webp noise": encode(noise(60, 44), "WEBP", lossless=True),
        "gif interlaced": encode(grey, "GIF", interlace=1),
        "gif large": encode(large, "GIF"),
        "gif comment": encode(colour, "GIF", comment=b"c" * 300),
        **_tiffs(),
        "gif clear codes": costly_files.gif_of_clear_codes(2000),
        "png surplus": costly_files.png_of_more_than_pixels(2**16),
        "avif lies": costly_files.avif_that_lies(256),
        "tiff tile": costly_files.tiff_of_one_tile(256),
        "jpeg scans": costly_files.jpeg_of_many_pixels_and_scans(64, 100),
        "tiff large deflate": encode(large, "TIFF", compression="tiff_deflate"),
        "tiff lab": encode(colour.convert("LAB"), "TIFF"),
        "tiff ycbcr": encode(colour.convert("YCbCr"), "TIFF", compression="jpeg"),
        "tiff float": encode(Image.fromarray(scene()[..., 0].astype(np.float32)), "TIFF"),
        "tiff 32 bits": encode(Image.fromarray(scene()[..., 0].astype(np.int32)), "TIFF"),
        "avif large": encode(large, "AVIF"),
        "avif lossless": encode(colour, "AVIF", quality=100, subsampling="4:4:4"),
        "avif fast": encode(colour, "AVIF", speed=10, quality=10),
        "avif alpha turned": encode(alpha, "AVIF", exif=_turned(6)),
    }
    for name in ("group3", "lzma", "zstd"):
        source = colour.convert("1") if name == "group3" else colour
        try:
            seeds[f"tiff {name}"] = encode(source, "TIFF", compression=name)
        except (OSError, KeyError):  # this build of Pillow lacks it
            continue
    return seeds


def _tiffs() -> dict[str, bytes]:
    """Layouts that Pillow does not write: tiles, planes, 12 and 16 bits; uncompressed."""
    wide = scene(64, 48)
    deep = wide.astype("<u2") * 257
    planes = [np.moveaxis(pixels, 2, 0).tobytes() for pixels in (wide, deep)]
    seeds = {}
    for name, bits, samples, planar, content in (
        ("rgb", 8, 3, 1, wide.tobytes()),
        ("grey", 8, 1, 1, wide[..., 0].tobytes()),
        ("rgb 16 bit", 16, 3, 1, deep.tobytes()),
        ("grey 16 bit", 16, 1, 1, deep[..., 0].tobytes()),
        ("grey 12 bit", 12, 1, 1, bytes(range(256)) * 18),
        ("planes", 8, 3, 2, planes[0]),
        ("planes 16 bit", 16, 3, 2, planes[1]),
    ):
        tags = {256: 64, 257: 48, 258: bits, 259: 1, 262: 2 if samples == 3 else 1, 277: samples, 284: planar}
        seeds[f"tiff strip {name}"] = tiff_of(tags | {273: 8, 278: 48, 279: len(content)}, content)
        seeds[f"tiff tile {name}"] = tiff_of(tags | {322: 64, 323: 48, 324: 8, 325: len(content)}, content)
    return seeds


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _by_opencv() -> dict[str, bytes]:
    """What OpenCV writes in its own way."""
    bgr, deep = scene()[..., ::-1].copy(), scene().astype(np.uint16) * 257
    seeds = {}
    for name, pixels, suffix, options in (
        ("gif opencv", bgr, ".gif", []),
        ("bmp opencv", bgr, ".bmp", []),
        ("jpeg opencv restarts", bgr, ".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 3]),
        ("png opencv", bgr, ".png", [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]),
        ("png opencv 16 bit", deep, ".png", []),
        ("tiff opencv 16 bit", deep, ".tiff", []),
        ("tiff opencv float", deep.astype(np.float32), ".tiff", []),
        ("tiff opencv double", deep.astype(np.float64), ".tiff", [cv2.IMWRITE_TIFF_COMPRESSION, 1]),
        ("tiff opencv packbits", bgr, ".tiff", [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_PACKBITS]),
        ("tiff opencv 16 bit alpha", np.dstack([deep, deep[..., 0]]), ".tiff", []),
        ("webp opencv", bgr, ".webp", [cv2.IMWRITE_WEBP_QUALITY, 5]),
    ):
        try:
            done, data = cv2.imencode(suffix, pixels, options)
        except cv2.error:
            continue
        if done:
            seeds[name] = data.tobytes()
    return seeds


def _heic() -> dict[str, bytes]:
    try:
        import pillow_heif
    except ImportError:
        return {}
    seeds = {}
    for name, pixels in (("heic", scene(64, 64)), ("heic alpha", rgba()), ("heic grey", scene()[..., 0])):
        stream = io.BytesIO()
        pillow_heif.from_pillow(Image.fromarray(pixels)).save(stream, quality=50)
        seeds[name] = stream.getvalue()
    return seeds


def write(folder: Path, more: list[Path]) -> int:
    """Put the seeds into a folder, under their hashes as libFuzzer does; returns how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = set(seeds().values())
    for path in more:
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        contents |= {file.read_bytes() for file in files if file.stat().st_size <= MAX_BYTES}
    for content in contents:
        if len(content) <= MAX_BYTES:
            (folder / hashlib.sha1(content, usedforsecurity=False).hexdigest()).write_bytes(content)
    return len(contents)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("more", type=Path, nargs="*", help="files or folders of further seeds")
    options = parser.parse_args()
    print(f"{write(options.folder, options.more)} seeds in {options.folder}")
