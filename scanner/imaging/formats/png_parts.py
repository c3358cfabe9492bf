"""Reduces a PNG to the chunks that make its pixels, and measures and completes one whose rows end early."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from scanner.imaging.formats.zero_runs import MIN_RUN, count_zeros

# Chunks that a decoder needs for the pixels, their colours and their orientation. libpng keeps up to 8 MB of each other
# chunk, and of each repeated one.
_NEEDED = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP"))
_ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))
# Bytes of other chunks that may stay: a copy of the file would cost more. Unpacked, they are a thousand times as many.
_MAX_UNNEEDED_BYTES = 4096
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by IHDR's colour type
# Adam7: first column, first row, steps between columns and rows of each pass.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
# Bytes that are unpacked to and from at once. zlib gives nothing of a broken piece, so packed pieces are small.
_UNPACKED_PIECE, _PACKED_PIECE = 2**20, 2**12


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of every chunk up to IEND; the last one may end beyond the data."""
    kind, at = b"", 8
    while kind != b"IEND" and at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at, at + 12 + length
        at += 12 + length


def make_png_chunk(kind: bytes, content: bytes) -> bytes:
    """Build a chunk: length, type, content and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def strip_png(png: bytes) -> tuple[bytes, int]:
    """Remove the animation, what follows the end, and chunks that no pixel depends on, if they are large.

    OpenCV 5.0 shows a later frame of a broken animation as the first one, or crashes. In a file that shows nothing
    before its end it reads on, and allocates gigabytes for a chunk that is only announced. It unpacks every text: 7 MB
    of texts took 4 GB and 30 s.

    Returns:
        The new file, and the bytes of its packed pixels.
    """
    needed, known = [], set()
    removed = packed = end = 0
    animated = False
    for kind, at, end in png_chunks(png):
        if kind == b"IDAT" or (kind in _NEEDED and kind not in known):
            needed.append((at, end))
            known.add(kind)
            packed += end - at - 12 if kind == b"IDAT" else 0
        else:
            removed += end - at
            animated |= kind in _ANIMATION
    if removed <= _MAX_UNNEEDED_BYTES and not animated:
        return png[:end], packed
    return png[:8] + b"".join(png[at:end] for at, end in needed), packed


def unpacked_bytes(png: bytes) -> int:
    """Compute the bytes of all rows before they are packed, each with its filter type, from the header.

    Raises:
        struct.error: the file ends in its header.
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
    """Measure the share of the rows (0..1) that a damaged PNG has; None if it is damaged in another way.

    Raises:
        struct.error: the file ends in its header.
    """
    packed, checksums_right, ended = _join_pixel_chunks(png)
    wanted = unpacked_bytes(png)
    if ended and not checksums_right:
        zeros = count_zeros(packed, 0, len(packed))
        return 1 - zeros / len(packed) if zeros else None
    there = sum(map(len, _unpack(packed, wanted)))
    return there / wanted if there and wanted else None


def complete_png(png: bytes) -> bytes:
    """Rebuild a PNG whose last rows or whose end are missing: with black rows, and an end.

    Raises:
        struct.error: the file ends in its header.
    """
    packed, _, _ = _join_pixel_chunks(png)
    wanted = unpacked_bytes(png)
    packer = zlib.compressobj(1)
    pieces, there = [], 0
    for piece in _unpack(packed, wanted):
        pieces.append(packer.compress(piece))
        there += len(piece)
    while there < wanted:
        size = min(_UNPACKED_PIECE, wanted - there)
        pieces.append(packer.compress(bytes(size)))
        there += size
    pixels = make_png_chunk(b"IDAT", b"".join(pieces) + packer.flush())
    others = _NEEDED - {b"IDAT", b"IEND"}
    before = b"".join(png[at:end] for kind, at, end in png_chunks(png) if kind in others and end <= len(png))
    return png[:8] + before + pixels + make_png_chunk(b"IEND", b"")


def _join_pixel_chunks(png: bytes) -> tuple[bytes, bool, bool]:
    """Join the contents of the IDAT chunks, without the zeros that an unfinished download leaves at the end.

    Returns:
        Packed pixels, whether the chunks' checksums are right, and whether the file ends with IEND.
    """
    pieces, checksums_right, ended = [], True, False
    for kind, at, end in png_chunks(png):
        if kind == b"IDAT":
            pieces.append(png[at + 8 : min(end - 4, len(png))])
            checksums_right &= zlib.crc32(png[at + 4 : end - 4]) == int.from_bytes(png[end - 4 : end], "big")
        ended = kind == b"IEND" and end <= len(png)
    packed = b"".join(pieces)
    if not ended and packed.endswith(bytes(MIN_RUN)):
        packed = packed.rstrip(b"\x00")
    return packed, checksums_right, ended


def _unpack(packed: bytes, most: int) -> Iterator[bytes]:
    """Unpack in pieces, up to `most` bytes and to the first error."""
    if len(packed) < 2 or packed[0] & 15 != zlib.DEFLATED or int.from_bytes(packed[:2], "big") % 31:
        return
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)  # raw: the checksum at the end may be missing
    try:
        for at in range(2, len(packed), _PACKED_PIECE):
            rest = packed[at : at + _PACKED_PIECE]
            while rest and most > 0:
                piece = unpacker.decompress(rest, min(_UNPACKED_PIECE, most))
                rest = unpacker.unconsumed_tail
                most -= len(piece)
                yield piece
    except zlib.error:
        return
