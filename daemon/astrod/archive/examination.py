"""Looking into an archive that somebody else may be writing: read-only, nothing migrated, no lock taken."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from astrod.archive.database import in_words


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error as fault:
        raise in_words(path, fault) from fault


def faults(path: Path) -> list[str]:
    """What SQLite finds wrong with the file; empty when it is sound. Reads all of it.

    Raises TellOperator for a file that cannot be read at all, Retry while it is busy.
    """
    with _reading(path) as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    return [] if found == ["ok"] else found


def claims(path: Path) -> dict[str, int]:
    """The frames that are recorded as taken: path under the data root, and size in bytes. Raises as `faults`."""
    with _reading(path) as connection:
        return dict(connection.execute("SELECT path, size_bytes FROM taken ORDER BY path"))
