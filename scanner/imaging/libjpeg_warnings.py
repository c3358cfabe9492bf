"""Captures the warnings of libjpeg, which OpenCV leaves on standard error.

libjpeg warns of "premature end of data segment" where it invents pixels. Only worker processes capture: nobody reads
their standard error, and each decodes one picture at a time.
"""

from __future__ import annotations

import os

_STDERR = 2
_MAX_BYTES = 4096  # of warnings about one picture that are read
_captured: int | None = None  # descriptor of the file in memory that stands for standard error; None before `capture`


def capture() -> None:
    """Redirect standard error of this process to a file in memory, for good. Does nothing outside of Linux."""
    global _captured
    if hasattr(os, "memfd_create"):
        _captured = os.memfd_create("libjpeg_warnings")
        os.dup2(_captured, _STDERR)


def take() -> str:
    """Return what was written since the last call, and forget it; empty if nothing is captured."""
    if _captured is None or not os.lseek(_captured, 0, os.SEEK_CUR):
        return ""
    text = os.pread(_captured, _MAX_BYTES, 0)
    os.ftruncate(_captured, 0)
    os.lseek(_captured, 0, os.SEEK_SET)
    return text.decode("ascii", "replace")
