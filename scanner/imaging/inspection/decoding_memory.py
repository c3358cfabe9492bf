"""Estimates how much memory decoding a picture takes, from its header."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from scanner.imaging.formats.bmp import read_bmp_header
from scanner.imaging.formats.tiff import read_first_directory
from scanner.imaging.inspection.avif_size import coded_pixels
from scanner.imaging.inspection.header import Header

# Bytes of a pixel of a plain picture (a JPEG, a PNG in colour), with all copies that decoding makes. Measured.
PLAIN_PIXEL_BYTES = 6
# Plain areas cost some formats nothing: a white WebP has 38 bytes at any size, an AVIF of 48 megapixels 1,200. Larger
# pictures are refused if a byte stands for more pixels than in those: no face can be in them.
_LARGE, _PIXELS_A_BYTE = 24_000_000, 50_000
_BOXES = 4096  # bytes in which an AVIF says what it is made of


def count_decoded_pixels(data: bytes, header: Header) -> int:
    """Pixels that a decoder makes, which may be more than the picture has."""
    pixels = max(header.width * header.height, header.tile_pixels)
    return max(pixels, coded_pixels(data)) if header.format == "avif" else pixels


def is_implausibly_plain(pixels: int, size: int) -> bool:
    """Whether so many pixels in so many bytes can only be there to cost memory."""
    return pixels > _LARGE and pixels > _PIXELS_A_BYTE * size


def as_plain_pixels(memory: int) -> int:
    """Pixels of a plain picture that take so much memory."""
    return memory // PLAIN_PIXEL_BYTES


def estimate_bytes(data: bytes, header: Header, pixels: int) -> int:
    """Bytes that decoding takes at its peak, the picture included. Measured with OpenCV 5.0 at 16 megapixels.

    Args:
        data: the file.
        header: what it says of itself.
        pixels: that the decoder makes.
    """
    try:
        return int(pixels * _PIXEL[header.format](data, header))
    except (KeyError, struct.error, IndexError, ValueError):  # not decoded, or the header is cut
        return pixels * PLAIN_PIXEL_BYTES


def _jpeg(_: bytes, header: Header) -> float:
    """Of several scans, all coefficients are kept until the last one."""
    jpeg = header.jpeg
    if jpeg is None:
        return PLAIN_PIXEL_BYTES
    again = 0 if jpeg.has_end_mark else 6  # it is decoded again, to see what is missing
    if len(jpeg.scans) < 2:
        return PLAIN_PIXEL_BYTES + again
    across, down = jpeg.block if len(jpeg.sampling) > 1 else (8, 8)
    samples = sum(h * v for h, v in jpeg.sampling) * 64 / (across * down) if len(jpeg.sampling) > 1 else 1
    return max(PLAIN_PIXEL_BYTES, 3 + 2 * samples) + again


def _png(data: bytes, _: Header) -> float:
    depth, kind = data[24], data[25]
    samples = {0: 1, 2: 3}.get(kind, 4)
    return 4 * samples if depth == 16 else max(samples + 3.3, 2 * samples)


def _bmp(data: bytes, _: Header) -> float:
    return 24 if read_bmp_header(data).opencv_misreads else 7


def _tiff(data: bytes, _: Header) -> float:
    numbers = read_first_directory(data)
    return 4 * max(2, min(4, numbers["samples"])) if numbers and numbers["bits"] > 8 else 11


def _avif(data: bytes, header: Header) -> float:
    alpha = b"auxiliary:alpha" in data[:_BOXES]
    return (47 if alpha else 27) if header.bits > 8 else (33 if alpha else 19)


# Bytes of a pixel, by format.
_PIXEL: dict[str, Callable[[bytes, Header], float]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": lambda *_: 9,
    "webp": lambda *_: 9,
    "bmp": _bmp,
    "tiff": _tiff,
    "avif": _avif,
    "heic": lambda *_: 16,
}


def require(size: int) -> None:
    """Try whether there is as much memory as decoding needs.

    Raises:
        MemoryError: there is not.
    """
    np.empty(size, np.uint8)
