"""Saves maps of error levels as files, one for each content."""

from __future__ import annotations

import cv2

from scanner import ROWS_VERSION, __version__
from scanner.evidence.png import fingerprint, save_png, saved_png
from scanner.imaging.decode import Picture
from scanner.imaging.ela import QUALITY, ela_map
from scanner.result import Result

_KIND = "map"


def save_map(levels: Picture, folder: str, row: Result) -> str:
    """Save the map of a picture's error levels.

    Args:
        levels: made by `scanner.imaging.ela.error_levels`.
        folder: to save the map in.
        row: of the picture.

    Returns:
        The file's path, as outputs show it.

    Raises:
        FacescanError: the map cannot be written.
    """
    return save_png(ela_map(levels), folder, row, _KIND, _made_of(row))


def saved_map(folder: str, row: Result) -> str | None:
    """Return the path of the map that an earlier scan saved of this content; None if there is none."""
    return saved_png(folder, row, _KIND, _made_of(row))


def _made_of(row: Result) -> str:
    return fingerprint(row.sha256, QUALITY, __version__, ROWS_VERSION, cv2.__version__)
