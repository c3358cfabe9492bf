"""One picture: bytes -> pixels -> faces -> what the model sees of them -> scores. Knows nothing of other pictures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scanner.detector.card import Card
from scanner.detector.model import Detector, Region, prepare
from scanner.errors import FacescanError
from scanner.evidence.ela_file import save_map
from scanner.examined import Examined, PendingEvidence
from scanner.faces.finder import FaceFinder
from scanner.files.candidate import Candidate
from scanner.imaging.crop import available_margin, judged_turn
from scanner.imaging.decode import OverBudgetError, Picture, decode
from scanner.imaging.ela import MAX_SIDE, QUALITY, error_levels, statistics
from scanner.imaging.frames import Frame, count_frames, decode_further_frames
from scanner.printable import printable_path
from scanner.provenance import provenance
from scanner.provenance.double_jpeg import double_compression
from scanner.result import MAX_FACES, Ela, Face, Result, Verdict
from scanner.settings import Settings
from scanner.sources.read import fetched, read
from scanner.system.allocator import lacks_memory

if TYPE_CHECKING:
    from scanner.evidence import Evidence
    from scanner.examined import PendingEvidence

Known = Callable[[str, int], Result | None]


@dataclass(frozen=True, slots=True)
class Examiner:
    """What it takes to examine a picture.

    Attributes:
        card: says what the model sees.
        elas: JPEG qualities of the Error Level Analysis that the model looks at.
        finder: None where whole pictures are judged.
        settings: see there.
        detector: scores the regions on the spot; None leaves them to be scored together with other pictures'.
        batch_size: regions scored at once.
        evidence: what is wanted besides rows; None if nothing is.
    """

    card: Card
    elas: frozenset[int]
    finder: FaceFinder | None
    settings: Settings
    detector: Detector | None = None
    batch_size: int = 1
    evidence: Evidence | None = None

    def __call__(
        self, candidates: Iterable[Candidate], room: int | None = None, known: Known | None = None
    ) -> list[Examined]:
        """Examine several pictures, and score their regions together.

        Args:
            candidates: the files; the next one is asked for when the one before it is examined.
            room: pixels; postpone what is larger.
            known: called before a picture is decoded, with the SHA-256 and the size of its content: its row, if it was
                judged before. Raises OverBudgetError to postpone it.

        Raises:
            FacescanError: an ELA map or a sheet cannot be written, or the model fails.
        """
        if self.settings.explain is not None:  # pixels are kept until they are scored, but not of several pictures
            return [picture for candidate in candidates for picture in self._together([candidate], room, known)]
        return self._together(candidates, room, known)

    def _together(self, candidates: Iterable[Candidate], room: int | None, known: Known | None) -> list[Examined]:
        pictures = [self._read_and_examine(candidate, room, known) for candidate in candidates]
        if self.detector and any(picture.regions for picture in pictures):
            started = time.perf_counter()
            score(pictures, self.detector, self.batch_size)
            pictures[0].seconds["model"] = time.perf_counter() - started
        if self.detector and self.evidence:
            add_evidence(pictures, self.evidence, self.detector)
        return pictures

    def examine(self, candidate: Candidate, room: int | None = None, known: Known | None = None) -> Examined:
        """Everything about one picture but its score, or all of it if its content is known. Trouble with it is a row.

        Raises:
            FacescanError: an ELA map cannot be written.
        """
        settings = self.settings
        seconds: dict[str, float] = {}
        lap = _Laps(seconds).lap
        row = Result(printable_path(candidate.path), Verdict.ERROR)
        kept = self.evidence.nothing_yet(candidate.named) if self.evidence else None
        try:
            content, size, reason = read(candidate, settings.max_bytes)
            row = replace(row, bytes=size, reason=reason)
            if content is None:
                return Examined(row)
            row = replace(row, sha256=hashlib.sha256(content).hexdigest())
            lap("read")
            before = known(row.sha256, len(content)) if known else None
            lap("cache" if before else "read")
            if before:
                known_row = Examined(replace(before, path=row.path), seconds=seconds)
                self._look_again(known_row, content, candidate.named, room)
                return known_row
            decoded = decode(content, settings.max_pixels, room)
            lap("decode")
            row = replace(
                row,
                format=decoded.format,
                reason=decoded.reason,
                provenance=provenance(content, decoded.format, decoded.colour_profile),
            )
            if decoded.damage and row.provenance:
                row = replace(row, provenance={**row.provenance, "damaged": decoded.damage})
            lap("provenance")
            picture = decoded.picture
            if picture is None:
                return Examined(row, seconds=seconds)
            row = replace(row, width=picture.shape[1], height=picture.shape[0])
            row = replace(row, frames=count_frames(content, decoded.format))
            first = Frame(0, picture)
            faces = self._faces(first)
            lap("faces")
            if reason := self._why_no_levels(picture):
                return Examined(replace(row, reason=reason), seconds=seconds)
            levels = {quality: error_levels(picture, quality) for quality in self._qualities(picture)}
            if wants_ela(settings) and decoded.format == "jpeg" and row.provenance:
                row = replace(row, provenance={**row.provenance, "double_compression": double_compression(content)})
            ela = _ela(levels[QUALITY], faces, row, settings.ela_dir) if self._reports_ela(picture) else None
            lap("ela")
            looks = [self._look(first, faces, levels, kept)]
            lap("crop")
            for other in decoded.alternatives:  # what some viewers show instead: the highest score decides
                hidden = Frame(0, other)
                looks.append(self._look(hidden, self._faces(hidden), {}, None))
                lap("crop")
            for frame in decode_further_frames(
                content, decoded.format, settings.frames, picture, settings.max_pixels, room
            ):
                lap("decode")
                if reason := self._why_no_levels(frame.picture):
                    return Examined(replace(row, reason=reason), seconds=seconds)
                faces = self._faces(frame)
                lap("faces")
                looks.append(self._look(frame, faces, {}, kept))
                lap("crop")
            lap("decode")
        except OverBudgetError as error:
            return Examined(row, postponed=error.pixels)
        except FacescanError:
            raise
        except MemoryError:
            return Examined(replace(row, verdict=Verdict.ERROR, reason="out_of_memory"), seconds=seconds)
        except Exception as error:  # a bug, or a library's: it costs this picture its verdict, not the others theirs
            reason = "out_of_memory" if lacks_memory(error) else f"internal_error:{type(error).__name__}"
            return Examined(replace(row, verdict=Verdict.ERROR, reason=reason), seconds=seconds)
        regions = [region for look in looks for region in look.regions][:MAX_FACES]
        # Those that are judged come first, as the regions do.
        faces = tuple(face for look in looks for face in look.judged) + tuple(f for look in looks for f in look.small)
        row = replace(
            row,
            n_faces=len(faces) if self.finder else None,
            faces=faces,
            ela=ela,
            frames_judged=len(looks) - len(decoded.alternatives),
        )
        if not regions:
            row = replace(row, verdict=Verdict.NO_FACE, reason=f"too_small:{len(faces)}" if faces else "")
        return Examined(row, regions, seconds=seconds, kept=kept)

    def _look_again(self, known: Examined, content: bytes, named: bool, room: int | None) -> None:
        """Complete a row that is known with what is wanted beside it, in place. Its picture is not judged again.

        Raises:
            OverBudgetError: the picture is needed for that, and too large for now.
            FacescanError: the map of its error levels cannot be written.
        """
        if self.evidence is None:
            return
        lap = _Laps(known.seconds).lap
        if complete := self.evidence.recall(known, named):
            known.result = complete
            return
        try:
            settings = self.settings
            picture = decode(content, settings.max_pixels, room).picture
            lap("decode")
            if picture is not None:
                frames = {0: picture}
                if any(face.frame for face in known.result.faces):
                    kind, limits = known.result.format, (settings.max_pixels, room)
                    later = decode_further_frames(content, kind, settings.frames, picture, *limits)
                    frames |= {frame.number: frame.picture for frame in later}
                    lap("decode")
                self.evidence.look_again(known, frames, named)
                lap("ela")
        except (OverBudgetError, FacescanError):
            raise
        except Exception:  # a bug, a library's, or no memory: the row stands without
            known.kept = None

    def _read_and_examine(self, candidate: Candidate, room: int | None, known: Known | None) -> Examined:
        started = time.perf_counter()
        candidate = fetched(candidate, self.settings.max_bytes)
        seconds = time.perf_counter() - started
        picture = self.examine(candidate, room, known)
        picture.fingerprint = candidate.fingerprint
        picture.seconds["read"] = picture.seconds.get("read", 0.0) + seconds
        return picture

    def _faces(self, frame: Frame) -> tuple[Face, ...]:
        """The faces of a frame, the best score first."""
        if not self.finder:
            return ()
        size, crop = (frame.picture.shape[1], frame.picture.shape[0]), self.card.crop
        return tuple(
            Face(
                found.box,
                found.score,
                turn=judged_turn(found.turn, crop.level),
                frame=frame.number,
                tight=available_margin(size, found.box) < crop.tight,
            )
            for found in self.finder.find(frame.picture)
        )

    def _look(
        self, frame: Frame, faces: Sequence[Face], levels: Mapping[int, Picture], kept: PendingEvidence | None
    ) -> _Looked:
        """Cut out what the model will see of a frame, and keep what evidence will be made of."""
        judged = [face for face in faces if min(face.box[2:]) >= self.settings.min_face]
        small = [face for face in faces if min(face.box[2:]) < self.settings.min_face]
        if self.finder:
            regions = [prepare(frame.picture, face.box, self.card, levels, face.turn) for face in judged[:MAX_FACES]]
        else:
            regions = [prepare(frame.picture, None, self.card, levels)]
        if self.evidence and kept:
            with suppress(Exception):  # a bug, a library's, or no memory: the verdict stands without
                self.evidence.keep(kept, frame.number, frame.picture, faces)
        return _Looked(judged, small, regions)

    def _why_no_levels(self, picture: Picture) -> str:
        """Return the reason if the model looks at error levels, and the picture is too long to have any; else empty."""
        longest = max(picture.shape)
        return f"too_long_for_ela:{longest}" if self.elas and longest > MAX_SIDE else ""

    def _reports_ela(self, picture: Picture) -> bool:
        """Whether figures of Error Level Analysis were asked for and can be had."""
        return wants_ela(self.settings) and max(picture.shape) <= MAX_SIDE

    def _qualities(self, picture: Picture) -> frozenset[int]:
        """JPEG qualities to analyse at."""
        return self.elas | {QUALITY} if self._reports_ela(picture) else self.elas


def score(pictures: Sequence[Examined], detector: Detector, batch_size: int) -> None:
    """Turn the regions of all pictures into scores, in place, `batch_size` regions at a time.

    Raises:
        FacescanError: the model fails.
    """
    regions = [region for picture in pictures for region in picture.regions]
    rest: Iterator[float] = iter(detector.p_fake(regions, batch_size).tolist())
    for picture in pictures:
        picture.scores = [next(rest) for _ in picture.regions]
        picture.regions = []


def add_evidence(pictures: Sequence[Examined], evidence: Evidence, detector: Detector) -> None:
    """Make what is wanted besides the rows of pictures that are scored, in place.

    Raises:
        FacescanError: a sheet cannot be written, or the model fails.
    """
    for picture in pictures:
        started = time.perf_counter()
        try:
            evidence.add(picture, detector)
        except FacescanError:
            raise
        except Exception:  # a bug, a library's, or no memory: the verdict stands without
            picture.kept = None
        picture.seconds["explain"] = time.perf_counter() - started


def wants_ela(settings: Settings) -> bool:
    return settings.ela or settings.ela_dir is not None


def _ela(levels: Picture, faces: tuple[Face, ...], row: Result, folder: str | None) -> Ela:
    ela = statistics(levels, [face.box for face in faces])
    if folder is None:
        return ela
    return replace(ela, map=save_map(levels, folder, row))


@dataclass(frozen=True, slots=True)
class _Looked:
    """One frame: its faces that are large enough to judge, those that are not, and a region for each of the former."""

    judged: Sequence[Face]
    small: Sequence[Face]
    regions: Sequence[Region]


class _Laps:
    """A stopwatch that books the time since the last lap."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._seconds[stage] = self._seconds.get(stage, 0.0) + now - self._last
        self._last = now
