"""Starts and ends child processes, and prepares them: they close inherited files and limit their memory."""

from __future__ import annotations

import ctypes
import faulthandler
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from scanner.system.interrupts import ending_signals, later

# A forked process is ready in 10 ms and shares the models' memory. macOS' own libraries do not survive a fork.
CONTEXT: BaseContext = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
_PR_SET_PDEATHSIG = 1
# Seconds that a process may take to end before it is killed, and then to die before it is abandoned.
_PATIENCE = 5
# File numbers that are tried one by one where the system does not list those that are open.
_NUMBERS = 65_536
# Bytes that a process is assumed to hold beyond its resident memory where the system does not say.
_NOT_RESIDENT = 2**30


def start_process(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a process that dies with this one.

    Raises:
        OSError: the system allows no more processes or open files.
    """
    process: BaseProcess = CONTEXT.Process(target=target, args=arguments, daemon=True)  # type: ignore[attr-defined]
    with later():
        process.start()
    return process


def end_process(process: BaseProcess) -> None:
    """Wait for a process to end, then kill it. One that hangs in the kernel cannot be killed, and is abandoned."""
    process.join(_PATIENCE)
    if process.is_alive():
        process.kill()
        process.join(_PATIENCE)


def settle_down(keep: set[int], parent: int, max_memory: int | None = None) -> None:
    """Prepare a child process: close inherited files, silence it, leave signals to the parent, and end with the parent.

    Args:
        keep: numbers of the files that stay open besides the standard streams.
        parent: process ID of the parent, to notice that it has ended already.
        max_memory: bytes that the process may take beyond what it has now (Linux); None for no limit.

    Raises:
        OSError: the system refuses one of the limits.
    """
    faulthandler.disable()
    if CONTEXT.get_start_method() == "fork":
        _close_files({0, 1, 2, *keep})
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    for ending in ending_signals():  # Ctrl-C and a lost terminal reach all processes; the parent decides
        signal.signal(ending, signal.SIG_DFL if ending == signal.SIGTERM else signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if max_memory is not None:
            _, most = resource.getrlimit(resource.RLIMIT_DATA)
            wanted = _data_size() + max_memory
            resource.setrlimit(resource.RLIMIT_DATA, (wanted if most < 0 else min(wanted, most), most))
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before prctl() was called
            os._exit(0)


def how_it_ended(code: int | None) -> str:
    """Put an exit code of `multiprocessing` into words."""
    if code is None:
        return "it cannot be killed"
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def open_files() -> list[int]:
    """Return the numbers of this process' open files; where the system does not list them, of the first 65,536."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return [int(name) for name in os.listdir(folder)]
    found = []
    for number in range(min(_NUMBERS, os.sysconf("SC_OPEN_MAX"))):
        with suppress(OSError):
            os.fstat(number)
            found.append(number)
    return found


def _close_files(keep: set[int]) -> None:
    """Close inherited files: sockets, whose other ends wait for that, and outputs with their locks."""
    for number in open_files():
        if number not in keep:
            with suppress(OSError):  # the folder's, which was open for the listing
                os.close(number)


def _data_size() -> int:
    """Return the bytes that RLIMIT_DATA counts of this process; without /proc, an estimate that is rather too high."""
    import resource

    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[5]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + _NOT_RESIDENT
