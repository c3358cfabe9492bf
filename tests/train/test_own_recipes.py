from __future__ import annotations

import json

import pytest

from scanner.errors import FacescanError
from train.cli import main
from train.own_recipes import as_toml, load_recipe
from train.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_printed_recipe_is_read_as_what_it_was(name, tmp_path, capsys):
    assert main(["list", name, "--format", "toml"]) == 0
    file = tmp_path / "my.toml"
    file.write_text(capsys.readouterr().out)
    found = load_recipe(str(file))
    for field in (
        "inputs",
        "training",
        "split",
        "options",
        "labels",
        "architecture",
        "output",
        "backbones",
        "framework",
    ):
        assert getattr(found, field) == getattr(RECIPES[name], field), field
    assert found.study is None


def test_settings_change_a_recipe():
    changes = ["dropout=[0.1, 0.2]", "learning_rate=1e-2", "patience=4", "augmentation=ceng", "test=0.3", "margin=0.2"]
    found = load_recipe("arjon-cnn", changes)
    assert (found.dropout, found.training.learning_rate, found.training.patience) == ((0.1, 0.2), 0.01, 4)
    assert (found.training.augmentation, found.split.test, found.margin) == ("ceng", 0.3, 0.2)
    assert load_recipe("kim-cnn", ["dropout=0.3"]).dropout == (0.3,)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("dropuot=0.3", "--set dropuot: no such setting: did you mean dropout?"),
        ("dropout", "--set dropout: not KEY=VALUE"),
        ("dropout=1.5", "dropout 1.5 is no number from 0 to below 1"),
        ("dropout=much", "dropout 'much' is no number"),
        ("epochs=0", "epochs 0 is no number over 0"),
        ("learning_rate=fast", "learning_rate 'fast' is no number over 0"),
        ("optimizer=sdg", "optimizer 'sdg' is none of adam, sgd"),
        ("augmentation=flips", "augmentation 'flips' is none of"),
    ],
)
def test_a_setting_that_does_not_fit_is_told_in_one_line(setting, complaint, index, tmp_path, capsys):
    assert main(["fit", "kim-cnn", "--data", str(index), "--out", str(tmp_path / "out"), "--set", setting]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("learning_rate = ", "learning_rte = "), "training: no setting 'learning_rte': did you mean learning_rate?"),
        (('architecture = "train.', 'architecture = "trian.'), "no architecture 'trian.architectures.kim_cnn'"),
        (("[[inputs]]", "[[input]]"), "no [[inputs]]"),
        (("name = ", "name == "), "not TOML"),
        (("summary = ", "sumary = "), "no setting 'sumary': did you mean summary?"),
        (('optimizer = "adam"\n', ""), "training: missing 1 required positional argument: 'optimizer'"),
    ],
)
def test_a_file_that_is_no_recipe_is_told_in_one_line(change, complaint, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text(as_toml(RECIPES["kim-cnn"]).replace(*change, 1))
    with pytest.raises(FacescanError) as caught:
        load_recipe(str(file))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value).strip()


def test_a_recipe_of_ones_own_is_trained(index, tmp_path, capsys):
    pytest.importorskip("tensorflow")
    file = tmp_path / "my.toml"
    text = as_toml(RECIPES["arjon-cnn"]).replace("arjon-cnn", "mine", 1).replace("epochs = 500", "epochs = 1")
    file.write_text(text.replace("size = [224, 224]", "size = [32, 32]"))
    out = tmp_path / "out"
    assert main(["fit", str(file), "--data", str(index), "--out", str(out), "--set", "dropout=0.2"]) == 0
    record = json.loads((out / "run.json").read_text())
    assert (out / "mine.onnx").is_file()
    assert record["recipe"]["dropout"] == [0.2]
    assert record["recipe"]["inputs"][0]["size"] == [32, 32]


def test_a_recipe_is_described_in_the_order_of_a_paper(capsys):
    assert main(["list", "gautam-mobilenet"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    on_one_line = " ".join(text.split())
    for part in (
        "Gautam and Chandra, 'Classification of Real and Fake Human Faces Using Deep Learning'",
        "accuracy 0.7202",
        "232 called real, 68 called fake",
        "sgd, rate 0.001, constant, momentum 0.9",
        "Kaggle, ciplab/",
    ):
        assert part in on_one_line
