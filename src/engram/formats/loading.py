"""What was read goes into a memory: a batch a commit, nothing twice, an outcome for every item.

Owns the counting and the way around a conflict. Knows no format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from engram.engram import Engram
from engram.errors import InvalidEngram, NotFound
from engram.formats.items import Item, LeftOut, Problem, Turn

BATCH = 1_000
"""Turns in one commit."""

BATCH_CHARACTERS = 8 << 20
"""Characters of text in one commit, whatever the number of turns."""


class Keeper(Protocol):
    """What loading needs of a `Memory`."""

    def add(self, engrams: list[Engram], /) -> list[bool]:
        """Keep engrams in one commit; False for each that was there already."""
        ...

    def get(self, id: str, /) -> Engram:
        """The engram with this id; raises `NotFound`."""
        ...


@dataclass(slots=True)
class Outcome:
    """What became of the items: `read` turns are `remembered`, `already_there`, or in `problems`."""

    read: int = 0
    remembered: int = 0
    already_there: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """How many were left out on purpose, by the reason."""
    problems: list[Problem] = field(default_factory=list)


def load(items: Iterable[Item], memory: Keeper | None) -> Outcome:
    """Keep the turns among `items` in `memory`; None only counts them (a dry run).

    Each batch is durable before the next is read. Raises what `Memory.add` raises, except for an id that is there
    with other content: that is a problem of its turn.
    """
    outcome = Outcome()
    waiting: list[Turn] = []
    size = 0
    for item in items:
        match item:
            case Problem():
                outcome.problems.append(item)
            case LeftOut():
                outcome.left_out[item.why] += 1
            case Turn():
                outcome.read += 1
                if memory is not None:
                    waiting.append(item)
                    size += len(item.engram.text)
                    if len(waiting) >= BATCH or size >= BATCH_CHARACTERS:
                        _keep(waiting, memory, outcome)
                        waiting, size = [], 0
    if memory is not None and waiting:
        _keep(waiting, memory, outcome)
    return outcome


def _keep(turns: list[Turn], memory: Keeper, outcome: Outcome) -> None:
    try:
        _add(turns, memory, outcome)
    except InvalidEngram:
        # Something of it is there already and not word for word: find out what, and keep the rest.
        fresh = [turn for turn in turns if not _known(turn, memory, outcome)]
        try:
            _add(fresh, memory, outcome)
        except InvalidEngram:
            for turn in fresh:
                _keep_alone(turn, memory, outcome)


def _add(turns: list[Turn], memory: Keeper, outcome: Outcome) -> None:
    written = memory.add([turn.engram for turn in turns])
    outcome.remembered += sum(written)
    outcome.already_there += len(written) - sum(written)


def _keep_alone(turn: Turn, memory: Keeper, outcome: Outcome) -> None:
    if _known(turn, memory, outcome):
        return
    try:
        _add([turn], memory, outcome)
    except InvalidEngram as error:
        outcome.problems.append(Problem(turn.place, str(error)))


def _known(turn: Turn, memory: Keeper, outcome: Outcome) -> bool:
    """Whether the memory holds this id, and if so the outcome of it."""
    try:
        known = memory.get(turn.engram.id)
    except NotFound:
        return False
    if turn.same_as(known):
        outcome.already_there += 1
    else:
        differing = [
            name
            for name in (
                "namespace",
                "session",
                "role",
                "speaker",
                "text",
                "at",
                "recorded_at",
                "kind",
                "source",
                "metadata",
            )
            if name not in turn.open_fields and getattr(known, name) != getattr(turn.engram, name)
        ]
        outcome.problems.append(
            Problem(
                turn.place,
                f"id {known.id} is in the memory with other content ({', '.join(differing)}); what is there stays",
            )
        )
    return True
