"""A model file and labelled pictures -> how good it is: pooled, set by set, generator by generator, under degradation.

Everything goes through the scanner's own code and its ONNX file; nothing is needed that the scanner does not need.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.detector.card import Card
from scanner.detector.model import Detector
from scanner.detector.thresholds import choose
from scanner.result import Verdict
from train.data.crops import Crops
from train.data.degrade import FAIR, TITLES
from train.data.hash_split import short_hash, with_contents
from train.data.samples import Sample
from train.evaluation.figures import Evaluation, Row
from train.evaluation.metrics import (
    auc,
    average_precision,
    confusion,
    expected_calibration_error,
    reliability,
    roc_curve,
    tpr_at_fpr,
)
from train.evaluation.score import Scores, score, score_crops

# The operating point at which pictures are called fake or real, and where they are if the card has no such point.
CALLED_AT, OTHERWISE = 0.05, 0.5


def evaluate(detector: Detector, samples: Sequence[Sample]) -> Evaluation:
    """Score the samples under every condition, as a scan would.

    Whether a set was trained on is read from the card (`training.sets`).
    """
    return _evaluation(detector, score(detector, samples))


def measure(detector: Detector, seen: Crops) -> Evaluation:
    """The same for crops that were made already, one region for each of `CONDITIONS`."""
    return _evaluation(detector, score_crops(detector, [seen]))


def trained_on(card: Card, samples: Sequence[Sample]) -> list[str]:
    """Paths of the pictures that a model was trained on, by the content hashes that its card keeps, if it does."""
    hashes = set(str(training_facts(card).get("picture_hashes", "")).split())
    if not hashes:
        return []
    return [sample.path for sample in with_contents(samples) if short_hash(sample.content) in hashes]


def training_facts(card: Card) -> Mapping[str, Any]:
    """What a card says of the training; empty if it says nothing, or not as our own cards do."""
    return card.training if isinstance(card.training, dict) else {}


def fake_from(card: Card) -> float:
    """The p_fake from which on pictures are called fake: the card's 5 % threshold, 0.5 if it has none."""
    return _points(card).get(CALLED_AT, OTHERWISE)


def table(evaluation: Evaluation, condition: str = FAIR) -> str:
    """The rows of one condition as aligned text, 143 columns wide."""
    figures = ("auc", "ap", "tpr_5", "tpr_1", "over_5", "over_1")
    called = ("accuracy", "precision", "recall", "f1", "ece", "uncertain", "wrong")
    titles = ("AUC", "AP", "TPR5", "TPR1", ">5%", ">1%", "acc", "prec", "rec", "F1", "ECE", "unc", "err")
    counts = ("n_real", "n_fake", "tp", "fn", "fp", "tn")
    head = "".join(f"{title:>6}" for title in ("real", "fake", "TP", "FN", "FP", "TN")) + _columns(titles)
    rule = f"called fake from p_fake {evaluation.threshold:g} on"
    lines = [f"{evaluation.model}, pictures {condition.replace('_', ' ')}; {rule}", " " * 42 + head]
    for row in evaluation.rows[condition]:
        kind = {True: "seen", False: "new", None: ""}[row.seen]
        numbers = "".join(f"{getattr(row, name):6}" for name in counts)
        cells = _columns(_cell(getattr(row, name)) for name in (*figures, *called))
        lines.append(f"{row.scope:9} {row.name[:27]:27} {kind:4}{numbers}{cells}")
    return "\n".join(lines)


def plot(evaluation: Evaluation, folder: Path) -> None:
    """Write roc.png, confusion.png, generators.png and reliability.png: of all pictures, and but for the first `FAIR`.

    A plot for which a class or the generators are missing is left out.

    Raises:
        ModuleNotFoundError: matplotlib is missing, the only thing here that the scanner does not need.
        OSError: a file cannot be written.
    """
    from train.evaluation import png_plots as plots

    labels, scores, pooled = evaluation.scores.fake, evaluation.scores.p_fake, evaluation.row("pooled", "all")
    under = f"{evaluation.model} ({TITLES[FAIR]})"
    if pooled.auc is not None:
        curves = {TITLES[name]: (*roc_curve(labels, values), auc(labels, values)) for name, values in scores.items()}
        plots.roc(folder / "roc.png", curves, evaluation.model)
    if len(labels):
        plots.confusion_matrix(
            folder / "confusion.png", pooled.confusion, f"{under}\ncalled fake from p_fake {evaluation.threshold:g} on"
        )
        plots.reliability(folder / "reliability.png", *reliability(labels, scores[FAIR]), under)
    rows = [row for row in evaluation.rows[FAIR] if row.scope == "generator" and row.auc is not None]
    if rows:
        plots.generators(folder / "generators.png", rows, under)


def _evaluation(detector: Detector, scores: Scores) -> Evaluation:
    card = detector.card
    trained_on = training_facts(card).get("sets", [])
    return Evaluation(
        model=card.name,
        sha256=detector.sha256,
        threshold=fake_from(card),
        rows={
            condition: tuple(_rows(card, scores.samples, scores.fake, values, trained_on))
            for condition, values in scores.p_fake.items()
        },
        faceless=tuple(sample.path for sample in scores.faceless),
        broken=tuple(sample.path for sample in scores.broken),
        scores=scores,
    )


def _rows(
    card: Card,
    samples: Sequence[Sample],
    labels: NDArray[np.bool_],
    scores: NDArray[np.float64],
    trained_on: Collection[str],
) -> Iterator[Row]:
    sets = np.array([sample.set for sample in samples], object)
    makers = np.array([sample.maker for sample in samples], object)
    seen = np.array([_was_trained_on(sample, trained_on) for sample in samples], bool)

    def row(scope: str, name: str, own: NDArray[np.bool_], known: bool | None) -> Row:
        against = own
        if own.any() and (labels[own].all() or not labels[own].any()):
            against = own | (labels != labels[own][0])
        return _row(card, scope, name, known if trained_on else None, labels, scores, own, against)

    yield row("pooled", "all", np.ones(len(samples), bool), None)
    if trained_on and seen.any() and not seen.all():
        yield row("pooled", "sets trained on", seen, True)
        yield row("pooled", "sets never seen", ~seen, False)
    for name in _unique(sets):
        own = sets == name
        if labels[own].any() and not labels[own].all():
            yield row("set", name, own, _all_or_none(seen[own]))
    for _, _, name in _unique((sample.set, sample.generator, sample.maker) for sample in samples if sample.fake):
        own = labels & (makers == name)
        yield row("generator", name, own, _all_or_none(seen[own]))
    for name in _unique(sets[~labels]):
        own = ~labels & (sets == name)
        yield row("reals", name, own, _all_or_none(seen[own]))


def _row(
    card: Card,
    scope: str,
    name: str,
    known: bool | None,
    labels: NDArray[np.bool_],
    scores: NDArray[np.float64],
    own: NDArray[np.bool_],
    against: NDArray[np.bool_],
) -> Row:
    thresholds = choose(card)
    points = _points(card)
    counts = confusion(labels[own], scores[own] >= fake_from(card))
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
        accuracy=counts.accuracy if own_both else None,
        ece=expected_calibration_error(labels[own], scores[own]) if own_both else None,
        tp=counts.tp,
        fp=counts.fp,
        tn=counts.tn,
        fn=counts.fn,
        precision=counts.precision if own_both else None,
        recall=counts.recall,
        f1=counts.f1 if own_both else None,
    )


def _points(card: Card) -> dict[float, float]:
    return {float(fpr): threshold for fpr, threshold in card.operating_points.items()}


def _was_trained_on(sample: Sample, sets: Collection[str]) -> bool:
    return sample.set in sets or f"{sample.set}/{'fake' if sample.fake else 'real'}" in sets


def _unique(names: Iterable[Any]) -> list[Any]:
    return sorted(set(names))


def _all_or_none(seen: NDArray[np.bool_]) -> bool | None:
    return bool(seen[0]) if seen.all() or not seen.any() else None


def _mean(values: NDArray[Any]) -> float | None:
    return float(np.mean(values.astype(float))) if len(values) else None


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}".removeprefix("0") if round(value, 3) < 1 else f"{value:.2f}"


def _columns(cells: Iterable[str]) -> str:
    return "".join(f"{cell:>5}" for cell in cells)
