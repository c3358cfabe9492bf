"""The card of an ONNX file: printed, started for a file that has none, and written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import onnx

from scanner.detector.card import CARD_SCHEMA, PREFIX, Card, CropSpec, InputSpec, read_card
from scanner.detector.model import BUNDLED, Detector
from scanner.detector.onnx_file import read_model
from scanner.detector.runtime import open_session
from scanner.errors import FacescanError

# They may stay empty.
FOR_PEOPLE = ("training", "metrics")
# What no graph tells of an input, and what a wrong guess would spoil without a sound.
UNKNOWN = {"content": None, "color": None, "range": None}


@dataclass(frozen=True, slots=True)
class Found:
    """What a file says of itself.

    Attributes:
        values: of the card's fields, as JSON has them; None for what is to be filled in.
        nulls: where those are, as `inputs[0].color`.
        trouble: what the scanner has against the card; empty if nothing.
        columns: of the output; None if the graph has several outputs, or does not say.
    """

    values: dict[str, Any]
    nulls: tuple[str, ...]
    trouble: str
    columns: int | None


def find_card(file: Path) -> Found:
    """The card of a file, or what is there of it, with what the graph tells.

    Raises:
        FacescanError: ONNX Runtime cannot load the file.
    """
    session, _ = open_session(read_model(file), str(file), "cpu", threads=1)
    metadata = session.get_modelmeta().custom_metadata_map
    outputs = session.get_outputs()
    shape = outputs[0].shape if len(outputs) == 1 else []
    columns = shape[-1] if len(shape) > 1 and isinstance(shape[-1], int) else None
    try:
        return Found(asdict(read_card(metadata, str(file))), (), "", columns)
    except FacescanError as error:
        trouble = str(error)
    values = _blank() | {
        "inputs": [_input(tensor) for tensor in session.get_inputs()],
        "output": {"name": outputs[0].name if len(outputs) == 1 else None, "kind": None},
    }
    for key in values:
        try:
            values[key] = json.loads(metadata[PREFIX + key])
        except (KeyError, ValueError):
            continue
    return Found(values, tuple(_nulls(values)), trouble, columns)


def parse_card(values: Any, source: str) -> Card:
    """Plain values, as of a JSON file -> a card.

    Args:
        values: of the fields.
        source: where they come from, for the message.

    Raises:
        FacescanError: with everything that is missing, unknown or wrong, in one line.
    """
    if not isinstance(values, dict):
        raise FacescanError(f"{source}: no card: {type(values).__name__} instead of an object")
    wrong = [f"{where} is null" for where in _nulls(values)]
    known = {f.name for f in fields(Card)}
    wrong += [f"{key} is no field of a card" for key in values if key not in known]
    # Without what is complained of above, so that the complaint stands once.
    told = _without_nulls({key: value for key, value in values.items() if key in known})
    if not wrong:
        return read_card({PREFIX + key: json.dumps(value) for key, value in told.items()}, source)
    try:
        filled = _example() | told
        read_card({PREFIX + key: json.dumps(value) for key, value in filled.items()}, source)
    except FacescanError as error:
        wrong.append(str(error).removeprefix(f"{source}: not a facescan model: "))
    raise FacescanError(f"{source}: {'; '.join(wrong)}")


def read_values(file: Path) -> Any:
    """A JSON file.

    Raises:
        FacescanError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FacescanError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise FacescanError(f"{file}: no JSON: {error}") from error


def save(graph: onnx.ModelProto, card: Card, file: Path) -> None:
    """Write an ONNX model with this card and no other metadata."""
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, card.to_metadata())
    onnx.checker.check_model(graph, full_check=True)
    file.write_bytes(graph.SerializeToString())


def write_card(file: Path, card: Card, out: Path | None = None) -> None:
    """Replace the card of an ONNX file; the graph and foreign metadata stay as they are.

    Args:
        file: to read.
        card: to put into it.
        out: to write instead of `file`.

    Raises:
        FacescanError: the scanner would refuse the outcome, or it cannot be written; the files stay as they were.
    """
    out = out or file
    draft = out.with_name(f".{out.name}.partial")
    try:
        graph = onnx.load_model(file)
        kept = {prop.key: prop.value for prop in graph.metadata_props if not prop.key.startswith(PREFIX)}
        onnx.helper.set_model_props(graph, kept | card.to_metadata())
        draft.write_bytes(graph.SerializeToString())
        Detector(draft)
        os.replace(draft, out)
    except FacescanError as error:
        raise FacescanError(str(error).replace(str(draft), str(out))) from error
    except OSError as error:
        raise FacescanError(f"{out}: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def is_bundled(file: Path) -> bool:
    """Whether the file is one of those that come with the package."""
    return file.resolve().parent == BUNDLED.resolve()


def _blank() -> dict[str, Any]:
    """Every field: those that the contract asks for empty, the others at their defaults."""
    optional = {"margin": 0.0, "crop": asdict(CropSpec()), "activation": "", "description": "", "license": ""}
    return {f.name: optional.get(f.name) for f in fields(Card)} | {"schema": CARD_SCHEMA}


def _example() -> dict[str, Any]:
    """Right values for all that is required, to find what else is wrong with a card that lacks some."""
    return {
        "schema": CARD_SCHEMA,
        "name": "-",
        "version": "-",
        "task": "general",
        "labels": ["real", "fake"],
        "fake": 1,
        "inputs": [{"name": "-", "size": [1, 1]}],
        "output": {"name": "-", "kind": "logit"},
        "source": "image",
        "calibration": [1, 0],
        "operating_points": {},
        "uncertain": [0.5, 0.5],
    }


def _input(tensor: Any) -> dict[str, Any]:
    """What the graph tells of an input: its name, and where one of its axes has the three colours, its layout."""
    shape = tensor.shape if len(tensor.shape) == 4 else [None] * 4
    layouts = {"NHWC": (shape[3], shape[1:3]), "NCHW": (shape[1], shape[2:4])}
    fitting = [(layout, sides) for layout, (colours, sides) in layouts.items() if colours == 3]
    layout, sides = fitting[0] if len(fitting) == 1 else (None, [None, None])
    size = [side if isinstance(side, int) else None for side in sides]
    default = asdict(InputSpec(tensor.name, (1, 1)))
    return default | {"size": size, "layout": layout} | UNKNOWN


def _nulls(value: Any, where: str = "") -> Iterator[str]:
    """Paths of the values that are None, but for those that may be."""
    if value is None:
        yield where
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if where or key not in FOR_PEOPLE:
                yield from _nulls(inner, f"{where}.{key}" if where else key)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from _nulls(inner, f"{where}[{i}]")


def _without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    """Without fields that hold a None; people's fields as they are."""
    return {key: value for key, value in values.items() if key in FOR_PEOPLE or not any(_nulls(value, key))}
