"""What Tab offers in bash, zsh and fish: asked as their scripts ask, and in the shells themselves if they are there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from scanner.cli import command
from scanner.detector.model import bundled_models
from tests.conftest import clean_environment
from tests.readme_blocks import ROOT
from train.recipes import RECIPES

FILES = ["--out", "-o", "--summary", "--report", "--baseline", "--files-from", "--cache", "--config", "--model"]
FOLDERS = ["--ela-dir", "--explain"]
SHELLS = ["bash", "zsh", "fish"]


def offered(shell: str, line: str, program: str = "facescan", module: str = "scanner") -> list[tuple[str, str]]:
    """Kind and text of everything that a program offers for the last word of a line; it may be empty."""
    words = line.split(" ")
    number = words[-1] if shell == "fish" else str(len(words) - 1)
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    asked = {variable: f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": number}
    done = subprocess.run(
        [sys.executable, "-m", module], env=clean_environment() | asked, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    if shell == "zsh":  # a line each for kind, text and description
        return list(zip(lines[::3], lines[1::3], strict=True))
    return [(kind, text) for kind, _, text in (line.partition(",") for line in lines)]


@pytest.mark.parametrize("shell", SHELLS)
def test_models_by_name_and_as_files(shell):
    names = [("plain", name) for name in bundled_models()]
    assert len(names) > 1
    assert offered(shell, "facescan --model ") == [("file", ""), *names]
    assert offered(shell, "facescan a.png --model comp") == [("file", "comp"), ("plain", "composites")]


@pytest.mark.slow
@pytest.mark.parametrize("option", FILES)
def test_files(option):
    assert ("file", "up") in offered("bash", f"facescan {option} up")


@pytest.mark.parametrize("option", FOLDERS)
def test_folders(option):
    assert offered("bash", f"facescan {option} up") == [("dir", "up")]


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_scanned(shell):
    assert offered(shell, "facescan up") == [("file", "up")]


def test_every_option_that_takes_a_file_or_a_folder_is_tried_here():
    taking = [p for p in command.params if isinstance(p, click.Option) and p.metavar in ("FILE", "NAME|FILE", "LIST")]
    assert {name for option in taking for name in option.opts} == set(FILES)
    taking = [p for p in command.params if isinstance(p, click.Option) and p.metavar == "DIR"]
    assert {name for option in taking for name in option.opts} == set(FOLDERS)


def test_a_configuration_that_is_broken_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.facescan]\nbroken")
    monkeypatch.chdir(tmp_path)
    assert offered("bash", "facescan --region f") == [("plain", "face")]


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_training_offers_commands_recipes_and_models(shell):
    def asked(line: str) -> list[str]:
        found = offered(shell, line, "facescan-train", "train.cli")
        return [text.split("\t")[0] for kind, text in found if kind == "plain"]  # fish has descriptions behind them

    assert asked("facescan-train f") == ["fit"]
    assert asked("facescan-train fit ") == list(RECIPES)
    assert asked("facescan-train evaluate comp") == ["composites"]


@pytest.fixture
def path(tmp_path) -> str:
    """A PATH with `facescan` on it."""
    program = tmp_path / "bin" / "facescan"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}:$PYTHONPATH" exec "{sys.executable}" -m scanner "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def ask(path: str, *call: str, cwd: Path) -> list[str]:
    environment = clean_environment() | {"PATH": path, "HOME": str(cwd)}
    done = subprocess.run(call, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "replies"),
    [
        ("facescan --model comp", ["-o default", "composites"]),
        ("facescan --report ''", ["-o default"]),
        ("facescan --explain ''", ["-o dirnames"]),
        ("facescan --isol", ["--isolated"]),
    ],
)
def test_bash(tmp_path, path, words, replies):
    """As readline does it; `compopt` would add to the replies what the shell itself finds, and only says so here."""
    script = f"""
        eval "$(_FACESCAN_COMPLETE=bash_source facescan)"
        compopt() {{ echo "$@"; }}
        COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _facescan_completion facescan
        for reply in "${{COMPREPLY[@]}}"; do echo "$reply"; done"""
    assert ask(path, "bash", "--norc", "-c", script, cwd=tmp_path) == replies


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("facescan --model comp", ["comparison.onnx", "composites"]),
        ("facescan --summary comp", ["comparison.onnx"]),
        ("facescan --explain f", ["folder/"]),
        ("facescan --region f", ["face"]),
    ],
)
def test_fish(tmp_path, path, line, replies):
    (tmp_path / "comparison.onnx").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    script = f'_FACESCAN_COMPLETE=fish_source facescan | source; complete --do-complete "{line}"'
    found = ask(path, "fish", "--no-config", "--command", script, cwd=tmp_path)
    assert sorted(text.split("\t")[0] for text in found) == replies


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_takes_the_script(tmp_path, path):
    script = (
        'autoload -U compinit; compinit -D; eval "$(_FACESCAN_COMPLETE=zsh_source facescan)"; echo $_comps[facescan]'
    )
    assert ask(path, "zsh", "--no-rcs", "-c", script, cwd=tmp_path) == ["_facescan_completion"]
