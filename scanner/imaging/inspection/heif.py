"""Finds the properties of the picture that an AVIF or HEIC file shows: its orientation and its colours.

ISO 23008-12: the `meta` box lists properties in `ipco`, and `ipma` associates them with items; a property that is
associated with another item, or with none, has no effect. Sequences (brand `avis`) show the first track instead, whose
properties are boxes of its sample entry (ISO 14496-12, 8.5.2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from scanner.imaging.formats.boxes import boxes

# Kind, start and end of the content.
Property = tuple[bytes, int, int]
_MAX_BOXES = 1000
_SAMPLE_ENTRY = 78  # bytes of a visual sample entry before its boxes


def properties(data: bytes) -> list[Property]:
    """List the properties of the picture that is shown, in the order of their association. Never raises."""
    try:
        if data[8:12] == b"avis":
            return list(_track_properties(data, *_first(data, 0, len(data), b"moov")))
        return list(_primary_item_properties(data, *_first(data, 0, len(data), b"meta")))
    except (struct.error, IndexError, KeyError):  # the file is cut, or a box is missing
        return []


def _children(data: bytes, at: int, end: int) -> list[Property]:
    """List the boxes in a box; none reaches beyond it, so that no byte is walked more than once a level.

    Args:
        data: the file.
        at: offset of the first box.
        end: offset behind the last box.
    """
    return [(kind, start, min(stop, end)) for kind, start, stop in islice(boxes(data, at, end), _MAX_BOXES)]


def _first(data: bytes, at: int, end: int, *path: bytes) -> tuple[int, int]:
    """Find a nested box: the first one of each kind in `path`, in the first one of the kind before.

    Args:
        data: the file.
        at: offset of the content of the outermost box.
        end: offset behind it.
        path: kinds of boxes, from the outside to the inside.

    Returns:
        Start and end of the content of the innermost box.

    Raises:
        KeyError: there is no such box.
    """
    for kind in path:
        places = [(start, stop) for name, start, stop in _children(data, at, end) if name == kind]
        if not places:
            raise KeyError(kind)
        at, end = places[0]
    return at, end


def _track_properties(data: bytes, at: int, end: int) -> Iterator[Property]:
    """Yield the properties of the first track of pictures.

    Args:
        data: the file.
        at: offset of the content of `moov`.
        end: offset behind it.
    """
    for kind, start, stop in _children(data, at, end):
        if kind != b"trak":
            continue
        media = _first(data, start, stop, b"mdia")
        handler, _ = _first(data, *media, b"hdlr")
        if data[handler + 8 : handler + 12] == b"pict":  # other tracks are alpha, or sound
            entries, entries_end = _first(data, *media, b"minf", b"stbl", b"stsd")
            _, entry, entry_end = _children(data, entries + 8, entries_end)[0]
            yield from _children(data, entry + _SAMPLE_ENTRY, entry_end)
            return


def _primary_item_properties(data: bytes, at: int, end: int) -> Iterator[Property]:
    """Yield the properties of the item that is shown.

    Args:
        data: the file.
        at: offset of the content of `meta`.
        end: offset behind it.
    """
    at += 4
    primary, _ = _first(data, at, end, b"pitm")
    wide = data[primary] > 0
    number = int.from_bytes(data[primary + 4 : primary + (8 if wide else 6)], "big")
    listed = _children(data, *_first(data, at, end, b"iprp", b"ipco"))
    for index in _associated(data, *_first(data, at, end, b"iprp", b"ipma"), number):
        if 0 < index <= len(listed):
            yield listed[index - 1]


def _associated(data: bytes, at: int, end: int, wanted: int) -> Iterator[int]:
    """Yield the numbers, counted from 1, of the properties of one item.

    Args:
        data: the file.
        at: offset of the content of `ipma`.
        end: offset behind it.
        wanted: identifier of the item.
    """
    version, large = data[at], data[at + 3] & 1
    head = struct.Struct(">IB" if version else ">HB")
    count, at = struct.unpack_from(">I", data, at + 4)[0], at + 8
    for _ in range(min(count, _MAX_BOXES)):
        if at + head.size > end:
            return
        item, properties = head.unpack_from(data, at)
        at += head.size
        numbers = struct.unpack_from(f">{properties}{'H' if large else 'B'}", data, at)
        at += properties * (2 if large else 1)
        if item == wanted:
            yield from (number & (0x7FFF if large else 0x7F) for number in numbers)  # the first bit says "essential"
            return
