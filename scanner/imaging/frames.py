"""Counts the frames of an animation, or the pages of a document, and decodes those behind the first.

`scanner.imaging.decode` decodes the first frame. Pages of a TIFF and pictures of a multi-picture JPEG (MPO) are
independent: each goes through the same decoder, with the same limits. A frame of an animation is composed from the
frames before it.
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
from scanner.imaging.formats.webp_parts import webp_chunks
from scanner.imaging.inspection.header import jpeg_segments, read_header

# Pages of a TIFF that are counted, at most; a file of 100 MB could announce millions.
MAX_PAGES = 100_000
_MPF = b"MPF\x00"  # in APP2: the index of a multi-picture JPEG (CIPA DC-007)
_MPF_ENTRIES, _MPF_ENTRY_BYTES = 0xB002, 16  # the index's tag that lists the pictures
_APP2 = 0xE2
_THUMBNAILS = (0x010001, 0x010002)  # types of pictures in the index that only repeat the first one
_MAX_TRACKS = 100  # of an AVIF that are counted
# Names in the metadata of a gain map: a picture of the brightness on bright screens, which nobody looks at.
_GAIN_MAPS = (b"hdrgm:", b"HDRGainMap", b"hdrgainmap")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of an animation, or a page of a document.

    Attributes:
        number: counted from 0, which is the frame that `scanner.imaging.decode` decodes.
        picture: RGB, uint8, (height, width, 3).
    """

    number: int
    picture: Picture


def count_frames(data: bytes, format: str) -> int:
    """Count the frames or pages that a file announces, at least 1. Never raises, whatever the bytes.

    Args:
        data: the file.
        format: of its content.
    """
    with suppress(struct.error, IndexError, ValueError):  # the file is cut
        if counter := _COUNTERS.get(format):
            return max(1, counter(data))
    return 1


def decode_further_frames(
    data: bytes, format: str, most: int, first: Picture, max_pixels: int, pixel_budget: int | None = None
) -> Iterator[Frame]:
    """Decode some of the frames behind the first, evenly spaced, the last one included.

    Args:
        data: the file.
        format: of its content.
        most: frames to choose, the first one included.
        first: the first frame, RGB uint8 (height, width, 3).
        max_pixels: skip larger pages, and frames of an animation from that on at which all have more pixels together.
        pixel_budget: pixels of a plain picture whose memory is free now; None is no limit.

    Yields:
        The frames that can be decoded; broken ones are left out.

    Raises:
        OverBudgetError: decoding a page takes more memory than the budget.
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
        yield from (Frame(number, composed) for number, composed in animation_frames(data, wanted))
    else:
        for number in wanted:
            picture = _decode_animation_frame(data, number)
            if picture is not None:
                yield Frame(number, picture)


def evenly_spaced(count: int, most: int) -> list[int]:
    """Choose `most` of `count` numbers, evenly spaced from the first to the last; all if there are fewer."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)] if most > 1 else [0]


def _decode_animation_frame(data: bytes, number: int) -> Picture | None:
    """Decode a frame of a GIF, WebP or AVIF; None if it is broken."""
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
    """Count the frames of a GIF."""
    return len(gif_frames(data)[0])


def _count_png(data: bytes) -> int:
    """Count the picture that every program shows, and the frames of the animation, of which it may be the first."""
    kinds = [kind for kind, _, _ in png_chunks(data) if kind in (b"acTL", b"fcTL", b"IDAT")]
    if b"acTL" not in kinds:
        return 1
    return kinds.count(b"fcTL") + (kinds.index(b"IDAT") < kinds.index(b"fcTL"))


def _count_webp(data: bytes) -> int:
    """Count the frames of an animated WebP."""
    return sum(kind == b"ANMF" for kind, _, _ in webp_chunks(data))


def _count_avif(data: bytes) -> int:
    """Count the samples of the longest track of pictures (ISO 14496-12)."""
    counts = [1]
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"moov":
            tracks = (box for box in boxes(data, start, min(end, len(data))) if box[0] == b"trak")
            counts += [
                _count_samples(data, at, min(stop, end, len(data))) for _, at, stop in islice(tracks, _MAX_TRACKS)
            ]
    return max(counts)


def _count_samples(data: bytes, start: int, end: int) -> int:
    """Count the samples of a track; 0 if it is no track of pictures.

    Args:
        data: the file.
        start: offset of the content of `trak`.
        end: offset behind it.
    """
    inner = {kind: (at, min(stop, end)) for kind, at, stop in boxes(data, start, end)}
    media = {kind: (at, min(stop, end)) for kind, at, stop in boxes(data, *inner.get(b"mdia", (end, end)))}
    if b"hdlr" not in media or data[media[b"hdlr"][0] + 8 : media[b"hdlr"][0] + 12] != b"pict":
        return 0
    content = media.get(b"minf", (end, end))
    for name in (b"stbl", b"stsz"):
        children = {kind: (at, min(stop, end)) for kind, at, stop in boxes(data, *content)}
        content = children.get(name, (end, end))
    return int(struct.unpack_from(">I", data, content[0] + 8)[0]) if content[0] < end else 0


def _find_mpo_pictures(data: bytes) -> list[tuple[int, int]]:
    """Find start and end of every picture in a multi-picture JPEG but thumbnails and gain maps; empty if it is none.

    The pictures stand one behind the other. The index gives their number and kinds; the offsets in it are not used,
    since Pillow writes them wrong.
    """
    pictures: list[tuple[int, int]] = []
    start = 0
    for kind in _read_mpo_index(data):
        scan = max((end for _, _, end in jpeg_segments(data[start:])), default=0)
        end = data.find(b"\xff\xd9", start + scan) + 2
        if end < 2:
            break
        if not pictures or (kind not in _THUMBNAILS and not _is_gain_map(data[start:end])):
            pictures.append((start, end))
        start = data.find(b"\xff\xd8\xff", end)
        if start < 0:
            break
    return pictures


def _read_mpo_index(data: bytes) -> list[int]:
    """Read the type of each picture in a multi-picture JPEG from its index; empty if there is no index."""
    for marker, at, end in jpeg_segments(data):
        if marker != _APP2 or data[at : at + 4] != _MPF:
            continue
        index = data[at + 4 : end]
        order = {b"II": "<", b"MM": ">"}.get(index[:2], "<")
        for tag, _, size, place in tiff.entries(index, order, struct.unpack_from(order + "I", index, 4)[0]):
            if tag == _MPF_ENTRIES:
                (first,) = struct.unpack_from(order + "I", index, place)
                entries = range(first, first + min(size, len(index)), _MPF_ENTRY_BYTES)
                return [struct.unpack_from(order + "I", index, entry)[0] & 0xFFFFFF for entry in entries]
    return []


def _is_gain_map(picture: bytes) -> bool:
    """Tell whether the metadata of a JPEG call it a gain map."""
    return any(name in picture[: 2**16] for name in _GAIN_MAPS)


def _extract_mpo_page(data: bytes, number: int) -> bytes:
    """Extract one picture of a multi-picture JPEG as a file."""
    start, end = _find_mpo_pictures(data)[number]
    return data[start:end]


def _extract_tiff_page(data: bytes, number: int) -> bytes:
    """Make one page of a TIFF the first page, by naming its directory first."""
    order = tiff.byte_order(data)
    start = next(islice(tiff.directories(data), number, None))
    return data[:4] + struct.pack(order + "I", start) + data[8:]


_COUNTERS: dict[str, Callable[[bytes], int]] = {
    "gif": _count_gif,
    "png": _count_png,
    "webp": _count_webp,
    "avif": _count_avif,
    "jpeg": lambda data: len(_find_mpo_pictures(data)),
    "tiff": lambda data: sum(1 for _ in islice(tiff.directories(data), MAX_PAGES)),
}
_PAGES: dict[str, Callable[[bytes, int], bytes]] = {"jpeg": _extract_mpo_page, "tiff": _extract_tiff_page}
