"""The door to SQLite: opening, migrating, transactions, and its errors in astrod's words.

Only this package imports `sqlite3` and `sqlite_utils`. A database is written by one process (a lock beside
the file sees to it) and used by one thread at a time.
"""

import fcntl
import importlib
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Literal

from astrod.errors import AstrodError, Bug, Retry, TellOperator
from astrod.runtime.durable import make_folder

Row = dict[str, Any]
Migration = tuple[str, ...]

BUSY_MS = 5000


def _sqlite_utils() -> ModuleType:
    """Import sqlite_utils without the numpy and pandas it would take along where they are installed.

    It uses them only to store their types, and they cost 50 MB in a process that must stay small. Where they
    are loaded already nothing is held back. Call it before there are threads: for a tenth of a second an
    import of either fails.
    """
    held_back = [name for name in ("numpy", "pandas") if name not in sys.modules]
    for name in held_back:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("sqlite_utils")
    finally:
        for name in held_back:
            del sys.modules[name]


_SQLITE_UTILS = _sqlite_utils()


class Database:
    """An open database file of a known kind, at the newest schema.

    `application` is the number that tells our files from others' (SQLite's application_id).
    """

    def __init__(
        self,
        path: Path,
        migrations: Sequence[Migration],
        application: int,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
    ) -> None:
        self.path = path
        self._lock = _lock_out_other_writers(path)
        self._conn: sqlite3.Connection | None = None
        try:
            with self._translated():
                self._open(migrations, application, synchronous)
        except AstrodError:
            self.close()
            raise

    def _open(self, migrations: Sequence[Migration], application: int, synchronous: str) -> None:
        # transactions are ours to begin and end, so the driver must not begin its own
        self._conn = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._conn.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        self._refuse_strangers(len(migrations), application)
        self._conn.execute("PRAGMA journal_mode = WAL")
        self._conn.execute(f"PRAGMA synchronous = {synchronous}")
        self._conn.execute("PRAGMA foreign_keys = ON")
        self._tables = _SQLITE_UTILS.Database(self._conn, recursive_triggers=False, execute_plugins=False)
        self._migrate(migrations, application)

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._conn is None:
            raise Bug(f"{self.path} is closed")
        return self._conn

    def _refuse_strangers(self, newest: int, application: int) -> None:
        told, version = self.pragma("application_id"), self.pragma("user_version")
        tables = self.rows("SELECT count(*) AS n FROM sqlite_master")[0]["n"]
        if tables and told != application:
            raise TellOperator(f"{self.path} is no database of astrod's; move it away or choose another data root")
        if version > newest:
            raise TellOperator(
                f"{self.path} was written by a newer astrod (schema {version}, this one knows {newest}); "
                "install that version again, or restore the database from before it"
            )

    def _migrate(self, migrations: Sequence[Migration], application: int) -> None:
        """Apply what is missing, each migration in a transaction of its own together with its number."""
        for number in range(int(self.pragma("user_version")) + 1, len(migrations) + 1):
            with self.transaction():
                for statement in migrations[number - 1]:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA application_id = {application}")
                self._connection.execute(f"PRAGMA user_version = {number}")

    # -- reading and writing ---------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; within another transaction it joins that one. Errors are translated."""
        with self._translated():
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:  # whatever ended the work undoes it, and goes on
                with suppress(sqlite3.Error):  # the first error tells more than a failed undoing
                    self._connection.execute("ROLLBACK")
                raise
            self._commit()

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):  # the failed commit is the error to tell
                self._connection.execute("ROLLBACK")
            raise

    def rows(self, sql: str, *values: object) -> list[Row]:
        """The rows of a query, by column name."""
        with self._translated():
            cursor = self._connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def row(self, sql: str, *values: object) -> Row | None:
        """The first row of a query, if any."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def change(self, sql: str, *values: object) -> int:
        """Run a statement that changes rows; returns how many."""
        with self._translated():
            return self._connection.execute(sql, values).rowcount

    def insert(self, table: str, row: Row) -> None:
        """Insert one row; structured values become JSON. An existing key is an error."""
        with self.transaction():
            self._tables[table].insert(row)

    def upsert(self, table: str, row: Row) -> None:
        """Insert one row, or change the columns given of the one that has its primary key."""
        with self.transaction():
            keys = self._tables[table].pks
            self._tables[table].upsert(row, pk=keys[0] if len(keys) == 1 else keys)

    def pragma(self, name: str) -> Any:
        """The value of a PRAGMA."""
        with self._translated():
            found = self._connection.execute(f"PRAGMA {name}").fetchone()
        return found[0] if found else None

    # -- upkeep ----------------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file; blocks for as long as the disk needs."""
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def faults(self) -> list[str]:
        """What SQLite finds wrong with the file; empty when it is sound. Reads all of it."""
        try:
            page_faults = [str(row["integrity_check"]) for row in self.rows("PRAGMA integrity_check")]
            orphans = self.rows("PRAGMA foreign_key_check")
        except TellOperator as fault:
            return [str(fault)]
        faults = [] if page_faults == ["ok"] else page_faults
        return faults + [f"{row['table']} row {row['rowid']} points at no row of {row['parent']}" for row in orphans]

    def close(self) -> None:
        """Let go of the file; safe to repeat."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None
        self._lock.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            raise in_words(self.path, fault) from fault


def _lock_out_other_writers(path: Path) -> IO[bytes]:
    """Hold the lock beside the database until closed or dead. Record locks are not inherited by children."""
    try:
        make_folder(path.parent)
        lock = path.with_name(path.name + ".lock").open("wb")
    except OSError as fault:
        raise TellOperator(f"{path} cannot be opened ({fault.strerror}); make its folder writable") from fault
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        lock.close()
        raise TellOperator(
            f"{path} is in use by another astrod; stop that one first, or give this one another data root"
        ) from fault
    return lock


def in_words(path: Path, fault: sqlite3.Error) -> AstrodError:
    """SQLite's error as what the caller does next."""
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Retry(f"{path} is busy: {fault}")
    if code == sqlite3.SQLITE_FULL:
        return TellOperator(f"{path}: the disk is full; free some space (what was recorded before is safe)")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return TellOperator(f"{path} cannot be written ({fault}); check its owner, and that the disk is read-write")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return TellOperator(
            f"{path} is damaged ({fault}). Stop astrod, copy the file and its -wal away, then try "
            f"`sqlite3 {path.name} .recover`, or restore a copy; the frames are FITS files, and safe"
        )
    if code == sqlite3.SQLITE_IOERR:
        return TellOperator(f"{path}: the disk fails ({fault}); check it with dmesg and smartctl, and its space")
    return Bug(f"{path}: {fault}")
