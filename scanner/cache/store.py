"""Caches rows in SQLite, by the hash of the content and everything else that could change the row.

A file whose fingerprint is unchanged is not even read again. Any other file is read and hashed, but not decoded if its
content is known. The cache can only save time: if it fails, the scan goes on without it, and a row with a wrong
checksum is computed again.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from scanner.cache.database import CacheDatabase
from scanner.cache.row import MAX_ROW_BYTES, file_checksum, from_text, row_checksum, scope_key, to_text
from scanner.files.fingerprint import FileFingerprint, is_unchanged
from scanner.reasons import Cause, Reason
from scanner.result import Result, Verdict

# About 1.1 GB. The oldest rows beyond this number are deleted when a scan begins.
MAX_ROWS = 2_000_000


class Cache:
    """Owns the cached rows. Every method may be called from any thread, and none raises during a scan.

    Args:
        file: path; created with access for this user only, if it does not exist.
        scope: everything besides the content that decides what a row says, as JSON values; `model` is shown to people.
            None outside a scan, to inspect or empty the cache.
        warn: called once with a warning if the cache fails.
        limits: seconds and bytes that the scan allows for a picture. A row that depends on them is found only by a scan
            with the same limits.

    Raises:
        FacescanError: the file is not a cache of facescan; without a scope, methods raise it, too, if the file cannot
            be used.
    """

    def __init__(
        self,
        file: str,
        scope: Mapping[str, Any] | None = None,
        warn: Callable[[str], None] = lambda line: print(f"facescan: {line}", file=sys.stderr),
        limits: tuple[int, ...] = (),
    ) -> None:
        self._scope = scope
        self._decisive = json.dumps(scope, sort_keys=True)
        self._key = scope_key(self._decisive)
        self._number = 0
        self._limits = limits
        self._database = CacheDatabase(file, self._prepare, None if scope is None else warn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def file(self) -> str:
        """Return the real path of the database."""
        return self._database.file

    def by_file(self, fingerprint: FileFingerprint) -> Result | None:
        """Return the row of a file with this fingerprint; without its path, and with the verdict still to be
        decided.
        """
        found = self._fetch_one(
            "SELECT files.sha256, files.checksum, row, rows.checksum FROM files JOIN rows USING (sha256)"
            " WHERE path = ? AND state = ? AND scope = ?",
            fingerprint.path_hash,
            fingerprint.state_hash,
        )
        if found is None or not all(type(value) is bytes for value in found):
            return None
        sha256, checksum, *row = found
        if checksum != file_checksum(fingerprint.path_hash, fingerprint.state_hash, sha256):
            return None
        return self._decode(sha256, *row)

    def by_content(self, sha256: str) -> Result | None:
        """Return the row of a content, by its hash; without a path, and with the verdict still to be decided."""
        key = bytes.fromhex(sha256)
        found = self._fetch_one("SELECT row, checksum FROM rows WHERE sha256 = ? AND scope = ?", key)
        return self._decode(key, *found) if found and all(type(value) is bytes for value in found) else None

    def store(self, results: Iterable[tuple[Result, FileFingerprint | None]]) -> None:
        """Store a batch of rows in one transaction.

        Args:
            results: final rows, and the fingerprints of their files from before they were read.
        """
        if self._database.connection is None:
            return
        rows, files = [], []
        now = int(time.time())
        for result, fingerprint in results:
            if not _is_cacheable(result):
                continue
            sha256 = bytes.fromhex(result.sha256)
            text = b"" if result.cached else to_text(result, self._limits if _depends_on_limits(result) else ())
            if len(text) > MAX_ROW_BYTES:
                continue
            if text:
                rows.append((self._number, sha256, text, row_checksum(self._key, sha256, text), now))
            if fingerprint is not None and fingerprint.settled and is_unchanged(fingerprint):
                checksum = file_checksum(fingerprint.path_hash, fingerprint.state_hash, sha256)
                files.append((fingerprint.path_hash, fingerprint.state_hash, sha256, checksum))
        if not rows and not files:
            return
        with self._database.survive_errors(), self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO rows (scope, sha256, row, checksum, stored) VALUES (?, ?, ?, ?, ?)", rows
            )
            connection.executemany(
                "INSERT OR REPLACE INTO files (path, state, sha256, checksum) VALUES (?, ?, ?, ?)", files
            )

    def info(self) -> dict[str, Any]:
        """Return counts, times (seconds since 1970; None without rows), and the number of rows by model."""
        found: dict[str, Any] = {"rows": 0, "files": 0, "oldest": None, "newest": None, "models": {}}
        with self._database.survive_errors(), self._database.lock:
            connection = self._database.connection
            if connection is not None:
                (found["rows"],) = connection.execute("SELECT count(*) FROM rows").fetchone()
                (found["files"],) = connection.execute("SELECT count(*) FROM files").fetchone()
                # A damaged time can be any number.
                times = "SELECT min(stored), max(stored) FROM rows WHERE stored BETWEEN 0 AND ?"
                found["oldest"], found["newest"] = connection.execute(times, (int(time.time()),)).fetchone()
                models = "SELECT model, count(*) FROM rows JOIN scopes ON scopes.id = scope GROUP BY model"
                found["models"] = dict(sorted(connection.execute(models)))
        return found

    def clear(self) -> int:
        """Delete all rows and return their number."""
        removed = 0
        with self._database.survive_errors(), self._database.transaction() as connection:
            removed = connection.execute("DELETE FROM rows").rowcount
            connection.execute("DELETE FROM files")  # but keep the scopes: a running scan refers to its scope by number
        self._database.compact()
        return removed

    def close(self) -> None:
        """Close the database; from then on nothing is found or stored."""
        self._database.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Delete excess rows, and find or create the number of the scope."""
        for table in ("rows", "files"):
            connection.execute(
                f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?",  # noqa: S608
                (MAX_ROWS,),
            )
        if self._scope is None:
            return
        model = str(self._scope.get("model", "")).encode("utf-8", "replace").decode()
        connection.execute("INSERT OR IGNORE INTO scopes (decisive, model) VALUES (?, ?)", (self._decisive, model))
        number = connection.execute("SELECT id FROM scopes WHERE decisive = ?", (self._decisive,)).fetchone()
        if number is None:
            raise sqlite3.DatabaseError("a scope that was stored is not there")
        (self._number,) = number

    def _fetch_one(self, query: str, *values: bytes) -> tuple[Any, ...] | None:
        """Return the first row of a query whose last parameter is the scope's number."""
        found: tuple[Any, ...] | None = None
        with self._database.survive_errors(), self._database.lock:
            if self._database.connection is not None:
                found = self._database.connection.execute(query, (*values, self._number)).fetchone()
        return found

    def _decode(self, sha256: bytes, text: bytes, checksum: bytes) -> Result | None:
        """Return the cached row if its checksum is right; else None."""
        return from_text(text, sha256, self._limits) if checksum == row_checksum(self._key, sha256, text) else None


def _is_cacheable(result: Result) -> bool:
    """Return whether another scan of the same content would make the same row, so that it may be cached."""
    if not result.sha256:
        return False
    return result.verdict is not Verdict.ERROR or Reason.of(result.reason).cause is not Cause.CIRCUMSTANCES


def _depends_on_limits(result: Result) -> bool:
    """Return whether the row depends on the limits of time and memory as well."""
    return result.verdict is Verdict.ERROR and Reason.of(result.reason).cause is Cause.LIMITS
