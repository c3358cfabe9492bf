"""What a scan is told: one dataclass, and where its values come from besides the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanner.errors import FacescanError

MAX_BYTES = 100 * 2**20
# Enough for the 200-megapixel sensors of today's telephones (16320 x 12240); 600 MB once decoded.
MAX_PIXELS = 200_000_000
# Seconds. The slowest pictures within the limits (AVIF, progressive JPEG) take a tenth of it.
TIMEOUT = 60
# What 200 megapixels of 16 bits with alpha need at worst.
MAX_MEMORY = 4 * 2**30
# Pixels of a face's shorter side. Below, too little is left of what a detector looks at.
MIN_FACE = 32


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can change what a row says, and how fast it comes.

    Attributes:
        model: a bundled name or a file.
        device: `auto`, `cpu` or `cuda`.
        region: `face`, `image`, or None for what the model's card says.
        threshold: p_fake from which a picture is called fake; None for the card's.
        fpr: take the threshold of this false-positive rate from the card.
        min_face: pixels; smaller faces are listed, but not judged.
        batch_size: regions scored at once; None lets the device decide.
        workers: processes that examine pictures; None is one for each processor.
        max_bytes, max_pixels: larger files are refused unread, larger pictures undecoded.
        timeout: seconds that one picture may take.
        max_memory: bytes that a worker process may take for it (Linux).
        engine: `local`, or `ray` for the processes of a Ray cluster.
        ray_address: of the cluster; None for the one that RAY_ADDRESS names or, without that, one on this machine.
        ela: report Error Level Analysis figures, and whether JPEGs were JPEGs before.
        ela_dir: save the maps there.
        explain: save sheets that say why there.
    """

    model: str
    device: str = "auto"
    region: str | None = None
    threshold: float | None = None
    fpr: float | None = None
    min_face: int = MIN_FACE
    batch_size: int | None = None
    workers: int | None = None
    max_bytes: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    timeout: int = TIMEOUT
    max_memory: int = MAX_MEMORY
    engine: str = "local"
    ray_address: str | None = None
    ela: bool = False
    ela_dir: str | None = None
    explain: str | None = None


def nearest_table(folder: Path) -> tuple[Path | None, dict[str, Any] | None]:
    """The first pyproject.toml with a [tool.facescan] table, from `folder` upwards, and that table; or None."""
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file() and (table := load_table(file)) is not None:
            return file, table
    return None, None


def load_table(file: Path) -> dict[str, Any] | None:
    """The [tool.facescan] table of a TOML file, keys as on the command line (with dashes); None if it has none.

    Raises:
        FacescanError: the file cannot be read or is no TOML.
    """
    import tomllib

    try:
        text = file.read_text("utf-8")
        if "facescan" not in text:
            return None
        tool = tomllib.loads(text).get("tool", {})
    except OSError as error:
        raise FacescanError(f"{file}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FacescanError(f"{file}: not a TOML file: {error}") from error
    table = tool.get("facescan") if isinstance(tool, dict) else tool
    if table is None:
        return None
    if not isinstance(table, dict):
        raise FacescanError(f"{file}: [tool.facescan] should be a table")
    return {key.replace("_", "-"): value for key, value in table.items()}


def check_keys(found: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse keys that mean nothing, and suggest the nearest that does.

    Raises:
        FacescanError: for the first unknown key.
    """
    known = sorted(known)
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise FacescanError(f"{where}: unknown key {key!r}; {hint}")


def for_click(table: Mapping[str, Any], kinds: Mapping[str, str], where: str) -> dict[str, Any]:
    """TOML values -> click's `default_map`: what the command line would have said.

    Args:
        table: option -> value; options with dashes.
        kinds: option -> `flag`, `value` or, if it may be repeated, `values`.
        where: for the error message.

    Raises:
        FacescanError: a list where one value belongs, true or false where it says nothing, or a table.
    """
    defaults: dict[str, Any] = {}
    for key, value in table.items():
        several = kinds[key] == "values"
        values = value if isinstance(value, list) else [value]
        if any(isinstance(item, dict | list) for item in values) or (isinstance(value, list) and not several):
            raise FacescanError(f"{where}: {key!r} should be one {'or more plain values' if several else 'value'}")
        if kinds[key] != "flag" and any(isinstance(item, bool) for item in values):
            raise FacescanError(f"{where}: {key!r} should be a value, not true or false")
        texts = [item if isinstance(item, bool) else str(item) for item in values]
        defaults[key.replace("-", "_")] = texts if several else texts[0]
    return defaults
