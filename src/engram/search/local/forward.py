"""What scoring needs of every engram, in flat arrays: token ids, neighbours, session, speaker, time.

Owns two growing arrays, each a file read through a memory map, or RAM: `rows`, one fixed record an engram, found by
its seq, and `tokens`, their token ids end to end. Each row carries a checksum over itself and its tokens, so that a
damaged file is noticed when it is read, not when it is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engram import accel
from engram.search.base import GONE, ROW, Array, IndexDamaged, Ints, Turns, kind_code
from engram.search.local.damage import damage_noticed
from engram.text.analyzer import Analysis

CHANGING = ("previous", "next", "upto", "check")
"""The fields, of 4 bytes each, that the checksum does not cover: all but the last can change after it was taken."""
TOKEN_FACTOR = 0x9E3779B97F4A7C15
"""The factor of the sum of a row's tokens."""


def row_factors() -> npt.NDArray[np.uint64]:
    """An odd factor for each 4 bytes of a row, 0 for those of `CHANGING`: shape (words of a row,)."""
    factors = np.array([pow(TOKEN_FACTOR, n + 2, 1 << 64) for n in range(ROW.itemsize // 4)], np.uint64)
    assert ROW.fields is not None
    factors[[ROW.fields[name][1] // 4 for name in CHANGING]] = 0
    return factors


FACTORS = row_factors()

SESSIONS_REMEMBERED = 200_000
"""Sessions whose last turn a writer remembers before it asks the store again."""

Previous = Callable[[int, int], int]
Patch = Callable[[int, str, int], None]


class Entry(NamedTuple):
    """One engram on its way into an index: a store's record with the text's analysis in the place of the text."""

    seq: int
    namespace: int
    session: int
    speaker: int
    role: int
    kind: str
    at: int
    analysis: Analysis
    centroid: npt.NDArray[np.int8]
    """`Encoder.centroids` of its token ids."""


class GrowingArray:
    """An array that is appended to, in a file or in RAM. What was viewed before stays as it was, patches aside."""

    def __init__(self, dtype: npt.DTypeLike, path: Path | None, size: int = 0) -> None:
        """See the first `size` entries of the file at `path`, which holds at least those, or start empty in RAM."""
        self.dtype = np.dtype(dtype)
        self.path = path
        self.size = 0
        self._array: Array = np.empty(0, self.dtype)
        self.resize(size)

    def view(self) -> Array:
        """What there is now: shape (size,)."""
        return self._array[: self.size]

    def resize(self, size: int) -> None:
        """See `size` entries: fewer after a crash, more when another process has appended."""
        if size > len(self._array) and self.path is not None:
            if not self.path.exists() or self.path.stat().st_size < size * self.dtype.itemsize:
                raise IndexDamaged(f"{self.path} is missing or shorter than {size:,} entries")
            # As a plain array: memmap's own indexing is slow, and the map lives as long as a view of it.
            self._array = np.memmap(self.path, self.dtype, "r", shape=(size,)).view(np.ndarray)
        self.size = size

    def entries_in_file(self) -> int:
        """How many the file holds; in RAM, how many there are."""
        if self.path is None:
            return self.size
        return self.path.stat().st_size // self.dtype.itemsize if self.path.exists() else 0

    def append(self, values: Array) -> None:
        """Add `values`, shape (n,), at the end. A failure leaves what was there as it was."""
        values = np.ascontiguousarray(values, dtype=self.dtype)
        needed = self.size + len(values)
        if self.path is not None:
            # Where something was written and the file is gone, an empty one must not take its place.
            with open(self.path, "r+b" if self.size or self.path.exists() else "wb") as file:
                file.seek(self.size * self.dtype.itemsize)
                file.write(values.tobytes())
            self.resize(needed)
            return
        if needed > len(self._array):
            grown = np.empty(max(1024, needed + needed // 2), self.dtype)
            grown[: self.size] = self._array[: self.size]
            self._array = grown
        self._array[self.size : needed] = values
        self.size = needed

    @contextmanager
    def patching(self) -> Iterator[Patch]:
        """A function that sets one field ("" for the whole) of the entry at a place, seen by every reader at once."""
        if self.path is None:
            yield self._patch
            return
        fields: dict[str, tuple[Any, ...]] = {"": (self.dtype, 0)}
        fields.update(self.dtype.fields or {})
        with open(self.path, "r+b", buffering=0) as file:
            size, number = self.dtype.itemsize, file.fileno()

            def patch(place: int, field: str, value: int) -> None:
                dtype, offset = fields[field][:2]
                os.pwrite(number, np.array(value, dtype).tobytes(), place * size + offset)

            yield patch

    def _patch(self, place: int, field: str, value: int) -> None:
        (self._array[field] if field else self._array)[place] = value

    def sync(self) -> None:
        """Have the file on disk."""
        if self.path is not None and self.path.exists():
            with open(self.path, "r+b") as file:
                os.fsync(file.fileno())


class ForwardIndex:
    """Rows and tokens of the engrams with a seq from `first` on; one writer, any number of readers."""

    def __init__(self, first: int, token_type: npt.DTypeLike, folder: Path | None = None) -> None:
        self.first = first
        self.rows = GrowingArray(ROW, None if folder is None else folder / "rows")
        self.tokens = GrowingArray(token_type, None if folder is None else folder / "tokens")
        self.ends = GrowingArray("<i4", None if folder is None else folder / "ends")
        """The last turn of each session, by the session's number: its seq, or 0."""
        self.follows: dict[int, int] = {}
        """For turns with a seq under `first`: the turn here that comes next in their session."""
        self._last_in_session: dict[int, int] = {}
        self._pending_ends: dict[int, int] = {}

    def extend(self, entries: Sequence[Entry], through: int, previous_in_session: Previous) -> None:
        """Add engrams with seqs over those that are here, lowest first, and gaps up to the seq `through`.

        `previous_in_session(session, seq)` is asked for the turn before one (0: none) that this writer has not seen.
        """
        base = self.first + self.rows.size
        rows = np.zeros(through + 1 - base, ROW)
        rows["length"] = GONE
        before: list[tuple[int, int]] = []
        ids = [e.analysis.ids for e in entries]
        if entries:
            seqs, *columns = zip(
                *((e.seq, e.namespace, e.session, e.speaker, e.at, e.role) for e in entries), strict=True
            )
            places = np.array(seqs) - base
            for field, column in zip(("namespace", "session", "speaker", "at", "role"), columns, strict=True):
                rows[field][places] = column
            rows["length"][places] = list(map(len, ids))
            rows["marks"][places] = [e.analysis.marks for e in entries]
            rows["kind"][places] = [kind_code(e.kind) for e in entries]
            rows["centroid"][places] = [e.centroid for e in entries]
            rows["previous"][places], rows["next"][places], before = self._links(entries, previous_in_session)
            rows["upto"][places] = self._running_lengths(entries, rows["previous"][places].tolist())
        tokens = np.fromiter(chain.from_iterable(ids), self.tokens.dtype)
        lengths = np.maximum(rows["length"], 0).astype(np.int64)
        rows["start"] = self.tokens.size + np.cumsum(lengths) - lengths
        rows["check"] = checksums(rows, tokens, lengths)
        # Links into rows that are there already are written at once: after a crash they are made again, the same.
        self._follow(before)
        # Tokens first: a row is never there without them.
        self.tokens.append(tokens)
        self.rows.append(rows)
        self._pending_ends.update({e.session: e.seq for e in entries})

    def settle(self) -> None:
        """Let the sessions end with the turns that were added; to be called right before these are shown."""
        self._end(self._pending_ends)
        self._pending_ends = {}

    def _links(self, entries: Sequence[Entry], earlier: Previous) -> tuple[list[int], list[int], list[tuple[int, int]]]:
        """The turn before and the turn after each of `entries` in its session, as far as it is known (0: none).

        The third: links (previous, seq) into what was there before.
        """
        if len(self._last_in_session) > SESSIONS_REMEMBERED:
            self._last_in_session = {}
        last, before = self._last_in_session, []
        previous, following = [0] * len(entries), [0] * len(entries)
        here: dict[int, int] = {}
        for place, entry in enumerate(entries):
            session, seq = entry.session, entry.seq
            earlier_here = here.get(session)
            if earlier_here is not None:
                following[earlier_here] = seq
                previous[place] = entries[earlier_here].seq
            else:
                known = last.get(session)
                previous[place] = earlier(session, seq) if known is None else known
                if previous[place]:
                    before.append((previous[place], seq))
            here[session] = place
            last[session] = seq
        return previous, following, before

    def _running_lengths(self, entries: Sequence[Entry], previous: Sequence[int]) -> list[int]:
        """For each of `entries` the tokens of its session up to its end, counted from the turn before it."""
        known: dict[int, int] = {}
        rows = self.rows.view()
        for entry, before in zip(entries, previous, strict=True):
            upto = known.get(before)
            if upto is None:
                place = before - self.first
                upto = int(rows["upto"][place]) if before and 0 <= place < len(rows) else 0
            known[entry.seq] = upto + len(entry.analysis.ids)
        return [known[entry.seq] for entry in entries]

    def _end(self, ends: dict[int, int]) -> None:
        """Have each session, by its number, end with the turn of this seq."""
        if not ends:
            return
        missing = max(ends) + 1 - self.ends.size
        if missing > 0:
            self.ends.append(np.zeros(missing + missing // 4, np.int32))
        with self.ends.patching() as patch:
            for session, seq in ends.items():
                patch(session, "", seq)

    def _follow(self, links: Iterable[tuple[int, int]]) -> None:
        """For each (previous, seq), let `seq` follow `previous` in its session."""
        inside = []
        for previous, seq in links:
            if 0 <= previous - self.first < self.rows.size:
                inside.append((previous, seq))
            else:
                self.follows[previous] = seq
        if inside:
            with self.rows.patching() as patch:
                for previous, seq in inside:
                    patch(previous - self.first, "next", seq)

    def truncate(self, rows: int, tokens: int) -> None:
        """See so many rows and tokens; raises `IndexDamaged` if there are fewer."""
        self.tokens.resize(tokens)
        self.rows.resize(rows)
        self.ends.resize(self.ends.entries_in_file())
        self._last_in_session = {}

    def sync(self) -> None:
        """Have the files on disk."""
        self.ends.sync()
        self.tokens.sync()
        self.rows.sync()

    def take(self, seqs: Ints) -> Turns:
        """The engrams among `seqs` that are here, in that order.

        Raises `IndexDamaged` if what is read is not what was written.
        """
        # One view for all, and that of the rows first: a writer may be appending.
        rows, tokens = self.rows.view(), self.tokens.view()
        gather = accel.gathered if accel.available else gathered
        with damage_noticed():
            *turns, wrong = gather(rows, tokens, seqs, self.first, FACTORS, TOKEN_FACTOR)
            if wrong:
                raise ValueError(wrong.format(rows=self.rows.path, tokens=self.tokens.path))
        return Turns(*turns)

    def beside(self, seqs: Ints) -> Ints:
        """The seqs of the turns right before and right after these in their sessions, as far as there are any.

        They are not checked for damage: `take` checks what they lead to.
        """
        rows = self.rows.view()
        places = seqs - self.first
        places = places[(places >= 0) & (places < len(rows))]
        found = np.concatenate((rows["previous"][places], rows["next"][places])).astype(np.int64)
        return np.asarray(found[found > 0])

    def drop(self, seqs: Iterable[int]) -> None:
        """Mark engrams as gone, and join their neighbours. Those that are gone already stay so."""
        self._last_in_session = {}
        places = [seq - self.first for seq in seqs if 0 <= seq - self.first < self.rows.size]
        if not places:
            return
        rows, first, size = self.rows.view(), self.first, self.rows.size
        with self.rows.patching() as patch:
            for place in places:
                row = rows[place]
                if row["length"] == GONE:
                    continue
                previous, following = int(row["previous"]), int(row["next"])
                if 0 <= previous - first < size:
                    patch(previous - first, "next", following)
                if 0 <= following - first < size:
                    patch(following - first, "previous", previous)
                self._shorten(int(row["session"]), place, patch)
                # Last, so that after a crash in between all of it is done again.
                patch(place, "length", GONE)

    def _shorten(self, session: int, place: int, patch: Patch) -> None:
        """Count the turn at `place` out of its session, and have the session end before it if it was the last."""
        rows, first = self.rows.view(), self.first
        pending = session in self._pending_ends
        known = int(self.ends.view()[session]) if session < self.ends.size else 0
        end = self._pending_ends.get(session, known) - first
        if not 0 <= end < len(rows):
            return
        left = int(rows["upto"][end]) - int(rows["length"][place])
        if end == place:
            end = int(rows["previous"][place]) - first
            if pending:
                self._pending_ends[session] = end + first
            else:
                self._end({session: end + first})
        if 0 <= end < len(rows):
            patch(end, "upto", left)

    def session_tokens(self, sessions: Ints, through: int) -> Ints:
        """How many tokens each of some sessions has here, up to the seq `through`: shape (len(sessions),).

        Raises `IndexDamaged` if that is not what was written.
        """
        ends, rows, first = self.ends.view(), self.rows.view(), self.first
        with damage_noticed():
            places = np.full(len(sessions), -1, np.int64)
            known = sessions < len(ends)
            places[known] = ends.take(sessions[known]).astype(np.int64) - first
            # For a moment a writer is further than what it has published.
            for late in np.flatnonzero(places > through - first).tolist():
                place = int(places[late])
                while through - first < place < len(rows):
                    place = int(rows["previous"][place]) - first
                places[late] = place
            here = np.flatnonzero((places >= 0) & (places < len(rows)))
            ending = places.take(here)
            if not np.array_equal(rows["session"][ending], sessions.take(here)):
                raise ValueError(f"{self.ends.path} is not as it was written")
            found = np.zeros(len(sessions), np.int64)
            found[here] = rows["upto"][ending]
        return found


def gathered(
    rows: Array, tokens: Array, seqs: Ints, first: int, factors: npt.NDArray[np.uint64], token_factor: int
) -> tuple[Ints, Array, Array, Ints, str]:
    """The fields of the `Turns` of those of `seqs` that are there, in that order, and what is wrong: "" for nothing.

    first: the seq of the first of `rows`. The last two: as `checksums` takes them.
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
    starts = rows["start"]
    if (lengths < 0).any() or (starts < 0).any() or (starts > len(tokens) - lengths).any():
        return seqs[:0], rows[:0], tokens[:0], lengths[:0], accel.UNFIT
    offsets = lengths.cumsum() - lengths
    taken = tokens.take(np.arange(lengths.sum()) + (starts - offsets).repeat(lengths))
    right = np.array_equal(checksums(rows, taken, lengths, factors, token_factor), rows["check"])
    return seqs, rows, taken, lengths, "" if right else accel.CHANGED


def checksums(
    rows: Array, tokens: Array, lengths: Ints, factors: Array = FACTORS, token_factor: int = TOKEN_FACTOR
) -> npt.NDArray[np.uint32]:
    """One number an engram over its tokens and the fields that never change: shape (n,)."""
    words = rows.view("<u4").reshape(len(rows), len(factors))
    fixed = np.einsum("nw,w->n", words, factors, dtype=np.uint64)
    total = fixed + segment_sums(tokens.astype(np.int64), lengths).astype(np.uint64) * np.uint64(token_factor)
    return np.asarray(total ^ (total >> np.uint64(32)), np.uint64).astype(np.uint32)


def segment_sums(values: Ints, lengths: Ints) -> Ints:
    """Sums of consecutive stretches of `values`, an empty one's being 0: shape (len(lengths),)."""
    ends = np.zeros(len(values) + 1, np.int64)
    values.cumsum(out=ends[1:])
    upto = lengths.cumsum()
    return np.asarray(ends.take(upto) - ends.take(upto - lengths))
