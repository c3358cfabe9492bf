"""Labelled pictures -> samples, splits by group, and the face crops that a model sees."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanner.card import Card
from scanner.decode import Picture, decode
from scanner.errors import FacescanError
from scanner.faces import FaceFinder
from scanner.model import Box, Region, prepare
from scanner.result import Face
from scanner.runtime import available_cpus

COLUMNS = ("path", "label", "set", "generator", "group")
LABELS = ("real", "fake")

# (picture, face box or None) -> the same, changed: a condition of `train.degrade`.
Condition = Callable[[Picture, Box | None], tuple[Picture, Box | None]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture.

    Attributes:
        path: as the index has it, relative to the index.
        file: where it lies.
        fake: its label.
        set: the data set it came in.
        generator: what made it; for a real picture, where it was taken from.
        group: one person, one video or one source picture; empty if it stands alone.
    """

    path: str
    file: Path
    fake: bool
    set: str
    generator: str
    group: str


@dataclass(frozen=True, slots=True)
class Splits:
    """Three sets of samples that share no group."""

    train: tuple[Sample, ...]
    calibration: tuple[Sample, ...]
    test: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Crops:
    """What a model sees of the samples.

    Attributes:
        samples: those that show a face, in order.
        regions: by condition, one `Region` for each of `samples`.
        faceless: samples in which no face was found.
        broken: samples that could not be decoded.
    """

    samples: tuple[Sample, ...]
    regions: tuple[tuple[Region, ...], ...]
    faceless: tuple[Sample, ...]
    broken: tuple[Sample, ...]

    @property
    def fake(self) -> NDArray[np.bool_]:
        """Labels, (n,)."""
        return np.array([sample.fake for sample in self.samples], bool)


def read_samples(data: Path) -> list[Sample]:
    """An index (CSV with the columns `COLUMNS`), or a folder with `real/` and `fake/`, -> its samples.

    Raises:
        FacescanError: it is neither, or it has no pictures of one of the classes.
    """
    samples = _read_folder(data) if data.is_dir() else _read_index(data)
    for label, fake in zip(LABELS, (False, True), strict=True):
        if not any(sample.fake == fake for sample in samples):
            raise FacescanError(f"{data}: no {label} pictures")
    return samples


def split(
    samples: Sequence[Sample],
    seed: int,
    test_sets: Iterable[str] = (),
    calibration_sets: Iterable[str] = (),
    test_share: float = 0.15,
    calibration_share: float = 0.15,
) -> Splits:
    """Part the samples, group by group.

    A group's lot depends on the seed and its name only: adding pictures moves no others.

    Args:
        samples: all of them.
        seed: of the lots.
        test_sets: sets kept out of training and calibration entirely, as `set`, or `set/real` or `set/fake`.
        calibration_sets: the same for calibration; the test sets go first.
        test_share: of the groups that remain.
        calibration_share: of the groups that remain.
    """
    tests, calibrations = set(test_sets), set(calibration_sets)
    # A group that reaches into a held-out set follows it.
    in_test = {_group(sample) for sample in samples if _names(sample) & tests}
    in_calibration = {_group(sample) for sample in samples if _names(sample) & calibrations}
    train, calibration, test = [], [], []
    for sample in samples:
        group = _group(sample)
        lot = _lot(group, seed)
        if group in in_test:
            test.append(sample)
        elif group in in_calibration:
            calibration.append(sample)
        elif lot < test_share:
            test.append(sample)
        elif lot < test_share + calibration_share:
            calibration.append(sample)
        else:
            train.append(sample)
    return Splits(tuple(train), tuple(calibration), tuple(test))


def without(samples: Iterable[Sample], sets: Iterable[str]) -> list[Sample]:
    """The samples that are in none of the sets (`set`, `set/real` or `set/fake`)."""
    left_out = set(sets)
    return [sample for sample in samples if not _names(sample) & left_out]


def crops(samples: Sequence[Sample], card: Card, conditions: Sequence[Condition] = ()) -> Crops:
    """Decode, find the largest face and crop, all by the scanner's own code.

    Args:
        samples: in any order.
        card: of the model that is to see them.
        conditions: what to do to a picture first; none means once, as found.
    """
    finder = FaceFinder()

    def look(sample: Sample) -> tuple[Region, ...] | str:
        picture = decode(sample.file.read_bytes()).picture
        if picture is None:
            return "broken"
        box = None
        if card.source == "face":
            faces = finder.find(picture)
            if not faces:
                return "faceless"
            box = largest(faces).box
        return tuple(prepare(*condition(picture, box), card) for condition in conditions or (_as_found,))

    with ThreadPoolExecutor(available_cpus()) as pool:
        seen = list(pool.map(look, samples))
    pairs = [(sample, regions) for sample, regions in zip(samples, seen, strict=True) if isinstance(regions, tuple)]
    failures = {
        reason: tuple(sample for sample, outcome in zip(samples, seen, strict=True) if outcome == reason)
        for reason in ("faceless", "broken")
    }
    by_condition = tuple(
        tuple(regions[i] for _, regions in pairs) for i in range(len(conditions) or 1)
    )  # one tuple for each condition, even if there is no face at all
    return Crops(tuple(sample for sample, _ in pairs), by_condition, failures["faceless"], failures["broken"])


def largest(faces: Sequence[Face]) -> Face:
    """The face whose box has the largest area."""
    return max(faces, key=lambda face: face.box[2] * face.box[3])


def sampling_weights(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Probabilities of drawing each sample, (n,), summing to 1.

    Both classes weigh one half. Within a class a set weighs as the root of its size: a large set teaches more than a
    small one, but not in proportion.
    """
    sizes: dict[tuple[bool, str], int] = {}
    for sample in samples:
        sizes[sample.fake, sample.set] = sizes.get((sample.fake, sample.set), 0) + 1
    totals = {fake: sum(n**0.5 for (label, _), n in sizes.items() if label == fake) for fake in (False, True)}
    weights = np.array([0.5 * sizes[s.fake, s.set] ** -0.5 / totals[s.fake] for s in samples])
    return weights / weights.sum()


def data_hash(samples: Iterable[Sample]) -> str:
    """SHA-256 over the labels, groups and contents of the samples, whatever their order."""
    lines = sorted(
        f"{hashlib.sha256(s.file.read_bytes()).hexdigest()} {LABELS[s.fake]} {s.set} {s.group}" for s in samples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read_index(index: Path) -> list[Sample]:
    try:
        with index.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FacescanError(f"{index}: no index of pictures: {error}") from error
    missing = [column for column in COLUMNS if not rows or column not in rows[0]]
    if missing:
        raise FacescanError(f"{index}: no index of pictures: without {', '.join(missing)}")
    samples = []
    for line, row in enumerate(rows, start=2):
        if row["label"] not in LABELS:
            raise FacescanError(f"{index}: line {line}: label {row['label']!r} is neither real nor fake")
        fake = row["label"] == "fake"
        samples.append(
            Sample(row["path"], index.parent / row["path"], fake, row["set"], row["generator"], row["group"])
        )
    return samples


def _read_folder(folder: Path) -> list[Sample]:
    if not all((folder / label).is_dir() for label in LABELS):
        raise FacescanError(f"{folder}: neither an index nor a folder with real/ and fake/")
    return [
        Sample(file.relative_to(folder).as_posix(), file, label == "fake", folder.resolve().name, "", "")
        for label in LABELS
        for file in sorted((folder / label).rglob("*"))
        if file.is_file()
    ]


def _names(sample: Sample) -> set[str]:
    return {sample.set, f"{sample.set}/{LABELS[sample.fake]}"}


def _group(sample: Sample) -> tuple[str, str]:
    return ("group", sample.group) if sample.group else ("picture", sample.path)


def _lot(group: tuple[str, str], seed: int) -> float:
    """0 up to 1, evenly spread."""
    digest = hashlib.sha256(f"{seed} {group[0]} {group[1]}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _as_found(picture: Picture, box: Box | None) -> tuple[Picture, Box | None]:
    return picture, box
