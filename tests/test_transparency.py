"""Files that are two pictures: one on white, or by their profile, and another on black, or without."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scanner.imaging.decode import decode
from tests import colour_cases
from tests.pictures import difference, encode, noise, scene

SIZE = 96
ONE, OTHER = scene(SIZE, SIZE)[..., 0], 255 - scene(SIZE, SIZE)[::-1, :, 1]


def two_in_one(on_white=ONE, on_black=OTHER):
    """Grey with alpha: a lighter picture on white, a darker one on black."""
    light, dark = on_white / 510 + 0.5, on_black / 510
    alpha = 1 - (light - dark)
    grey = np.divide(dark, alpha, out=np.zeros_like(dark), where=alpha > 0)
    pixels = (255 * np.dstack([grey] * 3 + [alpha])).round().clip(0, 255).astype(np.uint8)
    return pixels, (255 * light).astype(np.uint8), (255 * dark).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_picture_that_is_another_on_black_is_both(kind):
    pixels, light, dark = two_in_one()
    best = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = decode(encode(pixels, kind, **best))
    assert difference(decoded.picture[..., 0], light) < 2
    (black,) = decoded.alternatives
    assert black.shape == decoded.picture.shape
    assert difference(black[..., 0], dark) < 2


def test_16_bits_are_no_other_matter():
    pixels, _, dark = two_in_one()
    deep = cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes()
    (black,) = decode(deep).alternatives
    assert difference(black[..., 0], dark) < 2


def test_dots_that_look_grey_from_afar_count_as_see_through():
    """White dots, open or opaque: nothing on white, and a picture on black."""
    dots = np.where(noise(SIZE, SIZE)[..., 0] < OTHER, 255, 0).astype(np.uint8)
    decoded = decode(encode(np.dstack([np.full((SIZE, SIZE, 3), 255, np.uint8), dots]), "PNG"))
    assert decoded.picture.min() == 255
    assert np.array_equal(decoded.alternatives[0][..., 0], dots)


def test_a_small_face_that_is_see_through_is_enough():
    alpha = np.full((SIZE, SIZE), 255, np.uint8)
    alpha[30:62, 30:62] = 100
    assert decode(encode(np.dstack([scene(SIZE, SIZE), alpha]), "PNG")).alternatives


def _disc(softness):
    """Alpha of something round that was cut out, with an edge so many pixels wide."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    edge = (SIZE / 3 - np.hypot(x, y)) / softness
    return (255 * np.clip(edge + 0.5, 0, 1)).astype(np.uint8)


@pytest.mark.parametrize(
    "alpha",
    [
        np.full((SIZE, SIZE), 255, np.uint8),
        np.zeros((SIZE, SIZE), np.uint8),
        np.full((SIZE, SIZE), 250, np.uint8),
        _disc(1),
        _disc(6),
    ],
    ids=["opaque", "open", "nearly opaque", "cut out", "cut out softly"],
)
def test_what_looks_the_same_on_black_is_judged_once(alpha):
    assert decode(encode(np.dstack([scene(SIZE, SIZE), alpha]), "PNG")).alternatives == ()


@pytest.mark.parametrize("name", ["negative", "exchanged"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_without_a_drastic_profile_it_is_another_picture(name, kind):
    """Many programs drop a profile and leave the pixels as they are."""
    decoded = decode(encode(colour_cases.chart(), kind, icc_profile=colour_cases.PROFILES[name][0]))
    assert [
        np.array_equal(other, decode(encode(colour_cases.chart(), kind)).picture) for other in decoded.alternatives
    ] == [True]


@pytest.mark.parametrize("name", ["srgb", "p3", "prophoto", "bt2020", "linear", "version 5"])
def test_the_profiles_of_cameras_and_editors_make_one_picture(name):
    assert decode(encode(colour_cases.chart(), "PNG", icc_profile=colour_cases.PROFILES[name][0])).alternatives == ()
