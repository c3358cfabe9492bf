"""Converts paths, as rows show them, to URLs that a page may link to: only files that a browser does not execute."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from scanner.files.url import is_url
from scanner.printable import on_disk

# Suffixes for which browsers ignore the content. They inspect files with other suffixes, and execute what looks like
# HTML or SVG; a file can be a picture and HTML at once.
SUFFIXES = frozenset(".jpg .jpeg .jfif .png .apng .webp .gif .bmp .avif .tif .tiff".split())


class Links:
    """Makes links from a page to files: relative ones, so that the page and the pictures can be moved together.

    Args:
        page: path of the page.
    """

    def __init__(self, page: str) -> None:
        self._here = os.fsencode(os.path.dirname(os.path.abspath(page)))
        self._last: tuple[bytes, str] = (b"\0", "")

    def to(self, path: str) -> tuple[str, str]:
        """Return the percent-encoded URL of a file in two parts: its folder, without a trailing slash, and its name.

        Both are empty for files that a browser cannot open, or should not.
        """
        if is_url(path) or os.path.splitext(path)[1].lower() not in SUFFIXES:
            return "", ""
        folder, name = os.path.split(on_disk(path))
        if folder != self._last[0]:
            self._last = folder, self._url(folder)
        return self._last[1], quote(name, safe="")

    def _url(self, folder: bytes) -> str:
        # For a browser, `link/..` is the folder that contains the link; for the system, the one above its target.
        absolute = (os.path.realpath if b".." in re.split(rb"[/\\]", folder) else os.path.abspath)(folder)
        try:
            relative = os.path.relpath(absolute, self._here)
        except ValueError:  # another drive
            return Path(os.fsdecode(absolute)).as_uri().rstrip("/")
        url = quote(relative.replace(os.sep.encode(), b"/"), safe="/")
        return url if url in (".", "..") or url.startswith("../") else f"./{url}"
