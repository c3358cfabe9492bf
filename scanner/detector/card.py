"""Reads and checks a model card: the metadata of an ONNX file with keys `facescan.*` and JSON values."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from scanner.errors import FacescanError
from scanner.imaging.crop import EDGES
from scanner.imaging.ela import ALPHA, BETA, QUALITY

CARD_SCHEMA = 1
PREFIX = "facescan."
# Pixels of all inputs of a model together: no published model has more than 4096 x 4096.
MAX_REGION_PIXELS = 4096 * 4096
TASKS = ("synthesis", "swap", "manipulation", "general")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The preprocessing of one input tensor of a model.

    A pixel v (0..255) becomes ``((v / 255) * (high - low) + low - mean) / std``, by channel; an ONNX input of type
    uint8 gets the pixels unchanged.

    Attributes:
        name: name of the ONNX input.
        content: `picture`, or `ela` for the Error Level Analysis map of the same region.
        layout: `NHWC` or `NCHW`.
        color: `RGB` or `BGR`.
        size: height, width in pixels.
        range: low, high.
        mean, std: by channel, in the units of `range`.
        ela: quality (1..100), alpha and beta of the map.
    """

    name: str
    size: tuple[int, int]
    content: str = "picture"
    layout: str = "NHWC"
    color: str = "RGB"
    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ela: Mapping[str, float] = field(default_factory=lambda: {"quality": QUALITY, "alpha": ALPHA, "beta": BETA})


@dataclass(frozen=True, slots=True)
class CropSpec:
    """How a face is cut out of a picture. A card without the key `crop` means the defaults.

    Attributes:
        edge: what to do where the square does not fit into the picture: one of `scanner.imaging.crop.EDGES`.
        level: largest tilt, in degrees from the nearest quarter turn, that is left as it is. A face that is tilted
            further is turned level. Measured with `default` 3 on 1,397 ordinary real portraits: from 15 degrees on 49
            are called fake, from 20 on 48, from 25 on and never 47; AUC 0.759, 0.760, 0.761 and 0.758. It pays for
            fakes tilted by 30 degrees: 26 of 40 stay fake; of 60 that were not levelled, none did.
        tight: smallest margin that the picture must have round a face for the verdict REAL, in parts of the longer side
            of the face's box (`scanner.imaging.crop.available_margin`).
    """

    edge: str = "clamp"
    level: float = 15.0
    tight: float = 0.0


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """The output tensor of a model.

    Attributes:
        name: name of the ONNX output.
        kind: `logit`, `sigmoid` or `softmax`. A logit or sigmoid may have one column, or one for each label.
    """

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Card:
    """A model card. Fields without a default must be in the file.

    Attributes:
        schema: version of the card's format.
        name: of the model.
        version: of the model.
        task: kind of fake that the model was trained to detect, one of `TASKS`.
        labels: names of the classes, in the order of the output's columns.
        fake: index of the fake class in `labels`.
        inputs: the input tensors.
        output: the output tensor.
        source: `face` (each face is cropped) or `image` (the whole picture).
        calibration: a and b of Platt's p_fake = sigmoid(a * logit + b).
        operating_points: threshold on p_fake by false-positive rate; the rate as a string, both 0..1.
        uncertain: low and high; p_fake from low up to, but not including, high gives the verdict UNCERTAIN.
        margin: for faces: margin on every side, in parts of the box's longer side.
        crop: for faces: how they are cut out at the picture's edge, and if they are tilted.
        activation: name of the output that `Detector.contributions` returns; empty if there is none.
        description: for people.
        license: for people.
        training: for people, any JSON value.
        metrics: for people, any JSON value.
    """

    schema: int
    name: str
    version: str
    task: str
    labels: tuple[str, ...]
    fake: int
    inputs: tuple[InputSpec, ...]
    output: OutputSpec
    source: str
    calibration: tuple[float, float]
    operating_points: Mapping[str, float]
    uncertain: tuple[float, float]
    margin: float = 0.0
    crop: CropSpec = field(default_factory=CropSpec)
    activation: str = ""
    description: str = ""
    license: str = ""
    training: Any = None
    metrics: Any = None

    def to_metadata(self) -> dict[str, str]:
        """Return the card as the metadata of an ONNX file (`metadata_props`)."""
        return {PREFIX + key: json.dumps(value) for key, value in asdict(self).items()}


def read_card(metadata: Mapping[str, str], file: str) -> Card:
    """Parse and check the metadata of an ONNX file.

    Args:
        metadata: all of it; keys without the prefix `facescan.` are ignored.
        file: name of the file, for messages.

    Raises:
        FacescanError: the metadata are no valid card; the message lists all that is missing or wrong, in one line.
    """
    texts = {key.removeprefix(PREFIX): text for key, text in metadata.items() if key.startswith(PREFIX)}
    values, faults = _parse(texts)
    card = None
    if not faults:
        card, faults = _build(values)
    if card is None:
        wrong = "; ".join(map(_shorten, faults))
        raise FacescanError(
            f"{file}: not a facescan model: {wrong}; see 'The contract of a model file' in scanner/README.md"
        )
    return card


def _parse(texts: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Parse the JSON values of a card.

    Args:
        texts: the values by key, without prefix.

    Returns:
        The values of known keys, and what is wrong: missing keys, values that are not JSON, and misspelt keys. Other
        unknown keys are ignored: a later schema may add some.
    """
    known = {f.name for f in fields(Card)}
    faults = [f"{PREFIX}{key} is missing" for key in _required_keys() if key not in texts]
    values: dict[str, Any] = {}
    for key, text in texts.items():
        try:
            values[key] = json.loads(text)
        except (ValueError, RecursionError):
            faults.append(f"{PREFIX}{key} is not JSON")
    faults += [f"{PREFIX}{key} is unknown, did you mean {PREFIX}{meant}?" for key, meant in _misspelt(values, texts)]
    return {key: value for key, value in values.items() if key in known}, faults


def _required_keys() -> list[str]:
    """List the fields of a card that have no default."""
    return [f.name for f in fields(Card) if f.default is MISSING and f.default_factory is MISSING]


def _misspelt(values: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each parsed key that looks like a misspelt key of the card, and that key, if it is missing."""
    known = [f.name for f in fields(Card)]
    for key in values.keys() - set(known):
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
        if near and near[0] not in texts:
            yield key, near[0]


def _build(values: dict[str, Any]) -> tuple[Card | None, list[str]]:
    """Build a card from parsed values, and check it.

    Returns:
        The card, None if it is invalid; and what is wrong with it.
    """
    try:
        inputs = tuple(_input(dict(spec)) for spec in values["inputs"])
        card = Card(
            **values
            | {
                "labels": tuple(values["labels"]),
                "inputs": inputs,
                "output": OutputSpec(**values["output"]),
                "calibration": _numbers(values["calibration"], 2),
                "operating_points": {str(float(k)): float(v) for k, v in values["operating_points"].items()},
                "uncertain": _numbers(values["uncertain"], 2),
                "margin": float(values.get("margin", 0.0)),
                "crop": _crop(dict(values.get("crop", {}))),
            }
        )
        faults = _contradictions(card)
    except (TypeError, ValueError, OverflowError, AttributeError, KeyError) as error:
        return None, [f"a field has the wrong form: {error}"]
    return (None if faults else card), faults


def _input(spec: dict[str, Any]) -> InputSpec:
    """Build the preprocessing of one input from parsed values."""
    for key, length in (("size", 2), ("range", 2), ("mean", 3), ("std", 3)):
        if key in spec:
            spec[key] = _numbers(spec[key], length)
    if "size" in spec:
        spec["size"] = (int(spec["size"][0]), int(spec["size"][1]))
    if "ela" in spec:
        spec["ela"] = {key: float(value) for key, value in spec["ela"].items()}
    return InputSpec(**spec)


def _crop(spec: dict[str, Any]) -> CropSpec:
    """Build the rules for cutting out faces from parsed values."""
    return CropSpec(**spec | {key: float(spec[key]) for key in ("level", "tight") if key in spec})


def _numbers(values: Any, length: int) -> tuple[float, ...]:
    """Convert `length` parsed values to finite numbers.

    Raises:
        ValueError, TypeError: there are more or fewer, or they are no finite numbers.
    """
    numbers = tuple(float(value) for value in values)
    if len(numbers) != length:
        raise ValueError(f"there should be {length} numbers: {values!r}")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"there should be finite numbers: {values!r}")
    return numbers


def _contradictions(card: Card) -> list[str]:
    """List what is wrong with the values of a card."""
    low, high = card.uncertain
    checks = [
        (card.schema == CARD_SCHEMA, f"schema {card.schema} is not {CARD_SCHEMA}; a newer facescan may read it"),
        (_is_name(card.name), f"name {card.name!r} is none"),
        (_is_name(card.version), f"version {card.version!r} is none"),
        (card.task in TASKS, f"task {card.task!r} is none of {', '.join(TASKS)}"),
        (len(card.labels) == 2 and _is_index(card.fake), "labels should be two, and fake the index of one"),
        (not _labels_contradict_fake(card), f"labels {list(card.labels)} contradict fake {card.fake!r}"),
        (card.output.kind in ("logit", "sigmoid", "softmax"), f"output kind {card.output.kind!r} is unknown"),
        (card.source in ("face", "image"), f"source {card.source!r} is neither face nor image"),
        (0 <= card.margin <= 4, f"margin {card.margin} is outside 0..4"),
        (card.crop.edge in EDGES, f"crop: edge {card.crop.edge!r} is none of {', '.join(EDGES)}"),
        (0 <= card.crop.level <= 45, f"crop: level {card.crop.level} is outside 0..45"),
        (-0.5 <= card.crop.tight <= 4, f"crop: tight {card.crop.tight} is outside -0.5..4"),
        (0 <= low <= high <= 1, f"uncertain {[low, high]} is no band within 0..1"),
        (all(0 <= t <= 1 for t in card.operating_points.values()), "a threshold is outside 0..1"),
        (all(0 <= float(rate) <= 1 for rate in card.operating_points), "a false-positive rate is outside 0..1"),
        (isinstance(card.activation, str), f"activation {card.activation!r} is no output's name"),
        *_checks_of_all_inputs(card.inputs),
        *(check for spec in card.inputs for check in _checks_of_input(spec)),
    ]
    return [message for holds, message in checks if not holds]


def _checks_of_all_inputs(inputs: tuple[InputSpec, ...]) -> list[tuple[bool, str]]:
    """List what must hold for the inputs together, and the message if it does not."""
    pixels = sum(spec.size[0] * spec.size[1] for spec in inputs)
    return [
        (bool(inputs), "there are no inputs"),
        (pixels <= MAX_REGION_PIXELS, f"the inputs have more than {MAX_REGION_PIXELS} pixels together"),
        (len({spec.name for spec in inputs}) == len(inputs), "two inputs have the same name"),
    ]


def _checks_of_input(spec: InputSpec) -> list[tuple[bool, str]]:
    """List what must hold for one input, and the message if it does not."""
    ela_holds = (
        spec.ela.keys() == {"quality", "alpha", "beta"}
        and 1 <= spec.ela["quality"] <= 100
        and all(map(math.isfinite, spec.ela.values()))
    )
    return [
        (spec.content in ("picture", "ela"), f"input {spec.name}: content {spec.content!r} is unknown"),
        (spec.layout in ("NHWC", "NCHW"), f"input {spec.name}: layout {spec.layout!r} is unknown"),
        (spec.color in ("RGB", "BGR"), f"input {spec.name}: color {spec.color!r} is unknown"),
        (all(1 <= side <= 4096 for side in spec.size), f"input {spec.name}: size {spec.size} is outside 1..4096"),
        (all(spec.std), f"input {spec.name}: a std is 0"),
        (ela_holds, f"input {spec.name}: ela needs quality 1..100, alpha and beta"),
    ]


def _is_name(value: Any) -> bool:
    """Tell whether a value is a short text that can be printed."""
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _is_index(value: Any) -> bool:
    """Tell whether a value is the index of one of two labels; a bool is none."""
    return type(value) is int and value in (0, 1)


def _labels_contradict_fake(card: Card) -> bool:
    """Tell whether the labels `real` and `fake`, if they are used, contradict the index of the fake class."""
    return (
        len(card.labels) == 2
        and _is_index(card.fake)
        and (card.labels[card.fake] == "real" or card.labels[1 - card.fake] == "fake")
    )


def _shorten(text: str) -> str:
    """Shorten a message: the values in it come from the card, and may be long."""
    return text if len(text) <= 300 else f"{text[:300]}..."
