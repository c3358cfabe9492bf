"""The first directory of a TIFF: its tags, and whether OpenCV reads such a picture right."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_TAGS = {
    256: "width",
    257: "height",
    258: "bits",  # a sample
    262: "colours",  # PhotometricInterpretation
    273: "strip",  # where it is
    277: "samples",  # a pixel
    279: "strip_size",  # bytes
    284: "planes",  # PlanarConfiguration
    322: "tile_width",
    323: "tile_height",
    324: "tile",  # where it is
    325: "tile_size",  # bytes
    339: "numbers",  # SampleFormat
}
_PARTS = (273, 279, 324, 325)
_NUMBERS = {1: "uint", 2: "int", 3: "float"}
_RGB, _LOGLUV = 2, 32845  # PhotometricInterpretation
_KINDS = {1: "B", 3: "H", 4: "I"}


def first_directory(data: bytes) -> dict[str, int]:
    """The first number of each tag, 0 if it is missing; of strips and tiles, the last. Empty if the tags are broken.

    Raises:
        struct.error: the directory is not all there.
    """
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", data, 4)[0]
    numbers = dict.fromkeys(_TAGS.values(), 0)
    seen = set()
    for tag, kind, count, value in entries(data, order, start):
        if tag in _TAGS and tag not in seen:  # libtiff, too, believes the first entry of a tag
            if kind not in _KINDS:
                return {}
            seen.add(tag)
            number = order + _KINDS[kind]
            size = struct.calcsize(number)
            # Numbers too many for the entry lie elsewhere, and the entry says where.
            at = value if count * size <= 4 else struct.unpack_from(order + "I", data, value)[0]
            if tag in _PARTS:
                at += size * (count - 1)
            numbers[_TAGS[tag]] = struct.unpack_from(number, data, at)[0]
    return numbers


def entries(data: bytes, order: str, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and the place of the value's four bytes (TIFF 6.0, section 2) of a directory's entries.

    Args:
        data: the file, or the EXIF block, from its byte order mark on.
        order: `<` or `>`, as `struct` has it.
        start: of the directory.

    Raises:
        struct.error: the directory is not all there.
    """
    for i in range(struct.unpack_from(order + "H", data, start)[0]):
        entry = start + 2 + 12 * i
        yield *struct.unpack_from(order + "HHI", data, entry), entry + 8


def refusal(numbers: dict[str, int]) -> str:
    """Why OpenCV 5.0 should not see the picture, which it would read wrong; a reason, or empty."""
    if numbers["colours"] == _LOGLUV:
        return "unsupported_pixels:float32"
    bits, kind = numbers["bits"], _NUMBERS.get(numbers["numbers"], "uint")
    if bits > 16:  # it dies of some tiles of 64 bits
        return f"unsupported_pixels:{kind}{bits}"
    # Of these it shows what the memory held before.
    if numbers["colours"] == _RGB and not numbers["samples"]:  # it takes three for granted, libtiff one
        return "corrupt"
    if bits > 8 and numbers["planes"] == 2 and numbers["samples"] > 1 and numbers["colours"] <= _RGB:
        return f"unsupported_pixels:{kind}{bits}_planes"
    return ""
