"""Chains: the statements of a namespace with what closed what, and the facts that they are at a time.

Owns when a statement holds. A fact is read from its turn, so a turn that was forgotten gives none. Which statement
closes which is `reflection.closing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from engram.engram import Engram
from engram.reflection.closing import closings
from engram.reflection.database import Stored
from engram.reflection.facts import Fact
from engram.reflection.labels import KINDS, LASTING
from engram.reflection.slots import SLOTS
from engram.reflection.withdrawing import Withdrawal

ORDER = KINDS.index("order")
OWN = 0.5
"""Probability from which a statement is taken for one about its writer."""

Turns = Callable[[Sequence[int]], Mapping[int, Engram]]
"""Returns the turns with some seqs that are still in the store, by seq."""


class Chains:
    """The statements of a namespace. Immutable."""

    def __init__(self, statements: Sequence[Stored], withdrawn: Sequence[Withdrawal] = ()) -> None:
        """statements: in the order in which they were said. withdrawn: which of them withdraw an order."""
        self._older_of, self._newer_of = dict[int, int](), dict[int, int]()
        self.withdrawing = frozenset(each.by for each in withdrawn)
        """Numbers of the statements that withdraw an order. Each counts as an order itself."""
        self._stored = {each.number: self._as_order(each) for each in statements}
        self.partly = {each.order: each.by for each in withdrawn if not each.whole}
        """Number of the statement that withdraws a part of an order last, by the number of the order."""
        for order, by, whole in withdrawn:
            if whole:
                self._older_of[by], self._newer_of[order] = order, by
        for older, newer, _ in closings(statements):
            self._older_of[newer], self._newer_of[older] = older, newer

    def _as_order(self, each: Stored) -> Stored:
        if each.number not in self.withdrawing:
            return each
        return each._replace(statement=each.statement._replace(kind=ORDER, wish=True))

    def holding(self, moment: int, *, lasting: bool = True) -> list[Stored]:
        """Return the statements that hold at a time, microseconds since 1970, in the order of their times.

        lasting: only those of a kind that lasts.
        """
        return [
            each
            for each in self._stored.values()
            if self._holds(each, moment) and (not lasting or each.statement.kind < LASTING)
        ]

    def _holds(self, each: Stored, moment: int) -> bool:
        newer = self._newer_of.get(each.number)
        return each.statement.at <= moment and (newer is None or self._stored[newer].statement.at > moment)

    def facts(self, statements: Iterable[Stored], turns: Turns) -> list[Fact]:
        """Return some of the statements as facts with their history; none of a turn that was forgotten."""
        chains = [self._chain(each) for each in statements]
        named = {each.statement.seq for chain in chains for each in chain}
        named |= {
            self._stored[newer].statement.seq
            for chain in chains
            if (newer := self._newer_of.get(chain[0].number)) is not None
        }
        engrams = turns(sorted(named))
        return [fact for chain in chains if (fact := self._fact(chain, engrams)) is not None]

    def _chain(self, each: Stored) -> list[Stored]:
        """Return a statement and those that it closed, the latest first."""
        chain, number = [each], self._older_of.get(each.number)
        while number is not None:
            chain.append(self._stored[number])
            number = self._older_of.get(number)
        return chain

    def _fact(self, chain: Sequence[Stored], engrams: Mapping[int, Engram]) -> Fact | None:
        """Return the first of some statements as a fact, with the others as its history; None if it was forgotten."""
        statement = chain[0].statement
        engram = engrams.get(statement.seq)
        if engram is None:
            return None
        history = (self._fact([older], engrams) for older in chain[1:])
        newer = self._newer_of.get(chain[0].number)
        closing = None if newer is None else engrams.get(self._stored[newer].statement.seq)
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
