"""Make small files that cost much time or memory, and whose headers do not show it: limits have to stop them."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from tests.pictures import PNG_END, encode, noise, png_chunk, tiff_of


def gif_of_clear_codes(length: int) -> bytes:
    """Make a GIF of nothing but "clear" codes: for each, OpenCV 5.0 builds its table of 4,096 codes again.

    That takes about 5 s for a megabyte.

    Args:
        length: of the codes, in bytes, approximately.
    """
    nine = "".join(f"{1 << 8:09b}"[::-1] for _ in range(8))  # eight codes are nine bytes, least bit first
    codes = bytes(int(nine[i : i + 8][::-1], 2) for i in range(0, 72, 8)) * (length // 9)
    blocks = b"".join(bytes([len(codes[i : i + 255])]) + codes[i : i + 255] for i in range(0, len(codes), 255))
    frame = b"," + struct.pack("<HHHHB", 0, 0, 60, 44, 0) + b"\x08" + blocks + b"\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 60, 44, 0xF7, 0, 0) + bytes(768) + frame + b";"


def png_of_more_than_pixels(surplus: int) -> bytes:
    """Make a PNG with zeros behind its last row, which a decoder unpacks and discards: about 2.5 s for a gigabyte.

    The file has a thousandth of these bytes.

    Args:
        surplus: unpacked bytes behind the last row.
    """
    rows = bytes(44 * (1 + 3 * 60))
    header = struct.pack(">IIBBBBB", 60, 44, 8, 2, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows + bytes(surplus), 9))
    return b"\x89PNG\r\n\x1a\n" + chunks + PNG_END


def avif_that_lies(side: int) -> bytes:
    """Make an AVIF whose container announces 60 x 44 pixels, but whose coded picture has `side` x `side`.

    OpenCV decodes all of it and scales it down: 0.2 s and 200 MiB for 4,000; 5 s and 2.8 GiB for 16,384, which is
    libavif's limit.
    """
    avif = encode(np.full((side, side, 3), 90, np.uint8), "AVIF", speed=10)
    return avif.replace(struct.pack(">II", side, side), struct.pack(">II", 60, 44))


def tiff_of_one_tile(side: int) -> bytes:
    """Make a TIFF of 60 x 44 pixels in one tile of `side` x `side`, which takes 260 MiB for 8,192."""
    tile = zlib.compress(bytes(side * side), 9)
    tags = {256: 60, 257: 44, 258: 8, 259: 8, 262: 1, 277: 1, 284: 1, 322: side, 323: side, 324: 8, 325: len(tile)}
    return tiff_of(tags, tile)


def jpeg_of_many_pixels_and_scans(side: int, scans: int) -> bytes:
    """Make a progressive JPEG of noise with more passes over all pixels, which take 1.3 s for 4,000 and 480."""
    jpeg = encode(noise(side, side), "JPEG", progressive=True, quality=1)
    return jpeg[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x01\x05\x00" * scans + b"\xff\xd9"
