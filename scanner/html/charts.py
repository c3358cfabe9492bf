"""Draws charts as SVG: Matplotlib draws, and the page's style sheet colours, so that charts follow light and dark mode.

Draw on `axes`, in the colours below and with text of size TEXT, and put what `svg` returns into a template:

    chart = axes("p_fake", "files")
    chart.bar(x, y, color=FAKE)
    render("mine.html.j2", scores=svg(chart, "scores", "Most files score below 0.1."))

    <figure><figcaption>Scores</figcaption>{{ scores }}</figure>
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import re
import shutil
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from scanner.errors import FacescanError

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Placeholder colours, because Matplotlib knows no CSS variables: `svg` replaces each with a variable of base.css.
INK, QUIET, LINE = "#0a0b01", "#0a0b02", "#0a0b03"
FAKE, UNCERTAIN, REAL, ACCENT = "#0a0b04", "#0a0b05", "#0a0b06", "#0a0b07"
_VARIABLES = {
    INK: "--ink", QUIET: "--quiet", LINE: "--line", FAKE: "--fake", UNCERTAIN: "--uncertain", REAL: "--real",
    ACCENT: "--link",
}  # fmt: skip
SIZE = (420, 230)  # pixels; little more than a phone's width, so that text stays legible there
TEXT = 8.5  # points, or 11.3 pixels: size of text in a chart
_RC: Any = {
    "svg.fonttype": "none",
    "font.size": TEXT,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": LINE,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "axes.formatter.use_mathtext": False,
}
_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_LEFT_TO_CSS = ("font-family", "stroke-linejoin", "stroke-linecap")
_REFERRED_TO = re.compile("[mp][0-9a-f]{10}")  # markers and clip paths; salted with the chart's name


def keep_fonts(kept: bool = True) -> None:
    """Make Matplotlib cache its list of fonts in facescan's cache folder, not in the user's home directory.

    Making that list takes 0.4 s of processor time. A folder that the user chose (MPLCONFIGDIR) is respected.

    Args:
        kept: False for a temporary folder that is removed when this process ends.
    """
    from scanner.cache.database import cache_file

    if "MPLCONFIGDIR" in os.environ:
        return
    if kept and (cache := cache_file()):
        folder = os.path.join(os.path.dirname(cache), "matplotlib")
        with suppress(OSError):  # Matplotlib takes a temporary folder then
            os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    else:
        folder = tempfile.mkdtemp(prefix="facescan-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["MPLCONFIGDIR"] = folder


def axes(x: str, y: str, size: tuple[int, int] = SIZE) -> Axes:
    """Return an empty chart.

    Args:
        x: label of the x axis.
        y: label of the y axis.
        size: width and height in pixels.

    Raises:
        FacescanError: the extra `report` is not installed.
    """
    try:
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # or it prints messages about its cache and fonts
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FacescanError("charts need Jinja2 and Matplotlib: pip install jinja2 matplotlib") from error
    with matplotlib.rc_context(_RC):
        figure = Figure((size[0] / 96, size[1] / 96), layout="constrained")
        chart = figure.add_subplot()
        chart.set(xlabel=x, ylabel=y)
    return chart


def svg(chart: Axes, name: str, description: str) -> Markup:
    """Return the chart as markup for a page.

    Args:
        chart: from `axes`.
        name: of the chart, unique on the page.
        description: what the chart shows, for screen readers.
    """
    import matplotlib
    from markupsafe import Markup

    text = io.StringIO()
    figure: Figure = chart.figure  # type: ignore[assignment]
    with matplotlib.rc_context(_RC | {"svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(text.getvalue())  # noqa: S314  # Matplotlib's, not a stranger's
    _without(root, f"{{{_SVG}}}metadata", f"{{{_SVG}}}style")
    for element in root.iter():
        _inline_style(element)
    for side in ("width", "height"):
        del root.attrib[side]
    root.set("fill", "currentColor")  # the colour of text that has none
    root.set("role", "img")
    root.set("aria-label", description)
    ElementTree.register_namespace("", _SVG)
    markup = ElementTree.tostring(root, encoding="unicode")
    for colour, variable in _VARIABLES.items():
        markup = markup.replace(colour, f"var({variable})")
    return Markup(markup)  # noqa: S704  # ElementTree has escaped it


def _without(root: ElementTree.Element, *tags: str) -> None:
    """Remove all elements with these tags."""
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in tags]:
            parent.remove(child)


def _inline_style(element: ElementTree.Element) -> None:
    """Turn a style, which the page's policy forbids, into attributes; remove ids that another chart may have."""
    for item in element.attrib.pop("style", "").split(";"):
        key, _, value = item.strip().partition(": ")
        if key and key not in _LEFT_TO_CSS:
            element.set(key, value)
    if not _REFERRED_TO.fullmatch(element.get("id", "")):
        element.attrib.pop("id", None)
    if "d" in element.attrib:
        element.set("d", " ".join(element.attrib["d"].split()))
    if _LINK in element.attrib:
        element.set("href", element.attrib.pop(_LINK))
    if element.text and not element.text.strip():
        element.text = None
    element.tail = None
