"""Command lines that contradict themselves are refused; what they print is printed, or the trouble with it named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from scanner.cli import command, main
from tests.conftest import clean_environment
from tests.pictures import encode, scene
from train.cli import cli as training
from train.cli import main as train

# Two values for options that take no other text.
VALUES = {
    "--format": ("csv", "json"),
    "--threshold": ("0.5", "0.6"),
    "--fpr": ("0.5", "0.6"),
    "--region": ("face", "image"),
    "--fail-on": ("fake", "never"),
    "--shard": ("1/2", "2/2"),
    "--device": ("cpu", "auto"),
    "--engine": ("local", "ray"),
}


@pytest.fixture
def here(tmp_path, toy, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    (tmp_path / "a.png").write_bytes(encode(scene(), "PNG"))
    return tmp_path


def names(of: click.Command) -> list[str]:
    """Options that take one value."""
    options = [param for param in of.params if isinstance(param, click.Option)]
    return [max(option.opts, key=len) for option in options if not (option.is_flag or option.multiple)]


@pytest.mark.parametrize("option", names(command))
def test_an_option_of_one_value_takes_one(here, capfd, option):
    """The first one was dropped without a word: of two summaries, one was never written."""
    one, other = VALUES.get(option, ("1", "2"))
    assert main(["a.png", option, one, f"{option}={other}"]) == 2
    *_, line = capfd.readouterr().err.splitlines()
    assert line == f"Error: {option} takes one value, but was given {one!r} and {other!r}: give one."
    assert os.listdir() == ["a.png"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--threshold 1 --threshold 1 --threshold=1", 0),
        ("-q -q --quiet", 0),
        ("--out r.csv -o s.csv", 0),
        ("--threshold 0 --help --threshold 1", 0),
        ("--threshold 1 --threshold 1 --threshold 0", 2),
        ("-- --threshold 1 --threshold 0", 2),  # four files that are not there
    ],
)
def test_what_may_be_repeated(here, capfd, arguments, code):
    assert main(["a.png", "-q", *arguments.split()]) == code


def test_the_environment_and_the_command_line_are_not_a_contradiction(here, monkeypatch):
    monkeypatch.setenv("FACESCAN_SUMMARY", "one.md")
    assert main(["a.png", "-q", "--summary", "other.md"]) == 0
    assert sorted(os.listdir()) == ["a.png", "other.md"]


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ("fit default --data . --out one --out other", "--out"),
        ("fit default --data . --data .. --out one", "--data"),
        ("reproduce kim-cnn --data . --seed 1 --seed 2", "--seed"),
        ("evaluate default --data . --html one.html --html other.html", "--html"),
        ("export . --data . --precision int8 --precision fp16", "--precision"),
        ("card default --out one --out other", "--out"),
    ],
)
def test_training_takes_one_value_too(here, capsys, arguments, option):
    assert train(arguments.split()) == 2
    assert f"Error: {option} takes one value, but was given " in capsys.readouterr().err
    assert os.listdir() == ["a.png"]


def test_every_command_of_training_is_asked(here):
    assert len({type(command) for command in training.commands.values()}) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.png", "--out", "s3://bucket/r.csv"],
        ["a.png", "--out", "r.csv", "--out", "gs://bucket/r.csv"],
        ["a.png", "--summary", "s3://bucket/s.json"],
        ["a.png", "--report", "abfs://bucket/r.html"],
        ["a.png", "--ela-dir", "s3://bucket/maps"],
        ["a.png", "--explain", "s3://bucket/why"],
        ["a.png", "--cache", "s3://bucket/rows.db"],
    ],
)
def test_outputs_are_local_files(here, capfd, arguments):
    *_, option, url = arguments
    assert main(arguments) == 2
    scheme = url.split("://")[0]
    says = f"{option} {url}: cannot write to a URL; write a local file, and copy it to {scheme}:// afterwards"
    assert capfd.readouterr() == ("", f"facescan: {says}\n")
    assert os.listdir() == ["a.png"]


@pytest.mark.parametrize("option", ["--files-from", "--baseline", "--model"])
def test_what_is_not_scanned_is_read_from_local_files(here, capfd, option):
    assert main(["a.png", option, "s3://bucket/file"]) == 2
    says = f"{option} s3://bucket/file: cannot read a URL; download it first, and name the local file"
    assert capfd.readouterr().err == f"facescan: {says}\n"


def test_a_folder_whose_name_looks_like_a_url_can_be_named(here):
    (here / "s3:").mkdir()
    assert main(["a.png", "-q", "--out", "./s3://r.csv"]) == 0
    assert (here / "s3:" / "r.csv").exists()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--cache-info"], ["--list-models"]])
def test_what_cannot_be_printed_is_blamed_on_standard_output(here, arguments):
    with open("/dev/full", "wb") as full:
        call = [sys.executable, "-m", "scanner", *arguments]
        done = subprocess.run(call, env=clean_environment(), stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (2, b"facescan: standard output: No space left on device\n")
