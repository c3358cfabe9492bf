"""Selects which files below a root are candidates, by their paths and names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from scanner.files.url import is_url
from scanner.sources.shard import Shard

# Suffixes of pictures, including formats that cannot be decoded: skipping those would look like "nothing found".
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .bmp .dib .tif .tiff .avif .heic .heif .hif .jxl .svg".split()
)
# Values of --by: what makes a file in a folder a candidate.
BY = ("content", "suffix")


@dataclass(frozen=True, slots=True)
class Selection:
    """Holds the rules that select files below a root.

    A pattern without a slash matches the name of a file or folder; any other matches its path relative to the root, or
    as walked. `*` also matches slashes. Excluded folders are not entered.

    Attributes:
        include: patterns; if there are any, matching files are taken instead of pictures.
        exclude: patterns of what is skipped.
        force_exclude: whether `exclude` also applies to files that were named explicitly.
        by: `content` takes files with a picture's suffix, and others if their first bytes are a picture's; `suffix`
            takes only the former.
        max_depth: 1 is the files directly in a root; None is no limit.
        hidden: whether names that begin with a dot are entered and taken.
        follow: whether symbolic links are followed (never in circles); roots are always followed.
        shard: the part of the files that is taken, including those that were named explicitly; None for all.
        own_outputs: real paths of what this run writes; never candidates in folders.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    force_exclude: bool = False
    by: str = "content"
    max_depth: int | None = None
    hidden: bool = False
    follow: bool = False
    shard: Shard | None = None
    own_outputs: frozenset[str] = frozenset()


def skip_reason(name: str, paths: Iterable[str], selection: Selection) -> str:
    """Return why a file or folder is skipped whatever it is: `hidden`, `excluded`, or empty if it is not.

    Args:
        name: of the file or folder.
        paths: its path in each form that patterns may match.
        selection: the rules.
    """
    if name.startswith(".") and not selection.hidden:
        return "hidden"
    return "excluded" if _matches(paths, selection.exclude) else ""


def is_candidate(name: str, paths: Iterable[str], selection: Selection) -> bool | None:
    """Return whether a file that is not skipped is a candidate; None if its first bytes have to decide.

    Args:
        name: of the file.
        paths: its path in each form that patterns may match.
        selection: the rules.
    """
    if selection.include:
        return _matches(paths, selection.include)
    if has_picture_suffix(name):
        return True
    return None if selection.by == "content" else False


def is_reached(root: str, below: str, selection: Selection, is_folder: bool = False) -> bool:
    """Return whether the walk of a root reaches a file, or enters a folder, as far as names and depths decide.

    Args:
        root: the root as the user named it.
        below: path of the file or folder relative to the root, without symbolic links.
        selection: the rules.
        is_folder: whether it is a folder.
    """
    parts = below.split("/")
    if selection.max_depth is not None and len(parts) + is_folder > selection.max_depth:
        return False
    for end, name in enumerate(parts, start=1):
        so_far = "/".join(parts[:end])
        if skip_reason(name, (so_far, os.path.join(root, so_far)), selection):
            return False
    return True


def has_picture_suffix(name: str) -> bool:
    """Return whether a file is a picture by its name."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def excluded_by_name(path: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a pattern matches a path, or a folder above it, as if it had been walked from the working
    directory.

    For a path outside the working directory only the name and the whole path count: the folders above are not the
    user's choice.
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
    return fnmatchcase(path, anchored) or fnmatchcase(path, whole)  # `whole` may be absolute, or begin with **/
