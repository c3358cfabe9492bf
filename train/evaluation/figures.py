"""Holds the figures of an evaluation: a row for each set and generator, and how many pictures it counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from train.data.degrade import FAIR
from train.evaluation.metrics import Confusion
from train.evaluation.score import Scores


@dataclass(frozen=True, slots=True)
class Row:
    """Figures for some of the pictures. Rates are 0..1; None where a class is missing or the card has no such point.

    A generator is measured against all the real pictures, and a set of real pictures against all the fakes, if the set
    does not have both. The shares (`over_*`, `fake`, `uncertain`, `real`) count the row's own pictures only.

    Attributes:
        scope: `pooled`, `set`, `generator` or `reals`.
        name: of the set or the generator.
        seen: whether the model was trained on other pictures of it; None if mixed, or if the card does not say.
        n_real, n_fake: own pictures.
        auc, ap: area under the ROC curve, average precision.
        tpr_5, tpr_1: true-positive rate where 5 % and 1 % of the reals at hand pass: what a threshold chosen with
            hindsight would give.
        over_5, over_1: share of own pictures over the card's thresholds for 5 % and 1 %: detected, if they are fake,
            and false alarms, if they are real.
        fake, uncertain, real: share of each verdict by the card's band.
        wrong: share of wrong verdicts among those given (fake or real).
        accuracy: with every picture at or over the card's 5 % threshold (a card without one: 0.5) called fake, the
            others real.
        ece: expected calibration error.
        tp, fp, tn, fn: own pictures by that rule (see `Confusion`).
        precision, f1: by that rule, as `accuracy`.
        recall: by that rule; of a generator, too.
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
    tp: int
    fp: int
    tn: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None

    @property
    def confusion(self) -> Confusion:
        """Of the row's own pictures."""
        return Confusion(self.tp, self.fp, self.tn, self.fn)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a model file is.

    Attributes:
        model, sha256: whose figures these are.
        threshold: pictures are called fake from this p_fake on, where a row counts right and wrong.
        rows: by condition (`train.data.degrade.CONDITIONS`).
        faceless: pictures in which no face was found.
        broken: pictures that could not be decoded, or that the model gave no number for.
        scores: what the figures come from.
    """

    model: str
    sha256: str
    threshold: float
    rows: dict[str, tuple[Row, ...]]
    faceless: tuple[str, ...]
    broken: tuple[str, ...]
    scores: Scores = field(compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As plain dictionaries and lists, without the scores."""
        plain = {name: getattr(self, name) for name in ("model", "sha256", "threshold", "faceless", "broken")}
        return plain | {"rows": {name: [asdict(row) for row in rows] for name, rows in self.rows.items()}}

    def row(self, scope: str, name: str, condition: str = FAIR) -> Row:
        """The row of that name."""
        return next(row for row in self.rows[condition] if (row.scope, row.name) == (scope, name))
