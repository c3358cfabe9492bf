"""Decodes the frames of an animated PNG (W3C, third edition, 11.3.4), each as a separate PNG, and composes them.

OpenCV 5.0 decodes animations, too, but crashes on some that are broken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from scanner.imaging.decode import Picture, convert_opencv_frame
from scanner.imaging.formats.png_parts import make_png_chunk, png_chunks

_KEEP, _CLEAR, _RESTORE = range(3)  # dispose_op: what happens to a frame's area before the next frame
_OVER = 1  # blend_op: a frame is composed with the area below it, instead of replacing it
_BAND_ROWS = 64  # rows that are composed at once


@dataclass(slots=True)
class _FrameData:
    """A frame as the file stores it.

    Attributes:
        width: pixels.
        height: pixels.
        x: column of its left edge in the picture.
        y: row of its upper edge in the picture.
        dispose: what happens to its area before the next frame: `_KEEP`, `_CLEAR` or `_RESTORE`.
        blend: `_OVER`, or 0 if the frame replaces its area.
        content: its packed pixels, as the contents of several chunks.
    """

    width: int
    height: int
    x: int
    y: int
    dispose: int
    blend: int
    content: list[bytes] = field(default_factory=list)


def animation_frames(data: bytes, wanted: Sequence[int]) -> Iterator[tuple[int, Picture]]:
    """Decode and compose some frames of an animation, up to the first frame that is broken.

    Args:
        data: the file.
        wanted: numbers of frames, ascending. Frame 0 is the picture that every program shows; where it is not part of
            the animation, the animation's frames count from 1.

    Yields:
        Number, and RGB uint8 (height, width, 3).
    """
    if not wanted:
        return
    width, height = struct.unpack_from(">II", data, 16)
    canvas = np.zeros((height, width, 4), np.uint8)
    for number, part in _find_frames(data):
        if number > wanted[-1]:
            return
        pixels = _decode_frame(data, part)
        rows, columns = slice(part.y, part.y + part.height), slice(part.x, part.x + part.width)
        if pixels is None or canvas[rows, columns].shape != pixels.shape:
            return
        before = canvas[rows, columns].copy()
        if part.blend == _OVER:
            _compose(canvas[rows, columns], pixels)
        else:
            canvas[rows, columns] = pixels
        if number in wanted:
            yield number, convert_opencv_frame(canvas, data, "png")
        if part.dispose != _KEEP:
            canvas[rows, columns] = before if part.dispose == _RESTORE else 0


def _find_frames(data: bytes) -> Iterator[tuple[int, _FrameData]]:
    """Yield number and content of every frame of the animation."""
    part, number, has_still = None, 0, False
    for kind, at, end in png_chunks(data):
        if kind == b"fcTL":
            if part is not None:
                yield number, part
                number += 1
            elif has_still:  # the picture that every program shows is not part of the animation
                number = 1
            sizes = struct.unpack_from(">IIIIxxxxBB", data, at + 12)
            part = _FrameData(*sizes)
        elif kind in (b"IDAT", b"fdAT"):
            has_still = True
            if part is not None:
                part.content.append(data[at + (12 if kind == b"fdAT" else 8) : end - 4])
    if part is not None:
        yield number, part


def _decode_frame(data: bytes, part: _FrameData) -> Picture | None:
    """Decode one frame as a separate PNG: BGRA uint8 (height, width, 4); None if it is broken."""
    size = struct.pack(">II", part.width, part.height)
    chunks = [make_png_chunk(b"IHDR", size + data[24:29])]
    for kind, at, end in png_chunks(data):
        if kind in (b"PLTE", b"tRNS"):
            chunks.append(data[at:end])
        elif kind in (b"IDAT", b"fdAT"):
            break
    chunks += [make_png_chunk(b"IDAT", b"".join(part.content)), make_png_chunk(b"IEND", b"")]
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


def _compose(below: Picture, above: Picture) -> None:
    """Lay one picture over another, in place, and some rows at a time, to save memory.

    Args:
        below: BGRA uint8 (height, width, 4), colours not multiplied by alpha; receives the result.
        above: the same layout and size.
    """
    for start in range(0, len(below), _BAND_ROWS):
        low, high = below[start : start + _BAND_ROWS], above[start : start + _BAND_ROWS]
        over = high[:, :, 3:].astype(np.float32) / 255
        under = low[:, :, 3:].astype(np.float32) / 255 * (1 - over)
        alpha = over + under
        colour = (high[:, :, :3] * over + low[:, :, :3] * under) / np.maximum(alpha, 1 / 255)
        below[start : start + _BAND_ROWS] = np.dstack([colour, alpha * 255]).round()
