"""Draws what goes with a row: a thumbnail for reports, and a sheet that explains the verdict.

Both are made of the pixels that were judged, in the process that decoded them. If the row is known already, the content
is decoded again, but not judged again; a sheet or a map of error levels that exists already stays.

Imports `detector`, `imaging`, `output`, `examined` and the vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from scanner.detector.model import Detector, cut_for, prepare
from scanner.detector.thresholds import Thresholds
from scanner.errors import FacescanError, first_line
from scanner.evidence.drawing import FADED, VERDICTS, frame
from scanner.evidence.ela_file import save_map, saved_map
from scanner.evidence.explain import GRID, heat_maps
from scanner.evidence.png import fingerprint, save_png, saved_png
from scanner.evidence.sheet import Captions, Seen, draw_sheet
from scanner.examined import Examined, PendingEvidence, View
from scanner.findings import NOTABLE, is_notable
from scanner.imaging.crop import Box, Cut, shrink
from scanner.imaging.decode import Picture
from scanner.imaging.ela import MAX_SIDE, QUALITY, ela_map, error_levels, error_levels_at
from scanner.output.formats.rows import as_object
from scanner.result import Face, Result, Verdict, decisive_face
from scanner.settings import Settings

if TYPE_CHECKING:
    from scanner.examined import Examined

# Pixels of a thumbnail's longer side, and its JPEG quality: some 8 KB.
THUMBNAIL = 240
_QUALITY = 70
# Below so many pixels on the thumbnail, a face tells nobody anything: the part with the faces is shown instead.
_VISIBLE = 48
# Pixels of a side of the map of a face's error levels.
_LEVELS = 248
# Faces on a sheet.
MAX_FACES = 6
_SHEET = "sheet"
# The part of a picture's time that finding out where a model looked may take.
_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is wanted besides rows.

    Attributes:
        thumbnails: of findings, in `Result.thumbnail`.
        settings: `explain` is the folder for sheets; None for none.
        thresholds: that make findings.
        judge: what was examined and scored -> the final row.
        batch_size: regions scored at once.
        made_by: the `fingerprint` of all that decides what a sheet of a row shows.
    """

    thumbnails: bool
    settings: Settings
    thresholds: Thresholds
    judge: Callable[[Examined], Result]
    batch_size: int
    made_by: str = ""

    def recall(self, known: Examined, named: bool) -> Result | None:
        """Add to a row that is known what earlier scans saved beside it.

        Args:
            known: the row, with its path.
            named: whether its picture was asked for by itself.

        Returns:
            the row with all that is wanted; None if its picture is needed for that.
        """
        row, final = known.result, self.judge(known)
        if self.thumbnails and _is_shown(final):
            return None
        if self.settings.explain is not None and self._explains(final, named):
            sheet = saved_png(self.settings.explain, final, _SHEET, self._made_of(final))
            if sheet is None:
                return None
            row = replace(row, explanation=sheet)
        if self.settings.ela_dir is not None and row.ela is not None:
            file = saved_map(self.settings.ela_dir, row)
            if file is None:
                return None
            row = replace(row, ela=replace(row.ela, map=file))
        return row

    def look_again(self, known: Examined, frames: Mapping[int, Picture], named: bool) -> None:
        """Go on with a row that is known, in place, as if its picture had been scored just now.

        Args:
            known: the row, with its path.
            frames: by number, RGB uint8, of the same content; the first one among them.
            named: whether it was asked for by itself.

        Raises:
            FacescanError: the map of its error levels cannot be written.
        """
        row = known.result
        if self.settings.ela_dir is not None and row.ela is not None:
            folder = self.settings.ela_dir
            file = saved_map(folder, row) or save_map(error_levels(frames[0], QUALITY), folder, row)
            known.result = row = replace(row, ela=replace(row.ela, map=file))
        known.kept = kept = self.nothing_yet(named)
        if kept:
            for number, picture in frames.items():
                self.keep(kept, number, picture, [face for face in row.faces if face.frame == number])

    def nothing_yet(self, named: bool) -> PendingEvidence | None:
        """Room for what is kept of a file; None if nothing will be."""
        return PendingEvidence(named) if self.thumbnails or self.settings.explain is not None else None

    def keep(self, kept: PendingEvidence, number: int, picture: Picture, faces: Sequence[Face]) -> None:
        """Keep what will be needed of a frame once its faces are scored.

        Args:
            kept: of the file.
            number: of the frame.
            picture: the frame.
            faces: found in it.
        """
        if self.thumbnails:
            kept.views[number] = view_of(picture, faces, self.settings.min_face)
        if self.settings.explain is not None:
            kept.pictures[number] = picture

    def add(self, examined: Examined, detector: Detector) -> None:
        """Make what is wanted of a picture that is scored, and let go of its pixels.

        Raises:
            FacescanError: the sheet cannot be written, or the model fails.
        """
        kept, examined.kept = examined.kept, None
        if kept is None:
            return
        row = self.judge(examined)
        decisive = decisive_face(row)
        frame = 0 if decisive is None else row.faces[decisive].frame
        if frame in kept.views and _is_shown(row):
            faces = [face for face in row.faces if face.frame == frame]
            small = thumbnail(kept.views[frame], faces, self.thresholds)
            examined.result = replace(examined.result, thumbnail=small)
        if frame in kept.pictures and self.settings.explain and self._explains(row, kept.named):
            folder, made_of = self.settings.explain, self._made_of(row)
            file = saved_png(folder, row, _SHEET, made_of)
            if file is None:
                sheet = self._sheet(kept.pictures[frame], row, frame, detector)
                file = save_png(sheet, folder, row, _SHEET, made_of)
            examined.result = replace(examined.result, explanation=file)

    def _made_of(self, row: Result) -> str:
        """Hash what the sheet of a final row shows."""
        plain = replace(row, path=os.path.basename(row.path), explanation=None, ela=None, baseline=None)
        return fingerprint(self.made_by, as_object(plain))

    def _explains(self, row: Result, named: bool) -> bool:
        if self.settings.explain is None:
            return False
        return _is_shown(row) or (named and row.verdict is not Verdict.ERROR)

    def _sheet(self, picture: Picture, row: Result, frame: int, detector: Detector) -> Picture:
        card = detector.card
        scored = [
            (i, face.box, face.p_fake, face.turn)
            for i, face in enumerate(row.faces)
            if face.p_fake is not None and face.frame == frame
        ]
        chosen: Sequence[tuple[int, Box | None, float, int]] = sorted(scored, key=lambda face: -face[2])[:MAX_FACES]
        if row.p_fake is not None and not row.faces:
            chosen = [(0, None, row.p_fake, 0)]
        regions = [prepare(picture, box, card, turn=turn) for _, box, _, turn in chosen]
        try:
            heats = heat_maps(detector, regions, self.batch_size, self.settings.timeout * _SHARE)
        except Exception as error:  # onnxruntime raises a different class for every kind of trouble
            raise FacescanError(f"model {card.name} failed: {first_line(error)}") from error
        seen = []
        for (number, box, p_fake, turn), region, heat in zip(chosen, regions, heats, strict=True):
            shown = {spec.content: pixels for spec, pixels in zip(card.inputs, region, strict=True)}
            cut = None if box is None else cut_for(card, picture, box, turn)
            if "picture" in shown:
                pixels = shown["picture"]
            else:
                size = shown["ela"].shape[1::-1]
                pixels = cut.of(picture, *size) if cut else shrink(picture, *size)
            levels = shown["ela"] if "ela" in shown else _levels(picture, cut)
            seen.append(Seen(number, p_fake, pixels, levels, heat))
        qualities = detector.elas or {QUALITY}
        said = f"{card.name} {card.version}"
        unit = _SAID if card.activation else _COVERED
        captions = Captions(said, detector.sha256, unit, min(qualities), self.settings.min_face)
        return draw_sheet(row, frame, picture, seen, self.thresholds, captions)


def _is_shown(row: Result) -> bool:
    """Whether people will want to see the picture, and can."""
    return is_notable(row) and row.verdict is not Verdict.ERROR


# Units of heat maps: of models that say where they looked, and of others.
_SAID = "left: log-odds of fake that each place adds. Their sum, calibrated, is the score"
_COVERED = f"left: log-odds of fake lost when one of {GRID}×{GRID} places is covered"


def view_of(picture: Picture, faces: Sequence[Face], min_face: int) -> View:
    """The whole picture on a thumbnail's scale; or, where its faces would be too small, the part that they are in."""
    height, width = picture.shape[:2]
    boxes = np.array([face.box for face in faces if min(face.box[2:]) >= min_face])
    left, top, right, bottom = 0, 0, width, height
    if boxes.size:
        largest = int(boxes[:, 2:].max())
        if largest * THUMBNAIL < _VISIBLE * max(width, height):
            left, top = (max(0, int(edge) - largest) for edge in boxes[:, :2].min(axis=0))
            right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(axis=0) + largest
            right, bottom = min(width, int(right)), min(height, int(bottom))
    part = picture[top:bottom, left:right]
    scale = min(1.0, THUMBNAIL / max(part.shape[:2]))
    small_w, small_h = (max(1, round(side * scale)) for side in (part.shape[1], part.shape[0]))
    return View(shrink(part, small_w, small_h) if scale < 1 else part.copy(), left, top, scale)


def thumbnail(view: View, faces: Sequence[Face], thresholds: Thresholds) -> bytes:
    """A JPEG: the picture with its faces boxed, and the scores of those that make it a finding.

    Args:
        view: of the picture; it is drawn on.
        faces: with their scores.
        thresholds: that make findings.
    """
    scored = [(face, face.p_fake) for face in faces if face.p_fake is not None]
    for face, p_fake in sorted(scored, key=lambda one: one[1]):  # the highest on top
        verdict = thresholds.verdict(p_fake)
        x, y, w, h = face.box
        box = ((x - view.left) * view.scale, (y - view.top) * view.scale, w * view.scale, h * view.scale)
        left, top, wide, high = map(round, box)
        label = f"{p_fake:.2f}" if verdict in NOTABLE else ""
        color = VERDICTS[verdict] if verdict in NOTABLE else FADED
        frame(view.pixels, (left, top, max(wide, 3), max(high, 3)), color, label)
    bgr = cv2.cvtColor(view.pixels, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return jpeg.tobytes()


def _levels(picture: Picture, cut: Cut | None) -> Picture | None:
    """The map of the error levels of a part, or of the whole picture; None where a side is too long for a JPEG copy."""
    if cut is None:
        rows, columns = slice(0, picture.shape[0]), slice(0, picture.shape[1])
    else:
        rows, columns = cut.needed(picture)
    if max(rows.stop - rows.start, columns.stop - columns.start) > MAX_SIDE - 64:
        return None
    levels = ela_map(error_levels_at(picture, rows, columns))
    if cut is None:
        return levels
    return cut.moved(columns.start, rows.start).of(levels, _LEVELS, _LEVELS)
