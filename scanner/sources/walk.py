"""Yields candidate files from roots, lists and standard input: lazily, in a stable order, each file once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace

from scanner.files.beneath import Place
from scanner.files.candidate import STDIN, Candidate, failure_reason
from scanner.files.first_bytes import looks_like_a_picture
from scanner.files.url import is_url
from scanner.reasons import Reason
from scanner.sources.folders import Walk, files_below
from scanner.sources.once import Deduplicator, WalkedRoot
from scanner.sources.passed_over import PassedOver
from scanner.sources.selection import Selection, excluded_by_name


def candidates(
    roots: Iterable[str | None],
    selection: Selection,
    named: bool = False,
    deduplicator: Deduplicator | None = None,
    passed_over: PassedOver | None = None,
) -> Iterator[Candidate | None]:
    """Yield every file to scan: folders are walked, files named explicitly are always taken.

    Args:
        roots: files, folders, URLs or standard input. A None is passed on: it says that there is no other root yet.
        selection: which files in folders are candidates.
        named: whether the roots are those of the command line; a root that is a file gets `Candidate.named` then.
            Otherwise they come from a list, where a file that changed since it was yielded may be yielded again.
        deduplicator: knows what earlier calls yielded, so that it is not yielded again.
        passed_over: counts skipped files.
    """
    walk = Walk(
        selection,
        deduplicator or Deduplicator(selection),
        PassedOver() if passed_over is None else passed_over,
        from_list=not named,
    )
    for root in roots:
        if root is None:
            yield None
            continue
        for found in _below(root, walk):
            walk.passed_over.candidates += 1
            if selection.shard is None or selection.shard.has(found.path):
                yield replace(found, named=True) if named and found.path == root else found


def _below(root: str, walk: Walk) -> Iterator[Candidate]:
    """Yield the candidates of one root, whatever it is."""
    if walk.selection.force_exclude and excluded_by_name(root, walk.selection.exclude):
        walk.passed_over.add("excluded")
        return
    if root == STDIN:
        yield Candidate(root)
        return
    if is_url(root):
        yield from _objects(root, walk)
        return
    try:
        status = os.stat(root)
    except (OSError, ValueError) as error:
        yield Candidate(root, failure_reason(error, root, missing=Reason.NOT_FOUND))
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _walk(root, walk)
    elif walk.deduplicator.is_duplicate(root, status, lambda: _looks_like_a_picture(root), walk.from_list):
        walk.passed_over.add("again")
    else:
        yield Candidate(root)


def _walk(root: str, walk: Walk) -> Iterator[Candidate]:
    """Yield the candidates of a folder; remember the folder if it has none."""
    walked = WalkedRoot.begin(root)
    covered_before, has_candidate = walk.already_counted, False
    for found in files_below(walked, walk):
        has_candidate = True
        yield found
    walk.deduplicator.add_root(walked)
    if not has_candidate and walk.already_counted == covered_before:
        walk.passed_over.add_root(root)


def _objects(root: str, walk: Walk) -> Iterator[Candidate]:
    """Yield the objects below a URL. One from a list is always yielded: only a request could tell whether it
    changed.
    """
    from scanner.sources.remote import objects

    walked = WalkedRoot.begin(root)
    has_candidate = False
    for found in objects(root, walk.selection, walk.passed_over):
        has_candidate = True
        if found.trouble:
            walk.deduplicator.add_unlisted_folder(found.path.rstrip("/"))
        if not walk.from_list and walk.deduplicator.is_duplicate_object(found.path, by_itself=found.path == root):
            walk.passed_over.add("again")
        else:
            yield replace(found, named=walk.deduplicator.is_named(None, found.path))
    if not walk.from_list:
        walk.deduplicator.add_root(walked)
    if not has_candidate:
        walk.passed_over.add_root(root)


def _looks_like_a_picture(path: str) -> bool:
    """Return whether the first bytes of a file are a picture's; False if it cannot be read."""
    try:
        return looks_like_a_picture(Place(path, follow=True))
    except (OSError, ValueError):
        return False
