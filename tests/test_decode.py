"""Bytes -> upright RGB picture, or the reason why not; Pillow is the reference."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from scanner.imaging.decode import decode
from scanner.imaging.inspection.header import read_header
from tests.costly_files import (
    avif_that_lies,
    gif_of_clear_codes,
    jpeg_of_many_pixels_and_scans,
    png_of_more_than_pixels,
    tiff_of_one_tile,
)
from tests.pictures import (
    HEIGHT,
    PNG_END,
    WIDTH,
    difference,
    encode,
    jpeg_of_scans,
    noise,
    one_picture,
    oriented,
    pictures,
    png_16_bit,
    png_chunk,
    png_that_announces,
    reference,
    rgba,
    scene,
    tiff_of,
)
from tests.test_header import NAMED, UNKNOWN

# Two codecs may round differently, and CMYK has more than one way to RGB. In grey levels, on average.
TOLERANCE = 1.5


def assert_picture_or_reason(decoded, max_pixels):
    assert (decoded.picture is None) == bool(decoded.reason)
    if decoded.picture is not None:
        height, width, channels = decoded.picture.shape
        assert decoded.picture.dtype == np.uint8
        assert channels == 3
        assert 0 < height * width <= max_pixels


@pytest.mark.parametrize("name", pictures())
def test_every_layout_decodes_as_pillow_has_it(name):
    data = pictures()[name]
    decoded = decode(data)
    assert decoded.reason == ""
    assert decoded.format == name.split()[0]
    assert decoded.picture.dtype == np.uint8
    assert decoded.picture.flags.c_contiguous
    assert difference(decoded.picture, reference(data)) < TOLERANCE


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "AVIF"])
def test_pictures_are_turned_upright(kind, orientation):
    data = oriented(kind, orientation)
    assert difference(decode(data).picture, reference(data)) < TOLERANCE


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_16_bit_tiff_is_not_applied_twice(orientation):
    """OpenCV reads deep TIFFs another way than 8-bit ones."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(scene()[..., 0].astype(np.uint16) * 257, "TIFF", exif=exif)
    assert difference(decode(data).picture, reference(data)) < TOLERANCE


@pytest.mark.parametrize(
    "name", ["png alpha", "png 16 bit alpha", "webp lossless alpha", "tiff alpha", "avif alpha", "avif 10 bit alpha"]
)
def test_what_is_transparent_shows_white(name):
    picture = decode(pictures()[name]).picture
    assert picture[:, 0].min() >= 250, "alpha is 0 in the first column"
    assert np.abs(picture[:, -1].astype(int) - scene()[:, -1]).mean() < 4, "and 255 in the last"


def test_hidden_colours_stay_hidden():
    hidden = np.dstack([noise(WIDTH, HEIGHT), np.zeros((HEIGHT, WIDTH), np.uint8)])
    for data in (encode(hidden, "PNG"), encode(hidden, "WEBP", lossless=True, exact=True), png_16_bit(hidden)):
        assert decode(data).picture.min() == 255


def share_of(reason):
    """What is missing, of a reason that says so."""
    kind, _, share = reason.partition(":")
    assert kind == "truncated"
    return float(share or "nan")


@pytest.mark.parametrize("name", one_picture())
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
def test_a_cut_file_is_truncated_unless_all_pixels_are_there(name, part):
    data = pictures()[name]
    decoded = decode(data[: int(len(data) * part)])
    if decoded.picture is not None:
        assert decoded.damage
        assert difference(decoded.picture, reference(data)) < TOLERANCE
    # Run-length rows do not say how long they are, a JPEG in a TIFF may end in the middle of its tables.
    elif name not in ("bmp run length", "tiff jpeg"):
        assert decoded.reason.startswith("truncated")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_a_download_that_was_never_finished_is_truncated(kind):
    """Its size is right already; the rest is zeros."""
    data = encode(noise(120, 90), kind)
    decoded = decode(data[: len(data) // 2] + bytes(len(data) // 2))
    assert decoded.picture is None
    assert share_of(decoded.reason) == pytest.approx(0.5, abs=0.1)


def test_the_first_page_counts_even_if_the_second_is_cut():
    data = pictures()["tiff pages"]
    assert difference(decode(data[: int(len(data) * 0.9)]).picture, scene()) < TOLERANCE


def test_without_bytes_it_is_empty():
    assert decode(b"").reason == "empty"


@pytest.mark.parametrize("name", sorted(UNKNOWN.keys() - {"nothing"}))
def test_what_is_no_picture_is_said_to_be_none(name):
    decoded = decode(UNKNOWN[name])
    assert (decoded.format, decoded.reason) == ("", "not_an_image")


@pytest.mark.parametrize("name", [name for name in NAMED if not name.startswith("heic")])
def test_unsupported_formats_are_named(name):
    form = name.split()[0]
    decoded = decode(NAMED[name])
    assert (decoded.format, decoded.reason) == (form, f"unsupported_format:{form}")


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (png_that_announces(30_000, 30_000), 900_000_000),
        (png_that_announces(2**31 - 1, 2**31 - 1), (2**31 - 1) ** 2),
        (b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\x00\x00\x00;", 65_535**2),
        (b"BM" + struct.pack("<IHHIIiiHHI", 0, 0, 0, 54, 40, 40_000, -40_000, 1, 24, 0) + bytes(20), 1_600_000_000),
        (b"RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00" + bytes(4) + b"\xff" * 6 + bytes(8), 2**48),
    ],
    ids=["png", "png, the largest", "gif", "bmp from the top", "webp"],
)
def test_what_announces_too_many_pixels_is_refused_undecoded(data, pixels):
    assert decode(data).reason == f"too_many_pixels:{pixels}"


@pytest.mark.parametrize("name", pictures())
def test_the_limit_of_pixels_is_exact(name):
    assert decode(pictures()[name], max_pixels=WIDTH * HEIGHT).reason == ""
    assert decode(pictures()[name], max_pixels=WIDTH * HEIGHT - 1).reason == f"too_many_pixels:{WIDTH * HEIGHT}"


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (png_that_announces(4, 4), "png"),
        (png_that_announces(0, 4), "png"),
        (b"\x89PNG\r\n\x1a\n" + PNG_END * 3, "png"),
        (b"GIF89a" + struct.pack("<HH", 4, 4) + b"\x00\x00\x00;", "gif"),
        (b"\xff\xd8\xff\xd9", "jpeg"),
    ],
    ids=["no pixels", "no width", "no header", "no frame", "no segment"],
)
def test_a_whole_container_without_a_picture_is_corrupt(data, form):
    decoded = decode(data)
    assert (decoded.format, decoded.reason) == (form, "corrupt")


@pytest.mark.parametrize("name", one_picture())
def test_damage_in_the_middle_is_a_picture_or_corrupt(name):
    for seed in range(20):
        random = np.random.default_rng(seed)
        data = bytearray(pictures()[name])
        for at in random.integers(len(data) // 4, len(data), 3):
            data[at] ^= int(random.integers(1, 256))
        assert_picture_or_reason(decode(bytes(data), max_pixels=10**6), 10**6)


@pytest.mark.parametrize("name", [name for name in one_picture() if name.startswith("png")])
def test_a_png_with_a_wrong_checksum_is_corrupt(name):
    data = bytearray(pictures()[name])
    data[data.index(b"IDAT") + 10] ^= 0x55
    assert decode(bytes(data)).reason == "corrupt"


SOUND, NOISE = bytes((3 * WIDTH + 1) * HEIGHT), noise(200, 200).tobytes()


@pytest.mark.parametrize("pixels", [b"", zlib.compress(b""), b"garbage!"], ids=["none", "too few", "not packed"])
@pytest.mark.parametrize("second", [SOUND, NOISE], ids=["sound", "noise"])
def test_a_broken_animation_is_corrupt_and_not_the_end_of_the_process(pixels, second):
    """Of animated PNGs, OpenCV 5.0 shows another frame for the first, and dies of a segmentation fault on the noise."""
    frame = struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    chunks = [
        png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)),
        png_chunk(b"acTL", struct.pack(">II", 2, 0)),
        png_chunk(b"IDAT", pixels),
        png_chunk(b"fcTL", frame),
        png_chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress(second)),
    ]
    assert decode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + PNG_END).reason == "corrupt"


@pytest.mark.parametrize("side", [1, 2, 7, 8, 9])
def test_tiny_pictures_decode(side):
    for width, height in ((1, side), (side, 1), (side, side)):
        for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
            data = encode(scene(width, height), kind)
            assert difference(decode(data).picture, reference(data)) < TOLERANCE, (kind, width, height)


@pytest.mark.parametrize("name", ["avif", "avif grey", "avif alpha"])
def test_an_avif_that_claims_more_bits_than_it_has_shows_nothing_from_memory(name):
    """OpenCV 5.0 leaves half of such a picture as it finds it."""
    data = bytearray(pictures()[name])
    for box in (b"av1C", b"pixi"):
        at = -1
        while (at := data.find(box, at + 1)) >= 0:
            if box == b"av1C":
                data[at + 6] |= 0x40  # high_bitdepth
            else:
                data[at + 9 : at + 9 + data[at + 8]] = bytes([10]) * data[at + 8]
    decoded = decode(bytes(data))
    if decoded.picture is None:
        assert decoded.reason == "corrupt"
    else:
        assert difference(decoded.picture, reference(pictures()[name])) < TOLERANCE


@pytest.mark.parametrize("kind", ["float32", "int32"])
def test_deep_pixels_are_named(kind):
    data = encode(Image.fromarray(scene()[..., 0].astype(kind)), "TIFF")
    assert decode(data).reason == f"unsupported_pixels:{kind}"


TILED = {256: 60, 257: 44, 258: 8, 259: 1, 262: 2, 277: 3, 322: 64, 323: 48, 324: 8, 325: 64 * 48 * 3}


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({}, ""),
        ({322: 2**16, 323: 2**16}, f"too_many_pixels:{2**32}"),
        ({258: 64, 277: 4, 322: 2**24, 323: 8, 339: 1}, "unsupported_pixels:uint64"),
        ({259: 34_676, 262: 32_845, 258: 16}, "unsupported_pixels:float32"),
        ({258: 16, 284: 2}, "unsupported_pixels:uint16_planes"),
        ({258: 12, 284: 2, 339: 2}, "unsupported_pixels:int12_planes"),
        ({258: 16, 277: 0}, "corrupt"),
    ],
    ids=[
        "sound",
        "a large tile",
        "deep, and OpenCV 5.0 dies of it",
        "LogLuv",
        "planes",
        "signed planes",
        "no channels",
    ],
)
def test_tiffs_that_opencv_reads_wrong_never_reach_it(tags, reason):
    """Of deep planes and of unnamed channels, it would show what the memory held before."""
    tags = {tag: number for tag, number in (TILED | tags).items() if number}
    assert decode(tiff_of(tags, bytes(64 * 48 * 8))).reason == reason


def test_a_tiff_cannot_hide_its_bits_behind_others():
    """Libtiff looks at one for each channel, and not at what follows."""
    bits = struct.pack("<5H", 64, 64, 64, 64, 8)
    data = tiff_of(TILED | {258: 8, 277: 4, 322: 2**24, 323: 8, 339: 1}, bits + bytes(64 * 48 * 8))
    data = data.replace(struct.pack("<HHII", 258, 4, 1, 8), struct.pack("<HHII", 258, 3, 5, 8))
    assert decode(data).reason == "unsupported_pixels:uint64"


def test_a_png_cannot_hide_its_size_behind_an_animation():
    """Which is taken out before it is decoded: the numbers in it must not pass for the picture's."""
    png = pictures()["png"]
    data = png[:8] + png_chunk(b"acTL", struct.pack(">II", 1, 1)) + png[8:]
    assert decode(data, max_pixels=WIDTH * HEIGHT - 1).reason == "corrupt"


# Prints the most memory that decoding a file took, in KB, and why there is no picture.
PEAK = """
import sys
from pathlib import Path
from scanner.imaging.decode import decode
reason = decode(Path(sys.argv[1]).read_bytes()).reason
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], reason)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the peak of memory")
def test_a_png_gets_no_memory_for_what_it_announces_behind_its_end(tmp_path):
    """Of one that shows nothing before its end, OpenCV 5.0 reads on, and makes room for 1.6 GB here."""
    announced = struct.pack(">I4s", 0x6000FFFF, b"IDAT") + bytes(40)
    (tmp_path / "a.png").write_bytes(pictures()["png"][:33] + PNG_END + announced)
    call = [sys.executable, "-c", PEAK, str(tmp_path / "a.png")]
    peak, reason = subprocess.run(call, capture_output=True, text=True, check=True).stdout.split()
    assert (reason, int(peak) < 500_000) == ("corrupt", True)


def test_a_jpeg_of_too_many_scans_is_refused():
    assert decode(jpeg_of_scans(400)).reason == ""
    assert decode(jpeg_of_scans(600)).reason == "too_many_scans:over_500"


def test_a_broken_orientation_leaves_the_picture_as_it_is():
    png = encode(scene(), "PNG")
    at = png.index(b"IDAT") - 4
    data = png[:at] + png_chunk(b"eXIf", b"II*\x00\xff\xff\xff\xff") + png[at:]
    assert difference(decode(data).picture, scene()) == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gif_of_clear_codes(2000), "corrupt"),
        (png_of_more_than_pixels(10**6), ""),
        (avif_that_lies(256), ""),
        (tiff_of_one_tile(512), ""),
        (jpeg_of_many_pixels_and_scans(64, 400), ""),
    ],
    ids=["gif", "png", "avif", "tiff", "jpeg"],
)
def test_what_costs_much_is_told_like_the_rest(data, reason):
    """Small here; how large it may be, only a limit of time and memory can say."""
    assert decode(data).reason == reason


@given(st.binary(max_size=400))
def test_any_bytes_are_a_picture_or_a_reason(data):
    assert_picture_or_reason(decode(data, max_pixels=10**6), 10**6)


damages = st.lists(
    st.tuples(
        st.sampled_from(["flip", "put", "drop", "double", "zero", "splice", "cut"]),
        st.integers(0, 2**16),  # where
        st.integers(1, 40),  # bytes
        st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=5,
)


def damaged(data, other, damage):
    """Flip, put, drop, double or zero some bytes; go on with those of another picture; cut off the rest."""
    for how, where, length, put in damage:
        at = where % (len(data) + 1)
        rest = data[at + length :]
        if how == "flip":
            data = data[:at] + bytes(byte ^ put[0] for byte in data[at : at + 1]) + data[at + 1 :]
        elif how == "put":
            data = data[:at] + put + data[at + len(put) :]
        elif how == "drop":
            data = data[:at] + rest
        elif how == "double":
            data = data[: at + length] + data[at:]
        elif how == "zero":
            data = data[:at] + bytes(length) + rest
        elif how == "splice":
            data = data[:at] + other[where % len(other) :]
        else:
            data = data[:at]
    return data


@given(
    name=st.sampled_from(sorted(pictures())),
    other=st.sampled_from(sorted(pictures())),
    damage=damages,
)
@example(name="png", other="png", damage=[("put", 16, 4, b"\x7f\xff\xff\xff")])
@settings(max_examples=300, deadline=None)
def test_any_damage_to_a_picture_leaves_a_picture_or_a_reason(name, other, damage):
    data = damaged(pictures()[name], pictures()[other], damage)
    decoded = decode(data, max_pixels=10**6)
    assert_picture_or_reason(decoded, 10**6)
    assert decoded.format == read_header(data).format


@given(width=st.integers(1, 2**20), height=st.integers(1, 2**20), packed=st.binary(max_size=50))
def test_no_size_that_a_png_claims_is_believed_before_its_pixels(width, height, packed):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(packed))
    assert_picture_or_reason(decode(b"\x89PNG\r\n\x1a\n" + body + PNG_END, max_pixels=10**6), 10**6)


@cache
def heic():
    return encode(scene(), "HEIF")


class TestHeic:
    """Through pillow-heif, if it is there."""

    @pytest.fixture(autouse=True)
    def _opener(self):
        pytest.importorskip(
            "pillow_heif", reason="HEIC needs pillow-heif: pip install pillow-heif"
        ).register_heif_opener()

    @pytest.mark.parametrize("pixels", [scene(64, 64), scene(96, 64)], ids=["square", "wide"])
    def test_decodes(self, pixels):
        data = encode(pixels, "HEIF")
        decoded = decode(data)
        assert (decoded.format, decoded.reason) == ("heic", "")
        assert difference(decoded.picture, reference(data)) < TOLERANCE

    def test_alpha_is_laid_on_white(self):
        data = encode(rgba(), "HEIF")
        assert difference(decode(data).picture, reference(data)) < TOLERANCE

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_is_turned_upright(self, orientation):
        data = oriented("HEIF", orientation)
        assert difference(decode(data).picture, reference(data)) < TOLERANCE

    @pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
    def test_a_cut_file_is_truncated(self, part):
        data = encode(scene(), "HEIF")
        assert share_of(decode(data[: int(len(data) * part)]).reason) > 0

    def test_the_limit_of_pixels_holds(self):
        assert decode(encode(scene(64, 64), "HEIF"), max_pixels=4095).reason == "too_many_pixels:4096"

    @given(damage=damages)
    @settings(deadline=None)
    def test_any_damage_leaves_a_picture_or_a_reason(self, damage):
        data = damaged(heic(), pictures()["avif"], damage)
        assert_picture_or_reason(decode(data, max_pixels=10**6), 10**6)


def test_heic_without_its_library_is_unsupported(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert decode(NAMED["heic"]).reason == "unsupported_format:heic"


def test_pillow_itself_tells_the_pictures_apart():
    """The reference must notice what we test for."""
    stream = io.BytesIO(oriented("PNG", 3))
    assert difference(np.asarray(Image.open(stream)), reference(oriented("PNG", 3))) > 20
