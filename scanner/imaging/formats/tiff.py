"""The first directory of a TIFF: its tags, and whether OpenCV reads such a picture right."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from scanner.reasons import Reason

_TAGS = {
    256: "width",
    257: "height",
    258: "bits",  # a sample
    259: "compression",
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
_RGB, _YCBCR, _LOGLUV = 2, 6, 32845  # PhotometricInterpretation
# Compressions that OpenCV 5.0 unpacks, and names of those that it does not.
_READ = {0, 1, 2, 3, 4, 5, 6, 7, 8, 32766, 32771, 32773, 32809, 32908, 32909, 32946, 34676, 34677}
_COMPRESSIONS = {
    9: "jbig",
    10: "jbig",
    33003: "jpeg2000",
    33005: "jpeg2000",
    34661: "jbig",
    34665: "jpeg2000",
    34712: "jpeg2000",
    34887: "lerc",
    34892: "lossy_jpeg",
    34925: "lzma",
    34926: "zstd",
    34927: "webp",
    34933: "png",
    34934: "jpegxr",
    50000: "zstd",
    50001: "webp",
    50002: "jpegxl",
    52546: "jpegxl",
}
_KINDS = {1: "B", 3: "H", 4: "I"}
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes of one number, by kind; 1 of the others


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


def directories(data: bytes) -> Iterator[int]:
    """Walk the directories of a TIFF, one for each page, each named by the one before, up to one that is cut off."""
    order = "<" if data[:2] == b"II" else ">"
    seen: set[int] = set()
    with suppress(struct.error):
        (start,) = struct.unpack_from(order + "I", data, 4)
        while start and start not in seen:  # a ring would have no end
            seen.add(start)
            yield start
            (count,) = struct.unpack_from(order + "H", data, start)
            (start,) = struct.unpack_from(order + "I", data, start + 2 + 12 * count)


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


def is_cut(data: bytes) -> bool:
    """Whether numbers of the first directory lie beyond the end of the file.

    Raises:
        struct.error: the directory is not all there.
    """
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", data, 4)[0]
    sizes = ((_SIZES.get(kind, 1) * count, at) for _, kind, count, at in entries(data, order, start))
    return any(size > 4 and struct.unpack_from(order + "I", data, at)[0] + size > len(data) for size, at in sizes)


def refusal(numbers: dict[str, int]) -> str:
    """Why OpenCV 5.0 should not see the picture, which it would read wrong; a reason, or empty."""
    if numbers["colours"] == _LOGLUV:
        return f"{Reason.UNSUPPORTED_PIXELS}:float32"
    bits, kind = numbers["bits"], _NUMBERS.get(numbers["numbers"], "uint")
    if bits > 16 or kind == "float":  # it dies of some tiles of 64 bits
        return f"{Reason.UNSUPPORTED_PIXELS}:{kind}{bits}"
    if name := compression_name(numbers["compression"]):  # it shows black
        return f"{Reason.UNSUPPORTED_COMPRESSION}:{name}"
    # Of these it shows what the memory held before.
    if numbers["colours"] == _RGB and not numbers["samples"]:  # it takes three for granted, libtiff one
        return Reason.CORRUPT
    if bits > 8 and numbers["planes"] == 2 and numbers["samples"] > 1 and numbers["colours"] <= _RGB:
        return f"{Reason.UNSUPPORTED_PIXELS}:{kind}{bits}_planes"
    return ""


def least_bytes(numbers: dict[str, int]) -> int:
    """Bytes that the pixels have at least, unpacked; of YCbCr, there may be colours for one pixel in 16 only."""
    samples = 1 if numbers["colours"] == _YCBCR else numbers["samples"] or 1
    return numbers["height"] * -(-numbers["width"] * samples * (numbers["bits"] or 1) // 8)


def compression_name(number: int) -> str:
    """The name of a compression that OpenCV cannot unpack; empty for the others, and for none."""
    return "" if number in _READ else _COMPRESSIONS.get(number, str(number))
