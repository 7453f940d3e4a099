"""Checking: whether a SQLite file beside a memory is whole, and of this version.

Owns the states of such a file. Reads it as `salvage.opened` does, so that neither the file nor its folder changes.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from engram.errors import EngramError
from engram.store.sqlite.connections import Database
from engram.store.sqlite.errors import too_new
from engram.store.sqlite.files import LOG_SUFFIXES, record_of
from engram.store.sqlite.salvage import check_integrity, opened

GOOD, MISSING, DAMAGED, FOREIGN, NEWER, UNREADABLE = "good", "missing", "damaged", "foreign", "newer", "unreadable"
LOOKS = 2
"""How often damage must be found: another process may write the file while it is copied."""


class SideFile(NamedTuple):
    """A SQLite file that Engram keeps beside a memory."""

    path: str
    file: type[Database]
    tables: Sequence[str]
    """Names of the tables that it has."""
    lost: str
    """What is lost, and what is not, if it is taken away."""
    deleted: bool = True
    """Whether the cure is to delete it; else to move it away, because it cannot be derived again."""


class SideState(NamedTuple):
    """The state of a file beside a memory."""

    name: str
    path: str
    state: str
    """One of good, missing, damaged, foreign (another application's), newer (of a newer version) and unreadable."""
    problem: str = ""
    """What is wrong; empty if it is good or missing."""
    cure: str = ""
    """What to do about it; empty if it is good or missing."""

    @property
    def healthy(self) -> bool:
        """Whether nothing needs to be done. A missing file is made when it is needed."""
        return self.state in (GOOD, MISSING)


def state_of(side: SideFile) -> SideState:
    """Read a whole file beside a memory and return its state. Raises nothing for what is in it."""
    name = side.file.display_name
    if not os.path.lexists(side.path):
        return SideState(name, side.path, MISSING)
    for _ in range(LOOKS):
        state, problem = _looked_at(side)
        if state != DAMAGED:
            break
    return SideState(name, side.path, state, problem, cure_of(side, state) if problem else "")


def _looked_at(side: SideFile) -> tuple[str, str]:
    """Return the state of a file, and what is wrong with it."""
    if not os.path.isfile(side.path):
        return UNREADABLE, "it is no file"
    # Not opened to see: closing it would release the locks that SQLite may hold on it in this process.
    if not os.access(side.path, os.R_OK):
        return UNREADABLE, "you have no right to read it"
    try:
        with opened(side.path, mend=False) as db:
            return _examined(db, side)
    except sqlite3.DatabaseError as error:
        return DAMAGED, f"SQLite cannot read it: {error}"
    except (EngramError, OSError) as error:
        return UNREADABLE, str(error)


def _examined(db: sqlite3.Connection, side: SideFile) -> tuple[str, str]:
    version, ours = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("user_version", "application_id"))
    names = {name.decode(errors="replace") for (name,) in db.execute("SELECT name FROM sqlite_master").fetchall()}
    if not names and not version:
        # A new file, whose tables the next process that opens it creates.
        return GOOD, ""
    if ours != side.file.application_id:
        return FOREIGN, f"it is a SQLite file of another application, and no {side.file.display_name}"
    problems = check_integrity(db)
    if not problems and version > side.file.version:
        return NEWER, str(too_new(side.path, version, side.file.version))
    if not problems and version == side.file.version:
        problems = [f"its table {name} is missing" for name in side.tables if name not in names]
    return (DAMAGED, problems[0]) if problems else (GOOD, "")


def cure_of(side: SideFile, state: str) -> str:
    """Return what to do about a file that cannot be used."""
    names = (side.path, *(side.path + end for end in LOG_SUFFIXES), record_of(side.path))
    there = [name for name in names if os.path.isfile(name)]
    away = f"delete it: rm {shlex.join(there)}"
    if not there or state == FOREIGN or not side.deleted:
        away = "move it away"
    if state == UNREADABLE and there:
        return f"let yourself read and write it, or {away}: {side.lost}"
    return f"{away}: {side.lost}"
