"""A generation: one index, whole, in a folder of its own or in RAM.

Owns the inverted index and the columns that belong together, and how far both reach. Knows nothing of which generation
is the published one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy.typing as npt

from engram.search.local.forward import Entry, ForwardIndex, Previous
from engram.search.local.inverted import InvertedIndex, InvertedReader


class Snapshot(NamedTuple):
    """The index as one recall sees it."""

    through: int
    """Every engram with a seq up to this is in it."""
    reader: InvertedReader
    columns: ForwardIndex
    generation: str = ""
    """The name of the generation; "" for the empty index."""


class IndexBuild:
    """An index of the engrams up to `through`. One thread writes; what it gives to read is safe from many."""

    def __init__(self, name: str, folder: Path | None, token_type: npt.DTypeLike, *, create: bool = True) -> None:
        """Make one in `folder` (None: in RAM), or open what is there. Raises `IndexDamaged` if it cannot be read."""
        self.name = name
        self.folder = folder
        self.through = 0
        self._lexical = InvertedIndex(folder, create=create)
        self._columns = ForwardIndex(1, token_type, folder)
        self.abandoned = False
        """Whether it turned out to be damaged while it was being written."""
        self._dropped: set[int] = set()

    @property
    def tokens(self) -> int:
        """Tokens in the columns."""
        return self._columns.tokens.size

    def show(self, through: int, tokens: int) -> Snapshot:
        """See it as it was published, `tokens` being those of its columns. Raises `IndexDamaged` if it is shorter."""
        self._columns.truncate(through, tokens)
        self.through = through
        return self.snapshot()

    def snapshot(self) -> Snapshot:
        """It as it was last committed."""
        return Snapshot(self.through, self._lexical.read(), self._columns, self.name)

    # Writing.

    def start_writing(self) -> None:
        """Become its writer. What was committed after it was last published is taken back."""
        self._lexical.start_writing()
        last = self._lexical.read().last_seq()
        if last > self.through:
            self._lexical.drop(range(self.through + 1, last + 1))
            self._lexical.commit()

    def add(self, entries: Sequence[Entry], through: int, previous_in_session: Previous) -> None:
        """Add engrams with seqs over `self.through`, lowest first; it then reaches `through`."""
        self._columns.extend(entries, through, previous_in_session)
        self._lexical.add((e.seq, e.namespace, e.analysis.terms) for e in entries)
        self.through = through

    def drop(self, seqs: Iterable[int]) -> bool:
        """Take engrams out that were forgotten; False if none of them is here."""
        here = [seq for seq in seqs if seq <= self.through and seq not in self._dropped]
        if here:
            self._columns.drop(here)
            self._lexical.drop(here)
            self._dropped.update(here)
        return bool(here)

    def commit(self) -> None:
        """Make what was added and dropped durable, and searchable for snapshots taken from now on."""
        self._lexical.commit()
        self._columns.settle()
        self._columns.sync()

    def stop_writing(self) -> None:
        """Be its writer no more. What was not committed is given up."""
        self._lexical.stop_writing()
