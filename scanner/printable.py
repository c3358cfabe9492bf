"""Makes paths and messages safe to print, and finds the file that a printed path names."""

from __future__ import annotations

import os
import re

_BYTE = re.compile(rb"\\x([89a-f][0-9a-f])")  # written by `printable_path`, or part of a file's real name


def printable_path(path: str) -> str:
    r"""Return the path as outputs show it: bytes of the name that are not UTF-8 become ``\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def on_disk(path: str) -> bytes:
    r"""Return the file name whose printed form is `path`: ``\xff`` is one byte, unless a file has these four
    characters.
    """
    shown = path.encode("utf-8", "surrogatepass")
    if _BYTE.search(shown) and not os.path.lexists(path):
        return _BYTE.sub(lambda found: bytes.fromhex(found[1].decode()), shown)
    return os.fsencode(path)


def on_one_line(text: str) -> str:
    """Escape control, escape, bidirectional and other characters that a terminal would not show as themselves."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(c: str) -> str:
    """Return the escape sequence of a character."""
    if "\udc80" <= c <= "\udcff":  # a byte of a name that is not UTF-8, as rows show it
        return f"\\x{ord(c) - 0xDC00:02x}"
    return c.encode("unicode_escape").decode("ascii")
