"""The contract of matching, linking and scanning, and the implementation in use.

Owns the protocol `Implementation`, the values that cross it, and which implementation recall calls: `engram.opening`
picks the compiled kernel (`accel.compiled`) or numpy (`accel.plain`). Knows arrays only, no weight, no memory, and
neither of the two.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.uint64]
Places = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Language:
    """The static table of an analyzer, as arrays. They must not change: the kernel remembers their addresses."""

    near: npt.NDArray[np.unsignedinteger]
    """The nearest token ids of each stem: shape (stems, k)."""
    similarity: npt.NDArray[np.uint8]
    """Their cosines in steps of 1/255: shape (stems, k)."""
    vectors: Floats
    """What each stem adds to a centroid, and a last row of zeros for every other token: shape (stems + 1, d)."""


class Matches(NamedTuple):
    """What q tokens of a query find in n turns."""

    counts: Floats
    """How often each token occurs in each turn: shape (q, n)."""
    nearness: npt.NDArray[np.uint8]
    """Cosine of each token to the nearest other token of each turn, in steps of 1/255: shape (q, n)."""
    cosines: Floats
    """Cosine between the centroids of query and turn, 0 to 1: shape (n,)."""


class Links(NamedTuple):
    """Which of n turns are neighbours, and which belong to one of s sessions. Indices into the turns, -1 for none."""

    around: Ints
    """The turn before, the one before that, the turn after, the one after that: shape (4, n)."""
    same_speaker: npt.NDArray[np.bool_]
    """Whether the turn before, and the turn after, has the same speaker and role: shape (2, n)."""
    by_session: Ints
    """All indices, one session after the other: shape (n,)."""
    starts: Ints
    """Where each session begins in `by_session`: shape (s,)."""
    session: Ints
    """Each turn's session, as an index into `starts`: shape (n,)."""
    sessions: Ints
    """Number of each session: shape (s,)."""


class Implementation(Protocol):
    """Matches and links turns. `accel.plain` is the reference; any other one gives the same results."""

    def match_tokens(
        self,
        columns: Array,
        tokens: Array,
        lengths: Ints,
        ids: Sequence[int],
        has_near: Sequence[bool],
        language: Language,
    ) -> Matches:
        """Match the q distinct tokens `ids` of a query in n turns.

        columns: dtype ROW, shape (n,). tokens: those of all turns, end to end. lengths: tokens of each turn, shape
        (n,). has_near: for each of `ids`, whether its near tokens count.
        """
        ...

    def find_neighbours(self, rows: Ints, columns: Array, longest_pause: int) -> Links:
        """Link n turns, at least one, with their neighbours and sessions.

        rows: sorted, shape (n,). columns: dtype ROW, shape (n,). Two turns that are more than `longest_pause`
        microseconds apart are no neighbours.
        """
        ...

    def best_in_sessions(self, values: Floats, by_session: Ints, starts: Ints) -> Floats:
        """Return the greatest value of each of s sessions: shape (q, s).

        values: shape (q, n or more), a column for each turn. by_session, starts: as in `Links`.
        """
        ...

    def nearest_signs(
        self, signs: Bits, start: int, stop: int, places: Places | None, query: Bits, limit: int
    ) -> tuple[Ints, Ints]:
        """Return the `limit` of some passages whose signs differ least from a query's, and in how many they differ.

        signs: those of all passages, as bits of w numbers: shape (n, w). start, stop: the first passage and the one
        after the last. places: which of these are compared, in ascending order; None: all. query: shape (w,).
        Shape (m,) each, in any order; of passages at the same distance, the first ones are returned.
        """
        ...

    def compare_codes(self, codes: Codes, query: Floats, small: float, large: float) -> Floats:
        """Return the cosine between each of n codes and a query, 0 for a code of zeros: shape (n,).

        codes: as in `engram.meaning.codes`, shape (n, w). query: of length 1, shape (4 * w,). small, large: what the
        values of a code are taken as.
        """
        ...


available: bool = False
"""Whether the kernel is in use."""
status: str = "without an implementation"
"""Whether the kernel is in use, and if not, why and what command mends it: one line for people."""
_implementation: Implementation | None = None
_reported: bool = False
"""Whether the log says already that the kernel is not in use."""


def use(implementation: Implementation, state: str, *, kernel: bool) -> None:
    """Have recall call `implementation` from now on. `state`: the new `status`. `kernel`: the new `available`."""
    global _implementation, status, available, _reported
    _implementation, status, available, _reported = implementation, state, kernel, False


def in_use() -> Implementation:
    """Return the implementation to call. The first call in a process logs that it is not the kernel, if it is not."""
    if not available:
        report_once()
    if _implementation is None:
        raise RuntimeError("no implementation of engram.accel was picked; import engram.opening, which picks one")
    return _implementation


def report_once() -> None:
    """Log, once in a process, that recall runs without the kernel: installers hide what the build printed about it."""
    global _reported
    if not _reported:
        _reported = True
        logging.getLogger("engram").warning("recall runs %s", status)
