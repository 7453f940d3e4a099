"""Knowledge: what the statements of a memory add up to, over a store and its derived data.

Owns the verbs that `Memory` offers of it: reflect and facts. Reads the text of a fact from the store, so that a turn
that was forgotten has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from engram.engram import Engram
from engram.reflection.closing import closings
from engram.reflection.database import DerivedDatabase, Stored
from engram.reflection.facts import Fact, Facts
from engram.reflection.labels import KINDS, LASTING
from engram.reflection.reflector import Reflector
from engram.reflection.slots import SLOT_OF, SLOTS
from engram.store.base import LoggedStore
from engram.times import as_utc, microseconds

AT_ONCE = 2_000
"""Turns that are read before a question for facts is answered; if more are unread, the answer says so."""
OWN = 0.5
"""Probability from which a statement is taken for one about its writer."""


class Knowledge:
    """Answers what holds in a memory. Safe to use from several threads."""

    def __init__(self, store: LoggedStore, database: DerivedDatabase, reflector: Reflector) -> None:
        self._store, self._database, self._reflector = store, database, reflector

    def close(self) -> None:
        """Release the file. A second call does nothing."""
        self._database.close()

    def reflect(self, seconds: float | None = None) -> int:
        """Read the turns that were not read yet, for at most about `seconds`. Returns how many were read."""
        return self._reflector.reflect(seconds)

    def facts(self, namespace: str, slot: str | None, own: bool | None, at: datetime | None) -> Facts:
        """Return the statements of a namespace that hold at a time; see `Memory.facts`."""
        if slot is not None and slot not in SLOT_OF:
            raise ValueError(f"{slot!r} is no slot; the slots are {', '.join(SLOTS[1:])}")
        moment = microseconds(datetime.now(UTC) if at is None else as_utc("at", at))
        if self._reflector.pending() <= AT_ONCE:
            self._reflector.reflect()
        unread = self._reflector.pending()
        number = self._store.namespace_number(namespace)
        if number is None:
            return Facts((), unread)
        stored = {each.number: each for each in self._database.statements(number)}
        older_of, newer_of = dict[int, int](), dict[int, int]()
        for older, newer, _ in closings(list(stored.values())):
            older_of[newer], newer_of[older] = older, newer
        wanted = [
            each
            for each in stored.values()
            if self._holds(each, stored, newer_of, moment)
            and (slot is None or each.statement.slot == SLOT_OF[slot])
            and (own is None or (each.statement.own >= OWN) is own)
        ]
        chains = [self._chain(each, stored, older_of) for each in wanted]
        named = {each.statement.seq for chain in chains for each in chain}
        named |= {stored[newer_of[each.number]].statement.seq for each in wanted if each.number in newer_of}
        engrams = self._store.by_seq(number, sorted(named))
        facts = [fact for chain in chains if (fact := self._fact(chain, stored, newer_of, engrams)) is not None]
        return Facts(tuple(reversed(facts)), unread)

    def _holds(self, each: Stored, stored: dict[int, Stored], newer_of: dict[int, int], moment: int) -> bool:
        newer = newer_of.get(each.number)
        statement = each.statement
        told = statement.at <= moment and statement.kind < LASTING
        return told and (newer is None or stored[newer].statement.at > moment)

    def _chain(self, each: Stored, stored: dict[int, Stored], older_of: dict[int, int]) -> list[Stored]:
        """Return a statement and those that it closed, the latest first."""
        chain, number = [each], older_of.get(each.number)
        while number is not None:
            chain.append(stored[number])
            number = older_of.get(number)
        return chain

    def _fact(
        self,
        chain: Sequence[Stored],
        stored: dict[int, Stored],
        newer_of: dict[int, int],
        engrams: dict[int, Engram],
    ) -> Fact | None:
        """Return the first of some statements as a fact, with the others as its history; None if it was forgotten."""
        statement = chain[0].statement
        engram = engrams.get(statement.seq)
        if engram is None:
            return None
        history = (self._fact([older], stored, newer_of, engrams) for older in chain[1:])
        newer = newer_of.get(chain[0].number)
        closing = None if newer is None else engrams.get(stored[newer].statement.seq)
        return Fact(
            engram=engram,
            start=statement.start,
            stop=statement.stop,
            kind=KINDS[statement.kind],
            slot=SLOTS[statement.slot] if statement.slot else None,
            own=statement.own >= OWN,
            until=None if closing is None else closing.at,
            closed_by=None if closing is None else closing.id,
            history=tuple(fact for fact in history if fact is not None),
        )
