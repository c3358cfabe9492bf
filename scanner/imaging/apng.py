"""The frames of an animated PNG (W3C, third edition, 11.3.4): each is decoded as a PNG of its own, and composed here.

OpenCV 5.0 composes them, too, but dies of some that are broken.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from scanner.imaging.decode import Picture, convert_opencv_frame
from scanner.imaging.formats.png_parts import png_chunks

_KEEP, _CLEAR, _RESTORE = range(3)  # what becomes of a frame's place before the next one
_BAND = 64  # rows
_OVER = 1  # a frame is laid over what is there, where it is transparent


@dataclass(slots=True)
class _Part:
    """A frame's place, and its compressed pixels."""

    width: int
    height: int
    x: int
    y: int
    dispose: int
    blend: int
    content: list[bytes] = field(default_factory=list)


def animation_frames(data: bytes, wanted: Sequence[int]) -> Iterator[tuple[int, Picture]]:
    """Compose the frames with these numbers, in growing order; frame 0 is the picture that every program shows.

    Where that picture is not the first frame of the animation, the animation's frames count from 1. Stops at the first
    frame that is broken.

    Yields:
        Number, and RGB uint8 (height, width, 3).
    """
    if not wanted:
        return
    width, height = struct.unpack_from(">II", data, 16)
    canvas = np.zeros((height, width, 4), np.uint8)
    for number, part in _parts(data):
        if number > wanted[-1]:
            return
        pixels = _pixels(data, part)
        rows, columns = slice(part.y, part.y + part.height), slice(part.x, part.x + part.width)
        if pixels is None or canvas[rows, columns].shape != pixels.shape:
            return
        before = canvas[rows, columns].copy()
        if part.blend == _OVER:
            _lay_over(canvas[rows, columns], pixels)
        else:
            canvas[rows, columns] = pixels
        if number in wanted:
            yield number, convert_opencv_frame(canvas, data, "png")
        if part.dispose != _KEEP:
            canvas[rows, columns] = before if part.dispose == _RESTORE else 0


def _parts(data: bytes) -> Iterator[tuple[int, _Part]]:
    """Number and content of every frame of the animation, one after the other."""
    part, number, shown = None, 0, False
    for kind, at, end in png_chunks(data):
        if kind == b"fcTL":
            if part is not None:
                yield number, part
                number += 1
            elif shown:  # the picture that every program shows is not part of the animation
                number = 1
            sizes = struct.unpack_from(">IIIIxxxxBB", data, at + 12)
            part = _Part(*sizes)
        elif kind in (b"IDAT", b"fdAT"):
            shown = True
            if part is not None:
                part.content.append(data[at + (12 if kind == b"fdAT" else 8) : end - 4])
    if part is not None:
        yield number, part


def _pixels(data: bytes, part: _Part) -> Picture | None:
    """A frame alone, BGRA uint8; None if it is broken."""
    size = struct.pack(">II", part.width, part.height)
    chunks = [_chunk(b"IHDR", size + data[24:29])]
    for kind, at, end in png_chunks(data):
        if kind in (b"PLTE", b"tRNS"):
            chunks.append(data[at:end])
        elif kind in (b"IDAT", b"fdAT"):
            break
    chunks += [_chunk(b"IDAT", b"".join(part.content)), _chunk(b"IEND", b"")]
    alone = np.frombuffer(data[:8] + b"".join(chunks), np.uint8)
    try:
        pixels = cv2.imdecode(alone, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None:
        return None
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGRA)
    return pixels if pixels.shape[2] == 4 else cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA)


def _lay_over(below: Picture, above: Picture) -> None:
    """Compose two BGRA pictures, alpha not multiplied in; in place, and some rows at a time, to save memory."""
    for start in range(0, len(below), _BAND):
        low, high = below[start : start + _BAND], above[start : start + _BAND]
        over = high[:, :, 3:].astype(np.float32) / 255
        under = low[:, :, 3:].astype(np.float32) / 255 * (1 - over)
        alpha = over + under
        colour = (high[:, :, :3] * over + low[:, :, :3] * under) / np.maximum(alpha, 1 / 255)
        below[start : start + _BAND] = np.dstack([colour, alpha * 255]).round()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
