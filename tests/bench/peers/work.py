"""What a peer does with one picture, with a batch, and with what came of it all."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from scanner.detector.card import Card, InputSpec, read_card
from scanner.detector.model import DEFAULT_MODEL, Region, find_model, normalise, prepare
from scanner.faces.finder import FaceFinder
from scanner.faces.yunet import MODEL as YUNET
from scanner.imaging.decode import Picture, decode
from scanner.settings import MIN_FACE

# Pictures decoded, or scored, together: the default of Keras and of most examples with PyTorch.
BATCH = 32

# Network inputs, uint8 (n, height, width, 3): one for each face, or one for the whole picture.
Crops = NDArray[Any]
# A file's content -> what the network sees of it.
Look = Callable[[bytes], Crops]


def session(model: Path, threads: int, spinning: bool) -> ort.InferenceSession:
    """ONNX Runtime as it comes, but for the number of threads. They spin unless told otherwise."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    return ort.InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"])


class Network:
    """The default model in ONNX Runtime, `threads` to an operator."""

    def __init__(self, threads: int, spinning: bool) -> None:
        self._session = session(find_model(DEFAULT_MODEL), threads, spinning)
        (tensor,) = self._session.get_inputs()
        self._takes_bytes = tensor.type == "tensor(uint8)"
        self._spec = default_input()

    def scores(self, crops: Crops) -> NDArray[Any]:
        """The network's output, (n, columns)."""
        ready = crops if self._takes_bytes else normalise(crops, self._spec)
        scores: NDArray[Any] = self._session.run(None, {self._spec.name: ready})[0]
        return scores


def default_card() -> Card:
    """Of the default model."""
    content = find_model(DEFAULT_MODEL).read_bytes()
    return read_card(ort.InferenceSession(content).get_modelmeta().custom_metadata_map, DEFAULT_MODEL)


def default_input() -> InputSpec:
    """What the default model takes: one picture, pixels in rows."""
    (spec,) = default_card().inputs
    if spec.content != "picture" or spec.layout != "NHWC" or spec.color != "RGB":
        raise ValueError(f"the peers feed RGB pictures in rows, and {DEFAULT_MODEL} takes {spec}")
    return spec


class _Finder(FaceFinder):
    """YuNet with other threads than facescan gives it."""

    def __init__(self, threads: int, spinning: bool) -> None:
        super().__init__()
        self.network.session = session(YUNET, threads, spinning)


def look(faces: bool, threads: int, spinning: bool) -> Look:
    """How a peer looks at pictures.

    Args:
        faces: find and crop them; else the whole picture is squeezed.
        threads: ONNX Runtime's, for the face finder.
        spinning: whether those threads spin.
    """
    card, spec = default_card(), default_input()
    height, width = spec.size

    def whole(content: bytes) -> Crops:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return cv2.cvtColor(cv2.resize(picture, (width, height)), cv2.COLOR_BGR2RGB)[None]

    if not faces:
        return whole
    finder = _Finder(threads, spinning)

    def cropped(content: bytes) -> Crops:
        found = regions(decoded(content), finder, card)
        return np.array([region[0] for region in found], np.uint8).reshape(-1, height, width, 3)

    return cropped


def decoded(content: bytes) -> Picture:
    """By the scanner's decoder. What it cannot decode has no place in a corpus."""
    picture = decode(content).picture
    if picture is None:
        raise ValueError("not a picture")
    return picture


def regions(picture: Picture, finder: FaceFinder, card: Card) -> list[Region]:
    """What a model sees of every face that is large enough, as in a scan."""
    faces = [face for face in finder.find(picture) if min(face.box[2:]) >= MIN_FACE]
    return [prepare(picture, face.box, card, turn=face.turn) for face in faces]


def files_in(folder: Path) -> list[Path]:
    """The pictures to judge: a corpus holds nothing else."""
    return sorted(folder.rglob("*.jpg"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a peer did. `faces` are regions scored; `cpu` is for the floor alone: CPU seconds by stage."""

    files: int
    faces: int
    cpu: dict[str, float] | None = None


def main(scan: Callable[..., Outcome], **options: Any) -> None:
    """Run `scan(folder, **options)` and leave its outcome where facescan would leave its summary."""
    started = time.perf_counter()
    outcome = scan(Path(sys.argv[1]), **options)
    summary: dict[str, Any] = {"files": outcome.files, "faces": outcome.faces}
    if outcome.cpu is not None:
        summary["cpu"] = outcome.cpu
    summary["seconds"] = time.perf_counter() - started
    Path(sys.argv[2]).write_text(json.dumps({"summary": summary}), "utf-8")
