"""Finds the frames of a GIF (GIF89a, appendix B), and tells how much is left of one that was cut."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_END = b";"
# A code has 12 bits at most and makes one pixel at least; the rest is for codes that only clear the table.
_BYTES_A_PIXEL = 2
_SLACK = 4096
_MOST_COUNTED = 4 * 2**20  # bytes


@dataclass(frozen=True, slots=True)
class GifFrame:
    """A frame of a GIF.

    Attributes:
        data_start: where its data begin, with the size of the first code.
        end: of its data.
        pixels: width times height.
        complete: whether the mark at the end of its data is there.
    """

    data_start: int
    end: int
    pixels: int
    complete: bool

    @property
    def implausible(self) -> bool:
        """Whether the data are longer than a picture of this size can need. OpenCV takes 5 s for a megabyte of them."""
        return self.size > _BYTES_A_PIXEL * self.pixels + _SLACK

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return self.end - self.data_start


def gif_frames(data: bytes) -> tuple[list[GifFrame], bool]:
    """Find the frames, and whether the mark at the end of the file stands behind the last. The last one may be cut.

    Raises:
        struct.error, IndexError: the data end in the header of the file or of a frame.
    """
    frames = []
    at = 13 + _colours(data[10])
    while data[at : at + 1] in (b"!", b","):
        if data[at : at + 1] == b"!":  # extension: label, blocks
            at, complete = _end_of_blocks(data, at + 2)
        else:  # frame: position and size, flags, colours, size of the first code, blocks
            width, height, flags = struct.unpack_from("<HHB", data, at + 5)
            start = at + 10 + _colours(flags)
            at, complete = _end_of_blocks(data, start + 1)
            frames.append(GifFrame(start, at, width * height, complete))
        if not complete:
            break
    return frames, data[at : at + 1] == _END


def _end_of_blocks(data: bytes, at: int) -> tuple[int, bool]:
    """The end of a chain of blocks, and whether the empty one that ends it is there."""
    size = len(data)
    while at < size and data[at]:
        at += 1 + data[at]
    return min(at + 1, size), at < size


def _colours(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def missing_gif_share(data: bytes, frame: GifFrame) -> float:
    """Share of a frame's pixels (0..1) for which there are no codes: 0.4 s a megabyte, and an estimate beyond four."""
    if not frame.pixels or frame.data_start >= len(data):
        return 1.0
    codes = _codes(data, frame)
    pixels = _count(data[frame.data_start], codes[:_MOST_COUNTED]).pixels * max(1.0, len(codes) / _MOST_COUNTED)
    return max(0.0, 1 - pixels / frame.pixels)


def complete_gif(data: bytes, frame: GifFrame) -> bytes:
    """A GIF that ends behind a frame. Pixels that the frame lacks, which should be few, have its first colour."""
    if frame.complete:
        return data[: frame.end] + _END
    size, codes = data[frame.data_start], _codes(data, frame)
    count = _count(size, codes)
    lacking = frame.pixels - count.pixels
    if lacking > 0:
        run = (1 << size) - 2  # after so many the codes would have to grow
        bits = int.from_bytes(codes, "little") & ((1 << count.bits) - 1) | 1 << count.bits + size
        length = count.bits + count.width  # and the table was cleared
        for done in range(0, lacking, run):
            length += (size + 1) * min(run, lacking - done)  # the first colour is code 0
            bits |= 1 << length + size
            length += size + 1
        bits |= (1 << size | 1) << length  # the end
        codes = bits.to_bytes((length + size + 8) // 8, "little")
    blocks = b"".join(bytes((len(codes[i : i + 255]),)) + codes[i : i + 255] for i in range(0, len(codes), 255))
    return data[: frame.data_start + 1] + blocks + b"\x00" + _END


def _codes(data: bytes, frame: GifFrame) -> bytes:
    """The blocks of a frame in one piece; of one that was cut, without zeros that stand for the rest."""
    pieces, at = [], frame.data_start + 1
    while at < frame.end and data[at]:
        pieces.append(data[at + 1 : min(at + 1 + data[at], frame.end)])
        at += 1 + data[at]
    codes = b"".join(pieces)
    return codes if frame.complete else codes.rstrip(b"\x00")


@dataclass(frozen=True, slots=True)
class _Count:
    """Pixels that codes stand for, the bits of the codes, and those that the next code would have."""

    pixels: int
    bits: int
    width: int


def _count(size: int, codes: bytes) -> _Count:
    """Follow LZW codes without making the pixels: an entry has one more than the code before the one that made it."""
    if not 2 <= size <= 11:
        return _Count(0, 0, 0)
    clear = 1 << size
    entries, width, before = [1] * (clear + 2), size + 1, 0
    pixels = used = held = bits = 0
    for byte in codes:
        held |= byte << bits
        bits += 8
        while bits >= width:
            code = held & ((1 << width) - 1)
            if code == clear + 1:
                return _Count(pixels, used, width)
            held >>= width
            bits -= width
            used += width
            if code == clear:
                entries, width, before = [1] * (clear + 2), size + 1, 0
                continue
            if before and len(entries) < 4096:
                entries.append(before + 1)
                if len(entries) == 1 << width and width < 12:
                    width += 1
            if code >= len(entries):
                return _Count(pixels, used, width)
            before = entries[code]
            pixels += before
    return _Count(pixels, used, width)
