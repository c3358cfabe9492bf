"""Draws what goes with a row: a thumbnail for reports, and a sheet that explains the verdict.

Both are made of the pixels that were judged, in the process that decoded them. If the row is known already, the content
is decoded again, but not judged again; a sheet or a map of error levels that exists already stays.

Imports `detector`, `imaging`, `output`, `examined` and the vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from scanner.detector.model import Detector, prepare, square_for_model
from scanner.detector.thresholds import Thresholds
from scanner.evidence.drawing import FADED, VERDICTS, frame
from scanner.evidence.ela_file import save_map, saved_map
from scanner.evidence.explain import GRID, heat_maps
from scanner.evidence.png import fingerprint, save_png, saved_png
from scanner.evidence.sheet import Captions, ShownFace, draw_sheet
from scanner.examined import Examined, PendingEvidence, View
from scanner.findings import NOTABLE, is_notable
from scanner.imaging.crop import Box, Cut, shrink
from scanner.imaging.decode import Picture
from scanner.imaging.ela import MAX_SIDE, QUALITY, ela_map, error_levels, error_levels_at
from scanner.output.formats.rows import as_object
from scanner.result import Face, Result, Verdict, decisive_face
from scanner.settings import Settings

# Pixels of a thumbnail's longer side, and its JPEG quality: some 8 KB.
THUMBNAIL = 240
_QUALITY = 70
# Pixels of a face on the thumbnail below which it tells nobody anything: the part with the faces is shown instead.
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
    """Knows what is wanted besides rows, and makes it.

    The pixels are collected when a picture is decoded (`begin`, `collect`), and drawn when its scores are known
    (`render`). A row that is known already needs its picture for that only if `recall` finds nothing saved.

    Attributes:
        thumbnails: whether findings get a `Result.thumbnail`.
        settings: of the scan; `explain` is the folder for sheets, None if there are to be none.
        thresholds: decide what is a finding.
        judge: makes the final row of a picture that was examined and scored.
        batch_size: regions scored at once.
        made_by: the `fingerprint` of everything that decides what the sheet of a row shows.
    """

    thumbnails: bool
    settings: Settings
    thresholds: Thresholds
    judge: Callable[[Examined], Result]
    batch_size: int
    made_by: str = ""

    def recall(self, known: Examined, named: bool) -> Result | None:
        """Add to a known row what earlier scans saved beside it.

        Args:
            known: the row, with its path.
            named: whether its picture was asked for by itself.

        Returns:
            The row with everything that is wanted; None if the picture must be decoded for that.
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

    def resume(self, known: Examined, frames: Mapping[int, Picture], named: bool) -> None:
        """Collect the pixels for a known row, in place, as if its picture had been scored just now.

        Args:
            known: the row, with its path.
            frames: of the same content by number, RGB uint8 (height, width, 3); the first one among them.
            named: whether the file was asked for by itself.

        Raises:
            FacescanError: the map of its error levels cannot be written.
        """
        row = known.result
        if self.settings.ela_dir is not None and row.ela is not None:
            folder = self.settings.ela_dir
            file = saved_map(folder, row) or save_map(error_levels(frames[0], QUALITY), folder, row)
            known.result = row = replace(row, ela=replace(row.ela, map=file))
        known.pending = pending = self.begin(named)
        if pending:
            for number, picture in frames.items():
                self.collect(pending, number, picture, [face for face in row.faces if face.frame == number])

    def begin(self, named: bool) -> PendingEvidence | None:
        """Return an empty collection for the pixels of a file; None if no pixels will be needed."""
        return PendingEvidence(named) if self.thumbnails or self.settings.explain is not None else None

    def collect(self, pending: PendingEvidence, number: int, picture: Picture, faces: Sequence[Face]) -> None:
        """Hold what will be needed of a frame once its faces are scored.

        Args:
            pending: the collection of the file.
            number: of the frame.
            picture: the frame, RGB uint8 (height, width, 3).
            faces: found in it.
        """
        if self.thumbnails:
            pending.views[number] = view_of(picture, faces, self.settings.min_face)
        if self.settings.explain is not None:
            pending.pictures[number] = picture

    def render(self, examined: Examined, detector: Detector) -> None:
        """Make what is wanted of a picture that is scored, and let go of its pixels.

        Raises:
            FacescanError: the sheet cannot be written, or the model fails.
        """
        pending, examined.pending = examined.pending, None
        if pending is None:
            return
        row = self.judge(examined)
        decisive = decisive_face(row)
        frame = 0 if decisive is None else row.faces[decisive].frame
        if frame in pending.views and _is_shown(row):
            faces = [face for face in row.faces if face.frame == frame]
            small = thumbnail(pending.views[frame], faces, self.thresholds)
            examined.result = replace(examined.result, thumbnail=small)
        folder = self.settings.explain
        if folder and frame in pending.pictures and self._explains(row, pending.named):
            made_of, picture = self._made_of(row), pending.pictures[frame]
            file = saved_png(folder, row, _SHEET, made_of)
            file = file or save_png(self._sheet(picture, row, frame, detector), folder, row, _SHEET, made_of)
            examined.result = replace(examined.result, explanation=file)

    def _made_of(self, row: Result) -> str:
        """Hash what the sheet of a final row shows."""
        plain = replace(row, path=os.path.basename(row.path), explanation=None, ela=None, baseline=None)
        return fingerprint(self.made_by, as_object(plain))

    def _explains(self, row: Result, named: bool) -> bool:
        """Say whether a final row gets a sheet: findings do, and files that were asked for by themselves."""
        if self.settings.explain is None:
            return False
        return _is_shown(row) or (named and row.verdict is not Verdict.ERROR)

    def _sheet(self, picture: Picture, row: Result, frame: int, detector: Detector) -> Picture:
        card = detector.card
        chosen = _chosen_faces(row, frame)
        regions = [prepare(picture, box, card, turn=turn) for _, box, _, turn in chosen]
        heats = heat_maps(detector, regions, self.batch_size, self.settings.timeout * _SHARE)
        faces = []
        for (number, box, p_fake, turn), region, heat in zip(chosen, regions, heats, strict=True):
            inputs = {spec.content: pixels for spec, pixels in zip(card.inputs, region, strict=True)}
            cut = None if box is None else square_for_model(card, picture, box, turn)
            if "picture" in inputs:
                pixels = inputs["picture"]
            else:
                size = inputs["ela"].shape[1::-1]
                pixels = cut.of(picture, *size) if cut else shrink(picture, *size)
            levels = inputs["ela"] if "ela" in inputs else _levels(picture, cut)
            faces.append(ShownFace(number, p_fake, pixels, levels, heat))
        qualities = detector.ela_qualities or {QUALITY}
        unit = _CONTRIBUTED if card.activation else _COVERED
        captions = Captions(
            f"{card.name} {card.version}", detector.sha256, unit, min(qualities), self.settings.min_face
        )
        return draw_sheet(row, frame, picture, faces, self.thresholds, captions)


def _chosen_faces(row: Result, frame: int) -> list[tuple[int, Box | None, float, int]]:
    """Choose the faces of a frame that its sheet shows.

    Returns:
        Index in the row, box, p_fake and turn in degrees of each, the highest score first. For a picture that was
        judged as a whole, one with no box.
    """
    if row.p_fake is not None and not row.faces:
        return [(0, None, row.p_fake, 0)]
    scored = [
        (i, face.box, face.p_fake, face.turn)
        for i, face in enumerate(row.faces)
        if face.p_fake is not None and face.frame == frame
    ]
    return [*sorted(scored, key=lambda face: -face[2])[:MAX_FACES]]


def _is_shown(row: Result) -> bool:
    """Say whether people will want to see the picture, and can."""
    return is_notable(row) and row.verdict is not Verdict.ERROR


# Units of heat maps: of models that compute what each place contributes, and of others.
_CONTRIBUTED = "left: log-odds of fake that each place adds. Their sum, calibrated, is the score"
_COVERED = f"left: log-odds of fake lost when one of {GRID}×{GRID} places is covered"


def view_of(picture: Picture, faces: Sequence[Face], min_face: int) -> View:
    """Shrink the whole picture to a thumbnail's size; or the part with its faces, where these would be too small."""
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
    """Draw the faces of a picture, and the scores of those that make it a finding.

    Args:
        view: of the picture; this draws on it.
        faces: with their scores.
        thresholds: decide what is a finding.

    Returns:
        A JPEG file's content.
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
    """Make the map of a part's error levels, or the whole picture's; None where a side is too long for a JPEG copy."""
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
