"""Text, boxes and heat maps: what of them can be said without looking. How they look is for people to judge."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scanner.evidence.drawing import BOLD, FOR_FAKE, FOR_REAL, INK, frame, overlaid, shortened, width_of, wrapped, write

NAMES = ["", "a", "généré_3.jpg", "日本語の写真.jpg", r"bad\xff\u202ename.png", "n" * 3000, "人" * 80, "W " * 200]


LETTERS = pytest.param(
    "letters", marks=pytest.mark.skipif(not hasattr(cv2, "FontFace"), reason="OpenCV before 5 draws strokes only")
)


@pytest.fixture(params=[LETTERS, "strokes"])
def fonts(request, monkeypatch):
    """As of OpenCV 5, and as before, where there are none."""
    if request.param == "strokes":
        monkeypatch.delattr(cv2, "FontFace", raising=False)


@pytest.mark.parametrize("name", NAMES)
def test_long_names_keep_both_ends(fonts, name):
    short = shortened(name, 200, 20)
    assert width_of(short, 20) <= 200
    if short != name:
        start, _, end = short.partition("…")
        assert name.startswith(start)
        assert name.endswith(end)
        assert width_of(name, 20) > 200


def test_text_is_as_wide_as_is_said(fonts):
    page = np.full((60, 400, 3), 255, np.uint8)
    write(page, "p_fake 0.7654", 10, 40, 20, INK, BOLD)
    inked = np.flatnonzero((page < 128).any(axis=(0, 2)))
    assert inked.min() >= 9
    assert abs(inked.max() - (10 + width_of("p_fake 0.7654", 20, BOLD))) <= 4


def test_lines_are_broken_between_words(fonts):
    words = "where the model looked is no proof of what was altered"
    lines = wrapped(words, 120, 14)
    assert " ".join(lines) == words
    assert len(lines) > 2
    assert max(width_of(line, 14) for line in lines) <= 120


@pytest.mark.parametrize("box", [(0, 0, 100, 80), (-20, -20, 30, 30), (90, 70, 50, 50), (40, 0, 3, 3), (40, 76, 4, 4)])
def test_labels_stay_on_the_picture(fonts, box):
    page = np.full((80, 100, 3), 200, np.uint8)
    frame(page, box, (200, 0, 0), "0.98")
    bare = np.full((80, 100, 3), 200, np.uint8)
    frame(bare, box, (200, 0, 0))
    labelled = (page != bare).any(axis=2)
    assert labelled.sum() > 300  # of some 19 x 40 pixels, less what the box has already


def test_a_heat_map_shows_both_signs_and_how_strong():
    grey = np.full((80, 80, 3), 120, np.uint8)
    seen = overlaid(grey, np.array([[1.0, 0.0], [0.0, -1.0]]), 1.0).astype(int)
    for corner, color in ((seen[2, 2], FOR_FAKE), (seen[-3, -3], FOR_REAL)):
        assert np.abs(corner - color).max() < 25
    assert np.abs(seen[2, -3] - 120).max() <= 1
    weaker = overlaid(grey, np.array([[1.0, 0.0], [0.0, -1.0]]), 4.0).astype(int)
    assert np.abs(weaker[2, 2] - 120).max() < np.abs(seen[2, 2] - 120).max() / 2


def test_a_heat_map_of_nothing_shows_the_picture():
    grey = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)[..., :1].repeat(3, axis=2)
    assert np.abs(overlaid(grey, np.zeros((4, 4)), 0.01).astype(int) - grey).max() <= 1
