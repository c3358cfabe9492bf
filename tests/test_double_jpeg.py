"""Pictures saved once and twice. No picture here was a JPEG before: it was shrunk to a third."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from scanner.cli import main
from scanner.provenance.double_jpeg import ENOUGH, double_compression
from tests.conftest import load
from tests.pictures import encode, noise, pictures, scene


@pytest.fixture(scope="module")
def photographs(examples) -> list[np.ndarray]:
    files = ("real_astronaut", "faceless_coffee", "faceless_cat")
    whole = [load(examples / f"{name}.jpg") for name in files]
    return [cv2.resize(picture, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA) for picture in whole]


def saved(picture: np.ndarray, *qualities: int, **options: object) -> bytes:
    """As a JPEG, once for each quality."""
    for quality in qualities[:-1]:
        jpeg = encode(picture, "JPEG", quality=quality, **options)
        picture = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return encode(picture, "JPEG", quality=qualities[-1], **options)


@pytest.mark.parametrize(("first", "second"), [(50, 75), (50, 90), (60, 85), (75, 90), (75, 95), (85, 95)])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
def test_a_first_saving_at_a_lower_quality_shows(photographs, first, second, options):
    for picture in photographs:
        found = double_compression(saved(picture, first, second, **options))
        assert found["found"]
        assert abs(found["first_quality"] - first) <= 2
        assert found["score"] >= ENOUGH


@pytest.mark.parametrize("qualities", [(70,), (75,), (85,), (90,), (95,), (100,), (90, 90), (95, 90), (98, 85), (20,)])
def test_what_was_saved_once_or_better_before_does_not(photographs, qualities):
    for picture in photographs:
        found = double_compression(saved(picture, *qualities))
        assert (found["found"], found["first_quality"]) == (False, None)


def test_a_cut_off_the_grid_hides_it_and_one_along_it_does_not(photographs):
    first = load_jpeg(saved(photographs[0], 60))
    assert not double_compression(saved(first[3:, 5:], 90))["found"]
    assert double_compression(saved(first[8:, 16:], 90))["found"]


def load_jpeg(jpeg: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_orientation_does_not_matter(photographs):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert double_compression(encode(load_jpeg(saved(photographs[0], 60)), "JPEG", quality=90, exif=exif))["found"]


def test_large_pictures_are_looked_at_in_part(photographs):
    large = np.tile(load_jpeg(saved(photographs[0][:160, :160], 60)), (12, 12, 1))
    found = double_compression(encode(large, "JPEG", quality=90))
    assert found["found"]
    assert found["blocks"] <= 16_384


@pytest.mark.parametrize("name", [name for name in pictures() if name.startswith("jpeg")])
def test_small_pictures_cannot_tell(name):
    assert double_compression(pictures()[name]) is None


def test_pictures_without_detail_cannot_tell():
    assert double_compression(encode(np.full((400, 400, 3), 255, np.uint8), "JPEG")) is None  # all of it is clipped
    assert not double_compression(encode(np.full((400, 400, 3), 99, np.uint8), "JPEG"))["found"]
    assert not double_compression(encode(noise(200, 200) // 2 + 64, "JPEG"))["found"]
    assert not double_compression(encode(scene(300, 300), "JPEG", quality=90))["found"]  # one frequency says: twice
    cmyk = Image.fromarray(scene(300, 300)).convert("CMYK")
    assert not double_compression(encode(cmyk, "JPEG"))["found"]


@pytest.mark.slow
def test_it_is_told_with_ela(tmp_path, monkeypatch, toy, photographs):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    Path("twice.jpg").write_bytes(saved(photographs[0], 60, 90))
    Path("once.jpg").write_bytes(saved(photographs[0], 90))
    Path("small.jpg").write_bytes(encode(scene(), "JPEG"))
    Path("other.png").write_bytes(encode(photographs[0], "PNG"))

    def told(*arguments: str) -> dict[str, object]:
        main([".", "-q", "--out", "r.jsonl", *arguments])
        rows = map(json.loads, Path("r.jsonl").read_text().splitlines())
        return {row["path"]: row["provenance"]["double_compression"] for row in rows}

    assert set(told().values()) == {None}
    for _ in range(2):  # the second time from the cache
        found = told("--ela")
        assert found["./twice.jpg"]["found"] is True
        assert found["./once.jpg"]["found"] is False
        assert found["./small.jpg"] is None
        assert found["./other.png"] is None
    assert set(told().values()) == {None}
