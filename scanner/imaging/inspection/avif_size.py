"""Finds the size of the coded pictures in an AVIF, which a decoder decodes whole, whatever size the container gives.

The coded data are AV1 (AV1 bitstream and decoding process specification), in a container of ISO 14496-12.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from scanner.imaging.formats.boxes import boxes

_SEQUENCE_HEADER = 1  # type of an open bitstream unit (OBU)
_MAX_ITEMS = 4096
_MAX_UNITS = 16  # the sequence header is one of the first units
_MAX_HEADER_BYTES = 128  # of a sequence header


def coded_pixels(data: bytes) -> int:
    """Return the pixels of the largest picture that is coded or scaled to; 0 if no size is given. Never raises."""
    most = 0
    try:
        most = max(_track_sizes(data), default=0)
        for start in _coded_data_offsets(data):
            for kind, at, stop in _units(data, start):
                if kind == _SEQUENCE_HEADER:
                    width, height = _read_frame_size(data[at : min(stop, at + _MAX_HEADER_BYTES)])
                    most = max(most, width * height)
                    break
    except (struct.error, IndexError):  # the file is cut
        pass
    return most


def _coded_data_offsets(data: bytes) -> Iterator[int]:
    """Yield the offsets where coded pictures may begin: of items in `meta`, of samples in an animation's track."""
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"meta":
            inner = {name: (at, stop) for name, at, stop in boxes(data, start + 4, min(end, len(data)))}
            if b"iloc" in inner:
                yield from _item_offsets(data, *inner[b"iloc"], inner.get(b"idat", (0, 0))[0])
        elif (
            kind == b"moov" and (at := data.find(b"stco", start, end)) >= 0
        ):  # offsets of chunks of samples, of 32 bits
            yield int.from_bytes(data[at + 12 : at + 16], "big")
        elif kind == b"moov" and (at := data.find(b"co64", start, end)) >= 0:  # of 64 bits
            yield int.from_bytes(data[at + 12 : at + 20], "big")


def _track_sizes(data: bytes) -> Iterator[int]:
    """Yield the pixels of each track of an animation (`tkhd`), to which its pictures are scaled."""
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"moov":
            for name, at, stop in boxes(data, start, min(end, len(data))):
                if name == b"trak":
                    for header, _, header_end in boxes(data, at, min(stop, len(data))):
                        if header == b"tkhd":
                            width, height = struct.unpack_from(">II", data, header_end - 8)
                            yield (width >> 16) * (height >> 16)


def _item_offsets(data: bytes, at: int, end: int, idat: int) -> Iterator[int]:
    """Yield the offset of the first extent of every item (ISO 14496-12, `iloc`).

    Args:
        data: the file.
        at: offset of the content of the `iloc` box.
        end: offset behind the box.
        idat: offset of the content of the `idat` box, from which some items count.

    Raises:
        struct.error, IndexError: the file ends in the box.
    """
    version, sizes = data[at], struct.unpack_from(">H", data, at + 4)[0]
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    number = 4 if version == 2 else 2
    count = int.from_bytes(data[at + 6 : at + 6 + number], "big")
    at += 6 + number
    for _ in range(min(count, _MAX_ITEMS)):
        if at + number > end:
            return
        at += number
        method = data[at + 1] & 15 if version else 0
        at += 4 if version else 2
        base = int.from_bytes(data[at : at + base_size], "big")
        extents = int.from_bytes(data[at + base_size : at + base_size + 2], "big")
        at += base_size + 2
        if extents:
            offset = int.from_bytes(data[at + index_size : at + index_size + offset_size], "big")
            yield base + offset + (idat if method == 1 else 0)
        at += extents * (index_size + offset_size + length_size)


def _units(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield type, start and end of the content of each open bitstream unit (AV1, 5.3) from an offset on."""
    end = len(data)
    for _ in range(_MAX_UNITS):
        if at >= end:
            return
        header = data[at]
        at += 2 if header & 4 else 1
        size = end - at
        if header & 2:
            try:
                size, at = _read_leb128(data, at)
            except IndexError:
                return
        yield header >> 3 & 15, at, at + size
        at += size


def _read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first (LEB128).

    Returns:
        The number, and the offset behind it.

    Raises:
        IndexError: the file ends in the number.
    """
    number = 0
    for place in range(8):
        number |= (data[at + place] & 127) << 7 * place
        if data[at + place] < 128:
            return number, at + place + 1
    return number, at + 8


class _Bits:
    """Reader of numbers of any width, highest bit first; reads zeros beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def __call__(self, width: int) -> int:
        """Read the next number of `width` bits."""
        self._left -= width
        number = self._number >> self._left if self._left >= 0 else 0
        return number & ((1 << width) - 1)

    def skip_uvlc(self) -> None:
        """Skip a number that has as many bits as zeros stand before its first one (AV1, 4.10.3)."""
        zeros = 0
        while not self(1) and self._left > 0:
            zeros += 1
        self(min(zeros, 32))


def _read_frame_size(header: bytes) -> tuple[int, int]:
    """Read the largest width and height, in pixels, from the content of a sequence header (AV1, 5.5.1)."""
    read = _Bits(header)
    read(4)  # profile, still picture
    if read(1):  # reduced header
        read(5)
    else:
        delay_bits = _skip_timing(read)
        _skip_operating_points(read, delay_bits)
    width_bits, height_bits = read(4) + 1, read(4) + 1
    return read(width_bits) + 1, read(height_bits) + 1


def _skip_timing(read: _Bits) -> int:
    """Skip the timing of a sequence header.

    Returns:
        Bits of a decoder's delay, which each operating point repeats; 0 if there is no decoder model.
    """
    if not read(1):
        return 0
    read(64)  # ticks
    if read(1):  # equal intervals between pictures
        read.skip_uvlc()
    if not read(1):  # decoder model
        return 0
    delay_bits = read(5) + 1
    read(42)
    return delay_bits


def _skip_operating_points(read: _Bits, delay_bits: int) -> None:
    """Skip the operating points of a sequence header: for whom a part of the stream is enough."""
    has_display_delay = read(1)
    for _ in range(read(5) + 1):
        read(12)
        if read(5) > 7:  # level
            read(1)
        if delay_bits and read(1):
            read(2 * delay_bits + 1)
        if has_display_delay and read(1):
            read(4)
