"""Estimates how much memory decoding a picture takes, from its header."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from scanner.imaging.formats.bmp import read_bmp_header
from scanner.imaging.formats.tiff import read_first_directory
from scanner.imaging.inspection.avif_size import coded_pixels
from scanner.imaging.inspection.header import Header

# Bytes that decoding takes for each pixel of a plain picture (a JPEG, a PNG in colour), with all copies. Measured.
PLAIN_PIXEL_BYTES = 6
# Plain areas need few bytes: a white WebP has 38 bytes at any size, an AVIF of 48 megapixels 1,200. Pictures above
# these limits are refused: they are plainer than that, and no face can be in them.
_MAX_PLAIN_PIXELS, _MAX_PIXELS_PER_BYTE = 24_000_000, 50_000
_AVIF_BOXES_BYTES = 4096  # the boxes at the beginning of an AVIF, which say whether it has alpha


def count_decoded_pixels(data: bytes, header: Header) -> int:
    """Return the pixels that a decoder produces, which may be more than the picture shows.

    Args:
        data: the file.
        header: its header.
    """
    pixels = max(header.width * header.height, header.tile_pixels)
    return max(pixels, coded_pixels(data)) if header.format == "avif" else pixels


def is_implausibly_plain(pixels: int, size: int) -> bool:
    """Tell whether a file of `size` bytes announces so many pixels that it can only be there to cost memory."""
    return pixels > _MAX_PLAIN_PIXELS and pixels > _MAX_PIXELS_PER_BYTE * size


def as_plain_pixels(memory: int) -> int:
    """Convert bytes of memory to the pixels of a plain picture whose decoding takes as much."""
    return memory // PLAIN_PIXEL_BYTES


def estimate_bytes(data: bytes, header: Header, pixels: int) -> int:
    """Estimate the peak of memory that decoding takes, the picture included. Measured with OpenCV 5.0, 16 megapixels.

    Args:
        data: the file.
        header: its header.
        pixels: that the decoder produces, as `count_decoded_pixels` returns them.

    Returns:
        Bytes.
    """
    try:
        return int(pixels * _BYTES_PER_PIXEL[header.format](data, header))
    except (KeyError, struct.error, IndexError, ValueError):  # a format that is not decoded, or the file ends early
        return pixels * PLAIN_PIXEL_BYTES


def _jpeg(_: bytes, header: Header) -> float:
    """Estimate a JPEG: a decoder holds all coefficients until the last of several scans."""
    jpeg = header.jpeg
    if jpeg is None:
        return PLAIN_PIXEL_BYTES
    second_copy = 0 if jpeg.has_end_mark else 6  # a file without its end is decoded twice, to measure what is missing
    if len(jpeg.scans) < 2:
        return PLAIN_PIXEL_BYTES + second_copy
    across, down = jpeg.block if len(jpeg.sampling) > 1 else (8, 8)
    samples = sum(h * v for h, v in jpeg.sampling) * 64 / (across * down) if len(jpeg.sampling) > 1 else 1
    return max(PLAIN_PIXEL_BYTES, 3 + 2 * samples) + second_copy


def _png(data: bytes, _: Header) -> float:
    """Estimate a PNG, by its samples and their depth."""
    depth, kind = data[24], data[25]
    samples = {0: 1, 2: 3}.get(kind, 4)
    return 4 * samples if depth == 16 else max(samples + 3.3, 2 * samples)


def _bmp(data: bytes, _: Header) -> float:
    """Estimate a BMP; one that OpenCV misreads is decoded in NumPy, with more copies."""
    return 24 if read_bmp_header(data).opencv_misreads else 7


def _tiff(data: bytes, _: Header) -> float:
    """Estimate a TIFF; OpenCV reads samples of more than 8 bits in another way."""
    numbers = read_first_directory(data)
    return 4 * max(2, min(4, numbers["samples"])) if numbers and numbers["bits"] > 8 else 11


def _avif(data: bytes, header: Header) -> float:
    """Estimate an AVIF, by its bits and its alpha; more than 8 bits are decoded twice."""
    alpha = b"auxiliary:alpha" in data[:_AVIF_BOXES_BYTES]
    return (47 if alpha else 27) if header.bits > 8 else (33 if alpha else 19)


# Bytes that decoding takes for each pixel, by format.
_BYTES_PER_PIXEL: dict[str, Callable[[bytes, Header], float]] = {
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
    """Check that `size` bytes of memory can be allocated, since most decoders only say that they failed.

    Raises:
        MemoryError: they cannot.
    """
    np.empty(size, np.uint8)
