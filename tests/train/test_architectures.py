"""One table drives every test over every network: `train.recipes.RECIPES`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow, of the extra [train]")

import keras
from keras import layers

from train.architectures import ceng_resnet50, gautam_backbone, gautam_fusion
from train.fitting.frozen import split_frozen
from train.fitting.weights import BACKBONES
from train.recipes import RECIPES
from train.recipes.schema import Recipe

# Activation and columns of the last layer.
OUTPUTS = {"logit": ("linear", 1), "sigmoid": ("sigmoid", 1), "softmax": ("softmax", 2)}

# All values of a network, counted by hand from the papers' tables: backbone + head.
PARAMETERS = {
    "fast": 1_626_816 + 2_049,  # MobileNet to its eleventh block, and a logit over 2 x 512 values
    "composites": 1_626_816 + 2_049,  # the same network
    # Patches; class token and positions; the first normalisation; ten blocks; the last normalisation and the logit.
    "default": 768 * 768 + 146 * 768 + 2 * 768 + 10 * (12 * 768 * 768 + 13 * 768) + 4 * 1_536 // 2 + 1_536 + 1,
    "arjon-cnn": 896 + 9_248 + 18_496 + 50_176 * 128 + 128 + 258,
    "perisic-cnn": 1_792 + 256 + 73_856 + 512 + 147_584 + 512 + 100_352 * 256 + 256 + 257,
    "perisic-vgg16": 14_714_688 + 25_088 * 512 + 512 + 513,
    "gautam-cnn": 896 + 9_248 + 18_496 + 36_928 + 73_856 + 2_048 * 128 + 128 + 129,
    "gautam-vgg16": 14_714_688 + 512 * 256 + 256 + 257,
    "gautam-resnet50": 23_587_712 + 2_048 * 256 + 256 + 514,
    "gautam-mobilenet": 3_228_864 + 1_024 * 256 + 256 + 514,
    "gautam-mobilenet-v2": 2_257_984 + 1_280 * 256 + 256 + 514,
    "gautam-fusion-1": 3_228_864 + 23_587_712 + (1_024 + 2_048) * 256 + 256 + 514,
    "gautam-fusion-2": 2 * 139_424 + (2_048 + 2_048) * 256 + 256 + 514,
    "gautam-fusion-3": 139_424 + 3_228_864 + (2_048 + 1_024) * 256 + 256 + 514,
    "kim-cnn": 46_099_778,  # as published
    **dict.fromkeys(
        ("ceng-simplecnn", "ceng-simplecnn-v1", "ceng-simplecnn-v3"),
        896 + 128 + 18_496 + 256 + 73_856 + 512 + 32_768 * 256 + 256 + 514,
    ),
    **dict.fromkeys(
        ("ceng-resnet50-frozen", "ceng-resnet50-finetuned", "ceng-resnet50-single-rate"),
        23_587_712 + 2_048 * 256 + 256 + 514,
    ),
}
FLATTENED = {
    "arjon-cnn": 50_176,
    "perisic-cnn": 100_352,
    "perisic-vgg16": 25_088,
    "gautam-cnn": 2_048,
    "kim-cnn": 360_000,
    "ceng-simplecnn": 32_768,
}
# Where only a part is trained: the prefixes of the layers that are.
TRAINED = {
    "perisic-vgg16": ("hidden", "probabilities"),
    "ceng-resnet50-frozen": ("hidden", "probabilities"),
    "ceng-resnet50-finetuned": ("conv5", "hidden", "probabilities"),
    "ceng-resnet50-single-rate": ("conv5", "hidden", "probabilities"),
}


def build(recipe: Recipe) -> keras.Model:
    module = importlib.import_module(recipe.architecture)
    return module.build(recipe.inputs[0].size, dict.fromkeys(recipe.backbones), **recipe.options)


@pytest.fixture(scope="module", params=RECIPES.values(), ids=RECIPES)
def built(request: pytest.FixtureRequest) -> Iterator[tuple[Recipe, keras.Model]]:
    yield request.param, build(request.param)
    keras.backend.clear_session()


def all_layers(model: keras.Model) -> Iterator[layers.Layer]:
    """Of the network, and of the networks within it."""
    for layer in model.layers:
        yield from all_layers(layer) if isinstance(layer, keras.Model) else [layer]


def test_it_takes_what_the_recipe_gives_and_gives_what_it_says(built):
    recipe, model = built
    activation, columns = OUTPUTS[recipe.output]
    assert [tensor.shape for tensor in model.inputs] == [(None, *spec.size, 3) for spec in recipe.inputs]
    assert [tensor.name for tensor in model.inputs] == ["pixels", "ela"][: len(recipe.inputs)]
    assert {tensor.dtype for tensor in model.inputs} == {"float32"}
    assert model.output_shape == (None, columns)
    assert model.layers[-1].get_config()["activation"] == activation


def test_every_layer_has_a_name_that_a_person_gave_it(built):
    for layer in all_layers(built[1]):
        automatic = rf"{type(layer).__name__.lower()}\d*"  # conv2d_1, max_pooling2d, input_layer_2
        assert not re.fullmatch(automatic, layer.name.replace("_", ""))


def test_changes_and_scaling_of_pictures_stay_outside(built):
    kinds = {type(layer).__name__ for layer in all_layers(built[1])}
    assert not {kind for kind in kinds if kind.startswith("Random") or kind in ("Normalization", "Rescaling", "Lambda")}


def test_it_has_the_published_number_of_parameters(built):
    recipe, model = built
    assert model.count_params() == PARAMETERS[recipe.name.removesuffix("-ela")]


def test_it_flattens_the_published_number_of_values(built):
    recipe, model = built
    flat = [layer.output.shape[1] for layer in all_layers(model) if isinstance(layer, layers.Flatten)]
    expected = FLATTENED.get(recipe.name.removesuffix("-ela"))
    assert not expected or flat == [expected]


def test_exactly_the_right_layers_are_trained(built):
    recipe, model = built
    with_weights = [layer for layer in all_layers(model) if layer.weights]
    trained = {layer.name for layer in with_weights if layer.trainable_weights}
    assert trained == {layer.name for layer in with_weights if layer.name.startswith(TRAINED.get(recipe.name, ""))}
    for prefix in recipe.training.slow_layers:
        assert any(variable.path.startswith(prefix) for variable in model.trainable_variables)


def test_what_is_frozen_can_be_computed_ahead(built):
    recipe, model = built
    parts = split_frozen(model)
    assert bool(parts) == (recipe.name in TRAINED)
    if parts:
        assert sum(half.count_params() for half in parts) == model.count_params()


def test_arjons_table_of_layers():
    model = build(RECIPES["arjon-cnn"])
    shapes = [layer.output.shape[1:] for layer in model.layers[1:] if not isinstance(layer, layers.Dropout)]
    assert shapes == [
        (224, 224, 32),
        (112, 112, 32),
        (112, 112, 32),
        (56, 56, 32),
        (56, 56, 64),
        (28, 28, 64),
        (50_176,),
        (128,),
        (2,),
    ]


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_has_the_published_number_of_parameters(name):
    model = gautam_backbone.build((64, 64), {name: None}, backbone=name, classes=2)
    assert model.get_layer(name).count_params() == BACKBONES[name].parameters


def test_frozen_batch_normalisation_stands_still_in_training_and_trained_does_not():
    model = ceng_resnet50.build((64, 64), {"resnet50": None}, trainable_from="conv5")
    maps = np.random.default_rng(0).normal(5, 2, (2, 2, 2, 512)).astype(np.float32)
    for name, moves in (("conv4_block6_1_bn", False), ("conv5_block1_1_bn", True)):
        layer = model.get_layer(name)
        before = keras.ops.convert_to_numpy(layer.moving_mean).copy()
        layer(maps[..., : before.size], training=True)
        assert np.any(keras.ops.convert_to_numpy(layer.moving_mean) != before) == moves


def test_each_branch_of_a_fusion_starts_from_its_own_file_and_sees_its_own_input(tmp_path):
    file = tmp_path / "mobilenet.weights.h5"
    trained = keras.applications.MobileNet(input_shape=(32, 32, 3), include_top=False, weights=None)
    trained.save_weights(file)
    model = gautam_fusion.build((32, 32), {"mobilenet": str(file)}, branches=("mobilenet", "cnn"))
    branch = model.get_layer("pixels_mobilenet")
    for mine, theirs in zip(branch.get_weights(), trained.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)

    random = np.random.default_rng(0)
    pixels, ela, other = (random.normal(size=(1, 32, 32, 3)).astype(np.float32) for _ in range(3))
    joined = keras.Model(model.inputs, model.get_layer("joined").output)
    first, second, third = (
        keras.ops.convert_to_numpy(joined(pair)) for pair in ([pixels, ela], [other, ela], [pixels, other])
    )
    by_mobilenet = 1_024  # values of the first branch
    assert np.array_equal(first[:, by_mobilenet:], second[:, by_mobilenet:])
    assert np.array_equal(first[:, :by_mobilenet], third[:, :by_mobilenet])
    assert not np.array_equal(first[:, :by_mobilenet], second[:, :by_mobilenet])
    assert not np.array_equal(first[:, by_mobilenet:], third[:, by_mobilenet:])
