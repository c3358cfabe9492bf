"""Reads the first directory of a TIFF (TIFF 6.0), and tells whether OpenCV reads such a picture right."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from scanner.reasons import Reason

_TAGS = {
    256: "width",
    257: "height",
    258: "bits",  # of a sample
    259: "compression",
    262: "photometric",  # PhotometricInterpretation
    273: "strip_offset",
    277: "samples",  # of a pixel
    279: "strip_size",  # bytes
    284: "planar_configuration",
    322: "tile_width",
    323: "tile_height",
    324: "tile_offset",
    325: "tile_size",  # bytes
    339: "sample_format",
}
_STRIPS_AND_TILES = (273, 279, 324, 325)
_SAMPLE_FORMATS = {1: "uint", 2: "int", 3: "float"}
_RGB, _YCBCR, _LOGLUV = 2, 6, 32845  # PhotometricInterpretation
_SEPARATE_PLANES = 2  # PlanarConfiguration
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
# By the type of an entry: the `struct` format of one unsigned number, and the bytes of one number that are not 1.
NUMBER_FORMATS = {1: "B", 3: "H", 4: "I"}
_NUMBER_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def byte_order(data: bytes) -> str:
    """Read the byte order of a TIFF, as `struct` has it: `<` or `>`."""
    return "<" if data[:2] == b"II" else ">"


def read_first_directory(data: bytes) -> dict[str, int]:
    """Read the numbers of the first directory that matter for decoding, by the names in `_TAGS`.

    Returns:
        The first number of each tag, 0 if the tag is missing; of the offsets and sizes of strips and tiles, the last
        number. Empty if a tag has numbers of a wrong type.

    Raises:
        struct.error: the file ends in the directory.
    """
    order = byte_order(data)
    start = struct.unpack_from(order + "I", data, 4)[0]
    numbers = dict.fromkeys(_TAGS.values(), 0)
    known = set()
    for tag, kind, count, value in entries(data, order, start):
        if tag not in _TAGS or tag in known:  # libtiff, too, believes the first entry of a tag
            continue
        if kind not in NUMBER_FORMATS:
            return {}
        known.add(tag)
        number = order + NUMBER_FORMATS[kind]
        size = struct.calcsize(number)
        at = find_values(data, order, value, count * size)
        if tag in _STRIPS_AND_TILES:
            at += size * (count - 1)
        numbers[_TAGS[tag]] = struct.unpack_from(number, data, at)[0]
    return numbers


def find_values(data: bytes, order: str, value: int, size: int) -> int:
    """Find the values of an entry: in its last four bytes, or elsewhere if they need more, and the entry says where.

    Args:
        data: the file.
        order: `<` or `>`, as `struct` has it.
        value: offset of the entry's last four bytes.
        size: of all its values, in bytes.

    Returns:
        Offset of the first value.

    Raises:
        struct.error: the file ends in the entry.
    """
    return value if size <= 4 else int(struct.unpack_from(order + "I", data, value)[0])


def directories(data: bytes) -> Iterator[int]:
    """Yield the offsets of the directories, one a page, up to the first that is cut off.

    Each directory names the next one; a directory that was named before ends the walk.
    """
    order = byte_order(data)
    known: set[int] = set()
    with suppress(struct.error):
        (start,) = struct.unpack_from(order + "I", data, 4)
        while start and start not in known:
            known.add(start)
            yield start
            (count,) = struct.unpack_from(order + "H", data, start)
            (start,) = struct.unpack_from(order + "I", data, start + 2 + 12 * count)


def entries(data: bytes, order: str, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the entries of a directory (TIFF 6.0, section 2).

    Args:
        data: the file, or an EXIF block from its byte order mark on.
        order: `<` or `>`, as `struct` has it.
        start: offset of the directory.

    Yields:
        Tag, type and count of the values, and the offset of the entry's last four bytes, which hold the values or say
        where they are.

    Raises:
        struct.error: the file ends in the directory.
    """
    for i in range(struct.unpack_from(order + "H", data, start)[0]):
        entry = start + 2 + 12 * i
        yield *struct.unpack_from(order + "HHI", data, entry), entry + 8


def has_values_beyond_end(data: bytes) -> bool:
    """Tell whether values of the first directory lie beyond the end of the file.

    Raises:
        struct.error: the file ends in the directory.
    """
    order = byte_order(data)
    start = struct.unpack_from(order + "I", data, 4)[0]
    sizes = ((_NUMBER_BYTES.get(kind, 1) * count, at) for _, kind, count, at in entries(data, order, start))
    return any(size > 4 and struct.unpack_from(order + "I", data, at)[0] + size > len(data) for size, at in sizes)


def opencv_refusal(numbers: dict[str, int]) -> str:
    """Return the reason of a row why OpenCV 5.0 must not decode a picture that it would read wrong; empty if it may.

    Args:
        numbers: as `read_first_directory` returns them.
    """
    if numbers["photometric"] == _LOGLUV:
        return f"{Reason.UNSUPPORTED_PIXELS}:float32"
    bits, kind = numbers["bits"], _SAMPLE_FORMATS.get(numbers["sample_format"], "uint")
    if bits > 16 or kind == "float":  # OpenCV crashes on some tiles of 64 bits
        return f"{Reason.UNSUPPORTED_PIXELS}:{kind}{bits}"
    if name := compression_name(numbers["compression"]):  # OpenCV shows black
        return f"{Reason.UNSUPPORTED_COMPRESSION}:{name}"
    return _uninitialised_reason(numbers, kind)


def _uninitialised_reason(numbers: dict[str, int], kind: str) -> str:
    """Return the reason of a picture in which OpenCV 5.0 shows uninitialised memory; empty if it shows none."""
    if numbers["photometric"] == _RGB and not numbers["samples"]:  # OpenCV assumes three samples, libtiff one
        return Reason.CORRUPT
    separate = numbers["planar_configuration"] == _SEPARATE_PLANES and numbers["samples"] > 1
    if numbers["bits"] > 8 and separate and numbers["photometric"] <= _RGB:
        return f"{Reason.UNSUPPORTED_PIXELS}:{kind}{numbers['bits']}_planes"
    return ""


def min_unpacked_bytes(numbers: dict[str, int]) -> int:
    """Compute the bytes that the unpacked pixels have at least. YCbCr may store colours for few of the pixels.

    Args:
        numbers: as `read_first_directory` returns them.
    """
    samples = 1 if numbers["photometric"] == _YCBCR else numbers["samples"] or 1
    return numbers["height"] * -(-numbers["width"] * samples * (numbers["bits"] or 1) // 8)


def compression_name(number: int) -> str:
    """Return the name of a compression that OpenCV cannot unpack; empty for one that it can, and for none."""
    return "" if number in _READ else _COMPRESSIONS.get(number, str(number))
