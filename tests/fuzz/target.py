"""What a fuzz target is made of: its checks, how an input that fails one is kept, and how libFuzzer is started."""

from __future__ import annotations

import ctypes
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import atheris
import cv2

from scanner.imaging.inspection.header import read_header
from tests.fuzz.mutate import mutate

Check = Callable[[bytes], str]

M_PERTURB = -6  # of glibc's malloc.h
KEPT_OF_A_KIND = 5  # findings: more of them teach nothing, and the hundredth would hide the first of another kind
WORST = 2.0  # seconds of processor time for one small input


def perturb(value: int) -> None:
    """Fill memory when it is allocated: a decoder that hands out what it never wrote gives itself away. 0 is off."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # only glibc has it
    if mallopt is not None:
        mallopt(M_PERTURB, value)


def peak_memory(reset: bool = False) -> int:
    """Most bytes this process has held in memory since the last reset; 0 where /proc does not say."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def timed(check: Check) -> Check:
    """The same check, which also complains of an input that takes too long."""

    def checked(data: bytes) -> str:
        start = time.process_time()
        complaint = check(data)
        seconds = time.process_time() - start
        return complaint or (f"slow: {seconds:.0f} s" if seconds > WORST else "")

    return checked


def fuzz(check: Check) -> None:
    """Run libFuzzer, or only the files given as arguments, through a check. Never returns.

    Only what kills the process ends a run; other findings are kept beside libFuzzer's own and it goes on.
    """
    prefix = next((a.partition("=")[2] for a in sys.argv if a.startswith("-artifact_prefix=")), "./")
    seen: Counter[str] = Counter()
    cv2.setNumThreads(1)  # libFuzzer wants the same input to do the same

    def one_input(data: bytes) -> None:
        if complaint := check(data):
            kind = f"{read_header(data).format or 'unknown'}: {complaint.partition(':')[0]}"
            seen[kind] += 1
            if seen[kind] <= KEPT_OF_A_KIND:
                file = Path(f"{prefix}wrong-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}")
                file.write_bytes(data)
                print(f"finding: {kind} ({complaint}): {file}", file=sys.stderr, flush=True)

    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()
