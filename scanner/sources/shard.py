"""Divides a scan among machines that need not talk to each other."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """Holds one part of a scan: part `number`, counted from 1, of `count`.

    The hash of a path alone decides its part. So every machine decides alike without knowing the others or the total,
    and added files do not move the rest.
    """

    number: int
    count: int

    def has(self, path: str) -> bool:
        """Return whether a path, as walked, belongs to this part."""
        digest = hashlib.blake2b(os.fsencode(path), digest_size=8).digest()
        return int.from_bytes(digest) % self.count == self.number - 1
