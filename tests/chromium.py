"""Draw pictures in a Chromium, in sRGB."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from scanner.imaging.decode import Picture

_DRAW = """
async ([format, content, ground]) => {
  const image = new Image();
  image.src = `data:image/${format};base64,${content}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", {colorSpace: "srgb"});
  context.fillStyle = ground;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  return [canvas.width, canvas.height, btoa(Array.from(pixels, value => String.fromCharCode(value)).join(""))];
}
"""


def drawn(page: Any, data: bytes, format: str, ground: str = "white") -> Picture:
    """Draw a picture in a page of playwright.

    Args:
        page: of playwright.
        data: the file.
        format: of its content.
        ground: CSS colour that shows where the picture is transparent.

    Returns:
        RGB uint8 (height, width, 3).
    """
    width, height, pixels = page.evaluate(_DRAW, [format, base64.b64encode(data).decode(), ground])
    return np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, width, 4)[..., :3]
