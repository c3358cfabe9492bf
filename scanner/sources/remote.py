"""Lists and reads URLs through fsspec: S3, and every other store that can list folders.

Imported only if a path is a URL. fsspec's objects do not survive a fork, so each process makes its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from scanner.errors import FacescanError, first_line
from scanner.files.candidate import Candidate, failure_reason
from scanner.files.fingerprint import FileFingerprint, object_fingerprint
from scanner.files.url import authority_of, scheme_of
from scanner.reasons import Reason
from scanner.sources.passed_over import PassedOver
from scanner.sources.selection import Selection, has_picture_suffix, is_candidate, skip_reason

# fsspec opens these, too, but web servers list no folders, and local files are named by paths.
_NOT_STORES = frozenset({"http", "https", "file", "local"})


def objects(root: str, selection: Selection, passed_over: PassedOver) -> Iterator[Candidate]:
    """Yield every object below a URL, folder by folder, in the order of their names' bytes; or the object that it
    names.

    A URL with a picture's suffix is taken for an object without a request, so that a list of a million URLs costs no
    million requests. For objects below a URL, the suffix alone decides; their first bytes are not read.

    Args:
        root: the URL.
        selection: which objects are candidates.
        passed_over: counts skipped objects.

    Raises:
        FacescanError: fsspec or the library for this store is missing, or the URL contains a password.
    """
    scheme = scheme_of(root)
    if scheme in _NOT_STORES or scheme not in _fsspec(root).available_protocols():
        yield Candidate(root, f"{Reason.UNSUPPORTED_SCHEME}:{scheme}")
        return
    if ":" in authority_of(root).removeprefix(f"{scheme}://").rpartition("@")[0]:
        raise FacescanError(
            "a URL must not hold a password: outputs have it in their paths; see fsspec's configuration"
        )
    store = _store(root)
    if has_picture_suffix(root):
        yield Candidate(root)
        return
    try:
        details = store.info(store._strip_protocol(root))
    except Exception as error:  # every store raises its own types
        yield Candidate(root, _failure_reason(error, missing=Reason.NOT_FOUND))
        return
    if details["type"] == "directory":
        yield from _walk(store, details["name"].strip("/"), root.rstrip("/"), "", selection, passed_over, depth=1)
    else:
        yield Candidate(root, fingerprint=_fingerprint(root, details))


def fetch(candidate: Candidate, max_bytes: int) -> Candidate:
    """Download an object: return the candidate with content and fingerprint, or with the reason why it cannot be read.

    Raises:
        FacescanError: fsspec or the library for this store is missing.
    """
    if candidate.trouble or candidate.content is not None:
        return candidate
    url = candidate.path
    store = _store(url)
    try:
        path = store._strip_protocol(url)
        # s3fs reads the same version of the object through one opened file.
        with store.open(path, "rb", cache_type="none") as file:
            details = getattr(file, "details", None) or store.info(path)
            if details["type"] == "directory":
                return replace(candidate, trouble=f"{Reason.NOT_A_FILE}:folder")
            if details["name"].strip("/") != path.strip("/"):  # s3fs cuts "?versionId=..." off a name
                return replace(candidate, trouble=f"{Reason.READ_FAILED}:invalid_name")
            size = details.get("size")
            if size is not None and size > max_bytes:
                return replace(candidate, trouble=f"{Reason.TOO_MANY_BYTES}:{size}", size=size)
            content = file.read(max_bytes + 1)
    except MemoryError:
        return replace(candidate, trouble=Reason.OUT_OF_MEMORY)
    except Exception as error:  # every store and its library raise their own types
        return replace(candidate, trouble=_failure_reason(error, missing=Reason.VANISHED))
    if len(content) > max_bytes:
        return replace(candidate, trouble=f"{Reason.TOO_MANY_BYTES}:over_{max_bytes}")
    return replace(candidate, content=content, fingerprint=_fingerprint(url, details))


def _walk(
    store: Any, folder: str, url: str, below: str, selection: Selection, passed_over: PassedOver, depth: int
) -> Iterator[Candidate]:
    """Yield the candidates below a folder of a store.

    Args:
        store: fsspec file system.
        folder: the store's name of the folder.
        url: the folder's URL.
        below: the folder's path relative to the root.
        selection: which objects are candidates.
        passed_over: counts skipped objects.
        depth: 1 for the root itself.
    """
    try:
        listing = store.ls(folder, detail=True)
        store.invalidate_cache()  # which would keep all folders ever listed in memory
    except Exception as error:
        yield Candidate(url, f"{Reason.UNREADABLE_FOLDER}:{_failure_reason(error, missing=Reason.VANISHED)}")
        return
    entries = [(_name_of(entry, folder), entry) for entry in listing]
    for name, entry in sorted(entries, key=lambda named: os.fsencode(named[0])):
        is_folder = entry["type"] == "directory"
        path, path_below = f"{url}/{name}", f"{below}/{name}" if below else name
        if not name:
            if is_folder:  # an object's name has two slashes in a row: fsspec cannot list it
                yield Candidate(f"{path}/", f"{Reason.UNREADABLE_FOLDER}:{Reason.READ_FAILED}:invalid_name")
        elif why := skip_reason(name, (path_below, path), selection):
            passed_over.add(why)
        elif is_folder:
            if selection.max_depth is None or depth < selection.max_depth:
                yield from _walk(store, entry["name"].strip("/"), path, path_below, selection, passed_over, depth + 1)
            else:
                passed_over.add("too_deep")
        elif is_candidate(name, (path_below, path), selection):
            yield Candidate(path, fingerprint=_fingerprint(path, entry))
        else:
            passed_over.add("not_included" if selection.include else "no_picture_suffix")


def _name_of(entry: Mapping[str, Any], folder: str) -> str:
    """Return an entry's name in its folder; empty for the object of length 0 that stands for the folder itself."""
    name: str = entry["name"].lstrip("/")
    return name.removeprefix(f"{folder}/" if folder else "").rstrip("/")


def _store(url: str) -> Any:
    """Return this process's fsspec file system for a URL; fsspec keeps one for each store and process."""
    try:
        kind = _fsspec(url).get_filesystem_class(scheme_of(url))
        return kind(**kind._get_kwargs_from_urls(authority_of(url)))
    except FacescanError:
        raise
    except Exception as error:  # the store's library is missing, or cannot connect
        raise FacescanError(f"{authority_of(url)}: {first_line(error)}") from error


def _fsspec(url: str) -> Any:
    """Import fsspec, or raise FacescanError with what to install."""
    try:
        import fsspec
    except ImportError as error:
        raise FacescanError(f"{authority_of(url)}: URLs need fsspec: pip install fsspec s3fs") from error
    return fsspec


def _fingerprint(url: str, details: Mapping[str, Any]) -> FileFingerprint | None:
    """Return the fingerprint from the store's ETag; None if the store has none, and the object must be downloaded."""
    tag = details.get("ETag") or details.get("etag")
    return object_fingerprint(url, f"{details['size']} {tag}") if tag else None


def _failure_reason(error: Exception, missing: str) -> str:
    """Return the reason of an error as `failure_reason` does, including errors that are the store's own."""
    if isinstance(error, FileNotFoundError | PermissionError) or getattr(error, "errno", None):
        return failure_reason(error, "", missing)
    return f"{Reason.READ_FAILED}:{type(error).__name__}"
