"""Arcs: the chains of turns that share a person, a place or a thing, as callers see them.

Owns the values. An arc is a view: its title is what its turns share, in their own words, and everything in it is a
quotation with its day, its id and who said it. What an assistant told is part of a story, and never a fact or an order
of the user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from engram.engram import Engram

QUESTION, TASK, PLAN = "question", "task", "plan"


@dataclass(frozen=True, slots=True)
class Arc:
    """A chain of turns that share a person, a place or a thing."""

    id: str
    """What the turns share, in lower case with hyphens: the same while the arc grows; unique in its namespace."""
    title: str
    """What the turns share, as they write it, and what stands in most of them beside it."""
    first: datetime
    last: datetime
    """The times of the first and the last turn."""
    turns: int
    sessions: int
    """Numbers of turns and of sessions."""


@dataclass(frozen=True, slots=True)
class Arcs(Sequence[Arc]):
    """Arcs, those of the most sessions first."""

    arcs: tuple[Arc, ...]
    unread: int
    """Turns of the memory that were remembered and not read yet: `Memory.reflect` reads them."""

    @overload
    def __getitem__(self, index: int) -> Arc: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Arc]: ...

    def __getitem__(self, index: int | slice) -> Arc | Sequence[Arc]:
        return self.arcs[index]

    def __len__(self) -> int:
        return len(self.arcs)

    def __iter__(self) -> Iterator[Arc]:
        return iter(self.arcs)


@dataclass(frozen=True, slots=True)
class Quote:
    """Sentences of a turn that follow each other."""

    engram: Engram
    start: int
    stop: int
    """Where they begin and end in the text of the engram, in characters."""

    @property
    def text(self) -> str:
        """The sentences, verbatim."""
        return self.engram.text[self.start : self.stop]

    @property
    def at(self) -> datetime:
        """When they were said."""
        return self.engram.at


@dataclass(frozen=True, slots=True)
class Thing:
    """A person, a place or a thing in an arc, and what was last said of it."""

    name: str
    """As the turns write it."""
    turns: int
    """Number of the turns of the arc that name it, of those that were read."""
    latest: tuple[Quote, ...]
    """The last statements on it that no later one has replaced, the latest first; before what somebody says of it in
    quotation marks."""


@dataclass(frozen=True, slots=True)
class OpenEnd:
    """What was asked, planned or put down as a task, and is not answered or done as far as the turns tell."""

    kind: str
    """question: nobody else has said anything in its session since. task: a box that was not ticked. plan: nothing was
    said in the arc in a later session."""
    quote: Quote


@dataclass(frozen=True, slots=True)
class ArcView:
    """One arc with its turns."""

    arc: Arc
    quotes: tuple[Quote, ...]
    """What its turns say of what they share, in the order of time; only of the last turns, if there are many."""
    left_out: int
    """Number of earlier turns that were not read."""
    things: tuple[Thing, ...]
    """What the arc is about first, then what most of its turns name."""
    open_ends: tuple[OpenEnd, ...]
    """In the order of time."""
    unread: int
    """Turns of the memory that were remembered and not read yet: `Memory.reflect` reads them."""
