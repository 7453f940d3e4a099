"""The search contract: what recall asks of an index, and the arrays that cross it.

Owns the protocols `SearchReader` and `Search`, the dtype of a turn's columns, and `Turns`. Knows no index, query or
formula, and of a store only its keys. Any reader passes `tests/search/conformance.py`.

A *row* is an int64 that names one engram inside one reader, 1 or more. Rows of different readers must not be mixed; the
lasting identity of an engram is its namespace and seq, which `SearchReader.seqs` gives. Within a session, a later turn
has the greater row.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from engram.errors import EngramError
from engram.store.base import Key
from engram.text.base import CENTROID_DIMENSIONS

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

ROW = np.dtype(
    [
        ("start", "<i8"),  # index only: first token, in the index's tokens
        ("length", "<i4"),  # index only: number of tokens, or GONE
        ("namespace", "<i4"),  # number of the namespace
        ("session", "<i4"),  # number of the session
        ("speaker", "<i4"),  # number of the speaker; 0: none
        ("previous", "<i4"),  # row of the turn before it in its session; 0: none
        ("next", "<i4"),  # index only: row of the turn after it; 0: none
        ("at", "<i8"),  # microseconds since 1970, UTC
        ("role", "u1"),  # position in engram.ROLES
        ("marks", "u1"),  # Analysis.marks
        ("kind", "<u2"),  # kind_code of its kind
        ("origin", "<i4"),  # position in engram.ORIGINS
        ("session_tokens_through", "<i4"),  # index only: valid in the last turn of a session
        ("centroid", "i1", (CENTROID_DIMENSIONS,)),  # Analyzer.centroids of its token ids
        ("seq", "<i4"),  # index only: number of the engram in its namespace
        ("passage", "<i4"),  # index only: its first passage, in the index's passages
        ("passages", "<i4"),  # index only: number of its passages
        ("check", "<u4"),  # index only: checksum of the row and its tokens
    ]
)
"""The columns of one engram. Recall does not read those marked "index only"; a reader may leave these 0."""
RAW = np.dtype((np.void, ROW.itemsize))
"""The columns as plain bytes: numpy concatenates these ten times as fast as records."""
MOST_TELLING = 200
"""Greatest number for how much an engram tells of its time."""
GONE = -1
"""The `length` of a row that names no engram."""


class IndexDamaged(EngramError):
    """The index holds bytes that were never written to it. It is rebuilt from the store."""


@dataclass(frozen=True, slots=True)
class Turns:
    """n engrams as scoring reads them. The tokens of turn i follow those of turn i - 1."""

    rows: Ints
    """Row of each: shape (n,)."""
    columns: Array
    """Columns of each: shape (n,), dtype ROW."""
    tokens: Array
    """Token ids of all turns, end to end: shape (sum of lengths,), uint16 or uint32."""
    lengths: Ints
    """Number of tokens of each: shape (n,)."""
    passages: Ints
    """Number of passages of each, at least 1: shape (n,)."""
    passage_lengths: Ints
    """Number of tokens of each passage of all turns, end to end: shape (sum of passages,)."""
    codes: npt.NDArray[np.uint8]
    """What `SearchReader.similarities` reads of each passage: shape (sum of passages, w). All 0 without a vector."""

    @property
    def starts(self) -> Ints:
        """Position of the first passage of each turn: shape (n,)."""
        return self.passages.cumsum() - self.passages

    @staticmethod
    def whole(rows: Ints, columns: Array, tokens: Array, lengths: Ints) -> Turns:
        """Return turns of one passage each, without vectors."""
        return Turns(
            rows, columns, tokens, lengths, np.ones(len(rows), np.int64), lengths, np.empty((len(rows), 0), np.uint8)
        )

    @staticmethod
    def joined(parts: Sequence[Turns]) -> Turns:
        """Concatenate at least one `Turns`, in order."""
        columns = np.concatenate([part.columns.view(RAW) for part in parts]).view(ROW)
        rows, *others = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("rows", "tokens", "lengths", "passages", "passage_lengths", "codes")
        )
        return Turns(rows, columns, *others)

    def kept(self, flags: npt.NDArray[np.bool_]) -> Turns:
        """Return the turns whose flag is set: shape of `flags` (n,)."""
        of_passage = flags.repeat(self.passages)
        return Turns(
            *(self.rows[flags], self.columns[flags], self.tokens[flags.repeat(self.lengths)], self.lengths[flags]),
            *(self.passages[flags], self.passage_lengths[of_passage], self.codes[of_passage]),
        )


class Span(NamedTuple):
    """A span of time, in microseconds since 1970, UTC."""

    start: int
    end: int
    """First microsecond after it."""


class Timed(NamedTuple):
    """Engrams of some times, the most telling first; each once."""

    rows: Ints
    """Row of each: shape (m,)."""
    telling: Ints
    """How much each is likely to tell of its time, 0 to `MOST_TELLING`: shape (m,)."""


class SearchReader(Protocol):
    """The searchable engrams of a store, as they were when the reader was made. Safe to use from several threads.

    It covers every engram that was committed before it was made, except `unsearched` ones. How an index, a tail and
    deletions are combined is the reader's business. Counts (`size`, `frequencies`), `candidates`, `all_rows`,
    `rows_between` and `neighbours` may still include engrams that were deleted lately; `take` never returns one.

    Every method raises `IndexDamaged` if the index turns out to be damaged.
    """

    @property
    def version(self) -> int:
        """A number that is greater in a reader of a newer state of the store, and equal in one of the same state."""
        ...

    @property
    def unsearched(self) -> int:
        """Number of engrams, in all namespaces, that are not searchable yet: 0 except while an index is rebuilt."""
        ...

    @property
    def unencoded(self) -> int:
        """Number of passages, in all namespaces, that have no vector yet; 0 without an encoder."""
        ...

    def since(self, at: int) -> SearchReader:
        """Return this reader without the engrams of an earlier time, as if these were deleted lately.

        at: microseconds since 1970, UTC.
        """
        ...

    def size(self, namespace: int) -> int:
        """Return the number of engrams of a namespace; 0 for an unknown one."""
        ...

    def frequencies(self, namespace: int, terms: Sequence[str]) -> Ints:
        """Return, for each term, the number of engrams of the namespace that hold it: shape (len(terms),)."""
        ...

    def similar_terms(self, namespace: int, term: str, edits: int) -> dict[str, int]:
        """Return the namespace's terms that are 1 to `edits` typing errors away from `term`, each with that number.

        An error is a letter left out, put in or taken for another, or two neighbours swapped; `edits` is 1 or 2. Terms
        with two errors at their beginning may be left out, and terms of deleted engrams be returned.
        """
        ...

    def candidates(self, namespace: int, terms: Sequence[str], limit: int) -> Ints:
        """Return the rows of at most `limit` engrams of the namespace that hold any of `terms`, best first.

        Shape (m,), each row once. The order is that of BM25 or close to it: engrams that hold more of the terms, or
        rarer ones, come first.
        """
        ...

    def similar(self, namespace: int, vector: Floats, limit: int) -> Ints:
        """Return the rows of at most `limit` engrams of the namespace whose best passages are nearest to a vector.

        vector: of the index's encoder, shape (dimensions,). Shape (m,), each row once, best first; the order is exact
        up to the error of `similarities`. Empty without an encoder; a passage without a vector is not found.
        """
        ...

    def similarities(self, codes: npt.NDArray[np.uint8], vector: Floats) -> Floats:
        """Return the cosine between a vector and each passage, by `Turns.codes`: shape (len(codes),), -1 to 1.

        vector: of the index's encoder, shape (dimensions,). 0 for a passage without a vector.
        """
        ...

    def all_rows(self, namespace: int, limit: int) -> Ints:
        """Return the rows of at most `limit` engrams of the namespace, in any order: shape (m,)."""
        ...

    def rows_between(self, namespace: int, spans: Sequence[Span], limit: int) -> Timed:
        """Return at most `limit` engrams of the namespace whose time is in any of `spans`, the most telling first.

        The longer a text, the more it tells; a user's more than others', and a statement more than a question.
        """
        ...

    def columns(self, rows: Ints) -> Array:
        """Return the columns of the engrams with these rows, in the same order: shape (len(rows),), dtype ROW.

        Rows of deleted engrams are allowed. Cheaper than `take`: it reads no tokens and checks nothing.
        """
        ...

    def take(self, rows: Ints) -> Turns:
        """Return the engrams with these rows, in the same order; `rows` must be sorted, each once.

        Rows that name no engram, or a deleted one, are left out.
        """
        ...

    def neighbours(self, rows: Ints) -> Ints:
        """Return the rows of the turns right before and right after these in their sessions.

        Shape (m,), in any order, with repetitions. Rows that name no engram are ignored.
        """
        ...

    def session_lengths(self, sessions: Ints) -> Ints:
        """Return the number of tokens of each session, by session number: shape (len(sessions),); 0 if unknown."""
        ...

    def seqs(self, rows: Ints) -> Ints:
        """Return the seq of each row, that is its number in the store: shape (len(rows),)."""
        ...

    def rows_of(self, namespace: int, seqs: Ints) -> Ints:
        """Return the rows of the engrams of a namespace with these seqs: shape (m,), in the order of `seqs`.

        A seq that names no engram may be left out, or be given a row that `take` leaves out.
        """
        ...


def kind_code(kind: str) -> int:
    """Return a number from 0 to 65,535 for a kind, the same in every process. Two kinds can share a number."""
    return zlib.crc32(kind.encode()) & 0xFFFF


class SearchStats(NamedTuple):
    """The state of an index in numbers."""

    indexed_through: int
    """Engrams that the index has read from the store's log, including those that were deleted later."""
    unindexed: int
    """Engrams that follow in the log; recall scans them."""
    unencoded: int
    """Passages of the index that have no vector yet; recall finds them by words. 0 without an encoder."""
    bytes: int
    """Size of the index's files; 0 in RAM."""
    trouble: str | None
    """Why the index cannot be used or kept up to date; None if it can."""


class Encoded(NamedTuple):
    """What one process has encoded for its recalls: another one that indexes the same store need not do it again."""

    made_by: str
    """Identifies the encoder and its codes."""
    codes: Mapping[int, npt.NDArray[np.uint8]]
    """By a number of the engram, the codes of its passages: shape (passages, w)."""


class Search(Protocol):
    """Makes the engrams of one store searchable, and keeps an index of them. Safe to use from several threads."""

    def reader(self) -> SearchReader:
        """Return a reader that covers every change that is committed to the store now."""
        ...

    def damaged(self, reader: SearchReader, error: IndexDamaged) -> None:
        """Report that a method of `reader` raised `error`. The next reader does not use the damaged index."""
        ...

    def encoded(self) -> Encoded:
        """Return what this process has encoded since the last call, in which it must be open for reading only."""
        ...

    def take_encoded(self, encoded: Encoded) -> None:
        """Use what another process has encoded. What another encoder has made is left."""
        ...

    def added(self, count: int) -> None:
        """Report that this process has appended engrams to the store."""
        ...

    def deleted(self) -> None:
        """Report that this process has deleted engrams from the store."""
        ...

    def holds(self, keys: Sequence[Key]) -> bool:
        """Return whether the index holds all engrams with these keys, which must exist in the store."""
        ...

    def flush(self, timeout: float | None = None, *, vectors: bool = True) -> bool:
        """Wait until every change that is committed now is in the index; False after `timeout` seconds.

        vectors: whether to wait until the passages have vectors, too. Raises `EngramError` if the index cannot be
        written or passages cannot be encoded.
        """
        ...

    def rebuild(self, timeout: float | None = None) -> bool:
        """Rebuild the index from the store, and wait as `flush` does."""
        ...

    def purge(self) -> None:
        """Remove all traces of deleted engrams from the index's files, and wait for it. Raises as `flush` does."""
        ...

    def stats(self) -> SearchStats:
        """Return the state of the index in numbers."""
        ...

    def close(self, quick: bool = False) -> None:
        """Stop to index and release the files. If `quick`, waits for as little as possible."""
        ...
