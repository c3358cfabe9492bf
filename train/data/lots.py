"""Splits drawn by what is in the files: moving or renaming pictures changes no split."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from scanner.detector.runtime import available_cpus
from train.data.samples import Sample

UNREADABLE = "unreadable"
# Hexadecimal digits of a hash that a card keeps of each training picture.
SHORT = 10


def content_hash(content: bytes) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def with_contents(samples: Sequence[Sample]) -> list[Sample]:
    """The samples with the hash of each file's bytes; a file that cannot be read has `UNREADABLE` and its path."""

    def hashed(sample: Sample) -> Sample:
        try:
            content = content_hash(sample.file.read_bytes())
        except OSError:
            content = f"{UNREADABLE} {sample.path}"
        return replace(sample, content=content)

    with ThreadPoolExecutor(available_cpus()) as pool:
        return list(pool.map(hashed, samples))


def short_hash(content: str) -> str:
    """Ten digits of a content hash, as a card keeps them: two in a billion pictures pass for another of 100,000."""
    return content[:SHORT]


def groups(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Samples that must stay together: those of one group, and those with the same content."""
    found: dict[Hashable, list[Sample]] = {}
    for sample in samples:
        keys = [("content", sample.content or sample.path), *([("group", sample.group)] if sample.group else [])]
        members = [sample]
        for joined in {id(found[key]): found[key] for key in keys if key in found}.values():
            members += joined
        for member in members:
            found["content", member.content or member.path] = members
            if member.group:
                found["group", member.group] = members
    return list({id(members): members for members in found.values()}.values())


def by_lot(found: Iterable[list[Sample]], seed: int, purpose: str) -> list[list[Sample]]:
    """The groups in an order that depends on the seed, the purpose and the contents alone."""

    def lot(members: list[Sample]) -> bytes:
        first = min(member.content or member.path for member in members)
        return hashlib.sha256(f"{seed} {purpose} {first}".encode()).digest()

    return sorted(found, key=lot)


def fill(
    found: Iterable[list[Sample]], counts: Mapping[Hashable, int], part_of: Callable[[Sample], Hashable]
) -> tuple[list[Sample], list[list[Sample]], Counter[Hashable]]:
    """Take whole groups, in order, until every part has its count; a group that would overfill one is passed over.

    Returns:
        The pictures taken, the groups left, and how many pictures each part still lacks.
    """
    missing, chosen, left = Counter(counts), [], []
    for members in found:
        parts = Counter(part_of(member) for member in members)
        if parts <= missing:
            missing -= parts
            chosen += members
        else:
            left.append(members)
    return chosen, left, missing
