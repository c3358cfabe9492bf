"""Names the kinds of pictures that OpenCV does not decode, so that nobody takes a whole file for a damaged one."""

from __future__ import annotations

import struct

from scanner.imaging.formats.bmp import read_bmp_header
from scanner.imaging.formats.jpeg_scans import Jpeg
from scanner.imaging.formats.tiff import read_first_directory
from scanner.imaging.inspection.header import Header

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


def unsupported_reason(data: bytes, header: Header) -> str:
    """The reason for a whole file that OpenCV refused: `unsupported_...`; empty if its kind is a usual one.

    Args:
        data: the file.
        header: what it says of itself.
    """
    try:
        if header.format == "jpeg" and header.jpeg:
            return unsupported_jpeg_reason(header.jpeg)
        if header.format == "bmp":
            return read_bmp_header(data).unsupported_reason
        if header.format == "tiff":
            return _unsupported_tiff_reason(read_first_directory(data))
    except (struct.error, IndexError, ValueError):
        pass
    return ""


def unsupported_jpeg_reason(jpeg: Jpeg) -> str:
    """What is unusual about a JPEG, as a reason; empty if nothing is."""
    if jpeg.bits != 8:
        return f"unsupported_pixels:{jpeg.bits}bit"
    if jpeg.process in _PROCESSES:
        return f"unsupported_compression:{_PROCESSES[jpeg.process]}"
    if len(jpeg.sampling) not in (1, 3, 4):
        return f"unsupported_pixels:{len(jpeg.sampling)}_channels"
    return ""


def _unsupported_tiff_reason(numbers: dict[str, int]) -> str:
    if numbers.get("compression") == 6:
        return "unsupported_compression:old_jpeg"
    if numbers.get("samples", 0) > 4:
        return f"unsupported_pixels:{numbers['samples']}_channels"
    if numbers.get("bits", 8) not in (0, 1, 8, 16):
        return f"unsupported_pixels:{numbers['bits']}bit"
    return ""
