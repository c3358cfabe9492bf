"""Names the ONNX files that come with the package. Imports nothing heavy, so that shell completion can list them."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).parents[1] / "models"
DEFAULT_MODEL = "default"
# Names that models had before -> their names now. Scripts that use the old names go on working.
RENAMED = {"default-int8": "fast-int8"}
FACE_FINDER = "yunet"  # in the same folder as the detectors, but not a detector


def bundled_models() -> list[str]:
    """Return the names of the detectors that come with the package, the default one first."""
    names = (file.stem for file in BUNDLED.glob("*.onnx") if file.stem != FACE_FINDER)
    return sorted(names, key=lambda name: (name != DEFAULT_MODEL, name))
