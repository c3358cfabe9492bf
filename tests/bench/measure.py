"""Runs contenders, each as a fresh process, in turn, and times them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.contenders import OUTCOME, Contender

ROOT = Path(__file__).parents[2]


class BenchError(Exception):
    """A contender failed; the message says how."""


@dataclass(frozen=True, slots=True)
class Run:
    """One process from its start to its end.

    Attributes:
        wall: seconds.
        cpu: seconds, user and system, of it and of all children that it waited for.
        summary: what it says it did: `files`, `faces`, `seconds` by its own clock; the floor's `cpu`, by stage.
    """

    wall: float
    cpu: float
    summary: dict[str, Any]


@dataclass(slots=True)
class Series:
    """A contender's runs over one corpus; `skipped` says why there are none, or no more."""

    contender: Contender
    runs: list[Run] = field(default_factory=list)
    skipped: str = ""

    def median(self, figure: Callable[[Run], float]) -> float:
        """Over the runs; there must be one."""
        return median(figure(run) for run in self.runs)

    @property
    def wall(self) -> float:
        """Median seconds."""
        return self.median(lambda run: run.wall)


def in_turn(contenders: Sequence[Contender], folder: Path, rounds: int, say: Callable[[str], None]) -> list[Series]:
    """Every contender once a round, in another order each time. A first round warms up and does not count.

    What disturbs the machine for a while so hits all alike. One that fails is left out from then on.
    """
    series = [Series(contender, skipped=contender.skipped()) for contender in contenders]
    for turn in range(rounds + 1):
        shift = turn % len(series)
        for one in series[shift:] + series[:shift]:
            if one.skipped:
                continue
            try:
                run = run_once(one.contender, folder)
            except BenchError as error:
                one.skipped = str(error)
                say(f"{one.contender.name}: {error}")
                continue
            say(f"{f'round {turn}/{rounds}' if turn else 'warm-up':12}{one.contender.name:12}{run.wall:8.2f} s")
            if turn:
                one.runs.append(run)
    return series


def run_once(contender: Contender, target: Path, *more: str, watch: Callable[[int], None] = lambda pid: None) -> Run:
    """Run to the end.

    Args:
        contender: to run.
        target: folder, or picture, to judge.
        more: arguments.
        watch: called with the process's number when it has begun; may take as long as the process does.

    Raises:
        BenchError: it failed, or did nothing.
    """
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as told:
        command = [sys.executable, *contender.command(str(target), scratch), *more]
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=told, stderr=told)
        try:
            watch(process.pid)
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)  # or it would wait for a process that is gone
        if process.returncode:
            told.seek(0)
            last = told.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            raise BenchError(f"exit code {process.returncode}: {''.join(last)}")
        summary = json.loads(Path(scratch, OUTCOME).read_text("utf-8"))["summary"]
    if sum(summary.get("errors", {}).values()):
        raise BenchError(f"pictures it could not judge: {summary['errors']}")
    return Run(wall, usage.ru_utime + usage.ru_stime, summary)


def environment() -> dict[str, str]:
    """Ours, without what configures facescan, without a GPU, and with this checkout before any installed package."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FACESCAN_")}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return kept | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
