"""Turns candidates into results: one each, in order, examined in processes, a few pictures at a time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from scanner.cache.store import Cache
from scanner.detector.model import BATCH, Detector
from scanner.detector.runtime import available_cpus
from scanner.detector.thresholds import Thresholds, apply_thresholds
from scanner.engine.examine import Examiner
from scanner.engine.examiners import ExamineFn, Examiners
from scanner.engine.in_order import in_order, look_up
from scanner.engine.scorers import Scorer, scorer_for
from scanner.engine.versions import scope
from scanner.engine.workers import Workers
from scanner.evidence.png import fingerprint
from scanner.examined import Examined
from scanner.faces.finder import FaceFinder
from scanner.files.candidate import Candidate
from scanner.printable import printable_path
from scanner.provenance import lying_suffix
from scanner.reasons import Reason
from scanner.result import Result, Verdict
from scanner.settings import Settings
from scanner.sources.read import read
from scanner.system.wakeup import Wakeup

if TYPE_CHECKING:
    from scanner.evidence import Evidence

# Candidates that are examined, or wait for an earlier row, at a time: bounds memory while one picture takes long. For a
# GPU their regions are held until they are scored, and regions are larger than rows.
MAX_IN_FLIGHT = {"cpu": 4096, "cuda": 512, "ray": 65_536}


def scan(
    candidates: Iterable[Candidate | None],
    detector: Detector,
    thresholds: Thresholds,
    settings: Settings,
    spent: Callable[[str, float], None] = lambda stage, seconds: None,
    cache: Cache | None = None,
    thumbnails: bool = False,
    wakeup: Wakeup | None = None,
) -> Iterator[Result]:
    """Judge every candidate, in order, holding only a few pictures at a time.

    Args:
        candidates: pulled a little ahead of the results; None if there is no other yet, so that results do not wait.
        detector: on the CPU every process has a copy, on a GPU this one scores for all.
        thresholds: turn scores into verdicts.
        settings: of the scan.
        spent: called with a stage and the seconds spent in it.
        cache: of known rows; new rows are stored there, in batches, before they are handed out.
        thumbnails: whether findings get a `thumbnail`.
        wakeup: ends a wait for the next candidate when a process has sent something, if processes score. A GPU waits
            for a full batch.

    Raises:
        FacescanError: the model fails, a sheet cannot be written, or there can be no processes.
    """
    batch_size = detector.batch or settings.batch_size or BATCH[detector.device.used]
    evidence = _evidence(thumbnails, detector, thresholds, settings, batch_size)
    scorer = scorer_for(detector, batch_size, evidence)
    examiner = examiner_for(detector, settings, scorer, evidence)
    max_in_flight = MAX_IN_FLIGHT["ray" if settings.engine == "ray" else detector.device.used]
    look_up_candidate = partial(look_up, max_bytes=settings.max_bytes, cache=cache, evidence=evidence)
    with _examiners(examiner, cache, settings) as examiners:
        if wakeup and scorer.worker_detector:
            wakeup.descriptors = examiners.descriptors
        examined = in_order(candidates, examiners, look_up_candidate, max_in_flight, spent)
        for group in scorer.complete(examined):
            for picture in group:
                for stage, seconds in picture.seconds.items():
                    spent(stage, seconds)
            rows = [final_row(picture, detector.card.name, thresholds) for picture in group]
            if cache:
                started = time.perf_counter()
                cache.store(zip(rows, (picture.fingerprint for picture in group), strict=True))
                spent("cache", time.perf_counter() - started)
            yield from rows


def examiner_for(detector: Detector, settings: Settings, scorer: Scorer, evidence: Evidence | None = None) -> Examiner:
    """Return what examines single pictures.

    Args:
        detector: says what it looks at.
        settings: of the scan.
        scorer: says whether the examiner scores.
        evidence: what is wanted besides rows, if anything is.
    """
    region = settings.region or detector.card.source
    return Examiner(
        detector.card,
        detector.ela_qualities,
        FaceFinder() if region == "face" else None,
        settings,
        scorer.worker_detector,
        detector.batch or settings.batch_size or BATCH[detector.device.used],
        evidence,
    )


def _evidence(
    thumbnails: bool, detector: Detector, thresholds: Thresholds, settings: Settings, batch_size: int
) -> Evidence | None:
    """Return what makes thumbnails, sheets and maps; None if none are wanted."""
    if not thumbnails and settings.explain is None and settings.ela_dir is None:
        return None
    from scanner.evidence import Evidence

    judged = partial(judge, model=detector.card.name, thresholds=thresholds)
    made_by = fingerprint(scope(detector, settings), asdict(thresholds), settings.timeout)
    return Evidence(thumbnails, settings, thresholds, judged, batch_size, made_by)


def _examiners(examine: ExamineFn, cache: Cache | None, settings: Settings) -> Examiners:
    """Return what examines the candidates of a scan: processes of this machine, or of a cluster.

    Those of a cluster do not ask the cache of this machine.
    """
    failure_row = partial(_failure_row, max_bytes=settings.max_bytes)
    if settings.engine == "ray":
        from scanner.engine.ray_workers import RayWorkers

        return RayWorkers(examine, failure_row, settings)
    known = cache.by_content if cache else None
    count = settings.workers or available_cpus()
    return Workers(examine, failure_row, known, count, settings.timeout, settings.max_memory)


def judge(picture: Examined, model: str, thresholds: Thresholds) -> Result:
    """Make the final row of a picture from the scores of its regions, or from the score in its known row.

    The highest score decides.
    """
    row, scores = picture.result, picture.scores
    if not scores:
        return row if row.p_fake is None else apply_thresholds(row, thresholds)
    if not all(np.isfinite(scores)):
        return replace(row, verdict=Verdict.ERROR, reason=f"{Reason.MODEL_FAILED}:not_a_number", faces=(), n_faces=None)
    rounded = [round(float(score), 4) for score in scores]  # decide on what is written, so that readers can check it
    judged = tuple(
        replace(face, p_fake=score, models={model: score})
        for face, score in zip(row.faces[: len(rounded)], rounded, strict=bool(row.faces))
    )
    return apply_thresholds(replace(row, p_fake=max(rounded), faces=judged + row.faces[len(rounded) :]), thresholds)


def final_row(picture: Examined, model: str, thresholds: Thresholds) -> Result:
    """Make the final row of a picture, with what its name claims of its content, which no row in the cache has.

    Args:
        picture: examined and scored.
        model: name of the model that scored it.
        thresholds: turn its score into a verdict.
    """
    row = judge(picture, model, thresholds)
    if row.provenance is None:
        return row
    return replace(row, provenance={**row.provenance, "suffix": lying_suffix(row.path, row.format)})


def _failure_row(
    candidate: Candidate, reason: str, sha256: str = "", size: int | None = None, *, max_bytes: int
) -> Examined:
    """Make the row of a file that ended a process.

    Args:
        candidate: the file.
        reason: of the row.
        sha256: of the content, in hexadecimal; empty unless the process has read it.
        size: of the content in bytes; None unless the process has read it.
        max_bytes: larger files are not read.
    """
    row = Result(printable_path(candidate.path), Verdict.ERROR, bytes=size, sha256=sha256, reason=reason)
    if not sha256 and reason != Reason.DECODE_TIMEOUT:  # else reading it may be what took so long
        content, size, _ = read(candidate, max_bytes)
        row = replace(row, bytes=size, sha256=hashlib.sha256(content).hexdigest() if content is not None else "")
    return Examined(row)
