"""Describes the available models for `facescan --list-models`: reads their cards, and runs none of them."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from scanner.detector.card import Card, read_card
from scanner.detector.model import BUNDLED, DEFAULT_MODEL, bundled_models, find_model
from scanner.detector.onnx_file import read_metadata, read_model
from scanner.detector.thresholds import choose
from scanner.errors import FacescanError
from scanner.printable import on_one_line, printable_path

# Descriptions of the bundled models, for people.
LONG_CARDS = BUNDLED / "README.md"
_TASKS = {
    "synthesis": "tells wholly generated faces",
    "swap": "tells swapped faces",
    "manipulation": "tells faces of which parts were replaced or retouched",
    "general": "tells fakes of several kinds",
}
# Fakes that a model's figures say nothing about, by its task.
_UNKNOWN = {"manipulation": "faces that were altered in other ways", "swap": "swaps made in other ways"}
_UNKNOWN_FAKES = "generators that it was not trained on"
_ALWAYS_NOT_FOR = "Deciding about a person, as evidence, or without a human look: it is wrong too often."


@dataclass(frozen=True, slots=True)
class ListedModel:
    """Holds what is known about a model file.

    Attributes:
        name: value of `--model`.
        used: whether a scan with these options uses it.
        file: path.
        bytes, sha256: size and hash of the file; None and empty if it cannot be read.
        card: its card; None if there is none, or it is not valid.
        trouble: why there is no card; empty if there is one.
        not_for: what it must not be used for, a sentence or two each.
        long_card: path of the description, for bundled models; else None.
    """

    name: str
    used: bool
    file: str
    bytes: int | None
    sha256: str
    card: Card | None
    trouble: str
    not_for: tuple[str, ...]
    long_card: str | None


def listed_models(chosen: str | None) -> list[ListedModel]:
    """Return the bundled models, and the one that `--model` names.

    Raises:
        FacescanError: there is no model of that name.
    """
    used = chosen or DEFAULT_MODEL
    names = bundled_models()
    return [_read_listed_model(name, name == used) for name in (*names, *([used] if used not in names else []))]


def show(chosen: str | None, as_json: bool) -> tuple[str, list[str]]:
    """Return the text for standard output, as JSON or for the terminal's width; and messages about unusable models.

    Raises:
        FacescanError: there is no model of that name.
    """
    found = listed_models(chosen)
    trouble = [model.trouble for model in found if model.trouble]
    if as_json:
        return json.dumps({"models": [_json_value(model) for model in found]}), trouble
    return "\n\n".join(_text(model) for model in found if model.card), trouble


def _read_listed_model(name: str, used: bool) -> ListedModel:
    """Read a model file and its card; failures are in the result."""
    file = find_model(name)
    content, card, trouble = b"", None, ""
    try:
        content = read_model(file)
        card = read_card(read_metadata(content), str(file))
        _json_value(card)
    except FacescanError as error:
        trouble = str(error)
    except (ValueError, RecursionError):
        card, trouble = None, f"{file}: has metadata that cannot be read; export it again"
    bundled = file.parent == BUNDLED
    return ListedModel(
        name=name,
        used=used,
        file=printable_path(str(file)),
        bytes=len(content) or None,
        sha256=hashlib.sha256(content).hexdigest() if content else "",
        card=card,
        trouble=trouble,
        not_for=(_not_for(name) if bundled else ()) or (_ALWAYS_NOT_FOR,),
        long_card=str(LONG_CARDS) if bundled else None,
    )


def _json_value(card: Any) -> Any:
    """Convert a dataclass to JSON values, whatever people have put into a card: infinities and "not a number" become
    None.

    Raises:
        RecursionError: the card is nested too deeply.
    """
    return json.loads(json.dumps(asdict(card)), parse_constant=lambda _: None)


def _not_for(name: str) -> tuple[str, ...]:
    """Return the list below "Not for" in a bundled model's description, without its links."""
    text = LONG_CARDS.read_text("utf-8") if LONG_CARDS.is_file() else ""
    model = re.search(rf"^## {re.escape(name)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    section = re.search(r"^### Not for$(.*?)(?=^#|\Z)", model[1], re.MULTILINE | re.DOTALL) if model else None
    items = re.findall(r"^- (.*?)(?=^- |\Z)", section[1], re.MULTILINE | re.DOTALL) if section else []
    return tuple(re.sub(r"\[(.*?)\]\(.*?\)", r"\1", " ".join(item.split())) for item in items)


def _text(model: ListedModel) -> str:
    """Format a table of two columns: wrapped on a terminal, one line a row elsewhere."""
    assert model.card
    rows = list(_rows(model, model.card))
    if not sys.stdout.isatty():
        return "\n".join(f"{label:<10} {text}" for label, text in rows)
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for i, (label, text) in enumerate(rows):
        table.add_row(label, Text(text, "bold" if i == 0 else ""))
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")


def _rows(model: ListedModel, card: Card) -> Iterator[tuple[str, str]]:
    """Yield label and text of everything that is shown about a model."""
    name = model.name if model.name == card.name else f"{model.name} ({card.name})"
    yield "model", on_one_line(f"{name}, version {card.version}") + (", in use" if model.used else "")
    yield "task", f"{card.task}: {_TASKS[card.task]}"
    if card.description:
        yield "about", _clipped(card.description)
    sees = f"each face, with a margin of {card.margin:g}" if card.source == "face" else "the whole picture"
    kinds = ", ".join(
        f"{spec.size[1]} x {spec.size[0]} px" + (" of Error Level Analysis" if spec.content == "ela" else "")
        for spec in card.inputs
    )
    yield "sees", f"{sees}, at {kinds}"
    usual = choose(card)
    yield "thresholds", f"fake from {usual.fake:.4f}, uncertain from {usual.uncertain:.4f}"
    for rate, threshold in sorted(card.operating_points.items(), key=lambda point: -float(point[0])):
        yield "", f"fake from {threshold:.4f} with --fpr {float(rate):g}"
    yield "figures", _figures(card)
    for i, text in enumerate(model.not_for):
        yield "" if i else "not for", on_one_line(text)
    training = card.training if isinstance(card.training, dict) else {}
    if training.get("terms"):
        yield "data", _clipped(training["terms"])
    if card.license:
        yield "licence", _clipped(card.license)
    yield "file", on_one_line(f"{model.file}, {(model.bytes or 0) / 1e6:.1f} MB, sha256 {model.sha256}")
    if model.long_card:
        yield "more", on_one_line(model.long_card)


def _clipped(by_people: Any) -> str:
    """Return any value as text on one line of limited length."""
    text = on_one_line(str(by_people))
    return text if len(text) <= 500 else f"{text[:500]}..."


def _look_up(values: Any, *keys: str) -> Any:
    """Return what lies under these keys of nested objects; None if there is nothing."""
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _figures(card: Card) -> str:
    """Summarise the card's figures, if it has any: for pictures of sources that the model never saw, or else for the
    pooled test pictures that were brought to one size and re-encoded.
    """
    found = _look_up(card.metrics, "unseen", "in the wild") or _look_up(card.metrics, "pooled", "re_encoded", "all")
    shares = {"tpr_5": "fakes found at 5 % false alarms", "tpr_1": "at 1 %", "uncertain": "uncertain", "wrong": "wrong"}
    numbers = found if isinstance(found, dict) else {}
    numbers = {key: n for key, n in numbers.items() if isinstance(n, (int, float)) and math.isfinite(n)}
    figures = [f"AUC {numbers['auc']:.3f}"] if "auc" in numbers else []
    figures += [f"{text} {100 * numbers[key]:.0f} %" for key, text in shares.items() if key in numbers]
    if not figures:
        return "none in its card"
    number = f" ({numbers['n']:,.0f} held-out pictures)" if "n" in numbers else ""
    return f"{', '.join(figures)}{number}; of {_UNKNOWN.get(card.task, _UNKNOWN_FAKES)} it may find far fewer"
