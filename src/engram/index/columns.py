"""What scoring needs of every engram, in flat arrays: token ids, neighbours, session, speaker, time.

Owns two growing arrays, each a file read through a memory map, or RAM: `rows`, one fixed record an engram, found by
its seq, and `tokens`, their token ids end to end. Each row carries a checksum over itself and its tokens, so that a
damaged file is noticed when it is read, not when it is opened.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engram.encode import Analysis
from engram.errors import EngramError

ROW = np.dtype(
    [
        ("start", "<i8"),  # first token, in tokens
        ("length", "<i4"),  # tokens; GONE: no such engram
        ("namespace", "<i4"),
        ("session", "<i4"),
        ("speaker", "<i4"),  # 0: none
        ("previous", "<i4"),  # seq of the turn before it in its session; 0: none
        ("next", "<i4"),  # ... of the turn after it
        ("at", "<i8"),  # microseconds since 1970, UTC
        ("role", "u1"),  # place in engram.ROLES
        ("marks", "u1"),  # encode.Analysis.marks
        ("kind", "<u2"),  # kind_code of its kind
        ("check", "<u4"),
    ]
)
GONE = -1

SESSIONS_REMEMBERED = 200_000
"""Sessions whose last turn a writer remembers before it asks the store again."""

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Previous = Callable[[int, int], int]


class IndexDamaged(EngramError):
    """The index holds what was never written to it; it is rebuilt from the store."""


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


@dataclass(frozen=True, slots=True)
class Turns:
    """Some engrams as scoring sees them; the i-th has tokens[starts[i] : starts[i] + lengths[i]]."""

    seqs: Ints
    """shape (n,)"""
    rows: Array
    """shape (n,), dtype ROW; its own `start` is not used."""
    tokens: Array
    """Token ids end to end: shape (sum of lengths,)."""
    lengths: Ints
    """shape (n,)"""

    @staticmethod
    def joined(parts: Sequence[Turns]) -> Turns:
        """Several as one, in the order given."""
        if len(parts) == 1:
            return parts[0]
        fields = [[getattr(part, name) for part in parts] for name in ("seqs", "rows", "tokens", "lengths")]
        return Turns(*(np.concatenate(field) for field in fields))


class Growing:
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
            self._array = np.memmap(self.path, self.dtype, "r", shape=(size,))
        self.size = size

    def append(self, values: Array) -> None:
        """Add `values`, shape (n,), at the end."""
        values = np.ascontiguousarray(values, dtype=self.dtype)
        needed = self.size + len(values)
        if self.path is not None:
            with open(self.path, "r+b" if self.path.exists() else "wb") as file:
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

    def patch(self, place: int, field: str, value: int) -> None:
        """Set one field of the entry at `place`."""
        if self.path is None:
            self._array[field][place] = value
            return
        assert self.dtype.fields is not None
        dtype, offset = self.dtype.fields[field][:2]
        with open(self.path, "r+b") as file:
            file.seek(place * self.dtype.itemsize + offset)
            file.write(np.array(value, dtype).tobytes())

    def sync(self) -> None:
        """Have the file on disk."""
        if self.path is not None and self.path.exists():
            with open(self.path, "r+b") as file:
                os.fsync(file.fileno())


class Columns:
    """Rows and tokens of the engrams with a seq from `first` on; one writer, any number of readers."""

    def __init__(self, first: int, token_type: npt.DTypeLike, folder: Path | None = None) -> None:
        self.first = first
        self.rows = Growing(ROW, None if folder is None else folder / "rows")
        self.tokens = Growing(token_type, None if folder is None else folder / "tokens")
        self.follows: dict[int, int] = {}
        """For turns with a seq under `first`: the turn here that comes next in their session."""
        self._last_in_session: dict[int, int] = {}

    def extend(self, entries: Sequence[Entry], through: int, previous_in_session: Previous) -> None:
        """Add engrams with seqs over those that are here, lowest first, and gaps up to the seq `through`.

        `previous_in_session(session, seq)` is asked for the turn before one where this writer has not seen it (0: none).
        """
        base = self.first + self.rows.size
        rows = np.zeros(through + 1 - base, ROW)
        rows["length"] = GONE
        if entries:
            places = np.array([e.seq for e in entries]) - base
            rows["length"][places] = [len(e.analysis.ids) for e in entries]
            for field in ("namespace", "session", "speaker", "at", "role"):
                rows[field][places] = [getattr(e, field) for e in entries]
            rows["marks"][places] = [e.analysis.marks for e in entries]
            rows["kind"][places] = [kind_code(e.kind) for e in entries]
        tokens = np.array([i for e in entries for i in e.analysis.ids], self.tokens.dtype)
        lengths = np.maximum(rows["length"], 0).astype(np.int64)
        rows["start"] = self.tokens.size + np.cumsum(lengths) - lengths
        rows["check"] = checksums(rows, tokens, lengths)
        # Links into rows that are there already are written at once: after a crash they are made again, the same.
        for previous, seq in self._link(entries, rows, base, previous_in_session):
            self.next_of(previous, seq)
        # Tokens first: a row is never there without them.
        self.tokens.append(tokens)
        self.rows.append(rows)

    def _link(self, entries: Sequence[Entry], rows: Array, base: int, earlier: Previous) -> list[tuple[int, int]]:
        """Join each of `rows`, the first having the seq `base`, with the turn before it in its session.

        Returns the links (previous, seq) into what was there before.
        """
        if len(self._last_in_session) > SESSIONS_REMEMBERED:
            self._last_in_session = {}
        last, before = self._last_in_session, []
        for entry in entries:
            previous = last.get(entry.session)
            if previous is None:
                previous = earlier(entry.session, entry.seq)
            last[entry.session] = entry.seq
            rows["previous"][entry.seq - base] = previous
            if previous >= base:
                rows["next"][previous - base] = entry.seq
            elif previous:
                before.append((previous, entry.seq))
        return before

    def next_of(self, previous: int, seq: int) -> None:
        """Let `seq` follow `previous` in its session."""
        if 0 <= previous - self.first < self.rows.size:
            self.rows.patch(previous - self.first, "next", seq)
        else:
            self.follows[previous] = seq

    def truncate(self, rows: int, tokens: int) -> None:
        """See so many rows and tokens; raises `IndexDamaged` if there are fewer."""
        self.tokens.resize(tokens)
        self.rows.resize(rows)
        self._last_in_session = {}

    def sync(self) -> None:
        """Have both files on disk."""
        self.tokens.sync()
        self.rows.sync()

    def take(self, seqs: Ints) -> Turns:
        """The engrams among `seqs` that are here, in that order.

        Raises `IndexDamaged` if what is read is not what was written.
        """
        # One view for all: a writer may be appending.
        view = self.rows.view()
        places = seqs - self.first
        inside = (places >= 0) & (places < len(view))
        seqs, rows = seqs[inside], view[places[inside]]
        here = rows["length"] != GONE
        rows, seqs = rows[here], seqs[here]
        lengths = rows["length"].astype(np.int64)
        starts = rows["start"]
        tokens = self.tokens.view()
        if len(rows) and (lengths.min() < 0 or starts.min() < 0 or (starts + lengths).max() > len(tokens)):
            raise IndexDamaged(f"{self.rows.path} does not fit {self.tokens.path}")
        offsets = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)
        taken = tokens[places]
        if not np.array_equal(checksums(rows, taken, lengths), rows["check"]):
            raise IndexDamaged(f"{self.rows.path} or {self.tokens.path} is not as it was written")
        return Turns(seqs, rows, taken, lengths)

    def drop(self, seq: int) -> None:
        """Mark an engram as gone, and join its neighbours."""
        place = seq - self.first
        if not 0 <= place < self.rows.size:
            return
        row = self.rows.view()[place]
        previous, following = int(row["previous"]), int(row["next"])
        for neighbour, field, value in ((previous, "next", following), (following, "previous", previous)):
            if 0 <= neighbour - self.first < self.rows.size:
                self.rows.patch(neighbour - self.first, field, value)
        self._last_in_session = {}
        self.rows.patch(place, "length", GONE)

    def gone(self) -> set[int]:
        """The seqs here that name no engram."""
        return set((np.flatnonzero(self.rows.view()["length"] == GONE) + self.first).tolist())


def checksums(rows: Array, tokens: Array, lengths: Ints) -> npt.NDArray[np.uint32]:
    """One number an engram over its tokens and the fields that never change: shape (n,)."""
    total = segment_sums(tokens.astype(np.int64), lengths)
    for factor, field in ((31, "start"), (7, "length"), (131, "namespace"), (17, "session"), (29, "speaker"), (3, "at")):
        total = total * 5 + factor * rows[field].astype(np.int64)
    return (total ^ (total >> 32)).astype(np.uint32)


def segment_sums(values: Ints, lengths: Ints) -> Ints:
    """Sums of consecutive stretches of `values`, an empty one's being 0: shape (len(lengths),)."""
    ends = np.concatenate(([0], np.cumsum(values)))
    upto = np.cumsum(lengths)
    return np.asarray(ends[upto] - ends[upto - lengths])


def kind_code(kind: str) -> int:
    """A number for a kind, the same in every process; two kinds rarely share one."""
    return zlib.crc32(kind.encode()) & 0xFFFF
