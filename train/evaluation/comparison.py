"""Compares a study's published figures with those of runs here, as text for the screen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np

from train.data.degrade import AS_FOUND
from train.data.samples import LABELS, Sample
from train.evaluation.metrics import Confusion, interval
from train.recipes.studies import Paper, Study
from train.run_record import RunRecord

RULES = {"softmax": "the larger of two outputs decides", "sigmoid": "an output over 0.5 decides"}
FIGURES = ("accuracy", "precision", "recall", "f1")


def comparison(record: RunRecord, study: Study) -> str:
    """Compare the test of one run, by the study's own rule, with the published figures.

    Args:
        record: of the run.
        study: of its recipe.
    """
    found = confusion_of(record.own_rule["test"])
    form = "as found" if record.format == AS_FOUND else "one format for all pictures"
    epochs = f"{record.epochs} of {record.recipe['training']['epochs']} epochs"
    lines = [
        f"{record.name}, {form}, seed {record.seed}, {epochs}{_stopped(record)}",
        f"test: {found.tn + found.fp} real, {found.tp + found.fn} fake; {RULES[record.recipe['output']]}",
        f"{'':18}{'published':>10}{'here':>10}   95 % interval",
    ]
    values = figures_of(found, study.positive)
    for name in FIGURES:
        published = getattr(study, name)
        low_high = share_interval(found, study.positive, name)
        lines.append(
            f"{_title(name, study.positive):18}{_number(published):>10}{_number(values[name]):>10}"
            + (f"   {low_high[0]:.4f} to {low_high[1]:.4f}" if low_high else "")
        )
    lines += [
        f"{'':18}{'called real':>12}{'called fake':>12}",
        f"{'real':18}{found.tn:>12}{found.fp:>12}",
        f"{'fake':18}{found.fn:>12}{found.tp:>12}",
        *_notes(record, study),
    ]
    return "\n".join(lines)


def over_seeds(records: Sequence[RunRecord], study: Study) -> str:
    """Give mean and standard deviation of each figure over runs that differ in their seed only."""
    values = [figures_of(confusion_of(record.own_rule["test"]), study.positive) for record in records]
    parts = []
    for name in FIGURES:
        column = [figure for value in values if (figure := value[name]) is not None]
        if len(column) > 1:
            parts.append(f"{_title(name, study.positive)} {mean(column):.4f} ± {stdev(column):.4f}")
    seeds = ", ".join(str(record.seed) for record in records)
    return f"mean and standard deviation over seeds {seeds}: {', '.join(parts)}"


def other_pictures(samples: Iterable[Sample], paper: Paper) -> str:
    """Say how the pictures differ from the study's, by their numbers and names; empty if they do not."""
    parts = Counter(_part(sample, paper) for sample in samples)
    if dict(parts) == dict(paper.pictures):
        return ""

    def listed(counts: Mapping[str, int]) -> str:
        return ", ".join(f"{number:,} {part}" for part, number in counts.items())

    here = dict(sorted(parts.items(), reverse=True))
    return f"not the study's pictures: here {listed(here)}; there {listed(paper.pictures)}"


def confusion_of(figures: Mapping[str, Any]) -> Confusion:
    """Return the confusion matrix among the figures of a run.json."""
    return Confusion(*(figures[key] for key in ("tp", "fp", "tn", "fn")))


def figures_of(found: Confusion, positive: str) -> dict[str, float | None]:
    """Return accuracy, precision, recall and F1 with the study's positive class.

    Args:
        found: fake is positive.
        positive: as in `Study`; fake is taken if the study does not say.
    """
    if positive == "both columns":
        return {"accuracy": found.accuracy, "precision": None, "recall": None, "f1": found.accuracy}
    turned = Confusion(found.tn, found.fn, found.tp, found.fp) if positive == "real" else found
    return {name: getattr(turned, name) for name in FIGURES}


def share_interval(found: Confusion, positive: str, name: str) -> tuple[float, float] | None:
    """Return Wilson's 95 % interval of a figure.

    Args:
        found: fake is positive.
        positive: the study's positive class, as in `Study`.
        name: of the figure.

    Returns:
        Low and high; None if the figure is no share of pictures, as F1.
    """
    turned = Confusion(found.tn, found.fn, found.tp, found.fp) if positive == "real" else found
    part, whole = {
        "accuracy": (turned.tp + turned.tn, turned.tp + turned.fp + turned.tn + turned.fn),
        "precision": (turned.tp, turned.tp + turned.fp),
        "recall": (turned.tp, turned.tp + turned.fn),
    }.get(name, (0, 0))
    if not whole or (positive == "both columns" and name != "accuracy"):
        return None
    low, high = interval(np.array([part]), np.array([whole]))
    return float(low[0]), float(high[0])


def _title(name: str, positive: str) -> str:
    titled = "F1" if name == "f1" else name
    if name == "accuracy":
        return titled
    return f"{titled} ({positive if positive != 'not said' else 'fake'})"


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"


def _stopped(record: RunRecord) -> str:
    return ", stopped by hand" if record.partial else ""


def _notes(record: RunRecord, study: Study) -> list[str]:
    notes = [f"published on {study.on}"]
    if study.positive == "not said":
        notes.append("which class precision, recall and F1 are of is not said; here of fake")
    if study.remark:
        notes.append(study.remark)
    if record.other_pictures:
        notes.append(record.other_pictures)
    random = [name for name, file in record.weights.items() if not file]
    if random:
        notes.append(f"{', '.join(random)} started from random weights: the study's from ImageNet's")
    return notes


def _part(sample: Sample, paper: Paper) -> str:
    if not sample.fake or "fake" in paper.pictures:
        return LABELS[sample.fake]
    return sample.file.name.split("_")[0]
