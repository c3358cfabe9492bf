"""Judges pictures from Python, as the command does: `from scanner import Scanner`.

Nothing here changes the state of the process that it runs in: no signal handler, no thread count, no standard stream.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from scanner.detector.bundled import DEFAULT_MODEL
from scanner.detector.model import BATCH, Detector, find_model
from scanner.detector.thresholds import choose
from scanner.engine.pipeline import examiner_for, final_row, scan
from scanner.engine.scorers import scorer_for
from scanner.errors import FacescanError
from scanner.files.candidate import STDIN, Candidate
from scanner.reasons import Reason
from scanner.result import Result, Verdict
from scanner.settings import Settings
from scanner.sources.selection import Selection
from scanner.sources.walk import candidates

DEVICES = ("auto", "cpu", "cuda")


class Scanner:
    """Judges pictures with one model, which is loaded once.

    Results are the rows that the command writes: trouble with a picture is a result whose verdict is `Verdict.ERROR`,
    with the reason, and raises nothing. All methods may be called from several threads at once. There is nothing to
    close.

    Args:
        model: name of a bundled model, or path of an ONNX file. A file that did not come with the package is tried in a
            process of its own first, since it may crash or hang.
        device: `auto`, `cpu` or `cuda`; `auto` takes a GPU if there is one that can be used.

    Raises:
        FacescanError: the model cannot be used, the device is none of these, or there is no GPU for `cuda`.
    """

    def __init__(self, model: str | os.PathLike[str] = DEFAULT_MODEL, device: str = "auto") -> None:
        if device not in DEVICES:
            raise FacescanError(f"no device {device!r}: use {', '.join(DEVICES)}")
        self._settings = Settings(os.fspath(model), device)
        self._detector = Detector(find_model(self._settings.model), device)
        self._thresholds = choose(self._detector.card)
        batch_size = self._detector.batch or BATCH[self._detector.device.used]
        self._scorer = scorer_for(self._detector, batch_size, evidence=None)
        self._examiner = examiner_for(self._detector, self._settings, self._scorer)

    def scan_file(self, path: str | os.PathLike[str]) -> Result:
        """Judge one picture, in this process.

        A decoder that crashes or hangs does so here, and prints its warnings here. For pictures that strangers send,
        `scan` is safer: it decodes in other processes, and limits their time and memory. Only there libjpeg's warnings
        count: here a JPEG with corrupt data inside may lack `provenance["damaged"]`, or have a score instead of the
        reason `truncated`.

        Args:
            path: of a file, or a URL that the command takes, too.

        Raises:
            FacescanError: the model fails.
        """
        return self._judge(Candidate(_named(path)))

    def scan_bytes(self, data: bytes) -> Result:
        """Judge the content of a picture's file, in this process, as `scan_file` does.

        Args:
            data: the content. Its row has the path `-`, as for standard input.

        Raises:
            FacescanError: the model fails.
        """
        if len(data) > self._settings.max_bytes:
            return Result(STDIN, Verdict.ERROR, bytes=len(data), reason=f"{Reason.TOO_MANY_BYTES}:{len(data)}")
        return self._judge(Candidate(STDIN, content=bytes(data)))

    def scan(self, paths: Iterable[str | os.PathLike[str]]) -> Iterator[Result]:
        """Judge many pictures, in as many processes as there are processors, which end with the iterator.

        On macOS and Windows, Python starts such processes by importing the program again: there, call this below
        `if __name__ == "__main__":`.

        Args:
            paths: files, folders, which are walked, and URLs. One path alone may be given as it is.

        Yields:
            A result for every picture, in the order of the paths, as soon as it is known.

        Raises:
            FacescanError: the model fails, or there can be no processes.
        """
        roots = [paths] if isinstance(paths, str | os.PathLike) else paths
        found = candidates((_named(path) for path in roots), Selection(), named=True)
        return scan(found, self._detector, self._thresholds, self._settings)

    def _judge(self, candidate: Candidate) -> Result:
        (group,) = self._scorer.complete([self._examiner([candidate])])
        (picture,) = group
        return final_row(picture, self._detector.card.name, self._thresholds)


def _named(path: str | os.PathLike[str]) -> str:
    """Return a path as text. A file whose name is `-` is a file here, and not standard input."""
    name = os.fspath(path)
    return os.path.join(os.curdir, name) if name == STDIN else name
