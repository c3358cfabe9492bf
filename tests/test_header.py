"""Format, size and completeness are read from a file before any decoder runs."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.imaging.inspection.header import DECODABLE, Header, read_header
from tests.pictures import (
    HEIGHT,
    WIDTH,
    encode,
    jpeg_of_scans,
    one_picture,
    oriented,
    pictures,
    png_chunk,
    png_that_announces,
    scene,
    tiff_of,
)

UNKNOWN = {
    "nothing": b"",
    "one byte": b"\xff",
    "text": b"name,age\nAda,36\n",
    "spaces": b" " * 2000,
    "zeros": bytes(2000),
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "zip": b"PK\x03\x04" + bytes(60),
    "html": b"<!doctype html><html><body></body></html>",
    "xml without a picture": b'<?xml version="1.0"?><note/>',
    "mp4": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    "wave sound": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "text that begins as a bitmap": b"BMW sells cars, and not only in Munich",
    "text that begins as a pixmap": b"P4nda",
}

# Formats we name, so that a row can say which one is not supported.
NAMED = {
    "svg": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    "svg bare": b"\xef\xbb\xbf\n <svg></svg>",
    "heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
    "heic by a compatible brand": b"\x00\x00\x00\x18ftypmsf1\x00\x00\x00\x00mp41hevc",
    "jxl": b"\xff\x0a" + bytes(20),
    "jxl boxed": b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(20),
    "jp2": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(20),
    "jp2 bare": b"\xff\x4f\xff\x51" + bytes(20),
    "psd": b"8BPS\x00\x01" + bytes(20),
    "exr": b"v/1\x01" + bytes(20),
    "hdr": b"#?RADIANCE\n",
    "dds": b"DDS " + bytes(20),
    "ico": b"\x00\x00\x01\x00\x01\x00" + bytes(20),
    "bigtiff": b"II+\x00\x08\x00\x00\x00" + bytes(20),
    "pnm": b"P6\n4 4\n255\n" + bytes(48),
}


@pytest.mark.parametrize("name", pictures())
def test_every_layout_says_its_format_and_size(name):
    header = read_header(pictures()[name])
    bits = int(name.split()[1]) if name.startswith("avif 1") else 8
    assert header == Header(name.split()[0], WIDTH, HEIGHT, complete=True, bits=bits)


@pytest.mark.parametrize("name", NAMED)
def test_formats_we_do_not_decode_have_a_name(name):
    header = read_header(NAMED[name])
    assert header.format == name.split()[0]
    assert header.format not in DECODABLE


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_no_picture_has_no_format(name):
    assert read_header(UNKNOWN[name]).format == ""


# Run-length rows have no announced length; the tables of a JPEG in a TIFF lie behind its strips.
COMPLETE_IN_ANY_LENGTH = {"bmp run length", "tiff jpeg"}


@pytest.mark.parametrize("name", sorted(set(one_picture()) - COMPLETE_IN_ANY_LENGTH))
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_cut_file_is_not_complete(name, part):
    data = pictures()[name]
    assert not read_header(data[: int(len(data) * part)]).complete


def test_a_jpeg_thumbnail_is_not_the_picture():
    header = read_header(pictures()["jpeg thumbnail"])
    assert (header.width, header.height) == (WIDTH, HEIGHT)


def test_a_jpeg_may_have_fill_and_stray_bytes_between_its_segments():
    jpeg = encode(scene(), "JPEG")
    for stray in (b"\xff" * 7, b"\x00\x01\x02", b"\xff\x01", b"\xff\xd3"):
        header = read_header(jpeg[:20] + stray + jpeg[20:])
        assert (header.width, header.height) == (WIDTH, HEIGHT), stray


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1)])
def test_a_png_announces_its_size(width, height):
    header = read_header(png_that_announces(width, height))
    assert (header.width, header.height) == (width, height)


def test_a_tiff_that_gives_a_tag_twice_is_believed_the_first_time():
    """Libtiff does so: otherwise the size that is checked would not be the size that is decoded."""
    twice = [(256, 50_000), (256, 1), (257, 50_000), (257, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in twice)
    header = read_header(b"II*\x00" + struct.pack("<IH", 8, len(twice)) + entries + bytes(4))
    assert (header.width, header.height) == (50_000, 50_000)


def test_a_tiff_says_how_large_its_tiles_are():
    """A tile may reach beyond the picture by any amount, and a decoder allocates all of it."""
    header = read_header(tiff_of({256: 60, 257: 44, 322: 30_000, 323: 20_000}))
    assert (header.width, header.height, header.tile_pixels) == (60, 44, 600_000_000)


@pytest.mark.parametrize(
    "first",
    [
        png_chunk(b"fcTL", struct.pack(">II", 60, 44)),
        png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60, 44, 8, 2, 0, 0, 0)),
        png_chunk(b"IHDR", struct.pack(">II", 60, 44)),
        png_chunk(b"IHDR", b""),
    ],
    ids=["a frame of an animation", "another header", "a short one", "an empty one"],
)
def test_a_png_has_one_size_and_says_it_first(first):
    """Otherwise the size that is checked need not be the size that is decoded."""
    png = png_that_announces(30_000, 30_000)
    assert read_header(png[:8] + first + png[8:]) == Header("png")


def test_a_bitmap_header_of_unknown_length_is_none():
    """OpenCV reads all four bytes of the length, and would read the size elsewhere."""
    bitmap = bytearray(encode(scene(), "BMP"))
    struct.pack_into("<I", bitmap, 14, 12 + 256)
    assert read_header(bytes(bitmap)).format == ""


def test_a_box_ends_with_the_box_around_it():
    """Boxes that reach beyond their container could make the reader walk the same bytes many times."""

    def box(kind, content, size=0):
        return struct.pack(">I", size or 8 + len(content)) + kind + content

    start = box(b"ftyp", b"avif\x00\x00\x00\x00avif") + box(b"mdat", b"")
    size = box(b"ispe", struct.pack(">III", 0, 60, 44))
    inside = box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", size)))
    beyond = box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", b"", 2**20), 2**20)) + size
    assert read_header(start + inside) == Header("avif", 60, 44)
    assert read_header(start + beyond) == Header("avif")


def test_jpegs_of_too_many_scans_are_refused():
    """Each scan costs a pass over all pixels, and ten bytes are enough for a scan."""
    assert read_header(jpeg_of_scans(400)).refusal == ""
    assert read_header(jpeg_of_scans(600)).refusal == "too_many_scans:over_500"


def test_scans_of_thumbnails_and_behind_the_picture_do_not_count():
    jpeg, other = encode(scene(), "JPEG", progressive=True), jpeg_of_scans(600)
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(other) + 2) + other
    for data in (jpeg[:2] + thumbnail + jpeg[2:], jpeg + other, encode(scene(), "JPEG")[:-2] + other[2:]):
        assert read_header(data).refusal == ""


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_stored(orientation):
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        header = read_header(oriented(kind, orientation))
        assert (header.width, header.height) == (WIDTH, HEIGHT), kind


@given(st.binary(max_size=300))
def test_any_bytes_have_a_header(data):
    header = read_header(data)
    assert header.width >= 0
    assert header.height >= 0


@given(st.sampled_from(sorted(pictures())), st.binary(max_size=200))
def test_any_bytes_behind_a_true_beginning_have_a_header(name, tail):
    for length in (2, 12, 16, 30):
        header = read_header(pictures()[name][:length] + tail)
        assert header.width >= 0
        assert header.height >= 0


def test_stray_marks_without_end_are_given_up():
    header = read_header(b"\xff\xd8" + b"\xff\xd0" * 200_000)
    assert header == Header("jpeg")
