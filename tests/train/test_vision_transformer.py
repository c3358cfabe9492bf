"""The vision transformer computes what its papers say, and takes the weights that are published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scanner.errors import FacescanError

pytest.importorskip("keras", reason="needs the extra train")

from train.architectures import clip, vision_transformer
from train.data.crops import crops
from train.data.index import read_samples
from train.fitting.fit import fit
from train.fitting.weights import resolve
from train.recipes.schema import CLIP, Recipe, Training, picture_input

SIZE, WIDTH, HEADS, BLOCKS = (48, 48), 24, 3, 2
NONE = {"clip": None}
PARTS = {
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (WIDTH, WIDTH),
    "self_attn.v_proj": (WIDTH, WIDTH),
    "self_attn.out_proj": (WIDTH, WIDTH),
    "mlp.fc1": (4 * WIDTH, WIDTH),
    "mlp.fc2": (WIDTH, 4 * WIDTH),
    "layer_norm1": (WIDTH,),
    "layer_norm2": (WIDTH,),
}


@pytest.fixture(scope="module")
def published() -> dict[str, np.ndarray]:
    """Random arrays under the names, and in the layout, of the published files; for a grid of 3 x 3 patches."""
    random = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return random.normal(0, 0.2, shape).astype(np.float32)

    arrays = {
        "vision_model.embeddings.patch_embedding.weight": draw(WIDTH, 3, 16, 16),
        "vision_model.embeddings.class_embedding": draw(WIDTH),
        "vision_model.embeddings.position_embedding.weight": draw(10, WIDTH),
        "vision_model.pre_layrnorm.weight": 1 + draw(WIDTH),
        "vision_model.pre_layrnorm.bias": draw(WIDTH),
    }
    for block in range(BLOCKS + 1):  # one more than the network has
        for part, shape in PARTS.items():
            arrays[f"vision_model.encoder.layers.{block}.{part}.weight"] = draw(*shape) + (len(shape) == 1)
            arrays[f"vision_model.encoder.layers.{block}.{part}.bias"] = draw(shape[0])
    return arrays


def small(size: tuple[int, int] = SIZE):
    return vision_transformer.build(size, NONE, blocks=BLOCKS, width=WIDTH, heads=HEADS)


def test_it_computes_what_the_papers_say(published, tmp_path):
    np.savez(tmp_path / "clip.npz", **published)
    model = small()
    clip.load(model, str(tmp_path / "clip.npz"))
    pixels = np.random.default_rng(1).normal(0, 1, (2, *SIZE, 3)).astype(np.float32)
    assert model.predict(pixels, verbose=0)[:, 0] == pytest.approx(
        [forward(picture, published, model.get_layer("logit").get_weights()) for picture in pixels], abs=1e-4
    )


def forward(picture: np.ndarray, arrays: dict[str, np.ndarray], head: list[np.ndarray]) -> float:
    """The whole network for one picture (height, width, 3), step by step in NumPy."""

    def norm(x: np.ndarray, name: str = "") -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * arrays[f"{name}.weight"] + arrays[f"{name}.bias"] if name else x

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]

    kernel = arrays["vision_model.embeddings.patch_embedding.weight"]
    patches = [
        np.einsum("hwc,dchw->d", picture[y : y + 16, x : x + 16], kernel) for y in (0, 16, 32) for x in (0, 16, 32)
    ]
    x = np.stack([arrays["vision_model.embeddings.class_embedding"], *patches])
    x = norm(x + arrays["vision_model.embeddings.position_embedding.weight"], "vision_model.pre_layrnorm")
    for block in range(BLOCKS):
        name = f"vision_model.encoder.layers.{block}"
        y = norm(x, f"{name}.layer_norm1")
        query, key, value = (
            dense(y, f"{name}.self_attn.{part}_proj").reshape(10, HEADS, -1).transpose(1, 0, 2) for part in "qkv"
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(WIDTH / HEADS)
        shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        x = x + dense((shares @ value).transpose(1, 0, 2).reshape(10, WIDTH), f"{name}.self_attn.out_proj")
        y = dense(norm(x, f"{name}.layer_norm2"), f"{name}.mlp.fc1")
        x = x + dense(y / (1 + np.exp(-1.702 * y)), f"{name}.mlp.fc2")
    pooled = norm(np.concatenate([x[0], x[1:].mean(0)]))
    return float(pooled @ head[0][:, 0] + head[1][0])


def test_our_files_may_hold_bytes_with_a_scale_for_every_row(published, tmp_path):
    model = small()
    kernel = np.random.default_rng(2).integers(-127, 128, (3 * WIDTH, WIDTH), np.int8)
    scale = np.linspace(0.01, 0.02, 3 * WIDTH, dtype=np.float32)
    bias = np.arange(3 * WIDTH, dtype=np.float32)
    np.savez(tmp_path / "tuned.npz", **{"l.1.qkv.weight#q": kernel, "l.1.qkv.weight#s": scale, "l.1.qkv.bias": bias})
    before = model.get_layer("block_0_qkv").get_weights()
    clip.load(model, str(tmp_path / "tuned.npz"))
    loaded = model.get_layer("block_1_qkv").get_weights()
    np.testing.assert_allclose(loaded[0], (kernel * scale[:, None]).T, rtol=1e-6)
    np.testing.assert_array_equal(loaded[1], bias)
    np.testing.assert_array_equal(model.get_layer("block_0_qkv").get_weights()[0], before[0])


def test_safetensors_are_read_as_they_are_published(published, tmp_path):
    numpy = pytest.importorskip("safetensors.numpy", reason="needs safetensors")
    numpy.save_file(published, tmp_path / "model.safetensors")
    arrays = clip.read_arrays(str(tmp_path / "model.safetensors"))
    assert arrays.keys() == published.keys()
    assert all(np.array_equal(arrays[name], published[name]) for name in published)


def test_positions_of_another_grid_are_interpolated():
    ramp = np.add.outer(np.arange(14.0), 10 * np.arange(14.0)).reshape(-1, 1).astype(np.float32)
    positions = np.concatenate([[[7.0]], ramp]).astype(np.float32)
    assert clip.resampled(positions, len(positions)) is positions
    smaller = clip.resampled(positions, 1 + 7 * 7)
    assert smaller[0] == 7
    inner = smaller[1:].reshape(7, 7)[2:-2, 2:-2]  # a ramp stays one, away from the edges
    places = np.arange(2, 5) * 2 + 0.5
    np.testing.assert_allclose(inner, np.add.outer(places, 10 * places), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "content", "trouble"),
    [
        ("clip.h5", b"", "come as .npz or .safetensors"),
        ("clip.npz", b"not an archive", "clip.npz: "),
        ("missing.npz", None, "No such file"),
    ],
)
def test_other_files_are_refused_in_one_line(name: str, content: bytes | None, trouble: str, tmp_path: Path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FacescanError, match=trouble):
        clip.load(small(), str(tmp_path / name))


def test_weights_of_another_width_are_refused(published, tmp_path):
    np.savez(tmp_path / "clip.npz", **published)
    other = vision_transformer.build(SIZE, NONE, blocks=1, width=48, heads=3)
    with pytest.raises(FacescanError, match="no weights of CLIP's ViT-B/16"):
        clip.load(other, str(tmp_path / "clip.npz"))


def test_a_recipe_fine_tunes_it_from_a_file(index, published, tmp_path):
    """Two steps: the blocks that have no rate stay CLIP's, the others and the head move."""
    np.savez(tmp_path / "clip.npz", **published)
    recipe = Recipe(
        name="tiny",
        version="0",
        summary="A transformer of two blocks",
        source="this test",
        task="synthesis",
        architecture="train.architectures.vision_transformer",
        inputs=(picture_input(SIZE[0], **CLIP),),
        output="logit",
        options={"blocks": BLOCKS, "width": WIDTH, "heads": HEADS},
        backbones=("clip",),
        training=Training(
            "adam",
            1e-2,
            epochs=1,
            batch=8,
            weight_decay=0.05,
            slow_layers={"block_1": 0.1, "block_0": 0.0, "patch_embedding": 0.0, "embeddings": 0.0, "pre_norm": 0.0},
            augmentation="in_the_wild",
            label_smoothing=0.05,
        ),
        edge="reflect",
    )
    weights = resolve([f"clip={tmp_path / 'clip.npz'}"], recipe.backbones)
    seen = crops(read_samples(index)[:16], recipe.card())
    before = vision_transformer.build(SIZE, weights, **recipe.options)
    fitted = fit(recipe, seen, seen, 0, weights, lambda line: None).model
    assert recipe.card().crop.edge == "reflect"
    for layer in before.layers:
        if layer.weights:
            same = all(map(np.array_equal, layer.get_weights(), fitted.get_layer(layer.name).get_weights()))
            assert same == layer.name.startswith(("block_0", "patch_embedding", "embeddings", "pre_norm")), layer.name


def test_weights_of_clip_are_not_downloaded():
    with pytest.raises(FacescanError, match="--weights clip=FILE"):
        resolve(["imagenet"], ("clip",))
    with pytest.raises(FacescanError, match=r"no file 'gone\.npz'"):
        resolve(["clip=gone.npz"], ("clip",))
    assert resolve(["none"], ("clip",)) == {"clip": None}
