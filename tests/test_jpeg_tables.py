"""The quality of a JPEG, against the programs that wrote it."""

from __future__ import annotations

import struct

import cv2
import pytest

from scanner.provenance.jpeg_tables import quality, quantisation_tables
from tests.pictures import encode, scene

QUALITIES = range(1, 101)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"optimize": True}])
def test_the_quality_that_pillow_was_told(options):
    found = {asked: quality(encode(scene(), "JPEG", quality=asked, **options)) for asked in QUALITIES}
    assert found == {asked: (asked, True) for asked in QUALITIES}


def test_the_quality_that_opencv_was_told():
    jpegs = {
        asked: cv2.imencode(".jpg", scene(), [cv2.IMWRITE_JPEG_QUALITY, asked])[1].tobytes() for asked in QUALITIES
    }
    assert {asked: quality(jpeg) for asked, jpeg in jpegs.items()} == {asked: (asked, True) for asked in QUALITIES}


def test_a_grey_picture_has_one_table():
    assert quality(encode(scene()[..., 0], "JPEG", quality=83)) == (83, True)


def test_other_tables_are_the_nearest_quality_and_said_to_be_others():
    tables = [list(table) for table in quantisation_tables(encode(scene(), "JPEG", quality=80)).values()]
    tables[0][5] += 1
    assert quality(encode(scene(), "JPEG", qtables=tables)) == (80, False)
    of_two = [tables[1], tables[0]]
    assert quality(encode(scene(), "JPEG", qtables=of_two))[1] is False


def test_tables_of_16_bits():
    wide = struct.pack(">BBH B 64H", 0xFF, 0xDB, 131, 0x10, *range(300, 364))
    assert quantisation_tables(b"\xff\xd8" + wide + b"\xff\xda") == {0: tuple(range(300, 364))}


@pytest.mark.parametrize(
    "data",
    [b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xdb", b"\xff\xd8\xff\xdb\x00\x43\x00\x01", b"\xff\xd8", b"", b"hello" * 9],
)
def test_without_tables_there_is_no_quality(data):
    assert quality(data) is None
