"""Splits samples into training, validation and test, group by group, and weighs them for training."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scanner.errors import FacescanError
from train.data import hash_split
from train.data.index import names, without
from train.data.samples import LABELS, Sample
from train.recipes.schema import Split


@dataclass(frozen=True, slots=True)
class Splits:
    """Holds three sets of samples that share no group."""

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]


def split(samples: Sequence[Sample], rule: Split, seed: int) -> Splits:
    """Split the samples, group by group.

    Samples that come split stay as they are, unless the rule redraws them; a missing split is drawn from the training
    samples. A rule with counts, or a stratified one, draws by the files' contents. Otherwise the split of a group
    depends on the seed and its name only: adding pictures moves no others.

    Args:
        samples: all of them.
        rule: shares, counts or sets of each split.
        seed: of the draw.

    Raises:
        FacescanError: there are fewer pictures than the rule counts.
    """
    samples = without(samples, rule.excluded)
    if any(sample.split for sample in samples) and not rule.redraw:
        return _as_they_come(samples, rule, seed)
    if rule.test_counts:
        return _split_by_counts(samples, rule, seed)
    if rule.stratified and not rule.test_sets and not rule.validation_sets:
        return _split_by_class(samples, rule, seed)
    tests, validations = set(rule.test_sets), set(rule.validation_sets)
    # A group with a picture in a held-out set is held out as a whole.
    in_test = {_group(sample) for sample in samples if names(sample) & tests}
    in_validation = {_group(sample) for sample in samples if names(sample) & validations}
    train, validation, test = [], [], []
    for sample in samples:
        group = _group(sample)
        fraction = _hash_fraction(group, seed)
        if group in in_test:
            test.append(sample)
        elif group in in_validation:
            validation.append(sample)
        elif fraction < rule.test:
            test.append(sample)
        elif fraction < rule.test + rule.validation:
            validation.append(sample)
        else:
            train.append(sample)
    return Splits(tuple(train), tuple(validation), tuple(test))


def sampling_weights(samples: Sequence[Sample], composed: float = 0.0) -> NDArray[np.float64]:
    """Return the probability of drawing each sample, (n,), with a sum of 1.

    Each class has a sum of one half. Within a class, the weight of a set is the square root of its size: a large set
    teaches more than a small one, but not in proportion.

    Args:
        samples: n samples, of one class or both.
        composed: share of the drawn fakes that are replaced by composites of any real pictures. The other fakes are
            balanced by real pictures of the same sets, so that the set of a picture does not tell its class.
    """
    sizes: dict[tuple[bool, str], int] = {}
    for sample in samples:
        sizes[sample.fake, sample.set] = sizes.get((sample.fake, sample.set), 0) + 1
    totals = {fake: sum(n**0.5 for (label, _), n in sizes.items() if label == fake) for fake in (False, True)}
    weights = np.array([0.5 * sizes[s.fake, s.set] ** -0.5 / totals[s.fake] for s in samples])
    with_fakes = {sample.set for sample in samples if sample.fake}
    same_sets = weights * [not sample.fake and sample.set in with_fakes for sample in samples]
    if composed and same_sets.any():
        real = np.array([not sample.fake for sample in samples])
        weights[real] = composed * weights[real] + (1 - composed) * 0.5 * same_sets[real] / same_sets.sum()
    weights /= weights.sum()
    return weights


def _as_they_come(samples: Sequence[Sample], rule: Split, seed: int) -> Splits:
    train, validation, test = (
        tuple(sample for sample in samples if sample.split == part) for part in ("train", "validation", "test")
    )
    drawn = _split_by_class(
        train, replace(rule, test=0.0 if test else rule.test, validation=0.0 if validation else rule.validation), seed
    )
    return Splits(drawn.train, validation or drawn.validation, test or drawn.test)


def _split_by_counts(samples: Sequence[Sample], rule: Split, seed: int) -> Splits:
    """Draw as many test and validation pictures of each part as the rule counts; the rest is for training.

    Raises:
        FacescanError: there are too few.
    """
    test, rest, missing = hash_split.take_counts(
        hash_split.in_hash_order(hash_split.groups(samples), seed, "test"), rule.test_counts, _part
    )
    validation, rest, missing_too = hash_split.take_counts(
        hash_split.in_hash_order(rest, seed, "validation"), rule.validation_counts, _part
    )
    if missing or missing_too or not rest:
        raise FacescanError(
            f"too few pictures for a test of {_listed(rule.test_counts)} and a validation of "
            f"{_listed(rule.validation_counts)}: see --test and --validation"
        )
    return Splits(_in_order(samples, rest), tuple(validation), tuple(test))


def _split_by_class(samples: Sequence[Sample], rule: Split, seed: int) -> Splits:
    """Draw the rule's shares of each class of each set, as nearly as whole groups allow."""

    def counts(share: float) -> dict[Hashable, int]:
        return {part: round(share * number) for part, number in Counter(map(_class, samples)).items()}

    test, rest, _ = hash_split.take_counts(
        hash_split.in_hash_order(hash_split.groups(samples), seed, "test"), counts(rule.test), _class
    )
    validation, rest, _ = hash_split.take_counts(
        hash_split.in_hash_order(rest, seed, "validation"), counts(rule.validation), _class
    )
    return Splits(_in_order(samples, rest), tuple(validation), tuple(test))


def _in_order(samples: Sequence[Sample], chosen: Iterable[Iterable[Sample]]) -> tuple[Sample, ...]:
    paths = {sample.path for members in chosen for sample in members}
    return tuple(sample for sample in samples if sample.path in paths)


def _class(sample: Sample) -> Hashable:
    return sample.set, sample.fake


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {part}" for part, count in counts.items())


def _part(sample: Sample) -> str:
    """Return the part by which a study counts its test: `real`, or the prefix of a fake's file name, its quality."""
    return sample.file.name.split("_")[0] if sample.fake else LABELS[0]


def _group(sample: Sample) -> tuple[str, str]:
    return ("group", sample.group) if sample.group else ("picture", sample.path)


def _hash_fraction(group: tuple[str, ...], seed: int) -> float:
    """Return a deterministic number in [0, 1) from the seed and the group's name; it decides the group's split."""
    digest = hashlib.sha256(" ".join((str(seed), *group)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
