"""Who is measured: facescan and the other ways to judge a folder, by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec

# Where a contender leaves how many files and faces it did; facescan's own summary has that form.
OUTCOME = "outcome.json"


@dataclass(frozen=True, slots=True)
class Contender:
    """A program that judges every picture in a folder.

    Attributes:
        name: in tables and on the command line.
        what: it is, in one line.
        arguments: of Python, with `{folder}` to judge and `{scratch}`, a folder to write to.
        needs: modules that may be missing.
        extra: of this package, which brings them.
        reaps: whether all of its processes are its children, so that their CPU seconds are known when it ends.
    """

    name: str
    what: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    extra: str = ""
    reaps: bool = True

    def skipped(self) -> str:
        """Why it cannot run here; empty if it can."""
        missing = [module for module in self.needs if find_spec(module) is None]
        return f"{', '.join(missing)} missing: pip install '.[{self.extra}]' in the checkout" if missing else ""

    def command(self, folder: str, scratch: str) -> list[str]:
        """Its arguments for a folder, or for one picture."""
        return [argument.format(folder=folder, scratch=scratch) for argument in self.arguments]


def _peer(module: str, *flags: str) -> tuple[str, ...]:
    return ("-m", f"tests.bench.{module}", "{folder}", f"{{scratch}}/{OUTCOME}", *flags)


def _facescan(*options: str) -> tuple[str, ...]:
    return (
        *("-m", "scanner", "{folder}", "--no-cache", "--out", "{scratch}/rows.csv", "-q", "--exit-zero"),
        *("--summary", f"{{scratch}}/{OUTCOME}", "--config", os.devnull, "--device", "cpu", *options),
    )


# What Keras' ways need, and the extra that brings it.
KERAS = (("tensorflow", "keras"), "train")

FACESCAN = Contender("facescan", "this package's command", _facescan())
CONTENDERS = (
    FACESCAN,
    Contender("facescan-image", "the same, on whole pictures, without faces", _facescan("--region", "image")),
    Contender(
        "notebook",
        "Keras: image_dataset_from_directory, model.predict",
        _peer("peers.notebook"),
        *KERAS,
    ),
    Contender(
        "notebook+faces",
        "the same, with faces cropped into a folder first",
        _peer("peers.notebook", "--faces"),
        *KERAS,
    ),
    Contender("loop", "read, decode, resize, session.run, one by one", _peer("peers.loop")),
    Contender("loop+faces", "the same, with faces found and cropped", _peer("peers.loop", "--faces")),
    Contender("pool", "processes decode batches, ONNX Runtime runs them", _peer("peers.pool")),
    Contender("pool+faces", "the same, with faces found and cropped", _peer("peers.pool", "--faces")),
    Contender("ray", "Ray Data: read, map_batches", _peer("peers.ray_data"), ("ray",), "ray", reaps=False),
    Contender(
        "ray+faces",
        "the same, with faces found and cropped",
        _peer("peers.ray_data", "--faces"),
        needs=("ray",),
        extra="ray",
        reaps=False,
    ),
)


def floor(every: int) -> Contender:
    """Not a contender, but measured in turn with them: what the work costs in one thread. See `tests.bench.floor`."""
    return Contender("floor", "CPU seconds of the work alone, over the cores", _peer("floor", str(every)))
