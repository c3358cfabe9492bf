"""Runs the studies' recipes one after the other, in a queue that can be stopped and continued.

python -m train.maintenance.queue_runs --data INDEX --out RUNS --weights mobilenet=FILE

The run folders below RUNS are the queue's whole state: a finished run is left as it is, a stopped one is continued from
its last epoch, and a failed one is tried again. The same command starts the queue and continues it. The output of the
runs goes to RUNS/queue.log; a finished run is added to ``train/records.jsonl`` and ``train/RESULTS.md`` at once.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from train.maintenance import results
from train.recipes import RECIPES

# Exit codes of a run that was stopped rather than failed: Ctrl-C, and killed by SIGINT, SIGKILL or SIGTERM.
STOPPED = {130, -2, -9, -15}
# Recipes that need no weights of VGG16 or ResNet50, the most informative first.
ORDER = (
    "kim-cnn",
    "perisic-cnn",
    "gautam-mobilenet",
    "gautam-fusion-3",
    "gautam-cnn",
    "ceng-simplecnn-v1",
    "ceng-simplecnn",
    "ceng-simplecnn-v3",
    "gautam-mobilenet-ela",
    "gautam-cnn-ela",
    "gautam-fusion-2",
    "arjon-cnn",
)
# Seeds besides 0, to measure how much a figure varies by chance.
MORE_SEEDS = {"ceng-simplecnn": (1, 2)}


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """Describes one run of `facescan-train reproduce`."""

    recipe: str
    normalise_format: bool
    seed: int

    def command(self, data: Path, out: Path, weights: tuple[str, ...]) -> list[str]:
        """Return the command line that starts or continues the run.

        Args:
            data: the index of pictures.
            out: folder of all runs.
            weights: each `BACKBONE=FILE`; those of other backbones than the recipe's are left out.
        """
        form = "--normalise-format" if self.normalise_format else "--as-found"
        backbones = RECIPES[self.recipe].backbones
        chosen = [f"--weights={choice}" for choice in weights if choice.partition("=")[0] in backbones]
        where = ["--data", str(data), "--out", str(out), "--seed", str(self.seed), "--resume"]
        return [sys.executable, "-m", "train.cli", "reproduce", self.recipe, form, *where, *chosen]


def queued() -> Iterator[QueuedRun]:
    """Yield all runs in order: each recipe as found, then with one format for all pictures."""
    for recipe in ORDER:
        for seed in (0, *MORE_SEEDS.get(recipe, ())):
            yield QueuedRun(recipe, False, seed)
            yield QueuedRun(recipe, True, seed)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="The index of pictures.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the runs.")
@click.option("--weights", multiple=True, metavar="BACKBONE=FILE", help="ImageNet weights. Repeatable.")
def main(data: Path, out: Path, weights: tuple[str, ...]) -> None:
    """Start the queue of whole runs, or continue it."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "queue.lock").open("w") as lock, (out / "queue.log").open("a") as log:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise click.ClickException(f"{out}: a queue runs there already") from error
        failed = []
        for run in queued():
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {run}\n")
            log.flush()
            # The run inherits the lock, because it may outlive a queue that is killed.
            done = subprocess.run(
                run.command(data, out, weights), stdout=log, stderr=log, pass_fds=[lock.fileno()], check=False
            )
            if done.returncode in STOPPED:
                raise click.ClickException(f"{run} was stopped: the same command continues it")
            if done.returncode:
                failed.append(run)
                continue
            results.main(str(out))
    if failed:
        raise click.ClickException(f"failed, see {out / 'queue.log'}: {'; '.join(map(str, failed))}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
