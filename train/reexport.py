"""The folder of a run -> another ONNX file of the same detector: exported anew, or smaller: fp16, int8."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from scanner.detector.model import Detector, Region
from scanner.errors import FacescanError, first_line
from train.data.crops import Crops, crops
from train.data.degrade import AS_FOUND, FAIR, conditions
from train.data.index import data_hash, of_sets, read_samples
from train.data.samples import Sample
from train.evaluation.calibrate import calibrate_on, calibration_scores
from train.evaluation.evaluate import measure, training_facts
from train.evaluation.metrics import auc
from train.evaluation.score import BATCH
from train.onnx_export.card import write_card
from train.onnx_export.export import export
from train.onnx_export.quantise import halve, quantise
from train.onnx_export.token_int8 import quantise_tokens
from train.recipes import find_recipe
from train.run import COMPARED, PROBED, key_figures

# Training pictures by which the ranges of the activations are found.
RANGED = 256
# How often each file's speed is taken, in turns; the median counts.
TURNS = 9


@dataclass(frozen=True, slots=True)
class Run:
    """What `train.run` left in a folder.

    Attributes:
        folder: it.
        name: of the recipe, and of the files.
        seed: of the run.
        format: the condition of `train.data.degrade` under which the training pictures were seen.
        sets: of the index, that were used.
        data_hash: of their pictures (`train.data.index.data_hash`).
        splits: paths of the pictures, by `train`, `validation` and `test`.
    """

    folder: Path
    name: str
    seed: int
    format: str
    sets: tuple[str, ...]
    data_hash: str
    splits: dict[str, frozenset[str]]

    @property
    def file(self) -> Path:
        """The fp32 ONNX file."""
        return self.folder / f"{self.name}.onnx"

    def read_samples(self, data: Path) -> list[Sample]:
        """The pictures that the run was made from.

        Raises:
            FacescanError: the data hold others.
        """
        samples = of_sets(read_samples(data), self.sets)
        if data_hash(samples) != self.data_hash:
            raise FacescanError(
                f"{data}: not the pictures that {self.folder} was made from: some are new, gone or other"
            )
        return samples

    def part(self, name: str, samples: Sequence[Sample]) -> list[Sample]:
        """Those of a split: `train`, `validation` or `test`."""
        return [sample for sample in samples if sample.path in self.splits[name]]


def read_run(folder: Path) -> Run:
    """The record of a run.

    Raises:
        FacescanError: there is none.
    """
    record = folder / "run.json"
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
        splits = {part: frozenset(values["splits"][part]) for part in ("train", "validation", "test")}
        return Run(
            folder,
            values["recipe"]["name"],
            int(values["seed"]),
            values["format"],
            tuple(values["sets"]),
            values["data_sha256"],
            splits,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FacescanError(f"{record}: no record of a run: {error}") from error


def export_again(folder: Path, data: Path, out: Path | None = None, report: Callable[[str], None] = print) -> Path:
    """Keras -> ONNX once more, with the card that the run's file has.

    Args:
        folder: of the run.
        data: that it was made from.
        out: to write instead of the run's file.
        report: told how well the two agree.

    Raises:
        FacescanError: something of the run is missing, the data are others, or the file differs from Keras.
    """
    run = read_run(folder)
    card = Detector(run.file).card
    samples = run.part("test", run.read_samples(data))
    compared = crops(samples[:: max(1, len(samples) // COMPARED)], card).regions[0]
    saved = folder / f"{run.name}.keras"
    try:
        model = keras.models.load_model(saved, compile=False)
    except (OSError, ValueError) as error:
        raise FacescanError(f"{saved}: {first_line(error)}") from error
    # The recipe may have changed since; the file's card has not.
    recipe = replace(find_recipe(run.name), inputs=card.inputs, output=card.output.kind, labels=card.labels)
    file = _writable(out or run.file)
    try:
        difference = export(model, recipe, card, file, compared)
    except (ValueError, KeyError) as error:  # Keras': a network with other inputs than the run's
        raise FacescanError(f"{saved}: not the network of {run.file.name}: {first_line(error)}") from error
    report(f"{file.name}: probabilities differ from Keras' by at most {difference:.1e} on {len(compared)} pictures")
    return file


def export_smaller(
    folder: Path, data: Path, precision: str, out: Path | None = None, report: Callable[[str], None] = print
) -> Path:
    """The run's file made smaller, calibrated on the validation pictures, compared and measured on the test pictures.

    Its card has its own figures. That of int8 names it NAME-int8; fp16 and int8-tokens compute nearly what fp32 does,
    and keep the name.

    Args:
        folder: of the run.
        data: that it was made from.
        precision: `fp16`, `int8` (see `train.onnx_export.quantise`) or `int8-tokens` (`train.onnx_export.token_int8`).
        out: to write instead of NAME.PRECISION.onnx beside the run's file.
        report: told the comparison, as a table.

    Raises:
        FacescanError: something of the run is missing, or the data are others.
    """
    run = read_run(folder)
    file = _writable(out or folder / f"{run.name}.{precision}.onnx")
    card = Detector(run.file).card
    ways, samples = conditions(card), run.read_samples(data)
    if precision == "fp16":
        halve(run.file, file)
    elif precision == "int8-tokens":
        quantise_tokens(run.file, file)
    else:
        lots = np.random.default_rng(run.seed).permutation(len(trained := run.part("train", samples)))
        ranged = crops([trained[i] for i in lots[:RANGED]], card, [ways[run.format]])
        quantise(run.file, file, ranged.regions[0])
    recalibrate(file, crops(run.part("validation", samples), card, list(ways.values())))
    test = crops(run.part("test", samples), card, list(ways.values()))
    report(compare(run.file, file, test, precision))
    # The probes tell of the pictures, which are the same.
    probes = {key: area for key, area in (card.metrics or {}).items() if key in PROBED.values()}
    smaller = Detector(file).card
    if precision == "int8":
        told = f"{card.name}, computing in bytes: smaller and faster on processors"
        smaller = replace(smaller, name=f"{card.name}-int8", description=told)
    write_card(file, replace(smaller, metrics=key_figures(measure(Detector(file), test)) | probes))
    return file


def recalibrate(file: Path, validation: Crops) -> None:
    """Calibration, operating points and uncertain band anew, as `train.run.finish` finds them."""
    detector = Detector(file)
    fitted = calibrate_on(*calibration_scores(detector, validation, training_facts(detector.card).get("sets", ())))
    card = replace(
        detector.card,
        calibration=fitted.calibration,
        operating_points=fitted.operating_points,
        uncertain=fitted.uncertain,
    )
    write_card(file, card)


def compare(before: Path, after: Path, test: Crops, precision: str) -> str:
    """A table of two files.

    Args:
        before: fp32.
        after: of another precision.
        test: regions as found, re-encoded, and perhaps under further conditions.
        precision: of the second, as its column is headed.
    """
    files = (before, after)
    detectors = [Detector(file) for file in files]
    rows = [("file, MB", [file.stat().st_size / 1e6 for file in files], 2)]
    if test.fake.any() and not test.fake.all():
        for condition, regions in zip((AS_FOUND, FAIR), test.regions, strict=False):
            areas = [auc(test.fake, _logits(detector, regions)) for detector in detectors]
            rows.append((f"AUC, {condition.replace('_', ' ')}", areas, 4))
    rows.append(("ms a picture, 1 thread", milliseconds(detectors, test.regions[0][:BATCH]), 2))
    lines = [f"{'':24}{'fp32':>9}{precision:>9}{'change':>9}"]
    for name, (old, new), digits in rows:
        lines.append(f"{name:24}{old:9.{digits}f}{new:9.{digits}f}{new - old:+9.{digits}f}")
    return "\n".join(lines)


def milliseconds(detectors: Sequence[Detector], regions: Sequence[Region]) -> list[float]:
    """For a picture, by each detector: the median of `TURNS` batches, taken in turns after one that does not count."""
    taken: list[list[float]] = [[] for _ in detectors]
    for turn in range(TURNS + 1):
        for detector, times in zip(detectors, taken, strict=True):
            started = time.perf_counter()
            detector.logits(regions)
            if turn:
                times.append((time.perf_counter() - started) / len(regions) * 1e3)
    return [float(np.median(times)) for times in taken]


def _logits(detector: Detector, regions: Sequence[Region]) -> NDArray[np.float64]:
    return np.concatenate([detector.logits(regions[i : i + BATCH]) for i in range(0, len(regions), BATCH)])


def _writable(file: Path) -> Path:
    if not file.parent.is_dir():
        raise FacescanError(f"{file}: no such folder")
    return file
