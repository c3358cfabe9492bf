"""Roots, lists and standard input -> candidate files, lazily, in a stable order, and each file once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace

from scanner.files.beneath import Place
from scanner.files.candidate import STDIN, Candidate, trouble_of
from scanner.files.first_bytes import looks_like_a_picture
from scanner.files.url import is_url
from scanner.reasons import Reason
from scanner.sources.folders import Walk, files_below
from scanner.sources.once import Once, Walked
from scanner.sources.passed_over import PassedOver
from scanner.sources.selection import Selection, excluded_by_name


def candidates(
    roots: Iterable[str | None],
    selection: Selection,
    named: bool = False,
    once: Once | None = None,
    passed: PassedOver | None = None,
) -> Iterator[Candidate | None]:
    """Every file to scan: folders are walked, files named explicitly are always taken.

    Args:
        roots: files, folders, URLs, standard input; None, which is passed on, if there is no other yet.
        selection: see there.
        named: whether the roots are those of the command line; a root that is a file is marked as `Candidate.named`
            then. Otherwise they come from a list: a file that was changed since it was given may be given again.
        once: what earlier calls gave, so that it is not given again.
        passed: counts what is not taken.
    """
    walk = Walk(selection, once or Once(selection), PassedOver() if passed is None else passed, from_list=not named)
    for root in roots:
        if root is None:
            yield None
            continue
        for found in _below(root, walk):
            walk.passed.candidates += 1
            if selection.shard is None or selection.shard.has(found.path):
                yield replace(found, named=True) if named and found.path == root else found


def _below(root: str, walk: Walk) -> Iterator[Candidate]:
    if walk.selection.force_exclude and excluded_by_name(root, walk.selection.exclude):
        walk.passed.add("excluded")
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
        yield Candidate(root, trouble_of(error, root, missing=Reason.NOT_FOUND))
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _walk(root, walk)
    elif walk.once.has_file(root, status, lambda: _looks_like_a_picture(root), walk.from_list):
        walk.passed.add("again")
    else:
        yield Candidate(root)


def _walk(root: str, walk: Walk) -> Iterator[Candidate]:
    walked = Walked.begin(root)
    covered_before, has_candidate = walk.covered, False
    for found in files_below(walked, walk):
        has_candidate = True
        yield found
    walk.once.add_root(walked)
    if not has_candidate and walk.covered == covered_before:
        walk.passed.add_root(root)


def _objects(root: str, walk: Walk) -> Iterator[Candidate]:
    """Objects of a URL. Whether one of a list has changed, nobody knows without a request: it is given again."""
    from scanner.sources.remote import objects

    walked = Walked.begin(root)
    has_candidate = False
    for found in objects(root, walk.selection, walk.passed):
        has_candidate = True
        if found.trouble:
            walk.once.add_unread(found.path.rstrip("/"))
        if not walk.from_list and walk.once.has_object(found.path, by_itself=found.path == root):
            walk.passed.add("again")
        else:
            yield replace(found, named=walk.once.is_named(None, found.path))
    if not walk.from_list:
        walk.once.add_root(walked)
    if not has_candidate:
        walk.passed.add_root(root)


def _looks_like_a_picture(path: str) -> bool:
    try:
        return looks_like_a_picture(Place(path, follow=True))
    except (OSError, ValueError):
        return False
