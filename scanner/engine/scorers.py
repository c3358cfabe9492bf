"""Scores the regions of examined pictures: in the processes that cut them out, or on an accelerator for all of them.

A scan knows neither: it asks `scorer_for` for a `Scorer`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from scanner.detector.model import Detector
from scanner.errors import FacescanError
from scanner.examined import Examined

if TYPE_CHECKING:
    from scanner.evidence import Evidence

# Pictures in a group, by regions in a batch: pictures without faces fill no batch, and their rows must not wait.
_PICTURES_A_REGION = 4


class Scorer(Protocol):
    """Completes pictures with scores and evidence, wherever the model runs."""

    @property
    def worker_detector(self) -> Detector | None:
        """Return the detector that scores in the workers; None if they leave the regions to `complete`."""

    def complete(self, examined: Iterable[list[Examined]]) -> Iterator[list[Examined]]:
        """Yield the pictures in order, with scores and evidence, as groups that are not empty.

        Args:
            examined: pictures, in order. An empty list says that no other one comes for now, so that none of the
                pictures so far is to wait for it.

        Raises:
            FacescanError: the model fails, or a sheet cannot be written.
        """


def scorer_for(detector: Detector, batch_size: int, evidence: Evidence | None) -> Scorer:
    """Return the scorer for the device that a detector runs on.

    Args:
        detector: that scores.
        batch_size: regions scored at once.
        evidence: what is wanted besides rows, if anything is.
    """
    if detector.device.used == "cpu":
        return LocalScorer(detector)
    return AcceleratorScorer(detector, batch_size, evidence)


class LocalScorer:
    """Has every worker score the regions that it cut out, on the CPU."""

    def __init__(self, detector: Detector) -> None:
        self.worker_detector: Detector | None = detector

    def complete(self, examined: Iterable[list[Examined]]) -> Iterator[list[Examined]]:
        """Yield the pictures as they come: the workers have completed them."""
        return filter(None, examined)


class AcceleratorScorer:
    """Scores the regions of all workers in this process, where the accelerator is, in batches as full as possible.

    Args:
        detector: on the accelerator.
        batch_size: regions that it scores at once.
        evidence: what is wanted besides rows, if anything is.
    """

    worker_detector: Detector | None = None

    def __init__(self, detector: Detector, batch_size: int, evidence: Evidence | None = None) -> None:
        self._detector = detector
        self._batch_size = batch_size
        self._evidence = evidence

    def complete(self, examined: Iterable[list[Examined]]) -> Iterator[list[Examined]]:
        """Yield groups of pictures whose regions just fit a batch, or fewer if no other picture comes for now."""
        for group in self._groups(examined):
            complete(group, self._detector, self._batch_size, self._evidence)
            yield group

    def _groups(self, examined: Iterable[list[Examined]]) -> Iterator[list[Examined]]:
        group: list[Examined] = []
        for pictures in examined:
            for picture in pictures:
                if group and not self._has_room(group, picture):
                    yield group
                    group = []
                group.append(picture)
            if group and not pictures:
                yield group
                group = []
        if group:
            yield group

    def _has_room(self, group: Sequence[Examined], picture: Examined) -> bool:
        regions = sum(len(other.regions) for other in (*group, picture))
        return regions <= self._batch_size and len(group) < _PICTURES_A_REGION * self._batch_size


def complete(
    pictures: Sequence[Examined], detector: Detector, batch_size: int, evidence: Evidence | None = None
) -> None:
    """Score the regions of pictures together and make the evidence that is wanted, in place.

    Args:
        pictures: examined, up to their scores.
        detector: scores their regions.
        batch_size: regions scored at once.
        evidence: what is wanted besides rows, if anything is.

    Raises:
        FacescanError: the model fails, or a sheet cannot be written.
    """
    if any(picture.regions for picture in pictures):
        started = time.perf_counter()
        _score(pictures, detector, batch_size)
        pictures[0].seconds["model"] = time.perf_counter() - started
    if evidence:
        for picture in pictures:
            started = time.perf_counter()
            _render(picture, evidence, detector)
            picture.seconds["explain"] = time.perf_counter() - started


def _score(pictures: Sequence[Examined], detector: Detector, batch_size: int) -> None:
    regions = [region for picture in pictures for region in picture.regions]
    scores = iter(detector.p_fake(regions, batch_size).tolist())
    for picture in pictures:
        picture.scores = [next(scores) for _ in picture.regions]
        picture.regions = []


def _render(picture: Examined, evidence: Evidence, detector: Detector) -> None:
    try:
        evidence.render(picture, detector)
    except FacescanError:
        raise
    except Exception:  # a bug, a library's, or no memory: the verdict stands without
        picture.pending = None
