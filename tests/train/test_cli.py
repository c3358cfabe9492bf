from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow, of the extra [train]")

from scanner.cli import main as scan
from scanner.model import DEFAULT_MODEL
from train.cli import main
from train.recipes import RECIPES, Split


def test_list_names_every_recipe(capsys):
    assert main(["list"]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)
    assert len(lines) == 20
    (kim,) = [line for line in lines if line.startswith("kim-cnn ")]
    assert "99.61%" in kim
    assert "HaeLee Kim" in kim


def test_list_shows_one_recipe_whole(capsys):
    assert main(["list", "gautam-fusion-3"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["options"] == {"branches": ["cnn", "mobilenet"]}
    assert "custom CNN and MobileNet" in shown["notes"]


def test_reproduce_trains_on_the_studys_set_and_shows_both_figures(tmp_path, capsys, monkeypatch):
    """ceng-simplecnn, for one epoch, on pictures of which some are of another set."""
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    random = np.random.default_rng(0)
    rows = [("path", "label", "set")]
    for i in range(72):
        label, name = ("real", "fake")[i % 2], "other" if i < 12 else "faces140k"
        pixels = cv2.resize(random.integers(0, 256, (4, 4, 3), np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
        (tmp_path / f"{i}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        rows.append((f"{i}.png", label, name))
    with (tmp_path / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    arguments = ["reproduce", "ceng-simplecnn", "--data", str(tmp_path / "index.csv"), "--out", str(tmp_path / "runs")]
    assert main([*arguments, "--epochs", "1", "--seed", "3"]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("| ceng-simplecnn | 0.9800 | re-encoded, seed 3 |")
    folder = tmp_path / "runs" / "ceng-simplecnn" / "re_encoded_seed_3"
    record = json.loads((folder / "run.json").read_text())
    assert record["sets"] == ["faces140k"]
    assert record["tf_enable_onednn_opts"] == "1"
    assert sum(len(part) for part in record["splits"].values()) == 60
    assert record["planned"]["epochs"] == record["epochs"] == 1
    assert {file.name for file in folder.iterdir()} >= {
        "ceng-simplecnn.onnx", "ceng-simplecnn.keras", "run.json", "history.csv", "curves.png", "roc.png",
        "confusion.png", "evaluation.json",
    }  # fmt: skip
    scanned = ["--model", str(folder / "ceng-simplecnn.onnx"), "--out", str(tmp_path / "out.csv"), "--exit-zero", "-q"]
    assert scan([str(tmp_path / "0.png"), *scanned]) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fit", "defalt", "--data", "{index}", "--out", "{tmp}"], "did you mean default?"),
        (
            ["fit", "kim-cnn", "--data", "{index}", "--out", "{tmp}", "--sets", "olds"],
            "no pictures of olds among new, old",
        ),
        (
            ["fit", "default", "--data", "{index}", "--out", "{tmp}", "--leave-out", "old", "--leave-out", "older"],
            "no pictures of older among new, new/fake, new/real, old, old/fake, old/real",
        ),
        (["fit", "gautam-cnn", "--data", "{index}", "--out", "{tmp}"], "too few pictures for a test of 300 real"),
        (["fit", "kim-cnn", "--data", "{index}", "--out", "{tmp}", "--test", "0.6", "--validation", "0.5"], "--test"),
        (["fit", "default", "--data", "{index}", "--out", "{tmp}", "--weights", "no.h5"], "no file 'no.h5'"),
        (["fit", "kim-cnn", "--data", "{index}", "--out", "{tmp}", "--weights", "no.h5"], "no backbone"),
        (["fit", "kim-cnn", "--data", "{index}", "--out", "/proc/out"], "/proc/out: No such file"),
        (["reproduce", "default", "--data", "{index}", "--out", "{tmp}"], "use facescan-train fit default"),
        (["reproduce", "kim-cnn", "--data", "{index}", "--out", "{tmp}"], "no pictures of hardfake among new, old"),
        (["fit", "default", "--data", "{tmp}", "--out", "{tmp}"], "neither an index nor a folder with real/ and fake/"),
        (["evaluate", "nothing.onnx", "--data", "{index}"], "no model 'nothing.onnx'"),
        (["evaluate", "{index}", "--data", "{index}"], "no ONNX file, or not all of it"),
        (["evaluate", "{toy}", "--data", "{index}", "--run", "{index}"], "no record of a run"),
        (["evaluate", "{toy}", "--data", "{index}", "--out", "{tmp}/no/where.json"], "No such file or directory"),
        (["evaluate", "{toy}", "--data", "{index}", "--html", "/proc/page.html"], "/proc/page.html: No such file"),
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
        ["fit", "default"],
        ["fit", "default", "--data", "no-such-place", "--out", "x"],
        ["fit", "default", "--data", ".", "--out", "x", "--epochs", "0"],
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


@pytest.mark.parametrize(
    ("index", "sets"),
    [("path,label\na,real\nb,fake\n", ()), ("path,label,set\na,real,s\nb,fake,t\n", ("hardfake",))],
)
def test_only_an_index_that_names_sets_is_asked_for_the_studys(index, sets, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("train.cli._run", lambda recipe, data, out, changes: asked.append(changes["sets"]))
    (tmp_path / "index.csv").write_text(index)
    assert main(["reproduce", "kim-cnn", "--data", str(tmp_path / "index.csv"), "--out", str(tmp_path)]) == 0
    assert asked == [sets]


def test_one_share_changes_the_rule_of_its_own_split_only(monkeypatch):
    asked: list[Split] = []
    monkeypatch.setattr("train.cli._run", lambda recipe, *_: asked.append(recipe.split))
    own = RECIPES["default"].split
    arguments = ["fit", "default", "--data", ".", "--out", "unused"]
    assert [main([*arguments, "--validation", "0.1"]), main([*arguments, "--test", "0.3"])] == [0, 0]
    assert asked == [
        replace(own, validation=0.1, validation_sets=()),
        replace(own, test=0.3, test_sets=()),
    ]


@pytest.mark.parametrize("missing", ["tensorflow", "keras", "sklearn"])
def test_without_the_extra_the_message_says_what_to_install(missing, index, tmp_path):
    script = (
        f"import sys; sys.modules[{missing!r}] = None; from train.cli import main;"
        f"sys.exit(main(['fit', 'default', '--data', {str(index)!r}, '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = f"{missing} is missing: pip install tensorflow keras tf2onnx onnx scikit-learn matplotlib"
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_backend_that_cannot_train_is_named_in_one_line(index, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    assert main(["fit", "default", "--data", str(index), "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("facescan-train: KERAS_BACKEND=numpy: nothing that trains; use tensorflow")


def test_a_reader_that_has_seen_enough_is_no_trouble():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "train.cli", "list"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_help_loads_nothing_heavy():
    script = (
        "import sys; from train.cli import main; assert main(['--help']) == main(['fit', '--help']) == 0;"
        "print({'cv2', 'keras', 'onnxruntime', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_default_model_has_a_recipe():
    assert DEFAULT_MODEL in RECIPES
