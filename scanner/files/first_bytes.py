"""Decides by the first bytes of a file whether it is a picture, whatever its name."""

from __future__ import annotations

import os
import re

from scanner.files.beneath import Place
from scanner.imaging.inspection.header import read_header

# Bytes to read: enough for all magic numbers, and for an SVG's first element after its declarations.
_HEAD_BYTES = 1024
# O_NONBLOCK: a FIFO may have taken the file's place, and must not block us.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# Formats whose magic numbers also begin texts and tables of numbers -> what must follow.
_FULL_SIGNATURES = {
    "pnm": re.compile(rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s+(?:#[^\n]*\n\s*)*\d+\s"),  # width and height
    "ico": re.compile(
        rb"\x00\x00\x01\x00[^\x00]\x00.{3}\x00[\x00\x01]\x00", re.DOTALL
    ),  # number of images; zeros and color planes of the first one
}


def looks_like_a_picture(place: Place) -> bool:
    """Return whether a file begins as a picture does, in a format that facescan decodes or knows by name.

    Raises:
        LinkError: it is a symbolic link that must not be followed.
        OSError, ValueError: it cannot be opened or read.
    """
    descriptor = place.open(_FLAGS)
    try:
        return is_picture(os.read(descriptor, _HEAD_BYTES))
    finally:
        os.close(descriptor)


def is_picture(head: bytes) -> bool:
    """Return whether these first bytes of a file are a picture's."""
    name = read_header(head).format
    return bool(name) and (name not in _FULL_SIGNATURES or _FULL_SIGNATURES[name].match(head) is not None)
