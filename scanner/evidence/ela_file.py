"""Maps of error levels as files, one for each content."""

from __future__ import annotations

import cv2

from scanner import ROWS_VERSION, __version__
from scanner.evidence.png import fingerprint, save_png, saved_png
from scanner.imaging.decode import Picture
from scanner.imaging.ela import QUALITY, ela_map
from scanner.result import Result

_KIND = "map"


def save_map(levels: Picture, folder: str, row: Result) -> str:
    """Save the map of a picture's error levels; its path, as outputs show it.

    Args:
        levels: of `scanner.imaging.ela.error_levels`.
        folder: to save it in.
        row: of the picture.

    Raises:
        FacescanError: it cannot be written.
    """
    return save_png(ela_map(levels), folder, row, _KIND, _made_of(row))


def saved_map(folder: str, row: Result) -> str | None:
    """Look whether an earlier scan saved this map: its path, or None."""
    return saved_png(folder, row, _KIND, _made_of(row))


def _made_of(row: Result) -> str:
    return fingerprint(row.sha256, QUALITY, __version__, ROWS_VERSION, cv2.__version__)
