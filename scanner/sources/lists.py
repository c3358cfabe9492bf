"""Reads a list of files that another program writes, and yields each name as soon as it arrives."""

from __future__ import annotations

import codecs
import os
import select
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from scanner.errors import FacescanError
from scanner.files.candidate import STDIN
from scanner.system.wakeup import Wakeup

# Seconds without a new name after which `read_list` yields None.
POLL_INTERVAL_S = 0.1
# Bytes. No system opens a longer path (Linux: 4,096; Windows: 32,767 characters), and no store has longer names.
MAX_NAME_BYTES = 32_768
# Byte order marks that Windows writes at the beginning of a text file -> encoding of the text.
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

_Blocks = Iterator[bytes | None]


def read_list(
    stream: BinaryIO, null_separated: bool, name: str = "list", wakeup: Wakeup | None = None
) -> Iterator[str | None]:
    """Yield the paths in a list as they arrive; empty entries are skipped.

    Yields a None now and then while no name arrives, because the writer of the list may be waiting for the row of the
    last name. Not on Windows, where a pipe cannot be polled.

    Args:
        stream: the list. It may begin with a byte order mark of UTF-8, or of UTF-16 as PowerShell writes it.
        null_separated: whether names end with a NUL byte, and are used unchanged; else there is one a line.
        name: of the list, for messages.
        wakeup: its descriptors end a wait for the next name, too: there is a None as soon as one can be read.

    Yields:
        Names. Those longer than `MAX_NAME_BYTES` are cut, and no system will open them.

    Raises:
        FacescanError: names end with NUL bytes but should not, or the text is not valid.
    """
    separator = b"\0" if null_separated else b"\n"
    blocks = _blocks(stream, wakeup or Wakeup())
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
        rest += last[: MAX_NAME_BYTES - len(rest)]
    yield from _names(rest, null_separated)


def _blocks(stream: BinaryIO, wakeup: Wakeup) -> _Blocks:
    """Yield the bytes of a stream in blocks, and None when it is silent for `POLL_INTERVAL_S` or until a wakeup."""
    while True:
        while not _has_more(stream, wakeup):
            yield None
        # read1 returns everything buffered, so that nothing is left where `_has_more` cannot see it.
        block = stream.read1(65536) if hasattr(stream, "read1") else stream.read(65536)
        if not block:
            return
        yield block


def _has_more(stream: BinaryIO, wakeup: Wakeup) -> bool:
    """Wait up to `POLL_INTERVAL_S`, or until a wakeup; return whether the stream can be read, or has ended."""
    if not hasattr(select, "poll"):
        return True
    try:
        file = stream.fileno()
    except OSError:  # bytes in memory
        return True
    poll = select.poll()
    poll.register(file, select.POLLIN)
    for descriptor in wakeup.descriptors():
        poll.register(descriptor, select.POLLIN)
    return any(ready == file for ready, _ in poll.poll(1000 * POLL_INTERVAL_S))


def _as_utf8(blocks: _Blocks, name: str) -> _Blocks:
    """Yield the text without its byte order mark, recoded as UTF-8. Text without such a mark is not changed."""
    start = b""
    for block in blocks:
        start += block or b""
        if start and not any(mark.startswith(start) and mark != start for mark in _BYTE_ORDER_MARKS):
            break
        if block is None:
            yield None
    mark = next((mark for mark in _BYTE_ORDER_MARKS if start.startswith(mark)), b"")
    start = start.removeprefix(mark)
    if _BYTE_ORDER_MARKS.get(mark, "utf-8") == "utf-8":
        yield start
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(_BYTE_ORDER_MARKS[mark])("surrogatepass")
    try:
        for block in chain([start], blocks):
            yield None if block is None else decoder.decode(block).encode("utf-8", "surrogatepass")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise FacescanError(f"--files-from {name}: its UTF-16 is broken: save it as UTF-8") from error


def _names(entry: bytes, null_separated: bool) -> Iterator[str]:
    """Yield the name of one entry of the list, unless it is empty."""
    name = os.fsdecode((entry if null_separated else entry.removesuffix(b"\r"))[:MAX_NAME_BYTES])
    if name:
        yield name if name != STDIN else f"./{name}"  # "-" in a list is a file: standard input may be the list itself
