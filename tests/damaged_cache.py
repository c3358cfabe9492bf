"""Damages a cache at random and scans with it: every row must be right, and no error internal.

    python -m tests.damaged_cache --count 1000 --seed 1

In the suite, tests/test_cache.py does the same a hundred times.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scanner.cli import main
from scanner.files import fingerprint
from tests.conftest import write_toy
from tests.pictures import encode, scene

PICTURES = 40
# Bytes changed at once, at most.
LONGEST = 64


class Ground:
    """Owns a folder with pictures, a model and a healthy cache with their rows.

    Args:
        folder: to make them in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "kept.db"
        self._pictures = folder / "pictures"
        self._pictures.mkdir()
        for i in range(PICTURES):
            file = self._pictures / f"{i}.jpg"
            level = np.full((44, 60, 3), 6 * i + 5, np.uint8)
            file.write_bytes((encode(level, "PNG"), encode(scene(), "JPEG") + b"%d" % i, b"none %d" % i)[i % 3])
            os.utime(file, (1e9 + i, 1e9 + i))
        self._model = write_toy(folder / "toy.onnx")
        self.rows = self.scan("--no-cache")
        self.scan("--cache", str(self.cache))
        self._whole = self.cache.read_bytes()

    def scan(self, *options: str) -> tuple[int, str, str]:
        """Exit code, rows as JSON Lines, and what was said, which tells nothing if all is well."""
        out, said = self.folder / "r.jsonl", io.StringIO()
        call = [str(self._pictures), "--model", str(self._model), "--workers", "1", "-q", "--out", str(out), *options]
        with contextlib.redirect_stderr(said):
            code = main(call)
        rows = out.read_text() if out.exists() else ""
        out.unlink(missing_ok=True)
        return code, rows, said.getvalue()

    def restore(self) -> None:
        """Make the cache healthy again."""
        for file in self.folder.glob("kept.db*"):
            file.unlink()
        self.cache.write_bytes(self._whole)


def damage(content: bytes, seed: int) -> bytes:
    """Change 1 to `LONGEST` bytes, in one run, or in several places, or of several kinds."""
    draw = random.Random(seed)  # noqa: S311  # no secret
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 3, 8))):
        length = draw.randint(1, LONGEST)
        at = draw.randrange(len(content) - length)
        kind = draw.choice(("noise", "zeros", "bit", "copy", "digit"))
        if kind == "noise":
            damaged[at : at + length] = draw.randbytes(length)
        elif kind == "zeros":
            damaged[at : at + length] = bytes(length)
        elif kind == "bit":
            damaged[at] ^= 1 << draw.randrange(8)
        elif kind == "copy":  # a part of the file in the place of another
            other = draw.randrange(len(content) - length)
            damaged[at : at + length] = content[other : other + length]
        else:
            digits = [i for i in range(at, at + length) if chr(damaged[i]).isdigit()]
            for i in digits[:3]:
                damaged[i] = ord(draw.choice("0123456789"))
    return bytes(damaged)


def outcomes(ground: Ground, seeds: range) -> Iterator[tuple[int, str]]:
    """Seed and outcome of each trial: `same rows`, `set aside`, `refused` or, if all is not well, what is wrong."""
    for seed in seeds:
        ground.restore()
        ground.cache.write_bytes(damage(ground.cache.read_bytes(), seed))
        first = ground.scan("--cache", str(ground.cache))
        again = ground.scan("--cache", str(ground.cache))
        yield seed, _outcome(ground, first, again)


def _outcome(ground: Ground, first: tuple[int, str, str], again: tuple[int, str, str]) -> str:
    for code, rows, said in (first, again):
        if "is not a cache of facescan" in said and code == 2 and not rows:
            return "refused"
        if (code, rows) != ground.rows[:2]:
            return f"wrong: exit code {code}, {'other' if rows else 'no'} rows, {said.strip()}"
    if again[2]:
        return f"wrong: {again[2].strip()}"  # the first scan has to put it right
    if not first[2]:
        return "same rows"
    return "set aside" if "is damaged; it is now" in first[2] else f"wrong: {first[2].strip()}"


def report(count: int, seed: int) -> Counter[str]:
    """How often each outcome came, after `count` trials."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, outcome in outcomes(Ground(Path(folder)), range(seed, seed + count)):
            counts[outcome.partition(":")[0]] += 1
            if outcome.startswith("wrong"):
                print(f"seed {number}: {outcome}", flush=True)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    fingerprint.SETTLED_AFTER_NS = -(10**18)  # the pictures are found by their looks, too, though they are new
    print(dict(report(asked.count, asked.seed)))
