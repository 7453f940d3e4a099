"""Examining a memory, and saving what can be read of it into a new one."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from engram.engram import Engram
from engram.errors import EngramError, InvalidEngram, NotFound
from engram.search.local.folder import IndexFolder
from engram.store.sqlite.migrations import APPLICATION_ID, VERSION
from engram.store.sqlite.salvage import SalvageReader, mended_header, opened
from engram.store.sqlite.store import SqliteStore
from engram.text.analyzer import Analyzer
from engram.text.vectors import default_table

BATCH = 1_000
"""Engrams saved in one commit."""


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a memory."""

    path: str
    problems: tuple[str, ...]
    """What is wrong with the database; empty if nothing."""
    readable: int
    """Engrams that can be read: all of them, if there is no problem."""
    lost: int | None
    """Engrams known of that cannot be read; None where even that is unknown."""
    format: int | None
    """The version of the file's format, if it can be read."""
    index: str
    """ "good", "behind", "missing", or "damaged: ..."; recall answers from the store meanwhile."""
    unindexed: int
    """Engrams that the index does not hold yet."""
    store_bytes: int
    index_bytes: int

    @property
    def healthy(self) -> bool:
        """Whether nothing needs to be done: an index that is missing or behind makes itself."""
        return not self.problems and not self.index.startswith("damaged")


@dataclass(slots=True)
class Salvage:
    """What was saved from a damaged memory into a new one."""

    path: str
    target: str
    saved: int = 0
    lost: int | None = None
    """Engrams known of that could not be read; None where even that is unknown."""
    lost_ids: list[str] = field(default_factory=list)
    """The ids of the lost, as far as they are known."""
    unnamed: int = 0
    """Engrams whose namespace, session or speaker had lost its name and got another ("recovered-<number>")."""


def examine(path: str | os.PathLike[str]) -> Report:
    """Look at the memory at `path` as a whole: reads all of it. Raises `NotFound` if there is no file."""
    where = _there(path)
    store = _examine_store(where)
    index, through, index_bytes = _examine_index(where, store.identity)
    unindexed = max(0, store.last - through)
    if index == "good" and unindexed:
        index = "behind"
    files = [where, f"{where}-wal", f"{where}-shm"]
    size = sum(os.path.getsize(name) for name in files if os.path.exists(name))
    problems = tuple(store.problems)
    return Report(where, problems, store.readable, store.lost, store.format, index, unindexed, size, index_bytes)


def salvage(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> Salvage:
    """Save every engram that can still be read from the memory at `path` into a new one at `target`.

    Ids, times and order stay. Raises `NotFound` if `path` is not there, `EngramError` if `target` is, or if nothing
    in the file is left that SQLite can open.
    """
    where, new = _there(path), str(target)
    if os.path.exists(new):
        raise EngramError(f"{new} is already there; give a file that is not, so that nothing is overwritten")
    outcome = Salvage(where, new)
    with opened(where) as db:
        patient = SalvageReader(db, where)
        if not patient.last and not patient.all_known:
            raise EngramError(f"{where}: nothing can be read; restore it from a backup")
        with closing(SqliteStore(new)) as store:
            batch: list[Engram] = []
            for engram in patient.engrams():
                batch.append(engram)
                if len(batch) >= BATCH:
                    outcome.saved += _save(store, batch)
                    batch = []
            outcome.saved += _save(store, batch)
        outcome.lost_ids = patient.lost_ids()
        outcome.lost = len(outcome.lost_ids) if patient.all_known else None
        outcome.unnamed = patient.unnamed
    return outcome


def _there(path: str | os.PathLike[str]) -> str:
    where = os.fspath(path)
    if not os.path.isfile(where):
        raise NotFound(f"there is no memory at {where}; check the path")
    return where


def _save(store: SqliteStore, engrams: list[Engram]) -> int:
    """Keep engrams in the new memory; damage can have left two with one id, of which the first stays."""
    try:
        return sum(store.append(engrams))
    except InvalidEngram:
        count = 0
        for engram in engrams:
            try:
                count += sum(store.append([engram]))
            except InvalidEngram:
                continue
        return count


class _Found(NamedTuple):
    """What a database is like; see `Report`."""

    problems: list[str]
    readable: int = 0
    lost: int | None = None
    format: int | None = None
    last: int = 0
    """The highest seq given out."""
    identity: str | None = None
    """What its index must bear; None if that cannot be read."""


def _examine_store(path: str) -> _Found:
    with opened(path) as db:
        try:
            version: int | None = int(db.execute("PRAGMA user_version").fetchone()[0])
            marked = int(db.execute("PRAGMA application_id").fetchone()[0])
            found = _integrity(db)
        except sqlite3.DatabaseError as error:
            version, marked, found = None, APPLICATION_ID, [f"SQLite cannot read it: {error}"]
        if marked != APPLICATION_ID:
            return _Found(["it is a SQLite file but not an Engram memory"])
        if version is not None and version > VERSION:
            return _Found([f"its format {version} is newer than this Engram ({VERSION})"], format=version)
        if mended_header(path)[0]:
            found.insert(0, "its header is damaged, or it was cut off")
        patient = SalvageReader(db, path)
        readable = sum(1 for _ in patient.engrams())
        lost = patient.lost_ids()
        if patient.unnamed:
            found.append(f"{patient.unnamed} engrams have lost the name of their namespace, session or speaker")
        if lost and not found:
            found.append(f"{len(lost)} engrams cannot be read")
        known = len(lost) if patient.all_known else None
        return _Found(found, readable, known, version, patient.last, patient.identity())


def _integrity(db: sqlite3.Connection) -> list[str]:
    """What SQLite's own check finds."""
    try:
        rows = db.execute("PRAGMA integrity_check(20)").fetchall()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    texts = (row[0].decode(errors="replace") if isinstance(row[0], bytes) else str(row[0]) for row in rows)
    return [line for text in texts if text != "ok" for line in text.splitlines() if not line.startswith("***")]


def _examine_index(path: str, identity: str | None) -> tuple[str, int, int]:
    """The state of the index beside the file, the seq it reaches, and its bytes."""
    folder = Path(path + ".index")
    encoder = Analyzer(default_table())
    index = IndexFolder(folder, encoder.fingerprint, encoder.token_type, identity)
    if not (folder / "state.json").exists():
        return "missing", 0, index.bytes()
    return f"damaged: {index.damage}" if index.damage else "good", index.through, index.bytes()
