"""Builds a vision transformer cut after some of its blocks, with one logit: CLIP's ViT-B/16, or a narrower one.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", arXiv:2010.11929
(2020), section 3.1. What CLIP changes (Radford et al., arXiv:2103.00020, and github.com/openai/CLIP, model.py): a
layer normalisation before the first block, and x * sigmoid(1.702 x) for GELU. Pixels come as CLIP's training had them:
0..255, less its mean, over its standard deviation, by channel.

The blocks near the top describe scenes in words; a detector of generated faces does better without the last two.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers, ops

WIDTH = 768
HEADS = 12
BLOCKS = 10
PATCH = 16  # pixels a side
EPSILON = 1e-5  # added to variances, as PyTorch's layer normalisation does
DROPOUT = 0.2


def build(
    size: tuple[int, int],
    weights: Mapping[str, str | None],
    blocks: int = BLOCKS,
    width: int = WIDTH,
    heads: int = HEADS,
) -> keras.Model:
    """Build the network: (n, height, width, 3) float32 in, (n, 1) logit of fake out.

    Args:
        size: height and width of the input in pixels; multiples of 16.
        weights: by backbone; of `clip` a file that `train.architectures.clip.load` reads, or None for random ones.
        blocks: transformer blocks, from the bottom.
        width: length of a token's vector.
        heads: attention heads of a block; they share `width` evenly.
    """
    pixels = keras.Input((*size, 3), name="pixels")
    x = layers.Conv2D(width, PATCH, strides=PATCH, use_bias=False, name="patch_embedding")(pixels)
    x = layers.Reshape((-1, width), name="patches")(x)
    x = TokensWithPositions(name="embeddings")(x)
    x = LayerNorm(name="pre_norm")(x)
    for number in range(blocks):
        x = _block(x, heads, f"block_{number}")
    pooled = layers.Dropout(DROPOUT, name="pooled_dropout")(LayerNorm(name="post_norm")(Pooling(name="pooled")(x)))
    model = keras.Model(pixels, layers.Dense(1, name="logit")(pooled), name="vision_transformer")
    if weights["clip"] is not None:
        from train.architectures.clip import load

        load(model, weights["clip"])
    return model


def _block(x: keras.KerasTensor, heads: int, name: str) -> keras.KerasTensor:
    """Apply attention, then two dense layers to each token; each adds its output to its input."""
    width = x.shape[-1]
    y = LayerNorm(name=f"{name}_norm_1")(x)
    y = layers.Dense(3 * width, name=f"{name}_qkv")(y)
    y = Attention(heads, name=f"{name}_attention")(y)
    x = layers.Add(name=f"{name}_add_1")([x, layers.Dense(width, name=f"{name}_out")(y)])
    y = LayerNorm(name=f"{name}_norm_2")(x)
    y = layers.Dense(4 * width, name=f"{name}_hidden")(y)
    y = QuickGelu(name=f"{name}_gelu")(y)
    return layers.Add(name=f"{name}_add_2")([x, layers.Dense(width, name=f"{name}_shrink")(y)])


@keras.saving.register_keras_serializable("facescan")
class LayerNorm(layers.Layer):  # type: ignore[misc]  # Keras has no type stubs
    """Normalises each token's vector, then scales and shifts it: (n, tokens, width) in and out.

    Keras' own layer computes the same in an order that ONNX Runtime does not recognise; this one runs as its
    `LayerNormalization` (`train.onnx_export.export` writes its means so).
    """

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs of this shape."""
        self.gamma = self.add_weight((shape[-1],), "ones", name="gamma")
        self.beta = self.add_weight((shape[-1],), "zeros", name="beta")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Apply the layer to a batch of tensors."""
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.power(centred, 2.0), axis=-1, keepdims=True)
        return centred / ops.sqrt(variance + EPSILON) * self.gamma + self.beta


@keras.saving.register_keras_serializable("facescan")
class TokensWithPositions(layers.Layer):  # type: ignore[misc]  # Keras has no type stubs
    """Puts the class token before the patches, and adds the position embedding of each token.

    Takes (n, patches, width), returns (n, 1 + patches, width).
    """

    def build(self, shape: tuple[int | None, int, int]) -> None:
        """Create the weights for inputs of this shape."""
        _, patches, width = shape
        self.token = self.add_weight((width,), "random_normal", name="token")
        self.positions = self.add_weight((1 + patches, width), "random_normal", name="positions")

    def call(self, patches: keras.KerasTensor) -> keras.KerasTensor:
        """Apply the layer to a batch of tensors."""
        token = ops.zeros_like(patches[:, :1]) + self.token
        return ops.concatenate([token, patches], axis=1) + self.positions


@keras.saving.register_keras_serializable("facescan")
class Attention(layers.Layer):  # type: ignore[misc]  # Keras has no type stubs
    """Scaled dot-product attention of queries, keys and values that lie side by side.

    Takes (n, tokens, 3 * width), returns (n, tokens, width). The dense layers around it have the weights.

    Args:
        heads: number of heads, which share the width evenly.
    """

    def __init__(self, heads: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.heads = heads

    def call(self, qkv: keras.KerasTensor) -> keras.KerasTensor:
        """Apply the layer to a batch of tensors."""
        tokens, width = qkv.shape[1], qkv.shape[2] // 3
        depth = width // self.heads
        parts = ops.transpose(ops.reshape(qkv, (-1, tokens, 3, self.heads, depth)), (2, 0, 3, 1, 4))
        query, key, value = parts[0] * depth**-0.5, parts[1], parts[2]
        shares = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))))
        return ops.reshape(ops.transpose(ops.matmul(shares, value), (0, 2, 1, 3)), (-1, tokens, width))

    def get_config(self) -> dict[str, object]:
        """Return the arguments that Keras needs to load the layer."""
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable("facescan")
class Pooling(layers.Layer):  # type: ignore[misc]  # Keras has no type stubs
    """Joins the class token and the mean of the patches: (n, 1 + patches, width) in, (n, 2 * width) out."""

    def call(self, tokens: keras.KerasTensor) -> keras.KerasTensor:
        """Apply the layer to a batch of tensors."""
        return ops.concatenate([tokens[:, 0], ops.mean(tokens[:, 1:], axis=1)], axis=-1)


@keras.saving.register_keras_serializable("facescan")
class QuickGelu(layers.Layer):  # type: ignore[misc]  # Keras has no type stubs
    """Applies CLIP's approximation of the Gaussian error linear unit: x * sigmoid(1.702 x)."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Apply the layer to a batch of tensors."""
        return x * ops.sigmoid(1.702 * x)
