"""Rows of pictures before and after changes -> a table of how many verdicts each change turned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

COLUMNS = (
    "change",
    "fakes",
    "stay fake",
    "turn uncertain",
    "turn real",
    "turn no_face",
    "their median shift of p_fake",
    "reals",
    "turn fake",
    "lose their face",
    "theirs",
)
Figures = tuple[str, int, int, int, int, int, str, int, int, int, str]
ANYWHERE = "anywhere on a canvas"
# Of several verdicts of one picture the worst one: for a fake the first of these that occurs.
WORST = ("no_face", "real", "uncertain", "fake")


def figures(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], fake: Sequence[bool], control: str, places: Sequence[str]
) -> list[Figures]:
    """Count verdicts for every change.

    Args:
        rows: by change, one for each picture.
        fake: the pictures' labels.
        control: the change that changes nothing. Fakes that it leaves fake, and reals that it leaves real, are counted.
        places: changes that only move a picture about. They make one line more: the worst verdict over all of them,
            and the median of how far p_fake goes up and down.

    Returns:
        One tuple for every change; its fields are named by `COLUMNS`.
    """
    before = rows[control]
    right = [i for i, row in enumerate(before) if row["verdict"] == ("fake" if fake[i] else "real")]
    scores = {name: [row["p_fake"] for row in found] for name, found in rows.items()}
    found = []
    for name, after in rows.items():
        pairs = {i: [p for p in (scores[name][i], scores[control][i]) if p is not None] for i in right}
        found.append(_counted(name, [row["verdict"] for row in after], pairs, fake))
    moved = [name for name in places if name in rows]
    if moved:
        verdicts = [min((rows[name][i]["verdict"] for name in moved), key=WORST.index) for i in range(len(fake))]
        for i in range(len(fake)):  # a real is worst off where it is called fake
            if not fake[i] and any(rows[name][i]["verdict"] == "fake" for name in moved):
                verdicts[i] = "fake"
        known = {i: [p for name in moved if (p := scores[name][i]) is not None] for i in right}
        found.append(_counted(ANYWHERE, verdicts, known, fake))
    return found


def _counted(
    name: str, verdicts: Sequence[str], scores: Mapping[int, Sequence[float]], fake: Sequence[bool]
) -> Figures:
    """Count the verdicts of the pictures that have scores; how far the scores of one picture are apart is its shift."""
    fakes = [verdicts[i] for i in scores if fake[i]]
    reals = [verdicts[i] for i in scores if not fake[i]]
    stay, uncertain, real, faceless = (fakes.count(verdict) for verdict in ("fake", "uncertain", "real", "no_face"))
    shifts = [
        [max(p) - min(p) for i, p in scores.items() if fake[i] == label and len(p) > 1] for label in (True, False)
    ]
    shift, theirs = (f"{median(those):.3f}" if those else "" for those in shifts)
    others = (len(reals), reals.count("fake"), reals.count("no_face"), theirs)
    return (name, len(fakes), stay, uncertain, real, faceless, shift, *others)


def lines(measured: Sequence[Figures]) -> Iterator[str]:
    """Lay the figures out as a Markdown table."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" + "|---:" * (len(COLUMNS) - 1) + "|"
    for row in measured:
        yield f"| {' | '.join(map(str, row))} |"
