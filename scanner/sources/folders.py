"""Walks one root: yields the files that are candidates, folder by folder, in the order of their names' bytes.

Files with a picture's suffix are candidates unopened; of other files the first bytes are read. Skipped entries are
counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scanner.files.beneath import Folder, LinkError
from scanner.files.candidate import Candidate, failure_reason
from scanner.files.first_bytes import looks_like_a_picture
from scanner.reasons import Reason
from scanner.sources.once import Deduplicator, Identity, WalkedRoot, change_time_ns, identity
from scanner.sources.passed_over import PassedOver
from scanner.sources.selection import Selection, is_candidate, skip_reason


@dataclass(slots=True)
class Walk:
    """Holds what the walks of all roots share.

    Attributes:
        selection: which files are candidates.
        deduplicator: which files were already yielded.
        passed_over: counts skipped entries.
        from_list: whether the roots come from a list: a file that changed since it was yielded is then yielded again.
        already_counted: entries skipped because an earlier root yielded or counted them.
    """

    selection: Selection
    deduplicator: Deduplicator
    passed_over: PassedOver
    from_list: bool = False
    already_counted: int = 0


@dataclass(frozen=True, slots=True)
class _Subfolder:
    """Holds a folder that the walk will enter.

    Attributes:
        path: the path by which the walk reached it.
        real: its real path.
        below: its path relative to the root.
        depth: 1 for the root itself.
        beyond: whether a symbolic link leads to it.
    """

    path: str
    real: str
    below: str = ""
    depth: int = 1
    beyond: bool = False


# Kinds of entries, appended to the name as sort keys: no name contains a NUL or any lower byte.
_FOLDER, _FILE, _NAMED, _UNKNOWN = b"\0/", b"\0.", b"\0!", b"\0?"
_NOT_TAKEN = b""


def files_below(root: WalkedRoot, walk: Walk) -> Iterator[Candidate]:
    """Yield every candidate below a root. Not recursive: folders can be nested deeper than Python's stack allows.

    Args:
        root: a folder.
        walk: what the walks of all roots share.
    """
    entered: dict[Identity, int] = {}
    listings = [_Listing(_Subfolder(root.path, root.real), root, walk, entered).entries()]
    while listings:
        entry = next(listings[-1], None)
        if entry is None:
            listings.pop()
        elif isinstance(entry, _Subfolder):
            listings.append(_Listing(entry, root, walk, entered).entries())
        else:
            yield entry


class _Listing:
    """Lists one folder.

    Args:
        subfolder: the folder.
        root: the root below which it lies.
        walk: what the walks of all roots share.
        entered: folders that were entered from this root, and their depths; used only where links are followed.
    """

    def __init__(self, subfolder: _Subfolder, root: WalkedRoot, walk: Walk, entered: dict[Identity, int]) -> None:
        self._subfolder = subfolder
        self._root = root
        self._walk = walk
        self._entered = entered
        self._follow = walk.selection.follow
        self._earlier = walk.deduplicator.roots_covering(subfolder.real)
        self._identity: Identity = (0, 0)
        self._prefix = os.path.join(subfolder.path, "")
        self._folder = Folder(subfolder.path, "" if self._follow else root.path)

    def entries(self) -> Iterator[Candidate | _Subfolder]:
        """Yield candidates, and folders to enter, in the order of their names' bytes."""
        with self._folder:
            try:
                keys = self._keys()
            except (OSError, ValueError) as error:
                self._walk.deduplicator.add_unlisted_folder(self._subfolder.real)
                yield self._candidate(self._subfolder.path, _folder_failure(error, self._subfolder.path))
                return
            for key in keys:
                name, kind = os.fsdecode(key[:-2]), key[-2:]
                if kind == _FOLDER:
                    self._folder.close()  # or all folders above a file would stay open
                    yield self._enter(name)
                elif candidate := self._file(name, kind):
                    yield candidate

    def _keys(self) -> list[bytes]:
        """Return names and kinds of the entries that are not skipped, sorted."""
        self._identity = identity(self._folder.status())
        if self._follow:
            if self._entered.get(self._identity, self._subfolder.depth + 1) <= self._subfolder.depth:
                self._skip("again")
                return []
            self._entered[self._identity] = self._subfolder.depth
        with self._folder.scan() as listing:
            # Keeps names, not entries: 100,000 entries of os.scandir take 27 MB, their names 6 MB.
            return sorted(os.fsencode(entry.name) + kind for entry in listing if (kind := self._kind(entry)))

    def _kind(self, entry: os.DirEntry[str]) -> bytes:
        """Return the kind of an entry, or count it as skipped."""
        name, paths = entry.name, (self._path_below_root(entry.name), self._path(entry.name))
        is_named = self._walk.deduplicator.is_named(self._identity, name)
        is_link = entry.is_symlink()
        why = skip_reason(name, paths, self._walk.selection) or ("links" if is_link and not self._follow else "")
        if why or self._is_own_output(name, is_link):
            # A file that the command line names is yielded when its turn comes, and is not counted here.
            return _NOT_TAKEN if is_named else self._skip(why or "ours")
        if _entry_is(entry.is_dir, self._follow):
            return self._folder_kind(name, is_link)
        return _NAMED if is_named else self._file_kind(entry, paths)

    def _folder_kind(self, name: str, is_link: bool) -> bytes:
        """Return the kind of a folder: to be entered, or skipped for its depth or because the walk reaches it without a
        link.
        """
        limit = self._walk.selection.max_depth
        if limit is not None and self._subfolder.depth >= limit:
            return self._skip("too_deep")
        if is_link or self._subfolder.beyond:
            real = self._real_path(name, is_link)
            if self._root.holds(real) and self._walk.deduplicator.covers_folder(self._root, real):
                return self._skip("again")
        return _FOLDER

    def _file_kind(self, entry: os.DirEntry[str], paths: tuple[str, str]) -> bytes:
        """Return the kind of a file: taken by its name, skipped by its name, or undecided until its first bytes are
        read.
        """
        taken = is_candidate(entry.name, paths, self._walk.selection)
        if taken:
            return _FILE
        if self._walk.selection.include:
            return self._skip("not_included")
        if not _entry_is(entry.is_file, self._follow):
            return self._skip("links" if entry.is_symlink() else "not_files")
        return _UNKNOWN if taken is None else self._skip("no_picture_suffix")

    def _file(self, name: str, kind: bytes) -> Candidate | None:
        """Return the candidate of a file; None if it is no picture, or was already yielded."""
        path = self._path(name)
        try:
            if kind == _UNKNOWN and not self._looks_like_a_picture(name):
                self._skip("no_picture")
                return None
            if self._is_duplicate_link(path, name) if self._is_link(path) else self._is_duplicate(name):
                self._walk.already_counted += 1
                return None
        except FileNotFoundError:
            if kind == _UNKNOWN:
                self._skip("vanished")
                return None
        except (OSError, ValueError) as error:  # it may be a picture, so it gets a row
            return self._candidate(path, failure_reason(error, path, missing=Reason.VANISHED))
        return self._candidate(path, named=kind == _NAMED)

    def _looks_like_a_picture(self, name: str) -> bool:
        return looks_like_a_picture(self._folder.place(name))

    def _is_duplicate(self, name: str) -> bool:
        """Return whether an earlier root yielded this file, or the file was recorded."""
        deduplicator = self._walk.deduplicator
        if not (self._earlier or self._subfolder.beyond or deduplicator.has_records_in(self._identity)):
            return False
        status = self._folder.place(name).status()
        for root in self._earlier:
            is_new = self._walk.from_list and change_time_ns(status) >= root.began
            if not is_new and deduplicator.yielded(root, self._real_path(name), looks=lambda: True):
                return True
        if self._subfolder.beyond:
            return not deduplicator.record(self._identity, name, status)
        return deduplicator.is_recorded(self._identity, name, status)

    def _is_duplicate_link(self, path: str, name: str) -> bool:
        """Return whether the target of a link was yielded, or will be when the walk reaches it without the link."""
        deduplicator, status = self._walk.deduplicator, os.stat(path)
        real = os.path.realpath(path)
        folder = os.path.dirname(real)
        roots = deduplicator.roots_covering(folder)
        if self._root.holds(real) and deduplicator.covers_folder(self._root, folder):
            roots.append(self._root)
        is_duplicate = any(deduplicator.yielded(root, real, lambda: self._looks_like_a_picture(name)) for root in roots)
        is_duplicate = is_duplicate or not deduplicator.record(
            identity(os.stat(folder)), os.path.basename(real), status
        )
        if is_duplicate:
            self._skip("again")
        return is_duplicate

    def _is_link(self, path: str) -> bool:
        return self._follow and os.path.islink(path)

    def _skip(self, kind: str) -> bytes:
        """Count a skipped entry, unless an earlier root has counted it."""
        if self._earlier:
            self._walk.already_counted += 1
        else:
            self._walk.passed_over.add(kind)
        return _NOT_TAKEN

    def _candidate(self, path: str, trouble: str = "", named: bool = False) -> Candidate:
        return Candidate(path, trouble, named=named, root="" if self._follow else self._root.path)

    def _enter(self, name: str) -> _Subfolder:
        outer, path = self._subfolder, self._path(name)
        is_link = self._is_link(path)
        real = self._real_path(name, is_link)
        return _Subfolder(path, real, self._path_below_root(name), outer.depth + 1, outer.beyond or is_link)

    def _is_own_output(self, name: str, is_link: bool) -> bool:
        own_outputs = self._walk.selection.own_outputs
        return bool(own_outputs) and self._real_path(name, is_link) in own_outputs

    def _path(self, name: str) -> str:
        return self._prefix + name

    def _path_below_root(self, name: str) -> str:
        return f"{self._subfolder.below}/{name}" if self._subfolder.below else name

    def _real_path(self, name: str, is_link: bool = False) -> str:
        return os.path.realpath(self._path(name)) if is_link else os.path.join(self._subfolder.real, name)


def _folder_failure(error: Exception, path: str) -> str:
    """Return the reason why a folder cannot be listed."""
    trouble = failure_reason(error, path, missing=Reason.VANISHED)
    return trouble if isinstance(error, LinkError) else f"{Reason.UNREADABLE_FOLDER}:{trouble}"


def _entry_is(ask: Callable[..., bool], follow: bool) -> bool:
    """Call a method of `os.DirEntry`, such as `is_dir`; return False for links that lead in a circle, where it
    fails.
    """
    try:
        return ask(follow_symlinks=follow)
    except OSError:
        return False
