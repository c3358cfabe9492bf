"""The benchmark of geometry changes pictures, scans them, and counts what became of the verdicts."""

from __future__ import annotations

import csv
import shutil
import sys

import pytest
from click.testing import CliRunner

from scanner.imaging.decode import decode
from tests.bench.geometry.__main__ import CHANGES, command
from tests.bench.geometry.portrait import Portrait, content
from tests.bench.geometry.table import ANYWHERE, COLUMNS, figures

pytest.importorskip("PIL")


@pytest.fixture
def portraits(tmp_path, examples):
    """A folder of a real and a fake portrait."""
    for label, name in (("real", "real_astronaut"), ("fake", "generated_3")):
        (tmp_path / label).mkdir()
        shutil.copy(examples / f"{name}.jpg", tmp_path / label)
    return tmp_path


def table(*arguments: str) -> list[dict[str, str]]:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    head, _, *rows = [line.strip("| ").split(" | ") for line in done.output.strip().splitlines()]
    assert tuple(head) == COLUMNS
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.mark.slow
def test_two_pictures_turned(portraits, tmp_path):
    out = tmp_path / "table.csv"
    control, *turned = table(str(portraits), "--only", "by 90", "--only", "by 180", "--csv", str(out))
    assert control["change"] == "control: saved as PNG"
    assert [row["change"] for row in turned] == [f"turned by {degrees} degrees" for degrees in (90, 180)]
    for row in (control, *turned):
        assert (row["fakes"], row["stay fake"], row["reals"], row["turn fake"]) == ("1", "1", "1", "0")
    with out.open(newline="") as lines:
        assert list(csv.DictReader(lines)) == [control, *turned]


@pytest.mark.slow
def test_pictures_that_the_model_is_wrong_about_are_left_out(portraits, examples):
    shutil.copy(examples / "generated_2.jpg", portraits / "fake")  # the bundled model calls it real
    for count in ("1", "2"):
        control, turned = table(str(portraits), "--only", "by 180", "--count", count)
        assert (control["fakes"], control["stay fake"], turned["fakes"]) == ("1", "1", "1")


@pytest.mark.slow
def test_another_command_is_measured(portraits, tmp_path):
    """It blinds itself: no face is large enough."""
    wrapper = tmp_path / "blind.sh"
    wrapper.write_text('#!/bin/sh\nexec "$PYTHON" -m scanner "$@" --min-face 4000\n')
    rows = CliRunner(env={"PYTHON": sys.executable}).invoke(
        command, [str(portraits), "--only", "mirrored", "--facescan", f"sh {wrapper}"]
    )
    assert "| mirrored | 0 |" in rows.output


def test_a_folder_without_faces_is_refused(tmp_path, examples):
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        shutil.copy(examples / "faceless_coffee.jpg", tmp_path / label)
    done = CliRunner().invoke(command, [str(tmp_path)])
    assert done.exit_code == 1
    assert "no face was found in any of 1 real pictures" in done.output


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_every_change_makes_a_picture(examples, name):
    picture = decode((examples / "generated_3.jpg").read_bytes()).picture
    portrait = Portrait(picture[:320, 100:420], (48, 60, 217, 255), True, picture)
    decoded = decode(content(CHANGES[name](portrait)))
    assert decoded.picture is not None
    assert min(decoded.picture.shape[:2]) > 40


def rows(*cells: tuple[str, float | None]) -> list[dict[str, object]]:
    return [{"verdict": verdict, "p_fake": p} for verdict, p in cells]


def test_verdicts_are_counted_for_those_that_were_right_before():
    before = rows(("fake", 0.9), ("fake", 0.8), ("real", 0.1), ("real", 0.1), ("fake", 0.9))
    fake = [True, True, True, False, False]
    found = figures(
        {
            "control": before,
            "here": rows(("real", 0.1), ("fake", 0.7), ("fake", 0.9), ("fake", 0.9), ("real", 0.0)),
            "there": rows(("fake", 0.9), ("no_face", None), ("fake", 0.9), ("no_face", None), ("real", 0.0)),
        },
        fake,
        "control",
        ["here", "there"],
    )
    assert found == [
        ("control", 2, 2, 0, 0, 0, "0.000", 1, 0, 0, "0.000"),
        ("here", 2, 1, 0, 1, 0, "0.450", 1, 1, 0, "0.800"),
        ("there", 2, 1, 0, 0, 1, "0.000", 1, 0, 1, ""),
        (ANYWHERE, 2, 0, 0, 1, 1, "0.800", 1, 1, 0, ""),
    ]
