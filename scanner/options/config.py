"""Reads options from a configuration file, checks variables, and decides how far each source is trusted.

A file that the user named may set every option. A pyproject.toml that was only found may be a stranger's: it is used if
it lies in the user's project and outside everything that is scanned, and it may set only what is in FOUND_FILE_MAY_SET.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanner.errors import FacescanError

ENV_PREFIX = "FACESCAN"
FILE_NAME = "pyproject.toml"
# Options that say how to choose, judge and show pictures. A file that was only found may set no others, because those
# write files, read files that it chooses, run its model, send pictures to other machines, or silence findings. A new
# option is not trusted until it is added here.
FOUND_FILE_MAY_SET = frozenset(
    "format excel ela verbose model threshold fpr region min-face fail-on include exclude force-exclude max-depth "
    "hidden null max-bytes max-pixels timeout max-memory device batch-size workers no-cache".split()
)
# Variables that are not options: the folder of the cache, the tests' picture sets, the version that container images
# like to set, and whether an internal error shows its traceback.
_OTHER_VARIABLES = {"FACESCAN_CACHE_DIR", "FACESCAN_DATA", "FACESCAN_VERSION", "FACESCAN_TRACEBACK"}
# The header of a facescan table at the beginning of a line. Matches blanks but no line ends, because a stranger's file
# may have a million of those.
_TABLE_HEADER = re.compile(rb"""^[ \t]*(\[[ \t]*tool[ \t]*\.[ \t]*)?["']?facescan["']?[ \t]*[].=]""", re.MULTILINE)
# Bytes in which `_TABLE_HEADER` is searched for; only a warning depends on it.
_SEARCH_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Configuration:
    """Holds what a scan takes from a configuration file.

    Attributes:
        file: the file in use; None if there is none.
        named: whether the user named it, by --config or FACESCAN_CONFIG.
        table: values by option, spelt with dashes; None without a file.
        warnings: lines for the user.
    """

    file: Path | None = None
    named: bool = False
    table: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()

    def as_meta(self) -> dict[str, Any]:
        """Return the file and the names of the options that it sets, for the head of the outputs."""
        return {"config": str(self.file) if self.file else None, "configured": list(self.table or ())}


def read_configuration(named: str | None, roots: Iterable[str]) -> Configuration:
    """Read the file that the user named, or look for a pyproject.toml.

    Args:
        named: the file; None to look for one.
        roots: files and folders to scan; a file inside such a folder is never used.

    Raises:
        FacescanError: the file cannot be read or is not TOML, or the working directory does not exist any more.
    """
    try:
        here = Path.cwd()
    except OSError as error:
        raise FacescanError(f"the working directory: {error.strerror}; change to a folder that exists") from error
    if named is not None:
        table = load_table(Path(named))
        if table is not None:
            return Configuration(Path(named), True, table)
        has_content = os.path.isfile(named) and os.path.getsize(
            named
        )  # an empty file and /dev/null mean no configuration, on purpose
        return Configuration(
            warnings=(f"{named} has no [tool.facescan] table, so it sets nothing",) * bool(has_content)
        )
    scanned = [os.path.realpath(root) for root in roots if os.path.isdir(root)]
    warnings: list[str] = []
    for file in _config_files(here, warnings):
        if any(lies_in(file, root) for root in scanned):
            if _has_facescan_table(file):
                warnings.append(
                    f"{file} is not used: it lies in a folder that is scanned; use --config {file} to trust it"
                )
            continue
        table = load_table(file)
        if table is not None:
            return Configuration(file, False, table, tuple(warnings))
    return Configuration(warnings=tuple(warnings))


def checked_roots(roots: Iterable[str | None], configuration: Configuration) -> Iterator[str | None]:
    """Yield the roots of a list, and check each as it arrives while the scan runs.

    Args:
        roots: files and folders to scan.
        configuration: in use.

    Raises:
        FacescanError: a root is a folder that contains the configuration file in use, which was only found.
    """
    file = None if configuration.named else configuration.file
    for root in roots:
        if file and root and os.path.isdir(root) and lies_in(file, os.path.realpath(root)):
            raise FacescanError(
                f"{root}: contains {file}, which configures this scan; use --config {file} to trust it, or --isolated "
                "to ignore it"
            )
        yield root


def load_table(file: Path) -> dict[str, Any] | None:
    """Return the [tool.facescan] table of a TOML file, with keys as on the command line (with dashes); None if it has
    none.

    Raises:
        FacescanError: the file cannot be read or is not TOML.
    """
    import tomllib

    try:
        text = file.read_text("utf-8")
        if "facescan" not in text:
            return None
        tool = tomllib.loads(text).get("tool", {})
    except OSError as error:
        raise FacescanError(f"{file}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise FacescanError(f"{file}: not a TOML file: {error}") from error
    table = tool.get("facescan") if isinstance(tool, dict) else tool
    if table is None:
        return None
    if not isinstance(table, dict):
        raise FacescanError(f"{file}: [tool.facescan] should be a table")
    return {key.replace("_", "-"): value for key, value in table.items()}


def as_default_map(configuration: Configuration, kinds: Mapping[str, str], models: Collection[str]) -> dict[str, Any]:
    """Return the configuration as click's `default_map`.

    Args:
        configuration: to convert.
        kinds: by option, spelt with dashes: `flag`, `value` or, if it may be repeated, `values`.
        models: names of models that a file may choose that was only found.

    Raises:
        FacescanError: an option does not exist, or may not be set by such a file; a list stands where one value
            belongs; true or false stands for an option that takes a value; or the value is a table.
    """
    where = f"{configuration.file}: [tool.facescan]"
    defaults: dict[str, Any] = {}
    for key, value in (configuration.table or {}).items():
        if key not in kinds:
            near = difflib.get_close_matches(key, kinds, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(kinds))}"
            raise FacescanError(f"{where}: unknown key {key!r}; {hint}")
        several = kinds[key] == "values"
        values = value if isinstance(value, list) else [value]
        if any(isinstance(item, dict | list) for item in values) or (isinstance(value, list) and not several):
            raise FacescanError(f"{where}: {key!r} should be one {'or more plain values' if several else 'value'}")
        if kinds[key] != "flag" and any(isinstance(item, bool) for item in values):
            raise FacescanError(f"{where}: {key!r} should be a value, not true or false")
        if not (configuration.named or _is_harmless(key, value, models)):
            raise FacescanError(
                f"{where}: {key!r} = {value!r} is allowed only in a file that --config names; use --config "
                f"{configuration.file} to trust it, or --isolated to ignore it"
            )
        texts = [item if isinstance(item, bool) else str(item) for item in values]
        defaults[key.replace("-", "_")] = texts if several else texts[0]
    return defaults


def unknown_variables(names: Collection[str], options: Iterable[str]) -> Iterator[str]:
    """Yield a warning for each FACESCAN_ variable that has no meaning.

    Args:
        names: of all variables in the environment.
        options: names of the options that a variable may set, with underscores.
    """
    known = {f"{ENV_PREFIX}_{option.upper()}" for option in options} | _OTHER_VARIABLES
    for name in sorted(names):
        if name.startswith(f"{ENV_PREFIX}_") and name not in known and not _is_set_by_container(name, names):
            near = difflib.get_close_matches(name, known, n=1)
            yield f"the variable {name} is not used" + (f"; did you mean {near[0]}?" if near else "")


def _is_set_by_container(name: str, names: Collection[str]) -> bool:
    """Return whether Kubernetes or Docker sets such a variable where a service or another container is called
    facescan.
    """
    stem = re.split(r"_NAME$|_ENV_", name)[0]
    return "_SERVICE_" in name or "_PORT" in name or (stem != name and f"{stem}_PORT" in names)


def _is_harmless(key: str, value: Any, models: Collection[str]) -> bool:
    """Return whether an option may come from a file that was only found.

    Args:
        key: the option, spelt with dashes.
        value: in the file.
        models: names of models that such a file may choose.
    """
    if key == "fail-on":
        return bool(value != "never")
    if key == "model":
        return value in models
    return key in FOUND_FILE_MAY_SET or value is False


def _config_files(here: Path, warnings: list[str]) -> Iterator[Path]:
    """Yield each pyproject.toml from the working directory up to the project's folder, which contains .git."""
    for folder in project_folders(here):
        file = folder / FILE_NAME
        if _is_file(file, warnings):
            yield file


def project_folders(here: Path) -> tuple[Path, ...]:
    """Return the working directory and the folders above it up to the project's, which contains .git.

    Only the working directory if there is no such folder.
    """
    folders = (here, *here.parents)
    top = next((number for number, folder in enumerate(folders) if os.path.exists(folder / ".git")), 0)
    return folders[: top + 1]


def _is_file(file: Path, warnings: list[str]) -> bool:
    """Return whether a path is a regular file; add a warning if that cannot be found out."""
    try:
        return stat.S_ISREG(os.stat(file).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:  # the user may not enter the folder in which facescan was started
        warnings.append(f"{file}: {error.strerror}; no configuration is read from there")
        return False


def lies_in(file: Path, folder: str) -> bool:
    """Return whether a file, or the target if it is a link, lies somewhere below a folder, given as a real path."""
    return any(Path(folder) in Path(path).parents for path in (file, os.path.realpath(file)))


def _has_facescan_table(file: Path) -> bool:
    """Return whether a file seems to have a table for facescan; False if it cannot be read."""
    try:
        with open(file, "rb") as stream:
            return _TABLE_HEADER.search(stream.read(_SEARCH_BYTES)) is not None
    except OSError:
        return False
