"""Makes a model file of a recipe and pictures: splits, fits, exports, calibrates, evaluates, and records the run."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from scanner.detector.card import Card
from scanner.errors import FacescanError
from scanner.output.destination import replace_file
from train.data.crops import Condition, Crops, crops
from train.data.degrade import CONDITIONS, conditions
from train.data.hash_split import short_hash, with_contents
from train.data.index import data_hash, of_sets, set_names
from train.data.layouts import read_layout, summary
from train.data.samples import LABELS, Sample
from train.data.split import Splits, split
from train.data.unusable import find_usable
from train.environment import machine, versions
from train.evaluation import png_plots as plots
from train.evaluation.comparison import RULES, other_pictures
from train.evaluation.evaluate import plot, table
from train.evaluation.figures import Evaluation
from train.evaluation.metrics import Confusion, confusion
from train.evaluation.probe import PROBES, probe_aucs
from train.fitting.fit import Fitted, fit, logits
from train.fitting.network import layer_table
from train.fitting.weights import resolve
from train.onnx_export.export import OPSET, export
from train.onnx_export.measured_card import PROBE_METRICS, calibrate_file, measure_file
from train.plan import Plan, split_rule
from train.recipes.schema import Recipe
from train.run_folder import is_finished, make_folder, run_checkpoints
from train.run_record import RECORD, RunRecord

# Terms of use on the card if the user states none.
NO_TERMS = "not stated"
PARTS = ("train", "validation", "test")
# Pictures of the test split on which the exported file is compared with Keras.
COMPARED_PICTURES = 64

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Data:
    """Holds the pictures of a run.

    Attributes:
        samples: that can be used.
        unused: paths of the others, by reason.
        sha256: over all of them (`train.data.index.data_hash`).
        splits: of `samples`.
    """

    samples: Sequence[Sample]
    unused: Mapping[str, list[str]]
    sha256: str
    splits: Splits


@dataclass(frozen=True, slots=True)
class _Parts:
    """Holds the crops of the three splits: for training under one condition, for the others under all."""

    train: Crops
    validation: Crops
    test: Crops


def run(recipe: Recipe, data: Path, out: Path, plan: Plan, report: Report = print) -> Path:
    """Make the recipe's detector, `out`/NAME.onnx.

    The folder also gets NAME.keras, run.json (all that is needed to repeat the run), history.csv, curves.png,
    evaluation.json, evaluation.txt, and the plots of `evaluate.plot`. During the training a checkpoint is written after
    every epoch. Ctrl-C ends the training after the last whole epoch: the weights of that epoch are exported and
    measured, and run.json says `partial`.

    Args:
        recipe: how the detector is made.
        data: an index of pictures, or a folder of them.
        out: folder of the run.
        plan: changes to the recipe, and the user's other choices.
        report: called with lines of text about the progress and the figures.

    Returns:
        The ONNX file.

    Raises:
        FacescanError: the data cannot be read, a split lacks a class, `out` cannot be written or holds another run, or
            the export differs from Keras.
        KeyboardInterrupt: Ctrl-C ended the training; the files are those of the partial run.
    """
    file = out / f"{recipe.name}.onnx"
    if plan.resume and not plan.force and is_finished(out):
        report(f"{out}: is finished already")
        return file
    planned = plan.applied_to(recipe)
    found = _read_data(recipe, data, plan, report)
    weights = resolve(plan.weights, recipe.backbones)
    make_folder(out)
    checkpoints = run_checkpoints(planned, out, plan, found.sha256)
    card, form = recipe.card(), plan.format
    parts = _cut(found.splits, card, form, report)

    fitted = fit(planned, parts.train, _under(parts.validation, form), plan.seed, weights, report, checkpoints)
    fitted.model.save(out / f"{recipe.name}.keras")
    _write_history(fitted.history, out)
    compared = [*parts.test.regions[0][:: max(1, len(parts.test.samples) // COMPARED_PICTURES)]]
    difference = export(fitted.model, recipe, card, file, compared)
    report(f"{file.name}: probabilities differ from Keras' by at most {difference:.1e} on {len(compared)} pictures")

    probes = {name: dict(zip(CONDITIONS, probe_aucs(name, parts.train, parts.test), strict=True)) for name in PROBES}
    evaluation = _finish(file, found.splits, parts, plan, probes, report)
    _report_figures(evaluation, probes, report)
    own_rule = {
        name: confusion(part.fake, logits(fitted.model, part.regions[0], recipe) >= 0)
        for name, part in (("train", parts.train), ("test", _under(parts.test, form)))
    }
    _write_evaluation(evaluation, recipe, form, own_rule["test"], out)
    record = replace(
        _record(planned, plan, found, parts, fitted, weights),
        recipe=asdict(recipe),
        onnx_minus_keras=difference,
        own_rule={name: confusion_figures(matrix) for name, matrix in own_rule.items()},
        test_auc={condition: evaluation.row("pooled", "all", condition).auc for condition in CONDITIONS},
        probes=probes,
    )
    # Written last, and in one piece: a folder with run.json holds a whole run.
    replace_file(str(out / RECORD), (json.dumps(record.to_json(), indent=1) + "\n").encode(), None, "--out")
    if fitted.partial:
        report(f"{out}: a partial run, of {record.epochs} of {planned.training.epochs} epochs: --resume continues it")
        raise KeyboardInterrupt
    for checkpoint in checkpoints:
        checkpoint.remove()
    return file


def confusion_figures(found: Confusion) -> dict[str, Any]:
    """Return a confusion matrix with its accuracy, precision, recall and F1; fake is the positive class."""
    values = {key: getattr(found, key) for key in ("accuracy", "precision", "recall", "f1")}
    return asdict(found) | {key: None if value is None else round(value, 4) for key, value in values.items()}


def _read_data(recipe: Recipe, data: Path, plan: Plan, report: Report) -> _Data:
    """Read the pictures, leave out unusable ones, and split the others."""
    found = read_layout(data)
    found = with_contents(of_sets(found, plan.sets) if plan.sets else found)
    report(summary(data, found))
    usable = find_usable(found)
    if usable.summary:
        report(usable.summary)
    splits = split(usable.samples, split_rule(recipe, usable.samples, plan.left_out), plan.seed)
    return _Data(usable.samples, usable.left_out, data_hash(found), splits)


def _cut(splits: Splits, card: Card, form: str, report: Report) -> _Parts:
    """Cut the crops of all splits.

    Args:
        splits: of the samples.
        card: of the model.
        form: the condition of the training crops.
        report: called with the number of pictures in each split.
    """
    by_name = conditions(card)
    return _Parts(
        _crops("train", splits.train, card, [by_name[form]], report),
        _crops("validation", splits.validation, card, list(by_name.values()), report),
        _crops("test", splits.test, card, list(by_name.values()), report),
    )


def _finish(
    file: Path, splits: Splits, parts: _Parts, plan: Plan, probes: Mapping[str, Mapping[str, float]], report: Report
) -> Evaluation:
    """Calibrate an exported file on the validation crops, and measure it on the test crops.

    Args:
        file: the exported detector; its card is replaced.
        splits: all samples of the run.
        parts: the crops of the splits.
        plan: gives the seed and the terms of use.
        probes: areas under the ROC curve by probe and condition.
        report: called with a warning if the detector is no better than chance.
    """
    training = {
        "sets": set_names(splits.train),
        "calibration_sets": set_names(splits.validation),
        "test_sets": set_names(splits.test),
        "pictures": {name: len(getattr(splits, name)) for name in PARTS},
        "seed": plan.seed,
        "terms": plan.terms or NO_TERMS,
        "picture_hashes": " ".join(sorted({short_hash(sample.content) for sample in splits.train})),
    }
    calibrate_file(file, parts.validation, set_names(splits.train), training, report)
    areas = {
        PROBE_METRICS[name]: {condition: round(area, 3) for condition, area in found.items()}
        for name, found in probes.items()
    }
    return measure_file(file, parts.test, areas)


def _report_figures(evaluation: Evaluation, probes: Mapping[str, Mapping[str, float]], report: Report) -> None:
    for condition in CONDITIONS:
        report(table(evaluation, condition))
        areas = ", ".join(f"{name} {by_condition[condition]:.3f}" for name, by_condition in probes.items())
        report(f"AUC without looking at the face (train/evaluation/probe.py): {areas}\n")


def _write_evaluation(evaluation: Evaluation, recipe: Recipe, form: str, own_rule: Confusion, out: Path) -> None:
    """Write the figures as JSON, text and plots.

    Args:
        evaluation: on the test crops.
        recipe: with its study, whose rule `own_rule` follows.
        form: the condition of the training crops.
        own_rule: confusion matrix of the test crops by the study's rule; drawn if there is a study.
        out: folder of the run.
    """
    (out / "evaluation.json").write_text(json.dumps(evaluation.to_json(), indent=1) + "\n", encoding="utf-8")
    (out / "evaluation.txt").write_text("\n\n".join(table(evaluation, c) for c in CONDITIONS) + "\n", encoding="utf-8")
    plot(evaluation, out)
    if recipe.study:
        # confusion.png follows the study's rule; the matrix at the card's operating point gets a name of its own.
        os.replace(out / "confusion.png", out / "confusion_at_5_percent_false_alarms.png")
        plots.confusion_matrix(out / "confusion.png", own_rule, f"{recipe.name} ({form}): {RULES[recipe.output]}")


def _record(
    planned: Recipe, plan: Plan, found: _Data, parts: _Parts, fitted: Fitted, weights: Mapping[str, str | None]
) -> RunRecord:
    """Describe a run, but for its recipe and its figures.

    Args:
        planned: the recipe, with the epochs and the learning rate of the plan.
        plan: the user's choices.
        found: the pictures.
        parts: their crops.
        fitted: the trained network.
        weights: files of initial weights by backbone.
    """
    files = {name: Path(path) for name, path in weights.items() if path}
    unusable = {
        kind: [sample.path for part in (parts.train, parts.validation, parts.test) for sample in getattr(part, kind)]
        for kind in ("broken", "faceless")
    }
    return RunRecord(
        seed=plan.seed,
        sets=list(plan.sets) or sorted({sample.set for sample in found.samples}),
        left_out=list(plan.left_out),
        format=plan.format,
        epochs=len(fitted.history) // planned.training.members,
        planned={"epochs": planned.training.epochs, "learning_rate": planned.training.learning_rate},
        partial=fitted.partial,
        minutes=round(sum(epoch["seconds"] for epoch in fitted.history) / 60, 2),
        machine=machine(),
        parameters=fitted.model.count_params(),
        layers=layer_table(fitted.model),
        weights={name: Path(path).name if path else None for name, path in weights.items()},
        weights_sha256={name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()},
        backend=keras.backend.backend(),
        tf_enable_onednn_opts=os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
        versions=versions(),
        opset=OPSET,
        data_sha256=found.sha256,
        other_pictures=other_pictures(found.samples, planned.study.paper) if planned.study else "",
        unused={**found.unused, **unusable},
        history=fitted.history,
        splits={name: [sample.path for sample in getattr(found.splits, name)] for name in PARTS},
    )


def _under(part: Crops, condition: str) -> Crops:
    """Return the crops with the regions of one of `CONDITIONS` only."""
    return replace(part, regions=(part.regions[CONDITIONS.index(condition)],))


def _crops(name: str, samples: Sequence[Sample], card: Card, under: Sequence[Condition], report: Report) -> Crops:
    """Cut the crops of one split.

    Raises:
        FacescanError: no picture of one class is left in the split.
    """
    part = crops(samples, card, under)
    counts = Counter(LABELS[sample.fake] for sample in part.samples)
    report(
        f"{name}: {counts['real']} real, {counts['fake']} fake; "
        f"{len(part.faceless)} without a face, {len(part.broken)} broken"
    )
    for label in LABELS:
        if not counts[label]:
            raise FacescanError(
                f"{name}: no {label} picture in this split: more pictures, other shares (--validation, --test of fit), "
                "or another --seed"
            )
    return part


def _write_history(history: Sequence[Mapping[str, float]], out: Path) -> None:
    with (out / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["epoch", *history[0]])
        writer.writeheader()
        writer.writerows({"epoch": i} | dict(point) for i, point in enumerate(history, start=1))
    plots.history(out / "curves.png", history)
