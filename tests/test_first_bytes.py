"""The first bytes of a file: a picture or not, whatever its name."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.files.beneath import LinkError, Place
from scanner.files.first_bytes import is_picture, looks_like_a_picture
from scanner.imaging.inspection.header import read_header
from tests.pictures import encode, pictures, scene

PICTURES = pictures()
SVG = b'<?xml version="1.0"?>\n<!-- made by hand -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_what_has_a_format_is_a_picture_by_its_beginning(name):
    content = PICTURES[name]
    assert is_picture(content[:1024]) == bool(read_header(content).format)


@pytest.mark.parametrize(
    "head",
    [
        encode(scene(), "JPEG")[:4],
        SVG,
        b"P6\n# by hand\n3 2\n255\n",
        b"P1 1 1 0",
        b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\xff\x0a" + bytes(40),
        b"8BPS\0\1",
        b"\0\0\0\x0cjP  \r\n\x87\n",
    ],
)
def test_pictures_that_cannot_be_decoded_are_pictures(head):
    assert is_picture(head)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff\xd8",
        b"P1 is the first of three priorities, P2 the second",
        b"P3 2024 report",
        b"\0\0\1\0" + 40 * b"\0",  # numbers
        b"\0\0\1\0\1\0\x10\x10\0\x07\1\0",
        b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41",
        b"<!doctype html><title>a page</title><svg/>",
        b"%PDF-1.7\n%\xff\xd8\xff",
        b"PK\3\4",
        b"\x7fELF",
        b"#!/bin/sh\n",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"BM is how a text may begin, too",
        b"version https://git-lfs.github.com/spec/v1\n",
        "\ufeffa text".encode("utf-16"),
    ],
)
def test_other_files_are_none(head):
    assert not is_picture(head)


@given(st.binary(max_size=1100))
def test_any_bytes_have_an_answer(head):
    assert is_picture(head) in (True, False)


def test_a_file_is_opened_as_its_place_allows(tmp_path):
    (tmp_path / "a").write_bytes(SVG)
    (tmp_path / "link").symlink_to("a")
    for name, follow in (("a", True), ("a", False), ("link", True)):
        assert looks_like_a_picture(Place(str(tmp_path / name), follow=follow))
    if hasattr(os, "O_NOFOLLOW"):
        with pytest.raises(LinkError):
            looks_like_a_picture(Place(str(tmp_path / "link")))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_fifo_that_takes_the_place_of_a_file_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "a")
    assert not looks_like_a_picture(Place(str(tmp_path / "a")))
