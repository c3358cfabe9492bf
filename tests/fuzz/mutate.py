"""Mutations that know the formats: plain ones seldom get past a checksum, a length or an end mark."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

import atheris

from scanner.imaging.inspection.header import png_chunks, read_header
from tests.pictures import png_chunk

Parts = list[tuple[bytes, bytes]]  # of a container: name, content

# Where arithmetic goes wrong.
NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 64, 127, 128, 255, 256, 257, 1023, 4096, 32_767, 32_768)
NUMBERS += (65_535, 65_536, 2**24, 2**28, 2**30, 2**31 - 1, 2**31, 2**32 - 1)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """What libFuzzer does, or a change to one of the container's parts, or to one of its numbers."""
    random = Random(seed)  # noqa: S311
    way = random.random()
    form = read_header(data).format
    if way < 0.4 and form in _PARTS:
        split, join = _PARTS[form]
        try:
            mutated = join(_shuffle(split(data), random))
        except (struct.error, IndexError, ValueError, zlib.error):
            mutated = b""
        if mutated and len(mutated) <= max_size:
            return mutated
    if way < 0.7 and form:
        return _poke(data, form, random)
    mutated = atheris.Mutate(data, max_size)
    if form == "gif" and random.random() < 0.5:  # the trailer, without which it counts as cut off
        mutated = mutated[: max_size - 2] + b"\x00;"
    return mutated


def _shuffle(parts: Parts, random: Random) -> Parts:
    """Mutate one part, or drop it, double it, or change its place."""
    at = random.randrange(len(parts))
    name, content = parts[at]
    match random.randrange(8):
        case 0:
            del parts[at]
        case 1:
            parts.insert(random.randrange(len(parts) + 1), parts[at])
        case 2:
            parts.insert(random.randrange(len(parts)), parts.pop(at))
        case 3:
            parts[at] = (name, _poked(content, 0, len(content), random))
        case 4 if name == b"IDAT":
            rows = zlib.decompressobj().decompress(content, 2**20)
            parts[at] = (name, zlib.compress(atheris.Mutate(rows, len(rows) + 64), 1))
        case _:
            parts[at] = (name, atheris.Mutate(content or b"\x00", len(content) + 64))
    return parts


def _poke(data: bytes, form: str, random: Random) -> bytes:
    """Put a number where the format keeps its numbers."""
    start, stop = 0, min(len(data), 64)
    if form == "tiff":  # the first directory
        order = "<" if data[:2] == b"II" else ">"
        if len(data) >= 8:
            start = struct.unpack_from(order + "I", data, 4)[0]
            stop = start + 240
    elif form in ("avif", "heic"):  # the boxes before the coded picture
        stop = data.find(b"mdat")
    elif form == "gif":  # a frame
        start = data.find(b",", random.randrange(len(data)))
        stop = start + 12
    elif form == "jpeg":
        start = data.find(b"\xff", random.randrange(len(data)))
        stop = start + 20
    if not 0 <= start < stop <= len(data):
        start, stop = 0, len(data)
    return _poked(data, start, stop, random)


def _poked(data: bytes, start: int, stop: int, random: Random) -> bytes:
    if stop <= start:
        return data
    at = random.randrange(start, stop)
    width = random.choice((1, 1, 2, 2, 4))
    number = random.choice(NUMBERS) if random.random() < 0.8 else random.getrandbits(16)
    put = (number % 256**width).to_bytes(width, random.choice(("little", "big")))
    return (data[:at] + put + data[at + width :])[: max(len(data), 1)]


def _split_png(data: bytes) -> Parts:
    return [(kind, data[at + 8 : end - 4]) for kind, at, end in png_chunks(data)]


def _join_png(parts: Parts) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, content) for kind, content in parts)


def _split_riff(data: bytes) -> Parts:
    parts, at = [], 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        parts.append((kind, data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return parts


def _join_riff(parts: Parts) -> bytes:
    chunks = b"".join(kind + struct.pack("<I", len(c)) + c + b"\x00" * (len(c) % 2) for kind, c in parts)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _split_jpeg(data: bytes) -> Parts:
    """Segments, and under no name what follows the first scan's header."""
    parts, at = [], 2
    while data[at] == 0xFF and data[at + 1] != 0xD9:
        size = struct.unpack_from(">H", data, at + 2)[0]
        parts.append((data[at : at + 2], data[at + 4 : at + 2 + size]))
        at += 2 + size
        if parts[-1][0] == b"\xff\xda":
            end = at
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
            parts.append((b"", data[at:end]))
            at = end
    return parts


def _join_jpeg(parts: Parts) -> bytes:
    segments = [mark + struct.pack(">H", len(c) + 2) + c if mark else c for mark, c in parts]
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xd9"


_PARTS: dict[str, tuple[Callable[[bytes], Parts], Callable[[Parts], bytes]]] = {
    "png": (_split_png, _join_png),
    "webp": (_split_riff, _join_riff),
    "jpeg": (_split_jpeg, _join_jpeg),
}
