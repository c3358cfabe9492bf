"""Renders HTML pages from Jinja2 templates. A page holds everything it needs, and all pages look alike.

To add a page, write a template that begins with ``{% extends "base.html.j2" %}``; that file says what it may fill in.

Imports `output`, `sources`, `files`, `detector` and the vocabulary.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scanner.errors import FacescanError

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent


def render(template: str, folder: Path = HERE, **context: Any) -> str:
    """Return a page. Values in `context` are escaped, unless they are `markupsafe.Markup`; a missing value is an error.

    Args:
        template: name of the template.
        folder: where the template, its styles and scripts are; those of facescan are found, too.
        context: values for the template.

    Raises:
        FacescanError: the extra `report` is not installed.
    """
    return _environment(folder).get_template(template).render(context)


@cache
def _environment(folder: Path) -> jinja2.Environment:
    try:
        import jinja2
    except ImportError as error:
        raise FacescanError("pages need Jinja2 and Matplotlib: pip install jinja2 matplotlib") from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"asset": partial(_asset, folder), "hash_of": partial(_hash_of, folder)}
    environment.filters |= {"thousands": "{:,}".format, "share": _share, "words": lambda name: name.replace("_", " ")}
    return environment


def _share(part: int, whole: int) -> str:
    """Return a percentage such as ``0.4 %``, with enough digits to tell it from zero."""
    if not part or not whole:
        return "0 %"
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.1f} %" if percent >= 0.1 else "< 0.1 %"


def _asset(folder: Path, name: str) -> Any:
    """Return the text of a style sheet or script, as trusted markup."""
    from markupsafe import Markup

    return Markup(_text(folder, name))  # noqa: S704  # facescan's own file


def _hash_of(folder: Path, name: str) -> str:
    """Return the source expression that allows just this style sheet or script in a Content-Security-Policy
    (Level 3, 2.3.1).
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(_text(folder, name).encode()).digest()).decode()}'"


@cache
def _text(folder: Path, name: str) -> str:
    file = folder / name
    return (file if file.is_file() else HERE / name).read_text("utf-8")
