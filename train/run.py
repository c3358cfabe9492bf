"""From a recipe and an index to a model file: split, fit, export, calibrate, evaluate; and the record of it."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from scanner.card import Card
from scanner.errors import FacescanError
from scanner.model import Detector
from train.calibrate import calibrate_on
from train.data import LABELS, Crops, Sample, Splits, crops, data_hash, read_samples, sampling_weights, split, without
from train.degrade import CONDITIONS, FAIR
from train.evaluate import BATCH, Evaluation, measure, table
from train.export import export, write_card
from train.fit import fit
from train.probe import probe_auc
from train.recipes import Recipe

PACKAGES = ("facescan", "keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime-gpu", "onnxruntime", "numpy")
# Real pictures on which the exported file is compared with Keras.
COMPARED = 64


def run(
    recipe: Recipe,
    data: Path,
    out: Path,
    weights: Path | None = None,
    epochs: int | None = None,
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Path:
    """Make the recipe's detector: `out`/NAME.onnx, with run.json, evaluation.json and evaluation.txt beside it.

    Raises:
        FacescanError: the data cannot be read or lacks a class, or the export differs from Keras.
    """
    samples = without(read_samples(data), recipe.excluded)
    splits = split(samples, seed, recipe.test_sets, recipe.calibration_sets)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FacescanError(f"{out}: {error.strerror}") from error
    card = recipe.card()
    conditions = list(CONDITIONS.values())
    train = _crops("train", splits.train, card, conditions, report)
    calibration = _crops("calibration", splits.calibration, card, conditions, report)
    test = _crops("test", splits.test, card, conditions, report)

    fair = list(CONDITIONS).index(FAIR)
    validation = replace(calibration, regions=(calibration.regions[fair],))
    fitted = fit(recipe, train, validation, seed, weights, epochs, report)
    fitted.model.save(out / f"{recipe.name}.keras")
    file = out / f"{recipe.name}.onnx"
    compared = [*test.regions[0][:: max(1, len(test.samples) // COMPARED)]]
    difference = export(fitted.model, recipe, card, file, compared)
    report(f"{file.name}: logits differ from Keras' by at most {difference:.1e} on {len(compared)} pictures")

    probes = {condition: probe_auc(train, test, i) for i, condition in enumerate(CONDITIONS)}
    evaluation = finish(file, splits, calibration, test, seed, probes)
    for condition in CONDITIONS:
        report(table(evaluation, condition))
        report(f"the probe of sharpness, greyness and blocking: AUC {probes[condition]:.3f}\n")
    record = {
        "recipe": asdict(recipe),
        "seed": seed,
        "epochs": len(fitted.history),
        "weights": weights.name if weights else None,
        "versions": _versions(),
        "data_sha256": data_hash(samples),
        "onnx_minus_keras": difference,
        "history": fitted.history,
        "probe_auc": probes,
        "splits": {name: [s.path for s in getattr(splits, name)] for name in ("train", "calibration", "test")},
    }
    (out / "run.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (out / "evaluation.json").write_text(json.dumps(evaluation.to_json(), indent=1) + "\n", encoding="utf-8")
    (out / "evaluation.txt").write_text("\n\n".join(table(evaluation, c) for c in CONDITIONS) + "\n", encoding="utf-8")
    return file


def finish(
    file: Path, splits: Splits, calibration: Crops, test: Crops, seed: int, probes: dict[str, float]
) -> Evaluation:
    """Calibrate an exported file on pictures it has not seen, measure it, and write both into its card."""
    detector = Detector(file)
    trained_on = _names(splits.train)
    logits, labels, weights = _calibration_scores(detector, calibration, trained_on)
    fitted = calibrate_on(logits, labels, weights)
    card = replace(
        detector.card,
        calibration=fitted.calibration,
        operating_points=fitted.operating_points,
        uncertain=fitted.uncertain,
        training={
            "sets": trained_on,
            "calibration_sets": _names(splits.calibration),
            "test_sets": _names(splits.test),
            "pictures": {name: len(getattr(splits, name)) for name in ("train", "calibration", "test")},
            "seed": seed,
            "terms": "research or non-commercial use for most of the sets, no stated licence for many",
        },
    )
    write_card(file, card)
    evaluation = measure(Detector(file), test)
    write_card(file, replace(card, metrics=_key_figures(evaluation, probes)))
    return replace(evaluation, sha256=Detector(file).sha256)


def _crops(
    name: str, samples: Sequence[Sample], card: Card, conditions: Sequence[Any], report: Callable[[str], None]
) -> Crops:
    seen = crops(samples, card, conditions)
    counts = Counter(LABELS[sample.fake] for sample in seen.samples)
    report(
        f"{name}: {counts['real']} real, {counts['fake']} fake; "
        f"{len(seen.faceless)} without a face, {len(seen.broken)} broken"
    )
    return seen


def _calibration_scores(detector: Detector, seen: Crops, trained_on: Iterable[str]) -> tuple[Any, Any, Any]:
    """Logits, labels and weights over all conditions: pictures come re-saved. Sets never trained on weigh a half."""
    names = set(trained_on)
    known = np.array([bool(_names([sample])[0] in names) for sample in seen.samples])
    weights = np.zeros(len(seen.samples))
    for fake in (False, True):
        own = seen.fake == fake
        parts = [own & known, own & ~known]
        parts = [part for part in parts if part.any()]
        for part in parts:
            within = sampling_weights([s for s, chosen in zip(seen.samples, part, strict=True) if chosen])
            weights[part] = 0.5 * within / within.sum() / len(parts)
    logits = [
        detector.logits(regions[i : i + BATCH]) for regions in seen.regions for i in range(0, len(regions), BATCH)
    ]
    copies = len(seen.regions)
    return np.concatenate(logits), np.tile(seen.fake, copies), np.tile(weights, copies)


def _key_figures(evaluation: Evaluation, probes: dict[str, float]) -> dict[str, Any]:
    """What the card says: pooled figures under each condition, and every generator and set of reals re-encoded."""
    keys = ("auc", "ap", "tpr_5", "tpr_1", "over_5", "over_1", "uncertain", "wrong", "accuracy", "ece")

    def figures(row: Any) -> dict[str, Any]:
        values = {key: getattr(row, key) for key in keys}
        return {"seen": row.seen, "n": row.n_real + row.n_fake} | {
            key: round(value, 3) for key, value in values.items() if value is not None
        }

    pooled = {
        condition: {row.name: figures(row) for row in rows if row.scope == "pooled"}
        for condition, rows in evaluation.rows.items()
    }
    by_name = {
        scope: {row.name: figures(row) for row in evaluation.rows[FAIR] if row.scope == scope}
        for scope in ("generator", "reals")
    }
    return {"pooled": pooled, FAIR: by_name, "probe_auc": {key: round(value, 3) for key, value in probes.items()}}


def _names(samples: Iterable[Sample]) -> list[str]:
    return sorted({f"{sample.set}/{LABELS[sample.fake]}" for sample in samples})


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except ModuleNotFoundError:  # one of the two builds of ONNX Runtime
            continue
    return found
