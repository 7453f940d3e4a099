"""The files of a database: recognised by inode and time of birth, and kept apart from another file's log.

Owns the record `PATH-inodes`. SQLite finds a write-ahead log by its name only:
beside a file that replaced the database, the old log would be written into the new file. The record tells the two cases
apart: a log whose database was replaced, and a log that was copied together with its database. A file system gives the
inode of a deleted file to the next new file, so the record holds the times of birth too.
"""

from __future__ import annotations

import ctypes
import glob
import os
import struct
import threading
import time
from contextlib import suppress
from typing import NamedTuple

from engram.errors import MemoryReplaced
from engram.store.private import private_file

LOG_SUFFIXES = ("-wal", "-shm")
"""The log of `memory.db` is `memory.db-wal`, with its index."""

ASIDE_SUFFIX = ".log-of-replaced-"
"""A log that was set aside is `memory.db.log-of-replaced-` and the time in nanoseconds since 1970."""

COPY_SUFFIX = ".saved-"
"""What a process had stored in a log that was deleted is `memory.db.saved-` and the time in nanoseconds since 1970."""

LOG_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
LOG_MAGIC = b"\x37\x7f\x06"
"""Sizes of the headers in SQLite's log, and the first bytes of a log."""

SERVER_SUFFIX = ".serve"
"""The server's file of `memory.db` is `memory.db.serve`."""


AT_FDCWD, STATX_BTIME = -100, 0x800
STATX_BYTES, MASK_AT, BIRTH_AT = 256, 0, 80
"""Arguments of the system call `statx`, and the size and two offsets of its result in bytes."""


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


def born(path: str) -> int:
    """Return when the file at `path` was created, in nanoseconds since 1970; 0 if that is not known.

    Does not open the file: that would end the locks that SQLite holds on it.
    """
    if (birth := getattr(os.stat(path), "st_birthtime", None)) is not None:
        return int(birth * 1e9)
    found = ctypes.create_string_buffer(STATX_BYTES)
    try:
        failed = ctypes.CDLL(None).statx(AT_FDCWD, os.fsencode(path), 0, STATX_BTIME, found)
    except (AttributeError, OSError, TypeError):
        # A C library without `statx`.
        return 0
    if failed or not struct.unpack_from("=I", found, MASK_AT)[0] & STATX_BTIME:
        return 0
    seconds, nanoseconds = struct.unpack_from("=qI", found, BIRTH_AT)
    return int(seconds * 1_000_000_000 + nanoseconds)


def log_of(path: str) -> str:
    """Return the path of the write-ahead log of a database; SQLite puts it beside the target of a symbolic link."""
    return os.path.realpath(path) + "-wal"


def record_of(path: str) -> str:
    """Return the path of the record of a database."""
    return os.path.realpath(path) + "-inodes"


def index_of(log: str) -> str:
    """Return the path of the index of a write-ahead log."""
    return log.removesuffix("-wal") + "-shm"


def has_header(log: str) -> bool:
    """Return whether a log is missing, empty, or begins as SQLite writes it: not if it was emptied, then written to."""
    try:
        with open(log, "rb", buffering=0) as file:
            found = file.read(len(LOG_MAGIC))
    except (FileNotFoundError, NotADirectoryError):
        return True
    return found in (b"", LOG_MAGIC)


def new_copy(path: str) -> str:
    """Create an empty file beside a database for what a process saves of it. Returns its path."""
    copy = f"{os.path.realpath(path)}{COPY_SUFFIX}{time.time_ns()}"
    private_file(copy)
    return copy


def write_record(path: str) -> None:
    """Record what identifies a database that is open and its log. Without the right to write, there is no record."""
    database, log = _mark(path), _mark(log_of(path))
    if database is None or log is None:
        return
    content, record = f"{database} {log}\n", record_of(path)
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

    To be called before SQLite opens the database for writing. Does nothing if the log was copied, or without a record.
    """
    return set_log_aside(path) if has_foreign_log(path) else None


def refuse_foreign_log(path: str) -> None:
    """Raise `MemoryReplaced` if a file to be read would be read with another file's log. Changes no file."""
    log = log_of(path)
    if has_foreign_log(path) and os.path.getsize(log):
        raise MemoryReplaced(
            f"{path} replaced the file to which the log beside it belongs, and is not read with that log; open it once"
            f" for writing, which renames the log, or move {log} away"
        )


def has_foreign_log(path: str) -> bool:
    """Return whether the log beside a database belongs to a file that the database replaced."""
    database, log, recorded = _mark(path), _mark(log_of(path)), _read(record_of(path)).split()
    if database is None or log is None or len(recorded) != 2:
        return False
    return _same(recorded[1], log) and not _same(recorded[0], database)


def set_log_aside(path: str) -> str | None:
    """Rename the log of a database, or delete it if it is empty. Returns its new path if it was renamed."""
    log, aside = log_of(path), None
    with suppress(FileNotFoundError):
        os.unlink(record_of(path))
    with suppress(FileNotFoundError):
        if os.path.getsize(log):
            aside = rename_log(path)
        else:
            os.unlink(log)
    with suppress(FileNotFoundError):
        os.unlink(os.path.realpath(path) + "-shm")
    return aside


def rename_log(path: str) -> str:
    """Rename the log of a database, so that SQLite does not find it. Returns its new path."""
    aside = f"{os.path.realpath(path)}{ASIDE_SUFFIX}{time.time_ns()}"
    os.rename(log_of(path), aside)
    return aside


def logs_aside(path: str) -> list[str]:
    """Return the paths of the logs that were set aside beside a database, and of what was saved of deleted logs.

    They hold text of files that were replaced.
    """
    start = glob.escape(os.path.realpath(path))
    return sorted(found for suffix in (ASIDE_SUFFIX, COPY_SUFFIX) for found in glob.glob(f"{start}{suffix}*"))


def _mark(path: str) -> str | None:
    """Return how the record names the file at `path`: inode and time of birth; None if there is no file."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return f"{os.stat(path).st_ino}@{born(path)}"
    return None


def _same(recorded: str, found: str) -> bool:
    """Return whether two marks may name the same file. A time that is not known, as in older records, fits any."""
    inode, _, birth = recorded.partition("@")
    found_inode, _, found_birth = found.partition("@")
    return inode == found_inode and (birth == found_birth or birth in ("", "0") or found_birth == "0")


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read(100)
    except (OSError, ValueError):
        return ""
