"""Scores regions of pictures by an ONNX model: a `Detector` returns calibrated probabilities of fake."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.detector.bundled import BUNDLED as BUNDLED
from scanner.detector.bundled import DEFAULT_MODEL as DEFAULT_MODEL
from scanner.detector.bundled import FACE_FINDER as FACE_FINDER
from scanner.detector.bundled import RENAMED
from scanner.detector.bundled import bundled_models as bundled_models
from scanner.detector.card import MAX_REGION_PIXELS, Card, InputSpec, read_card
from scanner.detector.onnx_file import read_model
from scanner.detector.outputs import activation_error, calibrate, output_error, to_logits
from scanner.detector.runtime import RunOptions, deadline, open_session, why_no_cuda
from scanner.detector.tensors import check_tensors
from scanner.detector.trial import trial_failure, try_model
from scanner.errors import FacescanError, first_line
from scanner.imaging.crop import Box, Cut, judged_turn, shrink, square_round_face
from scanner.imaging.decode import Picture
from scanner.imaging.ela import ela_map, error_levels

# Pixels of a batch whose size the graph fixes, at most: eight of the largest regions that a card may describe.
MAX_BATCH_PIXELS = 8 * MAX_REGION_PIXELS
# Regions scored at once: on a CPU more gains nothing, a GPU wants more.
BATCH = {"cpu": 8, "cuda": 64}
# ONNX Runtime keeps buffers for every batch size it has run. Up to this size, batches run as they are; on a CPU, larger
# ones are padded to a power of two.
_MAX_UNPADDED_BATCH = 8
# A trial that takes longer is broken off: twelve regions, of which the slowest published detector scores ten a second.
TRIAL_SECONDS = 30.0
# Regions in the largest batch of a trial on a CPU, which scores larger ones only of pictures with more faces.
_TRIED_BATCH = 64
# How far a score may move with the company it is in. Dynamic int8 takes its scale from the whole batch.
MAX_SCORE_SPREAD = 0.05

# The pixels of one face or picture for a model: a uint8 array (height, width, 3) for each of its inputs.
Region = tuple[Picture, ...]


def find_model(name: str) -> Path:
    """Return the file of a bundled model or of a path.

    Args:
        name: of a bundled model, also one that it had before, or a path.

    Raises:
        FacescanError: there is no such model and no such file.
    """
    if name in bundled_models():
        return BUNDLED / f"{name}.onnx"
    if os.path.isfile(name):
        return Path(name)
    if name in RENAMED:
        return find_model(RENAMED[name])
    raise FacescanError(f"no model {name!r}: neither a file nor a bundled model ({', '.join(bundled_models())})")


def square_for_model(card: Card, picture: Picture, box: Box, turn: int = 0) -> Cut:
    """Choose the square of a picture that a model gets of a face.

    Args:
        card: of the model.
        picture: (height, width, 3).
        box: of the face, in pixels of the picture.
        turn: degrees by which the face is turned clockwise.
    """
    turn = judged_turn(turn, card.crop.level)
    return square_round_face((picture.shape[1], picture.shape[0]), box, card.margin, card.crop.edge, turn)


def prepare(
    picture: Picture, box: Box | None, card: Card, levels: Mapping[int, Picture] | None = None, turn: int = 0
) -> Region:
    """Cut out and resize a face for each input of a model, in scanning and in training alike.

    Args:
        picture: RGB uint8 (height, width, 3), upright.
        box: of the face, in pixels of the picture; None for the whole picture.
        card: of the model; gives the crop, and the inputs' sizes and contents.
        levels: `error_levels` of the picture by JPEG quality, where they are computed already.
        turn: degrees by which the face is turned clockwise, as the face finder returns it.

    Returns:
        For each input of the card, in order, RGB uint8 (input height, input width, 3), before normalising.
    """
    cut = None if box is None else square_for_model(card, picture, box, turn)
    region = []
    for spec in card.inputs:
        source = picture
        if spec.content == "ela":
            # Computed of the whole picture, so that the 8 x 8 blocks lie where they lay when the file was saved.
            quality = int(spec.ela["quality"])
            known = (levels or {}).get(quality)
            source = error_levels(picture, quality) if known is None else known
            source = ela_map(source, spec.ela["alpha"], spec.ela["beta"])
        height, width = spec.size
        region.append(cut.of(source, width, height) if cut else shrink(source, width, height))
    return tuple(region)


def normalise(pixels: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """Convert pixels to the tensor of an input.

    Args:
        pixels: RGB uint8 (n, height, width, 3).
        spec: of the input.

    Returns:
        float32 in the layout and colour order of the input.
    """
    if spec.color == "BGR":
        pixels = pixels[..., ::-1]
    low, high = spec.range
    mean, std = np.asarray(spec.mean, np.float64), np.asarray(spec.std, np.float64)
    # One multiplication and one addition for each value, on whole rows: NumPy is slow along an axis of three.
    n, height, width, channels = pixels.shape
    slope = np.tile(((high - low) / 255 / std).astype(np.float32), width)
    offset = np.tile(((low - mean) / std).astype(np.float32), width)
    tensor = pixels.reshape(n, height, width * channels) * slope
    tensor += offset
    tensor = tensor.reshape(pixels.shape)
    return np.ascontiguousarray(tensor.transpose(0, 3, 1, 2) if spec.layout == "NCHW" else tensor)


class Detector:
    """A classifier of regions, with its ONNX session.

    A model that is not bundled is tried first: it scores a few regions of noise in a separate process, which may hang
    or crash. What fails there would fail in the scan.

    Args:
        file: the ONNX file.
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads inside an operator.
        batch_size: regions that will be scored at once; None lets the device decide.
        tried: SHA-256 of the file's content, in hexadecimal, if the file was tried already.

    Raises:
        FacescanError: the model cannot be used, or `cuda` was requested and is not available.

    Attributes:
        card: the model's card.
        sha256: of the file's content, in hexadecimal.
        device: the device on which the model runs.
        batch: regions in a batch, if the graph fixes the number; None if it does not.
    """

    def __init__(
        self, file: Path, device: str = "cpu", threads: int = 1, batch_size: int | None = None, tried: str = ""
    ) -> None:
        content = read_model(file)
        self.sha256 = hashlib.sha256(content).hexdigest()
        if tried and self.sha256 != tried:
            raise FacescanError(f"{file}: it was replaced while it was in use")
        on_cpu = device == "cpu" or why_no_cuda() is not None
        if not tried and self.sha256 not in _bundled_hashes():
            tried_batch = min(batch_size or BATCH["cpu"], _TRIED_BATCH) if on_cpu else 2
            attempt = partial(_score_noise, file, self.sha256, threads, tried_batch)
            try_model(file, attempt, TRIAL_SECONDS)
        self._session, self.device = open_session(content, str(file), device, threads)
        self._file, self._threads = file, threads
        try:
            self.card = read_card(self._session.get_modelmeta().custom_metadata_map, str(file))
            self._takes_bytes = check_tensors(self._session, self.card, str(file))
        except UnicodeDecodeError as error:
            raise FacescanError(f"{file}: has names or metadata that are not UTF-8; export it again") from error
        first = self._session.get_inputs()[0].shape[0]
        self.batch: int | None = first if isinstance(first, int) else None
        self._check_batch(str(file))
        if not on_cpu:  # the trial in the other process ran on the CPU
            try:
                with deadline(TRIAL_SECONDS) as options:
                    self.score_noise(batch_size or BATCH[self.device.used], self.device.used != "cpu", options)
            except Exception as error:  # onnxruntime raises a different class for every kind of trouble
                raise trial_failure(file, first_line(error)) from error

    def __reduce__(self) -> tuple[Callable[..., Detector], tuple[Any, ...]]:
        """Pickle the file's name instead of the session, which cannot be pickled."""
        return _reopen, (self._file, self.device.used, self._threads, self.sha256)

    @property
    def ela_qualities(self) -> frozenset[int]:
        """Return the JPEG qualities of the Error Level Analysis that the model's inputs need."""
        return frozenset(int(spec.ela["quality"]) for spec in self.card.inputs if spec.content == "ela")

    def logits(self, regions: Sequence[Region], batch_size: int | None = None) -> NDArray[np.float64]:
        """Score regions, in batches.

        Args:
            regions: any number n of them, made by `prepare`.
            batch_size: regions in a batch; None lets the device decide. Some graphs fix it.

        Returns:
            Uncalibrated log-odds of fake, (n,); not a number where the model gave none.

        Raises:
            FacescanError: the model fails.
        """
        if not regions:
            return np.empty(0)
        output = self._in_batches(self.card.output.name, regions, batch_size)
        return to_logits(output.reshape(len(regions), -1).astype(np.float64), self.card)

    def p_fake(self, regions: Sequence[Region], batch_size: int | None = None) -> NDArray[np.float64]:
        """Return calibrated probabilities of fake, (n,), 0..1, as `logits` returns log-odds."""
        return calibrate(self.logits(regions, batch_size), self.card)

    def contributions(self, regions: Sequence[Region], batch_size: int | None = None) -> NDArray[np.float64]:
        """Return what each place adds to the uncalibrated log-odds of fake, (n, h, w): the places sum to them.

        For models whose card names an `activation`. Zhou et al. 2016, "Learning Deep Features for Discriminative
        Localization", arXiv:1512.04150, for a mean over the last feature map;
        `train.onnx_export.activation` for others. Arguments and errors are those of `logits`.
        """
        return self._in_batches(self.card.activation, regions, batch_size).astype(np.float64)

    def _in_batches(self, output: str, regions: Sequence[Region], batch_size: int | None) -> NDArray[Any]:
        """Compute one output of any number of regions.

        Raises:
            FacescanError: the model fails.
        """
        size = self.batch or batch_size or BATCH[self.device.used]
        parts: list[NDArray[Any]] = []
        for start in range(0, len(regions), size):
            batch = [*regions[start : start + size]]
            padding = [batch[0]] * (self._padded(len(batch), size) - len(batch))
            try:
                parts.append(self.run_batch([output], batch + padding)[0][: len(batch)])
            except Exception as error:  # onnxruntime raises a different class for every kind of trouble
                raise FacescanError(f"model {self.card.name} failed: {first_line(error)}") from error
        return np.concatenate(parts) if parts else np.empty((0, 1, 1), np.float32)

    def _padded(self, regions: int, batch_size: int) -> int:
        """Return how many regions a batch of so many is filled up to."""
        if self.batch or self.device.used != "cpu":  # a GPU plans anew for every shape
            return batch_size
        return regions if regions <= _MAX_UNPADDED_BATCH else min(batch_size, 1 << (regions - 1).bit_length())

    def run_batch(
        self, outputs: Sequence[str], regions: Sequence[Region], options: RunOptions | None = None
    ) -> list[NDArray[Any]]:
        """Run the graph once.

        Args:
            outputs: names of those to compute.
            regions: one batch, as it is, of a size that the graph takes.
            options: of ONNX Runtime.

        Returns:
            The outputs, in order, (regions, ...).

        Raises:
            Exception: of ONNX Runtime.
        """
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
        computed: list[NDArray[Any]] = self._session.run(list(outputs), feeds, options)
        return computed

    def score_noise(self, batch_size: int, only_full: bool = False, options: RunOptions | None = None) -> None:
        """Score a bright region of noise and a dark one: each alone, together, and at every place of a full batch.

        Args:
            batch_size: regions in a full batch, if the graph does not fix the number.
            only_full: whether to try full batches only.
            options: of the runs.

        Raises:
            ValueError: the scores contradict the card or the activation, or a region's score depends on the others.
            Exception: any error of ONNX Runtime.
        """
        bright, dark = self._noise()
        batches = self._batches_of(bright, dark, self.batch or batch_size, only_full)
        names = [self.card.output.name, *filter(None, [self.card.activation])]
        scores: dict[int, list[float]] = {id(bright): [], id(dark): []}
        for regions in batches:
            output, *activation = self.run_batch(names, regions, options)
            if trouble := output_error(output, len(regions), self.card):
                raise ValueError(trouble)
            logits = to_logits(output.reshape(len(regions), -1).astype(np.float64), self.card)
            if activation and (trouble := activation_error(activation[0], logits)):
                raise ValueError(trouble)
            for region, p_fake in zip(regions, calibrate(logits, self.card).tolist(), strict=True):
                scores[id(region)].append(p_fake)
        for region_scores in scores.values():
            low, high = min(region_scores, default=0.0), max(region_scores, default=0.0)
            if high - low > MAX_SCORE_SPREAD:
                raise ValueError(f"one picture has scores from {low:.4f} to {high:.4f}")

    def _noise(self) -> tuple[Region, Region]:
        """Make a bright region of noise and a dark one, the same ones every time."""
        noise = np.random.default_rng(0)
        bright, dark = (
            tuple(noise.integers(0, top, (*spec.size, 3), np.uint8) for spec in self.card.inputs) for top in (256, 64)
        )
        return bright, dark

    def _batches_of(self, one: Region, other: Region, size: int, only_full: bool) -> list[list[Region]]:
        """Arrange two regions in batches: each alone, together, and at every place of a full batch.

        Args:
            one: a region.
            other: another region.
            size: regions in a full batch.
            only_full: whether to return full batches only, as for a graph that fixes the size.
        """
        full = [([one, other] * size)[:size], ([other, one] * size)[:size]]
        return full if self.batch or only_full else [[other, one], [one], [other], full[0]]

    def _check_batch(self, file: str) -> None:
        """Refuse a graph that fixes a batch of too many pixels.

        Raises:
            FacescanError: the batch has too many pixels.
        """
        pixels = sum(spec.size[0] * spec.size[1] for spec in self.card.inputs)
        if self.batch is not None and not 1 <= self.batch <= MAX_BATCH_PIXELS // pixels:
            raise FacescanError(
                f"{file}: takes {self.batch} regions of {pixels} pixels at once, outside 1 to {MAX_BATCH_PIXELS} pixels"
                "; export it with a free batch"
            )


def _score_noise(file: Path, sha256: str, threads: int, batch_size: int) -> None:
    """Open a model on the CPU and score noise, as a trial.

    Args:
        file: the ONNX file.
        sha256: of its content, in hexadecimal.
        threads: CPU threads inside an operator.
        batch_size: regions in a full batch.

    Raises:
        FacescanError: the model cannot be used, or the file's content has changed.
    """
    Detector(file, "cpu", threads, tried=sha256).score_noise(batch_size)


def _reopen(file: Path, device: str, threads: int, sha256: str) -> Detector:
    """Open a detector again, in another process; arguments as those of `Detector`."""
    return Detector(file, device, threads, tried=sha256)


def _bundled_hashes() -> frozenset[str]:
    """Read the SHA-256 of the bundled models, in hexadecimal, from the file that `sha256sum *.onnx` wrote."""
    with suppress(OSError):
        return frozenset(line.partition(" ")[0] for line in (BUNDLED / "SHA256SUMS").read_text().splitlines())
    return frozenset()
