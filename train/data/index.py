"""Reads data sets as samples, and names the sets that samples are in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from scanner.errors import FacescanError
from train.data import hash_split
from train.data.layouts import read_layout
from train.data.samples import LABELS, Sample


def read_samples(data: Path) -> list[Sample]:
    """Read the samples of an index, or of a data set's folders (`train.data.layouts`).

    An index is CSV with the columns path (relative to it), label and, if known, set, generator, group and split.

    Raises:
        FacescanError: `data` is neither, or it has no pictures of one of the classes.
    """
    return read_layout(data)


def without(samples: Iterable[Sample], sets: Iterable[str]) -> list[Sample]:
    """Return the samples that are in none of the sets (`set`, `set/real` or `set/fake`)."""
    left_out = set(sets)
    return [sample for sample in samples if not names(sample) & left_out]


def of_sets(samples: Sequence[Sample], sets: Sequence[str]) -> list[Sample]:
    """Return the samples of these sets.

    Raises:
        FacescanError: a set has no samples; the message names the sets that have.
    """
    known = {sample.set for sample in samples}
    missing = [name for name in sets if name not in known]
    if missing:
        raise FacescanError(f"no pictures of {', '.join(missing)} among {', '.join(sorted(known))}: see --sets")
    return [sample for sample in samples if sample.set in sets]


def names(sample: Sample) -> set[str]:
    """Return the two names of a sample's set in a rule: `set`, and `set/real` or `set/fake`."""
    return {sample.set, f"{sample.set}/{LABELS[sample.fake]}"}


def set_names(samples: Iterable[Sample]) -> list[str]:
    """List the sets of the samples, with their class: `set/real` or `set/fake`."""
    return sorted({f"{sample.set}/{LABELS[sample.fake]}" for sample in samples})


def data_hash(samples: Iterable[Sample]) -> str:
    """Return a SHA-256 over labels, sets, groups and contents of the samples, independent of their order."""
    hashed = [sample if sample.content else hash_split.with_contents([sample])[0] for sample in samples]
    lines = sorted(f"{s.content.split()[0]} {LABELS[s.fake]} {s.set} {s.group}" for s in hashed)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
