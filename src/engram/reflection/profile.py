"""Profile: who a user is now, what they always want, and what they are about, in dated quotes.

Owns which of the statements that hold are shown, in which order, and how they are worded. It is a view: nothing of it
is stored. What stands as an order must have been typed by the user: a file or a program may say what it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engram.engram import ORIGINS
from engram.meaning.base import Vectors
from engram.meaning.network import Floats
from engram.recall.context import CountTokens
from engram.reflection.chains import OWN
from engram.reflection.database import Statement, Stored
from engram.reflection.facts import Fact
from engram.reflection.labels import EFFECTS, KINDS, LASTING
from engram.reflection.slots import ONE_VALUE, SLOT_OF, SLOTS
from engram.reflection.withdrawing import Wish

FACT, EVENT, PLAN, PREFERENCE, ORDER, REQUEST = range(6)
TYPED, TELLS = ORIGINS.index("user"), EFFECTS.index("tells")
assert KINDS[:6] == ("fact", "event", "plan", "preference", "order", "request")

LASTING_SLOTS = frozenset(range(1, len(SLOTS))) - {
    SLOT_OF[name] for name in ("deadline", "appointment", "trip", "venue", "plan")
}
"""Slots that say who somebody is, and not what they are about."""
MAYBE = 0.2
"""Probability from which a sentence may be an order or a preference, if its words say so, too."""
SURE = 0.7
"""Probability of its slot from which a statement says who somebody is."""
OF_A_SLOT = 2
"""Statements of one slot that are shown, the latest ones; one if a person has one value at a time."""
LATEST = 3
"""Sessions, the latest ones, that say what somebody is about now."""
SHORT = 12
"""Characters under which a sentence says too little by itself."""
ALIKE = 0.85
"""Cosine from which two statements count as saying the same: the later one is shown."""
SHARES = {"standing": 0.4, "who": 0.4, "now": 0.2}
"""Part of the budget of each section; what one leaves over the next one may use."""
TITLES = {"standing": "Standing wishes", "who": "About the user", "now": "Lately"}
HEADING = "What the user has told of themselves (quotes, with their days):"
MOST = 200
"""Statements of a section that are looked at."""


class Known(NamedTuple):
    """A statement that holds, with what it means."""

    stored: Stored
    vector: Vectors
    """Shape (dimensions,). The product of two is their cosine."""
    kinds: Floats
    """Probability of each of `labels.KINDS`: shape (kinds,)."""

    @property
    def statement(self) -> Statement:
        """The statement."""
        return self.stored.statement


@dataclass(frozen=True, slots=True)
class Profile:
    """A view of what a user has told, within a budget."""

    standing: tuple[Fact, ...]
    """Orders for every conversation, then preferences; the latest first."""
    who: tuple[Fact, ...]
    """What fills their slots, in the order of `reflection.slots.SLOTS`."""
    now: tuple[Fact, ...]
    """What they told in their last sessions, the latest first."""
    unread: int
    """Turns of the memory that were remembered and not read yet: `Memory.reflect` reads them."""

    @property
    def text(self) -> str:
        """The quotes by sections, for a prompt; "" if there are none."""
        return worded({"standing": self.standing, "who": self.who, "now": self.now})


def standing(statements: Sequence[Known]) -> list[Known]:
    """Return what may be orders that the user typed, then preferences of their own, the latest first, each once.

    Those count whose words say so, too (`wishes.is_wish`).
    """
    wished = [each for each in statements if each.statement.wish]
    orders = [each for each in wished if each.kinds[ORDER] >= MAYBE and each.statement.origin == TYPED]
    chosen = {each.stored.number for each in orders}
    wishes = [
        each
        for each in wished
        if each.kinds[PREFERENCE] >= MAYBE and each.statement.own >= OWN and each.stored.number not in chosen
    ]
    return distinct([*reversed(orders), *reversed(wishes)])


def may_be_wish(statement: Statement) -> bool:
    """Return whether a statement may be an order that the user typed, or a preference of their own, by its kind."""
    return statement.origin == TYPED and (
        statement.kind in (ORDER, REQUEST) or (statement.kind == PREFERENCE and statement.own >= OWN)
    )


def wish_of(known: Known, text: str) -> Wish:
    """Return a statement of a turn as `reflection.withdrawing` compares it. text: of the turn."""
    s = known.statement
    return Wish(known.stored.number, s.speaker, s.at, known.vector, text[s.start : s.stop])


def as_order(known: Known) -> Known:
    """Return a statement that withdraws an order as one that surely is an order: it stands in the place of it."""
    return known._replace(kinds=np.eye(len(KINDS), dtype=np.float32)[ORDER])


def who(statements: Sequence[Known]) -> list[Known]:
    """Return what surely fills a slot of the user's, by slots, the latest of each first."""
    by_slot: dict[int, list[Known]] = {}
    for each in reversed(statements):
        s = each.statement
        if (
            s.slot in LASTING_SLOTS
            and s.kind < LASTING
            and s.sure >= SURE
            and s.own >= OWN
            and s.effect == TELLS
            and s.kind != ORDER
        ):
            by_slot.setdefault(s.slot, []).append(each)
    shown = []
    for slot in sorted(by_slot):
        shown += distinct(by_slot[slot])[: 1 if slot in ONE_VALUE else OF_A_SLOT]
    return shown


def now(statements: Sequence[Known]) -> list[Known]:
    """Return the facts, events and plans of the last sessions, the latest first, each once."""
    sessions = list(dict.fromkeys(each.statement.session for each in reversed(statements)))[:LATEST]
    told = [
        each
        for each in reversed(statements)
        if each.statement.session in sessions
        and each.statement.kind in (FACT, EVENT, PLAN)
        and each.statement.stop - each.statement.start >= SHORT
    ]
    return distinct(told)


def distinct(statements: Sequence[Known]) -> list[Known]:
    """Return statements without those that are nearly the same as one before: at most `MOST`."""
    chosen: list[Known] = []
    vectors = np.zeros((MOST, len(statements[0].vector) if statements else 0), np.float32)
    for each in statements:
        if len(chosen) == MOST:
            break
        if not chosen or float(np.max(vectors[: len(chosen)] @ each.vector)) < ALIKE:
            vectors[len(chosen)] = each.vector
            chosen.append(each)
    return chosen


def within(sections: dict[str, list[Fact]], budget: int, count: CountTokens) -> dict[str, tuple[Fact, ...]]:
    """Return the first facts of each section that fit into its share of a budget, and into what others leave over."""
    left = budget - count(HEADING)
    chosen: dict[str, list[Fact]] = {name: [] for name in sections}
    spent: set[tuple[str, int, int]] = set()
    for share in (SHARES, dict.fromkeys(sections, 1.0)):
        for name, facts in sections.items():
            room = min(left, int(share[name] * budget))
            for fact in facts:
                key = (fact.engram.id, fact.start, fact.stop)
                tokens = count(line(fact)) + 1 + (0 if chosen[name] else count(TITLES[name]) + 2)
                if key in spent or tokens > room:
                    continue
                room, left = room - tokens, left - tokens
                spent.add(key)
                chosen[name].append(fact)
    return {name: tuple(facts) for name, facts in chosen.items()}


def worded(sections: dict[str, tuple[Fact, ...]]) -> str:
    """Return sections of facts as text: a heading, a title for each section, a line for each fact."""
    lines = [HEADING]
    for name, facts in sections.items():
        if facts:
            lines += [f"{TITLES[name]}:", *map(line, facts)]
    return "\n".join(lines) if len(lines) > 1 else ""


def line(fact: Fact) -> str:
    """Return a fact as a line: its day and its words."""
    return f"- [{fact.since.date().isoformat()}] " + " ".join(fact.text.split())
