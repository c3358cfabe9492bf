"""The commands, as they are installed, in the company of projects that have a `scanner` or a `train` of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.readme_blocks import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture
def site(tmp_path) -> Path:
    """A folder like site-packages, with what is installed there beside our packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    for source, target in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].items():
        shutil.copy(ROOT / source, folder / target)
    return folder


def start(command: str, site: Path, project: Path) -> subprocess.CompletedProcess[str]:
    """Run it as the script does that pip makes."""
    module, function = PYPROJECT["project"]["scripts"][command].split(":")
    script = f"import sys; from {module} import {function}; sys.exit({function}())"
    path = os.pathsep.join(map(str, [project, site, ROOT]))
    return subprocess.run(
        [sys.executable, "-c", script, "--version"],
        cwd=site, env=clean_environment() | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", ["facescan", "facescan-train"])
@pytest.mark.parametrize(
    "files",
    [
        {"scanner/__init__.py": ""},
        {"scanner/__init__.py": "", "scanner/cli.py": "def main(): print('another program')"},
        {"scanner.py": "print('ran'); raise SystemExit(1)"},
        {"train.py": "print('ran')"},
        {"train/__init__.py": "", "scanner/__init__.py": "1 / 0", "scanner/cli.py": ""},
        {"click.py": "raise ImportError('no click')"},
        {"scanner/notes.txt": "a folder without __init__.py is in nobody's way", "cli.py": ""},
        {},
    ],
)
def test_another_projects_packages_are_no_finding(site, tmp_path, command, files):
    project = tmp_path / "project"
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    done = start(command, site, project)
    in_the_way = set(files) - {"scanner/notes.txt", "cli.py", *(["train.py"] if command == "facescan" else [])}
    if not in_the_way:
        assert (done.returncode, done.stderr) == (0, "")
        return
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"{command}: cannot start: \w+: .*; unset PYTHONPATH \(.*\) or install .*\n", done.stderr)
