"""Names everything that decides about a row besides the picture: settings, model, and versions of libraries."""

from __future__ import annotations

import hashlib
from importlib import metadata
from typing import Any

import cv2
import onnxruntime

from scanner import ROWS_VERSION, __version__
from scanner.detector.model import Detector
from scanner.engine.examine import wants_ela
from scanner.faces.yunet import MODEL as FACE_FINDER
from scanner.settings import Settings


def scope(detector: Detector, settings: Settings) -> dict[str, Any]:
    """Return everything besides a file's content that decides its row: the cache's key of a scan.

    Thresholds are left out: verdicts are drawn anew from p_fake. `max_bytes` is left out, since it decides before a
    content is known. The device is in: scores may differ in the last digit.
    """
    region = settings.region or detector.card.source
    return {
        "model": f"{detector.card.name} {detector.card.version}",
        "sha256": detector.sha256,
        "device": detector.device.used,
        "region": region,
        "faces": hashlib.sha256(FACE_FINDER.read_bytes()).hexdigest() if region == "face" else "",
        "min_face": settings.min_face,
        "frames": settings.frames,
        "max_pixels": settings.max_pixels,
        "ela": wants_ela(settings),
        "versions": versions(),
    }


def versions() -> list[Any]:
    """Versions of everything that can change a row. Part of the cache key, and compared between cluster nodes."""
    return [
        __version__,
        ROWS_VERSION,
        cv2.__version__,
        onnxruntime.__version__,
        _version("pillow"),
        _version("pillow-heif"),
        _version("c2pa-python"),
        _version("imagecodecs"),
        _version("tifffile"),
    ]


def _version(package: str) -> str:
    """Return the version of a package; empty if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
