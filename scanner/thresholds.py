"""p_fake -> verdict."""

from __future__ import annotations

from dataclasses import dataclass

from scanner.card import Card
from scanner.errors import FacescanError
from scanner.result import Verdict


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Fake from `fake` on, uncertain from `uncertain` up to there, real below."""

    uncertain: float
    fake: float

    def verdict(self, p_fake: float) -> Verdict:
        if p_fake >= self.fake:
            return Verdict.FAKE
        return Verdict.UNCERTAIN if p_fake >= self.uncertain else Verdict.REAL


def choose(card: Card, threshold: float | None = None, fpr: float | None = None) -> Thresholds:
    """The thresholds of a scan: a number, an operating point of the card, or the card's band.

    The lower edge of the card's uncertain band stays, unless the chosen threshold lies below it.

    Raises:
        FacescanError: the card has no such operating point.
    """
    low, high = card.uncertain
    if fpr is not None:
        points = {float(rate): value for rate, value in card.operating_points.items()}
        if fpr not in points:
            has = ", ".join(f"{rate:g}" for rate in sorted(points)) or "none"
            raise FacescanError(f"--fpr {fpr:g}: model {card.name} has no such operating point; it has {has}")
        threshold = points[fpr]
    fake = high if threshold is None else threshold
    return Thresholds(uncertain=min(low, fake), fake=fake)
