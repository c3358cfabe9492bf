"""Candidates -> results: read, decode, find faces and crop in threads; score in batches; one result each, in order."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from scanner import ROWS_VERSION, __version__
from scanner.cache import Cache
from scanner.card import Card
from scanner.decode import Picture, decode
from scanner.ela import MAX_SIDE, QUALITY, ela_map, error_levels, statistics
from scanner.errors import FacescanError, first_line
from scanner.faces import MODEL as FACE_FINDER
from scanner.faces import FaceFinder
from scanner.mark import Mark, mark_of
from scanner.model import Detector, Region, prepare
from scanner.read import read
from scanner.result import Ela, Face, Result, Verdict, printable_path
from scanner.runtime import available_cpus
from scanner.settings import Settings
from scanner.thresholds import Thresholds
from scanner.walk import STDIN, Candidate

# Regions scored at once: on a CPU more gains nothing, a GPU wants more.
BATCH = {"cpu": 8, "cuda": 64}


@dataclass(slots=True)
class Examined:
    """A picture on its way: the row as far as it is known, and the regions still to be scored.

    Attributes:
        result: final if there are no regions.
        regions: what the model will see; one for each of the first `len(regions)` of the result's faces.
        seconds: spent by stage.
        mark: of the file before it was read, if there is a cache to keep the row in.
    """

    result: Result
    regions: list[Region] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    mark: Mark | None = None


def scan(
    candidates: Iterable[Candidate],
    detector: Detector,
    thresholds: Thresholds,
    settings: Settings,
    spent: Callable[[str, float], None] = lambda stage, seconds: None,
    cache: Cache | None = None,
) -> Iterator[Result]:
    """Judge every candidate, in order, holding only a few pictures at a time.

    Args:
        candidates: pulled a little ahead of the results.
        detector: scores the regions, in this thread.
        thresholds: turn scores into verdicts.
        settings: see there.
        spent: told the seconds of each stage, as they are spent.
        cache: where rows may be known already, and are kept, in batches, before they are handed out.

    Raises:
        FacescanError: the model fails on a batch.
    """
    cv2.setNumThreads(1)  # the threads are ours; OpenCV's own would fight them
    workers = settings.workers or available_cpus()
    region = settings.region or detector.card.source
    finder = FaceFinder() if region == "face" else None
    known = cache.by_content if cache else None
    look = partial(examine, finder=finder, card=detector.card, elas=detector.elas, settings=settings, known=known)
    batch_size = detector.batch or settings.batch_size or BATCH[detector.device.used]
    pool = ThreadPoolExecutor(workers, thread_name_prefix="facescan")
    try:
        begin = partial(_begin, pool, look, cache, settings.max_bytes)
        examined = _ahead(begin, candidates, limit=2 * workers + batch_size)
        for group in _groups(examined, batch_size):
            for picture in group:
                for stage, seconds in picture.seconds.items():
                    spent(stage, seconds)
            started = time.perf_counter()
            scores = deque(_score([region for picture in group for region in picture.regions], detector, batch_size))
            spent("model", time.perf_counter() - started)
            judged = [
                judge(picture, [scores.popleft() for _ in picture.regions], detector.card.name, thresholds)
                for picture in group
            ]
            if cache:
                started = time.perf_counter()
                cache.store(zip(judged, (picture.mark for picture in group), strict=True))
                spent("cache", time.perf_counter() - started)
            yield from judged
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def scope(detector: Detector, settings: Settings) -> dict[str, Any]:
    """What decides, besides a content, about all of its row but the verdict that thresholds draw from p_fake.

    Scores may differ in the last digit between devices. What only a path decides (`max_bytes`) is not in it.
    """
    region = settings.region or detector.card.source
    return {
        "model": f"{detector.card.name} {detector.card.version}",
        "sha256": detector.sha256,
        "device": detector.device.used,
        "region": region,
        "faces": hashlib.sha256(FACE_FINDER.read_bytes()).hexdigest() if region == "face" else "",
        "min_face": settings.min_face,
        "max_pixels": settings.max_pixels,
        "ela": _wants_ela(settings),
        "versions": [__version__, ROWS_VERSION, cv2.__version__, onnxruntime.__version__, _version("pillow-heif")],
    }


def _version(package: str) -> str:
    """Of a package that may not be there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def examine(
    candidate: Candidate,
    finder: FaceFinder | None,
    card: Card,
    elas: set[int],
    settings: Settings,
    known: Callable[[str], Result | None] | None = None,
) -> Examined:
    """Everything about one picture but its score, or all of it if its content is `known`. Trouble with it is a row.

    Raises:
        FacescanError: an ELA map cannot be written.
    """
    started = time.perf_counter()
    seconds: dict[str, float] = {}

    def lap(stage: str) -> None:
        nonlocal started
        now = time.perf_counter()
        seconds[stage] = seconds.get(stage, 0.0) + now - started
        started = now

    row = Result(printable_path(candidate.path), Verdict.ERROR)
    try:
        content, size, reason = read(candidate, settings.max_bytes)
        row = replace(row, bytes=size, reason=reason)
        if content is None:
            return Examined(row)
        row = replace(row, sha256=hashlib.sha256(content).hexdigest())
        lap("read")
        if known:
            before = known(row.sha256)
            lap("cache")
            if before:
                return Examined(replace(before, path=row.path), seconds=seconds)
        decoded = decode(content, settings.max_pixels)
        lap("decode")
        row = replace(row, format=decoded.format, reason=decoded.reason)
        picture = decoded.picture
        if picture is None:
            return Examined(row, seconds=seconds)
        row = replace(row, width=picture.shape[1], height=picture.shape[0])
        faces = _faces(picture, finder, settings.min_face)
        lap("faces")
        if max(picture.shape) > MAX_SIDE and elas:
            return Examined(replace(row, reason=f"too_long_for_ela:{max(picture.shape)}"), seconds=seconds)
        levels = {quality: error_levels(picture, quality) for quality in _qualities(picture, elas, settings)}
        ela = _ela(levels[QUALITY], faces, row, settings) if QUALITY in levels and _wants_ela(settings) else None
        lap("ela")
        boxes = [face.box for face in faces if min(face.box[2:]) >= settings.min_face] if finder else [None]
        regions = [prepare(picture, box, card, levels) for box in boxes]
        lap("crop")
    except FacescanError:
        raise
    except MemoryError:
        return Examined(replace(row, verdict=Verdict.ERROR, reason="out_of_memory"), seconds=seconds)
    except Exception as error:  # a bug, or a library's: it costs this picture its verdict, not the others theirs
        return Examined(
            replace(row, verdict=Verdict.ERROR, reason=f"internal_error:{type(error).__name__}"), seconds=seconds
        )
    row = replace(row, n_faces=len(faces) if finder else None, faces=faces, ela=ela)
    if not regions:
        row = replace(row, verdict=Verdict.NO_FACE, reason=f"too_small:{len(faces)}" if faces else "")
    return Examined(row, regions, seconds)


def judge(picture: Examined, scores: Sequence[float], model: str, thresholds: Thresholds) -> Result:
    """Scores of a picture's regions, or the score in a row that is known -> its final row. The highest decides."""
    row = picture.result
    if not picture.regions:
        return row if row.p_fake is None else replace(row, verdict=thresholds.verdict(row.p_fake))
    if not all(np.isfinite(scores)):
        return replace(row, verdict=Verdict.ERROR, reason="model_failed:not_a_number", faces=(), n_faces=None)
    rounded = [round(float(score), 4) for score in scores]  # decide on what is written, so that readers can check it
    decisive = max(range(len(rounded)), key=rounded.__getitem__)
    judged = tuple(
        replace(face, p_fake=score, models={model: score})
        for face, score in zip(row.faces[: len(rounded)], rounded, strict=bool(row.faces))
    )
    return replace(
        row,
        verdict=thresholds.verdict(rounded[decisive]),
        p_fake=rounded[decisive],
        reason=f"face:{decisive}" if row.faces else "image",
        faces=judged + row.faces[len(rounded) :],
    )


def _faces(picture: Picture, finder: FaceFinder | None, min_face: int) -> tuple[Face, ...]:
    """Faces in the picture, those large enough to judge first, the best score first within each kind."""
    faces = finder.find(picture) if finder else ()
    return tuple(sorted(faces, key=lambda face: min(face.box[2:]) < min_face))


def _wants_ela(settings: Settings) -> bool:
    return settings.ela or settings.ela_dir is not None


def _qualities(picture: Picture, elas: set[int], settings: Settings) -> set[int]:
    """JPEG qualities to analyse at: the model's, and that of the figures if they were asked for and can be had."""
    return elas | {QUALITY} if _wants_ela(settings) and max(picture.shape) <= MAX_SIDE else elas


def _ela(levels: Picture, faces: tuple[Face, ...], row: Result, settings: Settings) -> Ela:
    ela = statistics(levels, [face.box for face in faces])
    if settings.ela_dir is None:
        return ela
    # The content's hash keeps names apart; the stem is there for people.
    stem = re.sub(r"[^\w.-]", "_", os.path.basename(row.path)).encode()[:80].decode("utf-8", "ignore")
    file = Path(settings.ela_dir) / f"{stem}-{row.sha256[:16]}.png"
    _, png = cv2.imencode(".png", cv2.cvtColor(ela_map(levels), cv2.COLOR_RGB2BGR))
    try:
        file.write_bytes(png.tobytes())
    except OSError as error:
        raise FacescanError(f"{file}: {error.strerror}") from error
    return replace(ela, map=printable_path(str(file)))


def _begin(
    pool: ThreadPoolExecutor,
    look: Callable[[Candidate], Examined],
    cache: Cache | None,
    max_bytes: int,
    candidate: Candidate,
) -> Callable[[], Examined]:
    """Start to examine a candidate, unless its file looks as it did when its row was kept; the answer to wait for."""
    if cache is None:
        return pool.submit(look, candidate).result
    started = time.perf_counter()
    mark = None if candidate.trouble or candidate.path == STDIN else mark_of(candidate.path, max_bytes)
    row = cache.by_file(mark) if mark else None
    seconds = time.perf_counter() - started
    future = None if row else pool.submit(look, candidate)

    def answer() -> Examined:
        if row:
            return Examined(replace(row, path=printable_path(candidate.path)), seconds={"cache": seconds})
        assert future is not None
        picture = future.result()
        picture.mark = mark
        picture.seconds["cache"] = picture.seconds.get("cache", 0.0) + seconds
        return picture

    return answer


def _ahead(
    begin: Callable[[Candidate], Callable[[], Examined]], candidates: Iterable[Candidate], limit: int
) -> Iterator[Examined]:
    """What was begun, in order, never more than `limit` candidates ahead."""
    waiting: deque[Callable[[], Examined]] = deque()
    for candidate in candidates:
        waiting.append(begin(candidate))
        if len(waiting) >= limit:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


def _groups(examined: Iterable[Examined], batch_size: int) -> Iterator[list[Examined]]:
    """Pictures that together fill a batch."""
    group: list[Examined] = []
    regions = 0
    for picture in examined:
        group.append(picture)
        regions += len(picture.regions)
        if regions >= batch_size or len(group) >= 4 * batch_size:
            yield group
            group, regions = [], 0
    if group:
        yield group


def _score(regions: list[Region], detector: Detector, batch_size: int) -> Iterator[float]:
    """Scores in order. Short batches are padded: ONNX Runtime keeps memory for every shape it met, and some models
    take one shape only.
    """
    for start in range(0, len(regions), batch_size):
        batch = regions[start : start + batch_size]
        padded = detector.batch or min(batch_size, 1 << (len(batch) - 1).bit_length())
        filled = batch + [batch[0]] * (padded - len(batch))
        try:
            scores = detector.p_fake(filled)[: len(batch)]
        except Exception as error:  # onnxruntime raises a different class for every kind of trouble
            raise FacescanError(f"model {detector.card.name} failed: {first_line(error)}") from error
        yield from scores.tolist()
