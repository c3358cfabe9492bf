"""Every command of every document runs as it is printed there, one after the other, and does what it is there for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import clean_environment
from tests.readme_blocks import DOCUMENTS, MANUAL, README, ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
# What a test cannot do, by what only such a line holds.
NOT_HERE = {
    "pip install": "makes or changes an environment; the README's two install facescan before these tests run",
    ".venv/bin/activate": "changes the shell that it is typed into",
    "pre-commit install": "changes this checkout",
    "python -m pytest": "runs these tests",
    ".ci/run": "runs these tests",
    "ruff ": "rewrites this checkout; .ci/run checks it",
    "mypy ": "takes a minute; .ci/run runs it",
    "lint-imports ": "checks this checkout, not the folder of these tests; .ci/run runs it",
    "python -m tests.": "takes hours",
    "HOST:PORT": "needs a cluster; tests/test_ray_engine.py has one of its own",
    " --data ": "trains or measures a network; tests/train does so on a few small pictures",
    "--model runs/": "runs a network that the line before trains",
}
# Tells of the files that are written into and moved into the folder, if it is asked for both; then it ends.
INOTIFYWAIT = """#!/bin/sh
[ "$1 $2 $4 $5 $6" = "-mq -e --format %w%f up" ] || exit 1
cp one.jpg up/written.jpg
cp one.jpg "$TMPDIR/moved.jpg"
mv "$TMPDIR/moved.jpg" up/moved.jpg
case ",$3," in *,close_write,*) echo up/written.jpg ;; esac
case ",$3," in *,moved_to,*) echo up/moved.jpg ;; esac
"""


def fenced(language: str, document: Path) -> list[str]:
    """Return the contents of the blocks of one language in a document."""
    return re.findall(rf"^```{language}\n(.*?)```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def blocks() -> list[list[str]]:
    """Return the lines of the shell blocks that can be run here."""
    found = [block for document in DOCUMENTS for block in fenced("sh", document)]
    lines = [[line for line in block.splitlines() if not any(word in line for word in NOT_HERE)] for block in found]
    return [block for block in lines if block]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, toy: Path, examples: Path) -> Path:
    """A folder to stand in, with all that the commands name, and `facescan` on the path."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("bin", "uploads", "uploads/sub", "up", "tmp"):
        (folder / name).mkdir()
    for name in ("one.jpg", "uploads/fake.jpg"):
        shutil.copy(examples / "generated_3.jpg", folder / name)
    shutil.copy(examples / "generated_3.jpg", folder / "uploads/hash")
    shutil.copy(examples / "faceless_cat.jpg", folder / "uploads/sub/cat.jpg")
    shutil.copy(toy, folder / "my-detector.onnx")
    (folder / "stamp").touch()
    os.utime(folder / "stamp", (0, 0))
    start = f'#!/bin/sh\nexec "{sys.executable}" -m'
    programs = {
        "facescan": f'{start} scanner "$@"\n',
        "facescan-train": f'{start} train.cli "$@"\n',
        "inotifywait": INOTIFYWAIT,
    }
    for name, program in programs.items():
        (folder / "bin" / name).write_text(program)
        (folder / "bin" / name).chmod(0o755)
    return folder


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """As a shell runs it; with a model that is quick, unless the line names one."""
    own = {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(folder / "tmp"),
        "FACESCAN_MODEL": "my-detector.onnx",
        "url": (folder / "one.jpg").as_uri(),
        "AWS_BATCH_JOB_ARRAY_INDEX": "3",
    }
    command = ["bash", "-c", line]
    return subprocess.run(
        command, cwd=folder, env=clean_environment() | own, capture_output=True, text=True, check=False, timeout=120
    )


def needed(lines: list[str]) -> list[str]:
    """Programs that are not ours."""
    return [name for name in ("curl", "jq", "awk", "find") if any(line.startswith(f"{name} ") for line in lines)]


@pytest.mark.slow
@pytest.mark.parametrize("lines", blocks(), ids=lambda lines: lines[0].split("#")[0].strip())
def test_every_line_runs_as_printed(here: Path, lines: list[str], request: pytest.FixtureRequest) -> None:
    if missing := [name for name in needed(lines) if shutil.which(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    if any("s3://" in line for line in lines):
        fill(request.getfixturevalue("s3"), here)
    for line in lines:
        done = run(line, here)
        assert done.returncode in (0, 1), f"{line}\n{done.stderr}"
        assert "facescan: " not in done.stderr, f"{line}\n{done.stderr}"
        if "inotifywait" in line:
            assert re.findall(r'"path": "(.*?)"', done.stdout) == ["up/written.jpg", "up/moved.jpg"]
        if line.startswith("find"):
            rows = (here / "new.csv").read_text().splitlines()[1:]
            assert sorted(row.partition(",")[0] for row in rows) == [
                "uploads/fake.jpg", "uploads/hash", "uploads/sub/cat.jpg"
            ]  # fmt: skip


def fill(s3: Any, folder: Path) -> None:
    """The bucket of the README."""
    s3.create_bucket(Bucket="bucket")
    for name in "abcdefgh":
        s3.upload_file(str(folder / "one.jpg"), "bucket", f"prefix/{name}.jpg")


def test_nothing_is_left_out_that_can_be_run():
    """The reasons above are of lines that are there, and of no more than those."""
    lines = [line for document in DOCUMENTS for block in fenced("sh", document) for line in block.splitlines()]
    assert {word for word in NOT_HERE if not any(word in line for line in lines)} == set()
    assert sum(map(len, blocks())) >= 30


def test_every_command_is_in_a_block_that_is_run():
    """A `console` block, whose lines begin with a prompt, is run by nobody but for the README's transcript."""
    consoles = {document: len(fenced("console", document)) for document in DOCUMENTS}
    assert {document: count for document, count in consoles.items() if count} == {README: 1}
    assert not any(fenced(language, document) for language in ("bash", "shell") for document in DOCUMENTS)


def test_the_configuration_of_the_manual_is_taken(here: Path) -> None:
    (configuration,) = fenced("toml", MANUAL)
    (here / "manual.toml").write_text(configuration)
    done = run("facescan ./uploads --config manual.toml --out - --format json", here)
    assert '"configured": ["exclude", "fpr", "fail-on"]' in " ".join(done.stdout.split()), done.stderr


@pytest.mark.slow
def test_the_queries_of_the_manual_are_answered(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    run("facescan ./uploads --threshold 0 --out results.parquet", here)
    monkeypatch.chdir(here)
    (queries,) = fenced("sql", MANUAL)
    findings, metadata = (duckdb.sql(query).fetchall() for query in re.findall(r"SELECT .*?;", queries))
    assert len(findings) == 3
    assert "facescan.model" in dict(metadata)


@pytest.mark.slow
def test_the_library_does_what_the_readme_shows(here: Path) -> None:
    (program,) = fenced("python", README)
    (here / "program.py").write_text(program)
    done = run(f"{sys.executable} program.py", here)
    assert re.findall(r"^uploads/(\S+) \w+$", done.stdout, re.MULTILINE) == ["fake.jpg", "hash", "sub/cat.jpg"], (
        done.stderr
    )


@pytest.mark.parametrize("document", [README, MANUAL], ids=["README", "manual"])
def test_the_hook_is_that_of_the_example_which_is_tried(document: Path) -> None:
    hooks = [text for text in fenced("yaml", document) if text.startswith("repos:")]
    example = (ROOT / "examples" / "pre-commit-config.yaml").read_text("utf-8")
    assert len(hooks) == 1
    assert hooks[0] in example
