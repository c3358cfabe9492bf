"""A list of files, as other programs write it -> names, as they come."""

from __future__ import annotations

import codecs
import os
import select
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from scanner.errors import FacescanError
from scanner.files.candidate import STDIN

# Seconds without a new name after which those who read a list are told so.
QUIET = 0.1
# Bytes. No system opens a longer path (Linux: 4,096; Windows: 32,767 characters), and no store has longer names.
LONGEST_NAME = 32_768
# What Windows writes at the beginning of a text file, and how the text is encoded then.
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

_Blocks = Iterator[bytes | None]


def read_list(stream: BinaryIO, null_separated: bool, name: str = "list") -> Iterator[str | None]:
    """Paths from a list, as they come; empty entries are skipped.

    While none comes there is a None now and then: who writes the list may wait for what becomes of its last name. Not
    on Windows, where nobody can ask a pipe.

    Args:
        stream: the list. It may have a byte order mark: of UTF-8, or of UTF-16 as PowerShell writes it.
        null_separated: names end with a NUL byte, and are taken as they are; else they are one a line.
        name: of the list, for messages.

    Yields:
        Names; those that are longer than `LONGEST_NAME` are cut, and no system will open them.

    Raises:
        FacescanError: names end with NUL bytes and should not, or the text is broken.
    """
    separator = b"\0" if null_separated else b"\n"
    blocks = _blocks(stream)
    rest = b""
    for block in blocks if null_separated else _as_utf8(blocks, name):
        if block is None:
            yield None
            continue
        if not null_separated and b"\0" in block:
            raise FacescanError(f"--files-from {name}: holds NUL bytes: use -0, or save it as UTF-8")
        *ended, last = block.split(separator)
        for end in ended:
            yield from _names(rest + end, null_separated)
            rest = b""
        rest += last[: LONGEST_NAME - len(rest)]
    yield from _names(rest, null_separated)


def _blocks(stream: BinaryIO) -> _Blocks:
    while True:
        while not _has_more(stream):
            yield None
        # All that the stream has read ahead, so that nothing is left where `_has_more` cannot see it.
        block = stream.read1(65536) if hasattr(stream, "read1") else stream.read(65536)
        if not block:
            return
        yield block


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


def _as_utf8(blocks: _Blocks, name: str) -> _Blocks:
    """The text without its byte order mark. What has none is taken as it is."""
    start = b""
    for block in blocks:
        start += block or b""
        if start and not any(mark.startswith(start) and mark != start for mark in _MARKS):
            break
        if block is None:
            yield None
    mark = next((mark for mark in _MARKS if start.startswith(mark)), b"")
    start = start.removeprefix(mark)
    if _MARKS.get(mark, "utf-8") == "utf-8":
        yield start
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(_MARKS[mark])("surrogatepass")
    try:
        for block in chain([start], blocks):
            yield None if block is None else decoder.decode(block).encode("utf-8", "surrogatepass")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise FacescanError(f"--files-from {name}: its UTF-16 is broken: save it as UTF-8") from error


def _names(entry: bytes, null_separated: bool) -> Iterator[str]:
    name = os.fsdecode((entry if null_separated else entry.removesuffix(b"\r"))[:LONGEST_NAME])
    if name:
        yield name if name != STDIN else f"./{name}"  # a list names files; standard input may be the list itself
