"""Paths as rows show them -> URLs of the pictures, as a page sees them. Nothing that a browser would execute."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from scanner.files.url import is_url
from scanner.printable import on_disk

# What browsers show or download by the suffix alone. They look into files of other suffixes, and execute what they take
# for HTML or SVG; a picture can be that as well.
SUFFIXES = frozenset(".jpg .jpeg .jfif .png .apng .webp .gif .bmp .avif .tif .tiff".split())


class Links:
    """Links from a page to files, relative, so that the page and the pictures can move together.

    Args:
        page: where the page will lie.
    """

    def __init__(self, page: str) -> None:
        self._here = os.fsencode(os.path.dirname(os.path.abspath(page)))
        self._last: tuple[bytes, str] = (b"\0", "")

    def to(self, path: str) -> tuple[str, str]:
        """URLs of the folder, without a slash at its end, and of the name in it, percent-encoded.

        Both are empty for what a browser could not open, or should not.
        """
        if is_url(path) or os.path.splitext(path)[1].lower() not in SUFFIXES:
            return "", ""
        folder, name = os.path.split(on_disk(path))
        if folder != self._last[0]:
            self._last = folder, self._url(folder)
        return self._last[1], quote(name, safe="")

    def _url(self, folder: bytes) -> str:
        # To a browser `link/..` is the folder that holds the link, and not the one above what it leads to.
        absolute = (os.path.realpath if b".." in re.split(rb"[/\\]", folder) else os.path.abspath)(folder)
        try:
            relative = os.path.relpath(absolute, self._here)
        except ValueError:  # another drive
            return Path(os.fsdecode(absolute)).as_uri().rstrip("/")
        url = quote(relative.replace(os.sep.encode(), b"/"), safe="/")
        return url if url in (".", "..") or url.startswith("../") else f"./{url}"
