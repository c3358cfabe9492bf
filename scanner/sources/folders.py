"""The walk of one root: which files in which folders, in the order of their names' bytes.

Files with a picture's suffix are candidates unopened; of others the first bytes are read. What is not taken is counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scanner.files.beneath import Folder, LinkError
from scanner.files.candidate import Candidate, trouble_of
from scanner.files.first_bytes import looks_like_a_picture
from scanner.reasons import Reason
from scanner.sources.once import Identity, Once, Walked, changed, identity_of
from scanner.sources.passed_over import PassedOver
from scanner.sources.selection import Selection, skips, takes


@dataclass(slots=True)
class Walk:
    """What all roots of a scan have in common.

    Attributes:
        selection: the rules.
        once: which files were given already.
        passed: counts what is not taken.
        from_list: whether the roots come from a list: a file that was changed since it was given is given again.
        covered: entries that are not taken because an earlier root gave or counted them.
    """

    selection: Selection
    once: Once
    passed: PassedOver
    from_list: bool = False
    covered: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """A folder that is to be entered.

    Attributes:
        path: as walked.
        real: its real path.
        below: its path under the root.
        depth: 1 is the root's.
        beyond: whether it lies behind a symbolic link.
    """

    path: str
    real: str
    below: str = ""
    depth: int = 1
    beyond: bool = False


# What an entry is, behind its name: no name holds a NUL, and no name has a lower byte.
_FOLDER, _FILE, _NAMED, _UNKNOWN = b"\0/", b"\0.", b"\0!", b"\0?"
_NOT_TAKEN = b""


def files_below(root: Walked, walk: Walk) -> Iterator[Candidate]:
    """Every candidate below a root. Not by recursion: folders may lie in folders more often than Python's calls.

    Args:
        root: a folder.
        walk: what the walks of all roots share.
    """
    entered: dict[Identity, int] = {}
    listings = [_Listing(_Found(root.path, root.real), root, walk, entered).entries()]
    while listings:
        found = next(listings[-1], None)
        if found is None:
            listings.pop()
        elif isinstance(found, _Found):
            listings.append(_Listing(found, root, walk, entered).entries())
        else:
            yield found


class _Listing:
    """The entries of one folder.

    Args:
        found: the folder.
        root: the one below which it lies.
        walk: what the walks of all roots share.
        entered: folders that were entered from this root, and how deep they lay; only where links are followed.
    """

    def __init__(self, found: _Found, root: Walked, walk: Walk, entered: dict[Identity, int]) -> None:
        self._found = found
        self._root = root
        self._walk = walk
        self._entered = entered
        self._follow = walk.selection.follow
        self._earlier = walk.once.earlier(found.real)
        self._identity: Identity = (0, 0)
        self._prefix = os.path.join(found.path, "")
        self._folder = Folder(found.path, "" if self._follow else root.path)

    def entries(self) -> Iterator[Candidate | _Found]:
        """Candidates, and folders to enter, in the order of their names' bytes."""
        with self._folder:
            try:
                keys = self._keys()
            except (OSError, ValueError) as error:
                self._walk.once.add_unread(self._found.real)
                yield self._candidate(self._found.path, _folder_trouble(error, self._found.path))
                return
            for key in keys:
                name, kind = os.fsdecode(key[:-2]), key[-2:]
                if kind == _FOLDER:
                    self._folder.close()  # else all folders above a file would be open
                    yield self._enter(name)
                elif candidate := self._file(name, kind):
                    yield candidate

    def _keys(self) -> list[bytes]:
        """Names and kinds of what is taken, in order."""
        self._identity = identity_of(self._folder.status())
        if self._follow:
            if self._entered.get(self._identity, self._found.depth + 1) <= self._found.depth:
                self._pass_over("again")
                return []
            self._entered[self._identity] = self._found.depth
        with self._folder.scan() as listing:
            # A hundred thousand entries of os.scandir take 27 MB, and their names 6 MB.
            return sorted(os.fsencode(entry.name) + kind for entry in listing if (kind := self._kind(entry)))

    def _kind(self, entry: os.DirEntry[str]) -> bytes:
        """What an entry is. What is not taken is counted."""
        name, paths = entry.name, (self._below(entry.name), self._path(entry.name))
        is_named = self._walk.once.is_named(self._identity, name)
        is_link = entry.is_symlink()
        why = skips(name, paths, self._walk.selection) or ("links" if is_link and not self._follow else "")
        if why or self._is_ours(name, is_link):
            return _NOT_TAKEN if is_named else self._pass_over(why or "ours")  # what is named has its own turn
        if _is(entry.is_dir, self._follow):
            return self._folder_kind(name, is_link)
        return _NAMED if is_named else self._file_kind(entry, paths)

    def _folder_kind(self, name: str, is_link: bool) -> bytes:
        limit = self._walk.selection.max_depth
        if limit is not None and self._found.depth >= limit:
            return self._pass_over("too_deep")
        if is_link or self._found.beyond:
            real = self._real(name, is_link)
            if self._root.holds(real) and self._walk.once.enters(self._root, real):  # without the link
                return self._pass_over("again")
        return _FOLDER

    def _file_kind(self, entry: os.DirEntry[str], paths: tuple[str, str]) -> bytes:
        taken = takes(entry.name, paths, self._walk.selection)
        if taken:
            return _FILE
        if self._walk.selection.include:
            return self._pass_over("not_included")
        if not _is(entry.is_file, self._follow):
            return self._pass_over("links" if entry.is_symlink() else "not_files")
        return _UNKNOWN if taken is None else self._pass_over("no_picture_suffix")

    def _file(self, name: str, kind: bytes) -> Candidate | None:
        """A file that is taken, unless its first bytes are no picture's or it was given before."""
        path = self._path(name)
        try:
            if kind == _UNKNOWN and not self._looks(name):
                self._pass_over("no_picture")
                return None
            if self._was_given_through(path, name) if self._is_link(path) else self._was_given(name):
                self._walk.covered += 1
                return None
        except FileNotFoundError:
            if kind == _UNKNOWN:
                self._pass_over("vanished")
                return None
        except (OSError, ValueError) as error:  # it may be a picture
            return self._candidate(path, trouble_of(error, path, missing=Reason.VANISHED))
        return self._candidate(path, named=kind == _NAMED)

    def _looks(self, name: str) -> bool:
        return looks_like_a_picture(self._folder.place(name))

    def _was_given(self, name: str) -> bool:
        """Whether an earlier root came to this file, or it was named before."""
        once = self._walk.once
        if not (self._earlier or self._found.beyond or once.knows(self._identity)):
            return False
        status = self._folder.place(name).status()
        for root in self._earlier:
            is_new = self._walk.from_list and changed(status) >= root.began
            if not is_new and once.gave(root, self._real(name), looks=lambda: True):
                return True
        if self._found.beyond:
            return not once.remember(self._identity, name, status)
        return once.remembers(self._identity, name, status)

    def _was_given_through(self, path: str, name: str) -> bool:
        """Whether the file that a link leads to was given, or will be when the walk comes to it without the link."""
        once, status = self._walk.once, os.stat(path)
        real = os.path.realpath(path)
        folder = os.path.dirname(real)
        roots = once.earlier(folder)
        if self._root.holds(real) and once.enters(self._root, folder):
            roots.append(self._root)
        given = any(once.gave(root, real, lambda: self._looks(name)) for root in roots)
        given = given or not once.remember(identity_of(os.stat(folder)), os.path.basename(real), status)
        if given:
            self._pass_over("again")
        return given

    def _is_link(self, path: str) -> bool:
        return self._follow and os.path.islink(path)

    def _pass_over(self, kind: str) -> bytes:
        """Count an entry that is not taken, unless an earlier root has counted it."""
        if self._earlier:
            self._walk.covered += 1
        else:
            self._walk.passed.add(kind)
        return _NOT_TAKEN

    def _candidate(self, path: str, trouble: str = "", named: bool = False) -> Candidate:
        return Candidate(path, trouble, named=named, root="" if self._follow else self._root.path)

    def _enter(self, name: str) -> _Found:
        found, path = self._found, self._path(name)
        is_link = self._is_link(path)
        real = self._real(name, is_link)
        return _Found(path, real, self._below(name), found.depth + 1, found.beyond or is_link)

    def _is_ours(self, name: str, is_link: bool) -> bool:
        ours = self._walk.selection.ours
        return bool(ours) and self._real(name, is_link) in ours

    def _path(self, name: str) -> str:
        return self._prefix + name

    def _below(self, name: str) -> str:
        return f"{self._found.below}/{name}" if self._found.below else name

    def _real(self, name: str, is_link: bool = False) -> str:
        return os.path.realpath(self._path(name)) if is_link else os.path.join(self._found.real, name)


def _folder_trouble(error: Exception, path: str) -> str:
    trouble = trouble_of(error, path, missing=Reason.VANISHED)
    return trouble if isinstance(error, LinkError) else f"{Reason.UNREADABLE_FOLDER}:{trouble}"


def _is(ask: Callable[..., bool], follow: bool) -> bool:
    """`ask` of an entry. A link that leads in a circle cannot be asked."""
    try:
        return ask(follow_symlinks=follow)
    except OSError:
        return False
