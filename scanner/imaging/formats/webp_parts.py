"""Rebuilds a WebP that was cut behind its picture (the RIFF container of RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from scanner.imaging.formats.zero_runs import MIN_RUN, count_zeros

_PICTURE = (b"VP8 ", b"VP8L", b"ANMF")
_WANTED = (b"VP8X", b"ANIM", b"ALPH", *_PICTURE)
_WITHOUT_METADATA = 0x12  # of the flags of VP8X, those of alpha and of an animation


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the content of every chunk; the last one may end beyond the data."""
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, at + 8, at + 8 + length
        at += 8 + length + (length & 1)


def missing_webp_share(data: bytes) -> float:
    """Share of the coded picture (0..1) that is beyond the end of the data; of an animation, of its first frame."""
    for kind, at, end in webp_chunks(data):
        if kind in _PICTURE:
            return max(0.0, (end - len(data)) / (end - at)) if end > at else 1.0
    return 1.0


def zero_filled_share(data: bytes, pixels: int) -> float:
    """Share of the coded picture (0..1) that was never written: more zeros in a row than plain areas are coded into.

    A lossy WebP has one byte of zeros for every 10,000 pixels of a plain area, a lossless one has none.
    """
    for kind, at, end in webp_chunks(data):
        if kind in _PICTURE and end > at:
            return count_zeros(data, at, end, MIN_RUN + (0 if kind == b"VP8L" else pixels // 5000)) / (end - at)
    return 0.0


def extract_first_picture(data: bytes) -> bytes:
    """A WebP of the first picture alone, which is all there, and of the transparency that goes with it."""
    pieces = []
    for kind, at, end in webp_chunks(data):
        content = data[at:end]
        if kind == b"VP8X":
            content = bytes((content[0] & _WITHOUT_METADATA,)) + content[1:]
        if kind in _WANTED:
            pieces.append(kind + struct.pack("<I", len(content)) + content + bytes(len(content) & 1))
        if kind in _PICTURE:
            break
    body = b"WEBP" + b"".join(pieces)
    return b"RIFF" + struct.pack("<I", len(body)) + body
