"""The frames of an animation, and the pages of a document, besides the first: counted in the container, then decoded.

`decode` shows the first frame. Pages of a TIFF and pictures of a multi-picture JPEG (MPO) are whole pictures:
each goes through the same decoder, with the same limits. Frames of animations are made of those before them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from scanner.imaging.apng import animation_frames
from scanner.imaging.decode import Picture, convert_opencv_frame, decode
from scanner.imaging.formats import tiff
from scanner.imaging.formats.boxes import boxes
from scanner.imaging.formats.gif_parts import gif_frames
from scanner.imaging.formats.png_parts import png_chunks
from scanner.imaging.inspection.header import jpeg_segments, read_header

# Pages of a document that are counted; a TIFF of 100 MB has room for millions.
MAX_PAGES = 100_000
_MPF = b"MPF\x00"  # in APP2: the index of a multi-picture JPEG (CIPA DC-007)
_THUMBNAILS = (0x010001, 0x010002)  # types of pictures in it that only repeat the first one
# How a picture says that it holds brightness for bright screens, and is nothing to look at.
_GAIN_MAPS = (b"hdrgm:", b"HDRGainMap", b"hdrgainmap")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame or page.

    Attributes:
        number: counted from 0, which is the one that `scanner.imaging.decode` shows.
        picture: RGB, uint8, (height, width, 3).
    """

    number: int
    picture: Picture


def count_frames(data: bytes, format: str) -> int:
    """How many frames or pages a file says that it has, at least 1. Never raises, whatever the bytes."""
    with suppress(struct.error, IndexError, ValueError):  # it is cut off
        if counter := _COUNTERS.get(format):
            return max(1, counter(data))
    return 1


def decode_further_frames(
    data: bytes, format: str, most: int, first: Picture, max_pixels: int, pixel_budget: int | None = None
) -> Iterator[Frame]:
    """Decode some of the frames besides the first, spread evenly over the file, the last one among them.

    Of an animation no more frames are gone through than have `max_pixels` together: later ones are not decoded.

    Args:
        data: the file's content.
        format: of it, as `scanner.imaging.decode` has it.
        most: how many frames to look at, with the first one.
        first: the first frame.
        max_pixels: refuse, before decoding, what would be larger.
        pixel_budget: pixels that may be decoded now, if there is a limit.

    Yields:
        Those that can be decoded; broken ones are left out.

    Raises:
        OverBudgetError: there is no room for a page.
    """
    count = count_frames(data, format)
    if format in _PAGES:
        for number in evenly_spaced(count, most)[1:]:
            page = decode(_PAGES[format](data, number), max_pixels, pixel_budget).picture
            if page is not None:
                yield Frame(number, page)
        return
    count = min(count, max(1, max_pixels // (first.shape[0] * first.shape[1])))
    wanted = evenly_spaced(count, most)[1:]
    if format == "png":
        yield from (Frame(number, picture) for number, picture in animation_frames(data, wanted))
    else:
        for number in wanted:
            animated = _animated(data, number)
            if animated is not None:
                yield Frame(number, animated)


def evenly_spaced(count: int, most: int) -> list[int]:
    """Numbers of `most` frames at even distances, the first and the last among them; all, if there are not so many."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)] if most > 1 else [0]


def _animated(data: bytes, number: int) -> Picture | None:
    """A frame of a GIF, WebP or AVIF; None if it is broken."""
    try:
        done, animation = cv2.imdecodeanimation(np.frombuffer(data, np.uint8), number, 1)
    except cv2.error as error:
        if "OutOfMemory" in str(error) or "Insufficient memory" in str(error):
            raise MemoryError from error
        return None
    if not done or not animation.frames:
        return None
    header = read_header(data)
    return convert_opencv_frame(np.asarray(animation.frames[0]), data, header.format, header.bits)


def _count_gif(data: bytes) -> int:
    return len(gif_frames(data)[0])


def _count_png(data: bytes) -> int:
    """The picture that every program shows, and the frames of the animation, of which it may be the first."""
    kinds = [kind for kind, _, _ in png_chunks(data) if kind in (b"acTL", b"fcTL", b"IDAT")]
    if b"acTL" not in kinds:
        return 1
    return kinds.count(b"fcTL") + (kinds.index(b"IDAT") < kinds.index(b"fcTL"))


def _count_webp(data: bytes) -> int:
    at, frames = 12, 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        frames += kind == b"ANMF"
        at += 8 + size + size % 2
    return frames


def _count_avif(data: bytes) -> int:
    """The longest of the tracks of pictures (ISO 14496-12)."""
    counts = [1]
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"moov":
            tracks = (box for box in boxes(data, start, min(end, len(data))) if box[0] == b"trak")
            counts += [_samples(data, at, min(stop, end, len(data))) for _, at, stop in islice(tracks, 100)]
    return max(counts)


def _samples(data: bytes, start: int, end: int) -> int:
    """Samples of a track of pictures; 0 of another one, such as its transparency."""
    inner = {kind: (at, min(stop, end)) for kind, at, stop in boxes(data, start, end)}
    media = {kind: (at, min(stop, end)) for kind, at, stop in boxes(data, *inner.get(b"mdia", (end, end)))}
    if b"hdlr" not in media or data[media[b"hdlr"][0] + 8 : media[b"hdlr"][0] + 12] != b"pict":
        return 0
    place = media.get(b"minf", (end, end))
    for name in (b"stbl", b"stsz"):
        found = {kind: (at, min(stop, end)) for kind, at, stop in boxes(data, *place)}
        place = found.get(name, (end, end))
    return int(struct.unpack_from(">I", data, place[0] + 8)[0]) if place[0] < end else 0


def _pictures_of_mpo(data: bytes) -> list[tuple[int, int]]:
    """Start and end of every picture in a multi-picture JPEG; empty if it is none. Thumbnails and the like are none.

    They stand one behind the other. Their index tells their number and kinds; where they begin, Pillow writes it wrong.
    """
    found: list[tuple[int, int]] = []
    start = 0
    for kind in _index_of_mpo(data):
        scan = max((end for _, _, end in jpeg_segments(data[start:])), default=0)
        end = data.find(b"\xff\xd9", start + scan) + 2
        if end < 2:
            break
        if not found or (kind not in _THUMBNAILS and not _is_gain_map(data[start:end])):
            found.append((start, end))
        start = data.find(b"\xff\xd8\xff", end)
        if start < 0:
            break
    return found


def _index_of_mpo(data: bytes) -> list[int]:
    """Types of the pictures in a multi-picture JPEG; empty if it has no index of them."""
    for marker, at, end in jpeg_segments(data):
        if marker != 0xE2 or data[at : at + 4] != _MPF:
            continue
        index = data[at + 4 : end]
        order = {b"II": "<", b"MM": ">"}.get(index[:2], "<")
        for tag, _, size, place in tiff.entries(index, order, struct.unpack_from(order + "I", index, 4)[0]):
            if tag == 0xB002:  # 16 bytes for each picture
                (first,) = struct.unpack_from(order + "I", index, place)
                entries = range(first, first + min(size, len(index)), 16)
                return [struct.unpack_from(order + "I", index, entry)[0] & 0xFFFFFF for entry in entries]
    return []


def _is_gain_map(picture: bytes) -> bool:
    return any(name in picture[: 2**16] for name in _GAIN_MAPS)


def _mpo_page(data: bytes, number: int) -> bytes:
    start, end = _pictures_of_mpo(data)[number]
    return data[start:end]


def _tiff_page(data: bytes, number: int) -> bytes:
    """The file with another directory for its first one."""
    order = "<" if data[:2] == b"II" else ">"
    start = next(islice(tiff.directories(data), number, None))
    return data[:4] + struct.pack(order + "I", start) + data[8:]


_COUNTERS: dict[str, Callable[[bytes], int]] = {
    "gif": _count_gif,
    "png": _count_png,
    "webp": _count_webp,
    "avif": _count_avif,
    "jpeg": lambda data: len(_pictures_of_mpo(data)),
    "tiff": lambda data: sum(1 for _ in islice(tiff.directories(data), MAX_PAGES)),
}
_PAGES: dict[str, Callable[[bytes, int], bytes]] = {"jpeg": _mpo_page, "tiff": _tiff_page}
