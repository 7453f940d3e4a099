"""The forward index: what scoring reads of each engram, in arrays ordered by row.

Owns four growing arrays: `rows`, one record of fixed size for each engram; `tokens`, the token ids of all engrams, end
to end; `passages`, one record for each passage of all engrams; `ends`, the row of the last turn of each session. Each
row has a checksum over itself, its tokens and the lengths of its passages, so that damage is noticed when an engram is
read. Holds the vectors of the passages and the directory of namespaces. Does not know which rows are published.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram import accel
from engram.accel import compiled
from engram.meaning.codes import NO_CODES, Coder
from engram.search.base import GONE, ROW, Array, Ints, Turns, kind_code
from engram.search.local.damage import damage_noticed
from engram.search.local.directory import PASSAGE, Directory
from engram.search.local.growing import GrowingArray, Patch
from engram.search.local.vectors import VectorIndex
from engram.store.base import Key
from engram.text.base import Analysis

CHANGING = ("previous", "next", "session_tokens_through", "check")
"""Fields of 4 bytes that the checksum does not cover. All but the last can change after the row was written."""
TOKEN_FACTOR = 0x9E3779B97F4A7C15
"""Factor of the sum of a row's tokens in the checksum."""
PASSAGE_FACTOR = 0x10001
"""By how much more than its tokens the lengths of its passages count in the checksum. As in kernel.c."""


def row_factors() -> npt.NDArray[np.uint64]:
    """Return an odd factor for each 4 bytes of a row, 0 for those of `CHANGING`: shape (words of a row,)."""
    factors = np.array([pow(TOKEN_FACTOR, n + 2, 1 << 64) for n in range(ROW.itemsize // 4)], np.uint64)
    assert ROW.fields is not None
    factors[[ROW.fields[name][1] // 4 for name in CHANGING]] = 0
    return factors


FACTORS = row_factors()

LastRow = Callable[[int], int]
"""Returns the row of a session's last turn, by the session's number; 0 for none."""


def no_older_rows(session: int) -> int:
    """Return 0: no session has a turn before the first row."""
    return 0


class Entry(NamedTuple):
    """One engram to be indexed: a record of the store with the text's analysis in place of the text."""

    seq: int
    namespace: int
    session: int
    speaker: int
    role: int
    kind: str
    at: int
    origin: int
    analysis: Analysis
    """Of the passages, end to end."""
    passages: tuple[int, ...]
    """Number of tokens of each passage; together all tokens of the analysis."""
    centroid: npt.NDArray[np.int8]
    """`Analyzer.centroids` of its token ids."""

    @property
    def key(self) -> Key:
        """Key of the engram in the store."""
        return Key(self.namespace, self.seq)


class ForwardIndex:
    """Engrams by row, from the row `first` on. One writer, any number of readers."""

    def __init__(
        self,
        first: int,
        token_type: npt.DTypeLike,
        folder: Path | None = None,
        older: LastRow = no_older_rows,
        coder: Coder = NO_CODES,
    ) -> None:
        """`older`: finds a session's last turn before `first`, in the index that this one continues."""
        self.first = first
        self.rows = GrowingArray(ROW, None if folder is None else folder / "rows")
        self.tokens = GrowingArray(token_type, None if folder is None else folder / "tokens")
        self.passages = GrowingArray(PASSAGE, None if folder is None else folder / "passages")
        self.directory = Directory(self.passages)
        self.vectors = VectorIndex(coder, folder)
        self.ends = GrowingArray("<i4", None if folder is None else folder / "ends")
        """Row of the last turn of each session, by the session's number; 0: none."""
        self.links_from_older: dict[int, int] = {}
        """The next turn of the session for rows before `first`, whose record is in another index."""
        self._older = older
        self._pending_ends: dict[int, int] = {}

    @property
    def last(self) -> int:
        """The last row; `first` - 1 if there is none."""
        return self.first + self.rows.size - 1

    # Writing.

    def extend(self, entries: Sequence[Entry]) -> None:
        """Append engrams. Within a session, they must come in the order of its turns."""
        if not entries:
            return
        rows = np.zeros(len(entries), ROW)
        ids = [e.analysis.ids for e in entries]
        fields = ("seq", "namespace", "session", "speaker", "at", "role", "origin")
        for field in fields:
            rows[field] = [getattr(e, field) for e in entries]
        rows["length"] = list(map(len, ids))
        rows["marks"] = [e.analysis.marks for e in entries]
        rows["kind"] = [kind_code(e.kind) for e in entries]
        rows["centroid"] = [e.centroid for e in entries]
        rows["previous"], rows["next"], older = self._links(entries)
        rows["session_tokens_through"] = self._running_lengths(entries, rows["previous"].tolist())
        tokens = np.fromiter(chain.from_iterable(ids), self.tokens.dtype)
        lengths = rows["length"].astype(np.int64)
        rows["start"] = self.tokens.size + np.cumsum(lengths) - lengths
        counts = np.fromiter((len(e.passages) for e in entries), np.int64, len(entries))
        parts = np.zeros(int(counts.sum()), PASSAGE)
        parts["length"] = np.fromiter(chain.from_iterable(e.passages for e in entries), np.int64, len(parts))
        parts["row"] = np.arange(self.last + 1, self.last + 1 + len(entries)).repeat(counts)
        parts["namespace"] = rows["namespace"].repeat(counts)
        rows["passages"], rows["passage"] = counts, self.passages.size + counts.cumsum() - counts
        rows["check"] = checksums(rows, tokens, lengths, parts["length"].astype(np.int64))
        # Links from rows that exist already are written at once: `repair` removes them after a crash.
        self._link_next(older)
        self._pending_ends.update((e.session, row) for row, e in enumerate(entries, self.last + 1))
        # Tokens and passages first: a row never exists without them.
        self.tokens.append(tokens)
        self.passages.append(parts)
        self.rows.append(rows)

    def publish_session_ends(self) -> None:
        """Let each session end with its last turn. To be called right before new rows are published."""
        self._set_ends(self._pending_ends)
        self._pending_ends = {}

    def _last_row(self, session: int) -> int:
        """The row of the last turn of a session, published or not; 0 for none."""
        row = self._pending_ends.get(session)
        if row is None:
            ends = self.ends.view()
            row = int(ends[session]) if session < len(ends) else 0
        return row or self._older(session)

    def _links(self, entries: Sequence[Entry]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
        """The rows of the previous and of the next turn of each of `entries` in its session; 0 if there is none.

        The third value: (previous, row) for each of `entries` whose previous turn exists already.
        """
        first, older = self.last + 1, list[tuple[int, int]]()
        previous, following = [0] * len(entries), [0] * len(entries)
        seen: dict[int, int] = {}
        for index, entry in enumerate(entries):
            before = seen.get(entry.session)
            if before is not None:
                following[before] = first + index
                previous[index] = first + before
            else:
                previous[index] = self._last_row(entry.session)
                if previous[index]:
                    older.append((previous[index], first + index))
            seen[entry.session] = index
        return previous, following, older

    def _running_lengths(self, entries: Sequence[Entry], previous: Sequence[int]) -> list[int]:
        """For each of `entries`, the number of tokens of its session through it, counted in this index."""
        totals: dict[int, int] = {}
        rows, first = self.rows.view(), self.last + 1
        for row, (entry, before) in enumerate(zip(entries, previous, strict=True), first):
            total = totals.get(before)
            if total is None:
                index = before - self.first
                total = int(rows["session_tokens_through"][index]) if 0 <= index < len(rows) else 0
            totals[row] = total + len(entry.analysis.ids)
        return [totals[row] for row in range(first, first + len(entries))]

    def _set_ends(self, ends: dict[int, int]) -> None:
        """Set the row of the last turn of sessions, by their numbers."""
        if not ends:
            return
        missing = max(ends) + 1 - self.ends.size
        if missing > 0:
            self.ends.append(np.zeros(missing + missing // 4, np.int32))
        with self.ends.patching() as patch:
            for session, row in ends.items():
                patch(session, "", row)

    def _link_next(self, links: Iterable[tuple[int, int]]) -> None:
        """For each (previous, row), make `row` the next turn of `previous`."""
        inside = []
        for previous, row in links:
            if previous >= self.first:
                inside.append((previous, row))
            else:
                self.links_from_older[previous] = row
        if inside:
            with self.rows.patching() as patch:
                for previous, row in inside:
                    patch(previous - self.first, "next", row)

    def truncate(self, rows: int, tokens: int, passages: int, coded: int = 0) -> None:
        """Show so many rows, tokens, passages and codes. Raises `IndexDamaged` if the files hold fewer."""
        self.tokens.resize(tokens)
        self.passages.resize(passages)
        self.vectors.truncate(coded)
        self.rows.resize(rows)
        self.ends.resize(self.ends.entries_in_file())

    def repair(self) -> None:
        """Remove links and ends that a crash has left, and that point to rows after the last one."""
        ends = self.ends.view()
        sessions = np.flatnonzero(ends > self.last)
        if not len(sessions) and self.rows.entries_in_file() == self.rows.size:
            return
        rows = self.rows.view()
        with self.rows.patching() as patch:
            for index in np.flatnonzero(rows["next"] > self.last).tolist():
                patch(index, "next", 0)
        indices = np.flatnonzero(np.isin(rows["session"], sessions) & (rows["length"] != GONE))
        found = dict(zip(rows["session"][indices].tolist(), (indices + self.first).tolist(), strict=True))
        self._set_ends({session: found.get(session, 0) for session in sessions.tolist()})

    def sync(self) -> None:
        """Flush the files to the disk."""
        self.ends.sync()
        self.tokens.sync()
        self.passages.sync()
        self.rows.sync()

    def drop(self, rows: Iterable[int]) -> None:
        """Mark engrams as deleted, and link their neighbours to each other. A second call does nothing."""
        indices = [row - self.first for row in rows if self.first <= row <= self.last]
        if not indices:
            return
        view = self.rows.view()
        with self.rows.patching() as patch:
            for index in indices:
                row = view[index]
                if row["length"] == GONE:
                    continue
                previous, following = int(row["previous"]), int(row["next"])
                if self.first <= previous <= self.last:
                    patch(previous - self.first, "next", following)
                if self.first <= following <= self.last:
                    patch(following - self.first, "previous", previous)
                self._subtract_length(int(row["session"]), index, patch)
                self.vectors.erase(int(row["passage"]), int(row["passage"]) + int(row["passages"]))
                # Last, so that the whole is repeated after a crash in between.
                patch(index, "length", GONE)

    def _subtract_length(self, session: int, index: int, patch: Patch) -> None:
        """Subtract the tokens of a turn from its session, and move the session's end if the turn is its last one."""
        rows, first = self.rows.view(), self.first
        pending = session in self._pending_ends
        published = int(self.ends.view()[session]) if session < self.ends.size else 0
        end = self._pending_ends.get(session, published) - first
        if not 0 <= end < len(rows):
            return
        left = int(rows["session_tokens_through"][end]) - int(rows["length"][index])
        if end == index:
            row = int(rows["previous"][index])
            end = row - first
            if pending:
                self._pending_ends[session] = row
            else:
                self._set_ends({session: row})
        if 0 <= end < len(rows):
            patch(end, "session_tokens_through", left)

    # Reading.

    def take(self, rows: Ints) -> Turns:
        """Return the engrams with these rows, in the same order; rows without one are left out.

        Raises `IndexDamaged` if the files do not contain the written data.
        """
        # The rows are viewed before their tokens: a writer may be appending.
        view, tokens, passages = self.rows.view(), self.tokens.view(), self.passages.view()
        gather = compiled.gathered if accel.available else gathered
        with damage_noticed():
            *fields, wrong = gather(view, tokens, passages, rows, self.first, FACTORS, TOKEN_FACTOR)
            if wrong:
                paths = {"rows": self.rows.path, "tokens": self.tokens.path, "passages": self.passages.path}
                raise ValueError(wrong.format(**paths))
            found, columns, taken, lengths, counts, parts = fields
            codes = self.vectors.take(places_of(columns))
        return Turns(found, columns, taken, lengths, counts, parts, codes)

    def columns(self, rows: Ints) -> Array:
        """Return the columns of the engrams with these rows, unchecked: shape (len(rows),). Raises `IndexDamaged`."""
        with damage_noticed():
            return np.asarray(self.rows.view().take(rows - self.first))

    def keys(self, low: int, high: int) -> npt.NDArray[np.uint64]:
        """Return `key_number` of the rows from `low` through `high`: shape (high - low + 1,)."""
        rows = self.rows.view()[low - self.first : high - self.first + 1]
        return np.asarray(rows["namespace"].astype(np.uint64) << np.uint64(32) | rows["seq"].astype(np.uint64))

    def seqs(self, rows: Ints) -> Ints:
        """Return the seq of each row: shape (len(rows),)."""
        return np.asarray(self.rows.view()["seq"][rows - self.first], np.int64)

    def neighbours(self, rows: Ints) -> Ints:
        """Return the rows of the previous and of the next turn of these, where there are such: shape (m,).

        The links are not checked for damage: `take` checks the rows that they lead to.
        """
        view = self.rows.view()
        indices = rows - self.first
        indices = indices[(indices >= 0) & (indices < len(view))]
        found = np.concatenate((view["previous"][indices], view["next"][indices])).astype(np.int64)
        return np.asarray(found[found > 0])

    def session_end(self, session: int, through: int, deleted: Collection[int] = ()) -> int:
        """Return the row of the last turn of a session, at most `through` and not in `deleted`; 0 for none."""
        row = self._walk_to_end(session, through, deleted)
        if row is not None:
            return row
        # A power cut can lose the rows that the links lead to.
        rows = self.rows.view()[: through - self.first + 1]
        found = np.flatnonzero((rows["session"] == session) & (rows["length"] != GONE)) + self.first
        return max((row for row in found.tolist() if row not in deleted), default=0)

    def _walk_to_end(self, session: int, through: int, deleted: Collection[int] = ()) -> int | None:
        """As `session_end`; None if the links are damaged.

        A writer can be ahead of its published state: then the session's end is a row that this process does not show
        yet, and its links are read from the file.
        """
        ends = self.ends.view()
        row = int(ends[session]) if session < len(ends) else 0
        while row >= self.first and (row > through or row in deleted):
            record = self.rows.entry(row - self.first)
            if record is None or record["session"] != session or not int(record["previous"]) < row:
                return None
            row = int(record["previous"])
        return max(row, 0)

    def session_tokens(self, sessions: Ints, through: int) -> Ints:
        """Return the number of tokens of each session, by its number, through the row `through`.

        Shape (len(sessions),). Raises `IndexDamaged` if the files do not contain the written data.
        """
        ends, rows, first = self.ends.view(), self.rows.view(), self.first
        with damage_noticed():
            indices = np.full(len(sessions), -1, np.int64)
            known = sessions < len(ends)
            indices[known] = ends.take(sessions[known]).astype(np.int64) - first
            # A writer can be ahead of its published state.
            for late in np.flatnonzero(indices > through - first).tolist():
                row = self._walk_to_end(int(sessions[late]), through)
                if row is None:
                    raise ValueError(f"{self.ends.path} does not contain the written data")
                indices[late] = row - first
            inside = np.flatnonzero((indices >= 0) & (indices < len(rows)))
            ending = indices.take(inside)
            if not np.array_equal(rows["session"][ending], sessions.take(inside)):
                raise ValueError(f"{self.ends.path} does not contain the written data")
            found = np.zeros(len(sessions), np.int64)
            found[inside] = rows["session_tokens_through"][ending]
        return found


def key_number(key: Key) -> int:
    """Return a key as one number of 63 bits."""
    return key.namespace << 32 | key.seq


def places_of(columns: Array) -> Ints:
    """Return the numbers of the passages of some rows, end to end: shape (sum of passages,)."""
    return within(columns["passage"].astype(np.int64), columns["passages"].astype(np.int64))


def within(starts: Ints, lengths: Ints) -> Ints:
    """Return the indices of consecutive parts that begin at `starts`, end to end: shape (sum of lengths,)."""
    if len(lengths) and lengths.min() == lengths.max() == 1:
        return starts
    return np.asarray(np.arange(lengths.sum()) + (starts - (lengths.cumsum() - lengths)).repeat(lengths), np.int64)


def gathered(
    rows: Array,
    tokens: Array,
    passages: Array,
    seqs: Ints,
    first: int,
    factors: npt.NDArray[np.uint64],
    token_factor: int,
) -> tuple[Ints, Array, Array, Ints, Ints, Ints, str]:
    """Return the fields of `Turns` but the codes for the `seqs` that name an engram, in order, and the damage in words.

    `seqs`: row numbers. `first`: number of the first of `rows`. The last two: as in `checksums`. The damage is "" if
    there is none.
    """
    places = seqs - first
    inside = (places >= 0) & (places < len(rows))
    if not inside.all():
        seqs, places = seqs[inside], places[inside]
    rows = rows.take(places)
    lengths = rows["length"].astype(np.int64)
    here = lengths != GONE
    if not here.all():
        rows, seqs, lengths = rows[here], seqs[here], lengths[here]
    starts, counts = rows["start"], rows["passages"].astype(np.int64)
    if not fits(starts, lengths, len(tokens)) or not fits(rows["passage"], counts, len(passages)):
        none = lengths[:0]
        return seqs[:0], rows[:0], tokens[:0], none, none, none, compiled.UNFIT
    taken = tokens.take(within(starts, lengths))
    parts = passages.take(places_of(rows))["length"].astype(np.int64)
    right = np.array_equal(checksums(rows, taken, lengths, parts, factors, token_factor), rows["check"])
    right = right and np.array_equal(segment_sums(parts, counts), lengths)
    return seqs, rows, taken, lengths, counts, parts, "" if right else compiled.CHANGED


def fits(starts: Array, lengths: Ints, size: int) -> bool:
    """Return whether every part lies in an array of `size` entries."""
    return not ((lengths < 0).any() or (starts < 0).any() or (starts > size - lengths).any())


def checksums(
    rows: Array,
    tokens: Array,
    lengths: Ints,
    passage_lengths: Ints,
    factors: Array = FACTORS,
    token_factor: int = TOKEN_FACTOR,
) -> npt.NDArray[np.uint32]:
    """Return a checksum for each engram: of its tokens, of its passages, and of the fields that never change.

    Shape (n,). The length of a passage counts as often as its position in the engram says, from 1.
    """
    words, counts = rows.view("<u4").reshape(len(rows), len(factors)), rows["passages"].astype(np.int64)
    fixed = np.einsum("nw,w->n", words, factors, dtype=np.uint64)
    ordered = passage_lengths * (within(np.zeros(len(counts), np.int64), counts) + 1)
    sums = segment_sums(tokens.astype(np.int64), lengths).astype(np.uint64)
    sums += segment_sums(ordered, counts).astype(np.uint64) * np.uint64(PASSAGE_FACTOR)
    total = fixed + sums * np.uint64(token_factor)
    return np.asarray(total ^ (total >> np.uint64(32)), np.uint64).astype(np.uint32)


def segment_sums(values: Ints, lengths: Ints) -> Ints:
    """Return the sums of consecutive parts of `values` with these lengths: shape (len(lengths),)."""
    ends = np.zeros(len(values) + 1, np.int64)
    values.cumsum(out=ends[1:])
    upto = lengths.cumsum()
    return np.asarray(ends.take(upto) - ends.take(upto - lengths))
