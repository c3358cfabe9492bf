"""Reads and writes the card of an ONNX file, and drafts one for a file that has none."""

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

# Fields that may stay empty, because only people read them.
FOR_PEOPLE = ("training", "metrics")
# Fields of an input that no graph has; a wrong guess would spoil the scores without an error.
UNKNOWN = {"content": None, "color": None, "range": None}


@dataclass(frozen=True, slots=True)
class Found:
    """Holds the card of a file, or a draft of one.

    Attributes:
        values: of the card's fields, as in JSON; None for values that the user must fill in.
        nulls: paths of these values, such as `inputs[0].color`.
        trouble: why the scanner refuses the card; empty if it accepts it.
        columns: of the output; None if the graph has several outputs, or no fixed number of columns.
    """

    values: dict[str, Any]
    nulls: tuple[str, ...]
    trouble: str
    columns: int | None


def find_card(file: Path) -> Found:
    """Read the card of a file, or draft one from the fields that it has and from the graph.

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
    """Make a card of plain values.

    Args:
        values: of the fields, as in JSON.
        source: name of the file they come from, for the message.

    Raises:
        FacescanError: values are missing, unknown or wrong; the message names all of them in one line.
    """
    if not isinstance(values, dict):
        raise FacescanError(f"{source}: no card: {type(values).__name__} instead of an object")
    wrong = [f"{where} is null" for where in _nulls(values)]
    known = {f.name for f in fields(Card)}
    wrong += [f"{key} is no field of a card" for key in values if key not in known]
    # Without the values of the complaints above, so that each complaint appears once.
    rest = _without_nulls({key: value for key, value in values.items() if key in known})
    if not wrong:
        return read_card({PREFIX + key: json.dumps(value) for key, value in rest.items()}, source)
    try:
        filled = _example() | rest
        read_card({PREFIX + key: json.dumps(value) for key, value in filled.items()}, source)
    except FacescanError as error:
        wrong.append(str(error).removeprefix(f"{source}: not a facescan model: "))
    raise FacescanError(f"{source}: {'; '.join(wrong)}")


def read_values(file: Path) -> Any:
    """Read a JSON file.

    Raises:
        FacescanError: the file cannot be read, or is no JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FacescanError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise FacescanError(f"{file}: no JSON: {error}") from error


def save(graph: onnx.ModelProto, card: Card, file: Path) -> None:
    """Write an ONNX model with this card and no other metadata.

    Args:
        graph: the model; its metadata are replaced.
        card: to write into it.
        file: to write.
    """
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
        FacescanError: the scanner refuses the new file, or it cannot be written; the files stay as they were.
    """
    out = out or file
    draft = out.with_name(f".{out.name}.partial")
    try:
        graph = onnx.load_model(file)
        foreign = {prop.key: prop.value for prop in graph.metadata_props if not prop.key.startswith(PREFIX)}
        onnx.helper.set_model_props(graph, foreign | card.to_metadata())
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
    """Decide whether the file is one of the bundled models."""
    return file.resolve().parent == BUNDLED.resolve()


def _blank() -> dict[str, Any]:
    """Return every field: required ones as None, the others at their defaults."""
    optional = {"margin": 0.0, "crop": asdict(CropSpec()), "activation": "", "description": "", "license": ""}
    return {f.name: optional.get(f.name) for f in fields(Card)} | {"schema": CARD_SCHEMA}


def _example() -> dict[str, Any]:
    """Return valid values of all required fields, to check the other values of a card that lacks some."""
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
    """Describe an input of the graph: its name and, if one of its axes has three colours, its layout and size."""
    shape = tensor.shape if len(tensor.shape) == 4 else [None] * 4
    layouts = {"NHWC": (shape[3], shape[1:3]), "NCHW": (shape[1], shape[2:4])}
    fitting = [(layout, sides) for layout, (colours, sides) in layouts.items() if colours == 3]
    layout, sides = fitting[0] if len(fitting) == 1 else (None, [None, None])
    size = [side if isinstance(side, int) else None for side in sides]
    default = asdict(InputSpec(tensor.name, (1, 1)))
    return default | {"size": size, "layout": layout} | UNKNOWN


def _nulls(value: Any, where: str = "") -> Iterator[str]:
    """Yield the paths of values that are None and may not be."""
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
    """Return the values without fields that contain None; fields for people stay."""
    return {key: value for key, value in values.items() if key in FOR_PEOPLE or not any(_nulls(value, key))}
