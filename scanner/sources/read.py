"""Reads a candidate: returns its bytes, or the reason why it cannot be read. Opens only regular files and URLs."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from typing import BinaryIO

from scanner.files.beneath import place_of
from scanner.files.candidate import Candidate, failure_reason
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
# O_NONBLOCK: a FIFO may take the file's place between the check and the opening, and must not block us.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# Bytes of one request where the size is not known.
_BLOCK = 2**20


def read(candidate: Candidate, max_bytes: int = MAX_BYTES) -> tuple[bytes | None, int | None, str]:
    """Read the content of a candidate.

    Returns:
        (content, size in bytes, ""); or (None, size if it is known, reason).
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
            content = _read_at_most(max_bytes, file, status.st_size)
    except (OSError, ValueError) as error:
        return None, None, failure_reason(error, candidate.path, missing=Reason.VANISHED)
    if content is None:
        return None, None, f"{Reason.TOO_MANY_BYTES}:over_{max_bytes}"
    return content, len(content), ""


def read_stdin(candidate: Candidate, max_bytes: int = MAX_BYTES) -> Candidate:
    """Return standard input with its content or a reason. Must run in the main process: workers do not have the
    stream.
    """
    try:
        content = _read_at_most(max_bytes, sys.stdin.buffer)
    except OSError as error:
        return replace(candidate, trouble=failure_reason(error, candidate.path, missing=Reason.VANISHED))
    if content is None:
        return replace(candidate, trouble=f"{Reason.TOO_MANY_BYTES}:over_{max_bytes}")
    return replace(candidate, content=content)


def fetched(candidate: Candidate, max_bytes: int) -> Candidate:
    """Return the candidate of a URL with its content or a reason; any other candidate unchanged."""
    if not is_url(candidate.path):
        return candidate
    from scanner.sources.remote import fetch

    return fetch(candidate, max_bytes)


def _read_at_most(max_bytes: int, stream: BinaryIO, size: int = 0) -> bytes | None:
    """Read a stream to its end; return None if it has more than `max_bytes`, as a file that grows meanwhile may.

    Args:
        max_bytes: limit.
        stream: to read. Reading allocates as many bytes as it asks for, so the first request is for `size`.
        size: expected number of bytes.
    """
    blocks, left, asked = [], max_bytes + 1, size + 1
    while left and (block := stream.read(min(asked, left))):
        blocks.append(block)
        left -= len(block)
        asked = _BLOCK
    return b"".join(blocks) if left else None


def _not_a_file(status: os.stat_result) -> str:
    """Return the reason why this is not a regular file; empty if it is one."""
    kind = stat.S_IFMT(status.st_mode)
    return "" if kind == stat.S_IFREG else f"{Reason.NOT_A_FILE}:{_KINDS.get(kind, 'unknown')}"
