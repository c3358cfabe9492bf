"""Recognises what facescan-train wrote itself, because its commands replace no other files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import BinaryIO

from scanner.detector.card import PREFIX
from scanner.output.overwrite import Kind, check_replaceable

# Bytes at the end of an ONNX file that are searched for metadata, which stand behind the weights.
_TAIL = 2**20
_FIGURES = {"model", "sha256", "threshold", "rows"}
_PREDICTIONS = re.compile(rb"(?:\xef\xbb\xbf)?path,label,set,generator,as_found\b")
_PAGE = re.compile(rb"<!doctype html>.{0,4096}?<title>[^<]*: how good it is</title>", re.DOTALL)


def check_output(file: Path | None, kind: Kind, option: str) -> None:
    """Check that an output replaces nothing but an earlier output of its kind.

    Args:
        file: of the output; None if there is none.
        kind: of the output.
        option: that names the file, for the message.

    Raises:
        FacescanError: the file exists and is of another kind.
    """
    if file is not None:
        check_replaceable(str(file), kind, option, otherwise="remove it first")


def _is_figures(file: BinaryIO, head: bytes, unfinished: bool) -> bool:
    if not head.lstrip().startswith(b"{"):
        return False
    file.seek(0)
    try:
        return set(json.loads(file.read())) >= _FIGURES
    except ValueError:
        return False


def _is_predictions(file: BinaryIO, head: bytes, unfinished: bool) -> bool:
    return _PREDICTIONS.match(head) is not None


def _is_page(file: BinaryIO, head: bytes, unfinished: bool) -> bool:
    return _PAGE.match(head.lstrip()) is not None


def _is_model(file: BinaryIO, head: bytes, unfinished: bool) -> bool:
    """Decide whether an ONNX file has a card, which models of other origin have not."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    return f"{PREFIX}schema".encode() in file.read()


FIGURES = Kind("an evaluation's figures", _is_figures)
PREDICTIONS = Kind("an evaluation's predictions", _is_predictions)
PAGE = Kind("an evaluation's page", _is_page)
MODEL = Kind("a model with a card", _is_model)
