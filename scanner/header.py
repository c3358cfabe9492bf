"""First bytes -> format, size and completeness, without decoding: what must be known before a decoder may run."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

# The formats facescan decodes. Others are named so that a row can say `unsupported_format:heic`.
DECODABLE = frozenset({"jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"})

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "bigtiff"),
    (b"MM\x00+", "bigtiff"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"8BPS", "psd"),
    (b"v/1\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"DDS ", "dds"),
    (b"\x00\x00\x01\x00", "ico"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself before it is decoded.

    Attributes:
        format: `jpeg`, `png`, ...; empty if the content is no picture that we know.
        width, height: pixels as stored (before EXIF orientation); 0 where the header could not be read.
        complete: False if the container ends before its own end mark or announced length.
        quarter_turns, mirror: how AVIF says "upright": counter-clockwise quarter turns (`irot`), then a flip (`imir`)
            of the rows (0) or the columns (1); None is no flip.
    """

    format: str
    width: int = 0
    height: int = 0
    complete: bool = True
    quarter_turns: int = 0
    mirror: int | None = None


def read_header(data: bytes) -> Header:
    """Sniff the content. Never raises, whatever the bytes."""
    name = _sniff(data)
    reader = _READERS.get(name)
    if reader is None:
        return Header(name)
    try:
        return reader(data)
    except (struct.error, IndexError):  # the header itself is cut off
        return Header(name, complete=False)


def _sniff(data: bytes) -> str:
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        brands = {data[8:12]} | {data[i : i + 4] for i in range(16, min(_u32(data[:4]), 64, len(data)), 4)}
        if brands & _AVIF_BRANDS:
            return "avif"
        return "heic" if brands & _HEIF_BRANDS else ""
    if data[:2] == b"BM" and len(data) >= 18 and data[14] in (12, 40, 52, 56, 64, 108, 124):
        return "bmp"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "pnm"
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<svg") or (head.startswith((b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in head):
        return "svg"
    return ""


def _u32(four: bytes) -> int:
    return int.from_bytes(four, "big")


def _jpeg(data: bytes) -> Header:
    """Walk the marker segments to the frame header (SOFn, ITU T.81 table B.1)."""
    at = 2
    while True:
        while data[at] == 0xFF and data[at + 1] == 0xFF:  # fill bytes
            at += 1
        if data[at] != 0xFF:
            return Header("jpeg")
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Header("jpeg", width, height, complete=b"\xff\xd9" in data[-65536:])
        if marker in (0xD9, 0xDA):
            return Header("jpeg")
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _png(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        if kind == b"IEND":
            return Header("png", width, height, complete=at <= len(data))
    return Header("png", width, height, complete=False)


def _gif(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header("gif", width, height, complete=b"\x3b" in data[-64:])


def _webp(data: bytes) -> Header:
    complete = len(data) >= struct.unpack_from("<I", data, 4)[0] + 8
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return Header("webp", width, height, complete)


def _bmp(data: bytes) -> Header:
    offset = struct.unpack_from("<I", data, 10)[0]
    if data[14] == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    width, height = abs(width), abs(height)  # a negative height means rows from the top
    # Rows are padded to four bytes; compressed ones have no length to hold the file against.
    needed = 0 if compression in (1, 2) else (width * bits + 31) // 32 * 4 * height
    return Header("bmp", width, height, complete=offset + needed <= len(data))


def _tiff(data: bytes) -> Header:
    """First directory only: OpenCV, too, decodes the first page."""
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", data, 4)[0]
    sides = {256: 0, 257: 0}
    for i in range(struct.unpack_from(order + "H", data, start)[0]):
        entry = start + 2 + 12 * i
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in sides:
            sides[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)[0]
    return Header("tiff", sides[256], sides[257])


def _avif(data: bytes) -> Header:
    """Sizes from the `ispe` properties: the largest, since tiles and thumbnails are smaller."""
    width = height = turns = end = 0
    mirror = None
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"meta":
            for prop, at in _item_properties(data, start, end):
                if prop == b"ispe":
                    size = struct.unpack_from(">II", data, at + 4)
                    width, height = max((width, height), size, key=lambda s: s[0] * s[1])
                elif prop == b"irot":
                    turns = data[at] & 3
                elif prop == b"imir":
                    mirror = data[at] & 1
    return Header("avif", width, height, end <= len(data), turns, mirror)


def _item_properties(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    for kind, at, stop in _boxes(data, start + 4, end):
        if kind == b"iprp":
            for inner, inner_at, inner_stop in _boxes(data, at, stop):
                if inner == b"ipco":
                    yield from ((prop, prop_at) for prop, prop_at, _ in _boxes(data, inner_at, inner_stop))


def _boxes(data: bytes, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """ISO 14496-12 boxes between two offsets: (type, start of the payload, end of the box)."""
    while at + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        elif size == 0:
            size = stop - at
        if size < head:
            return
        yield kind, at + head, at + size
        at += size


_READERS = {"jpeg": _jpeg, "png": _png, "gif": _gif, "webp": _webp, "bmp": _bmp, "tiff": _tiff, "avif": _avif}
