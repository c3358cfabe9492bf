"""Measures a WebP whose data end early, and rebuilds one that was cut behind its first picture (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from scanner.imaging.formats.zero_runs import MIN_RUN, count_zeros

_PICTURE = (b"VP8 ", b"VP8L", b"ANMF")
_NEEDED = (b"VP8X", b"ANIM", b"ALPH", *_PICTURE)
_ALPHA_AND_ANIMATION = 0x12  # flags of VP8X; the others announce metadata, which are removed
# A lossy WebP has one zero byte for every 10,000 pixels of a plain area; twice as many are still taken for data. A
# lossless WebP has none.
_PLAIN_PIXELS_PER_ZERO = 5000


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the content of every chunk; the last one may end beyond the data."""
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, at + 8, at + 8 + length
        at += 8 + length + (length & 1)


def missing_webp_share(data: bytes) -> float:
    """Measure the share of the coded bytes (0..1) of the first picture or frame that lie beyond the end of the file."""
    for kind, at, end in webp_chunks(data):
        if kind in _PICTURE:
            return max(0.0, (end - len(data)) / (end - at)) if end > at else 1.0
    return 1.0


def zero_filled_share(data: bytes, pixels: int) -> float:
    """Measure the share of the first picture's coded bytes (0..1) that were never written, and are long runs of zeros.

    Args:
        data: the file.
        pixels: of the picture; large plain areas may be coded into zeros, too.
    """
    for kind, at, end in webp_chunks(data):
        if kind in _PICTURE and end > at:
            longest_plain_run = 0 if kind == b"VP8L" else pixels // _PLAIN_PIXELS_PER_ZERO
            return count_zeros(data, at, end, MIN_RUN + longest_plain_run) / (end - at)
    return 0.0


def extract_first_picture(data: bytes) -> bytes:
    """Rebuild a WebP from its first picture, which must be complete, and the transparency that belongs to it."""
    pieces = []
    for kind, at, end in webp_chunks(data):
        content = data[at:end]
        if kind == b"VP8X":
            content = bytes((content[0] & _ALPHA_AND_ANIMATION,)) + content[1:]
        if kind in _NEEDED:
            pieces.append(kind + struct.pack("<I", len(content)) + content + bytes(len(content) & 1))
        if kind in _PICTURE:
            break
    body = b"WEBP" + b"".join(pieces)
    return b"RIFF" + struct.pack("<I", len(body)) + body
