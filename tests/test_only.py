"""--only: which rows are written; all are counted."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.pictures import flat

VERDICTS = {"fake": 200, "uncertain": 128, "real": 50}


@pytest.fixture
def pictures(tmp_path):
    for name, level in VERDICTS.items():
        flat(tmp_path / f"{name}.png", level)
    (tmp_path / "error.png").write_bytes(b"no picture")


@pytest.mark.slow
@pytest.mark.parametrize("only", ["fake", "fake,uncertain", "error, real", "fake,uncertain,real,no_face,error"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "json", "text"])
def test_only_these_rows_are_written(facescan, toy, pictures, only, form):
    done = facescan(".", "--model", toy, "--only", only, "--format", form, "--summary", "s.json")
    text = done.stdout.decode()
    if form == "csv":
        found = [row["verdict"] for row in csv.DictReader(io.StringIO(text))]
    elif form == "text":
        found = [line.split()[0] for line in text.splitlines()]
    elif form == "json":
        found = [row["verdict"] for row in json.loads(text)["results"]]
    else:
        found = [json.loads(line)["verdict"] for line in text.splitlines()]
    wanted = {word.strip() for word in only.split(",")}
    assert sorted(found) == sorted(wanted & {*VERDICTS, "error"})
    assert done.returncode == 1  # the fake counts, whether its row is written or not
    assert b"files      4" in done.stderr


@pytest.mark.slow
def test_summaries_and_the_report_count_all(facescan, toy, pictures, tmp_path):
    pytest.importorskip("jinja2", reason="needs the extra report")
    facescan(".", "--model", toy, "--only", "error", "--out", "r.json", "--report", "r.html", "--summary", "s.json")
    rows = json.loads((tmp_path / "r.json").read_text())
    assert [row["path"] for row in rows["results"]] == ["./error.png"]
    assert rows["summary"]["files"] == json.loads((tmp_path / "s.json").read_text())["summary"]["files"] == 4
    assert rows["meta"]["settings"]["only"] == ["error"]
    assert "fake.png" in (tmp_path / "r.html").read_text()


def test_an_unknown_verdict_is_refused(facescan, toy, pictures):
    done = facescan(".", "--model", toy, "--only", "fake,reel")
    assert done.returncode == 2
    assert b"'reel' is none of fake, real, uncertain, no_face, error, marked" in done.stderr
