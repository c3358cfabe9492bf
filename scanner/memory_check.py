"""Checks, before a scan starts, that memory limits (ulimit -v, -d) leave enough for the libraries and a model."""

from __future__ import annotations

import os
import sys

from scanner.errors import FacescanError


def check_memory() -> None:
    """Refuse to start if a memory limit leaves too little for the libraries and a model.

    With too little memory they crash, or end the process with an exit code of their own. So another process loads them
    first. Without a limit, nothing is done.

    Raises:
        FacescanError: that process died.
    """
    if sys.platform == "win32":
        return
    import resource

    kinds = {"d": resource.RLIMIT_DATA, "v": resource.RLIMIT_AS}
    soft = {flag: resource.getrlimit(kind)[0] for flag, kind in kinds.items()}
    limits = [f"ulimit -{flag} {limit // 1024}" for flag, limit in soft.items() if limit != resource.RLIM_INFINITY]
    if not limits:
        return
    from scanner.system.process import end_process, start_process

    try:
        process = start_process(_load, os.getpid())
    except OSError:
        return  # no more processes are allowed: the scan says so
    try:
        process.join()
    finally:
        end_process(process)
    if process.exitcode:
        raise FacescanError(f"too little memory to start: raise the limit ({', '.join(limits)})")


def _load(parent: int) -> None:  # pragma: no cover - in a process that is not measured
    """Load what every scan needs, in a process that then ends."""
    from scanner.system.process import settle_down

    code = 1
    try:
        settle_down(set(), parent)
        import scanner.run  # noqa: F401
        from scanner.detector.model import DEFAULT_MODEL, find_model
        from scanner.detector.runtime import cpu_session
        from scanner.faces.finder import FaceFinder

        FaceFinder()
        cpu_session(find_model(DEFAULT_MODEL).read_bytes(), threads=1)
        code = 0
    finally:
        os._exit(code)
