"""Hears what libjpeg complains of, which OpenCV leaves on standard error.

It says "premature end of data segment" where it makes up pixels. Only worker processes listen: nobody reads their
standard error, and they decode one picture at a time.
"""

from __future__ import annotations

import os

_STDERR = 2
_captured: int | None = None  # a file in memory that is standard error


def capture() -> None:
    """Have standard error go to a file in memory, for good. Elsewhere than on Linux, nothing is done."""
    global _captured
    if hasattr(os, "memfd_create"):
        _captured = os.memfd_create("libjpeg_warnings")
        os.dup2(_captured, _STDERR)


def take() -> str:
    """What was written since this was asked before; empty if nobody listens."""
    if _captured is None or not os.lseek(_captured, 0, os.SEEK_CUR):
        return ""
    text = os.pread(_captured, 4096, 0)
    os.ftruncate(_captured, 0)
    os.lseek(_captured, 0, os.SEEK_SET)
    return text.decode("ascii", "replace")
