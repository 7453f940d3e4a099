"""The store's contract: what any keeper of engrams must do, SQLite today and PostgreSQL later.

Owns the protocol and the small values that cross it. Knows nothing of words, vectors or ranking. Any store passes
`tests/store/conformance.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from engram.engram import Engram


class Record(NamedTuple):
    """An engram as the index needs it: small integers in the place of names.

    `seq` grows by the order in which engrams were appended and is never given out twice. `at` is in microseconds
    since 1970 in UTC, `role` a place in `engram.ROLES`. Within one store a session's number implies its namespace, and
    a speaker's likewise (0: none). Seqs and numbers fit into 31 bits.
    """

    seq: int
    namespace: int
    session: int
    speaker: int
    role: int
    kind: str
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which engrams are meant; None leaves a field open. `before` (exclusive) and `after` (inclusive) look at `at`."""

    namespace: str | None = None
    session: str | None = None
    before: datetime | None = None
    after: datetime | None = None
    kinds: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Counts over the whole store; `bytes` is what its files take on disk (0 in memory)."""

    engrams: int
    namespaces: int
    sessions: int
    bytes: int


class Store(Protocol):
    """Keeps engrams. Safe to call from several threads; several processes may hold the same one open."""

    @property
    def read_only(self) -> bool:
        """Whether writes raise `MemoryReadOnly`."""
        ...

    @property
    def identity(self) -> str:
        """What tells this store from every other: an index that was made from another one is not used."""
        ...

    def append(self, engrams: Sequence[Engram]) -> list[bool]:
        """Write all of `engrams` in one durable commit, or none of them.

        Returns, for each, True if it was written and False if exactly this engram was there already (the same id
        and the same content). An id that is there with other content raises `InvalidEngram`.
        """
        ...

    def get(self, id: str) -> Engram | None:
        """The engram with this id, or None."""
        ...

    def by_id(self, ids: Sequence[str], namespace: str | None = None) -> dict[str, Engram]:
        """Those of the engrams with these ids that are there, in `namespace` if one is given, by id.

        What is there in another namespace costs no more time than what is not there.
        """
        ...

    def seq_of(self, id: str) -> int | None:
        """Where the engram with this id stands in the order of appending, or None."""
        ...

    def by_seq(self, seqs: Sequence[int]) -> dict[int, Engram]:
        """The engrams that are still there among `seqs`, by seq."""
        ...

    def engrams(
        self, where: Filter, limit: int | None = None, after_id: str | None = None, *, newest: bool = False
    ) -> Iterator[Engram]:
        """Engrams in the order of appending, `newest` first or last, those after `after_id` only, at most `limit`.

        Raises `NotFound` if `after_id` names none.
        """
        ...

    def count(self, where: Filter) -> int:
        """How many engrams there are."""
        ...

    def forget(self, where: Filter, id: str | None = None) -> int:
        """Remove the engrams meant by `where`, and by `id` if given, in one durable commit; returns how many."""
        ...

    # What the index is kept up from.

    def version(self) -> tuple[int, int]:
        """The highest seq ever given out (0 for none), and how often something was forgotten."""
        ...

    def records(self, after_seq: int, limit: int) -> list[Record]:
        """Up to `limit` records with a seq over `after_seq`, the lowest first; fewer where their texts are long.

        At least one if there is any.
        """
        ...

    def seqs(self, after_seq: int) -> list[int]:
        """The seqs over `after_seq` that name an engram, lowest first."""
        ...

    def session_seqs(self, namespace: str, session: str, limit: int) -> list[int]:
        """The last `limit` seqs of one session, lowest first."""
        ...

    def previous_in_session(self, session: int, seq: int) -> int:
        """The highest seq under `seq` in a session, by its number; 0 for none."""
        ...

    def forgotten(self) -> list[int]:
        """Seqs that were forgotten and that no index has yet been told to drop, lowest first."""
        ...

    def clear_forgotten(self, seqs: Iterable[int]) -> None:
        """The index has dropped these."""
        ...

    def namespace_number(self, namespace: str) -> int | None:
        """The number that stands for a namespace in records; None if it holds nothing."""
        ...

    def speakers(self, namespace: int) -> dict[str, int]:
        """The names that speak in a namespace, each with the number that stands for it in records."""
        ...

    def namespaces(self, prefix: str = "") -> list[tuple[str, int]]:
        """Every namespace whose name begins so, with its number of engrams, by name; no other is looked at."""
        ...

    def sessions(self, namespace: str) -> list[tuple[str, int]]:
        """Every session of a namespace with its number of engrams, in the order in which they began."""
        ...

    def stats(self) -> StoreStats:
        """Counts over the whole store."""
        ...

    def compact(self) -> None:
        """Give the room of what was forgotten back, so that nothing of it is left in the store's files."""
        ...

    def close(self) -> None:
        """Let go of the files. Closing twice is allowed."""
        ...
