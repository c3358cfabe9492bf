"""Holds the figures of an evaluation: a row for each set and generator, and how many pictures it counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from train.data.degrade import FAIR
from train.evaluation.metrics import Confusion
from train.evaluation.score import Scores


@dataclass(frozen=True, slots=True)
class Row:
    """Holds figures of a subset of the pictures. Rates are 0..1; None if a class or the card's threshold is missing.

    A subset of one class is compared with all pictures of the other class: a generator with all real pictures, for
    example. The shares (`over_*`, `fake`, `uncertain`, `real`) count the pictures of the subset only.

    Attributes:
        scope: `pooled`, `set`, `generator` or `reals`.
        name: of the set or the generator.
        seen: whether the model was trained on other pictures of it; None if mixed, or if the card does not say.
        n_real, n_fake: number of pictures of the subset.
        auc, ap: area under the ROC curve, average precision.
        tpr_5, tpr_1: true-positive rate at the thresholds that 5 % and 1 % of these real pictures exceed, which are
            chosen on these very pictures.
        over_5, over_1: share of the pictures at or over the card's thresholds for 5 % and 1 %: the detection rate of
            fakes, or the false-positive rate of reals.
        fake, uncertain, real: share of each verdict by the card's band.
        wrong: share of wrong verdicts among the verdicts fake and real.
        accuracy: with every picture at or over the card's 5 % threshold (a card without one: 0.5) called fake, the
            others real.
        ece: expected calibration error.
        tp, fp, tn, fn: counts of the pictures by that rule (`Confusion`).
        precision, f1: by that rule; None if a class is missing, as for `accuracy`.
        recall: by that rule; given for a subset of fakes only, too.
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
        """Return the confusion matrix of the row's pictures."""
        return Confusion(self.tp, self.fp, self.tn, self.fn)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Holds all figures of a model file.

    Attributes:
        model, sha256: name and hash of the file.
        threshold: p_fake from which on a picture is called fake in counts of right and wrong.
        rows: by condition (`train.data.degrade.CONDITIONS`).
        faceless: pictures in which no face was found.
        broken: pictures that could not be decoded, or that the model gave no number for.
        scores: p_fake of every picture.
    """

    model: str
    sha256: str
    threshold: float
    rows: dict[str, tuple[Row, ...]]
    faceless: tuple[str, ...]
    broken: tuple[str, ...]
    scores: Scores = field(compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, without the scores."""
        plain = {name: getattr(self, name) for name in ("model", "sha256", "threshold", "faceless", "broken")}
        return plain | {"rows": {name: [asdict(row) for row in rows] for name, rows in self.rows.items()}}

    def row(self, scope: str, name: str, condition: str = FAIR) -> Row:
        """Return one row.

        Args:
            scope: `pooled`, `set`, `generator` or `reals`.
            name: of the set or the generator; `all` for all pictures.
            condition: one of `train.data.degrade.CONDITIONS`.

        Raises:
            StopIteration: there is no such row.
        """
        return next(row for row in self.rows[condition] if (row.scope, row.name) == (scope, name))
