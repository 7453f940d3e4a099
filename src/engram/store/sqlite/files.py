"""The files of a database: recognised by inode, and kept apart from another file's log.

Owns the record `PATH-inodes`. SQLite finds a write-ahead log by its name only:
beside a file that replaced the database, the old log would be written into the new file. The record tells the two cases
apart: a log whose database was replaced, and a log that was copied together with its database.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import NamedTuple

from engram.store.private import private_file

LOG_SUFFIXES = ("-wal", "-shm")
"""The log of `memory.db` is `memory.db-wal`, with its index."""

SERVER_SUFFIX = ".serve"
"""The server's file of `memory.db` is `memory.db.serve`."""


class Place(NamedTuple):
    """What identifies a file whatever its name."""

    device: int
    inode: int


def look(path: str) -> tuple[Place | None, int]:
    """Return which file is at `path` and its size in bytes; None and 0 if there is none. Raises other `OSError`s."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None, 0
    return Place(found.st_dev, found.st_ino), found.st_size


def log_of(path: str) -> str:
    """Return the path of the write-ahead log of a database; SQLite puts it beside the target of a symbolic link."""
    return os.path.realpath(path) + "-wal"


def record_of(path: str) -> str:
    """Return the path of the record of a database."""
    return os.path.realpath(path) + "-inodes"


def write_record(path: str) -> None:
    """Record the inodes of a database that is open and of its log. Without the right to write, there is no record."""
    (database, _), (log, _) = look(path), look(log_of(path))
    if database is None or log is None:
        return
    content, record = f"{database.inode} {log.inode}\n", record_of(path)
    if _read(record) == content:
        return
    draft = f"{record}.{os.getpid()}.{threading.get_ident()}"
    with suppress(OSError):
        private_file(draft)
        with open(draft, "w") as file:
            file.write(content)
        os.replace(draft, record)


def drop_record(path: str) -> None:
    """Delete the record of a database whose log is gone."""
    if not os.path.exists(log_of(path)):
        with suppress(OSError):
            os.unlink(record_of(path))


def part_from_foreign_log(path: str) -> str | None:
    """Take a log away from a database that replaced the one of the log. Returns the log's new path if it was renamed.

    To be called before SQLite opens the database. Does nothing if the log was copied, or if there is no record.
    """
    return set_log_aside(path) if has_foreign_log(path) else None


def has_foreign_log(path: str) -> bool:
    """Return whether the log beside a database belongs to a file that the database replaced."""
    (database, _), (log, _) = look(path), look(log_of(path))
    recorded = _read(record_of(path))
    if database is None or log is None or not recorded:
        return False
    return recorded.endswith(f" {log.inode}\n") and not recorded.startswith(f"{database.inode} ")


def set_log_aside(path: str) -> str | None:
    """Rename the log of a database, or delete it if it is empty. Returns its new path if it was renamed."""
    log, aside = log_of(path), None
    with suppress(FileNotFoundError):
        os.unlink(record_of(path))
    with suppress(FileNotFoundError):
        if os.path.getsize(log):
            aside = f"{os.path.realpath(path)}.log-of-replaced-{time.time_ns()}"
            os.rename(log, aside)
        else:
            os.unlink(log)
    with suppress(FileNotFoundError):
        os.unlink(os.path.realpath(path) + "-shm")
    return aside


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read(100)
    except (OSError, ValueError):
        return ""
