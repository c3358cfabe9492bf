"""Run the fuzz targets for a while, again and again as they die, and say what came of it.

libFuzzer ends with the first input that kills it. This driver keeps that input, makes it small, starts the target
again, and sums up: executions, coverage, findings.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import corpus
from tests.fuzz.minimise import HANG, minimise, outcome

WORDS = Path(__file__).with_name("words.dict")
TARGETS = ("decode", "header", "provenance")
ROUND = 600  # seconds until a target is started afresh though nothing killed it: leaks show in the growth of a round
MEMORY = 2048  # MiB that kill a target
STATUS = re.compile(rb"^#(\d+)\s.*cov: (\d+) ft: (\d+) corp: (\d+)/.*rss: (\d+)Mb", re.MULTILINE)


@dataclass
class Totals:
    """Of one target."""

    executions: int = 0
    seconds: float = 0
    rounds: int = 0
    coverage: list[int] = field(default_factory=list)  # at the beginning and at the end of every round
    features: list[int] = field(default_factory=list)
    memory: int = 0  # MiB
    deaths: int = 0


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 if nothing was found, 1 if something was."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="processes; they share a corpus")
    parser.add_argument("--target", choices=TARGETS, default="decode")
    parser.add_argument("--folder", type=Path, default=Path("runs/fuzz"), help="keeps corpus and findings")
    parser.add_argument("--seeds", type=Path, nargs="*", default=[], help="files or folders besides the synthetic ones")
    parser.add_argument("--replay", type=Path, nargs="+", help="only say what becomes of these files")
    options = parser.parse_args(arguments)
    if options.replay:
        return replay(options.target, options.replay)

    folder = options.folder / options.target
    (folder / "found").mkdir(parents=True, exist_ok=True)
    known = set((folder / "found").iterdir())
    print(f"{corpus.write(folder / 'seeds', options.seeds)} seeds in {folder / 'seeds'}")
    end = time.monotonic() + 60 * options.minutes
    with ThreadPoolExecutor(options.jobs) as pool:
        totals = list(pool.map(lambda job: keep_running(options.target, folder, job, end), range(options.jobs)))
    for job, total in enumerate(totals):
        print(summary(job, total))
    return report(options.target, folder, sorted(set((folder / "found").iterdir()) - known))


def keep_running(target: str, folder: Path, job: int, end: float) -> Totals:
    """Start a target again and again until `end`, a time of `time.monotonic`."""
    totals = Totals()
    while (left := end - time.monotonic()) > 1:
        start = time.monotonic()
        status, log = one_round(target, folder, job, int(min(ROUND, left)) or 1)
        totals.seconds += time.monotonic() - start
        totals.rounds += 1
        totals.deaths += status != 0
        if not (lines := STATUS.findall(log)):
            raise SystemExit(f"{target} does not start:\n{log.decode(errors='replace')[-2000:]}")
        first, last = lines[0], lines[-1]
        totals.executions += int(last[0])
        totals.coverage += [int(first[1]), int(last[1])]
        totals.features += [int(first[2]), int(last[2])]
        totals.memory = max(totals.memory, *(int(line[4]) for line in lines))
        print(f"job {job}, round {totals.rounds}: status {status}, {int(last[0])} executions", flush=True)
    return totals


def one_round(target: str, folder: Path, job: int, seconds: int) -> tuple[int, bytes]:
    """Run libFuzzer until its time is up or something kills it; returns its exit status and its log."""
    (folder / "corpus").mkdir(exist_ok=True)
    log = folder / f"log.{job}"
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={HANG}",
        f"-rss_limit_mb={MEMORY}",
        f"-max_len={corpus.MAX_BYTES}",
        f"-artifact_prefix={folder / 'found'}/",
        f"-dict={WORDS}",
        "-keep_seed=1",  # most seeds differ in what only the native decoders see
        "-len_control=0",
        "-reload=1",
    ]
    with log.open("wb") as file:
        command = [sys.executable, "-m", f"tests.fuzz.{target}", folder / "corpus", folder / "seeds", *options]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False).returncode
    return status, log.read_bytes()


def summary(job: int, totals: Totals) -> str:
    """One line for a job."""
    return (
        f"job {job}: {totals.executions} executions in {totals.seconds:.0f} s"
        f" ({totals.executions / max(totals.seconds, 1):.0f} a second), {totals.rounds} rounds, {totals.deaths} deaths,"
        f" coverage {totals.coverage[0]} -> {totals.coverage[-1]}, features {totals.features[0]} ->"
        f" {totals.features[-1]}, at most {totals.memory} MiB"
    )


def report(target: str, folder: Path, found: list[Path]) -> int:
    """Name each kind of finding once; the smallest input of it, made smaller still, goes to `small/`."""
    (folder / "small").mkdir(exist_ok=True)
    kinds: dict[str, Path] = {}
    for file in sorted(found, key=lambda file: file.stat().st_size):
        kinds.setdefault(outcome(target, file.read_bytes()).partition(":")[0], file)
    for kind, file in kinds.items():
        kinds[kind] = folder / "small" / (re.sub(r"[^\w.-]+", "_", kind) or "not_again")
        kinds[kind].write_bytes(minimise(target, file.read_bytes()))
    for kind, small in kinds.items():
        print(f"{kind or 'not seen again'}: {small} ({small.stat().st_size} bytes)")
    print(f"{len(found)} inputs, {len(kinds)} kinds of findings")
    return 1 if kinds else 0


def replay(target: str, files: list[Path]) -> int:
    """Say of each file what the target thinks of it."""
    outcomes = [outcome(target, file.read_bytes()) for file in files]
    for file, said in zip(files, outcomes, strict=True):
        print(f"{file}: {said or 'nothing wrong'}")
    return 1 if any(outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
