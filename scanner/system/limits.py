"""Finds out how many worker processes the limit of open files (ulimit -n) allows."""

from __future__ import annotations

import sys

# Open files that each worker process takes here: its socket, and two pipes of `multiprocessing`.
_FILES_A_PROCESS = 3
# Open files that all else in a scan may take: outputs, cache, folders that are walked, and the start of a process.
_OTHER_FILES = 16


def affordable_processes(count: int) -> int:
    """Return how many worker processes, of `count`, the limit of open files allows; at least 1."""
    if sys.platform == "win32":
        return count
    import resource

    from scanner.system.process import open_files

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit > 1000 + _FILES_A_PROCESS * count:
        return count
    return max(1, min(count, (limit - len(open_files()) - _OTHER_FILES) // _FILES_A_PROCESS))
