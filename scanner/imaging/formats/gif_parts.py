"""Finds the frames of a GIF (GIF89a, appendix B), and measures and completes one whose data end early."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_END = b";"
_MAX_CODE_BITS, _MAX_TABLE = 12, 4096  # an LZW table has no more entries, until a code clears it
# A code has 12 bits at most and stands for at least one pixel; the rest covers codes that clear the table.
_MAX_BYTES_PER_PIXEL = 2
_SLACK_BYTES = 4096
# Bytes of codes that are counted one by one (0.4 s a megabyte); longer data are estimated from their beginning.
_MAX_COUNTED_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class GifFrame:
    """A frame of a GIF.

    Attributes:
        data_start: offset of its data; the first byte is the size of the first code, in bits.
        end: offset behind its data.
        pixels: width times height.
        complete: whether the empty block that ends the data is there.
    """

    data_start: int
    end: int
    pixels: int
    complete: bool

    @property
    def implausible(self) -> bool:
        """Tell whether the data are longer than the frame can need. OpenCV takes 5 s for a megabyte of such data."""
        return self.size > _MAX_BYTES_PER_PIXEL * self.pixels + _SLACK_BYTES

    @property
    def size(self) -> int:
        """Return the bytes of the data."""
        return self.end - self.data_start


def gif_frames(data: bytes) -> tuple[list[GifFrame], bool]:
    """Find the frames of a GIF, the last of which may be cut.

    Returns:
        The frames, and whether the end mark of the file follows the last one.

    Raises:
        struct.error, IndexError: the file ends in its header or in the header of a frame.
    """
    frames = []
    at = 13 + _colour_table_bytes(data[10])
    while data[at : at + 1] in (b"!", b","):
        if data[at : at + 1] == b"!":  # extension: label, blocks
            at, complete = _end_of_blocks(data, at + 2)
        else:  # frame: position and size, flags, colours, size of the first code, blocks
            width, height, flags = struct.unpack_from("<HHB", data, at + 5)
            start = at + 10 + _colour_table_bytes(flags)
            at, complete = _end_of_blocks(data, start + 1)
            frames.append(GifFrame(start, at, width * height, complete))
        if not complete:
            break
    return frames, data[at : at + 1] == _END


def _end_of_blocks(data: bytes, at: int) -> tuple[int, bool]:
    """Return the end of a chain of blocks, and whether the empty block that ends the chain is there."""
    size = len(data)
    while at < size and data[at]:
        at += 1 + data[at]
    return min(at + 1, size), at < size


def _colour_table_bytes(flags: int) -> int:
    """Return the bytes of the colour table that these flags announce; 0 if they announce none."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def missing_gif_share(data: bytes, frame: GifFrame) -> float:
    """Measure the share of a frame's pixels (0..1) for which there are no codes."""
    if not frame.pixels or frame.data_start >= len(data):
        return 1.0
    codes = _join_blocks(data, frame)
    counted = _count_pixels(data[frame.data_start], codes[:_MAX_COUNTED_BYTES]).pixels
    return max(0.0, 1 - counted * max(1.0, len(codes) / _MAX_COUNTED_BYTES) / frame.pixels)


def complete_gif(data: bytes, frame: GifFrame) -> bytes:
    """Rebuild a GIF so that it ends behind a frame, and that frame has all its pixels.

    Args:
        data: the file.
        frame: one of its frames. Missing pixels, which should be few, get the first colour of the table.

    Returns:
        The new file.
    """
    if frame.complete:
        return data[: frame.end] + _END
    size, codes = data[frame.data_start], _join_blocks(data, frame)
    counted = _count_pixels(size, codes)
    lacking = frame.pixels - counted.pixels
    if lacking > 0:
        longest_run = (1 << size) - 2  # after more codes than this, the next one would need another bit
        clear, end = 1 << size, 1 << size | 1
        bits = int.from_bytes(codes, "little") & ((1 << counted.bits) - 1) | clear << counted.bits
        length = counted.bits + counted.next_code_bits
        for done in range(0, lacking, longest_run):
            length += (size + 1) * min(longest_run, lacking - done)  # code 0 is the first colour: no bit to set
            bits |= clear << length
            length += size + 1
        bits |= end << length
        codes = bits.to_bytes((length + size + 8) // 8, "little")
    blocks = b"".join(bytes((len(codes[i : i + 255]),)) + codes[i : i + 255] for i in range(0, len(codes), 255))
    return data[: frame.data_start + 1] + blocks + b"\x00" + _END


def _join_blocks(data: bytes, frame: GifFrame) -> bytes:
    """Join the blocks of a frame's codes, without the zeros that an unfinished download leaves at the end."""
    pieces, at = [], frame.data_start + 1
    while at < frame.end and data[at]:
        pieces.append(data[at + 1 : min(at + 1 + data[at], frame.end)])
        at += 1 + data[at]
    codes = b"".join(pieces)
    return codes if frame.complete else codes.rstrip(b"\x00")


@dataclass(frozen=True, slots=True)
class _Counted:
    """What LZW codes amount to.

    Attributes:
        pixels: that the codes stand for.
        bits: of all codes together.
        next_code_bits: of the code that would follow.
    """

    pixels: int
    bits: int
    next_code_bits: int


def _count_pixels(size: int, codes: bytes) -> _Counted:
    """Count the pixels that LZW codes stand for, without decoding them.

    Each entry of the table stands for one pixel more than the code that was read before the entry was made.

    Args:
        size: of the first code, in bits, as the file gives it.
        codes: the joined blocks.
    """
    if not 2 <= size <= 11:
        return _Counted(0, 0, 0)
    clear = 1 << size
    lengths, width, previous = [1] * (clear + 2), size + 1, 0  # pixels of each entry; bits of a code
    pixels = used = buffer = buffered = 0
    for byte in codes:
        buffer |= byte << buffered
        buffered += 8
        while buffered >= width:
            code = buffer & ((1 << width) - 1)
            if code == clear + 1:
                return _Counted(pixels, used, width)
            buffer >>= width
            buffered -= width
            used += width
            if code == clear:
                lengths, width, previous = [1] * (clear + 2), size + 1, 0
                continue
            # Inline, though it makes the function long: a call for each code takes a third more time.
            if previous and len(lengths) < _MAX_TABLE:
                lengths.append(previous + 1)
                if len(lengths) == 1 << width and width < _MAX_CODE_BITS:
                    width += 1
            if code >= len(lengths):
                return _Counted(pixels, used, width)
            previous = lengths[code]
            pixels += previous
    return _Counted(pixels, used, width)
