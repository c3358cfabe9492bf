"""Limits that the system sets (ulimit): what can be done within them, and whether a scan can start at all."""

from __future__ import annotations

import sys

from scanner.process import open_files

# Open files that each worker process takes here: its socket, and two pipes of `multiprocessing`.
_FILES_A_PROCESS = 3
# Open files that all else in a scan may take: outputs, cache, folders that are walked, and the start of a process.
_OTHER_FILES = 16


def affordable_processes(count: int) -> int:
    """How many worker processes, of so many, the limit of open files allows; at least 1."""
    if sys.platform == "win32":
        return count
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < 0 or limit > 1000 + _FILES_A_PROCESS * count:
        return count
    return max(1, min(count, (limit - len(open_files()) - _OTHER_FILES) // _FILES_A_PROCESS))
