"""One build of the index, complete, in a folder or in RAM.

Owns the inverted and the forward index that belong together, and how far in the log they have read. Does not know which
build is the published one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy.typing as npt

from engram.meaning.codes import NO_CODES, Coder, Codes
from engram.search.local.forward import Entry, ForwardIndex, key_number
from engram.search.local.inverted import Document, InvertedIndex, InvertedReader
from engram.search.local.telling import telling
from engram.store.base import Key


class Snapshot(NamedTuple):
    """The index as one recall reads it."""

    rows: int
    """The last row."""
    cursor: str
    """The position in the store's log up to which changes are in the index."""
    inverted: InvertedReader
    forward: ForwardIndex
    passages: int = 0
    """Number of passages of these rows."""
    coded: int = 0
    """Number of passages, from the first on, that have a code; 0 without an encoder."""
    build: str = ""
    """Name of the build; "" for the empty index."""


class IndexBuild:
    """An index of the log up to `cursor`. One thread writes; its snapshots can be read by any thread."""

    def __init__(
        self,
        name: str,
        folder: Path | None,
        token_type: npt.DTypeLike,
        begun: str,
        *,
        create: bool = True,
        coder: Coder = NO_CODES,
    ) -> None:
        """Create a build in `folder`, None for RAM, or open an existing one. Raises `IndexDamaged`.

        `begun`: head of the log when the build was begun. It never held an engram that was deleted before.
        """
        self.name = name
        self.folder = folder
        self.begun = begun
        self.cursor = ""
        self.abandoned = False
        """Whether the build turned out to be damaged while it was written."""
        self._inverted = InvertedIndex(folder, create=create)
        self._forward = ForwardIndex(1, token_type, folder, coder=coder)
        self._uncommitted = False
        self._changed = create
        self._read: tuple[tuple[int, str], InvertedReader] | None = None
        """The inverted index as it was last read, and with which rows and cursor."""
        self._new_codes = False

    @property
    def rows(self) -> int:
        """The last row. Rows are numbered from 1 in the order in which the log was read."""
        return self._forward.last

    @property
    def tokens(self) -> int:
        """Number of tokens in the forward index."""
        return self._forward.tokens.size

    @property
    def passages(self) -> int:
        """Number of passages in the forward index."""
        return self._forward.passages.size

    @property
    def coded(self) -> int:
        """Number of passages, from the first on, that have a code."""
        return self._forward.vectors.size

    @property
    def forward(self) -> ForwardIndex:
        """The forward index, with what is not published yet."""
        return self._forward

    def show(self, rows: int, tokens: int, passages: int, coded: int, cursor: str) -> Snapshot:
        """Return the published state, with so many of each. Raises `IndexDamaged` if the files hold fewer."""
        self._forward.truncate(rows, tokens, passages, coded)
        self.cursor = cursor
        return self.snapshot()

    def snapshot(self) -> Snapshot:
        """Return the state at the last commit."""
        state = self.rows, self.cursor
        # Where only codes are new, what is cached of the inverted index stays.
        if self._read is None or self._read[0] != state:
            self._read = state, self._inverted.read()
        return Snapshot(*state, self._read[1], self._forward, self.passages, self.coded, self.name)

    # Writing.

    def start_writing(self) -> None:
        """Start to write. Removes data that was written and not published before a crash."""
        self._inverted.start_writing()
        self._forward.repair()
        if self._inverted.read().last_row() > self.rows:
            self._inverted.drop_after(self.rows)
            self._inverted.commit()
            self._read = None

    def apply(self, entries: Sequence[Entry], deleted: Sequence[Key], cursor: str) -> None:
        """Append engrams, then drop the deleted ones. The build has then read the log up to `cursor`."""
        first = self.rows + 1
        self._changed = True
        self._forward.extend(entries)
        self._inverted.add(
            Document(row, key_number(e.key), e.namespace, e.analysis.terms, e.at, telling(e))
            for row, e in enumerate(entries, first)
        )
        self._uncommitted = self._uncommitted or bool(entries)
        if deleted:
            self._drop([key_number(key) for key in deleted])
        self.cursor = cursor

    def _drop(self, keys: Sequence[int]) -> None:
        if self._uncommitted:
            # Only committed engrams can be found by their keys.
            self._inverted.commit()
            self._uncommitted = False
        rows = self._inverted.read().rows_of(keys)
        if len(rows):
            self._forward.drop(rows.tolist())
            self._inverted.drop(keys)

    def encode(self, codes: Codes) -> None:
        """Append the codes of the next passages that have none."""
        self._forward.vectors.append(codes)
        self._new_codes = True

    def commit(self) -> None:
        """Make all changes durable, and visible to snapshots that are taken from now on."""
        if self._new_codes:
            self._forward.vectors.sync()
            self._new_codes = False
        if not self._changed:
            return
        self._inverted.commit()
        self._uncommitted = self._changed = False
        self._read = None
        self._forward.publish_session_ends()
        self._forward.sync()

    def stop_writing(self) -> None:
        """Stop to write, and roll uncommitted changes back."""
        self._inverted.stop_writing()
