"""URLs -> candidates, and their bytes, through fsspec: S3, and every other store that can list folders.

Imported only where a path is a URL. fsspec's objects do not survive a fork, so each process makes its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from scanner.errors import FacescanError, first_line
from scanner.files.candidate import Candidate, trouble_of
from scanner.files.fingerprint import FileFingerprint, object_fingerprint
from scanner.files.url import authority_of, scheme_of
from scanner.reasons import Reason
from scanner.sources.passed_over import PassedOver
from scanner.sources.selection import Selection, has_suffix, skips, takes

# fsspec opens these, too. But web servers list no folders, and local files have paths.
_NO_STORES = frozenset({"http", "https", "file", "local"})


def objects(root: str, selection: Selection, passed: PassedOver) -> Iterator[Candidate]:
    """Every object below a URL, folder by folder, in the order of their names' bytes; or the one that it names.

    A URL with a picture's suffix is taken for an object without asking: a list of a million costs no million questions.
    Nor are objects below one asked for their first bytes: their suffix decides.

    Args:
        root: the URL.
        selection: which objects are candidates.
        passed: counts those that are not.

    Raises:
        FacescanError: fsspec or the library for this store is missing, or the URL holds a password.
    """
    scheme = scheme_of(root)
    if scheme in _NO_STORES or scheme not in _fsspec(root).available_protocols():
        yield Candidate(root, f"{Reason.UNSUPPORTED_SCHEME}:{scheme}")
        return
    if ":" in authority_of(root).removeprefix(f"{scheme}://").rpartition("@")[0]:
        raise FacescanError(
            "a URL must not hold a password: outputs have it in their paths; see fsspec's configuration"
        )
    store = _store(root)
    if has_suffix(root):
        yield Candidate(root)
        return
    try:
        details = store.info(store._strip_protocol(root))
    except Exception as error:  # every store has its own
        yield Candidate(root, _trouble_of(error, missing=Reason.NOT_FOUND))
        return
    if details["type"] == "directory":
        yield from _walk(store, details["name"].strip("/"), root.rstrip("/"), "", selection, passed, depth=1)
    else:
        yield Candidate(root, fingerprint=_fingerprint(root, details))


def fetch(candidate: Candidate, max_bytes: int) -> Candidate:
    """An object with its content and its mark as it was read, or with the trouble with it.

    Raises:
        FacescanError: fsspec or the library for this store is missing.
    """
    if candidate.trouble or candidate.content is not None:
        return candidate
    url = candidate.path
    store = _store(url)
    try:
        path = store._strip_protocol(url)
        # Everything that s3fs reads through one opened file is of one content.
        with store.open(path, "rb", cache_type="none") as file:
            details = getattr(file, "details", None) or store.info(path)
            if details["type"] == "directory":
                return replace(candidate, trouble=f"{Reason.NOT_A_FILE}:folder")
            if details["name"].strip("/") != path.strip("/"):  # s3fs takes what follows "?versionId=" off a name
                return replace(candidate, trouble=f"{Reason.READ_FAILED}:invalid_name")
            size = details.get("size")
            if size is not None and size > max_bytes:
                return replace(candidate, trouble=f"{Reason.TOO_MANY_BYTES}:{size}", size=size)
            content = file.read(max_bytes + 1)
    except MemoryError:
        return replace(candidate, trouble=Reason.OUT_OF_MEMORY)
    except Exception as error:  # every store and its library have their own
        return replace(candidate, trouble=_trouble_of(error, missing=Reason.VANISHED))
    if len(content) > max_bytes:
        return replace(candidate, trouble=f"{Reason.TOO_MANY_BYTES}:over_{max_bytes}")
    return replace(candidate, content=content, fingerprint=_fingerprint(url, details))


def _walk(
    store: Any, folder: str, url: str, below: str, selection: Selection, passed: PassedOver, depth: int
) -> Iterator[Candidate]:
    """`folder` is what the store calls `url`; `below` is its path under the root."""
    try:
        listing = store.ls(folder, detail=True)
        store.invalidate_cache()  # it would keep every folder that it has ever listed
    except Exception as error:
        yield Candidate(url, f"{Reason.UNREADABLE_FOLDER}:{_trouble_of(error, missing=Reason.VANISHED)}")
        return
    entries = [(_name_of(entry, folder), entry) for entry in listing]
    for name, entry in sorted(entries, key=lambda named: os.fsencode(named[0])):
        is_folder = entry["type"] == "directory"
        path, path_below = f"{url}/{name}", f"{below}/{name}" if below else name
        if not name:
            if is_folder:  # two slashes in a row in an object's name: fsspec finds no way there
                yield Candidate(f"{path}/", f"{Reason.UNREADABLE_FOLDER}:{Reason.READ_FAILED}:invalid_name")
        elif why := skips(name, (path_below, path), selection):
            passed.add(why)
        elif is_folder:
            if selection.max_depth is None or depth < selection.max_depth:
                yield from _walk(store, entry["name"].strip("/"), path, path_below, selection, passed, depth + 1)
            else:
                passed.add("too_deep")
        elif takes(name, (path_below, path), selection):
            yield Candidate(path, fingerprint=_fingerprint(path, entry))
        else:
            passed.add("not_included" if selection.include else "no_picture_suffix")


def _name_of(entry: Mapping[str, Any], folder: str) -> str:
    """Below its folder; empty for the object of no length that stands for the folder itself."""
    name: str = entry["name"].lstrip("/")
    return name.removeprefix(f"{folder}/" if folder else "").rstrip("/")


def _store(url: str) -> Any:
    """What this process reads a URL with. fsspec keeps one for each store and process."""
    try:
        kind = _fsspec(url).get_filesystem_class(scheme_of(url))
        return kind(**kind._get_kwargs_from_urls(authority_of(url)))
    except FacescanError:
        raise
    except Exception as error:  # a library that is not there, or one that connects at once and cannot
        raise FacescanError(f"{authority_of(url)}: {first_line(error)}") from error


def _fsspec(url: str) -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise FacescanError(f"{authority_of(url)}: URLs need fsspec: pip install fsspec s3fs") from error
    return fsspec


def _fingerprint(url: str, details: Mapping[str, Any]) -> FileFingerprint | None:
    """Of objects whose store knows them by a tag that changes with their content; else their content has to be read."""
    tag = details.get("ETag") or details.get("etag")
    return object_fingerprint(url, f"{details['size']} {tag}") if tag else None


def _trouble_of(error: Exception, missing: str) -> str:
    """As `trouble_of`; stores and their libraries have errors of their own besides the operating system's."""
    if isinstance(error, FileNotFoundError | PermissionError) or getattr(error, "errno", None):
        return trouble_of(error, "", missing)
    return f"{Reason.READ_FAILED}:{type(error).__name__}"
