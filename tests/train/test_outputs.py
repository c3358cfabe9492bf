"""Commands of facescan-train replace what they wrote, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow, of the extra [train]")

from tests.pictures import encode, scene
from train.cli import main

FOREIGN = {
    "picture": encode(scene(), "JPEG"),
    "notes": b"what we measured in May\n",
    "index": b"path,label,set\na.jpg,real,old\n",
    "json": b'{"model": "x", "rows": []}',
    "page": b"<!doctype html>\n<title>Holidays</title>\n",
    "model without a card": b"\x08\x08\x12\x05keras",
}


def evaluate(toy: Path, index: Path, *options: str) -> int:
    return main(["evaluate", str(toy), "--data", str(index), *options])


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("option", ["--out", "--predictions", "--html"])
def test_evaluate_replaces_no_file_of_another_kind(toy, index, tmp_path, capsys, what, option):
    file = tmp_path / "there"
    file.write_bytes(FOREIGN[what])
    assert evaluate(toy, index, option, str(file)) == 2
    out, said = capsys.readouterr()
    assert out == ""
    assert f"facescan-train: {option} {file}: this file exists, is not an evaluation's " in said
    assert file.read_bytes() == FOREIGN[what]


def test_evaluate_replaces_what_it_wrote(toy, index, tmp_path):
    pytest.importorskip("jinja2", reason="needs the extra report")
    files = {"--out": tmp_path / "f.json", "--predictions": tmp_path / "p.csv", "--html": tmp_path / "e.html"}
    options = [str(word) for pair in files.items() for word in pair]
    assert evaluate(toy, index, *options) == 0
    before = files["--predictions"].read_text()
    files["--out"].write_text(json.dumps(json.loads(files["--out"].read_text())))
    assert evaluate(toy, index, *options) == 0
    assert files["--predictions"].read_text() == before
    for option, other in (("--out", "--predictions"), ("--predictions", "--html"), ("--html", "--out")):
        assert evaluate(toy, index, option, str(files[other])) == 2


@pytest.mark.parametrize("what", FOREIGN)
def test_a_card_is_written_into_no_file_of_another_kind(toy, tmp_path, capsys, what):
    file, card = tmp_path / "there", tmp_path / "card.json"
    assert main(["card", str(toy)]) == 0
    card.write_text(capsys.readouterr().out)
    file.write_bytes(FOREIGN[what])
    assert main(["card", str(toy), "--set", str(card), "--out", str(file)]) == 2
    assert f"--out {file}: this file exists, is not a model with a card of facescan" in capsys.readouterr().err
    assert file.read_bytes() == FOREIGN[what]
    file.unlink()
    for _ in range(2):
        assert main(["card", str(toy), "--set", str(card), "--out", str(file)]) == 0


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_export_replaces_no_file_of_another_kind(index, tmp_path, capsys, precision):
    file = tmp_path / "there"
    file.write_bytes(FOREIGN["picture"])
    options = ["--data", str(index), "--precision", precision, "--out", str(file)]
    assert main(["export", str(tmp_path), *options]) == 2
    assert f"--out {file}: this file exists, is not a model with a card of facescan" in capsys.readouterr().err
    assert file.read_bytes() == FOREIGN["picture"]
