"""Cuts a PNG down to the chunks that make its pixels, and tells how many of its rows a cut one has."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from scanner.imaging.formats.zero_runs import MIN_RUN, count_zeros

# What a decoder needs for the pixels, their colours and how they are turned; of all others, and of a second of one of
# these, libpng keeps 8 MB each.
_WANTED = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP"))
_ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))
# Bytes of other chunks that are not worth leaving out; unpacked, they are a thousand times as many.
_FEW = 4096
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: first column, first row, steps between columns and rows of each pass.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
# Bytes that are packed or unpacked at once; of a broken piece nothing is had.
_STEP, _MORSEL = 2**20, 2**12


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of every chunk up to IEND; the last one may end beyond the data."""
    kind, at = b"", 8
    while kind != b"IEND" and at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at, at + 12 + length
        at += 12 + length


def strip_png(png: bytes) -> tuple[bytes, int]:
    """A PNG without its animation, what stands behind its end, and much that makes no pixels; and its packed bytes.

    Of broken animations OpenCV 5.0 shows a later frame as the first, or dies. Where nothing was shown before the end it
    reads on, and makes room for a chunk of gigabytes that is only announced. It unpacks every text: 7 MB of them took
    4 GB and 30 s.
    """
    wanted, seen = [], set()
    left_out = packed = end = 0
    animated = False
    for kind, at, end in png_chunks(png):
        if kind == b"IDAT" or (kind in _WANTED and kind not in seen):
            wanted.append((at, end))
            seen.add(kind)
            packed += end - at - 12 if kind == b"IDAT" else 0
        else:
            left_out += end - at
            animated |= kind in _ANIMATION
    if left_out <= _FEW and not animated:
        return png[:end], packed
    return png[:8] + b"".join(png[at:end] for at, end in wanted), packed


def unpacked_bytes(png: bytes) -> int:
    """Bytes of all rows as they are packed, from the header.

    Raises:
        struct.error: the header is cut.
    """
    width, height, depth, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", png, 16)
    bits = depth * _CHANNELS.get(kind, 4)
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for column, row, across, down in passes:
        columns, rows = max(0, -(-(width - column) // across)), max(0, -(-(height - row) // down))
        total += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    return total


def share_of_rows(png: bytes) -> float | None:
    """Share of the rows (0..1) that a damaged PNG has; None if it is not for want of rows that it is damaged.

    Raises:
        struct.error: the header is cut.
    """
    packed, sound, ended = _packed(png)
    wanted = unpacked_bytes(png)
    if ended and not sound:
        empty = count_zeros(packed, 0, len(packed))
        return 1 - empty / len(packed) if empty else None
    found = sum(map(len, _unpacked(packed, wanted)))
    return found / wanted if found and wanted else None


def complete_png(png: bytes) -> bytes:
    """A PNG whose last rows are missing, or only its end: with black for what is missing, and an end.

    Raises:
        struct.error: the header is cut.
    """
    packed, _, _ = _packed(png)
    wanted = unpacked_bytes(png)
    packer = zlib.compressobj(1)
    pieces, found = [], 0
    for piece in _unpacked(packed, wanted):
        pieces.append(packer.compress(piece))
        found += len(piece)
    while found < wanted:
        size = min(_STEP, wanted - found)
        pieces.append(packer.compress(bytes(size)))
        found += size
    pixels = _chunk(b"IDAT", b"".join(pieces) + packer.flush())
    before = b"".join(
        png[at:end] for kind, at, end in png_chunks(png) if kind in _WANTED - {b"IDAT", b"IEND"} and end <= len(png)
    )
    return png[:8] + before + pixels + _chunk(b"IEND", b"")


def _packed(png: bytes) -> tuple[bytes, bool, bool]:
    """The content of the IDAT chunks, whether their checksums are right, and whether the end is there.

    Of a PNG without an end, zeros that stand for the rest are left out.
    """
    pieces, sound, ended = [], True, False
    for kind, at, end in png_chunks(png):
        if kind == b"IDAT":
            pieces.append(png[at + 8 : min(end - 4, len(png))])
            sound &= zlib.crc32(png[at + 4 : end - 4]) == int.from_bytes(png[end - 4 : end], "big")
        ended = kind == b"IEND" and end <= len(png)
    packed = b"".join(pieces)
    if not ended and packed.endswith(bytes(MIN_RUN)):
        packed = packed.rstrip(b"\x00")
    return packed, sound, ended


def _unpacked(packed: bytes, most: int) -> Iterator[bytes]:
    """What can be unpacked, in pieces, up to `most` bytes and to the first error."""
    if len(packed) < 2 or packed[0] & 15 != zlib.DEFLATED or int.from_bytes(packed[:2], "big") % 31:
        return
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)  # without the checksum at the end, which may be missing
    try:
        for at in range(2, len(packed), _MORSEL):
            rest = packed[at : at + _MORSEL]
            while rest and most > 0:
                piece = unpacker.decompress(rest, min(_STEP, most))
                rest = unpacker.unconsumed_tail
                most -= len(piece)
                yield piece
    except zlib.error:
        return


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
