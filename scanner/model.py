"""An ONNX file and its card -> Detector: regions of a picture in, calibrated probabilities of fake out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.card import Card, InputSpec, read_card
from scanner.crop import shrink, square_crop
from scanner.decode import Picture
from scanner.ela import ela_map, error_levels
from scanner.errors import FacescanError
from scanner.runtime import open_session

BUNDLED = Path(__file__).parent / "models"
DEFAULT_MODEL = "starter"
FACE_FINDER = "yunet"  # lies beside the detectors, and is none

Box = tuple[int, int, int, int]
# What one face (or picture) is to a model: one uint8 (height, width, 3) array for each of its inputs.
Region = tuple[Picture, ...]


def bundled_models() -> list[str]:
    """Names of the detectors that come with the package."""
    return sorted(file.stem for file in BUNDLED.glob("*.onnx") if file.stem != FACE_FINDER)


def find_model(name: str) -> Path:
    """A bundled name, or a path, -> the file.

    Raises:
        FacescanError: there is neither.
    """
    if name in bundled_models():
        return BUNDLED / f"{name}.onnx"
    file = Path(name)
    if file.is_file():
        return file
    raise FacescanError(f"no model {name!r}: neither a file nor a bundled model ({', '.join(bundled_models())})")


def prepare(picture: Picture, box: Box | None, card: Card, levels: Mapping[int, Picture] | None = None) -> Region:
    """What a model sees of a face: the one definition of it, for scanning and for training.

    Args:
        picture: RGB uint8 (height, width, 3), upright.
        box: the face; None for the whole picture.
        card: says how to crop, and the inputs' sizes and contents.
        levels: `error_levels` of the picture by JPEG quality, where they are known already.

    Returns:
        For each input of the card, in order, RGB uint8 (input height, input width, 3), before normalising.
    """
    rows, columns = (slice(None), slice(None)) if box is None else square_crop(picture, box, card.margin)
    region = []
    for spec in card.inputs:
        source = picture
        if spec.content == "ela":
            # Of the whole picture, so that the 8 x 8 blocks lie where they lay when the file was saved.
            quality = int(spec.ela["quality"])
            known = (levels or {}).get(quality)
            source = error_levels(picture, quality) if known is None else known
            source = ela_map(source, spec.ela["alpha"], spec.ela["beta"])
        region.append(shrink(source[rows, columns], spec.size[1], spec.size[0]))
    return tuple(region)


def normalise(pixels: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """RGB uint8 (n, height, width, 3) -> the float32 tensor of an input, in its layout and colour order."""
    if spec.color == "BGR":
        pixels = pixels[..., ::-1]
    low, high = spec.range
    mean, std = np.asarray(spec.mean, np.float64), np.asarray(spec.std, np.float64)
    # One multiplication and one addition for each value.
    slope = ((high - low) / 255 / std).astype(np.float32)
    tensor = pixels * slope + ((low - mean) / std).astype(np.float32)
    return np.ascontiguousarray(tensor.transpose(0, 3, 1, 2) if spec.layout == "NCHW" else tensor)


class Detector:
    """Owns a classifier's session.

    Attributes:
        card: the model's own description.
        sha256: of the ONNX file.
        device: where it really runs.
        batch: how many regions it takes at once, if it takes one number only.
    """

    def __init__(self, file: Path, device: str = "cpu", threads: int = 1) -> None:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise FacescanError(f"{file}: {error.strerror}") from error
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._session, self.device = open_session(content, str(file), device, threads)
        self.card = read_card(self._session.get_modelmeta().custom_metadata_map, str(file))
        self._takes_bytes = self._check_tensors(str(file))
        self._file, self._threads = file, threads
        first = self._session.get_inputs()[0].shape[0]
        self.batch: int | None = first if isinstance(first, int) else None

    def __reduce__(self) -> tuple[Callable[..., Detector], tuple[Any, ...]]:
        return _reopened, (self._file, self.device.used, self._threads, self.sha256)  # sessions cannot be sent

    @property
    def elas(self) -> frozenset[int]:
        """JPEG qualities of the Error Level Analysis that this model looks at."""
        return frozenset(int(spec.ela["quality"]) for spec in self.card.inputs if spec.content == "ela")

    def logits(self, regions: Sequence[Region]) -> NDArray[np.float64]:
        """Uncalibrated log-odds of fake, (n,), for n regions made by `prepare`."""
        feeds: dict[str, NDArray[Any]] = {}
        for i, spec in enumerate(self.card.inputs):
            pixels = np.stack([region[i] for region in regions])
            if self._takes_bytes[spec.name]:
                pixels = pixels[..., ::-1] if spec.color == "BGR" else pixels
                feeds[spec.name] = np.ascontiguousarray(
                    pixels.transpose(0, 3, 1, 2) if spec.layout == "NCHW" else pixels
                )
            else:
                feeds[spec.name] = normalise(pixels, spec)
        output = self._session.run([self.card.output.name], feeds)[0]
        return to_logits(output.reshape(len(regions), -1).astype(np.float64), self.card)

    def p_fake(self, regions: Sequence[Region]) -> NDArray[np.float64]:
        """Calibrated probabilities of fake, (n,), 0..1; not a number where the model gave none."""
        return calibrate(self.logits(regions), self.card)

    def _check_tensors(self, file: str) -> dict[str, bool]:
        """Hold the card against the graph; say which inputs take uint8."""
        tensors = {tensor.name: tensor for tensor in self._session.get_inputs()}
        named = {spec.name for spec in self.card.inputs}
        if named != set(tensors):
            raise FacescanError(f"{file}: the card's inputs {sorted(named)} are not the graph's {sorted(tensors)}")
        outputs = {tensor.name: tensor for tensor in self._session.get_outputs()}
        if self.card.output.name not in outputs:
            raise FacescanError(f"{file}: the card's output {self.card.output.name!r} is none of {sorted(outputs)}")
        shape, kind = outputs[self.card.output.name].shape, self.card.output.kind
        columns = shape[-1] if len(shape) > 1 else 1
        if isinstance(columns, int) and columns not in ((2,) if kind == "softmax" else (1, 2)):
            raise FacescanError(f"{file}: a {kind} over two labels, but {columns} columns in {shape}")
        for spec in self.card.inputs:
            height, width = spec.size
            wanted = [height, width, 3] if spec.layout == "NHWC" else [3, height, width]
            tensor = tensors[spec.name]
            fits = len(tensor.shape) == 4 and all(
                not isinstance(side, int) or side == want for side, want in zip(tensor.shape[1:], wanted, strict=True)
            )
            if not fits or tensor.type not in ("tensor(float)", "tensor(uint8)"):
                raise FacescanError(f"{file}: input {spec.name} takes {tensor.type} {tensor.shape}, the card {wanted}")
        return {name: tensor.type == "tensor(uint8)" for name, tensor in tensors.items()}


def _reopened(file: Path, device: str, threads: int, sha256: str) -> Detector:
    """The same detector in another process."""
    detector = Detector(file, device, threads)
    if detector.sha256 != sha256:
        raise FacescanError(f"{file}: it was replaced while it was in use")
    return detector


def to_logits(output: NDArray[np.float64], card: Card) -> NDArray[np.float64]:
    """A model's output (n, columns) -> log-odds of fake (n,)."""
    if card.output.kind == "logit":
        if output.shape[1] == 1:
            return output[:, 0] if card.fake == 1 else -output[:, 0]
        return output[:, card.fake] - output[:, 1 - card.fake]
    if output.shape[1] == 1:  # one column is the probability of label 1
        output = np.concatenate([1 - output, output], axis=1)
    p = output[:, card.fake]
    p = np.clip(p, 1e-7, 1 - 1e-7)  # a saturated float32 sigmoid has no logit
    return np.log(p) - np.log1p(-p)


def calibrate(logits: NDArray[np.float64], card: Card) -> NDArray[np.float64]:
    """Platt's sigmoid (Platt 1999): log-odds -> probability that holds on pictures the model has not seen."""
    slope, offset = card.calibration
    return 1 / (1 + np.exp(-np.clip(slope * logits + offset, -50, 50)))
