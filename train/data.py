"""Labelled pictures -> samples, splits by group, and the face crops that a model sees."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanner.detector.card import Card
from scanner.detector.model import Region, prepare
from scanner.detector.runtime import available_cpus
from scanner.errors import FacescanError
from scanner.faces.finder import FaceFinder, FoundFace
from scanner.imaging.crop import Box
from scanner.imaging.decode import Picture, decode
from train import lots
from train.layouts import read_layout
from train.recipes import Split
from train.samples import LABELS, Sample

# Bytes of pixels of one split and input up to which they are kept in memory.
IN_MEMORY = 4 * 2**30

# (picture, face box or None) -> the same, changed: a condition of `train.degrade`.
Condition = Callable[[Picture, Box | None], tuple[Picture, Box | None]]


@dataclass(frozen=True, slots=True)
class Splits:
    """Three sets of samples that share no group."""

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Crops:
    """What a model sees of the samples.

    Attributes:
        samples: those that show a face, in order.
        regions: by condition, one `Region` for each of `samples`.
        faceless: samples in which no face was found.
        broken: samples that could not be read or decoded.
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
    """An index, or a data set's folders as it is unpacked, -> its samples (`train.layouts`).

    An index is CSV with the columns path (relative to it), label and, if known, set, generator, group and split.

    Raises:
        FacescanError: it is neither, or it has no pictures of one of the classes.
    """
    return read_layout(data)


def split(samples: Sequence[Sample], rule: Split, seed: int) -> Splits:
    """Part the samples, group by group.

    Samples that come split stay as they are, unless the rule redraws them; a part that they lack is drawn from those to
    train on. A rule that counts, or that is stratified, draws by the files' contents. Otherwise a group's lot depends
    on the seed and its name only: adding pictures moves no others.

    Raises:
        FacescanError: the rule counts pictures that are not there.
    """
    samples = without(samples, rule.excluded)
    if any(sample.split for sample in samples) and not rule.redraw:
        return _as_they_come(samples, rule, seed)
    if rule.test_counts:
        return _split_by_counts(samples, rule, seed)
    if rule.stratified and not rule.test_sets and not rule.validation_sets:
        return _split_by_class(samples, rule, seed)
    tests, validations = set(rule.test_sets), set(rule.validation_sets)
    # A group that reaches into a held-out set follows it.
    in_test = {_group(sample) for sample in samples if names(sample) & tests}
    in_validation = {_group(sample) for sample in samples if names(sample) & validations}
    train, validation, test = [], [], []
    for sample in samples:
        group = _group(sample)
        lot = _lot(group, seed)
        if group in in_test:
            test.append(sample)
        elif group in in_validation:
            validation.append(sample)
        elif lot < rule.test:
            test.append(sample)
        elif lot < rule.test + rule.validation:
            validation.append(sample)
        else:
            train.append(sample)
    return Splits(tuple(train), tuple(validation), tuple(test))


def without(samples: Iterable[Sample], sets: Iterable[str]) -> list[Sample]:
    """The samples that are in none of the sets (`set`, `set/real` or `set/fake`)."""
    left_out = set(sets)
    return [sample for sample in samples if not names(sample) & left_out]


def crops(samples: Sequence[Sample], card: Card, conditions: Sequence[Condition] = ()) -> Crops:
    """Decode, find the largest face and crop, all by the scanner's own code.

    Args:
        samples: in any order.
        card: of the model that is to see them.
        conditions: what to do to a picture first; none means once, as found.
    """
    finder = FaceFinder()
    ways = conditions or (_as_found,)
    rooms = [_room((len(ways), len(samples), *spec.size, 3)) for spec in card.inputs]

    def look(position: int) -> str:
        try:
            picture = decode(samples[position].file.read_bytes()).picture
        except OSError:
            picture = None
        if picture is None:
            return "broken"
        box, turn = None, 0
        if card.source == "face":
            faces = finder.find(picture)
            if not faces:
                return "faceless"
            face = largest(faces)
            box, turn = face.box, face.turn
        for way, condition in enumerate(ways):
            for room, pixels in zip(rooms, prepare(*condition(picture, box), card, turn=turn), strict=True):
                room[way, position] = pixels
        return "seen"

    with ThreadPoolExecutor(available_cpus()) as pool:
        outcomes = list(pool.map(look, range(len(samples))))

    def those(kind: str) -> tuple[Sample, ...]:
        return tuple(sample for sample, outcome in zip(samples, outcomes, strict=True) if outcome == kind)

    seen = [i for i, outcome in enumerate(outcomes) if outcome == "seen"]
    regions = tuple(tuple(tuple(room[way, i] for room in rooms) for i in seen) for way in range(len(ways)))
    return Crops(those("seen"), regions, those("faceless"), those("broken"))


def largest(faces: Sequence[FoundFace]) -> FoundFace:
    """The face whose box has the largest area."""
    return max(faces, key=lambda face: face.box[2] * face.box[3])


def of_sets(samples: Sequence[Sample], sets: Sequence[str]) -> list[Sample]:
    """The samples of these sets.

    Raises:
        FacescanError: there are none of a set; names those that there are.
    """
    known = {sample.set for sample in samples}
    missing = [name for name in sets if name not in known]
    if missing:
        raise FacescanError(f"no pictures of {', '.join(missing)} among {', '.join(sorted(known))}: see --sets")
    return [sample for sample in samples if sample.set in sets]


def sampling_weights(samples: Sequence[Sample], composed: float = 0.0) -> NDArray[np.float64]:
    """Probabilities of drawing each sample, (n,), summing to 1.

    Both classes weigh one half. Within a class a set weighs as the root of its size: a large set teaches more than a
    small one, but not in proportion.

    Args:
        samples: of one class or both.
        composed: share of the fakes in whose place come composites of any of the real ones. The other fakes are met by
            as many real ones of the sets that they are in, so that the set of a picture does not tell its class.
    """
    sizes: dict[tuple[bool, str], int] = {}
    for sample in samples:
        sizes[sample.fake, sample.set] = sizes.get((sample.fake, sample.set), 0) + 1
    totals = {fake: sum(n**0.5 for (label, _), n in sizes.items() if label == fake) for fake in (False, True)}
    weights = np.array([0.5 * sizes[s.fake, s.set] ** -0.5 / totals[s.fake] for s in samples])
    with_fakes = {sample.set for sample in samples if sample.fake}
    beside = weights * [not sample.fake and sample.set in with_fakes for sample in samples]
    if composed and beside.any():
        real = np.array([not sample.fake for sample in samples])
        weights[real] = composed * weights[real] + (1 - composed) * 0.5 * beside[real] / beside.sum()
    return weights / weights.sum()


def names(sample: Sample) -> set[str]:
    """What a rule may call the set that a sample is in: `set`, and `set/real` or `set/fake`."""
    return {sample.set, f"{sample.set}/{LABELS[sample.fake]}"}


def set_names(samples: Iterable[Sample]) -> list[str]:
    """The sets of the samples with the class, as `set/real` or `set/fake`."""
    return sorted({f"{sample.set}/{LABELS[sample.fake]}" for sample in samples})


def data_hash(samples: Iterable[Sample]) -> str:
    """SHA-256 over the labels, groups and contents of the samples, whatever their order."""
    hashed = [sample if sample.content else lots.with_contents([sample])[0] for sample in samples]
    lines = sorted(f"{s.content.split()[0]} {LABELS[s.fake]} {s.set} {s.group}" for s in hashed)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _room(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Room for pixels: in memory or, if they are many, in a file without a name in the folder for temporary files."""
    size = math.prod(shape)
    if size <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    try:
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):  # a disk that fills up later kills the process
                os.posix_fallocate(file.fileno(), 0, size)
            return np.asarray(np.memmap(file, np.uint8, "w+", shape=shape))
    except OSError as error:
        raise FacescanError(
            f"{tempfile.gettempdir()}: no room for {size / 1e9:.1f} GB of pixels ({error.strerror}): "
            "set TMPDIR to a folder that has it"
        ) from error


def _as_they_come(samples: Sequence[Sample], rule: Split, seed: int) -> Splits:
    train, validation, test = (
        tuple(sample for sample in samples if sample.split == part) for part in ("train", "validation", "test")
    )
    drawn = _split_by_class(
        train, replace(rule, test=0.0 if test else rule.test, validation=0.0 if validation else rule.validation), seed
    )
    return Splits(drawn.train, validation or drawn.validation, test or drawn.test)


def _split_by_counts(samples: Sequence[Sample], rule: Split, seed: int) -> Splits:
    """The test and the validation with as many pictures of each part as the rule says; the rest is to train on."""
    test, rest, short = lots.fill(lots.by_lot(lots.groups(samples), seed, "test"), rule.test_counts, _part)
    validation, rest, short_too = lots.fill(lots.by_lot(rest, seed, "validation"), rule.validation_counts, _part)
    if short or short_too or not rest:
        raise FacescanError(
            f"too few pictures for a test of {_listed(rule.test_counts)} and a validation of "
            f"{_listed(rule.validation_counts)}: see --test and --validation"
        )
    return Splits(_in_order(samples, rest), tuple(validation), tuple(test))


def _split_by_class(samples: Sequence[Sample], rule: Split, seed: int) -> Splits:
    """The rule's share of each class of each set, as nearly as whole groups allow."""

    def counts(share: float) -> dict[Hashable, int]:
        return {part: round(share * number) for part, number in Counter(map(_class, samples)).items()}

    test, rest, _ = lots.fill(lots.by_lot(lots.groups(samples), seed, "test"), counts(rule.test), _class)
    validation, rest, _ = lots.fill(lots.by_lot(rest, seed, "validation"), counts(rule.validation), _class)
    return Splits(_in_order(samples, rest), tuple(validation), tuple(test))


def _in_order(samples: Sequence[Sample], chosen: Iterable[Iterable[Sample]]) -> tuple[Sample, ...]:
    paths = {sample.path for members in chosen for sample in members}
    return tuple(sample for sample in samples if sample.path in paths)


def _class(sample: Sample) -> Hashable:
    return sample.set, sample.fake


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {part}" for part, count in counts.items())


def _part(sample: Sample) -> str:
    """What a study counts its test by: `real`, or how well the fake is made, as its file's name begins."""
    return sample.file.name.split("_")[0] if sample.fake else LABELS[0]


def _group(sample: Sample) -> tuple[str, str]:
    return ("group", sample.group) if sample.group else ("picture", sample.path)


def _lot(group: tuple[str, ...], seed: int) -> float:
    """0 up to 1, evenly spread."""
    digest = hashlib.sha256(" ".join((str(seed), *group)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _as_found(picture: Picture, box: Box | None) -> tuple[Picture, Box | None]:
    return picture, box
