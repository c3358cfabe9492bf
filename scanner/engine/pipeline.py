"""Candidates -> results: examined in processes, scored, judged; one result each, in order, a few pictures at a time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

import cv2
import numpy as np

from scanner.cache.store import Cache
from scanner.detector.model import BATCH, Detector
from scanner.detector.runtime import available_cpus
from scanner.detector.thresholds import Thresholds, apply_thresholds
from scanner.engine.examine import Examiner, add_evidence, score
from scanner.engine.in_order import in_order, look_up
from scanner.engine.serving import Look
from scanner.engine.versions import scope
from scanner.engine.workers import Failed, Workers
from scanner.evidence.png import fingerprint
from scanner.examined import Examined
from scanner.faces.finder import FaceFinder
from scanner.files.candidate import Candidate
from scanner.printable import printable_path
from scanner.provenance import lying_suffix
from scanner.result import Result, Verdict
from scanner.settings import Settings
from scanner.sources.read import read

if TYPE_CHECKING:
    from scanner.engine.ray_workers import RayWorkers
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
) -> Iterator[Result]:
    """Judge every candidate, in order, holding only a few pictures at a time.

    Args:
        candidates: pulled a little ahead of the results; None if there is no other yet, so that results do not wait.
        detector: on the CPU every process has its own, on a GPU this one scores for all.
        thresholds: turn scores into verdicts.
        settings: see there.
        spent: told the seconds of each stage, as they are spent.
        cache: where rows may be known already, and are kept, in batches, before they are handed out.
        thumbnails: give findings a `thumbnail`.

    Raises:
        FacescanError: the model fails, a sheet cannot be written, or there can be no processes.
    """
    cv2.setNumThreads(1)  # the processes are ours; OpenCV's threads would fight them
    region = settings.region or detector.card.source
    batch_size = detector.batch or settings.batch_size or BATCH[detector.device.used]
    on_cpu = detector.device.used == "cpu"
    evidence = _evidence(thumbnails, detector, thresholds, settings, batch_size)
    examiner = Examiner(
        detector.card,
        detector.ela_qualities,
        FaceFinder() if region == "face" else None,
        settings,
        detector if on_cpu else None,
        batch_size,
        evidence,
    )
    failed = partial(_failed, max_bytes=settings.max_bytes)
    max_in_flight = MAX_IN_FLIGHT["ray" if settings.engine == "ray" else detector.device.used]
    look_up_candidate = partial(look_up, max_bytes=settings.max_bytes, cache=cache, evidence=evidence)
    with _workers(examiner, failed, cache, settings) as workers:
        examined = in_order(candidates, workers, look_up_candidate, max_in_flight, spent)
        for group in _groups(examined, None if on_cpu else batch_size):
            for picture in group:
                for stage, seconds in picture.seconds.items():
                    spent(stage, seconds)
            if not on_cpu:
                started = time.perf_counter()
                score(group, detector, batch_size)
                spent("model", time.perf_counter() - started)
                if evidence:
                    started = time.perf_counter()
                    add_evidence(group, evidence, detector)
                    spent("explain", time.perf_counter() - started)
            judged = [_named(judge(picture, detector.card.name, thresholds)) for picture in group]
            if cache:
                started = time.perf_counter()
                cache.store(zip(judged, (picture.fingerprint for picture in group), strict=True))
                spent("cache", time.perf_counter() - started)
            yield from judged


def _evidence(
    thumbnails: bool, detector: Detector, thresholds: Thresholds, settings: Settings, batch_size: int
) -> Evidence | None:
    """What is wanted besides rows; None if nothing is."""
    if not thumbnails and settings.explain is None and settings.ela_dir is None:
        return None
    from scanner.evidence import Evidence

    judged = partial(judge, model=detector.card.name, thresholds=thresholds)
    made_by = fingerprint(scope(detector, settings), asdict(thresholds), settings.timeout)
    return Evidence(thumbnails, settings, thresholds, judged, batch_size, made_by)


def _workers(look: Look, failed: Failed, cache: Cache | None, settings: Settings) -> Workers | RayWorkers:
    """What examines: processes of this machine, or of a cluster, whose machines do not ask the cache of this one."""
    if settings.engine == "ray":
        from scanner.engine.ray_workers import RayWorkers

        return RayWorkers(look, failed, settings)
    known = cache.by_content if cache else None
    return Workers(look, failed, known, settings.workers or available_cpus(), settings.timeout, settings.max_memory)


def judge(picture: Examined, model: str, thresholds: Thresholds) -> Result:
    """Scores of a picture's regions, or the score in a row that is known -> its final row. The highest decides."""
    row, scores = picture.result, picture.scores
    if not scores:
        return row if row.p_fake is None else apply_thresholds(row, thresholds)
    if not all(np.isfinite(scores)):
        return replace(row, verdict=Verdict.ERROR, reason="model_failed:not_a_number", faces=(), n_faces=None)
    rounded = [round(float(score), 4) for score in scores]  # decide on what is written, so that readers can check it
    judged = tuple(
        replace(face, p_fake=score, models={model: score})
        for face, score in zip(row.faces[: len(rounded)], rounded, strict=bool(row.faces))
    )
    return apply_thresholds(replace(row, p_fake=max(rounded), faces=judged + row.faces[len(rounded) :]), thresholds)


def _named(row: Result) -> Result:
    """The row with what its name says of its content: the same content may lie under many names."""
    if row.provenance is None:
        return row
    return replace(row, provenance={**row.provenance, "suffix": lying_suffix(row.path, row.format)})


def _failed(
    candidate: Candidate, reason: str, sha256: str = "", size: int | None = None, *, max_bytes: int
) -> Examined:
    """Make the row of a file that cost a process its life.

    Args:
        candidate: the file.
        reason: of the row.
        sha256: of its content, in hexadecimal, if the process has read it.
        size: of its content, in bytes, likewise.
        max_bytes: larger files are not read.
    """
    row = Result(printable_path(candidate.path), Verdict.ERROR, bytes=size, sha256=sha256, reason=reason)
    if not sha256 and reason != "decode_timeout":  # else reading it may be what took so long
        content, size, _ = read(candidate, max_bytes)
        row = replace(row, bytes=size, sha256=hashlib.sha256(content).hexdigest() if content is not None else "")
    return Examined(row)


def _groups(examined: Iterable[list[Examined]], batch_size: int | None) -> Iterator[list[Examined]]:
    """Pictures to judge together: what there is or, where regions are still to be scored, what just fits a batch.

    An empty list ends a batch: what would fill it may take its time.
    """
    group: list[Examined] = []
    for pictures in examined:
        if batch_size is None:
            if pictures:
                yield pictures
            continue
        if group and not pictures:
            yield group
            group = []
        for picture in pictures:
            regions = sum(len(other.regions) for other in group)
            if group and (regions + len(picture.regions) > batch_size or len(group) >= 4 * batch_size):
                yield group
                group = []
            group.append(picture)
    if group:
        yield group
