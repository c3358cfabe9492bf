from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow, of the extra [train]")

from scanner.cli import main as scan
from scanner.detector.model import DEFAULT_MODEL
from train.cli import main
from train.own_recipes import as_toml
from train.recipes import RECIPES
from train.recipes.schema import Split


def test_list_names_every_recipe(capsys):
    assert main(["list"]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)
    assert len(lines) == 25
    (kim,) = [line for line in lines if line.startswith("kim-cnn ")]
    assert "99.61%" in kim
    assert "HaeLee Kim" in kim


def test_list_shows_one_recipe_whole_for_machines(capsys):
    assert main(["list", "gautam-fusion-3", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["options"] == {"branches": ["mobilenet", "cnn"]}
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
    printed = capsys.readouterr().out
    assert "| ceng-simplecnn | as found, seed 3 |" in printed
    assert "ceng-simplecnn, as found, seed 3, 1 of 30 epochs\ntest: " in printed
    assert "not the study's pictures: here 30 real, 30 fake; there 15,000 real, 15,000 fake" in printed
    folder = tmp_path / "runs" / "ceng-simplecnn" / "as_found_seed_3"
    record = json.loads((folder / "run.json").read_text())
    assert record["sets"] == ["faces140k"]
    assert record["tf_enable_onednn_opts"] == "1"
    assert sum(len(part) for part in record["splits"].values()) == 60
    assert record["planned"]["epochs"] == record["epochs"] == 1
    assert {file.name for file in folder.iterdir()} >= {
        "ceng-simplecnn.onnx", "ceng-simplecnn.keras", "run.json", "history.csv", "curves.png", "roc.png",
        "confusion.png", "confusion_at_5_percent_false_alarms.png", "evaluation.json",
    }  # fmt: skip
    assert main([*arguments, "--epochs", "1", "--seed", "3"]) == 2
    assert "holds a finished run: --force replaces it" in capsys.readouterr().err
    assert main([*arguments, "--epochs", "1", "--seed", "3", "--resume"]) == 0
    assert f"{folder}: is finished already" in capsys.readouterr().out
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
            ["fit", "fast", "--data", "{index}", "--out", "{tmp}", "--leave-out", "old", "--leave-out", "older"],
            "no pictures of older among new, new/fake, new/real, old, old/fake, old/real",
        ),
        (["fit", "gautam-cnn", "--data", "{index}", "--out", "{tmp}"], "too few pictures for a test of 300 real"),
        (["fit", "kim-cnn", "--data", "{index}", "--out", "{tmp}", "--test", "0.6", "--validation", "0.5"], "--test"),
        (["fit", "fast", "--data", "{index}", "--out", "{tmp}", "--weights", "no.h5"], "no file 'no.h5'"),
        (["fit", "kim-cnn", "--data", "{index}", "--out", "{tmp}", "--weights", "no.h5"], "no backbone"),
        (["fit", "kim-cnn", "--data", "{index}", "--out", "/proc/out"], "/proc/out: No such file"),
        (["reproduce", "default", "--data", "{index}", "--out", "{tmp}"], "use facescan-train fit default"),
        (["reproduce", "kim-cnn", "--data", "{index}", "--out", "{tmp}"], "no pictures of hardfake among new, old"),
        (["fit", "fast", "--data", "{tmp}", "--out", "{tmp}"], "neither an index nor a folder with real/ and fake/"),
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
        ["fit", "fast"],
        ["fit", "fast", "--data", "no-such-place", "--out", "x"],
        ["fit", "fast", "--data", ".", "--out", "x", "--epochs", "0"],
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
    pytest.importorskip("tensorflow")
    monkeypatch.setattr("train.run.run", lambda recipe, data, out, plan, report: asked.append(plan.sets))
    (tmp_path / "index.csv").write_text(index)
    assert main(["reproduce", "kim-cnn", "--data", str(tmp_path / "index.csv"), "--out", str(tmp_path)]) == 0
    assert asked == [sets]


@pytest.fixture
def small(index, tmp_path) -> list[str]:
    """The command of a run of four epochs that takes seconds; its output comes line by line."""
    pytest.importorskip("tensorflow")
    file = tmp_path / "small.toml"
    text = as_toml(RECIPES["arjon-cnn"]).replace("epochs = 500", "epochs = 4")
    file.write_text(text.replace("size = [224, 224]", "size = [32, 32]"))
    command = [sys.executable, "-u", "-m", "train.cli", "fit", str(file), "--data", str(index)]
    return [*command, "--out", str(tmp_path / "out")]


def after_the_second_epoch(command: list[str], signal_number: int) -> int:
    """Run the command, send it a signal when it has told of its second epoch, and return its exit code."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            if line.startswith("epoch 2/"):  # the checkpoint of the first is written
                run.send_signal(signal_number)
    return run.returncode


def test_ctrl_c_leaves_a_run_that_says_that_it_is_partial_and_can_be_continued(small, index, tmp_path):
    out = tmp_path / "out"
    assert after_the_second_epoch(small, signal.SIGINT) == 130
    record = json.loads((out / "run.json").read_text())
    assert record["partial"]
    assert 1 <= record["epochs"] < 4
    scanned = ["--model", str(out / "arjon-cnn.onnx"), "--out", str(tmp_path / "out.csv"), "--exit-zero", "-q"]
    assert scan([str(index.with_name("old_0.jpg")), *scanned]) == 0
    assert subprocess.run([*small, "--resume"], capture_output=True, check=False).returncode == 0
    record = json.loads((out / "run.json").read_text())
    assert (record["epochs"], record["partial"]) == (4, False)


def test_a_run_that_is_killed_goes_on_after_its_last_whole_epoch(small, tmp_path):
    command = small
    assert after_the_second_epoch(command, signal.SIGKILL) == -9
    assert not (tmp_path / "out" / "run.json").exists()
    stopped = subprocess.run(command, capture_output=True, text=True, check=False)
    assert stopped.returncode == 2
    assert "holds a run that was stopped: --resume continues it" in stopped.stderr
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    epochs = [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith(("epoch", "resumed"))]
    assert epochs in (
        ["resumed after epoch 1", "epoch 2/4", "epoch 3/4", "epoch 4/4"],
        ["resumed after epoch 2", "epoch 3/4", "epoch 4/4"],
    )
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["epochs"], record["partial"]) == (4, False)
    assert not list((tmp_path / "out").glob("checkpoint*"))


@pytest.mark.parametrize(
    ("options", "folders"),
    [
        ([], ["as_found"]),
        (["--normalise-format"], ["re_encoded"]),
        (["--both"], ["as_found", "re_encoded"]),
        (["--both", "--seeds", "2"], ["as_found", "as_found_seed_1", "re_encoded", "re_encoded_seed_1"]),
        (["--seed", "3", "--seeds", "2"], ["as_found_seed_3", "as_found_seed_4"]),
    ],
)
def test_a_study_is_repeated_as_found_unless_asked_otherwise(options, folders, index, tmp_path, monkeypatch):
    asked = []
    pytest.importorskip("tensorflow")
    monkeypatch.setattr("train.run.run", lambda recipe, data, out, plan, report: asked.append((out.name, plan)))
    assert main(["reproduce", "kim-cnn", "--data", str(index), "--out", str(tmp_path), *options]) == 0
    assert [name for name, _ in asked] == folders
    for name, plan in asked:
        assert plan.normalise_format == name.startswith("re_encoded")
        assert plan.seed == int(name.partition("_seed_")[2] or 0)


def test_one_share_changes_the_rule_of_its_own_split_only(monkeypatch):
    asked: list[Split] = []
    pytest.importorskip("tensorflow")
    monkeypatch.setattr("train.run.run", lambda recipe, *_: asked.append(recipe.split))
    own = RECIPES["fast"].split
    arguments = ["fit", "fast", "--data", ".", "--out", "unused"]
    assert [main([*arguments, "--validation", "0.1"]), main([*arguments, "--test", "0.3"])] == [0, 0]
    assert asked == [
        replace(own, validation=0.1, validation_sets=(), redraw=True),
        replace(own, test=0.3, test_sets=(), redraw=True),
    ]


@pytest.mark.parametrize("missing", ["tensorflow", "keras", "sklearn"])
def test_without_the_extra_the_message_says_what_to_install(missing, index, tmp_path):
    script = (
        f"import sys; sys.modules[{missing!r}] = None; from train.cli import main;"
        f"sys.exit(main(['fit', 'fast', '--data', {str(index)!r}, '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = f"{missing} is missing: pip install tensorflow keras tf2onnx onnx scikit-learn matplotlib"
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_backend_that_cannot_train_is_named_in_one_line(index, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    assert main(["fit", "fast", "--data", str(index), "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("facescan-train: KERAS_BACKEND=numpy: nothing that trains; use tensorflow")


def test_a_reader_that_has_seen_enough_is_no_trouble():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "train.cli", "list"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_internal_error_is_one_line_and_exits_with_2(monkeypatch, capsys):
    def broken(name: str) -> None:
        raise KeyError("a bug\nof two lines")

    monkeypatch.setattr("train.own_recipes.load_recipe", broken)
    assert main(["list", "kim-cnn"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("facescan-train: internal error: KeyError: ")
    assert line.endswith("please report it, with what FACESCAN_TRACEBACK=1 shows")


def test_help_loads_nothing_heavy():
    script = (
        "import sys; from train.cli import main; assert main(['--help']) == main(['fit', '--help']) == 0;"
        "print({'cv2', 'keras', 'onnxruntime', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_default_model_has_a_recipe():
    assert DEFAULT_MODEL in RECIPES
