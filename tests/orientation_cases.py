"""Make files that declare their orientation in many ways, with the orientation in which Chromium 156 shows each.

tests/test_orientation.py compares `table()` with an installed Chromium, so that a wrong line is found.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache

from PIL import Image

from scanner.imaging.inspection.header import boxes
from tests.pictures import HEIGHT, PNG_END, WIDTH, encode, png_chunk, rgba, scene

SHORT, LONG = 3, 4
MAKE, ORIENTATION, EXIF_DIRECTORY = 0x010F, 0x0112, 0x8769
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}


def entry(tag: int, kind: int, count: int, value: int | bytes, order: str = "<") -> bytes:
    """Build an entry of a directory; a number is written by its type, at the beginning of the last four bytes."""
    if isinstance(value, int):
        value = struct.pack(order + _NUMBERS.get(kind, "I"), value)
    return struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\x00")


def directory(*entries: bytes, order: str = "<", count: int | None = None) -> bytes:
    """Build a directory; `count` is the number of entries that it announces."""
    head = struct.pack(order + "H", len(entries) if count is None else count)
    return head + b"".join(entries) + bytes(4)


def block(*directories: bytes, order: str = "<", magic: int = 42, start: int = 8) -> bytes:
    """Build an EXIF block, from its byte order mark on."""
    return {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", magic, start) + b"".join(directories)


def turn(value: int, kind: int = SHORT, count: int = 1) -> bytes:
    """Build the entry of an orientation."""
    return entry(ORIENTATION, kind, count, value)


def pointer(to: int, kind: int = LONG, count: int = 1, tag: int = EXIF_DIRECTORY) -> bytes:
    """Build the entry that points to the EXIF directory."""
    return entry(tag, kind, count, to)


OTHER = entry(MAKE, 2, 4, b"abc\x00")
SIX, EIGHT, NONE = block(directory(turn(6))), block(directory(turn(8))), block(directory(OTHER))
# Offset of a second directory behind a first one of one entry, and of two entries.
SECOND, THIRD = 8 + 18, 8 + 30

# EXIF blocks, and the orientation that each declares; by name.
BLOCKS: dict[str, tuple[bytes, int]] = {
    **{f"short {value}": (block(directory(turn(value))), value) for value in range(1, 9)},
    **{f"short {value}": (block(directory(turn(value))), 1) for value in (0, 9, 0x106)},
    "big end": (block(directory(entry(ORIENTATION, SHORT, 1, 6, ">"), order=">"), order=">"), 6),
    "big end, on the right": (
        block(directory(entry(ORIENTATION, SHORT, 1, bytes([0, 0, 0, 6]), ">"), order=">"), order=">"),
        1,
    ),
    **{
        f"type {kind}": (block(directory(entry(ORIENTATION, kind, 1, bytes([6, 0, 0, 0])))), 1)
        for kind in (0, 1, 2, 4, 6, 7, 8, 9, 11, 13, 99)
    },
    **{f"count {count}": (block(directory(turn(6, count=count))), 1) for count in (0, 2, 3, 2**31, 2**32 - 1)},
    "values elsewhere": (block(directory(entry(ORIENTATION, SHORT, 3, bytes([26, 0, 0, 0]))), bytes([6, 0] * 3)), 1),
    "invalid, then valid": (block(directory(turn(9), turn(6))), 6),
    "valid twice": (block(directory(turn(6), turn(8))), 6),
    "upright, then turned": (block(directory(turn(1), turn(6))), 1),
    "long, then short": (block(directory(turn(8, LONG), turn(6))), 6),
    "two of them, then one": (block(directory(turn(8, count=2), turn(6))), 6),
    "unsorted": (block(directory(entry(0x8298, 2, 4, b"abc\x00"), turn(6), OTHER)), 6),
    "behind a huge count": (block(directory(entry(MAKE, 2, 2**32 - 1, 0), turn(6))), 6),
    "behind a value beyond the end": (block(directory(entry(MAKE, 2, 20, 99_999), turn(6))), 6),
    "behind an unknown type": (block(directory(entry(MAKE, 99, 1, 0), turn(6))), 6),
    "behind 5000 entries": (block(directory(*[OTHER] * 5000, turn(6))), 6),
    "more entries announced": (block(directory(turn(6), count=9)), 6),
    "no entries announced": (block(directory(turn(6), count=0)), 1),
    "cut in the value": (SIX[:18], 1),
    "cut behind the value": (SIX[:20], 1),
    "whole entry, then cut": (SIX[:22], 6),
    "odd offset": (block(b"\x00", directory(turn(6)), start=9), 6),
    "offset beyond the end": (block(directory(turn(6)), start=5000), 1),
    "offset 0": (block(directory(turn(6)), start=0), 1),
    "magic 43": (block(directory(turn(6)), magic=43), 1),
    "second picture's directory": (block(directory(OTHER)[:-4] + struct.pack("<I", SECOND), directory(turn(6))), 1),
    "exif directory": (block(directory(pointer(SECOND)), directory(turn(6))), 6),
    "exif directory, long": (block(directory(pointer(SECOND)), directory(turn(6, LONG))), 1),
    "exif directory, twice two": (block(directory(pointer(SECOND)), directory(turn(6, count=2))), 1),
    "first, then exif directory": (block(directory(turn(6), pointer(THIRD)), directory(turn(8))), 6),
    "exif directory, then first": (block(directory(pointer(THIRD), turn(6)), directory(turn(8))), 8),
    "upright, then exif directory": (block(directory(turn(1), pointer(THIRD)), directory(turn(6))), 1),
    "invalid, then exif directory": (block(directory(turn(9), pointer(THIRD)), directory(turn(6))), 6),
    "exif directory beyond the end": (block(directory(pointer(9999), turn(6))), 6),
    "exif directory, short pointer": (block(directory(pointer(SECOND, SHORT)), directory(turn(6))), 1),
    "exif directory, two pointers in one": (block(directory(pointer(SECOND, count=2)), directory(turn(6))), 1),
    "exif directory in an exif directory": (
        block(directory(pointer(SECOND)), directory(pointer(SECOND + 18)), directory(turn(6))),
        1,
    ),
    "second exif directory": (
        block(directory(pointer(THIRD), pointer(THIRD + 18)), directory(OTHER), directory(turn(6))),
        1,
    ),
    "gps directory": (block(directory(pointer(SECOND, tag=0x8825)), directory(turn(6))), 1),
    "nothing": (b"", 1),
    "no entries": (block(directory()), 1),
    "garbage": (b"garbage garbage garbage", 1),
    "zeros before": (bytes(4) + SIX, 1),
}


@cache
def plain(kind: str) -> bytes:
    """Encode the scene without an orientation."""
    lossless = {"lossless": True} if kind == "WEBP" else {}
    return encode(scene(), kind, **lossless if kind in ("PNG", "WEBP") else {"quality": 95})


def segment(content: bytes, marker: int = 0xE1) -> bytes:
    """Build a segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def app1(exif: bytes, name: bytes = b"Exif\x00\x00") -> bytes:
    """Build the segment of an EXIF block."""
    return segment(name + exif)


def jpeg(*segments: bytes, before: int = 0xE0, base: bytes = b"") -> bytes:
    """Build a JPEG with segments before the first segment of the marker `before`."""
    base = base or plain("JPEG")
    at = base.index(bytes([0xFF, before]))
    return base[:at] + b"".join(segments) + base[at:]


def xmp(value: int) -> bytes:
    """Build an XMP packet with an orientation."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{value}"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def between_scans() -> bytes:
    """Build a progressive JPEG with an EXIF block behind its first scan."""
    base = encode(scene(), "JPEG", progressive=True, quality=95)
    at = base.index(b"\xff\xc4", base.index(b"\xff\xda"))  # the next scan's Huffman table
    return base[:at] + app1(SIX) + base[at:]


XMP = b"http://ns.adobe.com/xap/1.0/\x00"
JPEGS: dict[str, tuple[bytes, int]] = {
    **{
        f"named {name!r}": (jpeg(app1(SIX, name)), turned)
        for name, turned in {
            b"Exif\x00\x00": 6,
            b"Exif\x00\xff": 6,
            b"Exif\x00 ": 6,
            b"Exif\xff\x00": 1,
            b"EXIF\x00\x00": 1,
            b"Exif\x00": 1,
            b"": 1,
            b"Exif\x00\x00Exif\x00\x00": 1,
        }.items()
    },
    "behind the tables": (jpeg(app1(SIX), before=0xDB), 6),
    "behind the frame header": (jpeg(app1(SIX), before=0xDA), 6),
    "behind the end": (plain("JPEG") + app1(SIX), 1),
    "between scans": (between_scans(), 1),
    "fill bytes": (jpeg(b"\xff\xff" + app1(SIX)), 6),
    "progressive": (jpeg(app1(SIX), base=encode(scene(), "JPEG", progressive=True)), 6),
    "a megabyte before": (jpeg(*[segment(bytes(65_000), 0xEF)] * 16, app1(SIX)), 6),
    "in APP0": (jpeg(segment(b"Exif\x00\x00" + SIX, 0xE0)), 1),
    "in APP2": (jpeg(segment(b"Exif\x00\x00" + SIX, 0xE2)), 1),
    "in a comment": (jpeg(segment(b"Exif\x00\x00" + SIX, 0xFE)), 1),
    "in two pieces": (jpeg(app1(SIX[:20]), app1(SIX[20:])), 1),
    "only XMP": (jpeg(segment(XMP + xmp(6))), 1),
    "behind other XMP": (jpeg(segment(XMP + xmp(8)), app1(SIX)), 6),
    "two": (jpeg(app1(SIX), app1(EIGHT)), 6),
    "behind an upright one": (jpeg(app1(block(directory(turn(1)))), app1(SIX)), 1),
    "behind one without": (jpeg(app1(NONE), app1(SIX)), 1),
    "behind a broken one": (jpeg(app1(b"garbage"), app1(SIX)), 1),
    "behind one of a byte": (jpeg(app1(b"I"), app1(SIX)), 1),
    "behind an empty one": (jpeg(app1(b""), app1(SIX)), 6),
    "behind a long": (jpeg(app1(block(directory(turn(8, LONG)))), app1(SIX)), 1),
    "behind one named otherwise": (jpeg(app1(EIGHT, b"Exif\x00\xff"), app1(SIX)), 8),
}


def png(before: bytes = b"", behind: bytes = b"", end: bytes = b"") -> bytes:
    """Build a PNG with chunks before its pixels, behind them, and behind its end."""
    base = plain("PNG")
    return base[:33] + before + base[33:-12] + behind + PNG_END + end


def exif(content: bytes) -> bytes:
    """Build the chunk of an EXIF block."""
    return png_chunk(b"eXIf", content)


def wrong_checksum(chunk: bytes) -> bytes:
    """Damage the checksum of a chunk."""
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


def raw_profile(name: str, exif: bytes) -> bytes:
    """Encode an EXIF block as ImageMagick writes it into a text chunk."""
    return f"\n{name}\n{len(exif) + 6:8d}\n{(b'Exif' + bytes(2) + exif).hex()}\n".encode()


_TEXT, _APP1 = raw_profile("exif", SIX), raw_profile("generic profile", SIX)
PNGS: dict[str, tuple[bytes, int]] = {
    "before the pixels": (png(exif(SIX)), 6),
    "behind the pixels": (png(behind=exif(SIX)), 1),
    "behind the end": (png(end=exif(SIX)), 1),
    "two": (png(exif(SIX) + exif(EIGHT)), 6),
    "behind one without": (png(exif(NONE) + exif(SIX)), 1),
    "behind a broken one": (png(exif(b"garbage") + exif(SIX)), 1),
    "behind an empty one": (png(exif(b"") + exif(SIX)), 1),
    "behind one with a wrong checksum": (png(wrong_checksum(exif(SIX)) + exif(EIGHT)), 8),
    "wrong checksum": (png(wrong_checksum(exif(SIX))), 1),
    "with a name": (png(exif(b"Exif\x00\x00" + SIX)), 1),
    "text": (png(png_chunk(b"tEXt", b"Raw profile type exif\x00" + _TEXT)), 1),
    "packed text": (png(png_chunk(b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(_TEXT))), 1),
    "packed text, APP1": (png(png_chunk(b"zTXt", b"Raw profile type APP1\x00\x00" + zlib.compress(_APP1))), 1),
    "XMP": (png(png_chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + xmp(6))), 1),
}


def webp(exif: bytes, flags: int = 8) -> bytes:
    """Build an extended WebP with an EXIF chunk, announced by the flag 8."""
    size = (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little")
    chunks = b"VP8X\x0a\x00\x00\x00" + bytes([flags, 0, 0, 0]) + size + plain("WEBP")[12:]
    chunks += b"EXIF" + struct.pack("<I", len(exif)) + exif + bytes(len(exif) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


WEBPS = {"EXIF": (webp(SIX), 1), "EXIF, unannounced": (webp(SIX, 0), 1), "named": (webp(b"Exif\x00\x00" + SIX), 1)}


def box(kind: bytes, content: bytes) -> bytes:
    """Build a box of ISO 14496-12."""
    return struct.pack(">I4s", len(content) + 8, kind) + content


def irot(turns: int) -> bytes:
    """Build the property of so many counter-clockwise quarter turns."""
    return box(b"irot", bytes([turns]))


def imir(axis: int) -> bytes:
    """Build the property of a mirroring."""
    return box(b"imir", bytes([axis]))


def avif(*properties: bytes, order: tuple[int, ...] | None = None, other: bool = False, base: bytes = b"") -> bytes:
    """Build an AVIF with more properties.

    Args:
        properties: boxes for `ipco`.
        order: indices of the properties that are associated with an item, in order; None for all.
        other: whether to associate them with the second item, the alpha, instead of the picture.
        base: an AVIF as Pillow writes it; the scene if empty.
    """
    base = base or plain("AVIF")
    order = tuple(range(len(properties))) if order is None else order

    def changed(kind: bytes, content: bytes) -> bytes:
        if kind in (b"meta", b"iprp"):
            skip = 4 if kind == b"meta" else 0
            inner = b"".join(box(k, changed(k, content[s:e])) for k, s, e in boxes(content, skip, len(content)))
            return content[:skip] + inner
        if kind == b"ipco":
            nonlocal listed
            listed = len(list(boxes(content, 0, len(content))))
            return content + b"".join(properties)
        if kind == b"ipma":
            items, at = [], 8
            while at < len(content):
                end = at + 3 + content[at + 2]
                items.append(bytearray(content[at:end]))
                at = end
            items[other] += bytes(0x80 | listed + 1 + index for index in order)
            items[other][2] += len(order)
            return content[:8] + b"".join(items)
        return content

    listed = 0
    data = b"".join(box(k, changed(k, base[s:e])) for k, s, e in boxes(base, 0, len(base)))
    return moved(data, len(data) - len(base))


def moved(data: bytes, by: int) -> bytes:
    """Move the offsets of pixels in `iloc` and `stco`; Pillow's AVIF has the pixels behind everything else."""
    changed = bytearray(data)
    at = data.index(b"iloc") + 10
    (items,) = struct.unpack_from(">H", data, at)
    for item in range(items):  # 14 bytes each, all with one extent
        place = at + 2 + 14 * item + 6
        struct.pack_into(">I", changed, place, struct.unpack_from(">I", data, place)[0] + by)
    at = -1
    while (at := data.find(b"stco", at + 1)) >= 0:
        for chunk in range(struct.unpack_from(">I", data, at + 8)[0]):
            place = at + 12 + 4 * chunk
            struct.pack_into(">I", changed, place, struct.unpack_from(">I", data, place)[0] + by)
    return bytes(changed)


def sequence() -> bytes:
    """Build an AVIF of two frames, the first of which is the scene."""
    return encode(scene(), "AVIF", quality=95, save_all=True, append_images=[Image.fromarray(255 - scene())])


_BOTH = {(1, 0): 5, (1, 1): 7, (2, 0): 2, (2, 1): 4, (3, 0): 7, (3, 1): 5}
AVIFS: dict[str, tuple[bytes, int]] = {
    **{f"turned {turns}": (avif(irot(turns)), turned) for turns, turned in enumerate((1, 8, 3, 6))},
    **{f"mirrored {axis}": (avif(imir(axis)), turned) for axis, turned in enumerate((4, 2))},
    **{
        f"turned {turns}, mirrored {axis}": (avif(irot(turns), imir(axis)), both)
        for (turns, axis), both in _BOTH.items()
    },
    **{
        f"mirrored {axis}, turned {turns}": (avif(irot(turns), imir(axis), order=(1, 0)), both)
        for (turns, axis), both in _BOTH.items()
    },
    "nobody's": (avif(irot(1), imir(0), order=()), 1),
    "two, the second associated": (avif(irot(1), irot(2), order=(1,)), 3),
    "two, the first associated": (avif(irot(1), irot(2), order=(0,)), 8),
    "two, both associated": (avif(irot(1), irot(2)), 8),
    "turned with alpha": (avif(irot(1), base=encode(rgba(), "AVIF", quality=95)), 8),
    "sequence": (sequence(), 1),
    "sequence, turned as an item": (avif(irot(3), base=sequence()), 1),
}


@cache
def table() -> dict[str, tuple[str, bytes, int]]:
    """Return format, file and orientation of each case, by name."""
    return {
        **{f"jpeg, {name}": ("jpeg", jpeg(app1(block)), turned) for name, (block, turned) in BLOCKS.items() if block},
        **{f"png, {name}": ("png", png(exif(block)), turned) for name, (block, turned) in BLOCKS.items()},
        **{
            f"{kind} {name}": (kind, data, turned)
            for kind, files in {"jpeg": JPEGS, "png": PNGS, "webp": WEBPS, "avif": AVIFS}.items()
            for name, (data, turned) in files.items()
        },
    }
