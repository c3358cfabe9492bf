"""Rows already known (SQLite): what was found in a content, by its hash and all that could change the finding.

A file that looks as it did when it was read (`Mark`) is not even read again; any other is read, hashed, and not decoded
if its content is known. The cache can only save time: whatever befalls it, the scan goes on without it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from scanner.errors import FacescanError
from scanner.mark import Mark, unchanged
from scanner.result import Ela, Face, Result, Verdict

APPLICATION_ID = 0x66616365  # "face": tells our file from other SQLite databases
SCHEMA = 1
# About 1.1 GB. When a scan begins, what was stored first is dropped beyond it.
MAX_ROWS = 2_000_000
# How long to wait for another scan that is writing; it writes for milliseconds.
PATIENCE = 5.0
# Errors that follow from the content; others (memory, the file system, the model) may be gone next time.
_LASTING = frozenset(
    "empty not_an_image unsupported_format unsupported_pixels unsupported_compression implausible_size "
    "too_many_pixels too_many_scans truncated corrupt too_long_for_ela".split()
)
# Columns of a row that are neither the key of the cache nor a matter of the run.
_KEPT = ("verdict", "p_fake", "n_faces", "width", "height", "format", "bytes", "reason", "frames")
_to_json = json.JSONEncoder(separators=(",", ":")).encode
_NO_DATABASE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_TABLES = f"""
    CREATE TABLE scopes (id INTEGER PRIMARY KEY, decisive TEXT UNIQUE NOT NULL, model TEXT NOT NULL);
    CREATE TABLE rows (
        id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, sha256 BLOB NOT NULL, row TEXT NOT NULL,
        stored INTEGER NOT NULL, UNIQUE (scope, sha256)
    );
    CREATE TABLE files (
        id INTEGER PRIMARY KEY, path BLOB UNIQUE NOT NULL, state BLOB NOT NULL, sha256 BLOB NOT NULL
    );
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {SCHEMA};
"""


def cache_file() -> str | None:
    """Where the cache is unless --cache says so: FACESCAN_CACHE_DIR, or below the user's cache directory."""
    if folder := os.environ.get("FACESCAN_CACHE_DIR"):
        return os.path.join(folder, "verdicts.sqlite3")
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # the XDG specification: others are invalid
            base = os.path.join(home, ".cache")
    return os.path.join(base, "facescan", "verdicts.sqlite3") if os.path.isabs(base) else None


def files_of(cache: str) -> list[str]:
    """The database and what SQLite puts beside it."""
    return [cache, f"{cache}-wal", f"{cache}-shm", f"{cache}-journal"]


def size_of(cache: str) -> int:
    """Bytes on disk."""
    return sum(os.path.getsize(file) for file in files_of(cache) if os.path.exists(file))


class Cache:
    """Owns the database. Every method may be called from any thread, and in a scan none raises for trouble with it.

    Args:
        file: made, for this user's eyes only, if there is none.
        scope: everything besides a content that decides what its row says. JSON values; `model` is for people. None
            only looks after the rows, and sets nothing aside.
        reads: False stores only.
        warn: told of trouble, once.

    Raises:
        FacescanError: without a scope, also from its methods: the file is no cache of ours, or cannot be used.
    """

    def __init__(
        self,
        file: str,
        scope: Mapping[str, Any] | None = None,
        reads: bool = True,
        warn: Callable[[str], None] = lambda line: print(f"facescan: {line}", file=sys.stderr),
    ) -> None:
        self.file = os.path.realpath(file)
        self._scope = scope
        self._number = 0
        self._reads = reads
        self._warn = warn
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        with self._no_trouble():
            self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def by_file(self, mark: Mark) -> Result | None:
        """The row of a file that looks as it did; without its path, and with the verdict still to be drawn."""
        return self._row(
            "SELECT row, sha256 FROM files JOIN rows USING (sha256) WHERE path = ? AND state = ? AND scope = ?",
            mark.path,
            mark.state,
        )

    def by_content(self, sha256: str) -> Result | None:
        """The row of a content; without a path, and with the verdict still to be drawn."""
        return self._row("SELECT row, sha256 FROM rows WHERE sha256 = ? AND scope = ?", bytes.fromhex(sha256))

    def store(self, results: Iterable[tuple[Result, Mark | None]]) -> None:
        """Keep a batch, in one transaction.

        Args:
            results: final rows, and the marks of their files from before they were read.
        """
        if self._connection is None:
            return
        rows, files = [], []
        now = int(time.time())
        for result, mark in results:
            if not _lasts(result):
                continue
            sha256 = bytes.fromhex(result.sha256)
            if not result.cached:
                rows.append((sha256, _to_text(result), now))
            if mark is not None and mark.settled and unchanged(mark):
                files.append((mark.path, mark.state, sha256))
        if not rows and not files:
            return
        with self._no_trouble(), self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO rows (scope, sha256, row, stored) VALUES (?, ?, ?, ?)",
                [(self._number, *row) for row in rows],
            )
            connection.executemany("INSERT OR REPLACE INTO files (path, state, sha256) VALUES (?, ?, ?)", files)

    def info(self) -> dict[str, Any]:
        """Counts, times (seconds since 1970; None if there is no row), and rows by model."""
        found: dict[str, Any] = {"rows": 0, "files": 0, "oldest": None, "newest": None, "models": {}}
        with self._no_trouble(), self._lock:
            if self._connection is not None:
                ask = self._connection.execute
                found["rows"], found["oldest"], found["newest"] = ask(
                    "SELECT count(*), min(stored), max(stored) FROM rows"
                ).fetchone()
                (found["files"],) = ask("SELECT count(*) FROM files").fetchone()
                models = "SELECT model, count(*) FROM rows JOIN scopes ON scopes.id = scope GROUP BY model"
                found["models"] = dict(sorted(ask(models)))
        return found

    def clear(self) -> int:
        """Forget everything; how many rows that were."""
        removed = 0
        with self._no_trouble(), self._transaction() as connection:
            removed = connection.execute("DELETE FROM rows").rowcount
            connection.execute("DELETE FROM files")  # not the scopes: a scan that is running knows its own by number
        with self._lock, suppress(sqlite3.Error):  # while another scan reads, the room is not given back
            if self._connection is not None:
                self._connection.execute("VACUUM")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed

    def close(self) -> None:
        with self._lock, suppress(sqlite3.Error):
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _open(self) -> None:
        """Connect to our database; what else lies in its place is set aside."""
        if os.path.exists(self.file) and not os.path.isfile(self.file):
            raise OSError("not a regular file")
        os.makedirs(os.path.dirname(self.file), mode=0o700, exist_ok=True)
        self._make()
        try:
            if self._connect():
                return
            reason = "is of another program, or of another version of facescan"
        except sqlite3.DatabaseError as error:
            if not _is_broken(error):
                raise
            reason = "is damaged"
        self._set_aside(reason)
        if not self._connect():
            raise OSError(reason)

    def _make(self) -> None:
        """Make the file unless there is one, with a mode that SQLite gives its other files, too."""
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        self._opened = os.fstat(descriptor)
        os.close(descriptor)

    def _connect(self) -> bool:
        """Open the file and make its tables if it is empty; False if it is not ours."""
        self.close()
        self._connection = connection = sqlite3.connect(
            self.file, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last batches, never the file
        with self._transaction():  # against another scan that begins at the same moment
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if not tables and not application and not version:
                for statement in filter(str.strip, _TABLES.split(";")):
                    connection.execute(statement)
            elif (application, version) != (APPLICATION_ID, SCHEMA):
                return False
            for table in ("rows", "files"):
                connection.execute(
                    f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?",  # noqa: S608
                    (MAX_ROWS,),
                )
            if self._scope is not None:
                name = (json.dumps(self._scope, sort_keys=True),)
                model = str(self._scope.get("model", "")).encode("utf-8", "replace").decode()
                connection.execute("INSERT OR IGNORE INTO scopes (decisive, model) VALUES (?, ?)", (*name, model))
                (self._number,) = connection.execute("SELECT id FROM scopes WHERE decisive = ?", name).fetchone()
        # Readers need not wait for a writer then. Another scan may be about to switch, too, or have no mind to.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        return True

    def _set_aside(self, reason: str) -> None:
        """Rename what is no cache of ours, with all that SQLite put beside it, and make a new one. Deletes nothing."""
        self.close()
        if self._scope is None:
            raise FacescanError(f"the cache {self.file} {reason}: name another with --cache")
        if os.path.samestat(os.stat(self.file), self._opened):  # else another scan was faster
            aside = f"{self.file}.corrupt-{time.time_ns()}"
            for file, name in zip(files_of(self.file), files_of(aside), strict=True):
                with suppress(FileNotFoundError):
                    os.rename(file, name)
            self._warn(f"warning: the cache {self.file} {reason}; it is now {aside}")
        self._make()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._connection
            if connection is None:
                raise OSError("it was given up")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled it back already
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _no_trouble(self) -> Iterator[None]:
        """Trouble with the cache costs the cache; damage, only what was in it."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            with self._lock:
                try:
                    self.close()
                    if not _is_broken(error):
                        raise
                    self._set_aside("is damaged")
                    self._open()
                except (sqlite3.Error, OSError) as trouble:
                    self.close()
                    what = getattr(trouble, "strerror", None) or str(trouble)
                    if self._scope is None:
                        raise FacescanError(f"the cache {self.file} cannot be used: {what}") from trouble
                    self._warn(f"warning: the cache {self.file} cannot be used: {what}; going on without")

    def _row(self, query: str, *values: bytes) -> Result | None:
        if not self._reads:
            return None
        found = None
        with self._no_trouble(), self._lock:
            if self._connection is not None:
                found = self._connection.execute(query, (*values, self._number)).fetchone()
        return _from_text(*found) if found else None


def _is_broken(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_DATABASE


def _lasts(result: Result) -> bool:
    """Whether the row follows from the content."""
    if not result.sha256:
        return False
    return result.verdict is not Verdict.ERROR or result.reason.partition(":")[0] in _LASTING


def _to_text(result: Result) -> str:
    """What is kept of a row. The verdict is, too, but that of a score is drawn anew when it is read."""
    row = {name: value for name in _KEPT if (value := getattr(result, name)) is not None}
    row["faces"] = [(face.box, face.score, face.p_fake, face.models) for face in result.faces]
    if (ela := result.ela) is not None:  # without the map: where that is, is a matter of the run
        row["ela"] = (ela.quality, ela.mean, ela.p95, ela.face, ela.background)
    if result.provenance is not None:
        row["provenance"] = result.provenance
    return _to_json(row)


def _from_text(text: str, sha256: bytes) -> Result | None:
    """None for what is no row: then the file is simply judged again."""
    try:
        row = json.loads(text)
        faces = tuple(Face(tuple(box), score, p, models) for box, score, p, models in row.pop("faces"))
        ela = row.pop("ela", None)
        return Result(
            **row | {"verdict": Verdict(row["verdict"])},
            path="",
            sha256=sha256.hex(),
            faces=faces,
            ela=None if ela is None else Ela(*ela),
            cached=True,
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
