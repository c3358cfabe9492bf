"""Frames of animations and pages of documents: counted in the container, decoded one by one."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from scanner.imaging.decode import convert_opencv_frame, decode
from scanner.imaging.frames import count_frames, decode_further_frames, evenly_spaced
from tests.pictures import ANIMATED, HEIGHT, WIDTH, animation, difference, encode, png_chunk, scene

DARK, BRIGHT = scene() // 4, scene() // 4 + 190


def moving(count: int) -> list[np.ndarray]:
    """A square that wanders over the scene: encoders store only the part that changes."""
    frames = []
    for i in range(count):
        picture = scene()
        picture[8 + i : 20 + i, 3 * i : 3 * i + 12] = (250, 20 * i, 40)
        frames.append(picture)
    return frames


@pytest.mark.parametrize("kind", ANIMATED)
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_frames_are_counted_and_decoded(kind, count):
    data = animation(kind, moving(count))
    decoded = decode(data)
    assert count_frames(data, decoded.format) == count
    frames = list(decode_further_frames(data, decoded.format, 100, decoded.picture, 10**6))
    assert [frame.number for frame in frames] == list(range(1, count))
    for frame in frames:
        expected = moving(count)[frame.number]
        assert difference(frame.picture, expected) < 5, "GIF has 256 colours, MPO is a JPEG"
        assert difference(frame.picture, moving(count)[frame.number - 1]) > difference(frame.picture, expected)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("disposal", [0, 1, 2])
@pytest.mark.parametrize("blend", [0, 1])
def test_transparent_frames_are_composed(kind, disposal, blend):
    """As OpenCV does it; Pillow lays half transparent pixels over nothing as if that were black."""
    frames = []
    for i in range(4):
        pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        pixels[4 + 4 * i : 20 + 4 * i, 10 * i : 10 * i + 20] = (200, 60 * i, 30, 255 if kind == "GIF" else 160)
        frames.append(Image.fromarray(pixels))
    options = {"PNG": {"disposal": disposal, "blend": blend}, "GIF": {"disposal": disposal + 1}}
    more = options.get(kind, {"lossless": True})
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **more)
    _, reference = cv2.imdecodeanimation(np.frombuffer(data, np.uint8))
    decoded = decode(data)
    composed = list(decode_further_frames(data, decoded.format, 9, decoded.picture, 10**6))
    assert len(composed) == 3
    for frame in composed:
        assert (
            difference(frame.picture, convert_opencv_frame(reference.frames[frame.number], data, decoded.format)) < 0.2
        )


def test_an_apng_whose_still_picture_is_not_in_the_animation():
    data = animation("PNG", [DARK, BRIGHT, scene()], default_image=True)
    decoded = decode(data)
    assert difference(decoded.picture, DARK) < 1
    assert count_frames(data, "png") == 3
    frames = {frame.number: frame.picture for frame in decode_further_frames(data, "png", 9, decoded.picture, 10**6)}
    assert difference(frames[1], BRIGHT) < 1
    assert difference(frames[2], scene()) < 1


@pytest.mark.parametrize(
    ("count", "most", "numbers"),
    [
        (1, 4, [0]),
        (4, 4, [0, 1, 2, 3]),
        (5, 4, [0, 1, 3, 4]),
        (900, 4, [0, 300, 599, 899]),
        (9, 1, [0]),
        (9, 2, [0, 8]),
    ],
)
def test_frames_are_spread_from_the_first_to_the_last(count, most, numbers):
    assert evenly_spaced(count, most) == numbers


def test_no_more_frames_are_gone_through_than_pixels_are_allowed():
    data = animation("GIF", moving(9))
    first = decode(data).picture
    few = decode_further_frames(data, "gif", 2, first, 4 * WIDTH * HEIGHT)
    assert [frame.number for frame in few] == [3]
    assert list(decode_further_frames(data, "gif", 4, first, WIDTH * HEIGHT)) == []


def test_a_page_that_is_too_large_is_left_out():
    pages = [Image.fromarray(scene()), Image.new("RGB", (400, 400)), Image.fromarray(DARK)]
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    frames = list(decode_further_frames(data, "tiff", 9, decode(data).picture, 100_000))
    assert [frame.number for frame in frames] == [2]


def test_a_gain_map_is_no_second_picture():
    """Telephones add the brightness for bright screens as a picture of its own."""
    data = animation("MPO", [scene(), DARK])
    assert count_frames(data, "jpeg") == 2
    second = data.rindex(b"\xff\xd8\xff")
    segment = b"http://ns.adobe.com/xap/1.0/\x00hdrgm:Version"
    marked = data[: second + 2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + data[second + 2 :]
    assert count_frames(marked, "jpeg") == 1


@pytest.mark.parametrize("kind", ANIMATED)
def test_whatever_the_bytes_counting_and_decoding_end(kind):
    data = animation(kind, moving(4))
    kind = decode(data).format
    random = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(data)
        for at in random.integers(12, len(data), random.integers(1, 9)):
            broken[at] = random.integers(256)
        cut = bytes(broken[: random.integers(20, len(data) + 1)])
        assert count_frames(cut, kind) >= 1
        decoded = decode(cut)
        if kind in ("png", "tiff", "jpeg") and decoded.picture is not None:  # that are taken apart here, not by OpenCV
            for frame in decode_further_frames(cut, decoded.format, 4, decoded.picture, 10**6):
                assert frame.picture.dtype == np.uint8


def test_a_ring_of_pages_ends():
    data = bytearray(animation("TIFF", moving(3)))
    (first,) = struct.unpack_from("<I", data, 4)
    data[-4:] = struct.pack("<I", first)  # Pillow writes the last directory's link last
    assert count_frames(bytes(data), "tiff") <= 4


def test_an_animation_that_lies_about_its_frames():
    whole = animation("PNG", moving(3))
    at = whole.index(b"acTL") - 4
    lying = whole[:at] + png_chunk(b"acTL", struct.pack(">II", 4_000_000_000, 0)) + whole[at + 20 :]
    assert count_frames(lying, "png") == 3
    no_animation = whole[:at] + whole[at + 20 :]
    assert count_frames(no_animation, "png") == 1
