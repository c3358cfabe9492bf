"""Exports the detector of a finished run to ONNX again, or to a smaller file: fp16, int8."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from scanner.detector.model import Detector, Region
from scanner.errors import FacescanError, first_line
from train.data.crops import Crops, crops
from train.data.degrade import AS_FOUND, FAIR, conditions
from train.data.index import data_hash, of_sets, read_samples
from train.data.samples import Sample
from train.evaluation.evaluate import training_facts
from train.evaluation.metrics import auc
from train.evaluation.score import BATCH
from train.onnx_export.card import write_card
from train.onnx_export.export import export
from train.onnx_export.measured_card import PROBE_METRICS, calibrate_file, measure_file
from train.onnx_export.quantise import halve, quantise
from train.onnx_export.token_int8 import quantise_tokens
from train.recipes import find_recipe
from train.run import COMPARED_PICTURES
from train.run_record import RECORD, RunRecord, read_record

# Training pictures on which the ranges of the activations are measured for int8.
CALIBRATION_PICTURES = 256
# Batches by which each file is timed, alternating between the files; their median counts.
TIMING_ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Run:
    """Holds the folder of a finished run and its record."""

    folder: Path
    record: RunRecord

    @property
    def file(self) -> Path:
        """Return the fp32 ONNX file."""
        return self.folder / f"{self.record.name}.onnx"

    def read_samples(self, data: Path) -> list[Sample]:
        """Read the pictures that the run was made from.

        Raises:
            FacescanError: the pictures or labels in `data` are not those of the run.
        """
        samples = of_sets(read_samples(data), self.record.sets)
        if data_hash(samples) != self.record.data_sha256:
            raise FacescanError(
                f"{data}: not the pictures that {self.folder} was made from: some are new, gone or other"
            )
        return samples

    def part(self, name: str, samples: Sequence[Sample]) -> list[Sample]:
        """Return the samples of a split: `train`, `validation` or `test`."""
        paths = set(self.record.splits.get(name, ()))
        return [sample for sample in samples if sample.path in paths]


def read_run(folder: Path) -> Run:
    """Read the record of a run.

    Raises:
        FacescanError: there is none.
    """
    return Run(folder, read_record(folder / RECORD, ("recipe", "seed", "format", "sets", "data_sha256", "splits")))


def export_again(folder: Path, data: Path, out: Path | None = None, report: Callable[[str], None] = print) -> Path:
    """Export the Keras model of a run to ONNX again, with the card of the run's ONNX file.

    Args:
        folder: of the run.
        data: the index or folder of pictures that the run was made from.
        out: the file to write; None for the run's ONNX file.
        report: called with the largest difference between ONNX and Keras.

    Returns:
        The file written.

    Raises:
        FacescanError: the run lacks a file, the pictures are not the run's, or ONNX and Keras differ.
    """
    run = read_run(folder)
    card = Detector(run.file).card
    samples = run.part("test", run.read_samples(data))
    compared = crops(samples[:: max(1, len(samples) // COMPARED_PICTURES)], card).regions[0]
    saved = folder / f"{run.record.name}.keras"
    try:
        model = keras.models.load_model(saved, compile=False)
    except (OSError, ValueError) as error:
        raise FacescanError(f"{saved}: {first_line(error)}") from error
    # The recipe may have changed since; the file's card has not.
    recipe = replace(find_recipe(run.record.name), inputs=card.inputs, output=card.output.kind, labels=card.labels)
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
    """Make a smaller file of a run's ONNX file, calibrate it on the validation and measure it on the test pictures.

    The figures on its card are its own. An int8 file is named NAME-int8; fp16 and int8-tokens compute nearly
    the same as fp32, and keep the name.

    Args:
        folder: of the run.
        data: the index or folder of pictures that the run was made from.
        precision: `fp16`, `int8` (see `train.onnx_export.quantise`) or `int8-tokens` (`train.onnx_export.token_int8`).
        out: the file to write; None for NAME.PRECISION.onnx in the run's folder.
        report: called with a table that compares the two files.

    Returns:
        The file written.

    Raises:
        FacescanError: the run lacks a file, or the pictures are not the run's.
    """
    run = read_run(folder)
    file = _writable(out or folder / f"{run.record.name}.{precision}.onnx")
    card = Detector(run.file).card
    by_name, samples = conditions(card), run.read_samples(data)
    if precision == "fp16":
        halve(run.file, file)
    elif precision == "int8-tokens":
        quantise_tokens(run.file, file)
    else:
        trained_on = run.part("train", samples)
        order = np.random.default_rng(run.record.seed).permutation(len(trained_on))
        chosen = [trained_on[i] for i in order[:CALIBRATION_PICTURES]]
        quantise(run.file, file, crops(chosen, card, [by_name[run.record.format]]).regions[0])
    recalibrate(file, crops(run.part("validation", samples), card, list(by_name.values())))
    test = crops(run.part("test", samples), card, list(by_name.values()))
    report(compare(run.file, file, test, precision))
    # The probes measure the pictures, not the model: their figures stay.
    probes = {key: area for key, area in (card.metrics or {}).items() if key in PROBE_METRICS.values()}
    if precision == "int8":
        description = f"{card.name}, computing in bytes: smaller and faster on processors"
        write_card(file, replace(Detector(file).card, name=f"{card.name}-int8", description=description))
    measure_file(file, test, probes)
    return file


def recalibrate(file: Path, validation: Crops) -> None:
    """Calibrate a file again, and write calibration, operating points and uncertain band into its card."""
    calibrate_file(file, validation, training_facts(Detector(file).card).get("sets", ()))


def compare(before: Path, after: Path, test: Crops, precision: str) -> str:
    """Compare size, AUC and speed of two files in a table.

    Args:
        before: the fp32 file.
        after: the file of another precision.
        test: crops as found, re-encoded, and perhaps under further conditions.
        precision: of the second file; the title of its column.
    """
    files = (before, after)
    detectors = [Detector(file) for file in files]
    rows = [("file, MB", [file.stat().st_size / 1e6 for file in files], 2)]
    if test.fake.any() and not test.fake.all():
        for condition, regions in zip((AS_FOUND, FAIR), test.regions, strict=False):
            areas = [auc(test.fake, detector.logits(regions, BATCH)) for detector in detectors]
            rows.append((f"AUC, {condition.replace('_', ' ')}", areas, 4))
    rows.append(("ms a picture, 1 thread", milliseconds(detectors, test.regions[0][:BATCH]), 2))
    lines = [f"{'':24}{'fp32':>9}{precision:>9}{'change':>9}"]
    for name, (old, new), digits in rows:
        lines.append(f"{name:24}{old:9.{digits}f}{new:9.{digits}f}{new - old:+9.{digits}f}")
    return "\n".join(lines)


def milliseconds(detectors: Sequence[Detector], regions: Sequence[Region]) -> list[float]:
    """Time the detectors.

    Args:
        detectors: run one after the other in each of `TIMING_ROUNDS` rounds, after a round that does not count.
        regions: the batch that each runs.

    Returns:
        For each detector the median time of a picture, in milliseconds.
    """
    taken: list[list[float]] = [[] for _ in detectors]
    for number in range(TIMING_ROUNDS + 1):
        for detector, times in zip(detectors, taken, strict=True):
            started = time.perf_counter()
            detector.logits(regions, BATCH)
            if number:
                times.append((time.perf_counter() - started) / len(regions) * 1e3)
    return [float(np.median(times)) for times in taken]


def _writable(file: Path) -> Path:
    if not file.parent.is_dir():
        raise FacescanError(f"{file}: no such folder")
    return file
