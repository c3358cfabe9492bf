"""Fuzz target: bytes -> `scanner.imaging.decode.decode`, and what must be true of whatever comes out.

OpenCV and the libraries in it are not instrumented: coverage guides through our own Python, and what reaches the
native decoders are mutations of real files. ``python -m tests.fuzz`` runs it again when one of them kills it.
"""

from __future__ import annotations

import time

import atheris
import numpy as np

with atheris.instrument_imports(
    include=[
        "scanner.imaging.decode",
        "scanner.imaging.inspection.header",
        "scanner.imaging.orientation",
        "scanner.imaging.inspection.exif",
        "scanner.imaging.inspection.heif",
        "scanner.imaging.colour.convert",
        "scanner.imaging.colour.declared_space",
        "scanner.imaging.colour.icc",
    ]
):
    from scanner.imaging.decode import Decoded, decode
    from scanner.imaging.inspection.header import Header, read_header

from tests.fuzz.target import WORST, fuzz, peak_memory, perturb

MAX_PIXELS = 4_000_000
# Above what the process holds anyway: a picture as OpenCV gives it, as 16 bits with alpha, and our RGB copy of it ...
BYTES_A_PIXEL = 16
# ... and whatever else a codec may want for a picture of 4 megapixels or less.
SLACK = 64 * 2**20

REASONS = {
    "empty",
    "not_an_image",
    "too_many_pixels",
    "unsupported_format",
    "too_many_scans",
    "unsupported_pixels",
    "truncated",
    "corrupt",
}


def check(data: bytes) -> str:
    """What is wrong with the outcome; empty if nothing is."""
    perturb(0)  # off: what is written to counts as memory
    before = peak_memory(reset=True)
    start = time.process_time()
    try:
        decoded = decode(data, MAX_PIXELS)
    except MemoryError:
        return ""
    except Exception as error:
        return f"raised: {error!r}"
    seconds, grown = time.process_time() - start, peak_memory() - before
    _cost(1000 * seconds, grown / 2**20)
    header = read_header(data)
    if complaint := _inconsistent(decoded, header):
        return complaint
    pixels = min(header.width * header.height, MAX_PIXELS)
    if grown > BYTES_A_PIXEL * pixels + SLACK:
        return f"memory: {grown / 2**20:.0f} MiB for {header.width} x {header.height}"
    if seconds > WORST:
        return f"slow: {seconds:.1f} s for {header.width} x {header.height}"
    perturb(0xAA)
    again = decode(data, MAX_PIXELS)
    if again.reason != decoded.reason or not np.array_equal(again.picture, decoded.picture):
        return "another picture: the second time"
    return ""


@atheris.instrument_func
def _cost(milliseconds: float, mebibytes: float) -> int:
    """Branches for coverage to see: what costs more than anything before it is worth going on with."""
    steps = 0
    if milliseconds > 10:
        steps += 1
    if milliseconds > 50:
        steps += 1
    if milliseconds > 200:
        steps += 1
    if milliseconds > 1000:
        steps += 1
    if mebibytes > 2:
        steps += 1
    if mebibytes > 8:
        steps += 1
    if mebibytes > 32:
        steps += 1
    return steps


def _inconsistent(decoded: Decoded, header: Header) -> str:
    picture = decoded.picture
    if decoded.format != header.format:
        return f"format: {decoded.format}, {header.format}"
    if (picture is None) != bool(decoded.reason):
        return f"picture and reason: {decoded.reason}"
    if picture is None:
        word = decoded.reason.partition(":")[0]
        return "" if word in REASONS else f"unknown reason: {decoded.reason}"
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.flags.c_contiguous:
        return f"layout: {picture.dtype} {picture.shape} {picture.strides}"
    height, width = picture.shape[:2]
    if not 0 < height * width <= MAX_PIXELS:
        return f"pixels: {width} x {height}"
    # libheif cuts a HEIC (`clap`) to less than its largest item.
    if header.format != "heic" and {height, width} != {header.height, header.width}:
        return f"size: {width} x {height}, announced {header.width} x {header.height}"
    return ""


if __name__ == "__main__":
    fuzz(check)
