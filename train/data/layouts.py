"""Reads a data set as it is unpacked: folders named by class and split, or an index."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from scanner.errors import FacescanError
from train.data.samples import LABELS, Sample

# Columns that an index need not have.
OPTIONAL_COLUMNS = ("split", "set", "generator", "group")
# Names of the column of paths in published data sets; the first that an index has is used.
PATH_COLUMNS = ("path", "file", "filename", "image", "images_id", "image_id", "id")
# The same for labels. `label_str` is preferred: what 0 and 1 mean differs from set to set.
LABEL_COLUMNS = ("label_str", "label", "class")
# Names of splits in published data sets, and our names of them.
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Examples: REAL, fakes, 0_real, 1-fake, training_real, test_fake, real_images
_CLASS_NAME = re.compile(r"(?:\d+[_ -])?(?:([a-z]+)[_ -])?(real|fake)s?(?:[_ -](?:images?|faces?|photos?|pictures?))?")
UNDERSTOOD = (
    "neither an index nor a folder with real/ and fake/: understood are folders named real and fake (in any case, or "
    "0_real, training_fake and the like), alone or inside train, valid and test; and an index, CSV with path,label"
)


def read_layout(data: Path) -> list[Sample]:
    """Read an index, or a folder with folders named by class.

    Raises:
        FacescanError: `data` is neither, or it has no pictures of one of the classes.
    """
    samples = _read_folders(data) if data.is_dir() else _read_index(data)
    for label, fake in zip(LABELS, (False, True), strict=True):
        if not any(sample.fake == fake for sample in samples):
            raise FacescanError(f"{data}: no {label} pictures")
    return samples


def _read_folders(root: Path) -> list[Sample]:
    name = root.resolve().name
    samples = []
    unlabelled: Counter[str] = Counter()
    for folder, folders, files in os.walk(root):
        folders.sort()
        place = Path(folder).relative_to(root)
        label, split = _of_folders(place.parts)
        if not label:
            unlabelled[place.as_posix()] += len(files)
            continue
        for file in sorted(files):
            path = place / file
            samples.append(Sample(path.as_posix(), root / path, label == "fake", name, "", "", split))
    if {sample.fake for sample in samples} != {False, True}:
        folders_found = [found for found in unlabelled if found != "."] + sorted(
            {s.path.split("/")[0] for s in samples}
        )
        there = (
            f"the folders {', '.join(folders_found[:8])}" if folders_found else f"{unlabelled['.']} files, no folder"
        )
        raise FacescanError(f"{root}: {UNDERSTOOD}; found: {there}{' ...' if len(folders_found) > 8 else ''}")
    return _with_whole_splits(samples)


def _of_folders(names: Sequence[str]) -> tuple[str, str]:
    """Find the class and the split in the names of the folders around a picture, from the innermost outwards.

    Returns:
        `real`, `fake` or empty; and `train`, `validation`, `test` or empty.
    """
    label = split = ""
    for name in reversed(names):
        lower = name.lower()
        found = _CLASS_NAME.fullmatch(lower)
        if found and (not found[1] or found[1] in SPLITS):
            label = label or found[2]
            split = split or SPLITS.get(found[1] or "", "")
        split = split or SPLITS.get(lower, "")
    return label, split


def _with_whole_splits(samples: list[Sample]) -> list[Sample]:
    """Drop the splits unless every picture is in one and there are several: `training_real` alone is no split."""
    splits = {sample.split for sample in samples}
    if "" not in splits and len(splits) > 1:
        return samples
    return [replace(sample, split="") for sample in samples]


def _read_index(index: Path) -> list[Sample]:
    """Read a CSV index.

    Raises:
        FacescanError: it is no CSV, a column is missing, or a line is wrong.
    """
    try:
        with index.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FacescanError(f"{index}: no index of pictures: {error}") from error
    columns = _columns(index, rows[0] if rows else ())
    find = _Finder(index.parent, [row[columns["path"]] for row in rows if row[columns["path"]]])
    samples = []
    for line, row in enumerate(rows, start=2):
        try:
            samples.append(_sample({name: row.get(column) or "" for name, column in columns.items()}, find))
        except ValueError as error:
            raise FacescanError(f"{index}: line {line}: {error}") from error
    return _with_whole_splits(samples)


def _columns(index: Path, header: Iterable[str | None]) -> dict[str, str]:
    """Find the columns of an index.

    Returns:
        The index's name of each column that it has, by `path`, `label` and `OPTIONAL_COLUMNS`.

    Raises:
        FacescanError: there is no column of paths, or none of labels.
    """
    by_name = {name.strip().lower(): name for name in header if name}
    found = {name: by_name[name] for name in OPTIONAL_COLUMNS if name in by_name}
    for name, aliases in (("path", PATH_COLUMNS), ("label", LABEL_COLUMNS)):
        column = next((by_name[alias] for alias in aliases if alias in by_name), None)
        if column is not None:
            found[name] = column
    missing = [name for name in ("path", "label") if name not in found]
    if missing:
        raise FacescanError(f"{index}: no index of pictures: without {', '.join(missing)}")
    return found


def _sample(row: Mapping[str, str], find: Callable[[str], Path]) -> Sample:
    """Make a sample of a line of an index.

    Args:
        row: the line's values by the names of `_columns`.
        find: returns the file of a path.

    Raises:
        ValueError: path, label or split is wrong.
    """
    path = row["path"]
    if not path or "\0" in path:
        raise ValueError("no path of a picture")
    label = _label(row["label"], path)
    if not label:
        raise ValueError(f"label {row['label']!r} is neither real nor fake")
    split, set_name, generator, group = (row.get(name, "").strip() for name in OPTIONAL_COLUMNS)
    if split.lower() not in ("", *SPLITS):
        raise ValueError(f"split {split!r} is neither train, validation nor test")
    split = SPLITS.get(split.lower(), "") or _of_folders(PurePosixPath(path).parts[:-1])[1]
    return Sample(path, find(path), label == "fake", set_name, generator, group, split)


def _label(text: str, path: str) -> str:
    """Read a label: `real`, `fake` or empty. What 0 and 1 mean is decided by the folders of the path."""
    text = text.strip().lower()
    if text in ("0", "1"):
        return _of_folders(PurePosixPath(path).parts[:-1])[0]
    return text if text in LABELS else ""


class _Finder:
    """Finds the files of an index: beside it, or in a folder below it as data sets are unpacked."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self._base, self._by_name = folder, {}
        first = paths[0] if paths else ""
        if not first or "\0" in first or any((folder / path).exists() for path in paths[:20] if "\0" not in path):
            return
        found = sorted(file for file in folder.rglob("*") if file.is_file())
        base = next((file for file in found if file.as_posix().endswith(f"/{first}")), None)
        if base is not None:  # the index stands above the folder that its paths begin in
            self._base = Path(base.as_posix()[: -len(first) - 1])
        else:  # the index has names without folders
            self._by_name = {name: file for file in found for name in (file.name, file.stem)}

    def __call__(self, path: str) -> Path:
        return self._by_name.get(path, self._base / path)


def summary(data: Path, samples: Sequence[Sample]) -> str:
    """Say in one line what a data set holds.

    Args:
        data: the index or folder.
        samples: the pictures that are used.
    """
    counts = _counts(samples)
    kind = "folders" if data.is_dir() else "an index"
    splits = Counter(sample.split for sample in samples)
    if "" in splits:
        return f"found {kind}: {counts}, not split"
    parts = [
        f"{split} {_counts(sample for sample in samples if sample.split == split)}"
        for split in ("train", "validation", "test")
        if splits[split]
    ]
    return f"found {kind}, already split: {'; '.join(parts)}"


def _counts(samples: Iterable[Sample]) -> str:
    counts: Mapping[str, int] = Counter(LABELS[sample.fake] for sample in samples)
    return ", ".join(f"{counts.get(label, 0):,} {label}" for label in LABELS)
