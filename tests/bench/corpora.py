"""Folders of pictures to measure on, made once and kept."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scanner.cache.database import cache_file
from scanner.detector.runtime import available_cpus
from scanner.faces.finder import FaceFinder
from scanner.imaging.decode import Picture
from tests.bench import drawing
from tests.bench.peers.work import decoded

EXAMPLES = Path(__file__).parents[2] / "examples" / "pictures"
TWELVE_MP, ONE_MP = (4000, 3000), (1152, 864)
# 3 x 3 photographs of 12 MP, cut to this: 300 MB once decoded.
HUNDRED_MP = (11_600, 8_700)
# A file system gives a file some 65,000 names at most, and a hundred thousand are wanted.
TINY_ORIGINALS = 20
# While it is drawn, a photograph of 12 MP takes half a gigabyte.
MOST_AT_ONCE = 4
KINDS = ("portraits", "photographs", "megapixel", "both")


@dataclass(frozen=True, slots=True)
class Sources:
    """Pictures with faces that corpora are made of; `name` is part of the corpora's names."""

    name: str
    files: tuple[Path, ...]

    def picture(self, share: float) -> Picture:
        """The one at `share` (from 0 up to 1) of the list."""
        return decoded(self.files[int(share * len(self.files))].read_bytes())


@dataclass(frozen=True, slots=True)
class Corpus:
    """A folder to scan. `pictures` are counted with those in folders below, `bytes` are of them all."""

    name: str
    folder: Path
    pictures: int
    bytes: int


def find_sources() -> Sources:
    """The portraits in $FACESCAN_DATA; without it the repository's own examples, of which each is used many times."""
    if data := os.environ.get("FACESCAN_DATA"):
        folder = Path(data) / "faces"
        with open(folder / "index.csv", newline="", encoding="utf-8") as stream:
            return Sources("data", tuple(folder / row["path"] for row in csv.DictReader(stream)))
    return Sources("examples", tuple(sorted(file for file in EXAMPLES.glob("*.jpg") if "faceless" not in file.name)))


def default_root() -> Path:
    """Beside facescan's own cache."""
    return Path(cache_file() or "facescan/x").parent / "bench"


def corpus(root: Path, sources: Sources, kind: str, counts: dict[str, int]) -> Corpus:
    """A corpus of a kind, made unless it is there.

    Args:
        root: where corpora are kept.
        sources: what to make it of.
        kind: one of `KINDS`. `both` is portraits and photographs, each in a folder of its own, as hard links.
        counts: pictures of every kind but `both`.
    """
    if kind == "both":
        parts = [corpus(root, sources, part, counts) for part in ("portraits", "photographs")]
        name = "-".join(["both", *(str(part.pictures) for part in parts), sources.name])
        return _described(kind, _made(root / name, lambda folder: _link(parts, folder)))
    count = counts[kind]

    def content(i: int) -> bytes:
        if kind == "portraits":
            return drawing.portrait(sources.picture(i / count), i)
        return drawing.jpeg(_photograph(sources, i, TWELVE_MP if kind == "photographs" else ONE_MP))

    name = f"{kind}-{count}-{sources.name}"
    return _described(kind, _made(root / name, lambda folder: _write(folder, content, count)))


def tiny_files(root: Path, sources: Sources, count: int, folders: int) -> Path:
    """`count` tiny portraits in `folders` folders: hard links to a few, since only their number matters."""

    def fill(folder: Path) -> None:
        finder = FaceFinder()
        shares = np.linspace(0, 1, 5 * TINY_ORIGINALS, endpoint=False)  # not every portrait shows a face
        found = (drawing.tiny(sources.picture(share), finder) for share in shares)
        originals: list[Path] = []
        for content, _ in zip(filter(None, found), range(TINY_ORIGINALS), strict=False):
            originals.append(folder / f"{len(originals)}.jpg")
            originals[-1].write_bytes(content)
        for i in range(folders):
            (folder / f"{i:03}").mkdir()
        for i in range(count):
            os.link(originals[i % len(originals)], folder / f"{i % folders:03}" / f"upload_{i:06}.jpg")
        for original in originals:
            original.unlink()

    return _made(root / f"tiny-{count}-{folders}-{sources.name}", fill)


def huge_files(root: Path, sources: Sources, count: int) -> Path:
    """`count` pictures of 100 MP: hard links to one."""

    def fill(folder: Path) -> None:
        width, height = HUNDRED_MP
        tile = _photograph(sources, 0, TWELVE_MP)
        first = folder / "0.jpg"
        first.write_bytes(drawing.jpeg(np.tile(tile, (3, 3, 1))[:height, :width]))
        for i in range(1, count):
            os.link(first, folder / f"{i}.jpg")

    return _made(root / f"huge-{count}-{sources.name}", fill)


def _photograph(sources: Sources, number: int, size: tuple[int, int]) -> Picture:
    """One to four portraits on a wall."""
    shares = np.random.default_rng(number).random(1 + number % 4)
    return drawing.photograph([sources.picture(share) for share in shares], number, *size)


def _write(folder: Path, content: Callable[[int], bytes], count: int) -> None:
    def write(i: int) -> None:
        (folder / f"{i:06}.jpg").write_bytes(content(i))

    with ThreadPoolExecutor(min(available_cpus(), MOST_AT_ONCE)) as pool:
        list(pool.map(write, range(count)))


def _link(parts: list[Corpus], folder: Path) -> None:
    for part in parts:
        below = folder / part.name
        below.mkdir()
        for file in part.folder.iterdir():
            os.link(file, below / file.name)


def _made(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The folder; filled first if it is not there, under another name until it is whole."""
    if not folder.exists():
        draft = folder.with_name(folder.name + ".partial")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        fill(draft)
        draft.rename(folder)
    return folder


def _described(name: str, folder: Path) -> Corpus:
    sizes = [file.stat().st_size for file in folder.rglob("*.jpg")]
    return Corpus(name, folder, len(sizes), sum(sizes))
