"""Decoding takes no more memory than estimated, and small files cannot cost much."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from scanner.imaging.decode import OverBudgetError, decode
from scanner.imaging.inspection import decoding_memory
from scanner.imaging.inspection.header import read_header
from tests.costly_files import avif_that_lies, gif_of_clear_codes
from tests.pictures import (
    PNG_END,
    avif_deep,
    encode,
    jpeg_of_scans,
    noise,
    pictures,
    png_16_bit,
    png_chunk,
    scene,
    tiff_of,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the peak of memory, and limits it")
SIDE = 1200
COLOUR = Image.fromarray(scene(SIDE, SIDE))
ALPHA = np.dstack([scene(SIDE, SIDE), np.tile(np.linspace(0, 255, SIDE).astype(np.uint8), (SIDE, 1))])
# 1.4 megapixels in the layouts that take different amounts of memory.
LARGE: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encode(COLOUR, "JPEG"),
    "jpeg progressive": lambda: encode(COLOUR, "JPEG", progressive=True),
    "jpeg progressive 4:4:4": lambda: encode(COLOUR, "JPEG", progressive=True, subsampling=0),
    "jpeg progressive cmyk": lambda: encode(COLOUR.convert("CMYK"), "JPEG", progressive=True),
    "jpeg without its end": lambda: encode(COLOUR, "JPEG", progressive=True)[:-2],
    "png": lambda: encode(COLOUR, "PNG", compress_level=1),
    "png grey": lambda: encode(COLOUR.convert("L"), "PNG", compress_level=1),
    "png alpha": lambda: encode(Image.fromarray(ALPHA), "PNG", compress_level=1),
    "png 16 bit": lambda: png_16_bit(ALPHA[..., :3]),
    "png 16 bit alpha": lambda: png_16_bit(ALPHA),
    "webp": lambda: encode(COLOUR, "WEBP", method=0),
    "webp alpha": lambda: encode(Image.fromarray(ALPHA), "WEBP", method=0),
    "webp lossless": lambda: encode(COLOUR, "WEBP", lossless=True, method=0, quality=0),
    "gif": lambda: encode(COLOUR, "GIF"),
    "bmp": lambda: encode(COLOUR, "BMP"),
    "tiff": lambda: encode(COLOUR, "TIFF"),
    "tiff lzw": lambda: encode(COLOUR, "TIFF", compression="tiff_lzw"),
    "tiff alpha": lambda: encode(Image.fromarray(ALPHA), "TIFF", compression="tiff_lzw"),
    "tiff 16 bit": lambda: encode(np.asarray(COLOUR.convert("L")).astype(np.uint16) * 257, "TIFF"),
    "avif": lambda: encode(COLOUR, "AVIF", speed=10),
    "avif alpha": lambda: encode(Image.fromarray(ALPHA), "AVIF", speed=10),
    "avif 10 bit": lambda: avif_deep(ALPHA[..., :3], 10),
}


# Prints, for each file, the bytes that decoding it took at the peak, and those that were estimated.
PEAKS = """
import json, sys
from pathlib import Path
from scanner.imaging.inspection.decoding_memory import estimate_bytes, count_decoded_pixels
from scanner.imaging.decode import decode
from scanner.imaging.inspection.header import read_header

def status(what):
    return int(Path("/proc/self/status").read_text().partition(what + ":")[2].split()[0]) * 1024

decode(Path(sys.argv[1]).read_bytes())
for file in sys.argv[1:]:
    data = Path(file).read_bytes()
    header = read_header(data)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    assert decode(data).picture is not None, file
    estimate = estimate_bytes(data, header, count_decoded_pixels(data, header))
    print(json.dumps([file, status("VmHWM") - before, estimate]))
"""


@pytest.mark.slow
@linux
def test_decoding_takes_no_more_than_estimated(tmp_path):
    files = []
    for name, data in LARGE.items():
        files.append(tmp_path / name)
        files[-1].write_bytes(data())
    call = [sys.executable, "-c", PEAKS, *files]
    lines = subprocess.run(call, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(files)
    for file, peak, estimate in map(json.loads, lines):
        assert peak <= 1.25 * estimate + 2**22, file
        assert estimate <= 60 * SIDE**2, file


# Prints what comes of a file if there is little memory.
SHORT = """
import resource, sys
from pathlib import Path
from scanner.imaging.decode import decode
data = Path(sys.argv[1]).read_bytes()
decode(Path(sys.argv[2]).read_bytes())  # what is loaded once
held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_DATA, (held + int(sys.argv[3]),) * 2)
try:
    print(decode(data).reason or "decoded")
except MemoryError:
    print("out of memory")
"""


@pytest.mark.slow
@linux
@pytest.mark.parametrize("name", ["jpeg", "jpeg progressive", "png", "webp", "gif", "tiff lzw", "avif"])
@pytest.mark.parametrize("megabytes", [2, 7])
def test_lack_of_memory_is_never_taken_for_damage(tmp_path, name, megabytes):
    """Decoders of GIF, AVIF and others only say that they failed."""
    file, small = tmp_path / "large", tmp_path / "small"
    file.write_bytes(LARGE[name]())
    small.write_bytes(pictures()[name.split()[0]])
    call = [sys.executable, "-c", SHORT, file, small, str(megabytes * 10**6)]
    assert subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip() == "out of memory"


def text_bomb(kind: bytes, chunks: int, behind: bool) -> bytes:
    """Make a PNG of 60 x 44 pixels with texts of 7.7 KB that unpack to 7.9 MB, as much as libpng keeps of each."""
    packed = zlib.compress(b"A" * 7_900_000, 9)
    heads = {b"zTXt": b"k%d\0\0", b"iTXt": b"k%d\0\1\0\0\0", b"iCCP": b"k%d\0\0"}
    texts = b"".join(png_chunk(kind, heads[kind] % i + packed) for i in range(chunks))
    png = encode(scene(), "PNG")
    at = png.index(b"IEND") - 4 if behind else 33
    return png[:at] + texts + png[at:]


PEAK = """
import sys
from pathlib import Path
from scanner.imaging.decode import decode
reason = decode(Path(sys.argv[1]).read_bytes()).reason
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], reason)
"""


@pytest.mark.slow
@linux
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
@pytest.mark.parametrize("behind", [False, True])
def test_texts_of_a_png_cost_no_memory(tmp_path, kind, behind):
    (tmp_path / "a.png").write_bytes(text_bomb(kind, 60, behind))
    call = [sys.executable, "-c", PEAK, tmp_path / "a.png"]
    peak = subprocess.run(call, capture_output=True, text=True, check=True).stdout.split()
    assert len(peak) == 1, "no reason"
    assert int(peak[0]) < 300_000


def jpeg_of_little(side: int) -> bytes:
    """Make a progressive JPEG of `side` x `side` pixels with almost no data and 480 scans."""
    data = jpeg_of_scans(470)
    at = data.index(b"\xff\xc2") + 5
    return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]


def webp_of(width: int, height: int) -> bytes:
    """Make a white WebP."""
    return encode(Image.new("RGB", (width, height), "white"), "WEBP", lossless=True, method=0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (webp_of(8000, 8000), "implausible_size:64000000_pixels_in_"),
        (gif_of_clear_codes(20_000), "implausible_size:2640_pixels_in_20079_bytes"),
        (jpeg_of_little(14_000), "too_many_scans:480"),
    ],
    ids=["white", "clear codes", "many passes over nothing"],
)
def test_small_files_that_would_cost_much_are_not_decoded(data, reason):
    assert decode(data).reason.startswith(reason)


def test_a_tiff_of_191_bytes_has_no_196_megapixels():
    tags = {256: 14_000, 257: 14_000, 258: 8, 259: 1, 262: 8, 277: 3, 278: 1, 273: 8, 279: 42_000}
    assert decode(tiff_of(tags)).reason.startswith("implausible_size:196000000_pixels_in_")


def test_many_scans_of_many_pixels_are_too_many():
    data = jpeg_of_scans(470)
    at = data.index(b"\xff\xc2") + 5
    huge = data[:at] + struct.pack(">HH", 12_000, 12_000) + data[at + 4 :]
    assert read_header(huge).refusal == "too_many_scans:480"
    assert read_header(data).refusal == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        encode(Image.new("RGB", (4000, 3000), "white"), "PNG"),
        encode(Image.new("1", (4000, 3000)), "PNG"),
        encode(Image.new("1", (4000, 3000)), "TIFF", compression="group4"),
        encode(Image.new("L", (4000, 3000), 255), "JPEG", optimize=True),
        encode(Image.new("L", (4000, 3000), 255), "JPEG", progressive=True),
        encode(Image.new("RGB", (4000, 3000), "white"), "GIF"),
        encode(Image.new("RGB", (4000, 3000), "white"), "TIFF", compression="tiff_lzw"),
        encode(Image.new("RGB", (4000, 3000), "white"), "TIFF", compression="packbits"),
        webp_of(4000, 3000),
        encode(Image.new("RGB", (4000, 3000), "white"), "AVIF", speed=10),
        encode(Image.fromarray(noise(300, 200)), "GIF"),
        encode(Image.fromarray(noise(300, 200)), "PNG", compress_level=0),
    ],
    ids=lambda data: read_header(data).format,
)
def test_plain_and_noisy_pictures_are_plausible(data):
    decoded = decode(data)
    assert (decoded.reason, decoded.damage) == ("", "")


def test_what_is_coded_in_an_avif_counts_and_not_what_its_container_says():
    assert decode(avif_that_lies(1200), max_pixels=10**6).reason == "too_many_pixels:1440000"
    with pytest.raises(OverBudgetError) as error:
        decode(avif_that_lies(1200), pixel_budget=10**6)
    assert error.value.pixels > 10**6


def test_what_the_track_of_an_avif_is_scaled_to_counts():
    data = bytearray(pictures()["avif animated"])
    at = data.index(b"tkhd") - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    struct.pack_into(">II", data, end - 8, 9000 << 16, 9000 << 16)
    assert decode(bytes(data), max_pixels=10**6).reason == "too_many_pixels:81000000"


@pytest.mark.parametrize(("name", "times"), [("jpeg", 1), ("png", 1), ("png 16 bit alpha", 2.5), ("avif", 3)])
def test_the_budget_counts_plain_pixels(name, times):
    data = pictures()[name]
    header = read_header(data)
    pixels = header.width * header.height
    assert decoding_memory.as_plain_pixels(decoding_memory.estimate_bytes(data, header, pixels)) == pytest.approx(
        times * pixels, rel=0.1
    )


def test_surplus_rows_are_refused_where_there_are_many():
    rows = zlib.compress(noise(300, 300).tobytes(), 0)
    png = encode(scene(), "PNG")
    data = png[: png.index(b"IDAT") - 4] + png_chunk(b"IDAT", rows) + PNG_END
    assert decode(data).reason.startswith("implausible_size:2640_pixels_in_")
