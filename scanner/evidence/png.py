"""Saves a picture that belongs to a row as a PNG file, which says that facescan made it, and what it shows."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2

from scanner.errors import FacescanError
from scanner.imaging.decode import Picture
from scanner.printable import printable_path
from scanner.result import Result

# Bytes of a PNG up to the end of its first chunk, IHDR (PNG Specification, Third Edition, 11.2.1).
_HEADER = 33
# Bytes at the beginning of a file in which facescan's text chunk is looked for.
_HEAD = _HEADER + 256
_END = b"\0\0\0\0IEND\xaeB`\x82"
_KEYWORD = b"facescan"


def fingerprint(*parts: Any) -> str:
    """Hash everything that a picture shows, as JSON: pictures with equal fingerprints are the same picture."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def save_png(picture: Picture, folder: str, row: Result, kind: str, made_of: str) -> str:
    """Save an RGB picture.

    The content's hash keeps names apart; the stem is there for people. Equal contents have equal pictures, and two
    processes may be at them at once.

    Args:
        picture: RGB uint8.
        folder: to save it in.
        row: that it belongs to.
        kind: what it is, one word.
        made_of: its `fingerprint`.

    Returns:
        The file's path, as outputs show it.

    Raises:
        FacescanError: it cannot be written, or there is a file that is no picture of this kind of ours.
    """
    file = _file_of(folder, row)
    _, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    content = png.tobytes()
    text = b"tEXt" + _text(kind) + made_of.encode()
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    partial = file.with_name(f".{row.sha256[:16]}-{secrets.token_hex(4)}.partial")
    try:
        if file.exists() and not _may_replace(file, kind):
            raise FacescanError(f"{file}: facescan did not make this file, and leaves it as it is: name another folder")
        partial.write_bytes(content[:_HEADER] + chunk + content[_HEADER:])
        os.replace(partial, file)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise FacescanError(f"{file}: {error.strerror}") from error
    return printable_path(str(file))


def saved_png(folder: str, row: Result, kind: str, made_of: str) -> str | None:
    """Look for a picture that an earlier scan saved.

    Args:
        folder: where it would lie.
        row: that it belongs to.
        kind: what it is, one word.
        made_of: its `fingerprint`.

    Returns:
        Its path, as outputs show it; None unless `save_png` would save the same picture now.
    """
    file = _file_of(folder, row)
    try:
        with file.open("rb") as stream:
            same = _text_of(stream.read(_HEAD)) == _text(kind) + made_of.encode()
            stream.seek(-len(_END), os.SEEK_END)
            return printable_path(str(file)) if same and stream.read() == _END else None
    except OSError:
        return None


def _file_of(folder: str, row: Result) -> Path:
    stem = re.sub(r"[^\w.-]", "_", os.path.basename(row.path)).encode()[:80].decode("utf-8", "ignore")
    return Path(folder) / f"{stem}-{row.sha256[:16]}.png"


def _text(kind: str) -> bytes:
    """Return the beginning of the text chunk of a kind of picture."""
    return _KEYWORD + b"\0" + kind.encode() + b" "


def _text_of(head: bytes) -> bytes:
    """Return the content of the text chunk that follows a PNG's header; empty if there is none."""
    length = int.from_bytes(head[_HEADER : _HEADER + 4], "big")
    is_text = head[_HEADER + 4 : _HEADER + 8] == b"tEXt"
    return head[_HEADER + 8 : _HEADER + 8 + length] if is_text else b""


def _may_replace(file: Path, kind: str) -> bool:
    """Say whether facescan wrote a file as a picture of this kind, or a power cut left nothing or zeros of it."""
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    return not head.strip(b"\0") or _text_of(head).startswith(_text(kind))
