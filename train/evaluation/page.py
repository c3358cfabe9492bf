"""Writes an evaluation as an HTML page in the style of the scan's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner import __version__
from scanner.detector.card import Card
from scanner.detector.thresholds import choose
from scanner.html import charts as look
from scanner.html import render
from scanner.printable import on_one_line, printable_path
from scanner.result import Verdict
from train.data.degrade import CONDITIONS, FAIR, TITLES
from train.data.samples import LABELS, Sample
from train.evaluation import page_charts as charts
from train.evaluation.evaluate import DECISION_FPR
from train.evaluation.figures import Evaluation, Row
from train.evaluation.metrics import tpr_at_fpr
from train.evaluation.mistakes import class_reports, worst_mistakes
from train.run_record import RunRecord, read_record

HTML = Path(__file__).parent / "html"
# False-positive rates in the table of thresholds that are chosen on these very pictures.
RATES = (0.05, 0.01, 0.005)
# Small ROC curves at most; if there are more generators, the worst have one.
MAX_CURVES = 24
# Paths of pictures without a score that are listed, at most.
MAX_PATHS = 50


@dataclass(frozen=True, slots=True)
class Point:
    """Counts the pictures at or over a threshold of the card.

    Attributes:
        rate: false-positive rate that the card states for the threshold.
        threshold: on p_fake.
        alarms, found: number of reals and fakes at or over the threshold.
    """

    rate: float
    threshold: float
    alarms: int
    found: int


@dataclass(frozen=True, slots=True)
class Source:
    """Says which pictures were evaluated.

    Attributes:
        data: the index or folder.
        record: run.json of the run whose test pictures were evaluated; None for all pictures.
        samples: the pictures.
    """

    data: Path
    record: Path | None
    samples: Sequence[Sample]

    @property
    def groups(self) -> int:
        """Count the groups; a picture without a group counts as one."""
        named = {sample.group for sample in self.samples if sample.group}
        return len(named) + sum(not sample.group for sample in self.samples)


def check() -> None:
    """Draw an empty chart, to find out before the pictures are scored whether a page can be written.

    Raises:
        FacescanError: the extra `report` is not installed.
    """
    render("parts.html.j2")
    look.svg(look.axes("", ""), "check", "")


def page(evaluation: Evaluation, card: Card, source: Source) -> str:
    """Write the page as one HTML file that loads nothing else.

    Args:
        evaluation: the figures.
        card: of the model.
        source: of the pictures.

    Raises:
        FacescanError: the extra `report` is not installed.
    """
    labels, p_fake = evaluation.scores.fake, evaluation.scores.p_fake[FAIR]
    points = _points(card, labels, p_fake)
    thresholds = choose(card)
    rows = evaluation.rows[FAIR]
    by_scope = {scope: [row for row in rows if row.scope == scope] for scope in ("pooled", "set", "generator", "reals")}
    generators = sorted(by_scope["generator"], key=lambda row: (row.auc is None, row.auc))
    return render(
        "evaluation.html.j2",
        HTML,
        tool=f"facescan-train {__version__}",
        written=datetime.now(UTC).astimezone(),
        evaluation=evaluation,
        card=card,
        thresholds=thresholds,
        source=source,
        data=on_one_line(printable_path(str(source.data))),
        record=on_one_line(printable_path(str(source.record))) if source.record else "",
        pooled=by_scope["pooled"][0],
        subsets=[*by_scope["pooled"], *by_scope["set"]],
        generators=generators,
        reals=sorted(by_scope["reals"], key=lambda row: -(row.over_5 or 0)),
        hindsight=_hindsight(labels, p_fake),
        points=points,
        called_at=DECISION_FPR,
        verdicts=_verdicts(card, labels, p_fake),
        conditions=[(TITLES[name], evaluation.row("pooled", "all", name)) for name in CONDITIONS],
        fair=TITLES[FAIR],
        left_out={"no face found": _paths(evaluation.faceless), "broken": _paths(evaluation.broken)},
        shown=MAX_PATHS,
        roc=charts.roc(evaluation, [point.threshold for point in points]),
        calibration=charts.calibration(labels, p_fake) if len(labels) else "",
        histogram=charts.histogram(labels, p_fake, (thresholds.uncertain, thresholds.fake)) if len(labels) else "",
        robustness=charts.robustness(evaluation),
        curves=_curves(evaluation, generators),
        curves_at_most=MAX_CURVES,
        mistakes=worst_mistakes(evaluation),
        reports=class_reports(by_scope["pooled"][0].confusion),
        **_training_parts(source.record),
    )


def _training_parts(record: Path | None) -> dict[str, Any]:
    """Draw the curves of the training and list the network's layers, as far as a run's record has them."""
    found = read_record(record) if record is not None else RunRecord()
    names = ("loss", "accuracy") if found.history else ()
    return {"histories": [(name, charts.history(found.history, name)) for name in names], "layers": found.layers}


def _points(card: Card, labels: NDArray[np.bool_], p_fake: NDArray[np.float64]) -> list[Point]:
    """Count the pictures over each of the card's thresholds, the largest false-positive rate first."""
    points = sorted(((float(rate), at) for rate, at in card.operating_points.items()), reverse=True)
    return [
        Point(rate, at, int((p_fake[~labels] >= at).sum()), int((p_fake[labels] >= at).sum())) for rate, at in points
    ]


def _hindsight(labels: NDArray[np.bool_], p_fake: NDArray[np.float64]) -> list[tuple[float, int, float]]:
    """List false-positive rates, the number of reals that each allows, and the share of fakes found at each.

    The list is empty if a class is missing.
    """
    if labels.all() or not labels.any():
        return []
    reals = int((~labels).sum())
    return [(rate, int(rate * reals + 1e-9), tpr_at_fpr(labels, p_fake, rate)) for rate in RATES]


def _verdicts(card: Card, labels: NDArray[np.bool_], p_fake: NDArray[np.float64]) -> dict[str, dict[str, int]]:
    """Count the pictures by label and by the verdict of a scan."""
    thresholds = choose(card)
    given = np.array([thresholds.verdict(p) for p in p_fake], object)
    return {
        LABELS[fake]: {
            verdict.value: int((given[labels == fake] == verdict).sum())
            for verdict in (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.REAL)
        }
        for fake in (True, False)
    }


def _curves(evaluation: Evaluation, generators: Sequence[Row]) -> list[tuple[Row, Any]]:
    """Draw a small ROC curve for each of the worst generators."""
    positions: dict[str, list[int]] = {}
    for i, sample in enumerate(evaluation.scores.samples):
        if sample.fake:
            positions.setdefault(sample.maker, []).append(i)
    shown = []
    for number, row in enumerate([row for row in generators if row.auc is not None][:MAX_CURVES]):
        mask = np.zeros(len(evaluation.scores.samples), bool)
        mask[positions[row.name]] = True
        shown.append((row, charts.generator_roc(evaluation, row, mask, number)))
    return shown


def _paths(paths: Sequence[str]) -> list[str]:
    return [on_one_line(printable_path(path)) for path in paths]
