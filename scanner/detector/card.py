"""What an ONNX file says of itself: the model card in its metadata (`facescan.*` keys, JSON values)."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from scanner.errors import FacescanError
from scanner.imaging.crop import EDGES
from scanner.imaging.ela import ALPHA, BETA, QUALITY

CARD_SCHEMA = 1
PREFIX = "facescan."
# Of all inputs together: nothing published looks at more than 4096 x 4096.
MAX_REGION_PIXELS = 4096 * 4096
TASKS = ("synthesis", "swap", "manipulation", "general")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How one input tensor of a model is made.

    A pixel v (0..255) becomes ``((v / 255) * (high - low) + low - mean) / std``, by channel; an ONNX input of type
    uint8 takes the pixels as they are.

    Attributes:
        name: of the ONNX input.
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
    """How a face is cut out of a picture. The defaults are what every card without the key `crop` means.

    Attributes:
        edge: what to do where the square does not fit into the picture: one of `scanner.imaging.crop.EDGES`.
        level: degrees of tilt, away from the nearest quarter turn, from which on a head is levelled. Nearer ones are
            judged as they are, but for the quarter turn. Measured with `default` 3 on 1,397 ordinary real portraits:
            from 15 degrees on 49 are called fake, from 20 on 48, from 25 on and never 47; AUC 0.759, 0.760, 0.761 and
            0.758. It pays for fakes tilted by 30 degrees: 26 of 40 stay fake, of 60 that were not levelled none did.
        tight: the least margin round a face, in parts of its box's longer side, that a verdict `real` may rest on; see
            `scanner.imaging.crop.available_margin`.
    """

    edge: str = "clamp"
    level: float = 15.0
    tight: float = 0.0


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """`kind`: `logit`, `sigmoid` or `softmax`; a logit output may have one column or one for each label."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Card:
    """A model card. The fields without a default must be in the file.

    Attributes:
        schema: version of this list.
        name, version: of the model.
        task: one of `TASKS`: what kind of fake it was made to tell.
        labels: names of the classes, in the order of the output's columns.
        fake: index of the fake class in `labels`.
        inputs, output: the tensors.
        source: `face` (each face is cropped) or `image` (the whole picture).
        margin: for faces, how much of the box's longer side is added on every side.
        crop: for faces, what happens at the picture's edge, and to heads that are tilted.
        calibration: Platt's a and b: p_fake = sigmoid(a * logit + b).
        operating_points: false-positive rate -> threshold on p_fake.
        uncertain: low, high: p_fake from low up to, but not including, high is no verdict.
        activation: the output that says where the model looked (see `Detector.contributions`); empty if there is none.
        description, license, training, metrics: for people.
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
        """The card as `metadata_props`."""
        return {PREFIX + key: json.dumps(value) for key, value in asdict(self).items()}


def read_card(metadata: Mapping[str, str], file: str) -> Card:
    """Parse and check the metadata of an ONNX file.

    Raises:
        FacescanError: with everything that is missing or wrong, in one line.
    """
    found = {key.removeprefix(PREFIX): text for key, text in metadata.items() if key.startswith(PREFIX)}
    known = {f.name: f for f in fields(Card)}
    wrong = [f"{PREFIX}{key} is missing" for key, f in known.items() if key not in found and _required(f)]
    values: dict[str, Any] = {}
    for key, text in found.items():
        try:
            values[key] = json.loads(text)
        except (ValueError, RecursionError):
            wrong.append(f"{PREFIX}{key} is not JSON")
    for key in values.keys() - known.keys():  # a later schema may add keys; a typing error should not pass as one
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
        if near and near[0] not in found:
            wrong.append(f"{PREFIX}{key} is unknown, did you mean {PREFIX}{near[0]}?")
    card = None
    if not wrong:
        card, wrong = _build({key: value for key, value in values.items() if key in known})
    if card is None:
        raise FacescanError(
            f"{file}: not a facescan model: {'; '.join(map(_short, wrong))}; "
            "see 'The contract of a model file' in scanner/README.md"
        )
    return card


def _build(values: dict[str, Any]) -> tuple[Card | None, list[str]]:
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
        wrong = _contradictions(card)
    except (TypeError, ValueError, OverflowError, AttributeError, KeyError) as error:
        return None, [f"a field has the wrong form: {error}"]
    return (None if wrong else card), wrong


def _input(spec: dict[str, Any]) -> InputSpec:
    for key, length in (("size", 2), ("range", 2), ("mean", 3), ("std", 3)):
        if key in spec:
            spec[key] = _numbers(spec[key], length)
    if "size" in spec:
        spec["size"] = (int(spec["size"][0]), int(spec["size"][1]))
    if "ela" in spec:
        spec["ela"] = {key: float(value) for key, value in spec["ela"].items()}
    return InputSpec(**spec)


def _crop(spec: dict[str, Any]) -> CropSpec:
    return CropSpec(**spec | {key: float(spec[key]) for key in ("level", "tight") if key in spec})


def _numbers(values: Any, length: int) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != length:
        raise ValueError(f"there should be {length} numbers: {values!r}")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"there should be finite numbers: {values!r}")
    return numbers


def _contradictions(card: Card) -> list[str]:
    low, high = card.uncertain
    checks = [
        (card.schema == CARD_SCHEMA, f"schema {card.schema} is not {CARD_SCHEMA}; a newer facescan may read it"),
        (_is_name(card.name), f"name {card.name!r} is none"),
        (_is_name(card.version), f"version {card.version!r} is none"),
        (card.task in TASKS, f"task {card.task!r} is none of {', '.join(TASKS)}"),
        (len(card.labels) == 2 and _is_index(card.fake), "labels should be two, and fake the index of one"),
        (not _swapped(card), f"labels {list(card.labels)} contradict fake {card.fake!r}"),
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
        (bool(card.inputs), "there are no inputs"),
        (
            sum(spec.size[0] * spec.size[1] for spec in card.inputs) <= MAX_REGION_PIXELS,
            f"the inputs have more than {MAX_REGION_PIXELS} pixels together",
        ),
        (len({spec.name for spec in card.inputs}) == len(card.inputs), "two inputs have the same name"),
    ]
    for spec in card.inputs:
        checks += [
            (spec.content in ("picture", "ela"), f"input {spec.name}: content {spec.content!r} is unknown"),
            (spec.layout in ("NHWC", "NCHW"), f"input {spec.name}: layout {spec.layout!r} is unknown"),
            (spec.color in ("RGB", "BGR"), f"input {spec.name}: color {spec.color!r} is unknown"),
            (all(1 <= side <= 4096 for side in spec.size), f"input {spec.name}: size {spec.size} is outside 1..4096"),
            (all(spec.std), f"input {spec.name}: a std is 0"),
            (
                spec.ela.keys() == {"quality", "alpha", "beta"}
                and 1 <= spec.ela["quality"] <= 100
                and all(map(math.isfinite, spec.ela.values())),
                f"input {spec.name}: ela needs quality 1..100, alpha and beta",
            ),
        ]
    return [message for holds, message in checks if not holds]


def _is_name(value: Any) -> bool:
    """Something to show people, and to write into UTF-8 files."""
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _is_index(value: Any) -> bool:
    return type(value) is int and value in (0, 1)


def _swapped(card: Card) -> bool:
    """Whether the labels, where they are called so, say that the other one is the fake."""
    return (
        len(card.labels) == 2
        and _is_index(card.fake)
        and (card.labels[card.fake] == "real" or card.labels[1 - card.fake] == "fake")
    )


def _short(text: str) -> str:
    """A lying card may be long, but not what is said of it."""
    return text if len(text) <= 300 else f"{text[:300]}..."


def _required(f: Any) -> bool:
    return f.default is MISSING and f.default_factory is MISSING
