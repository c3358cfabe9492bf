"""The smallest input that still does the same, each tried in a process of its own, since it may not survive."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import time

from scanner.imaging.inspection.header import read_header

SECONDS = 30  # of trying, for one input
HANG = 20  # seconds: what takes longer is called that
MEMORY = 4 * 2**30  # of address space: what wants more, gets none


def outcome(target: str, data: bytes) -> str:
    """What a target's check says of an input, or how it dies of it; empty if nothing is wrong.

    The words before the colon name the kind of the finding.
    """
    check = importlib.import_module(f"tests.fuzz.{target}").check  # before the fork, so that it is only done once
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            signal.alarm(HANG)
            os.write(write_end, check(data).encode()[:1000])
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    form = read_header(data).format or "unknown"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"{form} hang" if number == signal.SIGALRM else f"{form} {signal.Signals(number).name}"
    return f"{form} {said}" if said else ""


def minimise(target: str, data: bytes, seconds: float = SECONDS) -> bytes:
    """The input with everything cut out and zeroed that its outcome can do without."""
    kind = outcome(target, data).partition(":")[0]
    end = time.monotonic() + (seconds if kind else 0)
    for replacement in (b"", b"\x00"):
        length = max(1, len(data) // 2)
        while length and time.monotonic() < end:
            at = 0
            while at < len(data) and time.monotonic() < end:
                put = replacement * min(length, len(data) - at)
                shorter = data[:at] + put + data[at + length :]
                if shorter != data and outcome(target, shorter).partition(":")[0] == kind:
                    data = shorter
                    at += len(put)
                else:
                    at += length
            length //= 2
    return data
