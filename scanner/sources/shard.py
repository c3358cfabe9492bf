"""One part of a scan that several machines share, with no word between them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number`, from 1, of `count`.

    A path's hash alone decides which part it belongs to: every machine comes to the same answer without knowing the
    others or the total, and files that are added move no others.
    """

    number: int
    count: int

    def has(self, path: str) -> bool:
        """Whether a path, as it is walked, belongs to this part."""
        digest = hashlib.blake2b(os.fsencode(path), digest_size=8).digest()
        return int.from_bytes(digest) % self.count == self.number - 1
