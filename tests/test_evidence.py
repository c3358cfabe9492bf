"""What is kept of pictures besides their rows: thumbnails in results, and sheets that say why, in a folder."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import PngImagePlugin

from scanner.cli import main
from scanner.detector.model import Detector
from scanner.detector.thresholds import choose
from scanner.engine.examine import Examiner
from scanner.engine.pipeline import judge, scan
from scanner.evidence import THUMBNAIL, Evidence, view_of
from scanner.files.candidate import Candidate
from scanner.imaging.decode import decode
from scanner.result import Face, Result
from scanner.settings import Settings
from tests.conftest import EXAMPLES, write_toy
from tests.pictures import encode, scene

PNG = encode(scene(), "PNG")
PIXELS = {"real": scene() // 4, "uncertain": scene() // 2 + 70, "fake": scene() // 4 + 190}


def flat(level: int, width: int = 40, height: int = 30) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def pixels_of(content: bytes) -> np.ndarray:
    picture = decode(content).picture
    assert picture is not None
    return picture


@pytest.fixture
def here(tmp_path, toy, monkeypatch) -> Path:
    """A folder to stand in, with `toy` for the model and, in `uploads`, a picture for each verdict."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    (tmp_path / "uploads").mkdir()
    for verdict, pixels in PIXELS.items():
        (tmp_path / f"uploads/{verdict}.png").write_bytes(encode(pixels, "PNG"))
    (tmp_path / "uploads/cut.png").write_bytes(PNG[:-200])
    return tmp_path


def explained(*arguments: str, code: int = 1) -> dict[str, str | None]:
    """The sheet of every row, by the row's path, of a scan that makes some."""
    shutil.rmtree("why", ignore_errors=True)
    assert main([*arguments, "--explain", "why", "--out", "r.jsonl", "-q"]) == code
    rows = [json.loads(line) for line in Path("r.jsonl").read_text("utf-8").splitlines()]
    sheets = {row["path"]: row.get("explanation") for row in rows}
    made = {sheet for sheet in sheets.values() if sheet}
    assert made == {f"why/{name}" for name in os.listdir("why")}  # nothing half-written is left
    for sheet in made:
        assert min(pixels_of(Path(sheet).read_bytes()).shape[:2]) > 300
    return sheets


def test_findings_have_a_sheet_and_what_is_named_has_one(here):
    sheets = explained("uploads")
    assert [path for path, sheet in sheets.items() if sheet] == ["uploads/fake.png", "uploads/uncertain.png"]
    sheets = explained("uploads/real.png", "uploads/cut.png", code=2)
    assert sheets["uploads/real.png"]
    assert sheets["uploads/cut.png"] is None


def test_what_marks_itself_as_generated_is_shown_whatever_its_verdict(here, brightness):
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a portrait\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 60x44")
    (here / "uploads/real.png").write_bytes(encode(PIXELS["real"], "PNG", pnginfo=text))
    assert explained("uploads")["uploads/real.png"]
    (row,) = run([here / "uploads/real.png"], brightness)
    assert (row.verdict, bool(row.thumbnail)) == ("real", True)


def test_what_a_list_names_is_no_question(here):
    (here / "list").write_text("uploads/real.png\nuploads/fake.png\n")
    sheets = explained("--files-from", "list")
    assert [path for path, sheet in sheets.items() if sheet] == ["uploads/fake.png"]


@pytest.mark.slow
def test_standard_input_is_named(here, facescan, toy):
    done = facescan("-", "--explain", "why", "--model", str(toy), "--quiet", stdin=encode(PIXELS["real"], "PNG"))
    (name,) = os.listdir("why")
    assert done.stdout.decode() == f"real      0.1105  -  (why: why/{name})\n"


@pytest.mark.slow
def test_rows_are_the_same_with_and_without(here):
    explained("uploads")
    with_sheets = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert main(["uploads", "-q", "--out", "plain.jsonl", "--out", "plain.csv", "--no-cache"]) == 1
    plain = [json.loads(line) for line in Path("plain.jsonl").read_text().splitlines()]
    for row in with_sheets:
        row.pop("explanation", None)
    assert with_sheets == plain
    assert main(["uploads", "-q", "--out", "r.csv", "--explain", "why"]) == 1
    tables = [list(csv.DictReader(Path(name).read_text().splitlines())) for name in ("r.csv", "plain.csv")]
    assert {row.pop("explanation") != "" for row in tables[0]} == {True, False}
    assert {row.pop("explanation") for row in tables[1]} == {""}
    assert tables[0] == tables[1]


@pytest.mark.skipif(sys.platform != "linux", reason="this file system may refuse such names")
def test_names_that_collide_and_names_that_are_hostile(here):
    names = ["x.png", "two/x.png", "two/x.jpg", "<script>.png", "\u202egpj.png", "new\nline\x1b[31m\udcff.png"]
    for level, name in enumerate([*names, f"{'n' * 251}.png"]):
        file = here / "more" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(PIXELS["fake"] + np.uint8(level), "PNG"))
    sheets = explained("more")
    assert len(set(sheets.values())) == len(names) + 1
    for sheet in sheets.values():
        assert sheet is not None
        assert sheet.isprintable()
        assert not set(sheet) & set("<>\u202e\n\x1b")


def test_equal_contents_share_a_sheet_whoever_makes_it(here):
    for i in range(24):
        folder = here / f"copies/{i:02}"
        folder.mkdir(parents=True)
        (folder / "same.png").write_bytes(encode(PIXELS["fake"], "PNG"))
    sheets = explained("copies", "--workers", "4")
    assert len(sheets) == 24
    assert len(set(sheets.values())) == 1


@pytest.mark.slow
def test_a_second_run_makes_them_again_and_takes_the_rest_from_the_cache(here, capfd):
    first = explained("uploads")
    rows = Path("r.jsonl").read_text()
    for again in ("by file", "by content"):
        for name in os.listdir("why"):
            (here / "why" / name).unlink()
        if again == "by content":
            for file in (here / "uploads").iterdir():
                os.utime(file, (1e9, 1e9))
        assert main(["uploads", "--explain", "why", "--out", "r.jsonl", "--summary", "s.json", "-q"]) == 1
        assert Path("r.jsonl").read_text() == rows
        assert len(os.listdir("why")) == len([sheet for sheet in first.values() if sheet]) == 2
        assert json.loads(Path("s.json").read_text())["summary"]["cached"] == 4


def test_a_row_that_is_known_answers_no_question(here):
    assert main(["uploads", "-q"]) == 1
    assert explained("uploads/real.png", code=0)["uploads/real.png"]


def test_sheets_are_never_scanned(here):
    (here / "uploads/why").mkdir()
    for _ in range(2):
        assert main(["uploads", "--explain", "uploads/why", "--out", "r.csv", "-q", "--no-cache"]) == 1
        assert len(Path("r.csv").read_text().splitlines()) == 1 + 4
    assert len(os.listdir("uploads/why")) == 2


def said(capfd) -> str:
    (line,) = capfd.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--device", "cuda"], "--explain runs on processors, not on GPUs; omit --device cuda"),
        (["--ela-dir", "./why"], "--explain why: is the same file as --ela-dir ./why; name another"),
    ],
)
def test_what_cannot_be_is_refused(here, capfd, arguments, says):
    assert main(["uploads", "--explain", "why", *arguments]) == 2
    assert said(capfd) == f"facescan: {says}"
    assert not (here / "why").exists()


def test_sheets_go_into_a_folder(here, capfd):
    assert main(["uploads", "--out", "why/r.csv", "--explain", "uploads/fake.png"]) == 2
    assert "Invalid value for '--explain': Directory 'uploads/fake.png' is a file." in capfd.readouterr().err
    assert not (here / "why").exists()


def test_a_model_that_looks_at_error_levels_has_sheets_too(here, tmp_path):
    both = write_toy(tmp_path / "both.onnx", ela=True)
    assert explained("uploads/real.png", "--model", str(both), code=0)["uploads/real.png"]


@pytest.mark.slow
@pytest.mark.parametrize("side", [1, 2, 33, 4000])
def test_pictures_of_any_shape_have_a_sheet(here, side):
    for width, height in ((side, 1), (1, side)):
        (here / f"{width}x{height}.png").write_bytes(encode(flat(250, width, height), "PNG"))
    assert all(explained(f"{side}x1.png", f"1x{side}.png").values())


@pytest.mark.parametrize("name", ["faceless_cat.jpg", "real_astronaut.jpg"])
def test_no_face_is_an_answer_too(here, toy_for_faces, name):
    file = str(EXAMPLES / name)
    options = ["--model", str(toy_for_faces), "--min-face", "300"]
    assert explained(file, *options, code=0)[file]
    (row,) = map(json.loads, Path("r.jsonl").read_text().splitlines())
    assert (row["verdict"], row["reason"]) == ("no_face", "too_small:1" if "astronaut" in name else "")


def group(astronaut: np.ndarray, tmp_path: Path) -> Path:
    """Nine times the same person, from dim to bright."""
    person = cv2.resize(astronaut[20:212, 130:322], (160, 160), interpolation=cv2.INTER_AREA)
    copies = [cv2.convertScaleAbs(person, alpha=0.5 + i / 10) for i in range(9)]
    file = tmp_path / "group.png"
    file.write_bytes(encode(np.vstack([np.hstack(copies[i : i + 3]) for i in (0, 3, 6)]), "PNG"))
    return file


def test_a_sheet_grows_with_the_faces_but_not_for_ever(here, astronaut, toy_for_faces):
    heights = []
    for file in (str(EXAMPLES / "real_astronaut.jpg"), str(group(astronaut, here))):
        assert (
            main([file, "--model", str(toy_for_faces), "--explain", "why", "-o", "r.jsonl", "-q", "--exit-zero"]) == 0
        )
        (row,) = map(json.loads, Path("r.jsonl").read_text().splitlines())
        heights.append((row["n_faces"], pixels_of(Path(row["explanation"]).read_bytes()).shape[0]))
    (one, low), (nine, high) = heights
    assert (one, nine) == (1, 9)
    assert 1500 < high < low + 6 * 400


# Thumbnails


def run(paths: list[Any], detector: Detector, thumbnails: bool = True, **options: Any) -> list[Result]:
    found = (Candidate(str(path)) for path in paths)
    told = Settings("toy", **options)
    return list(scan(found, detector, choose(detector.card), told, thumbnails=thumbnails))


def test_findings_have_thumbnails(here, brightness):
    files = [here / f"uploads/{name}.png" for name in ("real", "uncertain", "fake", "cut")]
    results = run(files, brightness)
    assert [bool(row.thumbnail) for row in results] == [False, True, True, False]
    assert pixels_of(results[2].thumbnail).shape == (44, 60, 3)  # never enlarged
    plain = run(files, brightness, thumbnails=False)
    assert plain == results
    assert not any(row.thumbnail for row in plain)


def test_a_thumbnail_shows_the_boxes_and_is_small(astronaut, face_brightness, tmp_path):
    file = tmp_path / "bright.png"
    bright = cv2.convertScaleAbs(astronaut[..., :1].repeat(3, axis=2), alpha=1.5)
    file.write_bytes(encode(bright, "PNG"))
    (row,) = run([file], face_brightness)
    assert len(row.thumbnail) < 16_000
    shown = pixels_of(row.thumbnail).astype(int)
    assert shown.shape == (THUMBNAIL, THUMBNAIL, 3)
    drawn = np.ptp(shown, axis=2) > 60  # the picture has no colours
    x, y, w, h = (side * THUMBNAIL / 512 for side in row.faces[0].box)
    rows, columns = np.nonzero(drawn)
    assert abs(columns.min() - x) < 5
    assert abs(rows.max() - (y + h)) < 5
    assert not drawn[round(y + h / 4) : round(y + 3 * h / 4), round(x + w / 4) : round(x + 3 * w / 4)].any()


def test_where_faces_are_tiny_the_part_with_them_is_shown():
    picture = np.zeros((1000, 2000, 3), np.uint8)
    faces = (Face((1500, 300, 60, 80), 0.9), Face((1600, 330, 50, 60), 0.9), Face((10, 10, 12, 12), 0.9))
    view = view_of(picture, faces, min_face=32)
    assert (view.left, view.top) == (1420, 220)
    assert max(view.pixels.shape) == THUMBNAIL
    assert view.scale * 80 > 48
    whole = view_of(picture, (Face((500, 100, 600, 800), 0.9),), min_face=32)
    assert (whole.left, whole.top, whole.pixels.shape) == (0, 0, (120, 240, 3))


@pytest.mark.slow
def test_a_gpu_scores_and_the_thumbnails_are_the_same(here, astronaut, face_brightness, toy_for_faces):
    """The CPU stands in for it."""
    files = [group(astronaut, here), EXAMPLES / "real_astronaut.jpg", EXAMPLES / "faceless_cat.jpg"] * 2
    expected = run(files, face_brightness)
    detector = Detector(toy_for_faces)
    detector.device = replace(detector.device, used="cuda")
    results = run(files, detector)
    assert results == expected
    assert [row.thumbnail for row in results] == [row.thumbnail for row in expected]
    assert any(row.thumbnail for row in results)


def test_the_cache_has_no_thumbnails_so_findings_are_decoded_again(here, brightness):
    from scanner.cache.store import Cache
    from scanner.engine.versions import scope

    files = [here / f"uploads/{name}.png" for name in ("real", "fake")]
    for file in files:
        os.utime(file, (1e9, 1e9))
    seen = []
    for _ in range(2):
        with Cache(str(here / "kept.db"), scope(brightness, Settings("toy"))) as cache:
            found = (Candidate(str(file)) for file in files)
            told = choose(brightness.card)
            seen.append([*scan(found, brightness, told, Settings("toy"), cache=cache, thumbnails=True)])
    assert seen[0] == seen[1]
    assert [row.cached for row in seen[1]] == [True, True]
    assert seen[1][1].thumbnail == seen[0][1].thumbnail != b""


def stages(*options: str) -> dict[str, float]:
    """What a scan of the uploads spent its time on; all of its rows came from the cache."""
    assert main(["uploads", *options, "--out", "r.jsonl", "--summary", "s.json", "-q"]) == 1
    summary = json.loads(Path("s.json").read_text())["summary"]
    assert summary["cached"] == len(PIXELS) + 1
    return summary["stage_seconds"]


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--report", "--explain", "--ela-dir"])
@pytest.mark.parametrize("touched", [False, True])
def test_what_is_known_is_decoded_again_and_not_judged_again(here, option, touched):
    """Also where nothing of an earlier scan is left but its rows."""
    main(["uploads", "--ela", "--out", "r.jsonl", "-q"])
    if touched:
        for file in (here / "uploads").iterdir():
            file.touch()
    name = {"--report": "r.html"}.get(option, "folder")
    spent = stages("--ela", option, name)
    assert spent["decode"] > 0
    assert [spent[stage] for stage in ("faces", "model", "provenance", "crop")] == [0.0] * 4
    first = Path("r.jsonl").read_text()
    shutil.rmtree("folder", ignore_errors=True)
    assert main(["uploads", "--ela", option, name, "--out", "r.jsonl", "-q", "--no-cache"]) == 1
    assert Path("r.jsonl").read_text() == first


def kept(folder: str) -> dict[str, tuple[int, int]]:
    """The files of a folder, and what tells whether they were written anew."""
    return {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in Path(folder).iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--explain", "--ela-dir"])
def test_what_is_saved_already_stays(here, option):
    """So a scan that is killed again and again gets on."""
    main(["uploads", option, "folder", "--out", "r.jsonl", "-q"])
    before, rows = kept("folder"), Path("r.jsonl").read_text()
    assert stages(option, "folder")["decode"] == 0.0
    assert kept("folder") == before
    assert Path("r.jsonl").read_text() == rows
    one, *others = sorted(before)
    os.truncate(f"folder/{one}", os.path.getsize(f"folder/{one}") - 10)  # it is not whole
    assert stages(option, "folder")["decode"] > 0.0
    after = kept("folder")
    assert after[one] != before[one]
    assert [after[name] for name in others] == [before[name] for name in others]
    assert min(pixels_of(Path(f"folder/{one}").read_bytes()).shape[:2]) > 10


def test_other_thresholds_are_another_sheet_and_the_same_map(here):
    main(["uploads", "--explain", "why", "--ela-dir", "maps", "--out", "r.jsonl", "-q"])
    sheets, maps = kept("why"), kept("maps")
    main(["uploads", "--explain", "why", "--ela-dir", "maps", "--out", "r.jsonl", "-q", "--threshold", "0.61"])
    assert kept("maps") == maps
    assert all(kept("why")[name] != sheets[name] for name in sheets)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--explain", "--ela-dir"])
@pytest.mark.parametrize("content", [encode(scene(), "PNG"), b"notes", encode(scene(), "JPEG")])
def test_a_file_that_is_none_of_ours_stays(here, capfd, option, content):
    main(["uploads", option, "folder", "--out", "r.jsonl", "-q"])
    name = sorted(kept("folder"))[0]
    Path(f"folder/{name}").write_bytes(content)
    assert main(["uploads", option, "folder", "--out", "r.jsonl", "-q", "--no-cache"]) == 2
    said = f"facescan: folder/{name}: facescan did not make this file, and leaves it as it is: name another folder\n"
    assert capfd.readouterr().err == said
    assert Path(f"folder/{name}").read_bytes() == content


def test_a_map_does_not_replace_a_sheet(here, capfd):
    main(["uploads", "--explain", "folder", "--out", "r.jsonl", "-q"])
    before = kept("folder")
    assert main(["uploads", "--ela-dir", "folder", "--out", "r.jsonl", "-q"]) == 2
    assert "facescan did not make this file" in capfd.readouterr().err
    assert {name: kept("folder")[name] for name in before} == before


@pytest.mark.slow
@pytest.mark.parametrize("left", [b"", bytes(1000)])
def test_what_a_power_cut_left_is_made_again(here, left):
    main(["uploads", "--explain", "folder", "--out", "r.jsonl", "-q"])
    for name in kept("folder"):
        Path(f"folder/{name}").write_bytes(left)
    assert stages("--explain", "folder")["decode"] > 0.0
    for name in kept("folder"):
        pixels_of(Path(f"folder/{name}").read_bytes())


@pytest.mark.parametrize("step", ["view_of", "thumbnail"])
def test_a_bug_in_drawing_costs_no_verdict(here, brightness, monkeypatch, step):
    def broken(*_: Any) -> bytes:
        raise MemoryError

    settings, thresholds = Settings("toy"), choose(brightness.card)
    judged = partial(judge, model="toy", thresholds=thresholds)
    evidence = Evidence(True, settings, thresholds, judged, 1)
    examiner = Examiner(brightness.card, frozenset(), None, settings, brightness, 1, evidence)
    fake = Candidate("uploads/fake.png")
    assert judged(*examiner([fake])).thumbnail != b""
    monkeypatch.setattr(f"scanner.evidence.{step}", broken)
    row = judged(*examiner([fake]))
    assert (row.verdict, row.thumbnail) == ("fake", b"")
