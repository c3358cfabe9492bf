"""Hears what libjpeg complains of, which OpenCV leaves on standard error.

It says "premature end of data segment" where it makes up pixels. Only worker processes listen: nobody reads their
standard error, and they decode one picture at a time.
"""

from __future__ import annotations

import os

_STDERR = 2
_ear: int | None = None  # a file in memory that is standard error


def listen() -> None:
    """Have standard error go to a file in memory, for good. Elsewhere than on Linux, nothing is done."""
    global _ear
    if hasattr(os, "memfd_create"):
        _ear = os.memfd_create("complaints")
        os.dup2(_ear, _STDERR)


def heard() -> str:
    """What was written since this was asked before; empty if nobody listens."""
    if _ear is None or not os.lseek(_ear, 0, os.SEEK_CUR):
        return ""
    text = os.pread(_ear, 4096, 0)
    os.ftruncate(_ear, 0)
    os.lseek(_ear, 0, os.SEEK_SET)
    return text.decode("ascii", "replace")
