"""p_fake -> verdict, and where the thresholds come from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.detector.card import Card
from scanner.detector.thresholds import Thresholds, apply_thresholds, choose
from scanner.errors import FacescanError
from scanner.result import MAX_FACES, Face, Result, Verdict
from tests.conftest import TOY_CARD

shares = st.floats(0, 1)


def card(low: float = 0.4, high: float = 0.6, **points: float) -> Card:
    return replace(
        TOY_CARD,
        operating_points={key.replace("_", "."): value for key, value in points.items()},
        uncertain=(low, high),
    )


@pytest.mark.parametrize(
    ("p_fake", "verdict"),
    [(0.0, "real"), (0.3999, "real"), (0.4, "uncertain"), (0.5999, "uncertain"), (0.6, "fake"), (1.0, "fake")],
)
def test_the_band_of_the_card(p_fake, verdict):
    assert choose(card()).verdict(p_fake) == verdict


@pytest.mark.parametrize(
    ("options", "thresholds"),
    [
        ({}, Thresholds(0.4, 0.6)),
        ({"threshold": 0.9}, Thresholds(0.4, 0.9)),  # above the band: more is uncertain
        ({"threshold": 0.5}, Thresholds(0.4, 0.5)),
        ({"threshold": 0.4}, Thresholds(0.4, 0.4)),
        ({"threshold": 0.1}, Thresholds(0.1, 0.1)),  # below it: nothing is
        ({"threshold": 0.0}, Thresholds(0.0, 0.0)),
        ({"threshold": 1.0}, Thresholds(0.4, 1.0)),
        ({"fpr": 0.05}, Thresholds(0.4, 0.7)),
        ({"fpr": 0.01}, Thresholds(0.4, 0.95)),
        ({"fpr": 0.2}, Thresholds(0.3, 0.3)),
    ],
)
def test_choose(options, thresholds):
    assert choose(card(**{"0_2": 0.3, "0_05": 0.7, "0_01": 0.95}), **options) == thresholds


def test_a_band_of_no_width_leaves_nothing_uncertain():
    halves = choose(card(0.5, 0.5))
    assert [halves.verdict(p) for p in (0.4999, 0.5)] == [Verdict.REAL, Verdict.FAKE]


@pytest.mark.parametrize(
    ("points", "has"), [({"0_05": 0.7, "0_001": 0.99}, r"it has 0\.001, 0\.05$"), ({}, "it has none$")]
)
def test_a_rate_that_the_card_does_not_have(points, has):
    with pytest.raises(FacescanError, match=r"--fpr 0\.02: model toy has no such operating point; " + has):
        choose(card(**points), fpr=0.02)


@given(st.tuples(shares, shares).map(sorted), st.none() | shares, shares, shares)
def test_a_higher_score_is_never_a_milder_verdict(band, threshold, one, other):
    order = [Verdict.REAL, Verdict.UNCERTAIN, Verdict.FAKE]
    thresholds = choose(card(*band), threshold)
    milder, worse = (order.index(thresholds.verdict(p)) for p in sorted((one, other)))
    assert milder <= worse
    assert (thresholds.verdict(one) is Verdict.FAKE) == (one >= (band[1] if threshold is None else threshold))


def faces(*scores: float | None, tight: int | None = None) -> tuple[Face, ...]:
    """Faces with these scores; None is a face that was not judged. The face of that number is cut too tightly."""
    return tuple(Face((0, 0, 50, 50), 0.9, score, tight=number == tight) for number, score in enumerate(scores))


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        (faces(0.1), "real", "face:0"),
        (faces(0.1, tight=0), "uncertain", "tight_crop"),
        (faces(0.5, tight=0), "uncertain", "face:0"),
        (faces(0.8, tight=0), "fake", "face:0"),
        (faces(0.3, 0.1, tight=1), "uncertain", "tight_crop"),
        (faces(0.1, 0.8, tight=0), "fake", "face:1"),
        (faces(0.1, None, tight=1), "real", "face:0"),
        (faces(*[0.1] * MAX_FACES), "real", "face:0"),
        (faces(*[0.1] * MAX_FACES, None), "uncertain", f"too_many_faces:{MAX_FACES + 1}"),
        (faces(*[0.1] * MAX_FACES, None, tight=0), "uncertain", f"too_many_faces:{MAX_FACES + 1}"),
        (faces(*[0.1] * 5, None), "real", "face:0"),
        (faces(*[0.1] * 5, *[None] * MAX_FACES), "real", "face:0"),
        (faces(*[0.1] * (MAX_FACES - 1), 0.8, *[None] * 9), "fake", f"face:{MAX_FACES - 1}"),
        ((), "real", "image"),
    ],
)
def test_a_low_score_is_real_only_where_all_faces_could_be_judged(found, verdict, reason):
    highest = max((face.p_fake for face in found if face.p_fake is not None), default=0.1)
    row = apply_thresholds(Result("a.png", Verdict.ERROR, highest, faces=found), choose(card()))
    assert (row.verdict, row.reason) == (verdict, reason)
