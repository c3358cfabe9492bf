"""Measures how much of a JPEG was not decoded.

A decoder that runs out of data does not say so: it leaves the rest grey or blurred. Therefore suspicious files are
decoded again with random bytes behind their data. A decoder that has all its pixels ignores these bytes; if pixels are
missing, the picture changes from the first missing pixel on.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.imaging.formats.jpeg_scans import (
    END,
    Jpeg,
    Scan,
    missing_coefficients,
    restart_interval,
    zero_filled_share,
)

# Level of the pixels for which libjpeg had no data, by number of components: the middle of each component, from which
# OpenCV makes 65 if the components are CMYK.
_FILLER_GREY = {1: 128, 3: 128, 4: 65}
_RANDOM_BYTES = bytes(random.Random(0).choices(range(1, 255), k=256))  # noqa: S311 - no 0xFF: that would be a marker
# Scans that are tried one by one, to find the one that was cut: a hostile file has hundreds.
_MAX_TRIED_SCANS = 8
# Coefficients of a block.
_COEFFICIENTS = 64
# Decoder of a JPEG's bytes; its pixels are (height, width, channels).
Decode = Callable[[bytes], NDArray[Any]]
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def with_end_mark(data: bytes, jpeg: Jpeg) -> bytes:
    """Return the file up to the end of its last scan, closed by an end marker."""
    return data if jpeg.has_end_mark else data[: jpeg.end] + END


def has_filler_grey(picture: NDArray[Any], data: bytes, jpeg: Jpeg) -> bool:
    """Tell whether blocks for which the data may have run out have the grey that libjpeg leaves there.

    Args:
        picture: decoded, in any orientation, uint8 (height, width, 3).
        data: the file.
        jpeg: its frame header and scans.
    """
    grey = _FILLER_GREY.get(len(jpeg.sampling))
    if jpeg.progressive or grey is None:
        return False
    if len(jpeg.scans) == 1 and not restart_interval(data, jpeg):
        # The last block would be missing, which lies in one of the corners, depending on the orientation.
        return any(_is_grey(picture, jpeg, row, column, grey) for row in (0, -1) for column in (0, -1))
    rows, columns = picture.shape[0] // 8, picture.shape[1] // 8
    blocks = np.ones((rows, columns), bool)
    for channel, row, column in ((0, 4, 4), (1, 3, 3), (2, 5, 2), (0, 2, 5)):  # a few samples of each block are enough
        blocks &= picture[row::8, column::8, channel][:rows, :columns] == grey
        if not blocks.any():
            return False
    return True


def _is_grey(picture: NDArray[Any], jpeg: Jpeg, row: int, column: int, grey: int) -> bool:
    """Tell whether the part of a corner's block that lies in the picture is grey.

    Args:
        picture: uint8 (height, width, 3).
        jpeg: its frame header.
        row: 0 for a corner at the top, -1 for one at the bottom.
        column: 0 for a corner on the left, -1 for one on the right.
        grey: the level, 0..255.
    """
    if picture[row, column, 0] != grey:  # true of almost every picture: return early
        return False
    side = min(4, *((length - 1) % size + 1 for length in (jpeg.width, jpeg.height) for size in jpeg.block))
    rows, columns = (slice(-side, None) if place else slice(0, side) for place in (row, column))
    return bool((picture[rows, columns] == grey).all())


def _decode_as_stored(data: bytes) -> NDArray[Any]:
    """Decode a JPEG that was decoded before.

    Raises:
        MemoryError: the decoder refuses it. Bytes behind the data cannot make a file invalid, so memory ran out.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _AS_STORED)
    if pixels is None:
        raise MemoryError
    return pixels


def missing_share(data: bytes, jpeg: Jpeg, decode: Decode = _decode_as_stored) -> float:
    """Measure the share of the picture (0..1) that was not decoded.

    Args:
        data: a file that the decoder accepted.
        jpeg: its frame header and scans.
        decode: the decoder.

    Raises:
        MemoryError: the decoder does not accept the file again.
    """
    plain = decode(with_end_mark(data, jpeg))
    return max(
        zero_filled_share(data, jpeg), min(1.0, missing_coefficients(jpeg)[0] + _cut_share(data, jpeg, plain, decode))
    )


def _cut_share(data: bytes, jpeg: Jpeg, plain: NDArray[Any], decode: Decode) -> float:
    """Measure the share of the picture (0..1) that is missing in the scans because their data end too early.

    Args:
        data: the file.
        jpeg: its frame header and scans.
        plain: its pixels, (height, width, channels).
        decode: the decoder.
    """
    passes = jpeg.first_passes
    if _changed_share(data, jpeg, passes, plain, decode):
        for scan in passes[: -_MAX_TRIED_SCANS - 1 : -1]:  # usually the last scan is cut
            if share := _changed_share(data, jpeg, [scan], plain, decode):
                partial = jpeg.progressive and scan.first
                return share * ((scan.last - scan.first + 1) / _COEFFICIENTS if partial else 1.0)
    return 0.0


def _changed_share(data: bytes, jpeg: Jpeg, scans: list[Scan], plain: NDArray[Any], decode: Decode) -> float:
    """Measure the share of the picture (0..1) that changes if random bytes follow the data of these scans.

    Args:
        data: the file.
        jpeg: its frame header and scans.
        scans: some of its scans, in order.
        plain: pixels without random bytes, (height, width, channels).
        decode: the decoder.
    """
    pieces, at = [], 0
    for scan in scans:
        for _, end in scan.segments(data):
            pieces += [data[at:end], _RANDOM_BYTES]
            at = end
    filled = decode(b"".join((*pieces, data[at : jpeg.end], END)))
    changed = _changed_blocks(plain, filled, jpeg.block)
    interval = restart_interval(data, jpeg) if len(jpeg.scans) == 1 else 0
    if not interval:
        return _share_behind_changes(changed, changed.size)
    wanted = -(-changed.size // interval)
    missing = max(0, wanted - len(scans[0].segments(data))) / wanted
    return min(1.0, _share_behind_changes(changed, interval) + missing)


def _changed_blocks(one: NDArray[Any], other: NDArray[Any], block: tuple[int, int]) -> NDArray[Any]:
    """Find the blocks in which two pictures differ. Edges of blocks are ignored: colours are interpolated across them.

    Args:
        one: pixels, (height, width, channels).
        other: pixels of the same shape.
        block: width and height of a block, in pixels.

    Returns:
        A flag for each block, row by row; bool (n,).
    """
    width, height = block
    columns = -(-one.shape[1] // width)
    differs = np.zeros(columns * width, bool)
    changed = []
    for top in range(0, one.shape[0], height):
        inner = slice(top + 2, top + height - 2) if one.shape[0] > top + 2 else slice(top, None)
        differs[: one.shape[1]] = (one[inner] != other[inner]).any(axis=(0, 2))
        changed.append(differs.reshape(columns, width)[:, :-2].any(axis=1))
    return np.concatenate(changed)


def _share_behind_changes(changed: NDArray[Any], interval: int) -> float:
    """Measure the share of the blocks (0..1) from each first change up to the next restart.

    Args:
        changed: flags of the blocks, in coding order; bool (n,).
        interval: blocks between two restarts; n if there are none.
    """
    padded = np.zeros(-(-changed.size // interval) * interval, bool)
    padded[: changed.size] = changed
    behind = np.maximum.accumulate(padded.reshape(-1, interval), axis=1).ravel()[: changed.size]
    return float(behind.mean())
