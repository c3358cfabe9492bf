"""Rows of pictures that nobody prepared: turned, tilted, small beside large, cut to the face, moving."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from scanner.cli import main
from scanner.faces.finder import FaceFinder
from scanner.imaging.decode import Picture, decode
from tests.conftest import EXAMPLES, write_toy
from tests.pictures import ANIMATED, WIDTH, animation, encode, scene

DARK, BRIGHT = scene() // 4, scene() // 4 + 190
SUFFIX = {"PNG": "png", "MPO": "jpg"}


def example(name: str) -> Picture:
    picture = decode((EXAMPLES / f"{name}.jpg").read_bytes()).picture
    assert picture is not None
    return picture


def tilted(picture: Picture, degrees: float) -> Picture:
    """Turned clockwise, on a canvas that holds all of it."""
    matrix = cv2.getRotationMatrix2D((256, 256), -degrees, 1)
    matrix[:, 2] += 94
    return cv2.warpAffine(picture, matrix, (700, 700), flags=cv2.INTER_CUBIC)


def cut(picture: Picture, box: tuple[int, int, int, int], margin: float) -> Picture:
    """A face and so much of its box's sides round it."""
    x, y, w, h = box
    rows = slice(max(0, round(y - margin * h)), round(y + h + margin * h))
    columns = slice(max(0, round(x - margin * w)), round(x + w + margin * w))
    return np.ascontiguousarray(picture[rows, columns])


FAKES = ("generated_1", "generated_2", "generated_3")  # `real` is what the bundled model says of the second one
TURNS, TILTS, MARGINS = (90, 180, -90), (-40, -30, 40, 60), (0.0, 0.05, 0.1, 0.15)


def pictures() -> dict[str, Picture]:
    """What the bundled model is shown, by name."""
    found = {name: example(name) for name in (*FAKES, "real_astronaut")}
    for name in FAKES:
        (box,) = (face.box for face in FaceFinder().find(found[name]))
        found |= {f"{name} turned {turn}": np.rot90(found[name], -turn // 90).copy() for turn in TURNS}
        found |= {f"{name} tilted {tilt}": tilted(found[name], tilt) for tilt in TILTS}
        found |= {f"{name} cut {margin}": cut(found[name], box, margin) for margin in MARGINS}
    found["photograph cut"] = cut(found["real_astronaut"], (180, 62, 89, 112), 0)
    beside = np.full((2400, 2400, 3), 128, np.uint8)
    beside[400:, :2000] = cv2.resize(found["real_astronaut"], (2000, 2000), interpolation=cv2.INTER_CUBIC)
    beside[20:132, 2250:2362] = cv2.resize(found["generated_1"], (112, 112), interpolation=cv2.INTER_AREA)
    found["small beside large"] = beside
    cup = cv2.resize(example("faceless_coffee"), (4000, 2664), interpolation=cv2.INTER_CUBIC)
    cup[1200:1500, 1700:2000] = cv2.resize(found["generated_3"], (300, 300), interpolation=cv2.INTER_AREA)
    found["cup"] = cup
    return found


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> dict[str, dict]:
    """Rows of `pictures`, by name, from one scan with the bundled model."""
    place = tmp_path_factory.mktemp("geometry")
    for name, picture in pictures().items():
        (place / f"{name}.bmp").write_bytes(encode(picture, "BMP"))
    out = place / "r.jsonl"
    assert main([str(place), "--out", str(out), "-q", "--no-cache", "--exit-zero"]) == 0
    rows = map(json.loads, out.read_text().splitlines())
    return {Path(row["path"]).stem: row for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["generated_1", "generated_3"])
@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_fake_is_the_fake_that_it_was(judged, name, turn):
    upright, row = judged[name], judged[f"{name} turned {turn}"]
    (face,) = row["faces"]
    assert (row["verdict"], face["turn"]) == ("fake", turn)
    assert row["p_fake"] == pytest.approx(upright["p_fake"], abs=0.1)
    assert sorted(face["box"][2:]) == pytest.approx(sorted(upright["faces"][0]["box"][2:]), abs=4)


@pytest.mark.parametrize("name", ["generated_1", "generated_3"])
@pytest.mark.parametrize("tilt", TILTS)
def test_a_tilted_fake_stays_one(judged, name, tilt):
    row = judged[f"{name} tilted {tilt}"]
    (face,) = row["faces"]
    assert row["verdict"] == "fake"
    assert face["turn"] == pytest.approx(tilt, abs=20)


def test_an_upright_face_says_nothing_of_turns(judged):
    (face,) = judged["generated_3"]["faces"]
    assert face.keys() == {"box", "score", "p_fake", "models"}


def test_a_small_fake_beside_a_large_photograph_decides(judged):
    row = judged["small beside large"]
    assert (row["verdict"], row["n_faces"]) == ("fake", 2)
    assert row["faces"][int(row["reason"].removeprefix("face:"))]["box"][0] > 2200


def test_a_cup_that_is_taken_for_a_face_hides_no_fake(judged):
    assert judged["cup"]["verdict"] == "fake"


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("name", FAKES)
def test_a_fake_that_is_cut_to_the_face_is_not_real(judged, name, margin):
    assert judged[f"{name} cut {margin}"]["verdict"] in ("fake", "uncertain")


def test_a_photograph_that_is_cut_to_the_face_is_uncertain_and_says_why(judged):
    row = judged["photograph cut"]
    assert (row["verdict"], row["reason"]) == ("uncertain", "tight_crop")
    assert row["p_fake"] < 0.2
    assert row["faces"][0]["tight"] is True
    assert judged["real_astronaut"]["reason"] == "face:0"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(*arguments: str, code: int) -> list[dict]:
    assert main([*arguments, "--out", "r.jsonl", "--summary", "s.json", "-q", "--no-cache"]) == code
    return [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_row_from_the_cache_is_the_same(folder):
    face = cut(example("real_astronaut"), (180, 62, 89, 112), 0)
    Path("tight.png").write_bytes(encode(face, "PNG"))
    Path("turned.png").write_bytes(encode(np.rot90(example("generated_3")).copy(), "PNG"))
    Path("moving.gif").write_bytes(animation("GIF", [DARK, example("generated_3")[:44, :60], BRIGHT]))
    texts = []
    for _ in range(2):
        assert main([".", "--out", "r.jsonl", "-q", "--exit-zero", "--summary", "s.json", "--exclude", "*.json*"]) == 0
        texts.append(Path("r.jsonl").read_text())
    assert texts[0] == texts[1]
    assert json.loads(Path("s.json").read_text())["summary"]["cached"] == 3
    assert main([".", "--out", "r.jsonl", "-q", "--exit-zero", "--threshold", "0.01"]) == 0
    rows = {row["path"]: row for row in map(json.loads, Path("r.jsonl").read_text().splitlines())}
    assert (rows["./tight.png"]["verdict"], rows["./tight.png"]["reason"]) == ("fake", "face:0")


@pytest.mark.slow
def test_more_faces_than_are_judged_make_no_real_picture(folder, toy_for_faces):
    face = cv2.resize(example("real_astronaut")[40:200, 150:300], (60, 64), interpolation=cv2.INTER_AREA) // 2
    wall = np.tile(face, (16, 20, 1))
    Path("a.png").write_bytes(encode(wall, "PNG"))
    (row,) = rows("a.png", "--model", str(toy_for_faces), "--min-face", "20", code=0)
    assert row["n_faces"] > 300
    assert sum(face["p_fake"] is not None for face in row["faces"]) == 300
    assert (row["verdict"], row["reason"]) == ("uncertain", f"too_many_faces:{row['n_faces']}")


@pytest.fixture
def here(folder, toy, monkeypatch) -> Path:
    """A folder to stand in, with the brightness of whole pictures for the model."""
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ANIMATED)
@pytest.mark.parametrize("place", [1, 4])
def test_a_later_frame_decides(here, kind, place):
    frames = [DARK] * 5
    frames[place] = BRIGHT
    frames = [
        np.where(np.arange(WIDTH)[None, :, None] == i, 60, frame).astype(np.uint8) for i, frame in enumerate(frames)
    ]
    name = f"a.{SUFFIX.get(kind, kind.lower())}"
    (here / name).write_bytes(animation(kind, frames))
    (row,) = rows(name, code=1)
    assert (row["verdict"], row["frames"], row["frames_judged"]) == ("fake", 5, 4)
    (row,) = rows(name, "--frames", "1", code=0)
    assert (row["verdict"], row["frames"], row["frames_judged"]) == ("real", 5, 1)


def test_a_page_that_is_too_long_for_error_levels_is_no_internal_error(folder):
    """No JPEG copy of it can be made. The pages before it do not make the file `real`."""
    write_toy(folder / "ela.onnx", ela=True)
    (folder / "a.tiff").write_bytes(animation("TIFF", [DARK, np.full((2, 70_000, 3), 90, np.uint8)]))
    (row,) = rows("a.tiff", "--model", "ela.onnx", code=2)
    assert (row["verdict"], row["reason"], row["frames"]) == ("error", "too_long_for_ela:70000", 2)
    (folder / "b.tiff").write_bytes(animation("TIFF", [DARK, BRIGHT]))
    (row,) = rows("b.tiff", "--model", "ela.onnx", "--exit-zero", code=0)
    assert row["frames_judged"] == 2


def test_a_still_picture_has_one_frame(here):
    (here / "a.png").write_bytes(encode(DARK, "PNG"))
    (row,) = rows("a.png", code=0)
    assert row["frames"] == 1
    assert "frames_judged" not in row
    (here / "no.png").write_bytes(b"no picture")
    (row,) = rows("no.png", code=2)
    assert row["frames"] is None


@pytest.mark.slow
def test_the_summary_says_how_many_frames_were_judged(here, capfd):
    for i in range(3):
        (here / f"{i}.gif").write_bytes(animation("GIF", [scene() // (2 + j) for j in range(7 + i)]))
    (here / "still.png").write_bytes(encode(DARK, "PNG"))
    assert main([".", "--no-cache", "--exit-zero"]) == 0
    assert "3 animations or documents, 12 of 24 frames judged" in capfd.readouterr().err
    rows(".", "--exit-zero", code=0)
    summary = json.loads(Path("s.json").read_text())["summary"]
    assert (summary["animations"], summary["frames"], summary["frames_judged"]) == (3, 24, 12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ANIMATED)
def test_a_face_names_its_frame(folder, toy_for_faces, kind):
    """The second frame has one face, the first one none; its box is that of the frame."""
    face = example("real_astronaut")
    name = f"a.{SUFFIX.get(kind, kind.lower())}"
    (folder / name).write_bytes(animation(kind, [np.full_like(face, 90), face]))
    (row,) = rows(name, "--model", str(toy_for_faces), "--exit-zero", code=0)
    (found,) = row["faces"]
    assert (row["n_faces"], found["frame"]) == (1, 1)
    assert found["box"] == pytest.approx([180, 62, 89, 112], abs=4)


@pytest.mark.slow
def test_sheets_and_thumbnails_show_the_frame_that_decided(folder, toy_for_faces):
    pytest.importorskip("jinja2")
    face = example("real_astronaut")
    blue = np.full_like(face, 90)
    blue[:, :, 2] = 255
    (folder / "a.tiff").write_bytes(animation("TIFF", [blue, np.maximum(face, 180)]))
    options = ["a.tiff", "--model", str(toy_for_faces), "--exit-zero", "-q", "--explain", "why", "--out", "r.jsonl"]
    assert main([*options, "--report", "r.html"]) == 0
    row = json.loads(Path("r.jsonl").read_text())
    assert row["faces"][0]["frame"] == 1
    sheet = decode(Path(row["explanation"]).read_bytes()).picture
    picture = sheet[120:400, 40:340]
    assert not (np.abs(picture.astype(int) - (90, 90, 255)).sum(axis=2) < 30).any(), "not the first frame"
