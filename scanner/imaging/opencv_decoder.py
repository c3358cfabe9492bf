"""Decodes pixels by OpenCV, except for the BMPs that it reads wrong.

Frames of animations are decoded in `frames` and `apng`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.imaging.formats import bmp
from scanner.imaging.inspection import decoding_memory
from scanner.imaging.inspection.decoder_input import DecoderInput
from scanner.imaging.inspection.header import Header
from scanner.imaging.orientation import read_orientation, turn_upright
from scanner.system.allocator import lacks_memory

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a broken file is a reason in a row, not a log


def decode_by_opencv(data: bytes, header: Header, decoder_input: DecoderInput, memory: int) -> NDArray[Any] | None:
    """Decode a file to upright pixels, in the layout that OpenCV returns.

    Args:
        data: the file.
        header: its header.
        decoder_input: what the decoder is given of the file.
        memory: bytes that decoding takes, estimated.

    Returns:
        RGB uint8 of a JPEG; grey, BGR or BGRA of any depth of other formats. None if the decoder refuses the file.

    Raises:
        MemoryError: memory ran out, of which most decoders only say that they failed.
    """
    try:
        pixels = _decode_pixels(data, header, decoder_input.data)
    except cv2.error as error:
        if lacks_memory(error):
            raise MemoryError from error
        pixels = None
    if pixels is None:
        decoding_memory.require(memory)
    return pixels


def _decode_pixels(data: bytes, header: Header, content: bytes) -> NDArray[Any] | None:
    """Decode as `decode_by_opencv` does, without telling lack of memory from a broken file.

    Args:
        data: the file, from which the orientation is read.
        header: its header.
        content: what the decoder is given of the file.
    """
    if header.format == "bmp" and (bmp_header := bmp.read_bmp_header(content)).opencv_misreads:
        return bmp.decode_bmp(content, bmp_header)
    buffer = np.frombuffer(content, np.uint8)
    if header.format == "jpeg":  # has no alpha and 8 bits, so OpenCV may convert CMYK
        pixels = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    else:  # IMREAD_COLOR would drop alpha and show the colours that it hides
        pixels = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if pixels is not None and header.format == "avif" and pixels.dtype != np.uint8:
        pixels = _reduce_avif_to_8_bits(buffer, pixels, header.bits)
    return None if pixels is None else turn_upright(pixels, read_orientation(data, header.format))


def _reduce_avif_to_8_bits(buffer: NDArray[np.uint8], deep: NDArray[Any], bits: int) -> NDArray[Any] | None:
    """Reduce an AVIF of 10 or 12 bits; OpenCV does not say which, so that colours are decoded again, to 8 bits.

    Args:
        buffer: the file.
        deep: its pixels, uint16, the only ones with alpha. If they have fewer bits than the container announces, OpenCV
            5.0 fills one half of each row with pairs of bytes, and leaves the other half uninitialised.
        bits: that the container announces.

    Returns:
        Grey, BGR or BGRA, uint8; None if the file is broken.
    """
    colour = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if colour is None or deep.ndim == 2 or deep.shape[2] == 3:
        return colour
    if deep.max() >= 2**bits:
        return None
    return np.dstack([colour, cv2.convertScaleAbs(deep[:, :, 3], alpha=255 / (2**bits - 1))])
