"""The memory that the allocator keeps shows in the page faults of a separate process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Prints the page faults of ten blocks of 64 MB that are taken, touched and let go, one after the other.
FAULTS = """
import resource
import numpy as np
from scanner.system.allocator import give_back_memory, keep_memory
{first}
np.ones(2**26, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(2**26, np.uint8)
    {then}
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 2**26 // 4096
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")


def faults(first: str, then: str = "pass") -> int:
    code = FAULTS.format(first=first, then=then)
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


@glibc
def test_kept_memory_costs_no_page_faults() -> None:
    assert faults("keep_memory()") < PAGES / 100


@pytest.mark.slow
@glibc
def test_no_more_is_kept_than_said() -> None:
    assert faults("keep_memory(2**25)") > faults("keep_memory(2**27)") + PAGES / 100


@glibc
def test_what_is_given_back_is_taken_anew() -> None:
    assert faults("keep_memory()", "give_back_memory()") > PAGES / 100
