"""Finds metadata in AVIF and HEIC: items of the `meta` box (ISO 14496-12, 8.11) and `uuid` boxes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from scanner.imaging.formats.boxes import boxes

# Boxes, items and extents that are read, at most.
_MAX_BOXES = 1000
_KINDS = (b"Exif", b"mime")


def uuid_boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield UUID, start and end of the content of the outermost `uuid` boxes."""
    for kind, at, end in islice(boxes(data, 0, len(data)), _MAX_BOXES):
        if kind == b"uuid":
            yield data[at : at + 16], at + 16, end


def items(data: bytes) -> Iterator[tuple[bytes, bytes, int, int]]:
    """Yield kind (`Exif` or `mime`), MIME type, start and end of the metadata items; of an item in pieces, only the
    first.

    Raises:
        struct.error, IndexError: the boxes are cut off.
    """
    for kind, at, end in islice(boxes(data, 0, len(data)), _MAX_BOXES):
        if kind == b"meta":
            inner = {name: (start, stop) for name, start, stop in islice(boxes(data, at + 4, end), _MAX_BOXES)}
            if b"iinf" in inner and b"iloc" in inner:
                wanted = _infos(data, *inner[b"iinf"])
                idat = inner.get(b"idat", (0, 0))[0]
                for number, start, stop in _places(data, inner[b"iloc"][0], idat, wanted):
                    yield *wanted[number], start, stop
            return


def _infos(data: bytes, at: int, end: int) -> dict[int, tuple[bytes, bytes]]:
    """Return kind and MIME type of the metadata items, by item number."""
    wanted = {}
    for kind, start, stop in islice(boxes(data, at + (6 if data[at] == 0 else 8), end), _MAX_BOXES):
        if kind == b"infe" and data[start] in (2, 3):  # the versions that HEIF uses
            wide = data[start] == 3
            number, _, sort = struct.unpack_from(">IH4s" if wide else ">HH4s", data, start + 4)
            name = data[start + (14 if wide else 12) : min(stop, start + 1000)]
            if sort in _KINDS:
                wanted[number] = sort, name.split(b"\x00")[1] if name.count(b"\x00") > 1 else b""
    return wanted


def _places(data: bytes, at: int, idat: int, wanted: dict[int, tuple[bytes, bytes]]) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of the first extent of each wanted item.

    Args:
        data: the file.
        at: start of the `iloc` box's content.
        idat: start of the `idat` box's content.
        wanted: items by number.
    """
    version, sizes = data[at], struct.unpack_from(">H", data, at + 4)[0]
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    index_size = index_size if version else 0
    number_size = 4 if version == 2 else 2
    count = int.from_bytes(data[at + 6 : at + 6 + number_size], "big")
    at += 6 + number_size

    def number(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(data[at - size : at], "big")

    for _ in range(min(count, _MAX_BOXES)):
        item = number(number_size)
        method = number(2) & 15 if version else 0  # 0: from the start of the file, 1: of idat
        number(2)  # data reference index
        base = number(base_size)
        extents = number(2)
        if extents:
            number(index_size)
            start = base + number(offset_size) + (idat if method == 1 else 0)
            length = number(length_size)
            at += (extents - 1) * (index_size + offset_size + length_size)
            if item in wanted and method in (0, 1):
                yield item, start, start + length
