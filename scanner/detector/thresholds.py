"""p_fake -> verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scanner.detector.card import Card
from scanner.errors import FacescanError
from scanner.result import MAX_FACES, Result, Verdict, decisive_face


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Holds the least p_fake of each verdict: fake from `fake`, uncertain from `uncertain` to there, real below."""

    uncertain: float
    fake: float

    def verdict(self, p_fake: float) -> Verdict:
        """Return the verdict of a p_fake, 0..1."""
        if p_fake >= self.fake:
            return Verdict.FAKE
        return Verdict.UNCERTAIN if p_fake >= self.uncertain else Verdict.REAL


def apply_thresholds(row: Result, thresholds: Thresholds) -> Result:
    """The verdict and the reason of a row whose faces, or whose picture, are scored; the highest score decides.

    A picture is not `real` where a face may have been misjudged, or was not judged at all.
    """
    assert row.p_fake is not None
    decisive = decisive_face(row)
    verdict, reason = thresholds.verdict(row.p_fake), "image" if decisive is None else f"face:{decisive}"
    if verdict is Verdict.REAL and (doubt := _doubt(row)):
        verdict, reason = Verdict.UNCERTAIN, doubt
    return replace(row, verdict=verdict, reason=reason)


def _doubt(row: Result) -> str:
    """Why low scores do not say that the picture is real; empty if nothing speaks against it."""
    judged = [face for face in row.faces if face.p_fake is not None]
    if len(judged) == MAX_FACES and len(row.faces) > MAX_FACES:
        return f"too_many_faces:{len(row.faces)}"
    return "tight_crop" if any(face.tight for face in judged) else ""


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
