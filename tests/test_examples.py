"""Every file of examples/ does what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.readme_blocks import ROOT

EXAMPLES = ROOT / "examples"
PICTURES = EXAMPLES / "pictures"


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run with this environment's `facescan` on the path and no configuration but the example's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The examples are tried here, not the detector: nearly every face is to be called fake.
    own = {"PATH": path, "PRE_COMMIT_HOME": str(cwd / ".pre-commit"), "FACESCAN_THRESHOLD": "0.01"}
    return subprocess.run(command, cwd=cwd, env=os.environ | own, capture_output=True, text=True, check=False)


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """The sample pictures under awkward names, and a file that is none."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    for file in PICTURES.glob("*.jpg"):
        shutil.copy(file, folder / f'it\'s a "{file.stem}".jpg')
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.mark.slow
@needs("jq")
def test_moderate_moves_fakes_lists_doubts_and_raises_the_alarm(uploads, tmp_path):
    before = {file.name for file in uploads.iterdir()}
    done = run(EXAMPLES / "moderate.sh", "uploads", "case", cwd=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "case" / "results.jsonl").read_text().splitlines()]
    by_verdict = {v: {Path(r["path"]).name for r in rows if r["verdict"] == v} for v in ("fake", "uncertain", "error")}
    moved = {file.name for file in (tmp_path / "case" / "fake").iterdir()}
    assert done.returncode == 1, done.stderr
    assert "alert.txt" in done.stderr
    assert moved == by_verdict["fake"] != set()
    assert {file.name for file in uploads.iterdir()} == before - moved
    assert (tmp_path / "case" / "alert.txt").read_text() == 'not_an_image\t"uploads/broken.jpg"\n'
    assert len((tmp_path / "case" / "review.txt").read_text().splitlines()) == len(by_verdict["uncertain"])
    assert json.loads((tmp_path / "case" / "summary.json").read_text())["summary"]["files"] == len(rows) == len(before)


@pytest.mark.slow
@needs("jq")
def test_moderate_finds_fakes_whatever_they_are_called(tmp_path):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    names = ["0123456789abcdef", "photo.jpg?w=600", "photo.jpg_large", ".hidden", "shot.jpg.1"]
    for name in names:
        shutil.copy(PICTURES / "generated_3.jpg", uploads / name)
    (uploads / "notes").write_text("no picture")
    (uploads / "link.jpg").symlink_to("/dev/zero")
    done = run(EXAMPLES / "moderate.sh", "uploads", "case", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(file.name for file in (tmp_path / "case" / "fake").iterdir()) == sorted(names)
    assert (tmp_path / "case" / "passed_over.txt").read_text() == "1\tno_picture\n1\tlinks\n"


@pytest.mark.slow
@needs("jq")
@pytest.mark.parametrize("before", ["nothing", "an earlier scan"])
def test_moderate_does_not_call_an_empty_scan_clean(tmp_path, before):
    (tmp_path / "uploads").mkdir()
    if before == "an earlier scan":
        shutil.copy(PICTURES / "generated_3.jpg", tmp_path / "uploads")
        assert run(EXAMPLES / "moderate.sh", "uploads", "case", cwd=tmp_path).returncode == 0
    (tmp_path / "uploads" / "notes.txt").write_text("no picture")
    done = run(EXAMPLES / "moderate.sh", "uploads", "case", cwd=tmp_path)
    assert done.returncode == 2
    assert "nothing was scanned" in done.stderr


@needs("jq")
def test_moderate_says_when_the_scan_fails(uploads, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.facescan]\nmodel = "no-such-model"\n')
    done = run(EXAMPLES / "moderate.sh", "uploads", "case", cwd=tmp_path)
    assert done.returncode == 2
    assert "no-such-model" in done.stderr


@pytest.mark.slow
@needs("sqlite3")
def test_sql_query_answers(uploads, tmp_path):
    shutil.copy(uploads / "broken.jpg", uploads / "broken again.jpg")
    run("facescan", "uploads", "--out", "results.csv", cwd=tmp_path)
    sql = EXAMPLES / "query.sql"
    done = run("sqlite3", ":memory:", ".import --csv results.csv results", f".read {sql}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^error +2 ", done.stdout, re.MULTILINE)
    assert re.search(r"^\w{12} +2 +uploads/broken again.jpg", done.stdout, re.MULTILINE)
    assert re.search(r"^not_an_image +uploads/broken.jpg", done.stdout, re.MULTILINE)


@pytest.mark.slow
@needs("jq")
def test_jq_query_answers(uploads, tmp_path):
    run("facescan", "uploads", "--out", "results.jsonl", cwd=tmp_path)
    done = run(EXAMPLES / "query.sh", "results.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^0\.\d+\t\d+,\d+,\d+,\d+\tuploads/", done.stdout, re.MULTILINE)
    assert "1\terror\tuploads" in done.stdout


@pytest.mark.slow
@needs("git")
def test_pre_commit_refuses_a_fake(tmp_path):
    """The real pre-commit, with the example's configuration, installs this working tree and runs it."""
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")
    kept = tmp_path / "facescan.git"
    run("git", "init", "-q", "--bare", kept, cwd=tmp_path)
    tree = (*git, f"--git-dir={kept}", f"--work-tree={ROOT}")
    run(*tree, "add", ".", cwd=ROOT)
    run(*tree, "commit", "-q", "--message", "as it is", cwd=ROOT)
    revision = run(*tree, "rev-parse", "HEAD", cwd=ROOT).stdout.strip()
    config = (EXAMPLES / "pre-commit-config.yaml").read_text()
    config = re.sub(r"repo: .*", f"repo: {kept.as_uri()}", config)
    config = re.sub(r"rev: .*", f"rev: {revision}", config)
    repository = tmp_path / "site"
    (repository / "tests" / "fixtures").mkdir(parents=True)
    (repository / ".pre-commit-config.yaml").write_text(config)
    run(*git, "init", "-q", cwd=repository)
    shutil.copy(PICTURES / "faceless_coffee.jpg", repository)
    fake = PICTURES / "generated_1.jpg"
    shutil.copy(fake, repository / "tests" / "fixtures")  # excluded, as the configuration says
    (repository / "notes.txt").write_text("no picture")
    run(*git, "add", ".", cwd=repository)

    clean = run("pre-commit", "run", cwd=repository)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    shutil.copy(fake, repository / "portrait.png")  # what it is tells the content, to pre-commit by its name
    run(*git, "add", ".", cwd=repository)
    refused = run("pre-commit", "run", cwd=repository)
    assert refused.returncode == 1
    assert re.search(r"^fake +[\d.]+ +portrait.png", refused.stdout, re.MULTILINE)
