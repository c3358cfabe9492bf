"""A model file and labelled pictures -> how good it is: pooled, set by set, generator by generator, under degradation.

Everything goes through the scanner's own code and its ONNX file; TensorFlow is not needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.model import Detector
from scanner.result import Verdict
from scanner.thresholds import choose
from train.data import Crops, Sample, crops
from train.degrade import CONDITIONS, FAIR
from train.metrics import auc, average_precision, expected_calibration_error, tpr_at_fpr

BATCH = 64


@dataclass(frozen=True, slots=True)
class Row:
    """Figures for some of the pictures. Rates are 0..1; None where a class is missing or the card has no such point.

    A generator is measured against all the real pictures, and a set of real pictures against all the fakes, if the set
    does not have both. The shares (`over_*`, `fake`, `uncertain`, `real`) count the row's own pictures only.

    Attributes:
        scope: `pooled`, `set`, `generator` or `reals`.
        name: of the set or the generator.
        seen: whether the model was trained on other pictures of it; None if mixed.
        n_real, n_fake: own pictures.
        auc, ap: area under the ROC curve, average precision.
        tpr_5, tpr_1: true-positive rate where 5 % and 1 % of the reals at hand pass: what a threshold chosen with
            hindsight would give.
        over_5, over_1: share of own pictures over the card's thresholds for 5 % and 1 %: detected, if they are fake,
            and false alarms, if they are real.
        fake, uncertain, real: share of each verdict by the card's band.
        wrong: share of wrong verdicts among those given (fake or real).
        accuracy: with every picture over the card's 5 % threshold called fake, the others real.
        ece: expected calibration error.
    """

    scope: str
    name: str
    seen: bool | None
    n_real: int
    n_fake: int
    auc: float | None
    ap: float | None
    tpr_5: float | None
    tpr_1: float | None
    over_5: float | None
    over_1: float | None
    fake: float
    uncertain: float
    real: float
    wrong: float | None
    accuracy: float | None
    ece: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`rows` by condition (`train.degrade.CONDITIONS`), and the pictures that could not be judged."""

    model: str
    sha256: str
    rows: dict[str, tuple[Row, ...]]
    faceless: tuple[str, ...]
    broken: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain dictionaries and lists."""
        return asdict(self)

    def row(self, scope: str, name: str, condition: str = FAIR) -> Row:
        """The row of that name."""
        return next(row for row in self.rows[condition] if (row.scope, row.name) == (scope, name))


def evaluate(detector: Detector, samples: Sequence[Sample]) -> Evaluation:
    """Score the samples under every condition.

    Whether a set was trained on is read from the card (`training.sets`).
    """
    return measure(detector, crops(samples, detector.card, list(CONDITIONS.values())))


def measure(detector: Detector, seen: Crops) -> Evaluation:
    """The same for crops that were made already, one region for each of `CONDITIONS`."""
    trained_on = (detector.card.training or {}).get("sets", [])
    rows = {
        condition: tuple(_rows(detector, seen.samples, seen.fake, p_fake(detector, seen, i), trained_on))
        for i, condition in enumerate(CONDITIONS)
    }
    faceless, broken = (tuple(s.path for s in samples) for samples in (seen.faceless, seen.broken))
    return Evaluation(detector.card.name, detector.sha256, rows, faceless, broken)


def p_fake(detector: Detector, seen: Crops, condition: int) -> NDArray[np.float64]:
    """Probabilities, (n,), with the four decimals that the scanner writes."""
    regions = seen.regions[condition]
    parts = [detector.p_fake(regions[i : i + BATCH]) for i in range(0, len(regions), BATCH)]
    return np.round(np.concatenate([np.empty(0), *parts]), 4)


def table(evaluation: Evaluation, condition: str = FAIR) -> str:
    """The rows of one condition as aligned text."""
    columns = ("AUC", "AP", "TPR5", "TPR1", ">5%", ">1%", "fake", "unc.", "real", "wrong", "acc", "ECE")
    header = " " * 48 + " real  fake" + "".join(f"{column:>6}" for column in columns)
    lines = [f"{evaluation.model}, pictures {condition.replace('_', ' ')}", header]
    for row in evaluation.rows[condition]:
        kind = {True: "seen", False: "new", None: ""}[row.seen]
        figures = (row.auc, row.ap, row.tpr_5, row.tpr_1, row.over_5, row.over_1, row.fake, row.uncertain, row.real)
        cells = "".join(_cell(value) for value in (*figures, row.wrong, row.accuracy, row.ece))
        lines.append(f"{row.scope:9} {row.name[:32]:32} {kind:4} {row.n_real:5} {row.n_fake:5}{cells}")
    return "\n".join(lines)


def _rows(
    detector: Detector,
    samples: Sequence[Sample],
    labels: NDArray[np.bool_],
    scores: NDArray[np.float64],
    trained_on: Collection[str],
) -> Iterator[Row]:
    sets = np.array([sample.set for sample in samples], object)
    makers = np.array([sample.generator for sample in samples], object)
    seen = np.array([_was_trained_on(sample, trained_on) for sample in samples], bool)

    def row(scope: str, name: str, own: NDArray[np.bool_], known: bool | None) -> Row:
        against = own
        if own.any() and (labels[own].all() or not labels[own].any()):
            against = own | (labels != labels[own][0])
        return _row(detector, scope, name, known, labels, scores, own, against)

    yield row("pooled", "all", np.ones(len(samples), bool), None)
    if trained_on and seen.any() and not seen.all():
        yield row("pooled", "sets trained on", seen, True)
        yield row("pooled", "sets never seen", ~seen, False)
    for name in _unique(sets):
        own = sets == name
        if labels[own].any() and not labels[own].all():
            yield row("set", name, own, _all_or_none(seen[own]))
    for set_name, name in _unique(zip(sets[labels], makers[labels], strict=True)):
        own = labels & (makers == name) & (sets == set_name)
        yield row("generator", f"{name} ({set_name})" if name else set_name, own, _all_or_none(seen[own]))
    for name in _unique(sets[~labels]):
        own = ~labels & (sets == name)
        yield row("reals", name, own, _all_or_none(seen[own]))


def _row(
    detector: Detector,
    scope: str,
    name: str,
    known: bool | None,
    labels: NDArray[np.bool_],
    scores: NDArray[np.float64],
    own: NDArray[np.bool_],
    against: NDArray[np.bool_],
) -> Row:
    thresholds = choose(detector.card)
    points = {float(fpr): value for fpr, value in detector.card.operating_points.items()}
    verdicts = np.array([thresholds.verdict(p) for p in scores[own]], object)
    decided = verdicts != Verdict.UNCERTAIN
    wrong = (verdicts == Verdict.FAKE) != labels[own]
    y, p = labels[against], scores[against]
    both = bool(y.any() and not y.all())
    own_both = both and own is against
    return Row(
        scope=scope,
        name=name,
        seen=known,
        n_real=int((~labels[own]).sum()),
        n_fake=int(labels[own].sum()),
        auc=auc(y, p) if both else None,
        ap=average_precision(y, p) if both else None,
        tpr_5=tpr_at_fpr(y, p, 0.05) if both else None,
        tpr_1=tpr_at_fpr(y, p, 0.01) if both else None,
        over_5=_mean(scores[own] >= points[0.05]) if 0.05 in points else None,
        over_1=_mean(scores[own] >= points[0.01]) if 0.01 in points else None,
        fake=_mean(verdicts == Verdict.FAKE) or 0.0,
        uncertain=_mean(~decided) or 0.0,
        real=_mean(verdicts == Verdict.REAL) or 0.0,
        wrong=_mean(wrong[decided]),
        accuracy=_mean((scores[own] >= points[0.05]) == labels[own]) if own_both and 0.05 in points else None,
        ece=expected_calibration_error(labels[own], scores[own]) if own_both else None,
    )


def _was_trained_on(sample: Sample, sets: Collection[str]) -> bool:
    return sample.set in sets or f"{sample.set}/{'fake' if sample.fake else 'real'}" in sets


def _unique(names: Iterable[Any]) -> list[Any]:
    return sorted(set(names))


def _all_or_none(seen: NDArray[np.bool_]) -> bool | None:
    return bool(seen[0]) if seen.all() or not seen.any() else None


def _mean(values: NDArray[Any]) -> float | None:
    return float(np.mean(values.astype(float))) if len(values) else None


def _cell(value: float | None) -> str:
    return "     -" if value is None else f"{value:6.3f}"
