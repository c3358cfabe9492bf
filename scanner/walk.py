"""Roots, lists and standard input -> candidate files, lazily and in a stable order. Nothing is opened here."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import BinaryIO

from scanner.mark import Mark
from scanner.shard import Shard
from scanner.url import is_url

# Pictures by name. Those that cannot be decoded are candidates too: leaving them out would look like "nothing found".
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .bmp .dib .tif .tiff .avif .heic .heif .hif .jxl .svg".split()
)
STDIN = "-"
# Seconds without a new name after which those who read a list are told so.
QUIET = 0.1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that gets a row.

    Attributes:
        path: as walked, undecodable bytes as surrogates; `-` for standard input; or a URL.
        trouble: why there is nothing to read, if that is known already.
        content: of standard input or a URL, once it was read.
        size: bytes of what was not read because it is too large.
        mark: of the object behind a URL, as it was listed or, later, read; None if its store tells no tag.
        named: asked for by itself, not found in a folder or a list.
    """

    path: str
    trouble: str = ""
    content: bytes | None = field(default=None, repr=False)
    size: int | None = None
    mark: Mark | None = field(default=None, repr=False)
    named: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files below a root are candidates.

    Patterns without a slash match the name of a file or folder, others its path below the root or as it is walked; `*`
    matches slashes too. Excluded folders are not entered.

    Attributes:
        include: take what matches one of these, instead of what has a picture's suffix.
        exclude: leave out what matches one of these.
        force_exclude: also leave out matching files that were named explicitly.
        max_depth: 1 is the files directly in a root; None is no limit.
        hidden: enter and take names that begin with a dot.
        follow: follow symbolic links (never in circles); roots are always followed.
        shard: take only the files of this part, also of those that were named explicitly.
        ours: real paths of what this run writes; in folders, never candidates.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    force_exclude: bool = False
    max_depth: int | None = None
    hidden: bool = False
    follow: bool = False
    shard: Shard | None = None
    ours: frozenset[str] = frozenset()


def candidates(roots: Iterable[str | None], selection: Selection, named: bool = False) -> Iterator[Candidate | None]:
    """Every file to scan: folders are walked, files named explicitly are always taken.

    Args:
        roots: files, folders, URLs, standard input; None, which is passed on, if there is no other yet.
        selection: see there.
        named: whether a root that is a file is marked as `Candidate.named`.
    """
    shard = selection.shard
    for root in roots:
        if root is None:
            yield None
            continue
        for found in _below(root, selection):
            if shard is None or shard.has(found.path):
                yield replace(found, named=True) if named and found.path == root else found


def _below(root: str, selection: Selection) -> Iterator[Candidate]:
    if selection.force_exclude and _excluded_by_name(root, selection.exclude):
        return
    if root == STDIN:
        yield Candidate(root)
        return
    if is_url(root):
        from scanner.remote import objects

        yield from objects(root, selection)
        return
    try:
        is_folder = os.path.isdir(root)
        if not is_folder:
            os.stat(root)
    except (OSError, ValueError) as error:
        yield Candidate(root, trouble_of(error, root, missing="not_found"))
        return
    if is_folder:
        yield from _walk(root, selection)
    else:
        yield Candidate(root)


def read_list(stream: BinaryIO, null_separated: bool) -> Iterator[str | None]:
    """Paths from a list, one a line or separated by NUL bytes, as they come; empty entries are skipped.

    While none comes there is a None now and then: who writes the list may wait for what becomes of its last name. Not
    on Windows, where nobody can ask a pipe.
    """
    separator = b"\0" if null_separated else b"\n"
    rest = b""
    while True:
        while not _has_more(stream):
            yield None
        # All that the stream has read ahead, so that nothing is left where `_has_more` cannot see it.
        block = stream.read1(65536) if hasattr(stream, "read1") else stream.read(65536)
        if not block:
            break
        *entries, rest = (rest + block).split(separator)
        yield from _names(entries, null_separated)
    yield from _names([rest], null_separated)


def trouble_of(error: Exception, path: str, missing: str) -> str:
    """An operating-system error -> the short word of a row's reason; `missing` if there is no such file."""
    if isinstance(error, FileNotFoundError):
        return "broken_link" if os.path.islink(path) else missing
    if isinstance(error, PermissionError):
        return "permission_denied"
    return f"read_failed:{errno.errorcode.get(getattr(error, 'errno', None) or 0, 'invalid_name')}"


def skips(name: str, paths: Iterable[str], selection: Selection) -> bool:
    """Whether a file or folder met while walking is left out whatever it is; `paths` are how patterns may name it."""
    return (name.startswith(".") and not selection.hidden) or _matches(paths, selection.exclude)


def takes(name: str, paths: Iterable[str], selection: Selection) -> bool:
    """Whether a file met while walking is a candidate."""
    return _matches(paths, selection.include) if selection.include else has_suffix(name)


def has_suffix(name: str) -> bool:
    """Whether a file is a picture by its name."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _has_more(stream: BinaryIO) -> bool:
    """Whether the stream can be read at once, be it that it has ended. Waits a moment for it."""
    if not hasattr(select, "poll"):
        return True
    try:
        file = stream.fileno()
    except OSError:  # bytes in memory
        return True
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(1000 * QUIET))


def _names(entries: list[bytes], null_separated: bool) -> Iterator[str]:
    for entry in entries:
        name = os.fsdecode(entry if null_separated else entry.removesuffix(b"\r"))
        if name:
            yield name if name != STDIN else f"./{name}"  # a list names files; standard input may be the list itself


_FOLDER, _FILE = b"\0/", b"\0."


@dataclass(frozen=True, slots=True)
class _Folder:
    """To be entered. `below` is its path under the root, `above` are the folders over it, where links are followed."""

    path: str
    below: str = ""
    depth: int = 1
    above: tuple[tuple[int, int], ...] = ()


def _walk(root: str, selection: Selection) -> Iterator[Candidate]:
    """Everything below a root. Not by recursion: folders may lie in folders more often than Python's calls."""
    entered = [_entries(_Folder(root), selection)]
    while entered:
        found = next(entered[-1], None)
        if found is None:
            entered.pop()
        elif isinstance(found, _Folder):
            entered.append(_entries(found, selection))
        else:
            yield found


def _entries(folder: _Folder, selection: Selection) -> Iterator[Candidate | _Folder]:
    """What is in one folder, in the order of its names' bytes."""
    above = folder.above
    try:
        if selection.follow:
            status = os.stat(folder.path)
            here = (status.st_dev, status.st_ino)
            if here in above:
                return
            above = (*above, here)
        with os.scandir(folder.path) as listing:
            # A hundred thousand entries of os.scandir take 27 MB, and their names 6 MB.
            found = sorted(_key(entry, selection) for entry in listing if _is_wanted(entry, folder, selection))
    except OSError as error:
        yield Candidate(folder.path, f"unreadable_folder:{trouble_of(error, folder.path, missing='vanished')}")
        return
    for key in found:
        name = os.fsdecode(key[:-2])
        path = os.path.join(folder.path, name)
        if key.endswith(_FOLDER):
            yield _Folder(path, _path_below(folder, name), folder.depth + 1, above)
        else:
            yield Candidate(path)


def _is_wanted(entry: os.DirEntry[str], folder: _Folder, selection: Selection) -> bool:
    """Whether what was found in a folder is to be entered, or is a candidate."""
    names = (_path_below(folder, entry.name), entry.path)
    if skips(entry.name, names, selection):
        return False
    if (entry.is_symlink() and not selection.follow) or _is_ours(entry, selection.ours):
        return False
    if _is_folder(entry, selection.follow):
        return selection.max_depth is None or folder.depth < selection.max_depth
    return takes(entry.name, names, selection)


def _key(entry: os.DirEntry[str], selection: Selection) -> bytes:
    """Name and kind, in the order of the names' bytes: no name holds a NUL, and none has a lower byte."""
    return os.fsencode(entry.name) + (_FOLDER if _is_folder(entry, selection.follow) else _FILE)


def _path_below(folder: _Folder, name: str) -> str:
    """Of something in a folder, under the root."""
    return f"{folder.below}/{name}" if folder.below else name


def _is_folder(entry: os.DirEntry[str], follow: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError:  # a link that leads in a circle
        return False


def _is_ours(entry: os.DirEntry[str], ours: frozenset[str]) -> bool:
    may_be = entry.is_symlink() or any(os.path.basename(path) == entry.name for path in ours)  # asking costs time
    return may_be and os.path.realpath(entry.path) in ours


def _matches(paths: Iterable[str], patterns: tuple[str, ...]) -> bool:
    return any(_match(path.replace(os.sep, "/").removeprefix("./"), pattern) for path in paths for pattern in patterns)


def _match(path: str, pattern: str) -> bool:
    whole = pattern.rstrip("/")
    anchored = whole.removeprefix("./").removeprefix("**/").removeprefix("/")
    if "/" not in whole:
        return fnmatchcase(path.rsplit("/", 1)[-1], anchored)
    return fnmatchcase(path, anchored) or fnmatchcase(path, whole)  # the whole may be absolute, or begin with **/


def _excluded_by_name(path: str, patterns: tuple[str, ...]) -> bool:
    """As if `path` had been met while walking from the folder we stand in: a pattern may match it or a folder above.

    Of a path elsewhere only the name and the whole count: what lies above it is not the user's tree.
    """
    parts = [] if is_url(path) else os.path.relpath(path or ".").split(os.sep)
    below = ["/".join(parts[: i + 1]) for i in range(len(parts))] if parts[:1] != [os.pardir] else []
    return _matches((path, *below), patterns)
