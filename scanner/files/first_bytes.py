"""The first bytes of a file -> whether it is a picture, whatever its name."""

from __future__ import annotations

import os
import re

from scanner.files.beneath import Place
from scanner.imaging.inspection.header import read_header

# Bytes that are read: all magic numbers, and an SVG's first element behind its declarations.
_HEAD = 1024
# A FIFO that has taken the file's place must not block us.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# Magic numbers that texts and tables of numbers begin with, too: what has to follow them.
_REST = {
    "pnm": re.compile(rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s+(?:#[^\n]*\n\s*)*\d+\s"),  # width and height
    "ico": re.compile(
        rb"\x00\x00\x01\x00[^\x00]\x00.{3}\x00[\x00\x01]\x00", re.DOTALL
    ),  # a count; of the first entry, zeros and planes
}


def looks_like_a_picture(place: Place) -> bool:
    """Whether a file's first bytes are those of a picture, of a format that facescan decodes or knows by name.

    Raises:
        LinkError: it is a symbolic link by now, and must not be.
        OSError, ValueError: it cannot be opened or read.
    """
    descriptor = place.open(_FLAGS)
    try:
        return is_picture(os.read(descriptor, _HEAD))
    finally:
        os.close(descriptor)


def is_picture(head: bytes) -> bool:
    """Whether these are the first bytes of a picture."""
    name = read_header(head).format
    return bool(name) and (name not in _REST or _REST[name].match(head) is not None)
