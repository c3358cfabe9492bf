"""Measures how good a model file is on labelled pictures: pooled, by set and by generator, under degradation.

The pictures go through the scanner's own code and the ONNX file. Only what the scanner needs has to be installed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from train.data.index import names
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

# False-positive rate whose threshold on the card decides what is called fake in counts of right and wrong.
DECISION_FPR = 0.05
# Threshold on p_fake of a card without that operating point.
FALLBACK_THRESHOLD = 0.5


def evaluate(detector: Detector, samples: Sequence[Sample]) -> Evaluation:
    """Score the samples under every condition, as a scan would, and compute the figures.

    The card says which sets the model was trained on (`training.sets`).
    """
    return _evaluation(detector, score(detector, samples))


def measure(detector: Detector, crops: Crops) -> Evaluation:
    """Compute the figures on crops, which have one region for each of `CONDITIONS`."""
    return _evaluation(detector, score_crops(detector, [crops]))


def trained_on(card: Card, samples: Sequence[Sample]) -> list[str]:
    """Return the paths of the samples that a model was trained on, by the content hashes on its card.

    The list is empty if the card has no hashes.
    """
    hashes = set(str(training_facts(card).get("picture_hashes", "")).split())
    if not hashes:
        return []
    return [sample.path for sample in with_contents(samples) if short_hash(sample.content) in hashes]


def training_facts(card: Card) -> Mapping[str, Any]:
    """Return what a card says about the training; empty if it says nothing, or as text only."""
    return card.training if isinstance(card.training, dict) else {}


def fake_from(card: Card) -> float:
    """Return the p_fake from which on a picture is called fake: the card's 5 % threshold, or 0.5 if it has none."""
    return _points(card).get(DECISION_FPR, FALLBACK_THRESHOLD)


def table(evaluation: Evaluation, condition: str = FAIR) -> str:
    """Format the rows of one condition as aligned text, 143 columns wide."""
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
    """Write roc.png, confusion.png, generators.png and reliability.png, of all pictures.

    roc.png shows every condition, the others show `FAIR`. A plot that needs a class or generators which are missing is
    not written.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
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


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """Selects the pictures of one row of figures.

    Attributes:
        scope: `pooled`, `set`, `generator` or `reals`.
        name: of the set or the generator.
        pictures: mask of the row's pictures, (n,).
        trained_on: whether the model was trained on other pictures of this subset; None if mixed or not known.
    """

    scope: str
    name: str
    pictures: NDArray[np.bool_]
    trained_on: bool | None

    def comparison(self, labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the mask of the pictures that a ROC curve compares: a subset of one class meets all of the other."""
        mine = labels[self.pictures]
        if _both_classes(mine) or not len(mine):
            return self.pictures
        others: NDArray[np.bool_] = labels != mine[0]
        return self.pictures | others


def _rows(
    card: Card,
    samples: Sequence[Sample],
    labels: NDArray[np.bool_],
    scores: NDArray[np.float64],
    trained_on: Collection[str],
) -> Iterator[Row]:
    for subset in _subsets(samples, labels, trained_on):
        yield _row(card, subset, labels, scores)


def _subsets(samples: Sequence[Sample], labels: NDArray[np.bool_], trained_on: Collection[str]) -> Iterator[Subset]:
    """Yield the subsets that an evaluation has rows of.

    Args:
        samples: n pictures.
        labels: (n,), True for fake.
        trained_on: sets of the training pictures; empty if not known.
    """
    sets = np.array([sample.set for sample in samples], object)
    makers = np.array([sample.maker for sample in samples], object)
    known = np.array([not names(sample).isdisjoint(trained_on) for sample in samples], bool)

    def subset(scope: str, name: str, pictures: NDArray[np.bool_]) -> Subset:
        return Subset(scope, name, pictures, _all_or_none(known[pictures]) if trained_on else None)

    yield Subset("pooled", "all", np.ones(len(samples), bool), None)
    if trained_on and known.any() and not known.all():
        yield Subset("pooled", "sets trained on", known, True)
        yield Subset("pooled", "sets never seen", ~known, False)
    for name in _unique(sets):
        if _both_classes(labels[sets == name]):
            yield subset("set", name, sets == name)
    for _, _, name in _unique((sample.set, sample.generator, sample.maker) for sample in samples if sample.fake):
        yield subset("generator", name, labels & (makers == name))
    for name in _unique(sets[~labels]):
        yield subset("reals", name, ~labels & (sets == name))


def _row(card: Card, subset: Subset, labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> Row:
    """Compute the figures of a subset.

    Args:
        card: gives the thresholds.
        subset: which of the pictures.
        labels: of all pictures, (n,), True for fake.
        scores: p_fake of all pictures, (n,).
    """
    y, p = labels[subset.pictures], scores[subset.pictures]
    counts, balanced = confusion(y, p >= fake_from(card)), _both_classes(y)
    return Row(
        scope=subset.scope,
        name=subset.name,
        seen=subset.trained_on,
        n_real=int((~y).sum()),
        n_fake=int(y.sum()),
        **_ranking_figures(labels[subset.comparison(labels)], scores[subset.comparison(labels)]),
        **_shares(card, y, p),
        accuracy=counts.accuracy if balanced else None,
        ece=expected_calibration_error(y, p) if balanced else None,
        tp=counts.tp,
        fp=counts.fp,
        tn=counts.tn,
        fn=counts.fn,
        precision=counts.precision if balanced else None,
        recall=counts.recall,
        f1=counts.f1 if balanced else None,
    )


def _ranking_figures(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, Any]:
    """Compute the figures that depend on the order of the scores only; None if a class is missing."""
    if not _both_classes(labels):
        return dict.fromkeys(("auc", "ap", "tpr_5", "tpr_1"))
    return {
        "auc": auc(labels, scores),
        "ap": average_precision(labels, scores),
        "tpr_5": tpr_at_fpr(labels, scores, 0.05),
        "tpr_1": tpr_at_fpr(labels, scores, 0.01),
    }


def _shares(card: Card, labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, Any]:
    """Compute the shares of each verdict, of wrong verdicts, and of scores over the card's thresholds."""
    thresholds, points = choose(card), _points(card)
    verdicts = np.array([thresholds.verdict(p) for p in scores], object)
    decided = verdicts != Verdict.UNCERTAIN
    wrong = (verdicts == Verdict.FAKE) != labels
    return {
        "over_5": _mean(scores >= points[0.05]) if 0.05 in points else None,
        "over_1": _mean(scores >= points[0.01]) if 0.01 in points else None,
        "fake": _mean(verdicts == Verdict.FAKE) or 0.0,
        "uncertain": _mean(~decided) or 0.0,
        "real": _mean(verdicts == Verdict.REAL) or 0.0,
        "wrong": _mean(wrong[decided]),
    }


def _points(card: Card) -> dict[float, float]:
    return {float(fpr): threshold for fpr, threshold in card.operating_points.items()}


def _unique(names: Iterable[Any]) -> list[Any]:
    return sorted(set(names))


def _all_or_none(values: NDArray[np.bool_]) -> bool | None:
    """Return the value that all have in common; None if they are mixed."""
    return bool(values[0]) if values.all() or not values.any() else None


def _both_classes(labels: NDArray[np.bool_]) -> bool:
    return bool(labels.any() and not labels.all())


def _mean(values: NDArray[Any]) -> float | None:
    return float(np.mean(values.astype(float))) if len(values) else None


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}".removeprefix("0") if round(value, 3) < 1 else f"{value:.2f}"


def _columns(cells: Iterable[str]) -> str:
    return "".join(f"{cell:>5}" for cell in cells)
