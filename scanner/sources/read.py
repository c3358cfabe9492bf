"""A candidate -> its bytes, or the reason why not. Of local files only regular ones are ever opened."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from typing import BinaryIO

from scanner.files.beneath import place_of
from scanner.files.candidate import Candidate, trouble_of
from scanner.files.url import is_url
from scanner.reasons import Reason
from scanner.settings import MAX_BYTES

_KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
# A FIFO that takes the file's place between our look and our opening must not block us.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# Bytes that are asked for at once where nobody says how many there are.
_BLOCK = 2**20


def read(candidate: Candidate, max_bytes: int = MAX_BYTES) -> tuple[bytes | None, int | None, str]:
    """The content of a candidate file.

    Returns:
        (content, size in bytes, ""), or (None, size if it is known, reason).
    """
    candidate = fetched(candidate, max_bytes)
    if candidate.trouble:
        return None, candidate.size, candidate.trouble
    if candidate.content is not None:
        return candidate.content, len(candidate.content), ""
    try:
        with place_of(candidate.path, candidate.root) as place:
            if reason := _not_a_file(place.status()):
                return None, None, reason
            descriptor = place.open(_FLAGS)
        with open(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if reason := _not_a_file(status):
                return None, None, reason
            if status.st_size > max_bytes:
                return None, status.st_size, f"{Reason.TOO_MANY_BYTES}:{status.st_size}"
            content = _up_to(max_bytes, file, status.st_size)
    except (OSError, ValueError) as error:
        return None, None, trouble_of(error, candidate.path, missing=Reason.VANISHED)
    if content is None:
        return None, None, f"{Reason.TOO_MANY_BYTES}:over_{max_bytes}"
    return content, len(content), ""


def read_stdin(candidate: Candidate, max_bytes: int = MAX_BYTES) -> Candidate:
    """Standard input with its content, or the trouble with it: other processes than ours cannot read it."""
    try:
        content = _up_to(max_bytes, sys.stdin.buffer)
    except OSError as error:
        return replace(candidate, trouble=trouble_of(error, candidate.path, missing=Reason.VANISHED))
    if content is None:
        return replace(candidate, trouble=f"{Reason.TOO_MANY_BYTES}:over_{max_bytes}")
    return replace(candidate, content=content)


def fetched(candidate: Candidate, max_bytes: int) -> Candidate:
    """A URL with its content, or the trouble with it; any other candidate as it is."""
    if not is_url(candidate.path):
        return candidate
    from scanner.sources.remote import fetch

    return fetch(candidate, max_bytes)


def _up_to(max_bytes: int, stream: BinaryIO, size: int = 0) -> bytes | None:
    """All there is, or None if that is more: a file may grow under us. Reading takes the memory that it asks for."""
    blocks, left, asked = [], max_bytes + 1, size + 1
    while left and (block := stream.read(min(asked, left))):
        blocks.append(block)
        left -= len(block)
        asked = _BLOCK
    return b"".join(blocks) if left else None


def _not_a_file(status: os.stat_result) -> str:
    kind = stat.S_IFMT(status.st_mode)
    return "" if kind == stat.S_IFREG else f"{Reason.NOT_A_FILE}:{_KINDS.get(kind, 'unknown')}"
