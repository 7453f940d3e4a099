"""Copies of SQLite files: taken while the file is in use, checked, and put in the place of another file.

Owns how a copy is made and how a file is replaced. Does not know what the file holds.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import quote

from engram.errors import EngramError, MemoryDamaged, MemoryLocked
from engram.store.private import private_folder, rename_new, whole_file
from engram.store.sqlite.errors import no_file, translate
from engram.store.sqlite.files import part_from_foreign_log, refuse_foreign_log, set_log_aside

WAIT = 2.0
"""Seconds to wait for the locks of a process that is closing the file."""

OF_THE_SOURCE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Errors of a file that is only read. All others are those of the file that is written."""


def copy_database(
    source: str, target: str, name: str, finish: Callable[[sqlite3.Connection], object] = lambda _: None
) -> None:
    """Write what is committed in `source` at one moment into the empty file `target`, and check it.

    Other processes may write to `source` meanwhile. The copy holds no deleted rows and needs no log. `name`: what
    messages call it. `finish` may change it before it is checked. Raises `MemoryDamaged` if the copy is not whole,
    `MemoryReplaced` if the log beside `source` is another file's, and
    other `EngramError`s for a full disk and the like; `target` is then of no use.
    """
    refuse_foreign_log(source)
    uri = f"file:{quote(os.path.abspath(source))}?mode=ro"
    try:
        with closing(_connect(uri)) as db, closing(_connect(f"file:{quote(target)}")) as copy:
            # One snapshot for the copy and for what it must hold.
            db.execute("BEGIN")
            expected = _row_counts(db)
            db.backup(copy)
            db.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE")
            found = _row_counts(copy)
            finish(copy)
            copy.execute("VACUUM")
            problem = str(copy.execute("PRAGMA integrity_check(1)").fetchone()[0]).rpartition("\n")[2]
    except sqlite3.Error as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise translate(error, source if primary in OF_THE_SOURCE else name, "copy", WAIT) from error
    if problem != "ok" or found != expected:
        problem = problem if problem != "ok" else "rows are missing"
        raise MemoryDamaged(
            f"the copy of {source} is not whole ({problem}); run: engram doctor --memory {shlex.quote(source)}"
        )


@contextmanager
def new_database(path: str, put: Callable[[str, str], object] | None = None) -> Iterator[str]:
    """Lend the name of a new file as `whole_file` does, and create missing folders above `path`.

    Raises `MemoryFull` or another `EngramError` where the system refuses. Errors name `path`, not the new name.
    """
    try:
        private_folder(os.path.dirname(os.path.abspath(path)))
        with whole_file(path, put) as draft:
            try:
                yield draft
            except EngramError as error:
                if draft not in str(error):
                    raise
                raise type(error)(str(error).replace(draft, path)) from error
    except OSError as error:
        raise no_file(error, path, "write") from error


def put_in_place(draft: str, path: str) -> None:
    """Rename `draft`, a whole file without a log, to `path`; a file there is replaced.

    Raises `MemoryLocked` if a process has the replaced file open. No log of it is left beside the new file.
    """
    if not os.path.exists(path):
        set_log_aside(path)
        rename_new(draft, path)
        return
    with _alone(path):
        os.replace(draft, path)
        set_log_aside(path)
        with suppress(FileNotFoundError):
            os.unlink(f"{path}-journal")


@contextmanager
def _alone(path: str) -> Iterator[None]:
    """Hold a file that no other process has open, and empty its log into it. A file that is no database has no log."""
    part_from_foreign_log(path)
    with closing(_connect(f"file:{quote(os.path.abspath(path))}?mode=rw")) as db:
        try:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("BEGIN EXCLUSIVE")
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise MemoryLocked(
                    f"{path} is open in another process; stop the server and end every program that uses it, then try"
                    " again"
                ) from error
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in OF_THE_SOURCE:
                raise translate(error, path, "replace", WAIT) from error
            set_log_aside(path)
        yield


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=WAIT, isolation_level=None)


def _row_counts(db: sqlite3.Connection) -> dict[str, int]:
    """Return the number of rows of every table."""
    names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    return {name: int(db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for (name,) in names}
