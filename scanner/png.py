"""A picture that belongs to a row -> a PNG file."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import cv2

from scanner.decode import Picture
from scanner.errors import FacescanError
from scanner.result import Result, printable_path


def save_png(picture: Picture, folder: str, row: Result) -> str:
    """Save an RGB picture; its path, as outputs show it.

    The content's hash keeps names apart; the stem is there for people. Equal contents have equal pictures, and two
    processes may be at them at once.

    Raises:
        FacescanError: it cannot be written.
    """
    stem = re.sub(r"[^\w.-]", "_", os.path.basename(row.path)).encode()[:80].decode("utf-8", "ignore")
    file = Path(folder) / f"{stem}-{row.sha256[:16]}.png"
    partial = file.with_name(f".{row.sha256[:16]}-{os.getpid()}.partial")
    _, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    try:
        partial.write_bytes(png.tobytes())
        os.replace(partial, file)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise FacescanError(f"{file}: {error.strerror}") from error
    return printable_path(str(file))
