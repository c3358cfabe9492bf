"""Reads what a file says about where it comes from: marks of generators, editors and cameras, and how it was saved.

This is evidence beside p_fake and never part of it. Marks are easily forged, and lost whenever a picture is saved
again: a picture without marks proves nothing.

Imports `imaging` and the vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scanner.provenance.exif import comment_of, exif_values, text_of
from scanner.provenance.generators import CREDITS, PROGRAMS, Origin, origin_of, source_type
from scanner.provenance.jpeg_tables import quality
from scanner.provenance.manifest import read_manifest
from scanner.provenance.metadata import Block, blocks
from scanner.provenance.xmp import properties
from scanner.result import GENERATED

# Limits: marks of a file; characters of a mark's value, of a program's name, and of all texts of a file together.
_MAX_MARKS, _MAX_VALUE, _MAX_NAME, _MAX_TEXT = 16, 200, 500, 2**19
_NAMES = PROGRAMS | CREDITS
# Kinds of marks that are always listed -> what they mean if the table of generators does not know the text.
_ALWAYS_LISTED = dict.fromkeys(
    "exif_software xmp_creator_tool iptc_program png_software aigc_label c2pa c2pa_remote".split(), "unknown"
) | {"exif_camera": "camera"}

_MAKE, _MODEL, _DESCRIPTION, _XP_COMMENT, _USER_COMMENT = 0x010F, 0x0110, 0x010E, 0x9C9C, 0x9286
_PROGRAM_TAGS = {
    0x0131: "Software",
    0x000B: "ProcessingSoftware",
    0xA43A: "RAWDevelopingSoftware",
    0xA43B: "ImageEditingSoftware",
}
_TAGS = {_MAKE, _MODEL, _DESCRIPTION, _XP_COMMENT, _USER_COMMENT, *_PROGRAM_TAGS}
# IPTC-NAA IIM 4.2, record 2.
_DATASETS = {65: ("iptc_program", "IPTC OriginatingProgram"), 110: ("iptc_credit", "IPTC Credit")}
_MAX_DATASETS = 500
_FORMATS = {
    "jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "png": ("png", "apng"),
    "webp": ("webp",),
    "gif": ("gif",),
    "bmp": ("bmp", "dib"),
    "tiff": ("tif", "tiff"),
    "avif": ("avif", "heif", "hif"),
    "heic": ("heic", "heif", "hif"),
    "jxl": ("jxl",),
    "svg": ("svg",),
}
_SUFFIXES = frozenset(suffix for suffixes in _FORMATS.values() for suffix in suffixes)


@dataclass(frozen=True, slots=True)
class _Text:
    """Holds one text of a file's metadata.

    Attributes:
        kind: of the mark that it would make.
        where: it stands, for people.
        text: its content.
        key: the keyword of a PNG's text; else empty.
    """

    kind: str
    where: str
    text: str
    key: str = ""


def provenance(data: bytes, format: str, colour_profile: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    """Return a row's `provenance`, except what depends on the name and the pixels. Never raises.

    Args:
        data: the file.
        format: of its content; empty if it is not a picture, which gives None.
        colour_profile: what decoding found out about it.
    """
    if not format:
        return None
    manifest: dict[str, Any] | None = None
    marks: dict[str, dict[str, Any]] = {}
    left = _MAX_TEXT
    for block in blocks(data, format):
        if block.kind == "c2pa":
            manifest = manifest or read_manifest(data, format, block.content)
            continue
        for statement in _texts(block):
            left -= len(statement.text)
            if left > 0:
                _add(marks, statement)
    for statement in _of_manifest(manifest) if manifest else ():
        _add(marks, statement)
    compression = quality(data) if format == "jpeg" else None
    return {
        "marks": sorted(marks.values(), key=lambda mark: mark["means"] != GENERATED)[:_MAX_MARKS],
        "jpeg_quality": compression[0] if compression else None,
        "jpeg_tables": ("standard" if compression[1] else "other") if compression else None,
        "double_compression": None,
        "suffix": None,
        "c2pa": manifest,
        "colour_profile": colour_profile,
    }


def lying_suffix(path: str, format: str) -> str | None:
    """Return the suffix of a name, in lower case, if it belongs to another format than the content's; else None."""
    suffix = os.path.splitext(path)[1].lower().removeprefix(".")
    return suffix if suffix in _SUFFIXES and suffix not in _FORMATS.get(format, ()) else None


def _add(marks: dict[str, dict[str, Any]], statement: _Text) -> None:
    """Add the mark that a text makes, if any; of equal values, only the first is listed."""
    text = statement.text[:_MAX_NAME].replace("_", " ") if statement.kind in _NAMES else statement.text
    value = " ".join(statement.text[: 4 * _MAX_VALUE].split())[:_MAX_VALUE]
    if statement.kind == "digital_source_type":
        term = source_type(text)
        origin = Origin(means=term[1]) if term else None
        value = term[0] if term else value
    else:
        origin = origin_of(statement.kind, text, statement.key)
    if origin is None and statement.kind in _ALWAYS_LISTED:
        origin = Origin(means=_ALWAYS_LISTED[statement.kind])
    if origin and value and len(marks) < 4 * _MAX_MARKS:
        mark = {"kind": statement.kind, "where": statement.where, "value": value}
        marks.setdefault(value, mark | {"generator": origin.generator, "means": origin.means})


def _texts(block: Block) -> Iterator[_Text]:
    """Yield the texts of a block that may make a mark."""
    if block.kind == "exif":
        yield from _of_exif(block.content)
    elif block.kind == "xmp":
        for kind, name, value in properties(block.content):
            if kind != "c2pa_remote" or value.startswith("http"):  # else it refers to a place in this file
                yield _Text(kind, f"XMP {name}", value)
    elif block.kind == "iptc":
        yield from _of_iptc(block.content)
    elif block.kind == "comment":
        yield _Text("jpeg_comment", "JPEG comment", block.content.decode("utf-8", "replace"))
    elif block.kind == "text":
        kind = {"Software": "png_software", "AIGC": "aigc_label"}.get(block.key, "png_text")
        yield _Text(kind, f"PNG text {block.key}", block.content.decode("utf-8", "replace"), block.key)


def _of_exif(content: bytes) -> Iterator[_Text]:
    values = exif_values(content, _TAGS)
    camera = [text_of(values[tag]) for tag in (_MAKE, _MODEL) if tag in values]
    if camera:
        yield _Text("exif_camera", "EXIF Make, Model", " ".join(camera))
    for tag, name in _PROGRAM_TAGS.items():
        if tag in values:
            yield _Text("exif_software", f"EXIF {name}", text_of(values[tag]))
    if _DESCRIPTION in values:
        yield _Text("exif_description", "EXIF ImageDescription", text_of(values[_DESCRIPTION]))
    if _XP_COMMENT in values:  # Windows' own tag, in UTF-16
        yield _Text("exif_description", "EXIF XPComment", values[_XP_COMMENT].decode("utf-16-le", "replace"))
    if _USER_COMMENT in values:
        yield _Text("exif_comment", "EXIF UserComment", comment_of(values[_USER_COMMENT]))


def _of_iptc(content: bytes) -> Iterator[_Text]:
    at = 0
    for _ in range(_MAX_DATASETS):
        if at + 5 > len(content) or content[at] != 0x1C:
            return
        record, number = content[at + 1], content[at + 2]
        size = int.from_bytes(content[at + 3 : at + 5], "big")  # if its first bit is set, it is the length of the size
        if record == 2 and number in _DATASETS:
            yield _Text(*_DATASETS[number], content[at + 5 : at + 5 + size].decode("utf-8", "replace"))
        at += 5 + size


def _of_manifest(manifest: Mapping[str, Any]) -> Iterator[_Text]:
    """Yield the texts of a C2PA manifest that may make a mark."""
    where = f"C2PA manifest, {manifest['state']}"
    yield _Text("c2pa", where, manifest["claim_generator"] or "present")
    for agent in manifest["software_agents"]:
        yield _Text("c2pa_software_agent", where, agent)
    for term in manifest["source_types"]:
        yield _Text("digital_source_type", where, term)
