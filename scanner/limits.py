"""Limits that the system sets (ulimit): whether a scan can start within them, and with how many processes."""

from __future__ import annotations

import os
import sys

from scanner.errors import FacescanError

# Open files that each worker process takes here: its socket, and two pipes of `multiprocessing`.
_FILES_A_PROCESS = 3
# Open files that all else in a scan may take: outputs, cache, folders that are walked, and the start of a process.
_OTHER_FILES = 16


def affordable_processes(count: int) -> int:
    """Return how many worker processes, of `count`, the limit of open files allows; at least 1."""
    if sys.platform == "win32":
        return count
    import resource

    from scanner.process import open_files

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit > 1000 + _FILES_A_PROCESS * count:
        return count
    return max(1, min(count, (limit - len(open_files()) - _OTHER_FILES) // _FILES_A_PROCESS))


def check_memory() -> None:
    """Refuse to start where memory is limited and too little for the libraries and a model.

    These would crash, or end the process with an exit code of their own. So they are loaded in another process first;
    without a limit, nothing is done.

    Raises:
        FacescanError: that process died.
    """
    if sys.platform == "win32":
        return
    import resource

    soft = {
        flag: resource.getrlimit(kind)[0] for flag, kind in (("d", resource.RLIMIT_DATA), ("v", resource.RLIMIT_AS))
    }
    limits = [f"ulimit -{flag} {limit // 1024}" for flag, limit in soft.items() if limit != resource.RLIM_INFINITY]
    if not limits:
        return
    from scanner.process import end_process, start_process

    process = start_process(_load, os.getpid())
    try:
        process.join()
    finally:
        end_process(process)
    if process.exitcode:
        raise FacescanError(f"too little memory to start: raise the limit ({', '.join(limits)})")


def _load(parent: int) -> None:  # pragma: no cover - in a process that is not measured
    """Live as a process that loads what every scan needs."""
    from scanner.process import settle_down

    code = 1
    try:
        settle_down(set(), parent)
        import scanner.run  # noqa: F401
        from scanner.faces import FaceFinder
        from scanner.model import DEFAULT_MODEL, find_model
        from scanner.runtime import cpu_session

        FaceFinder()
        cpu_session(find_model(DEFAULT_MODEL).read_bytes(), threads=1)
        code = 0
    finally:
        os._exit(code)
