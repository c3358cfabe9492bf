"""Manages the cache's SQLite file: where it is, whether it is facescan's, and what happens if it is old or damaged."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from scanner.errors import FacescanError

APPLICATION_ID = 0x66616365  # "face": marks an SQLite database as a cache of facescan
# Raise it when the tables or their content change: a cache with a lower number is emptied.
SCHEMA = 2
# Seconds to wait for another scan that is writing; writing takes milliseconds.
LOCK_TIMEOUT_S = 5.0
# Bytes of the file's first page, with its header and table definitions.
_FIRST_PAGE_BYTES = 4096
_MAGIC = b"SQLite format 3\0"
_APPLICATION_ID_OFFSET = 68  # in bytes (SQLite's "Database File Format", 1.3)
# Bytes of a value, at most. Without a limit, SQLite would allocate whatever a damaged length says.
_MAX_VALUE_BYTES = 2**24
# Errors that may be gone with the next scan. Any other error means that the file is damaged.
_TRANSIENT_ERRORS = {
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
# `checksum` is made by `row_checksum` and `file_checksum` of `scanner.cache.row`.
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
_TABLE_DEFINITIONS = (b"CREATE TABLE scopes (", b"CREATE TABLE files (")


class NotACacheError(FacescanError):
    """Says that a file is not a cache of facescan, and must not be changed."""


def cache_file() -> str | None:
    """Return the path of the cache unless --cache names one: in FACESCAN_CACHE_DIR, or in the user's cache directory.

    None if there is no home directory.
    """
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


def database_files(cache: str) -> list[str]:
    """Return the paths of the database and of the files that SQLite puts beside it."""
    return [cache, f"{cache}-wal", f"{cache}-shm", f"{cache}-journal"]


def disk_usage(cache: str) -> int:
    """Return the bytes that the cache takes on disk."""
    return sum(os.path.getsize(file) for file in database_files(cache) if os.path.exists(file))


def check_cache(file: str) -> None:
    """Make sure that a file is empty, or a cache of facescan, whole or damaged; or does not exist.

    At the path of the user's cache, any file is accepted.

    Raises:
        NotACacheError: the file is something else.
    """
    if not _is_cache(file):
        raise NotACacheError(
            f"the cache {file}: this file is not a cache of facescan and was not changed; name another with --cache"
        )


class CacheDatabase:
    """Owns the connection to the database. An error costs the cache, or what was in it, and never the scan.

    Args:
        file: path; created with access for this user only, if it does not exist.
        prepare: called with every new connection, in its first transaction.
        warn: called with warnings. None outside a scan: then a damaged file is not set aside, and errors are raised.

    Raises:
        NotACacheError: the file is not a cache of facescan.
        FacescanError: only without `warn`: the file cannot be used.
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
        with self.survive_errors():
            self._open()

    def close(self) -> None:
        """Close the connection; without one, nothing is found or stored."""
        with self.lock, suppress(sqlite3.Error):
            connection, self.connection = self.connection, None
            if connection is not None:
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection inside a transaction, which is rolled back if the block raises."""
        with self.lock:
            connection = self.connection
            if connection is None:
                raise OSError("it was closed after an error")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled it back already
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def survive_errors(self) -> Iterator[None]:
        """Handle an error in the block: set a damaged file aside and begin a new one; after any other error,
        close the cache.
        """
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError, UnicodeError, MemoryError) as error:
            with self.lock:
                try:
                    self.close()
                    if not _is_damage(error):
                        raise
                    self._replace_damaged_file()
                    self._open()
                except (sqlite3.Error, OSError, OverflowError, UnicodeError, MemoryError) as trouble:
                    self.close()
                    what = getattr(trouble, "strerror", None) or str(trouble) or type(trouble).__name__
                    if self._warn is None:
                        raise FacescanError(f"the cache {self.file} cannot be used: {what}") from trouble
                    self._warn(f"warning: the cache {self.file} cannot be used: {what}; scanning without it")

    def compact(self) -> None:
        """Return the space of deleted rows to the file system, unless another scan is reading."""
        with self.lock, suppress(sqlite3.Error):
            if self.connection is not None:
                self.connection.execute("VACUUM")
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _open(self) -> None:
        """Connect to the database; set it aside first if it is damaged."""
        if os.path.exists(self.file) and not os.path.isfile(self.file):
            raise OSError("not a regular file")
        os.makedirs(os.path.dirname(self.file), mode=0o700, exist_ok=True)
        self._create()
        try:
            self._connect()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            if not _is_damage(error):
                raise
            self._replace_damaged_file()
            self._connect()

    def _create(self) -> None:
        """Create the file if it does not exist, with a mode that SQLite gives its other files, too."""
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        self._opened = os.fstat(descriptor)
        os.close(descriptor)

    def _connect(self) -> None:
        """Open the file; create its tables if it is empty, or of an older version."""
        self.close()
        self.connection = connection = sqlite3.connect(
            self.file, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last batches, never the file
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        with self.transaction():  # locks out another scan that begins at the same moment
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if tables and application != APPLICATION_ID:
                raise sqlite3.DatabaseError("wrong application id")  # in a file that `check_cache` accepted: damage
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
        # With a write-ahead log readers need not wait for a writer. A lock of another scan may prevent the switch.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        if outdated:
            self.compact()

    def _replace_damaged_file(self) -> None:
        """Rename the file and those that SQLite put beside it, and create a new one. Deletes nothing."""
        self.close()
        if self._warn is None:
            raise FacescanError(
                f"the cache {self.file} is damaged: the next scan will set it aside; or name another with --cache"
            )
        if os.path.samestat(os.stat(self.file), self._opened):  # else another scan has done it
            if not _is_cache(self.file):
                raise OSError("another program has written to it")
            aside = f"{self.file}.corrupt-{time.time_ns()}"
            for file, name in zip(database_files(self.file), database_files(aside), strict=True):
                with suppress(FileNotFoundError):
                    os.rename(file, name)
            self._warn(f"warning: the cache {self.file} is damaged; it is now {aside}")
        self._create()


def _is_cache(file: str) -> bool:
    """Return whether there is no file, an empty one, or a cache of facescan, whole or damaged."""
    default = cache_file()
    if not os.path.isfile(file) or (default is not None and os.path.realpath(file) == os.path.realpath(default)):
        return True
    try:
        with open(file, "rb") as stream:
            page = stream.read(_FIRST_PAGE_BYTES)
    except OSError:  # the cache cannot be opened either, which gives a warning
        return True
    numbered = page.startswith(_MAGIC) and page[
        _APPLICATION_ID_OFFSET : _APPLICATION_ID_OFFSET + 4
    ] == APPLICATION_ID.to_bytes(4, "big")
    return not page or numbered or all(table in page for table in _TABLE_DEFINITIONS)


def _is_damage(error: Exception) -> bool:
    """Return whether an error means that the file is damaged; other errors may be gone with the next scan."""
    if isinstance(error, sqlite3.ProgrammingError):  # a bug of facescan
        return False
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _TRANSIENT_ERRORS
    return isinstance(error, OverflowError | UnicodeError)
