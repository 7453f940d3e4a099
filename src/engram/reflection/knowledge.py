"""Knowledge: what the statements of a memory add up to, over a store and its derived data.

Owns the verbs that `Memory` offers of it: reflect, propose, facts, profile, summary and working, and the order of hits
by what holds.
Reads the text of a fact from the store, so that a turn that was forgotten has none.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from functools import partial

from engram.engram import Engram, in_zone
from engram.errors import EngramError, MemoryReplaced
from engram.models.base import Model
from engram.recall.context import CountTokens
from engram.recall.message import Part
from engram.recall.result import Hit
from engram.reflection.arc_reader import ArcReader, no_arc
from engram.reflection.arcs import Arcs, ArcView
from engram.reflection.chains import OWN, Chains, Turns
from engram.reflection.database import DerivedDatabase, Stored
from engram.reflection.ending import going_on, near_ends
from engram.reflection.facts import Facts
from engram.reflection.holding import HoldingOrder
from engram.reflection.in_play import InPlay
from engram.reflection.profile import (
    Known,
    Profile,
    as_order,
    may_be_wish,
    now,
    standing,
    who,
    wish_of,
    within,
)
from engram.reflection.proposals import ledger, tables
from engram.reflection.proposals.asking import Asking, ProposalStats
from engram.reflection.proposals.proposer import Asked, Proposer
from engram.reflection.reflector import Reflector
from engram.reflection.slots import NONE, SLOT_OF, SLOTS
from engram.reflection.summarizing import Summarizer
from engram.reflection.summary import Summary, bounds
from engram.reflection.wishes import likes
from engram.reflection.withdrawing import WITHDRAWS, Withdrawal, withdrawals
from engram.reflection.working import (
    PROFILE,
    RECALLED,
    STANDING,
    Working,
    WorkingPart,
    bearing_on,
    in_play,
    not_in,
    quoted,
    recalled,
    room_of_arcs,
)
from engram.store.base import LoggedStore
from engram.times import as_utc, microseconds

logger = logging.getLogger("engram")

AT_ONCE = 2_000
"""Turns that are read before a question for facts is answered; if more are unread, the answer says so."""
FEW = 8
"""Turns that are read before a recall; if more are unread, `Memory.reflect` reads them."""


class Knowledge:
    """Answers what holds in a memory. Safe to use from several threads."""

    def __init__(
        self,
        store: LoggedStore,
        database: DerivedDatabase,
        reflector: Reflector,
        holding: HoldingOrder,
        summarizer: Summarizer,
        proposer: Proposer,
    ) -> None:
        self._store, self._database, self._reflector, self._holding = store, database, reflector, holding
        self._summarizer, self._proposer = summarizer, proposer
        self._arcs = ArcReader(store, database, self._chains)

    def close(self) -> None:
        """Release the file. A second call does nothing."""
        self._database.close()

    def replaced(self) -> bool:
        """Return whether the file was deleted or replaced since it was opened, so that it must be opened anew."""
        try:
            self._database.check_place()
        except MemoryReplaced:
            return True
        except (OSError, EngramError):
            # The call that reads the file says what is wrong with it.
            return False
        return False

    def reflect(self, seconds: float | None = None) -> int:
        """Read the turns that were not read yet, for at most about `seconds`. Returns how many were read."""
        return self._reflector.reflect(seconds)

    def unread(self) -> int:
        """Return the number of turns that were not read yet."""
        return self._reflector.pending()

    def purge(self) -> None:
        """Remove what was derived of turns that the store no longer holds."""
        self._reflector.purge()

    # What models propose.

    def propose(self, model: Model, asking: Asking, seconds: float | None) -> Asked:
        """Ask a model about the sessions that are due; see `Memory.propose`."""
        if self._database.read_only:
            return Asked(0, 0, 0, 0, over_budget=False)
        return self._proposer.propose(model, asking, seconds)

    def drop_proposals(self, model: str | None, ask_again: bool) -> int:
        """Delete what models proposed; see `Memory.drop_proposals`."""
        with self._database.writing_durably() as db:
            return tables.drop(db, model, ask_again)

    def figures(self) -> ProposalStats:
        """Return what models were asked and what came of it."""
        with self._database.reading() as db:
            return ledger.figures(db, time.time())

    def titles(self, namespace: str) -> dict[str, str]:
        """Return the titles of the sessions of a namespace that have one, by session."""
        number = self._store.namespace_number(namespace)
        if number is None:
            return {}
        titles = self._database.proposals(number).titles
        turns = self._store.by_seq(number, [title.seq for title in titles])
        return {
            turns[title.seq].session: turns[title.seq].text[title.start : title.stop]
            for title in titles
            if title.seq in turns
        }

    # What holds.

    def catch_up(self) -> None:
        """Read a few turns that were not read yet; see `recall.recaller.Holding`. The log says if that fails."""
        if self._database.read_only:
            # Another process reads them.
            return
        try:
            if 0 < self._reflector.pending() <= FEW:
                self._reflector.reflect()
        except EngramError as error:
            logger.warning("the latest turns were not read for what holds: %s", error)

    def ordered(self, part: Part, namespace: int, hits: Sequence[Hit], admits: Callable[[Engram], bool]) -> list[Hit]:
        """Return the hits for a part of a message with what holds before what held; see `recall.recaller.Holding`.

        If the derived data cannot be read, the hits keep their order, and the log says so.
        """
        try:
            turns = partial(self._admitted, namespace, admits)
            return self._holding.ordered(part, namespace, hits, turns, lambda: not self._reflector.pending())
        except EngramError as error:
            logger.warning("hits are not ordered by what holds: %s", error)
            return list(hits)

    def _admitted(self, namespace: int, admits: Callable[[Engram], bool], seqs: Sequence[int]) -> Mapping[int, Engram]:
        return {seq: engram for seq, engram in self._store.by_seq(namespace, seqs).items() if admits(engram)}

    def facts(self, namespace: str, slot: str | None, own: bool | None, at: datetime | None) -> Facts:
        """Return the statements of a namespace that hold at a time; see `Memory.facts`."""
        moment, unread = moment_of(at), self._caught_up()
        number = self._store.namespace_number(namespace)
        chains = None if number is None else self._chains(number)
        if slot is not None and slot not in SLOT_OF and (chains is None or slot not in chains.slots()):
            raise ValueError(
                f"{slot!r} is no slot; the slots are {', '.join(SLOTS[1:])}, and those that models propose"
            )
        if chains is None or number is None:
            return Facts((), unread)
        wanted = [
            each
            for each in chains.holding(moment)
            if (slot is None or (chains.slot_of(each) or SLOTS[NONE]) == slot)
            and (own is None or (each.statement.own >= OWN) is own)
        ]
        return Facts(tuple(reversed(chains.facts(wanted, self._turns(number)))), unread)

    def profile(
        self, namespace: str, at: datetime | None, budget: int, count: CountTokens, catch_up: int = AT_ONCE
    ) -> Profile:
        """Return a view of what the user has told; see `Memory.profile`."""
        moment, unread = moment_of(at), self._caught_up(catch_up)
        number = self._store.namespace_number(namespace)
        if number is None:
            return Profile((), (), (), unread)
        chains, statements = self._known(number, moment)
        sections = {
            "standing": chains.facts([each.stored for each in standing(statements)], self._turns(number)),
            "who": chains.facts(self._who(number, statements), self._turns(number)),
            "now": chains.facts([each.stored for each in now(statements)], self._turns(number)),
        }
        return Profile(**within(sections, budget, count), unread=unread)

    def summary(
        self,
        namespace: str,
        session: str | None,
        since: datetime | None,
        until: datetime | None,
        period: str | None,
        budget: int,
        count: CountTokens,
    ) -> Summary:
        """Return the chosen sentences of a session or a period; see `Memory.summary`."""
        meant = bounds(since, until, period)
        unread = self._caught_up()
        return self._summarizer.summary(namespace, session, meant, budget, count, unread, self._chains)

    def arcs(self, namespace: str, at: datetime | None, limit: int) -> Arcs:
        """Return the arcs of a namespace; see `Memory.arcs`."""
        moment, unread = moment_of(at), self._caught_up()
        number = self._store.namespace_number(namespace)
        return Arcs(() if number is None else tuple(self._arcs.arcs(number, namespace, moment, limit)), unread)

    def arc(self, id: str, namespace: str, at: datetime | None, limit: int) -> ArcView:
        """Return one arc of a namespace; see `Memory.arc`."""
        moment, unread = moment_of(at), self._caught_up()
        number = self._store.namespace_number(namespace)
        if number is None:
            raise no_arc(id, namespace)
        return self._arcs.view(number, namespace, id, moment, limit, unread)

    def working(
        self,
        namespace: str,
        query: str,
        hits: Sequence[Hit],
        budget: int,
        shares: Mapping[str, float],
        count: CountTokens,
        zone: tzinfo,
        at: datetime | None = None,
        first: WorkingPart | None = None,
    ) -> Working:
        """Return what a model should have before it answers a message; see `Memory.working`.

        zone: that of its days. first: a part that stands before the others, within the budget.
        """
        moment, unread = moment_of(at), self._caught_up()
        number = self._store.namespace_number(namespace)
        parts, left = list[WorkingPart](), budget
        if first is not None:
            parts.append(first)
            left -= first.tokens + 2
        if number is not None:
            chains, statements = self._known(number, moment)
            bearing = bearing_on(self._holding.vector_of(query), standing(statements), chains.partly)
            chosen = {
                STANDING: chains.facts([each.stored for each in bearing], self._turns(number)),
                PROFILE: chains.facts(self._who(number, statements), self._turns(number)),
            }
            for name, facts_of in chosen.items():
                facts = [replace(fact, engram=in_zone(fact.engram, zone)) for fact in facts_of]
                if part := quoted(name, facts, min(left, int(shares[name] * budget)), count):
                    parts.append(part)
                    left -= part.tokens + 2
            room = room_of_arcs(shares, budget, left, hits)
            found = InPlay(self._arcs.lookup(number, namespace, moment))
            if room > 0 and (part := in_play(found, query, room, count, lambda engram: in_zone(engram, zone))):
                parts.append(part)
                left -= part.tokens + 2
        room = left if shares[RECALLED] else 0
        shown = [replace(hit, engram=in_zone(hit.engram, zone)) for hit in not_in(parts, hits)]
        if room > 0 and (part := recalled(shown, query, room, count)):
            parts.append(part)
        return Working(tuple(parts), unread)

    def _caught_up(self, most: int = AT_ONCE) -> int:
        """Read what was not read yet, unless it is over `most` turns. Returns how many turns are unread after that."""
        if self._reflector.pending() <= most:
            self._reflector.reflect()
        return self._reflector.pending()

    def _turns(self, number: int) -> Turns:
        return lambda seqs: self._store.by_seq(number, seqs)

    def _known(self, number: int, moment: int) -> tuple[Chains, list[Known]]:
        """Return the statements of a namespace, and those that hold at a time with what they mean."""
        chains = self._chains(number)
        stored = chains.holding(moment, lasting=False)
        meanings = self._database.meaning_of([each.number for each in stored])
        kept = [each for each in stored if each.number in meanings]
        known = self._holding.known(kept, [meanings[each.number] for each in kept])
        return chains, [as_order(each) if each.stored.number in chains.withdrawing else each for each in known]

    def _who(self, number: int, statements: Sequence[Known]) -> list[Stored]:
        """Return what says who a user is, without what a later statement has ended."""
        shown = who(statements)
        ends = near_ends(shown, statements)
        if ends:
            seqs = sorted({each.statement.seq for each in (*shown, *ends)})
            shown = going_on(shown, ends, self._store.by_seq(number, seqs))
        return [each.stored for each in shown]

    def _chains(self, number: int) -> Chains:
        """Return the statements of a namespace with what closed and what withdrew what."""
        statements = self._database.statements(number)
        return Chains(statements, list(self._withdrawn(number, statements)), self._database.proposals(number))

    def _withdrawn(self, number: int, statements: Sequence[Stored]) -> Iterator[Withdrawal]:
        """Yield the orders and preferences of a namespace that a later statement has withdrawn."""
        later = [each for each in statements if each.statement.effect == WITHDRAWS]
        if not later:
            return
        numbers = {each.number for each in later}
        asked = [each for each in statements if each.number in numbers or may_be_wish(each.statement)]
        meanings = self._database.meaning_of([each.number for each in asked])
        kept = [each for each in asked if each.number in meanings]
        known = self._holding.known(kept, [meanings[each.number] for each in kept])
        turns = self._store.by_seq(number, sorted({each.statement.seq for each in kept}))
        wishes = [wish_of(each, turns[each.statement.seq].text) for each in known if each.statement.seq in turns]
        yield from withdrawals(
            [wish for wish in wishes if likes(wish.text)],
            [wish for wish in wishes if wish.number in numbers],
            self._holding.labels_of,
        )


def moment_of(at: datetime | None) -> int:
    """Return a time as microseconds since 1970 in UTC; None: now."""
    return microseconds(datetime.now(UTC) if at is None else as_utc("at", at))
