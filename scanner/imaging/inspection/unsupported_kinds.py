"""Names the kinds of pictures that OpenCV does not decode, so that no undamaged file is called damaged."""

from __future__ import annotations

import struct

from scanner.imaging.formats.bmp import read_bmp_header
from scanner.imaging.formats.jpeg_scans import Jpeg
from scanner.imaging.formats.tiff import read_first_directory
from scanner.imaging.inspection.header import Header
from scanner.reasons import Reason

_JPEG_LS = 0x37  # SOF55
_OLD_JPEG = 6  # compression of a TIFF
# Names of the processes that OpenCV does not decode, by n of the SOFn marker.
_PROCESS_NAMES = {
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
    """Return the reason (`unsupported_...`) why OpenCV refused an undamaged file; empty if OpenCV reads the kind.

    Args:
        data: the file.
        header: its header.
    """
    try:
        if header.format == "jpeg" and header.jpeg:
            return unsupported_jpeg_reason(header.jpeg)
        if header.format == "bmp":
            return read_bmp_header(data).unsupported_reason
        if header.format == "tiff":
            return _unsupported_tiff_reason(read_first_directory(data))
    except (struct.error, IndexError, ValueError):  # the file is cut
        pass
    return ""


def unsupported_jpeg_reason(jpeg: Jpeg) -> str:
    """Return the reason of a row why OpenCV does not decode a JPEG of this kind; empty if it does."""
    if jpeg.bits != 8:
        return f"{Reason.UNSUPPORTED_PIXELS}:{jpeg.bits}bit"
    if jpeg.process in _PROCESS_NAMES:
        return f"{Reason.UNSUPPORTED_COMPRESSION}:{_PROCESS_NAMES[jpeg.process]}"
    if len(jpeg.sampling) not in (1, 3, 4):
        return f"{Reason.UNSUPPORTED_PIXELS}:{len(jpeg.sampling)}_channels"
    return ""


def _unsupported_tiff_reason(numbers: dict[str, int]) -> str:
    """Return the reason of a row why OpenCV does not decode a TIFF; empty if it does.

    Args:
        numbers: as `tiff.read_first_directory` returns them.
    """
    if numbers.get("compression") == _OLD_JPEG:
        return f"{Reason.UNSUPPORTED_COMPRESSION}:old_jpeg"
    if numbers.get("samples", 0) > 4:
        return f"{Reason.UNSUPPORTED_PIXELS}:{numbers['samples']}_channels"
    if numbers.get("bits", 8) not in (0, 1, 8, 16):
        return f"{Reason.UNSUPPORTED_PIXELS}:{numbers['bits']}bit"
    return ""
