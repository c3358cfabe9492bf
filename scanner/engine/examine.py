"""Examines one picture: bytes, pixels, faces, what the model sees of them, scores. Knows nothing of other pictures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scanner.detector.card import Card
from scanner.detector.model import Detector, Region, prepare
from scanner.engine.examiners import KnownRow
from scanner.engine.scorers import complete
from scanner.errors import FacescanError
from scanner.evidence.ela_file import save_map
from scanner.examined import Examined, PendingEvidence
from scanner.faces.finder import FaceFinder
from scanner.files.candidate import Candidate
from scanner.imaging.crop import available_margin, judged_turn
from scanner.imaging.decode import Decoded, OverBudgetError, Picture, decode
from scanner.imaging.ela import MAX_SIDE, QUALITY, error_levels, statistics
from scanner.imaging.frames import Frame, count_frames, decode_further_frames
from scanner.printable import printable_path
from scanner.provenance import provenance
from scanner.provenance.double_jpeg import double_compression
from scanner.reasons import Reason
from scanner.result import MAX_FACES, Ela, Face, Result, Verdict
from scanner.settings import Settings
from scanner.sources.read import fetched, read
from scanner.system.allocator import lacks_memory

if TYPE_CHECKING:
    from scanner.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Examiner:
    """Examines pictures with one model and one choice of settings.

    Attributes:
        card: says what the model sees.
        ela_qualities: JPEG qualities of the Error Level Analysis that the model looks at.
        finder: finds faces; None where whole pictures are judged.
        settings: of the scan.
        detector: scores the regions on the spot; None leaves them unscored, for an accelerator.
        batch_size: regions scored at once.
        evidence: what is wanted besides rows; None if nothing is.
    """

    card: Card
    ela_qualities: frozenset[int]
    finder: FaceFinder | None
    settings: Settings
    detector: Detector | None = None
    batch_size: int = 1
    evidence: Evidence | None = None

    def __call__(
        self, candidates: Iterable[Candidate], pixel_budget: int | None = None, known: KnownRow | None = None
    ) -> list[Examined]:
        """Examine several pictures, and score their regions together.

        Args:
            candidates: the files; the next one is asked for when the one before it is examined.
            pixel_budget: pixels of a plain picture that may be decoded now; postpone what takes more. None is no limit.
            known: called before a picture is decoded, with the SHA-256 and the size of its content. Returns its row, if
                it was judged before; raises OverBudgetError to postpone it.

        Raises:
            FacescanError: an ELA map or a sheet cannot be written, or the model fails.
        """
        if self.settings.explain is not None:  # pixels are held until they are scored, but not of several pictures
            return [picture for candidate in candidates for picture in self._together([candidate], pixel_budget, known)]
        return self._together(candidates, pixel_budget, known)

    def _together(
        self, candidates: Iterable[Candidate], pixel_budget: int | None, known: KnownRow | None
    ) -> list[Examined]:
        pictures = [self.examine(candidate, pixel_budget, known) for candidate in candidates]
        if self.detector:
            complete(pictures, self.detector, self.batch_size, self.evidence)
        return pictures

    def examine(self, candidate: Candidate, pixel_budget: int | None = None, known: KnownRow | None = None) -> Examined:
        """Examine one picture up to its score, or find its row if its content is known. Trouble with it is a row.

        Raises:
            FacescanError: an ELA map cannot be written.
        """
        examined = Examined(Result(printable_path(candidate.path), Verdict.ERROR))
        try:
            content = self._read(candidate, examined)
            if content is None:
                return examined
            if self._recall(examined, content, known):
                self._complete_known(examined, content, candidate.named, pixel_budget)
            else:
                self._look(examined, content, candidate.named, pixel_budget)
        except OverBudgetError as error:
            examined.postponed = error.pixels
        except FacescanError:
            raise
        except Exception as error:  # a bug, or a library's: it costs this picture its verdict, not the others theirs
            reason = Reason.OUT_OF_MEMORY if lacks_memory(error) else f"{Reason.INTERNAL_ERROR}:{type(error).__name__}"
            examined.result = replace(examined.result, verdict=Verdict.ERROR, reason=reason)
        return examined

    def _read(self, candidate: Candidate, examined: Examined) -> bytes | None:
        """Read a file and note its size and hash, or why there is no content."""
        lap = _Laps(examined.seconds).lap
        candidate = fetched(candidate, self.settings.max_bytes)
        examined.fingerprint = candidate.fingerprint
        content, size, reason = read(candidate, self.settings.max_bytes)
        examined.result = replace(examined.result, bytes=size, reason=reason)
        if content is not None:
            examined.result = replace(examined.result, sha256=hashlib.sha256(content).hexdigest())
        lap("read")
        return content

    def _recall(self, examined: Examined, content: bytes, known: KnownRow | None) -> bool:
        """Take over the row of a content that was judged before; say whether there is one.

        Raises:
            OverBudgetError: the picture has to wait.
        """
        lap = _Laps(examined.seconds).lap
        row = known(examined.result.sha256, len(content)) if known else None
        if row:
            examined.result = replace(row, path=examined.result.path)
        lap("cache" if row else "read")
        return row is not None

    def _complete_known(self, known: Examined, content: bytes, named: bool, pixel_budget: int | None) -> None:
        """Complete a known row with what is wanted beside it, in place. Its picture is not judged again.

        Raises:
            OverBudgetError: the picture is needed for that, and too large for now.
            FacescanError: the map of its error levels cannot be written.
        """
        if self.evidence is None:
            return
        if row := self.evidence.recall(known, named):
            known.result = row
            return
        lap = _Laps(known.seconds).lap
        try:
            settings = self.settings
            picture = decode(content, settings.max_pixels, pixel_budget).picture
            lap("decode")
            if picture is not None:
                frames = {0: picture}
                if any(face.frame for face in known.result.faces):
                    kind, limits = known.result.format, (settings.max_pixels, pixel_budget)
                    later = decode_further_frames(content, kind, settings.frames, picture, *limits)
                    frames |= {frame.number: frame.picture for frame in later}
                    lap("decode")
                self.evidence.resume(known, frames, named)
                lap("ela")
        except (OverBudgetError, FacescanError):
            raise
        except Exception:  # a bug, a library's, or no memory: the row stands without
            known.pending = None

    def _look(self, examined: Examined, content: bytes, named: bool, pixel_budget: int | None) -> None:
        """Decode a picture, and cut out what the model will see of every frame that is looked at.

        Args:
            examined: the row so far; this completes it, up to the scores.
            content: of the file.
            named: whether the file was asked for by itself.
            pixel_budget: pixels of a plain picture that may be decoded now; None is no limit.

        Raises:
            OverBudgetError: the picture is larger; nothing was decoded.
            FacescanError: an ELA map cannot be written.
        """
        lap = _Laps(examined.seconds).lap
        decoded = decode(content, self.settings.max_pixels, pixel_budget)
        lap("decode")
        examined.result = _described(examined.result, content, decoded)
        lap("provenance")
        picture = decoded.picture
        if picture is None:
            return
        height, width = picture.shape[:2]
        examined.result = replace(examined.result, width=width, height=height)
        examined.result = replace(examined.result, frames=count_frames(content, decoded.format))
        first = Frame(0, picture)
        faces = self._faces(first)
        lap("faces")
        if reason := self._why_no_levels(picture):
            examined.result = replace(examined.result, reason=reason)
            return
        levels = {quality: error_levels(picture, quality) for quality in self._qualities(picture)}
        ela = self._report_ela(examined, content, picture, levels, faces)
        lap("ela")
        pending = self.evidence.begin(named) if self.evidence else None
        looks = [self._cut_out(first, faces, levels, pending)]
        lap("crop")
        for frame, is_evidence in self._other_frames(content, decoded, picture, pixel_budget):
            lap("decode")
            if reason := self._why_no_levels(frame.picture):
                examined.result = replace(examined.result, reason=reason)
                return
            faces = self._faces(frame)
            lap("faces")
            looks.append(self._cut_out(frame, faces, {}, pending if is_evidence else None))
            lap("crop")
        lap("decode")
        examined.result = self._concluded(replace(examined.result, ela=ela), looks, decoded)
        examined.regions = [region for look in looks for region in look.regions][:MAX_FACES]
        examined.pending = pending

    def _other_frames(
        self, content: bytes, decoded: Decoded, picture: Picture, pixel_budget: int | None
    ) -> Iterator[tuple[Frame, bool]]:
        """Yield what else is judged, and whether evidence may show it: the highest score decides.

        That is what some viewers show instead of the first frame, and then the further frames.
        """
        for other in decoded.alternatives:
            yield Frame(0, other), False
        settings = self.settings
        for frame in decode_further_frames(
            content, decoded.format, settings.frames, picture, settings.max_pixels, pixel_budget
        ):
            yield frame, True

    def _concluded(self, row: Result, looks: Sequence[_Looked], decoded: Decoded) -> Result:
        """Return a row with its faces: those that are judged come first, in the order of their regions."""
        judged = tuple(face for look in looks for face in look.judged)
        faces = judged + tuple(face for look in looks for face in look.small)
        row = replace(
            row,
            n_faces=len(faces) if self.finder else None,
            faces=faces,
            frames_judged=len(looks) - len(decoded.alternatives),
        )
        if self.finder and not judged:
            return replace(row, verdict=Verdict.NO_FACE, reason=f"too_small:{len(faces)}" if faces else "")
        return row

    def _faces(self, frame: Frame) -> tuple[Face, ...]:
        """Find the faces of a frame, the best score first."""
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

    def _cut_out(
        self, frame: Frame, faces: Sequence[Face], levels: Mapping[int, Picture], pending: PendingEvidence | None
    ) -> _Looked:
        """Cut out what the model will see of a frame, and collect what evidence will be made of.

        Args:
            frame: decoded.
            faces: found in it.
            levels: its error levels by JPEG quality, where they are known already.
            pending: evidence of the file, if any is wanted of this frame.
        """
        judged = [face for face in faces if min(face.box[2:]) >= self.settings.min_face]
        small = [face for face in faces if min(face.box[2:]) < self.settings.min_face]
        if self.finder:
            regions = [prepare(frame.picture, face.box, self.card, levels, face.turn) for face in judged[:MAX_FACES]]
        else:
            regions = [prepare(frame.picture, None, self.card, levels)]
        if self.evidence and pending:
            with suppress(Exception):  # a bug, a library's, or no memory: the verdict stands without
                self.evidence.collect(pending, frame.number, frame.picture, faces)
        return _Looked(judged, small, regions)

    def _report_ela(
        self, examined: Examined, content: bytes, picture: Picture, levels: Mapping[int, Picture], faces: Sequence[Face]
    ) -> Ela | None:
        """Return the figures of Error Level Analysis, and note whether a JPEG was one before, if that is asked for.

        Args:
            examined: the row so far; a JPEG's provenance gets `double_compression`.
            content: of the file.
            picture: its first frame.
            levels: error levels by JPEG quality.
            faces: of the first frame.

        Raises:
            FacescanError: the map cannot be written.
        """
        row = examined.result
        if wants_ela(self.settings) and row.format == "jpeg" and row.provenance:
            row = replace(row, provenance={**row.provenance, "double_compression": double_compression(content)})
            examined.result = row
        if not self._reports_ela(picture):
            return None
        ela = statistics(levels[QUALITY], [face.box for face in faces])
        folder = self.settings.ela_dir
        return ela if folder is None else replace(ela, map=save_map(levels[QUALITY], folder, row))

    def _why_no_levels(self, picture: Picture) -> str:
        """Return the reason if the model looks at error levels, and the picture is too long to have any; else empty."""
        longest = max(picture.shape)
        return f"{Reason.TOO_LONG_FOR_ELA}:{longest}" if self.ela_qualities and longest > MAX_SIDE else ""

    def _reports_ela(self, picture: Picture) -> bool:
        """Say whether figures of Error Level Analysis are asked for, and JPEG can hold the picture."""
        return wants_ela(self.settings) and max(picture.shape) <= MAX_SIDE

    def _qualities(self, picture: Picture) -> frozenset[int]:
        """Return the JPEG qualities to analyse at."""
        return self.ela_qualities | {QUALITY} if self._reports_ela(picture) else self.ela_qualities


def wants_ela(settings: Settings) -> bool:
    """Say whether figures or maps of Error Level Analysis are asked for."""
    return settings.ela or settings.ela_dir is not None


def _described(row: Result, content: bytes, decoded: Decoded) -> Result:
    """Add to a row what its file says of itself, and why there is no picture, if there is none."""
    says = provenance(content, decoded.format, decoded.colour_profile)
    if decoded.damage and says:
        says = {**says, "damaged": decoded.damage}
    return replace(row, format=decoded.format, reason=decoded.reason, provenance=says)


@dataclass(frozen=True, slots=True)
class _Looked:
    """Holds the faces of one frame: large enough to judge, or too small, and a region for each of the former."""

    judged: Sequence[Face]
    small: Sequence[Face]
    regions: Sequence[Region]


class _Laps:
    """A stopwatch that books the time since the last lap on a stage."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._seconds[stage] = self._seconds.get(stage, 0.0) + now - self._last
        self._last = now
