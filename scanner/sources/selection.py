"""Which files below a root are candidates: by where they lie, and by their names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from scanner.files.url import is_url
from scanner.sources.shard import Shard

# Pictures by name. Those that cannot be decoded are candidates too: leaving them out would look like "nothing found".
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .bmp .dib .tif .tiff .avif .heic .heif .hif .jxl .svg".split()
)
# What makes a file in a folder a candidate.
BY = ("content", "suffix")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files below a root are candidates.

    Patterns without a slash match the name of a file or folder, others its path below the root or as it is walked; `*`
    matches slashes too. Excluded folders are not entered.

    Attributes:
        include: take what matches one of these, instead of what is a picture.
        exclude: leave out what matches one of these.
        force_exclude: also leave out matching files that were named explicitly.
        by: `content` takes files with a picture's suffix, and others if their first bytes are a picture's; `suffix`
            takes the former only.
        max_depth: 1 is the files directly in a root; None is no limit.
        hidden: enter and take names that begin with a dot.
        follow: follow symbolic links (never in circles); roots are always followed.
        shard: take only the files of this part, also of those that were named explicitly.
        ours: real paths of what this run writes; in folders, never candidates.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    force_exclude: bool = False
    by: str = "content"
    max_depth: int | None = None
    hidden: bool = False
    follow: bool = False
    shard: Shard | None = None
    ours: frozenset[str] = frozenset()


def skips(name: str, paths: Iterable[str], selection: Selection) -> str:
    """Why a file or folder is left out whatever it is: `hidden`, `excluded`, or empty if it is not.

    Args:
        name: of the file or folder.
        paths: how patterns may name it.
        selection: the rules.
    """
    if name.startswith(".") and not selection.hidden:
        return "hidden"
    return "excluded" if _matches(paths, selection.exclude) else ""


def takes(name: str, paths: Iterable[str], selection: Selection) -> bool | None:
    """Whether a file that is not left out is a candidate; None if its first bytes have to tell.

    Args:
        name: of the file.
        paths: how patterns may name it.
        selection: the rules.
    """
    if selection.include:
        return _matches(paths, selection.include)
    if has_suffix(name):
        return True
    return None if selection.by == "content" else False


def reaches(root: str, below: str, selection: Selection, is_folder: bool = False) -> bool:
    """Whether the walk of a root comes to a file, or enters a folder, as far as names and depths tell.

    Args:
        root: as it was named.
        below: path of the file or folder under the root, without symbolic links.
        selection: the rules.
        is_folder: whether it is a folder.
    """
    parts = below.split("/")
    if selection.max_depth is not None and len(parts) + is_folder > selection.max_depth:
        return False
    for end, name in enumerate(parts, start=1):
        so_far = "/".join(parts[:end])
        if skips(name, (so_far, os.path.join(root, so_far)), selection):
            return False
    return True


def has_suffix(name: str) -> bool:
    """Whether a file is a picture by its name."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def excluded_by_name(path: str, patterns: tuple[str, ...]) -> bool:
    """As if `path` had been met while walking from the folder we stand in: a pattern may match it or a folder above.

    Of a path elsewhere only the name and the whole count: what lies above it is not the user's tree.
    """
    parts = [] if is_url(path) else os.path.relpath(path or ".").split(os.sep)
    below = ["/".join(parts[: i + 1]) for i in range(len(parts))] if parts[:1] != [os.pardir] else []
    return _matches((path, *below), patterns)


def _matches(paths: Iterable[str], patterns: tuple[str, ...]) -> bool:
    return any(_match(path.replace(os.sep, "/").removeprefix("./"), pattern) for path in paths for pattern in patterns)


def _match(path: str, pattern: str) -> bool:
    whole = pattern.rstrip("/")
    anchored = whole.removeprefix("./").removeprefix("**/").removeprefix("/")
    if "/" not in whole:
        return fnmatchcase(path.rsplit("/", 1)[-1], anchored)
    return fnmatchcase(path, anchored) or fnmatchcase(path, whole)  # the whole may be absolute, or begin with **/
