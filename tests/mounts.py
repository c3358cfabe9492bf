"""File systems that last for a test, where this machine lets us mount any."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, *arguments: str | Path) -> Iterator[Path]:
    """`mount ARGUMENTS FOLDER`, undone at the end; where that is not allowed, the test is skipped."""
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("only mount(8) of Linux is known here")
    done = subprocess.run(["mount", *arguments, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        why = done.stderr.partition("\n")[0].replace(f" {folder}:", "")
        pytest.skip(f"{why} (run the tests under `unshare --map-root-user --mount`)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
