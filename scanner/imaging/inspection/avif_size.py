"""Finds the size of the coded pictures in an AVIF, all of which is decoded, whatever the container says of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from scanner.imaging.formats.boxes import boxes

_SEQUENCE_HEADER = 1  # type of an OBU
_MOST_ITEMS, _MOST_UNITS = 4096, 16  # that are looked at; the sequence header is one of the first units


def coded_pixels(data: bytes) -> int:
    """Pixels of the largest picture that is coded or made; 0 if none says its size. Never raises."""
    most = 0
    try:
        most = max(_track_sizes(data), default=0)
        for start in _places(data):
            for kind, at, stop in _units(data, start):
                if kind == _SEQUENCE_HEADER:
                    width, height = _frame_size(data[at : min(stop, at + 128)])
                    most = max(most, width * height)
                    break
    except (struct.error, IndexError):
        pass
    return most


def _places(data: bytes) -> Iterator[int]:
    """Where coded pictures may begin: items of `meta`, samples of the track of an animation."""
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"meta":
            inner = {name: (at, stop) for name, at, stop in boxes(data, start + 4, min(end, len(data)))}
            if b"iloc" in inner:
                yield from _items(data, *inner[b"iloc"], inner.get(b"idat", (0, 0))[0])
        elif kind == b"moov" and (at := data.find(b"stco", start, end)) >= 0:  # chunks of samples
            yield int.from_bytes(data[at + 12 : at + 16], "big")
        elif kind == b"moov" and (at := data.find(b"co64", start, end)) >= 0:
            yield int.from_bytes(data[at + 12 : at + 20], "big")


def _track_sizes(data: bytes) -> Iterator[int]:
    """Pixels of the tracks of an animation (`tkhd`), to which its pictures are scaled."""
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"moov":
            for name, at, stop in boxes(data, start, min(end, len(data))):
                if name == b"trak":
                    for header, _, header_end in boxes(data, at, min(stop, len(data))):
                        if header == b"tkhd":
                            width, height = struct.unpack_from(">II", data, header_end - 8)
                            yield (width >> 16) * (height >> 16)


def _items(data: bytes, at: int, end: int, idat: int) -> Iterator[int]:
    """Start of the first extent of every item (ISO 14496-12, `iloc`).

    Args:
        data: the file.
        at: start of the box's content.
        end: of the box.
        idat: where the content of the `idat` box begins.

    Raises:
        struct.error, IndexError: the box is cut.
    """
    version, sizes = data[at], struct.unpack_from(">H", data, at + 4)[0]
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    number = 4 if version == 2 else 2
    count = int.from_bytes(data[at + 6 : at + 6 + number], "big")
    at += 6 + number
    for _ in range(min(count, _MOST_ITEMS)):
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
    """Type, start and end of the content of the open bitstream units (AV1, 5.3)."""
    end = len(data)
    for _ in range(_MOST_UNITS):
        if at >= end:
            return
        head = data[at]
        at += 2 if head & 4 else 1
        size = end - at
        if head & 2:  # LEB128
            size = shift = 0
            for _ in range(8):
                if at >= end:
                    return
                size |= (data[at] & 127) << shift
                shift += 7
                at += 1
                if data[at - 1] < 128:
                    break
        yield head >> 3 & 15, at, at + size
        at += size


class _Bits:
    """Reads numbers of any width; zeros beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def __call__(self, width: int) -> int:
        self._left -= width
        number = self._number >> self._left if self._left >= 0 else 0
        return number & ((1 << width) - 1)

    def skip_uvlc(self) -> None:
        """A number with as many bits as zeros stand before its first one."""
        zeros = 0
        while not self(1) and self._left > 0:
            zeros += 1
        self(min(zeros, 32))


def _frame_size(header: bytes) -> tuple[int, int]:
    """Width and height, at most, from a sequence header (AV1, 5.5.1)."""
    take = _Bits(header)
    take(4)  # profile, still picture
    if take(1):  # reduced header
        take(5)
    else:
        delay = 0
        model = False
        if take(1):  # timing
            take(64)
            if take(1):
                take.skip_uvlc()
            model = bool(take(1))
            if model:
                delay = take(5) + 1
                take(42)
        display_delay = take(1)
        for _ in range(take(5) + 1):
            take(12)
            if take(5) > 7:
                take(1)
            if model and take(1):
                take(2 * delay + 1)
            if display_delay and take(1):
                take(4)
    widths, heights = take(4) + 1, take(4) + 1
    return take(widths) + 1, take(heights) + 1
