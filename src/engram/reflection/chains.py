"""Chains: the statements of a namespace with what closed what, and the facts that they are at a time.

Owns when a statement holds. A fact is read from its turn, so a turn that was forgotten gives none. Which statement
closes which is told by `reflection.closing`, and by what models proposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from engram.engram import Engram
from engram.reflection.closing import closings
from engram.reflection.database import Statement, Stored
from engram.reflection.facts import Fact, Proposed
from engram.reflection.labels import KINDS, LASTING
from engram.reflection.proposals.reading import may_close
from engram.reflection.proposals.tables import Place, Proposals, ProposedSlot
from engram.reflection.slots import SLOTS
from engram.reflection.withdrawing import Withdrawal

ORDER = KINDS.index("order")
OWN = 0.5
"""Probability from which a statement is taken for one about its writer."""

NOTHING = Proposals()

Turns = Callable[[Sequence[int]], Mapping[int, Engram]]
"""Returns the turns with some seqs that are still in the store, by seq."""


class Chains:
    """The statements of a namespace. Immutable."""

    def __init__(
        self, statements: Sequence[Stored], withdrawn: Sequence[Withdrawal] = (), proposals: Proposals = NOTHING
    ) -> None:
        """statements: in the order in which they were said. withdrawn: which of them withdraw an order.

        proposals: of models; those of no statement do not count. A statement is closed by the first later one that
        closes it, by its slot or by a proposal.
        """
        self.withdrawing = frozenset(each.by for each in withdrawn)
        """Numbers of the statements that withdraw an order. Each counts as an order itself."""
        self.partly = {each.order: each.by for each in withdrawn if not each.whole}
        """Number of the statement that withdraws a part of an order last, by the number of the order."""
        self.withdrawn = frozenset(each.order for each in withdrawn if each.whole)
        """Numbers of the orders and preferences that a later statement withdraws as a whole."""
        self._stored = {each.number: self._as_order(each) for each in statements}
        self._newer_of, self._model_of = dict[int, int](), dict[int, str]()
        numbers = {Place(each.statement.seq, each.statement.start): each.number for each in statements}
        order = {each.number: position for position, each in enumerate(statements)}
        for order_number, by, whole in withdrawn:
            if whole:
                self._newer_of[order_number] = by
        for older, newer, _ in closings(statements):
            self._newer_of[older] = newer
        for link in proposals.links:
            proposed = numbers.get(link.older), numbers.get(link.newer)
            if proposed[0] is None or proposed[1] is None:
                continue
            (older, newer), before = (proposed[0], proposed[1]), self._newer_of.get(proposed[0])
            # The labels of a statement may be others than they were when the link was checked.
            allowed = may_close(self._stored[older].statement, self._stored[newer].statement)
            if allowed and (before is None or order[newer] < order[before]):
                self._newer_of[older], self._model_of[older] = newer, link.model
        self._older_of: dict[int, list[int]] = {}
        for older, newer in self._newer_of.items():
            self._older_of.setdefault(newer, []).append(older)
        self._slots = {number: slot for slot in proposals.slots if (number := numbers.get(slot.place)) is not None}

    def statements(self) -> list[Stored]:
        """Return all statements, in the order in which they were said."""
        return list(self._stored.values())

    def slot_of(self, each: Stored) -> str | None:
        """Return the attribute that a statement fills: by its label, else by a proposal; None for none."""
        if each.statement.slot:
            return SLOTS[each.statement.slot]
        proposed = self._slots.get(each.number)
        return None if proposed is None else proposed.slot

    def slots(self) -> set[str]:
        """Return the names of the attributes that were proposed."""
        return {slot.slot for slot in self._slots.values()}

    def _as_order(self, each: Stored) -> Stored:
        if each.number not in self.withdrawing:
            return each
        return each._replace(statement=each.statement._replace(kind=ORDER, wish=True))

    def holding(self, moment: int, *, lasting: bool = True) -> list[Stored]:
        """Return the statements that hold at a time, microseconds since 1970, in the order of their times.

        lasting: only those of a kind that lasts, or of which a model proposed a slot.
        """
        return [
            each
            for each in self._stored.values()
            if self._holds(each, moment)
            and (not lasting or each.statement.kind < LASTING or each.number in self._slots)
        ]

    def replaced(self, moment: int) -> list[Statement]:
        """Return the statements that were said by a time and do not hold at it, since a later one closed them."""
        statements = (each for each in self._stored.values() if each.statement.at <= moment)
        return [each.statement for each in statements if not self._holds(each, moment)]

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
        """Return a statement and those that it closed, directly or through others, the latest first."""
        closed, left = set[int](), [each.number]
        while left:
            left += (more := self._older_of.get(left.pop(), []))
            closed.update(more)
        order = [stored for number, stored in reversed(self._stored.items()) if number in closed] if closed else []
        return [each, *order]

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
            slot=self.slot_of(chain[0]),
            own=statement.own >= OWN,
            until=None if closing is None else closing.at,
            closed_by=None if closing is None else closing.id,
            history=tuple(fact for fact in history if fact is not None),
            proposed=proposed_of(engram, self._slots.get(chain[0].number)),
            closed_by_model=None if closing is None else self._model_of.get(chain[0].number),
        )


def proposed_of(engram: Engram, slot: ProposedSlot | None) -> Proposed | None:
    """Return what was proposed of a sentence of an engram."""
    if slot is None:
        return None
    return Proposed(slot.slot, engram.text[slot.value_start : slot.value_stop], slot.model)
