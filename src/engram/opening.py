"""Opening a memory: which store, index, analyzer, encoder, detector and kernel it has.

Owns these choices. The only module that knows both SQLite and the local index, and where their files are. Importing
this module loads the kernel, so every recall of the process uses it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from engram.accel.loading import load_kernel
from engram.engram import Engram
from engram.errors import EngramError, MemoryReadOnly
from engram.meaning.base import Encoder
from engram.meaning.codes import NO_CODES, Coder
from engram.meaning.encoders import open_encoder as open_encoder
from engram.meaning.weights import DamagedWeights
from engram.search.base import ROW, Search
from engram.search.local.folder import IndexFolder
from engram.search.local.index import LocalIndex
from engram.store.base import LoggedStore
from engram.store.sqlite.connections import IN_MEMORY
from engram.store.sqlite.files import LOG_SUFFIXES, SERVER_SUFFIX, logs_aside
from engram.store.sqlite.store import SqliteStore
from engram.strength.uses import Uses
from engram.text.analyzer import TableAnalyzer
from engram.text.base import Analyzer
from engram.text.vectors import VectorTable, default_table

if TYPE_CHECKING:
    from engram.reflection.knowledge import Knowledge

load_kernel(ROW)

logger = logging.getLogger("engram")

Detector = Callable[[Engram], str | None]
"""Says why an engram goes into quarantine, in 1 to 512 bytes of UTF-8, or returns None. Never raises for any text."""

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
"""The start of a URL. `pathlib` turns its two slashes into one; a single letter may be a drive."""

STATEMENTS = "statements.db"
"""The file of derived data, in the folder of the index."""

USES = "strength.db"
"""The file of uses, in the folder of the index."""

INDEX_SUFFIX = ".index"
"""The index of `memory.db` is in the folder `memory.db.index`."""


def default_path() -> Path:
    """Return the path of the user's default memory, in the system's folder for data of applications."""
    return Path(platformdirs.user_data_dir("engram", appauthor=False)) / "memory.db"


def open_store(path: str | os.PathLike[str] | None, *, read_only: bool = False, wait: float = 10.0) -> LoggedStore:
    """Open the store that `path` means: a file, ":memory:", or with None the default memory.

    Raises an `EngramError` that names the path, also for a URL: no other stores are available yet.
    """
    return SqliteStore(file_of(default_path() if path is None else path), read_only=read_only, wait=wait)


def file_of(path: str | os.PathLike[str]) -> str:
    """Return the path of a memory's file, with "~" and "~name" at its start replaced by the home folder.

    Raises `EngramError` for a URL, whose password the message does not repeat, and for a path with `$` in front.
    """
    where = os.fspath(path)
    if url := URL.match(where):
        raise EngramError(f"a memory at {url[1]}:// is not available yet; give the path of a file, or {IN_MEMORY}")
    expanded = os.path.expanduser(where)
    if expanded.startswith(("~", "$")):
        raise EngramError(
            f"the path {where} begins with {where[0]}, which only a shell replaces; write the path in full, or put ./"
            " in front if this is the name of a file"
        )
    return expanded


def open_analyzer(table: VectorTable | None = None) -> Analyzer:
    """Return the analyzer with a table of word vectors: the English one by default."""
    return TableAnalyzer(default_table() if table is None else table)


def open_detector() -> Detector:
    """Return the detector of texts that go into quarantine unless the user typed them: orders to a model."""

    def why(engram: Engram) -> str | None:
        # Imported here: it takes 15 ms, and a process that only recalls does not need it.
        from engram.text.orders import reads_as_order

        return reads_as_order(engram.text)

    return why


def open_redaction(kinds: Iterable[str]) -> Callable[[Engram], Engram]:
    """Return what takes `kinds` out of an engram; see `engram.text.redaction`."""
    wanted = tuple(kinds)
    if not wanted:
        return lambda engram: engram
    # Imported here: it takes 7 ms, and most memories redact nothing.
    from engram.text.redaction import open_redactor, redacted

    return partial(redacted, redactor=open_redactor(wanted))


def open_value_redaction(kinds: Iterable[str]) -> Callable[[object], object] | None:
    """Return what takes `kinds` out of the texts in a JSON value; None for no kinds. See `engram.text.redaction`."""
    wanted = tuple(kinds)
    if not wanted:
        return None
    from engram.text.redaction import open_redactor, redacted_value

    redactor = open_redactor(wanted)
    return None if redactor is None else partial(redacted_value, redactor=redactor)


def usable_encoder(name: str | None) -> Encoder | None:
    """Return the encoder `name` (see `open_encoder`); None if its data is damaged, which the log says with the cure.

    A memory then finds by words. Raises as `open_encoder`.
    """
    encoder = open_encoder(name)
    try:
        _ = encoder.fingerprint
    except DamagedWeights as error:
        logger.warning("memories are found by their words alone: %s", error)
        return None
    return encoder


def open_search(store: LoggedStore, analyzer: Analyzer, encoder: Encoder | None = None) -> Search:
    """Open the index of a store: beside its file if it has one, else in RAM. encoder: None for one without vectors."""
    file = store.description if isinstance(store, SqliteStore) and store.description != IN_MEMORY else None
    folder = None if file is None else index_folder(file)
    return LocalIndex(store, open_index_folder(folder, analyzer, store.identity, encoder), analyzer, encoder)


def open_knowledge(store: LoggedStore, encoder: Encoder | None = None) -> Knowledge:
    """Open what is derived from a store: in the folder of its index if it has one and can be written, else in RAM.

    A store that is open for reading only is read with what another process has derived of it, if there is such.
    encoder: that of the memory's index.
    """
    # Imported here: most processes only remember and recall.
    from engram.meaning.sentences import default_encoder
    from engram.reflection.database import DerivedDatabase
    from engram.reflection.holding import HoldingOrder
    from engram.reflection.knowledge import Knowledge
    from engram.reflection.labels import made_by
    from engram.reflection.names import NAMES
    from engram.reflection.proposals.proposer import Proposer
    from engram.reflection.reflector import Reflector
    from engram.reflection.rules import REVISION
    from engram.reflection.summarizing import Summarizer

    own = default_encoder()
    made = f"{store.identity} {own.fingerprint} {made_by()} {REVISION} names {NAMES}"
    file = derived_file(store)
    read_only = isinstance(store, SqliteStore) and store.read_only
    database = None
    if file is not None and not read_only:
        database = DerivedDatabase(file, made)
    elif file is not None and os.path.isfile(file):
        # What another version has derived is of no use.
        with suppress(MemoryReadOnly):
            database = DerivedDatabase(file, made, read_only=True)
    database = database or DerivedDatabase(IN_MEMORY, made)
    shared = encoder is not None and encoder.fingerprint == own.fingerprint
    reflector, holding = Reflector(store, database, own), HoldingOrder(database, own, shared)
    summarizer, coder = Summarizer(store, database, own), Coder(own.dimensions, encoder=own.fingerprint)
    return Knowledge(store, database, reflector, holding, summarizer, Proposer(store, database, coder))


def derived_file(store: LoggedStore) -> str | None:
    """Return the path of the file of what is derived from a store; None if it is derived in RAM."""
    if not isinstance(store, SqliteStore) or store.description == IN_MEMORY:
        return None
    return str(index_folder(store.description) / STATEMENTS)


def uses_file(store: LoggedStore, *, create: bool = True) -> str | None:
    """Return the path of the file of uses of a store's engrams; None if they are counted in RAM.

    create: whether the folder may be made for it, if there is none.
    """
    if not isinstance(store, SqliteStore) or store.description == IN_MEMORY:
        return None
    folder = index_folder(store.description)
    return str(folder / USES) if create or folder.is_dir() else None


def index_folder(path: str) -> Path:
    """Return the folder of the index for the file at `path`: the same for every symbolic link to the file."""
    return Path(os.path.realpath(path) + INDEX_SUFFIX)


def files_of(path: str) -> list[str]:
    """Return the paths of the files and the folder that hold text or names of the memory at `path`."""
    where = os.path.realpath(path)
    suffixes = (*LOG_SUFFIXES, SERVER_SUFFIX, INDEX_SUFFIX)
    return [where, *(where + suffix for suffix in suffixes), *logs_aside(where), *logs_aside(where + SERVER_SUFFIX)]


def open_index_folder(
    folder: Path | None, analyzer: Analyzer, identity: str | None, encoder: Encoder | None = None
) -> IndexFolder:
    """Open the files of an index. `identity`: of the store; None accepts any."""
    coder = NO_CODES if encoder is None else Coder(encoder.dimensions, encoder=encoder.fingerprint)
    return IndexFolder(folder, analyzer.fingerprint, analyzer.token_type, identity, coder)


def close_all(search: Search, store: LoggedStore, uses: Uses, process: int) -> None:
    """Close what a memory that was not closed has left open. Every acknowledged engram is durable already.

    Called by the garbage collector, and when the interpreter exits: a thread inside a library would crash it.
    """
    # In a forked child, the thread does not exist and the files belong to the parent.
    if os.getpid() == process:
        uses.close()
        with suppress(EngramError):
            search.close(quick=True)
        store.close()
