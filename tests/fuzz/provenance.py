"""Fuzz target: bytes -> `provenance`, which is all Python but for the check of a C2PA manifest."""

from __future__ import annotations

import json

import atheris

with atheris.instrument_imports(
    include=[
        "scanner.provenance",
        "scanner.provenance.metadata",
        "scanner.provenance.exif",
        "scanner.imaging.inspection.exif",
        "scanner.provenance.heif",
        "scanner.provenance.xmp",
        "scanner.imaging.inspection.header",
    ]
):
    from scanner.imaging.inspection.header import DECODABLE, read_header
    from scanner.provenance import provenance

from tests.fuzz.target import fuzz, timed


@timed
def check(data: bytes) -> str:
    """What is wrong with the outcome; empty if nothing is."""
    for kind in {read_header(data).format, *(DECODABLE if len(data) < 4096 else ())}:
        said = provenance(data, kind)
        if said is not None and (len(said["marks"]) > 16 or len(json.dumps(said, allow_nan=False)) > 32_768):
            return f"long: {len(said['marks'])} marks"
        if said != provenance(data, kind):
            return "another provenance: the second time"
    return ""


if __name__ == "__main__":
    fuzz(check)
