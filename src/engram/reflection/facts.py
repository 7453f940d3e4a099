"""Facts: the statements that hold, or held at a time, with what they replaced.

Owns what callers see of statements. A fact is a quotation: a part of a turn, with its day and its id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from engram.engram import Engram


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a language model proposed of a sentence (docs/facts.md). The value is a part of the sentence, verbatim."""

    slot: str
    """Lower case letters and underscores; not one of `slots.SLOTS` in general."""
    value: str
    model: str
    """Its name."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence of a turn that holds, or held."""

    engram: Engram
    start: int
    stop: int
    """Where the sentence begins and ends in the text of the engram, in characters."""
    kind: str
    """One of `labels.KINDS` that last: fact, event, plan, preference or order."""
    slot: str | None
    """The attribute that it fills: one of `slots.SLOTS`, else the one that a model proposed, else None."""
    own: bool
    """Whether the writer says it of themselves, and not of somebody or something else."""
    until: datetime | None = None
    """When a later statement closed it; None while it holds."""
    closed_by: str | None = None
    """The id of the engram with that statement."""
    history: tuple[Fact, ...] = ()
    """The statements that it closed, directly or through others, the latest first."""
    proposed: Proposed | None = None
    """What a model proposed of it; None without such a proposal."""
    closed_by_model: str | None = None
    """The name of the model that proposed the closing; None if it follows from the slots."""

    @property
    def text(self) -> str:
        """The sentence, verbatim."""
        return self.engram.text[self.start : self.stop]

    @property
    def since(self) -> datetime:
        """When it was said."""
        return self.engram.at


@dataclass(frozen=True, slots=True)
class Facts(Sequence[Fact]):
    """Facts, the latest first."""

    facts: tuple[Fact, ...]
    unread: int
    """Turns of the memory that were remembered and not read yet: `Memory.reflect` reads them."""

    @overload
    def __getitem__(self, index: int) -> Fact: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Fact]: ...

    def __getitem__(self, index: int | slice) -> Fact | Sequence[Fact]:
        return self.facts[index]

    def __len__(self) -> int:
        return len(self.facts)

    def __iter__(self) -> Iterator[Fact]:
        return iter(self.facts)
