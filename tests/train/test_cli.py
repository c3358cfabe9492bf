from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, of the extra [train]")

from scanner.model import DEFAULT_MODEL
from train.cli import main


def test_list_names_every_recipe(capsys):
    assert main(["list"]) == 0
    assert capsys.readouterr().out.startswith("starter\t")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fit", "startr", "--data", "{index}", "--out", "{tmp}"], "did you mean starter?"),
        (["fit", "starter", "--data", "{tmp}", "--out", "{tmp}"], "neither an index nor a folder with real/ and fake/"),
        (["evaluate", "nothing.onnx", "--data", "{index}"], "no model 'nothing.onnx'"),
        (["evaluate", "{index}", "--data", "{index}"], "onnxruntime cannot load it"),
        (["evaluate", "{toy}", "--data", "{index}", "--run", "{index}"], "no record of a run"),
        (["evaluate", "{toy}", "--data", "{index}", "--out", "{tmp}/no/where.json"], "No such file or directory"),
    ],
)
def test_a_run_that_cannot_go_on_says_so_in_one_line(arguments, complaint, index, toy, tmp_path, capsys):
    places = {"index": index, "tmp": tmp_path, "toy": toy}
    assert main([argument.format(**places) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("facescan-train: ")
    assert complaint in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["fit", "starter"],
        ["fit", "starter", "--data", "no-such-place", "--out", "x"],
        ["fit", "starter", "--data", ".", "--out", "x", "--epochs", "0"],
        ["evaluate", "--data", "."],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    assert main(arguments) == 2
    assert "Error: " in capsys.readouterr().err


def test_evaluate_prints_tables_and_writes_json(toy, index, tmp_path, capsys):
    figures = tmp_path / "figures.json"
    assert main(["evaluate", str(toy), "--data", str(index), "--out", str(figures)]) == 0
    assert "toy, pictures re encoded" in capsys.readouterr().out
    rows = json.loads(figures.read_text())["rows"]
    assert {row["name"] for row in rows["jpeg50"] if row["scope"] == "pooled"} == {"all"}


def test_evaluate_keeps_to_the_test_pictures_of_a_run(toy, index, tmp_path, capsys):
    record, figures = tmp_path / "run.json", tmp_path / "figures.json"
    record.write_text(json.dumps({"splits": {"test": [f"old_{i}.jpg" for i in (0, 1, 4, 5, 8)]}}))
    assert main(["evaluate", str(toy), "--data", str(index), "--run", str(record), "--out", str(figures)]) == 0
    pooled = json.loads(figures.read_text())["rows"]["as_found"][0]
    assert (pooled["n_real"], pooled["n_fake"]) == (3, 2)


@pytest.mark.parametrize("missing", ["tensorflow", "keras", "sklearn"])
def test_without_the_extra_the_message_says_what_to_install(missing, index, tmp_path):
    script = (
        f"import sys; sys.modules[{missing!r}] = None; from train.cli import main;"
        f"sys.exit(main(['fit', 'starter', '--data', {str(index)!r}, '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'facescan[train]'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_help_loads_nothing_heavy():
    script = (
        "import sys; from train.cli import main; assert main(['--help']) == main(['fit', '--help']) == 0;"
        "print({'cv2', 'keras', 'onnxruntime', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_default_model_has_a_recipe():
    from train.recipes import RECIPES

    assert DEFAULT_MODEL in RECIPES
