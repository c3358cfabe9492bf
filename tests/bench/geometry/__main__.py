"""``python -m tests.bench.geometry``: labelled pictures in, a table of changes and what they do to verdicts out."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from scanner.errors import FacescanError
from scanner.faces.finder import FaceFinder
from scanner.imaging.decode import decode
from tests.bench.geometry.look import DRAWN_OVER, SAVED, TOUCHED
from tests.bench.geometry.place import CUT, FRAMED, ON_CANVAS, SIZED, TURNED
from tests.bench.geometry.portrait import Change, Portrait, content
from tests.bench.geometry.table import COLUMNS, figures, lines
from train.data.crops import largest
from train.data.index import read_samples
from train.data.samples import Sample

CONTROL = "control: saved as PNG"
CHANGES: dict[str, Change] = {
    CONTROL: lambda portrait: portrait.picture,
    **TURNED,
    **CUT,
    **FRAMED,
    **SIZED,
    **DRAWN_OVER,
    **TOUCHED,
    **SAVED,
    **ON_CANVAS,
}


# Pictures that are looked at to find one that the model is right about, at most.
TRIES = 4


def draw(samples: Sequence[Sample], count: int | None, seed: int) -> list[Portrait]:
    """Decode some pictures of each class, and find their largest face.

    Args:
        samples: labelled pictures.
        count: how many pictures with a face to draw of each class, at most; None for all.
        seed: of the order in which they are drawn.

    Raises:
        FacescanError: no picture of one of the classes has a face.
    """
    finder, random = FaceFinder(), np.random.default_rng(seed)
    drawn: dict[bool, list[Any]] = {False: [], True: []}
    for fake, portraits in drawn.items():
        those = [sample for sample in samples if sample.fake == fake]
        for i in random.permutation(len(those)):
            if len(portraits) == count:
                break
            picture = decode(those[i].file.read_bytes()).picture
            if picture is not None and (faces := finder.find(picture)):
                portraits.append((picture, largest(faces).box))
        if not portraits:
            raise FacescanError(f"no face was found in any of {len(those)} {'fake' if fake else 'real'} pictures")
    real = [picture for picture, _ in drawn[False]]
    return [
        Portrait(picture, box, fake, real[(i + 1) % len(real)])
        for fake, portraits in drawn.items()
        for i, (picture, box) in enumerate(portraits)
    ]


def called_right(
    portraits: Sequence[Portrait], count: int | None, program: Sequence[str], model: str
) -> list[Portrait]:
    """Choose portraits whose verdict is their label before they are changed: `count` of each class at most, or all."""
    rows = changed(portraits, [CONTROL], program, model)[CONTROL]
    right: dict[bool, list[Portrait]] = {True: [], False: []}
    for portrait, row in zip(portraits, rows, strict=True):
        if row["verdict"] == ("fake" if portrait.fake else "real"):
            right[portrait.fake].append(portrait)
    return [portrait for those in right.values() for portrait in those[:count]]


def scan(folder: Path, program: Sequence[str], model: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Scan a folder of folders; yield the folder's name, the picture's number and the row."""
    out = folder / "rows.jsonl"
    options = ["--model", model, "--out", str(out), "--quiet", "--no-cache", "--exit-zero"]
    subprocess.run([*program, str(folder), *options], check=True)
    for row in map(json.loads, out.read_text("utf-8").splitlines()):
        path = Path(row["path"])
        yield path.parent.name, int(path.stem), row


def changed(portraits: Sequence[Portrait], names: Sequence[str], program: Sequence[str], model: str) -> dict[str, Any]:
    """Change the portraits in every way, and scan all files in one run.

    Args:
        portraits: to change.
        names: of changes in `CHANGES`.
        program: the command to scan with, and its first arguments.
        model: a bundled name, or an ONNX file.

    Returns:
        Rows as facescan writes them into JSON Lines, in the order of the portraits, by the name of the change.

    Raises:
        FacescanError: a changed picture cannot be judged.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for number, name in enumerate(names):
            (folder := Path(scratch) / str(number)).mkdir()
            for i, portrait in enumerate(portraits):
                # Every build of facescan takes this suffix; what the file holds decides how it is read.
                (folder / f"{i}.png").write_bytes(content(CHANGES[name](portrait)))
        found: dict[str, list[Any]] = {name: [None] * len(portraits) for name in names}
        for folder_name, i, row in scan(Path(scratch), program, model):
            if row["verdict"] == "error":
                raise FacescanError(f"{names[int(folder_name)]}: picture {i} cannot be judged: {row['reason']}")
            found[names[int(folder_name)]][i] = row
    return found


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FOLDER...")
@click.option("--model", default="default", show_default=True, help="A bundled name, or an ONNX file.")
@click.option("--count", type=click.IntRange(1), help="Pictures of each class, at most.  [default: all]")
@click.option("--seed", type=int, default=7, show_default=True, help="Of the choice of pictures.")
@click.option("--only", multiple=True, metavar="WORD", help="Only changes whose name has this word in it; repeatable.")
@click.option("--csv", "table", type=click.Path(dir_okay=False, path_type=Path), help="Write the table here, too.")
@click.option("--facescan", help="The command to measure.  [default: that of this checkout]")
def command(
    data: tuple[Path, ...],
    model: str,
    count: int | None,
    seed: int,
    only: tuple[str, ...],
    table: Path | None,
    facescan: str | None,
) -> None:
    """Print how many verdicts change when the faces in FOLDER are turned, cut, framed, drawn over or saved anew.

    Changes only fakes that are called fake, and reals that are called real, before.
    """
    names = [name for name in CHANGES if name == CONTROL or not only or any(word in name for word in only)]
    program = shlex.split(facescan) if facescan else [sys.executable, "-m", "scanner"]
    try:
        samples = [sample for folder in data for sample in read_samples(folder)]
        tried = draw(samples, count and TRIES * count, seed)
        portraits = called_right(tried, count, program, model)
        rows = changed(portraits, names, program, model)
    except FacescanError as error:
        raise click.ClickException(str(error)) from error
    measured = figures(rows, [portrait.fake for portrait in portraits], CONTROL, list(ON_CANVAS))
    click.echo("\n".join(lines(measured)))
    if table:
        with table.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(measured)


if __name__ == "__main__":
    command(prog_name="python -m tests.bench.geometry")
