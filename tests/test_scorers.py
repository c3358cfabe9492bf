"""Regions -> scores: in the workers, or together on an accelerator, for which a detector on the CPU stands in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scanner.detector.model import Detector
from scanner.engine.scorers import AcceleratorScorer, LocalScorer, scorer_for
from scanner.errors import FacescanError
from scanner.examined import Examined
from scanner.result import Result, Verdict


class Accelerator(Detector):
    """Stands in for a detector on a GPU: it remembers its batches, and the CPU computes them."""

    def __init__(self, file):
        super().__init__(file)
        self.device = replace(self.device, used="cuda")
        self.sizes: list[int] = []

    def run_batch(self, outputs, regions, options=None):
        self.sizes.append(len(regions))
        return super().run_batch(outputs, regions, options)


def examined(*levels: int) -> Examined:
    """A picture with one region of each brightness."""
    regions = [(np.full((32, 32, 3), level, np.uint8),) for level in levels]
    return Examined(Result(f"{levels}", Verdict.ERROR), regions)


@pytest.fixture
def accelerator(toy) -> Accelerator:
    return Accelerator(toy)


def test_the_device_decides_who_scores(brightness, accelerator):
    local, remote = scorer_for(brightness, 4, None), scorer_for(accelerator, 4, None)
    assert (type(local), local.worker_detector) == (LocalScorer, brightness)
    assert (type(remote), remote.worker_detector) == (AcceleratorScorer, None)


def test_what_workers_have_scored_passes_at_once(brightness):
    one, two = examined(255), examined()
    assert list(LocalScorer(brightness).complete([[one], [], [two, one]])) == [[one], [two, one]]
    assert len(one.regions) == 1


@pytest.mark.parametrize(
    ("regions", "groups", "batches"),
    [
        ([[1, 1, 1], [1, 1]], [4, 1], 2),
        ([[1, 1], [], [1]], [2, 1], 2),
        ([[3, 1], [2, 2], [1]], [2, 2, 1], 3),
        ([[3, 2]], [1, 1], 2),
        ([[9], [1]], [1, 1], 4),
        ([[0] * 17, [1]], [16, 2], 1),
        ([[0, 0]], [2], 0),
        ([[], []], [], 0),
    ],
    ids=str,
)
def test_groups_fill_batches_of_four(accelerator, regions, groups, batches):
    """Arrivals of pictures with so many regions; an empty one says that nothing else comes for now."""
    arrivals = [[examined(*[51] * count) for count in counts] for counts in regions]
    done = list(AcceleratorScorer(accelerator, 4).complete(arrivals))
    assert [len(group) for group in done] == groups
    assert [id(picture) for group in done for picture in group] == [
        id(picture) for part in arrivals for picture in part
    ]
    assert accelerator.sizes == [4] * batches
    assert all(not picture.regions for group in done for picture in group)


def test_every_picture_has_the_scores_of_its_regions(accelerator):
    pictures = [examined(51, 102), examined(), examined(153), examined(204, 255, 51)]
    (first, second) = AcceleratorScorer(accelerator, 4).complete([pictures])
    scores = [picture.scores for picture in (*first, *second)]
    assert scores == [pytest.approx(wanted, abs=1e-5) for wanted in ([0.2, 0.4], [], [0.6], [0.8, 1.0, 0.2])]


def test_no_group_waits_for_another_picture(accelerator):
    """The next one is only asked for when what is there was handed out."""
    asked = []

    def arrivals():
        for number in range(3):
            asked.append(number)
            yield [examined(51)]
            yield []

    for number, group in enumerate(AcceleratorScorer(accelerator, 4).complete(arrivals())):
        assert (len(group), asked[-1]) == (1, number)
    assert asked == [0, 1, 2]


def test_a_model_that_fails_ends_the_scan(accelerator):
    wrong = Examined(Result("wrong", Verdict.ERROR), [(np.zeros((5, 5, 3), np.uint8),)])
    with pytest.raises(FacescanError, match=r"^model toy failed: [^\n]+$"):
        list(AcceleratorScorer(accelerator, 4).complete([[wrong]]))
