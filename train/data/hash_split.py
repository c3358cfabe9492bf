"""Draws splits by the hashes of the files' bytes, so that moving or renaming pictures changes no split."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from scanner.detector.runtime import available_cpus
from train.data.samples import Sample

Part = TypeVar("Part", bound=Hashable)
UNREADABLE = "unreadable"
# Hexadecimal digits of a training picture's hash that a card holds.
SHORT_HASH_DIGITS = 10


def content_hash(content: bytes) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def with_contents(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples with the hash of each file's bytes; an unreadable file gets `UNREADABLE` and its path."""

    def hashed(sample: Sample) -> Sample:
        try:
            content = content_hash(sample.file.read_bytes())
        except OSError:
            content = f"{UNREADABLE} {sample.path}"
        return replace(sample, content=content)

    with ThreadPoolExecutor(available_cpus()) as pool:
        return list(pool.map(hashed, samples))


def short_hash(content: str) -> str:
    """Return the first ten digits of a content hash, as a card holds them.

    Among 100,000 training pictures, two in a billion other pictures share ten digits with one of them.
    """
    return content[:SHORT_HASH_DIGITS]


def groups(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Gather the samples that must stay in one split: those of one group, and those with the same content."""
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


def in_hash_order(found: Iterable[list[Sample]], seed: int, purpose: str) -> list[list[Sample]]:
    """Sort groups of samples in an order that depends on the seed, the purpose and the files' contents alone.

    Args:
        found: groups of samples that must stay together.
        seed: of the run.
        purpose: a word that makes the orders of several draws independent of each other, such as `test`.
    """

    def rank(members: list[Sample]) -> bytes:
        first = min(member.content or member.path for member in members)
        return hashlib.sha256(f"{seed} {purpose} {first}".encode()).digest()

    return sorted(found, key=rank)


def take_counts(
    found: Iterable[list[Sample]], counts: Mapping[Part, int], part_of: Callable[[Sample], Part]
) -> tuple[list[Sample], list[list[Sample]], Counter[Part]]:
    """Take whole groups, in order, until every part has its count; skip a group that would exceed a count.

    Args:
        found: groups of samples that must stay together, in the order in which they are tried.
        counts: pictures wanted of each part.
        part_of: gives the part of a sample, a key of `counts`.

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
