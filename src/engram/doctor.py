"""Examination of a memory, and salvage of the engrams, documents and policies that can be read.

Asks the store's file and the index for their states. Knows no file format.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from engram import accel
from engram.engram import Engram
from engram.errors import EngramError, InvalidEngram, NotFound
from engram.meaning.sentences import SentenceEncoder
from engram.opening import (
    STATEMENTS,
    USES,
    file_of,
    files_of,
    index_folder,
    open_analyzer,
    open_index_folder,
    open_store,
    usable_encoder,
)
from engram.store.base import Store
from engram.store.positions import distance
from engram.store.private import exposed
from engram.store.sqlite.checking import SideFile, SideState, state_of
from engram.store.sqlite.copying import new_database
from engram.store.sqlite.files import SERVER_SUFFIX, has_foreign_log, logs_aside
from engram.store.sqlite.salvage import FileReport, SalvageReader, examine_file, opened, refuse_newer

BATCH = 1_000
"""Engrams saved in one commit."""

DOCUMENT_BATCH = 50
"""Versions of state documents saved in one commit."""


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a memory."""

    path: str
    problems: tuple[str, ...]
    """Problems of the database."""
    readable: int
    """Engrams that can be read; all engrams if there is no problem."""
    lost: int | None
    """Known engrams that cannot be read; None if even that is unknown."""
    format: int | None
    """Version of the file's format; None if it cannot be read."""
    index: str
    """ "good", "behind", "missing", or "damaged: ...". Recall answers without the index in the meantime."""
    unindexed: int
    """Engrams that the index does not hold yet."""
    unencoded: int
    """Passages of the index that have no vector yet; recall finds them by words."""
    store_bytes: int
    index_bytes: int
    state_documents: int = 0
    """Versions of state documents that can be read."""
    lost_state_documents: int | None = 0
    """Known versions of state documents that cannot be read; None if even that is unknown."""
    warnings: tuple[str, ...] = ()
    """What puts the memory at risk, such as rights for other users. No damage."""
    side_files: tuple[SideState, ...] = ()
    """The SQLite files beside the memory, with the derived data, the uses and what the caller named."""

    @property
    def healthy(self) -> bool:
        """Whether nothing needs to be done. A missing index, or one that is behind, is built automatically."""
        whole = not self.problems and not self.index.startswith("damaged")
        return whole and all(file.healthy for file in self.side_files)


@dataclass(slots=True)
class Salvage:
    """The result of a salvage."""

    path: str
    target: str
    saved: int = 0
    lost: int | None = None
    """Known engrams that could not be read; None if even that is unknown."""
    lost_ids: list[str] = field(default_factory=list)
    """The ids of the lost engrams that are known."""
    unnamed: int = 0
    """Engrams whose namespace, session or speaker lost its name, and was named "recovered-<number>"."""
    policies: int = 0
    """Policies that were saved."""
    policies_lost: bool = False
    """Whether policies could not be read, so that engrams which had expired may be back."""
    state_documents: int = 0
    """Versions of state documents that were saved."""
    lost_state_documents: list[str] | None = None
    """The versions of state documents that could not be read, in words; None if not even their number is known."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing was lost."""
        return self.lost == 0 and self.lost_state_documents == [] and not self.policies_lost


def examine(path: str | os.PathLike[str], others: Sequence[SideFile] = ()) -> Report:
    """Read the whole memory at `path` and report its state. others: files beside it that rooms above this one keep.

    Raises `NotFound` if there is no file, `MemoryTooNew` if a newer version of Engram wrote it.
    """
    where = _existing(path)
    store = examine_file(where)
    index, unindexed, unencoded, index_bytes = _examine_index(where, store)
    files = [where, f"{where}-wal", f"{where}-shm"]
    size = sum(os.path.getsize(name) for name in files if os.path.exists(name))
    problems = tuple(store.problems)
    state = (store.readable, store.lost, store.format, index, unindexed, unencoded, size, index_bytes)
    sides = tuple(map(state_of, (*side_files(where), *others)))
    return Report(where, problems, *state, store.documents, store.lost_documents, _warnings(where), sides)


def side_files(path: str) -> list[SideFile]:
    """Return the SQLite files that `Memory` keeps in the folder of the index of the memory at `path`."""
    # Imported here: these rooms are not needed by a memory that only remembers.
    from engram.reflection.database import DerivedDatabase
    from engram.strength.database import UseDatabase

    folder = index_folder(path)
    derived = "no memory is lost; statements are derived again, but what models proposed is gone"
    return [
        SideFile(str(folder / STATEMENTS), DerivedDatabase, ("meta", "statements"), derived),
        SideFile(str(folder / USES), UseDatabase, ("uses",), "only counts of use are lost"),
    ]


def examine_encoder(encoder: SentenceEncoder) -> str:
    """Return the fingerprint, the dimensions and the form of an encoder; "damaged: ..." if its data are."""
    try:
        encoder.verify()
    except EngramError as error:
        return f"damaged: {error}"
    form = "compiled" if accel.available else "in numpy, slower"
    return f"{encoder.fingerprint}, {encoder.dimensions} dimensions, {form}"


def _warnings(path: str) -> tuple[str, ...]:
    """What puts a file at risk that is not damaged."""
    found, warnings = os.stat(path), []
    if commands := exposed(files_of(path)):
        warnings.append(f"other users of this machine may read it; end that with: {' && '.join(commands)}")
    folder = os.path.dirname(os.path.abspath(path))
    mode = os.stat(folder).st_mode
    if mode & 0o022 and not mode & stat.S_ISVTX:
        warnings.append(f"other users of this machine may replace it; end that with: chmod go-w {shlex.quote(folder)}")
    if found.st_nlink > 1:
        warnings.append(
            f"it has {found.st_nlink} names (hard links): opened by two of them it is damaged, so delete all but one"
        )
    if (holder := open_index_folder(index_folder(path), open_analyzer(), None).holder()) is not None and holder.stopped:
        warnings.append(f"nothing is indexed: {holder}")
    if has_foreign_log(path):
        warnings.append(
            "the log beside it belongs to a file that it replaced; the log is renamed when it is opened for writing"
        )
    if aside := [*logs_aside(path), *logs_aside(path + SERVER_SUFFIX)]:
        warnings.append(
            "logs of files that it replaced are kept beside it, and may hold forgotten text; if nothing in them is"
            f" missed, delete them: rm {shlex.join(aside)}"
        )
    return tuple(warnings)


def salvage(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> Salvage:
    """Store every engram, document and policy that can be read in the memory at `path` in a new memory at `target`.

    Expired engrams are saved too, and stay expired. Ids, versions, times and order do not change. Raises `NotFound` if
    `path` does not exist, `MemoryTooNew` if a newer version of Engram wrote it, `MemoryFull` if the disk is full, and
    `EngramError` if `target` exists or cannot be written, or if nothing in the file can be read. Missing folders above
    `target` are created.
    """
    where, new = _existing(path), file_of(target)
    if os.path.exists(new):
        raise EngramError(f"{new} exists already; give the path of a new file, so that nothing is overwritten")
    outcome = Salvage(where, new)
    with opened(where) as db:
        refuse_newer(db, where)
        reader = SalvageReader(db, where)
        unreadable = not reader.last and not reader.all_known
        if unreadable and not reader.last_document:
            raise EngramError(f"{where}: nothing can be read; restore it from a backup")
        with new_database(new) as draft, closing(open_store(draft)) as store:
            batch: list[Engram] = []
            for engram in reader.engrams():
                batch.append(engram)
                if len(batch) >= BATCH:
                    outcome.saved += _save(store, batch)
                    batch = []
            outcome.saved += _save(store, batch)
            found = reader.policies()
            for policy in found.policies:
                store.policies.set(policy)
            documents = reader.documents()
            while part := list(islice(documents, DOCUMENT_BATCH)):
                outcome.state_documents += store.documents.restore(part)
        outcome.policies, outcome.policies_lost = len(found.policies), not found.complete
        outcome.lost_state_documents = reader.lost_documents() if reader.all_documents_known else None
        outcome.lost_ids = reader.lost_ids()
        outcome.lost = len(outcome.lost_ids) if reader.all_known else None
        outcome.unnamed = reader.unnamed
    return outcome


def _existing(path: str | os.PathLike[str]) -> str:
    where = file_of(path)
    if not os.path.isfile(where):
        raise NotFound(f"there is no memory at {where}; check the path")
    return where


def _save(store: Store, engrams: list[Engram]) -> int:
    """Append engrams. Of two with the same id, which damage can leave, the first is stored. Returns their number."""
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


def _examine_index(path: str, store: FileReport) -> tuple[str, int, int, int]:
    """The state of a file's index, the engrams that it lacks, its passages without a vector, and its size in bytes."""
    folder = index_folder(path)
    if folder.exists() and not folder.is_dir():
        return f"damaged: {folder} is no folder; move it away", distance("", store.head).appended, 0, 0
    index = open_index_folder(folder, open_analyzer(), store.identity, usable_encoder(None))
    if not index.exists():
        return "missing", distance("", store.head).appended, 0, index.bytes()
    unindexed = max(0, distance(index.snapshot().cursor, store.head).appended)
    state = f"damaged: {index.damage}" if index.damage else "behind" if unindexed else "good"
    return state, unindexed, index.uncoded(), index.bytes()
