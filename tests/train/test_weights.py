from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow, of the extra [train]")

import h5py
import keras

from scanner.errors import FacescanError
from train.fitting import weights
from train.fitting.weights import BACKBONES, resolve

BOTH = ("mobilenet", "resnet50")


def mobilenet(file: Path, alpha: float) -> Path:
    keras.applications.MobileNet(input_shape=(32, 32, 3), alpha=alpha, include_top=False, weights=None).save_weights(
        file
    )
    return file


@pytest.fixture(scope="module")
def fitting(tmp_path_factory) -> Path:
    return mobilenet(tmp_path_factory.mktemp("fitting") / "mobilenet.weights.h5", alpha=1.0)


@pytest.fixture(scope="module")
def too_small(tmp_path_factory) -> Path:
    return mobilenet(tmp_path_factory.mktemp("small") / "quarter.weights.h5", alpha=0.25)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Keras' folder of models, empty, and every address one where nothing is."""
    monkeypatch.setattr(keras.utils, "get_file", partial(keras.utils.get_file, cache_dir=str(tmp_path)))
    for name, published in BACKBONES.items():
        nowhere = f"file:///nonexistent/{published.url.rsplit('/', 1)[1]}"
        monkeypatch.setitem(weights.BACKBONES, name, replace(published, url=nowhere))
    return tmp_path / "models"


@pytest.mark.parametrize(
    ("choices", "mobilenet", "resnet50"),
    [
        (["none"], None, None),
        (["{file}", "none"], None, None),
        (["none", "mobilenet={file}"], "{file}", None),
        (["mobilenet={file}", "none"], "{file}", None),  # in any order
        (["mobilenet=none", "mobilenet={file}", "resnet50=none"], "{file}", None),
        (["mobilenet={file}", "resnet50=none", "imagenet"], "{file}", None),  # nothing to download
    ],
)
def test_a_named_choice_goes_before_a_general_one_and_a_later_before_an_earlier(
    choices, mobilenet, resnet50, fitting, cache
):
    found = resolve([choice.format(file=fitting) for choice in choices], BOTH)
    assert found == {"mobilenet": mobilenet and mobilenet.format(file=fitting), "resnet50": resnet50}


def test_without_a_backbone_there_is_nothing_to_start_from():
    assert resolve(["imagenet"], ()) == resolve(["none"], ()) == {}
    with pytest.raises(FacescanError, match="no backbone"):
        resolve(["vgg16=nowhere.h5"], ())


def test_a_file_with_an_equals_sign_in_its_name_is_a_file(fitting, tmp_path):
    file = tmp_path / "alpha=1.weights.h5"
    file.hardlink_to(fitting)
    assert resolve([str(file)], ("mobilenet",)) == {"mobilenet": str(file)}


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        ("vgg16=none", "this recipe has no 'vgg16', but mobilenet, resnet50"),
        ("mobilenett=none", "this recipe has no 'mobilenett', but mobilenet, resnet50"),
        ("nowhere.h5", "no file 'nowhere.h5': pass --weights mobilenet=FILE, imagenet or none"),
        ("resnet50=", "no file ''"),
        ("resnet50={folder}", "no file "),
        ("resnet50={file}", "3,228,864 values, but resnet50 without its top has 23,587,712"),
        ("mobilenet={small}", "218,544 values, but mobilenet without its top has 3,228,864"),
        ("mobilenet={text}", "not a file of Keras weights"),
        ("mobilenet={bare}", "Keras takes weights from .h5 and .hdf5 files only"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_in_one_line(choice, complaint, fitting, too_small, tmp_path):
    text, bare = tmp_path / "text.h5", tmp_path / "bare"
    text.write_text("path,label\n")
    bare.hardlink_to(fitting)
    named = choice.format(file=fitting, small=too_small, text=text, bare=bare, folder=tmp_path)
    with pytest.raises(FacescanError) as caught:
        resolve(["none", named], BOTH)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_what_keras_reads_of_an_older_file_is_counted(tmp_path):
    file = tmp_path / "old.h5"
    with h5py.File(file, "w") as content:
        content.attrs["layer_names"] = [b"conv1", b"conv1_relu"]
        content["conv1/conv1/kernel:0"] = [0.0] * BACKBONES["mobilenet"].parameters
        content["conv1"].attrs["weight_names"] = [b"conv1/kernel:0"]
        content.create_group("conv1_relu").attrs["weight_names"] = []
        content["conv_preds/kernel:0"] = [0.0]  # not listed: left over
    assert resolve([str(file)], ("mobilenet",)) == {"mobilenet": str(file)}


@pytest.mark.parametrize("choices", [[], ["imagenet"], ["none", "mobilenet=imagenet"]])
def test_without_a_network_it_says_what_to_do(choices, cache, capsys):
    with pytest.raises(FacescanError) as caught:
        resolve(choices, ("mobilenet",))
    assert str(caught.value) == (
        "cannot download file:///nonexistent/mobilenet_1_0_224_tf_no_top.h5: fetch it where there is a network and "
        "pass --weights mobilenet=FILE, or --weights none"
    )
    assert capsys.readouterr().out == ""


def test_a_download_is_checked_and_not_repeated(cache, fitting, monkeypatch, capsys):
    url = f"file://{fitting}"
    monkeypatch.setitem(weights.BACKBONES, "mobilenet", replace(BACKBONES["mobilenet"], url=url))
    downloaded = {"mobilenet": str(cache / fitting.name)}
    assert resolve(["imagenet"], ("mobilenet",)) == downloaded
    assert (cache / fitting.name).read_bytes() == fitting.read_bytes()
    monkeypatch.setitem(
        weights.BACKBONES, "mobilenet", replace(BACKBONES["mobilenet"], url=f"file:///no/{fitting.name}")
    )
    assert resolve(["imagenet"], ("mobilenet",)) == downloaded
    assert capsys.readouterr().out == ""


def test_a_download_that_is_not_what_was_published_is_refused(cache, fitting, monkeypatch):
    changed = replace(BACKBONES["mobilenet"], url=f"file://{fitting}", md5="0" * 32)
    monkeypatch.setitem(weights.BACKBONES, "mobilenet", changed)
    with pytest.raises(FacescanError, match="cannot download"):
        resolve(["imagenet"], ("mobilenet",))


def test_the_files_are_those_of_keras_applications():
    from keras.src.applications import mobilenet, resnet, vgg16

    assert BACKBONES["vgg16"].url == vgg16.WEIGHTS_PATH_NO_TOP
    assert BACKBONES["resnet50"].url.startswith(resnet.BASE_WEIGHTS_PATH)
    assert BACKBONES["resnet50"].md5 == resnet.WEIGHTS_HASHES["resnet50"][1]
    assert BACKBONES["mobilenet"].url.startswith(mobilenet.BASE_WEIGHT_PATH)


def test_the_module_loads_nothing_heavy():
    script = "import sys, train.fitting.weights; print({'keras', 'tensorflow', 'h5py'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
