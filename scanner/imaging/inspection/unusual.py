"""Names the kinds of pictures that OpenCV does not decode, so that nobody takes a whole file for a damaged one."""

from __future__ import annotations

import struct

from scanner.imaging.formats.bitmap import read_bitmap
from scanner.imaging.formats.jpeg_scans import Jpeg
from scanner.imaging.formats.tiff import first_directory
from scanner.imaging.inspection.header import Header
from scanner.reasons import Reason

_JPEG_LS = 0x37  # SOF55
_PROCESSES = {
    3: "lossless_jpeg",
    5: "hierarchical_jpeg",
    6: "hierarchical_jpeg",
    7: "hierarchical_jpeg",
    9: "arithmetic_jpeg",
    10: "arithmetic_jpeg",
    11: "lossless_arithmetic_jpeg",
    13: "hierarchical_jpeg",
    14: "hierarchical_jpeg",
    15: "hierarchical_jpeg",
    _JPEG_LS: "jpeg_ls",
}


def unusual(data: bytes, header: Header) -> str:
    """The reason for a whole file that OpenCV refused: `unsupported_...`; empty if its kind is a usual one.

    Args:
        data: the file.
        header: what it says of itself.
    """
    try:
        if header.format == "jpeg" and header.jpeg:
            return unusual_jpeg(header.jpeg)
        if header.format == "bmp":
            return read_bitmap(data).unusual
        if header.format == "tiff":
            return _unusual_tiff(first_directory(data))
    except (struct.error, IndexError, ValueError):
        pass
    return ""


def unusual_jpeg(jpeg: Jpeg) -> str:
    """What is unusual about a JPEG, as a reason; empty if nothing is."""
    if jpeg.bits != 8:
        return f"{Reason.UNSUPPORTED_PIXELS}:{jpeg.bits}bit"
    if jpeg.process in _PROCESSES:
        return f"{Reason.UNSUPPORTED_COMPRESSION}:{_PROCESSES[jpeg.process]}"
    if len(jpeg.sampling) not in (1, 3, 4):
        return f"{Reason.UNSUPPORTED_PIXELS}:{len(jpeg.sampling)}_channels"
    return ""


def _unusual_tiff(numbers: dict[str, int]) -> str:
    if numbers.get("compression") == 6:
        return f"{Reason.UNSUPPORTED_COMPRESSION}:old_jpeg"
    if numbers.get("samples", 0) > 4:
        return f"{Reason.UNSUPPORTED_PIXELS}:{numbers['samples']}_channels"
    if numbers.get("bits", 8) not in (0, 1, 8, 16):
        return f"{Reason.UNSUPPORTED_PIXELS}:{numbers['bits']}bit"
    return ""
