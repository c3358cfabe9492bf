"""An evaluation -> one page to look at, in the look of the scan's report."""

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
# The rates that people ask for: of false alarms, with the threshold chosen on these very pictures.
RATES = (0.05, 0.01, 0.005)
# Small curves; of more generators, the worst.
CURVES = 24
# Paths of pictures that were left out.
SHOWN = 50


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold does to these pictures.

    Attributes:
        rate: false-positive rate that the card promises.
        threshold: on p_fake.
        alarms, found: reals and fakes at or over it.
    """

    rate: float
    threshold: float
    alarms: int
    found: int


@dataclass(frozen=True, slots=True)
class Source:
    """What was evaluated, and how it was chosen.

    Attributes:
        data: the index or folder.
        record: the run whose test pictures were kept; None for all pictures.
        samples: the pictures.
    """

    data: Path
    record: Path | None
    samples: Sequence[Sample]

    @property
    def groups(self) -> int:
        """How many groups; a picture without one is one."""
        named = {sample.group for sample in self.samples if sample.group}
        return len(named) + sum(not sample.group for sample in self.samples)


def check() -> None:
    """Find out now, not after the scores, whether a page can be drawn.

    Raises:
        FacescanError: the extra `report` is not installed.
    """
    render("parts.html.j2")
    look.svg(look.axes("", ""), "check", "")


def page(evaluation: Evaluation, card: Card, source: Source) -> str:
    """The page, as HTML that needs nothing else.

    Raises:
        FacescanError: the extra `report` is not installed.
    """
    labels, p_fake = evaluation.scores.fake, evaluation.scores.p_fake[FAIR]
    points = _points(card, labels, p_fake)
    usual = choose(card)
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
        thresholds=usual,
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
        shown=SHOWN,
        roc=charts.roc(evaluation, [point.threshold for point in points]),
        calibration=charts.calibration(labels, p_fake) if len(labels) else "",
        histogram=charts.histogram(labels, p_fake, (usual.uncertain, usual.fake)) if len(labels) else "",
        robustness=charts.robustness(evaluation),
        curves=_curves(evaluation, generators),
        curves_at_most=CURVES,
        mistakes=worst_mistakes(evaluation),
        reports=class_reports(by_scope["pooled"][0].confusion),
        **_of_the_run(source.record),
    )


def _of_the_run(record: Path | None) -> dict[str, Any]:
    """Draw the curves of the training and list the network's layers, as far as a run's record has them."""
    found = read_record(record) if record is not None else RunRecord()
    names = ("loss", "accuracy") if found.history else ()
    return {"histories": [(name, charts.history(found.history, name)) for name in names], "layers": found.layers}


def _points(card: Card, labels: NDArray[np.bool_], p_fake: NDArray[np.float64]) -> list[Point]:
    """The card's thresholds, the loosest first."""
    points = sorted(((float(rate), at) for rate, at in card.operating_points.items()), reverse=True)
    return [
        Point(rate, at, int((p_fake[~labels] >= at).sum()), int((p_fake[labels] >= at).sum())) for rate, at in points
    ]


def _hindsight(labels: NDArray[np.bool_], p_fake: NDArray[np.float64]) -> list[tuple[float, int, float]]:
    """Rate, how many reals that is here, and the share of fakes found at it; empty if a class is missing."""
    if labels.all() or not labels.any():
        return []
    reals = int((~labels).sum())
    return [(rate, int(rate * reals + 1e-9), tpr_at_fpr(labels, p_fake, rate)) for rate in RATES]


def _verdicts(card: Card, labels: NDArray[np.bool_], p_fake: NDArray[np.float64]) -> dict[str, dict[str, int]]:
    """Pictures by what they are and by the verdict of a scan."""
    usual = choose(card)
    given = np.array([usual.verdict(p) for p in p_fake], object)
    return {
        LABELS[fake]: {
            verdict.value: int((given[labels == fake] == verdict).sum())
            for verdict in (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.REAL)
        }
        for fake in (True, False)
    }


def _curves(evaluation: Evaluation, generators: Sequence[Row]) -> list[tuple[Row, Any]]:
    """The worst generators, each with its small ROC curve."""
    own: dict[str, list[int]] = {}
    for i, sample in enumerate(evaluation.scores.samples):
        if sample.fake:
            own.setdefault(sample.maker, []).append(i)
    shown = []
    for number, row in enumerate([row for row in generators if row.auc is not None][:CURVES]):
        mask = np.zeros(len(evaluation.scores.samples), bool)
        mask[own[row.name]] = True
        shown.append((row, charts.generator_roc(evaluation, row, mask, number)))
    return shown


def _paths(paths: Sequence[str]) -> list[str]:
    return [on_one_line(printable_path(path)) for path in paths]
