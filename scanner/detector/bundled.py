"""The ONNX files that come with the package, by name. Imports nothing heavy: shell completion lists them."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).parents[1] / "models"
DEFAULT_MODEL = "default"
FACE_FINDER = "yunet"  # lies beside the detectors, and is none


def bundled_models() -> list[str]:
    """Names of the detectors that come with the package, the one that is used by itself first."""
    names = (file.stem for file in BUNDLED.glob("*.onnx") if file.stem != FACE_FINDER)
    return sorted(names, key=lambda name: (name != DEFAULT_MODEL, name))
