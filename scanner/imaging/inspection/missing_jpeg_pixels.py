"""Tells how much of a JPEG was not decoded.

A decoder that runs out of data does not say so: it leaves the rest grey, or blurred. Therefore suspicious files are
decoded again with some random bytes behind the data. A decoder that has all its pixels does not look at them; in one
that lacks pixels, the picture changes from the first missing pixel on.
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

# What libjpeg leaves where there were no data: zeros, which are the middle of each component. Of CMYK, OpenCV makes 65.
_GREY = {1: 128, 3: 128, 4: 65}
_FILLING = bytes(random.Random(0).choices(range(1, 255), k=256))  # noqa: S311 - no 0xFF: that would be a marker
# Scans looked at one by one for the one that was cut: a hostile file has hundreds.
_MOST_SCANS = 8
Decode = Callable[[bytes], NDArray[Any]]
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def with_end_mark(data: bytes, jpeg: Jpeg) -> bytes:
    """The file up to its last scan's data, and an end mark."""
    return data if jpeg.has_end_mark else data[: jpeg.end] + END


def has_filler_grey(picture: NDArray[Any], data: bytes, jpeg: Jpeg) -> bool:
    """Whether places where the data may have run out have the colour that is left there.

    Args:
        picture: decoded, in any orientation, uint8 (height, width, 3).
        data: the file.
        jpeg: its scans.
    """
    grey = _GREY.get(len(jpeg.sampling))
    if jpeg.progressive or grey is None:
        return False
    if len(jpeg.scans) == 1 and not restart_interval(data, jpeg):  # then it is the last block, in one of the corners
        return any(_is_grey(picture, jpeg, row, column, grey) for row in (0, -1) for column in (0, -1))
    rows, columns = picture.shape[0] // 8, picture.shape[1] // 8
    blocks = np.ones((rows, columns), bool)
    for channel, row, column in ((0, 4, 4), (1, 3, 3), (2, 5, 2), (0, 2, 5)):  # of every 8 by 8 pixels
        blocks &= picture[row::8, column::8, channel][:rows, :columns] == grey
        if not blocks.any():
            return False
    return True


def _is_grey(picture: NDArray[Any], jpeg: Jpeg, row: int, column: int, grey: int) -> bool:
    """Whether the block in a corner is grey, as far as it lies in the picture."""
    if picture[row, column, 0] != grey:  # in almost every picture
        return False
    side = min(4, *((length - 1) % size + 1 for length in (jpeg.width, jpeg.height) for size in jpeg.block))
    rows, columns = (slice(-side, None) if place else slice(0, side) for place in (row, column))
    return bool((picture[rows, columns] == grey).all())


def _decoded(data: bytes) -> NDArray[Any]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _AS_STORED)
    if pixels is None:  # it was taken before, and what comes behind the data cannot make it invalid
        raise MemoryError
    return pixels


def missing_share(data: bytes, jpeg: Jpeg, decode: Decode = _decoded) -> float:
    """Share of the picture (0..1) that was not decoded.

    Args:
        data: a file that the decoder took.
        jpeg: its scans.
        decode: the decoder; its pixels are (height, width, channels).

    Raises:
        MemoryError: the decoder does not take it again.
    """
    plain = decode(with_end_mark(data, jpeg))
    return max(
        zero_filled_share(data, jpeg), min(1.0, missing_coefficients(jpeg)[0] + _cut_share(data, jpeg, plain, decode))
    )


def _cut_share(data: bytes, jpeg: Jpeg, plain: NDArray[Any], decode: Decode) -> float:
    """Share of the picture (0..1) that is not in the scans because their data end too early."""
    passes = jpeg.first_passes
    if _unlike(data, jpeg, passes, plain, decode):
        for scan in passes[: -_MOST_SCANS - 1 : -1]:  # it is the last one, unless there is a hole
            if share := _unlike(data, jpeg, [scan], plain, decode):
                return share * ((scan.last - scan.first + 1) / 64 if jpeg.progressive and scan.first else 1.0)
    return 0.0


def _unlike(data: bytes, jpeg: Jpeg, scans: list[Scan], plain: NDArray[Any], decode: Decode) -> float:
    """Share of the picture that changes if something follows the data of these scans."""
    pieces, at = [], 0
    for scan in scans:
        for _, end in scan.segments(data):
            pieces += [data[at:end], _FILLING]
            at = end
    filled = decode(b"".join((*pieces, data[at : jpeg.end], END)))
    changed = _changed_blocks(plain, filled, jpeg.block)
    interval = restart_interval(data, jpeg) if len(jpeg.scans) == 1 else 0
    if not interval:
        return _behind_changes(changed, changed.size)
    wanted = -(-changed.size // interval)
    return min(1.0, _behind_changes(changed, interval) + max(0, wanted - len(scans[0].segments(data))) / wanted)


def _changed_blocks(one: NDArray[Any], other: NDArray[Any], block: tuple[int, int]) -> NDArray[Any]:
    """Which blocks differ, row by row. Their edges are not looked at: colours are interpolated across them."""
    width, height = block
    columns = -(-one.shape[1] // width)
    differs = np.zeros(columns * width, bool)
    changed = []
    for top in range(0, one.shape[0], height):
        inner = slice(top + 2, top + height - 2) if one.shape[0] > top + 2 else slice(top, None)
        differs[: one.shape[1]] = (one[inner] != other[inner]).any(axis=(0, 2))
        changed.append(differs.reshape(columns, width)[:, :-2].any(axis=1))
    return np.concatenate(changed)


def _behind_changes(changed: NDArray[Any], interval: int) -> float:
    """Share of the blocks from the first that changed to where coding begins anew: at the end, or every `interval`."""
    padded = np.zeros(-(-changed.size // interval) * interval, bool)
    padded[: changed.size] = changed
    behind = np.maximum.accumulate(padded.reshape(-1, interval), axis=1).ravel()[: changed.size]
    return float(behind.mean())
