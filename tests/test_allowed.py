"""Pictures that somebody allowed: `.facescanignore`, its dates and its reasons; and what a refused commit is told."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path

import pytest

from scanner.errors import FacescanError
from scanner.output.allowed import read_allowed
from tests.pictures import flat

FAR, PAST = "2999-12-31", "2020-01-31"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder with a fake and a real picture, by the model `toy`."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "uploads").mkdir()
    flat(tmp_path / "fake.png", 200)
    flat(tmp_path / "uploads" / "other.png", 210)
    return tmp_path


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{}", 0),
        ("{}  # checked by Ann", 0),
        (f"{{}}  until {FAR}  # checked by Ann", 0),
        (f"{{}} until {PAST}", 1),
        ("# {}", 1),
        ("0" * 64, 1),
    ],
)
def test_an_allowed_picture_does_not_count(facescan, toy, project, line, code):
    (project / ".facescanignore").write_text(f"\n# reviewed\n{line.format(sha256_of(project / 'fake.png'))}\n")
    done = facescan("fake.png", "--model", toy, "--format", "jsonl")
    assert done.returncode == code
    row = json.loads(done.stdout)
    assert (row["verdict"], row["baseline"]) == ("fake", code == 0)  # the row is there all the same
    assert (f"allowed until {PAST}, which has passed" in done.stderr.decode()) == (PAST in line)
    assert f"allowed    by {project / '.facescanignore'}" in done.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["abc", "0" * 63, "0" * 64 + " because", "0" * 64 + " until tomorrow", "0" * 64 + " until 2026-13-01"]
)
def test_a_line_that_cannot_be_understood_ends_the_scan(facescan, toy, project, line):
    (project / ".facescanignore").write_text(f"# why\n{line}\n")
    done = facescan("fake.png", "--model", toy)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b".facescanignore, line 2: expected a SHA-256" in done.stderr


@pytest.mark.slow
def test_a_list_among_the_uploads_allows_nothing(facescan, toy, project):
    (project / "uploads" / ".facescanignore").write_text(sha256_of(project / "uploads" / "other.png"))
    assert facescan("uploads", "--model", toy).returncode == 1
    (project / ".facescanignore").write_text(sha256_of(project / "uploads" / "other.png"))
    done = facescan(".", "--model", toy)
    assert done.returncode == 1
    assert b"is not used: it lies in a folder that is scanned; use --baseline" in done.stderr
    assert facescan("uploads", "--model", toy).returncode == 0
    assert facescan("uploads", "--model", toy, "--isolated").returncode == 1


@pytest.mark.slow
def test_baseline_takes_such_a_list_too(facescan, toy, project):
    lines = [sha256_of(file) for file in (project / "fake.png", project / "uploads" / "other.png")]
    (project / "allowed.txt").write_text(f"{lines[0]}\n{lines[1]} until {PAST}\n")
    done = facescan(".", "--model", toy, "--baseline", "allowed.txt")
    assert done.returncode == 1  # other.png
    assert b"allowed.txt, line 2: allowed until" in done.stderr
    assert facescan("fake.png", "--model", toy, "--baseline", "allowed.txt").returncode == 0


def test_the_last_day_counts(tmp_path):
    (tmp_path / "list").write_text("A" * 64 + " until 2026-03-01")
    assert read_allowed(str(tmp_path / "list"), datetime.date(2026, 3, 1)) == (frozenset({"a" * 64}), [])
    assert read_allowed(str(tmp_path / "list"), datetime.date(2026, 3, 2))[0] == frozenset()


def test_a_list_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "list").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(FacescanError, match="not UTF-8 text"):
        read_allowed(str(tmp_path / "list"))


@pytest.mark.slow
def test_pre_commit_shows_the_line_that_allows_a_picture(facescan, toy, project):
    words = ("fake.png", "--model", toy, "--quiet", "--only", "fake,uncertain,error")
    told = facescan(*words, PRE_COMMIT="1").stderr.decode().splitlines()
    assert told[0].startswith("the model toy 1 calls a picture fake if its score is at least 0.6000")
    (project / ".facescanignore").write_text(told[-1])  # the line as it was shown
    allowed = facescan(*words, PRE_COMMIT="1")
    assert (allowed.returncode, allowed.stderr) == (0, b"")
    assert facescan("uploads", *words[1:]).stderr == b""  # nobody else is told
