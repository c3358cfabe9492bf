"""Fuzz target: bytes -> `read_header` and `orientation`. All of it is Python, so coverage guides all the way."""

from __future__ import annotations

import atheris

with atheris.instrument_imports(
    include=[
        "scanner.imaging.orientation",
        "scanner.imaging.inspection.header",
        "scanner.imaging.inspection.exif",
        "scanner.imaging.inspection.heif",
    ]
):
    from scanner.imaging.inspection.header import png_chunks, read_header
    from scanner.imaging.orientation import read_exif_orientation, read_orientation

from tests.fuzz.target import fuzz, timed


@timed
def check(data: bytes) -> str:
    """What is wrong with the outcome; empty if nothing is."""
    header = read_header(data)
    if header.width < 0 or header.height < 0:
        return f"size: {header.width} x {header.height}"
    if header.format == "png" and any(end <= at for _, at, end in png_chunks(data)):
        return "chunk: ends before it starts"
    if header != read_header(data):
        return "another header: the second time"
    for block in (data, b"II*\x00" + data[4:], b"MM\x00*" + data[4:]):
        if read_exif_orientation(block) not in range(1, 9):
            return f"orientation: {read_exif_orientation(block)}"
    if read_orientation(data, header.format) not in range(1, 9):
        return f"orientation: {read_orientation(data, header.format)}"
    return ""


if __name__ == "__main__":
    fuzz(check)
