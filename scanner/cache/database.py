"""Keeps the cache's SQLite file: where it lies, whose it is, and what happens to one that is old or damaged."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from scanner.errors import FacescanError

APPLICATION_ID = 0x66616365  # "face": tells our file from other SQLite databases
# Raise it when tables or what stands in them change: a cache with a lower one is emptied.
SCHEMA = 2
# How long to wait for another scan that is writing; it writes for milliseconds.
PATIENCE = 5.0
# Bytes of the file's first page that are looked at: header and table definitions.
_PAGE = 4096
_MAGIC = b"SQLite format 3\0"
_ID_AT = 68  # of the application's number (SQLite's "Database File Format", 1.3)
# Bytes of any value. A damaged length would have SQLite take as much memory as it says.
_LONGEST = 2**24
# What may be over with the next scan. Any other error means that the file does not hold what we wrote.
_PASSING = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
# `checksum`: see `scanner.cache.row`.
_TABLES = f"""
    CREATE TABLE scopes (id INTEGER PRIMARY KEY, decisive TEXT UNIQUE NOT NULL, model TEXT NOT NULL);
    CREATE TABLE rows (
        id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, sha256 BLOB NOT NULL, row BLOB NOT NULL,
        checksum BLOB NOT NULL, stored INTEGER NOT NULL, UNIQUE (scope, sha256)
    );
    CREATE TABLE files (
        id INTEGER PRIMARY KEY, path BLOB UNIQUE NOT NULL, state BLOB NOT NULL, sha256 BLOB NOT NULL,
        checksum BLOB NOT NULL
    );
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {SCHEMA};
"""
_OURS = (b"CREATE TABLE scopes (", b"CREATE TABLE files (")


class NoCacheError(FacescanError):
    """A file that is no cache of ours, and must stay as it is."""


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


def check_cache(file: str) -> None:
    """Make sure that a file is empty, or a cache of facescan, whole or damaged. There need not be one.

    In our own folder, our name is enough.

    Raises:
        NoCacheError: it is something else.
    """
    if not _is_ours(file):
        raise NoCacheError(
            f"the cache {file}: that file is no cache of facescan, and stays as it is; name another with --cache"
        )


class CacheDatabase:
    """Owns the connection. Trouble with the file costs the file, or what was in it, and never the scan.

    Args:
        file: made, for this user's eyes only, if there is none.
        prepare: called with every new connection, in its first transaction.
        warn: told of trouble; None if nobody scans: then nothing is set aside, and trouble is an error.

    Raises:
        NoCacheError: the file is no cache of ours.
        FacescanError: if nobody scans: it cannot be used.
    """

    def __init__(
        self, file: str, prepare: Callable[[sqlite3.Connection], None], warn: Callable[[str], None] | None
    ) -> None:
        self.file = os.path.realpath(file)
        self.lock = threading.RLock()
        self.connection: sqlite3.Connection | None = None
        self._prepare = prepare
        self._warn = warn
        check_cache(self.file)
        with self.no_trouble():
            self._open()

    def close(self) -> None:
        with self.lock, suppress(sqlite3.Error):
            connection, self.connection = self.connection, None
            if connection is not None:
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with self.lock:
            connection = self.connection
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
    def no_trouble(self) -> Iterator[None]:
        """Trouble with the cache costs the cache; damage, only what was in it."""
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError, UnicodeError, MemoryError) as error:
            with self.lock:
                try:
                    self.close()
                    if not _is_damage(error):
                        raise
                    self._set_aside("is damaged")
                    self._open()
                except (sqlite3.Error, OSError, OverflowError, UnicodeError, MemoryError) as trouble:
                    self.close()
                    what = getattr(trouble, "strerror", None) or str(trouble) or type(trouble).__name__
                    if self._warn is None:
                        raise FacescanError(f"the cache {self.file} cannot be used: {what}") from trouble
                    self._warn(f"warning: the cache {self.file} cannot be used: {what}; going on without")

    def compact(self) -> None:
        """Give back the room of what was deleted, unless another scan is reading."""
        with self.lock, suppress(sqlite3.Error):
            if self.connection is not None:
                self.connection.execute("VACUUM")
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _open(self) -> None:
        """Connect to our database; one that is damaged is set aside."""
        if os.path.exists(self.file) and not os.path.isfile(self.file):
            raise OSError("not a regular file")
        os.makedirs(os.path.dirname(self.file), mode=0o700, exist_ok=True)
        self._make()
        try:
            self._connect()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            if not _is_damage(error):
                raise
            self._set_aside("is damaged")
            self._connect()

    def _make(self) -> None:
        """Make the file unless there is one, with a mode that SQLite gives its other files, too."""
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        self._opened = os.fstat(descriptor)
        os.close(descriptor)

    def _connect(self) -> None:
        """Open the file and make its tables if it is empty, or older than we are."""
        self.close()
        self.connection = connection = sqlite3.connect(
            self.file, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last batches, never the file
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        with self.transaction():  # against another scan that begins at the same moment
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if tables and application != APPLICATION_ID:
                raise sqlite3.DatabaseError("not our number")  # but our file: see `check_cache`
            if tables and version > SCHEMA:
                raise OSError("it is of a newer version of facescan")
            outdated = bool(tables) and version < SCHEMA
            if outdated:
                for name in tables:
                    connection.execute('DROP TABLE "{}"'.format(name.replace('"', '""')))
            if outdated or not tables:
                for statement in filter(str.strip, _TABLES.split(";")):
                    connection.execute(statement)
            self._prepare(connection)
        # Readers need not wait for a writer then. Another scan may be about to switch, too, or have no mind to.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        if outdated:
            self.compact()

    def _set_aside(self, reason: str) -> None:
        """Rename the file, with all that SQLite put beside it, and make a new one. Deletes nothing."""
        self.close()
        if self._warn is None:
            raise FacescanError(
                f"the cache {self.file} {reason}: the next scan will set it aside; or name another with --cache"
            )
        if os.path.samestat(os.stat(self.file), self._opened):  # else another scan was faster
            if not _is_ours(self.file):
                raise OSError("another program has written to it")
            aside = f"{self.file}.corrupt-{time.time_ns()}"
            for file, name in zip(files_of(self.file), files_of(aside), strict=True):
                with suppress(FileNotFoundError):
                    os.rename(file, name)
            self._warn(f"warning: the cache {self.file} {reason}; it is now {aside}")
        self._make()


def _is_ours(file: str) -> bool:
    """Whether there is no file, an empty one, or a cache of ours, whole or damaged."""
    own = cache_file()
    if not os.path.isfile(file) or (own is not None and os.path.realpath(file) == os.path.realpath(own)):
        return True
    try:
        with open(file, "rb") as stream:
            page = stream.read(_PAGE)
    except OSError:  # what cannot be read cannot be written to either, and costs a warning
        return True
    numbered = page.startswith(_MAGIC) and page[_ID_AT : _ID_AT + 4] == APPLICATION_ID.to_bytes(4, "big")
    return not page or numbered or all(table in page for table in _OURS)


def _is_damage(error: Exception) -> bool:
    """Whether an error means that the file does not hold what we wrote; others may be over with the next scan."""
    if isinstance(error, sqlite3.ProgrammingError):  # a mistake of ours
        return False
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _PASSING
    return isinstance(error, OverflowError | UnicodeError)
