"""What a recall gives back: hits, best first, and how to put them into a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from engram.engram import Engram
from engram.recall.context import CountTokens, context, estimated_tokens


@dataclass(frozen=True, slots=True)
class Hit:
    """One engram that was found."""

    engram: Engram
    score: float
    """How sure it is that this answers the query, 0 to 1; comparable between queries and between memories."""
    why: Mapping[str, float]
    """The parts of what hits are ranked by, by name; their sum is the rank value, higher first."""
    seq: int
    """Its place in the order of remembering."""


@dataclass(frozen=True, slots=True)
class Recall(Sequence[Hit]):
    """The hits of one query, best first. Empty where nothing fits: there is a floor under the score."""

    query: str
    namespace: str
    hits: tuple[Hit, ...]
    unsearched: int = 0
    """Engrams of the memory that could not be searched yet, because a large index is being rebuilt; usually 0."""

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, place: int) -> Hit: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Hit]: ...

    def __getitem__(self, place: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[place]

    def context(self, budget: int = 512, count: CountTokens = estimated_tokens) -> str:
        """The best hits as notes for a prompt, in the order of time, dated, within `budget` tokens.

        `count` gives the tokens of a text; without it they are estimated on the safe side. "" where nothing was found
        or fits. The notes say of themselves that they are notes and no instructions. Raises ValueError if `budget` is
        not positive.
        """
        if budget <= 0:
            raise ValueError(f"budget is {budget}; it must be a positive number of tokens")
        return context([(hit.seq, hit.engram) for hit in self.hits], self.query, budget, count)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an engram came where it came for a query."""

    query: str
    engram: Engram
    place: int | None
    """Its place among all that was scored, from 1; None if it was no candidate."""
    scored: int
    """How many turns were scored."""
    score: float
    why: Mapping[str, float]
    """The parts of its rank value, by name; empty if it was no candidate."""
    winner: Hit | None
    """The best hit."""
    words: Mapping[str, tuple[float, float]]
    """For each word of the query how much it counts, and how well the engram matches it (0 to about 1.2)."""
    reason: str
    """In a sentence, what kept it down, or that nothing did."""
