"""Options from a configuration file and from the environment, and how far each of them is trusted.

A file that the user named may set every option. A pyproject.toml that was only found may be a stranger's: it counts if
it lies in the user's project and outside everything that is scanned, and it may set what is in FOUND_FILE_MAY_SET.
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
# What says how to choose, judge and show pictures. No other option is taken from a file that was only found: the others
# write files, read files of that file's choice, run its model, send pictures to other machines, or silence findings. A
# new option is not trusted until it is added here.
FOUND_FILE_MAY_SET = frozenset(
    "format excel ela verbose model threshold fpr region min-face fail-on include exclude force-exclude max-depth "
    "hidden null max-bytes max-pixels timeout max-memory device batch-size workers no-cache".split()
)
# Variables that are no options: where the verdict cache lies, where the tests find the picture sets, what container
# images like to set, and whether an internal error comes with its traceback.
_OTHER_VARIABLES = {"FACESCAN_CACHE_DIR", "FACESCAN_DATA", "FACESCAN_VERSION", "FACESCAN_TRACEBACK"}
# A table of ours at the beginning of a line. Blanks, not line ends: a stranger's file may have a million of them.
_OUR_TABLE = re.compile(rb"""^[ \t]*(\[[ \t]*tool[ \t]*\.[ \t]*)?["']?facescan["']?[ \t]*[].=]""", re.MULTILINE)
# Bytes of a file that is not used anyway that are searched for that.
_SEARCHED = 2**20


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a scan takes from a configuration file.

    Attributes:
        file: that is used; None if there is none.
        named: whether the user named it, by --config or FACESCAN_CONFIG.
        table: option, with dashes, -> value.
        warnings: lines for the user.
    """

    file: Path | None = None
    named: bool = False
    table: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()

    def as_meta(self) -> dict[str, Any]:
        """The file and the options that it sets, as outputs name them."""
        return {"config": str(self.file) if self.file else None, "configured": list(self.table or ())}


def read_configuration(named: str | None, roots: Iterable[str]) -> Configuration:
    """Read the file that the user named, or look for one.

    Args:
        named: the file; None to look for one.
        roots: files and folders to scan; configuration from inside such a folder is never used.

    Raises:
        FacescanError: the file cannot be read or is no TOML, or there is no working directory any more.
    """
    try:
        here = Path.cwd()
    except OSError as error:
        raise FacescanError(f"the working directory: {error.strerror}; change to one that is there") from error
    if named is not None:
        table = load_table(Path(named))
        if table is not None:
            return Configuration(Path(named), True, table)
        says_something = os.path.isfile(named) and os.path.getsize(named)  # /dev/null does not
        return Configuration(
            warnings=(f"{named} has no [tool.facescan] table, and sets nothing",) * bool(says_something)
        )
    scanned = [os.path.realpath(root) for root in roots if os.path.isdir(root)]
    warnings: list[str] = []
    for file in _nearby(here, warnings):
        if any(lies_in(file, root) for root in scanned):
            if _configures_us(file):
                warnings.append(f"{file} is not used: it lies in a folder that is scanned; --config {file} uses it")
            continue
        table = load_table(file)
        if table is not None:
            return Configuration(file, False, table, tuple(warnings))
    return Configuration(warnings=tuple(warnings))


def checked_roots(roots: Iterable[str | None], configuration: Configuration) -> Iterator[str | None]:
    """The roots as they come, from a list that is read while the scan runs.

    Raises:
        FacescanError: one is a folder that holds the configuration file that was found.
    """
    file = None if configuration.named else configuration.file
    for root in roots:
        if file and root and os.path.isdir(root) and lies_in(file, os.path.realpath(root)):
            raise FacescanError(
                f"{root}: holds {file}, which configures this scan; name it (--config {file}), or use --isolated"
            )
        yield root


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
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise FacescanError(f"{file}: not a TOML file: {error}") from error
    table = tool.get("facescan") if isinstance(tool, dict) else tool
    if table is None:
        return None
    if not isinstance(table, dict):
        raise FacescanError(f"{file}: [tool.facescan] should be a table")
    return {key.replace("_", "-"): value for key, value in table.items()}


def for_click(configuration: Configuration, kinds: Mapping[str, str], models: Collection[str]) -> dict[str, Any]:
    """TOML values -> click's `default_map`: what the command line would have said.

    Args:
        configuration: to be used.
        kinds: option, with dashes -> `flag`, `value` or, if it may be repeated, `values`.
        models: names of models that a file may choose that was only found.

    Raises:
        FacescanError: an option that does not exist, or that such a file may not set; a list where one value belongs,
            true or false where it says nothing, or a table.
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
                f"{where}: {key!r} = {value!r} is taken only from a file that is named: --config {configuration.file} "
                "takes it, --isolated does without the file"
            )
        texts = [item if isinstance(item, bool) else str(item) for item in values]
        defaults[key.replace("-", "_")] = texts if several else texts[0]
    return defaults


def unknown_variables(names: Collection[str], options: Iterable[str]) -> Iterator[str]:
    """A warning for each FACESCAN_ variable that means nothing.

    Args:
        names: of all variables in the environment.
        options: that a variable may set, with underscores.
    """
    known = {f"{ENV_PREFIX}_{option.upper()}" for option in options} | _OTHER_VARIABLES
    for name in sorted(names):
        if name.startswith(f"{ENV_PREFIX}_") and name not in known and not _is_of_a_container(name, names):
            near = difflib.get_close_matches(name, known, n=1)
            yield f"the variable {name} is not used" + (f"; did you mean {near[0]}?" if near else "")


def _is_of_a_container(name: str, names: Collection[str]) -> bool:
    """Whether Kubernetes or Docker sets such a variable where a service or another container is called facescan."""
    stem = re.split(r"_NAME$|_ENV_", name)[0]
    return "_SERVICE_" in name or "_PORT" in name or (stem != name and f"{stem}_PORT" in names)


def _is_harmless(key: str, value: Any, models: Collection[str]) -> bool:
    """Whether an option may come from a file that was only found."""
    if key == "fail-on":
        return bool(value != "never")
    if key == "model":
        return value in models
    return key in FOUND_FILE_MAY_SET or value is False


def _nearby(here: Path, warnings: list[str]) -> Iterator[Path]:
    """Every pyproject.toml from the working directory up to the project's folder, which holds .git."""
    for folder in project_folders(here):
        file = folder / FILE_NAME
        if _is_file(file, warnings):
            yield file


def project_folders(here: Path) -> tuple[Path, ...]:
    """The working directory and the folders above it, up to the project's, which holds .git; else the first alone."""
    folders = (here, *here.parents)
    top = next((number for number, folder in enumerate(folders) if os.path.exists(folder / ".git")), 0)
    return folders[: top + 1]


def _is_file(file: Path, warnings: list[str]) -> bool:
    try:
        return stat.S_ISREG(os.stat(file).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:  # of a user who may not look into the folder that facescan was started in
        warnings.append(f"{file}: {error.strerror}; no configuration is read from there")
        return False


def lies_in(file: Path, folder: str) -> bool:
    """Whether a file, or what it is a link to, lies somewhere below a folder (a real path)."""
    return any(Path(folder) in Path(path).parents for path in (file, os.path.realpath(file)))


def _configures_us(file: Path) -> bool:
    try:
        with open(file, "rb") as stream:
            return _OUR_TABLE.search(stream.read(_SEARCHED)) is not None
    except OSError:
        return False
