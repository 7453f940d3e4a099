"""Conversion of SQLite's errors to Engram's: what happened, to which file, and what to do."""

from __future__ import annotations

import errno
import os
import shlex
import sqlite3

from engram.errors import EngramError, MemoryDamaged, MemoryFull, MemoryLocked, MemoryReadOnly, MemoryTooNew

ALMOST_FULL = 1 << 20
"""Free bytes below which a disk counts as full."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
WRITING_FAILED = (
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
)
"""All that SQLite reports of a quota or a limit on the size of files. Data committed before stays intact."""


def translate(error: sqlite3.Error, path: str, doing: str, wait: float) -> EngramError:
    """Return the `EngramError` for an error of SQLite. `doing`: the verb of the operation; `wait`: seconds waited."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = -1 if code is None else code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return MemoryLocked(f"{path}: another process held the memory for over {wait:g} s; try again when it is done")
    may_be_full = primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and disk_is_full(path)
    if primary == sqlite3.SQLITE_FULL or may_be_full:
        return MemoryFull(f"{path}: the disk is full, nothing of this {doing} was stored; make room and try again")
    if code in WRITING_FAILED:
        return MemoryFull(
            f"{path}: nothing of this {doing} was stored ({error}): a quota or a limit on the size of files is reached,"
            " or the disk fails; make room and try again"
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return MemoryReadOnly(f"cannot {doing} {path}: {error}; check that the file and its folder can be written")
    if primary == sqlite3.SQLITE_NOTADB:
        return MemoryDamaged(
            f"{path} is no Engram memory, or damaged ({error}); check the path,"
            f" or run: engram doctor --memory {shlex.quote(path)}"
        )
    torn = primary == sqlite3.SQLITE_ERROR and "no such" in str(error)
    if primary == sqlite3.SQLITE_CORRUPT or torn or "decode to UTF-8" in str(error):
        return damaged(path, error)
    if primary == sqlite3.SQLITE_IOERR:
        return MemoryDamaged(
            f"{path}: the disk failed ({error}); check it, then run: engram doctor --memory {shlex.quote(path)}"
        )
    return EngramError(f"{path}: SQLite could not {doing}: {error}")


def damaged(path: str, error: Exception) -> MemoryDamaged:
    """Return the error for content that Engram never wrote."""
    return MemoryDamaged(f"{path} is damaged ({error}); run: engram doctor --memory {shlex.quote(path)}")


def too_new(path: str, version: int, known: int) -> MemoryTooNew:
    """Return the error for a file of a newer format."""
    return MemoryTooNew(
        f"{path} has format {version}, this Engram knows up to {known}; upgrade: pip install -U engram-layer"
    )


def no_file(error: OSError, path: str, doing: str) -> EngramError:
    """Return the `EngramError` for an error of the operating system."""
    if error.errno in NO_ROOM:
        return MemoryFull(f"{path}: the disk is full, nothing of this {doing} was stored; make room and try again")
    return MemoryReadOnly(f"cannot {doing} {path}: {error.strerror}; check the path")


def disk_is_full(path: str) -> bool:
    """Return whether the file system of `path` has less than `ALMOST_FULL` bytes left."""
    try:
        free = os.statvfs(os.path.dirname(os.path.abspath(path)))
    except OSError:
        return False
    return free.f_bavail * free.f_frsize < ALMOST_FULL
