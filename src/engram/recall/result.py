"""Results: the hits of a recall, best first, and the explanation of one engram's rank.

Owns what recall returns to its caller. Knows no index and no formula.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from engram.engram import Engram
from engram.recall.context import CountTokens, context, estimated_tokens
from engram.text.passages import Span


@dataclass(frozen=True, slots=True)
class Hit:
    """One engram that recall returns."""

    engram: Engram
    score: float
    """Confidence that the engram answers the query, 0 to 1; comparable between queries and between memories."""
    why: Mapping[str, float]
    """The parts of the value that hits are ranked by, by name; the value is their sum, and a higher one comes first."""
    seq: int
    """The engram's number in the store, in the order in which engrams were remembered."""
    passage: Span
    """Where the passage of the text that answers best begins and ends, in characters; of a short text, all of it."""


@dataclass(frozen=True, slots=True)
class Recall(Sequence[Hit]):
    """The hits of one query, best first. Empty if the best one's score is under the floor (`recall.score.FLOOR`)."""

    query: str
    namespace: str
    hits: tuple[Hit, ...]
    unsearched: int = 0
    """Engrams of the memory that are not searchable yet, because a large index is being rebuilt; usually 0."""

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...

    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[index]

    def context(self, budget: int = 512, count: CountTokens = estimated_tokens) -> str:
        """Return the best hits as notes for a prompt, dated, in the order of time, within `budget` tokens.

        count: returns the number of tokens of a text; the default estimates it and rather overestimates. Returns "" if
        there are no hits or none fits. The heading says that the notes are information and not instructions. Raises
        ValueError if `budget` is not positive.
        """
        if budget <= 0:
            raise ValueError(f"budget is {budget}; it must be a positive number of tokens")
        return context([(hit.seq, hit.engram) for hit in self.hits], self.query, budget, count)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an engram has its rank for a query."""

    query: str
    engram: Engram
    place: int | None
    """Its rank among all scored turns, from 1; None if it was no candidate."""
    scored: int
    """Number of scored turns."""
    score: float
    why: Mapping[str, float]
    """The parts of the value that it is ranked by, by name; empty if it was no candidate."""
    winner: Hit | None
    """The best hit."""
    words: Mapping[str, tuple[float, float]]
    """For each stem of the query its weight, and how well the engram matches it (0 to about 1.2)."""
    reason: str
    """A sentence on why it did not come first, or that it did."""
