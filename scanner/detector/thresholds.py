"""Turns scores into a verdict by thresholds on p_fake."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scanner.detector.card import Card
from scanner.errors import FacescanError
from scanner.result import MAX_FACES, Result, Verdict, decisive_face


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds on p_fake (0..1) for a verdict.

    Attributes:
        uncertain: lowest p_fake of the verdict UNCERTAIN; below it, the verdict is REAL.
        fake: lowest p_fake of the verdict FAKE.
    """

    uncertain: float
    fake: float

    def verdict(self, p_fake: float) -> Verdict:
        """Return the verdict for one score."""
        if p_fake >= self.fake:
            return Verdict.FAKE
        return Verdict.UNCERTAIN if p_fake >= self.uncertain else Verdict.REAL


def apply_thresholds(row: Result, thresholds: Thresholds) -> Result:
    """Set verdict and reason of a row whose faces, or whose picture, are scored; the highest score decides.

    A picture is UNCERTAIN instead of REAL if a face may have been misjudged, or was not judged at all.
    """
    assert row.p_fake is not None
    decisive = decisive_face(row)
    verdict, reason = thresholds.verdict(row.p_fake), "image" if decisive is None else f"face:{decisive}"
    if verdict is Verdict.REAL and (doubt := _doubt(row)):
        verdict, reason = Verdict.UNCERTAIN, doubt
    return replace(row, verdict=verdict, reason=reason)


def _doubt(row: Result) -> str:
    """Return the reason why low scores do not make a picture REAL; empty if they do."""
    judged = [face for face in row.faces if face.p_fake is not None]
    if len(judged) == MAX_FACES and len(row.faces) > MAX_FACES:
        return f"too_many_faces:{len(row.faces)}"
    return "tight_crop" if any(face.tight for face in judged) else ""


def choose(card: Card, threshold: float | None = None, fpr: float | None = None) -> Thresholds:
    """Choose the thresholds of a scan: a given one, one of the card's operating points, or the card's uncertain band.

    The lower edge of the card's uncertain band stays, unless the chosen threshold lies below it.

    Args:
        card: the model's card.
        threshold: lowest p_fake of the verdict FAKE, 0..1; None to use `fpr` or the card.
        fpr: false-positive rate of an operating point, 0..1; overrides `threshold`.

    Raises:
        FacescanError: the card has no such operating point.
    """
    low, high = card.uncertain
    if fpr is not None:
        points = {float(rate): value for rate, value in card.operating_points.items()}
        if fpr not in points:
            available = ", ".join(f"{rate:g}" for rate in sorted(points)) or "none"
            raise FacescanError(f"--fpr {fpr:g}: model {card.name} has no such operating point; it has {available}")
        threshold = points[fpr]
    fake = high if threshold is None else threshold
    return Thresholds(uncertain=min(low, fake), fake=fake)
