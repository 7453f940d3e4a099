"""The reader of arcs: reads the mentions of a namespace from the derived data, and their turns from the store.

Owns which turns an arc is made of. Which names make an arc is `reflection.arc_list`, what is shown of one
`reflection.arc_view`, and what is quoted for a message `reflection.in_play`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from engram.engram import Engram
from engram.errors import NotFound
from engram.reflection import mentions
from engram.reflection.arc_list import POOL, candidates
from engram.reflection.arc_titles import Titles, ends_of
from engram.reflection.arc_view import Around, Shared, quotes_of, shared_by, viewed
from engram.reflection.arcs import Arc, ArcView, Quote
from engram.reflection.chains import Chains
from engram.reflection.database import DerivedDatabase, Statement
from engram.reflection.in_play import Lookup
from engram.reflection.labels import KINDS
from engram.reflection.mentions import Period
from engram.reflection.names import key_of, number_of
from engram.reflection.open_ends import is_done
from engram.reflection.surfaces import id_of, key_of_id, surface_of
from engram.store.base import LoggedStore
from engram.store.policy import expired_before
from engram.text.passages import Span
from engram.times import microseconds

PLAN = KINDS.index("plan")
END_OF_SESSION = 100
"""Turns at the end of a session among which an open question can be."""
MOST_SEARCHED = 1_000
"""Turns with a word that are read for a phrase, or for a task that is done, the last ones."""
FIRST = 20
"""Turns at the beginning of an arc that are read for its id, in case that some were forgotten meanwhile."""
EVER = -(1 << 63)
"""The time before all others."""


class ArcReader:
    """Reads arcs of a store. Safe to use from several threads."""

    def __init__(self, store: LoggedStore, database: DerivedDatabase, chains_of: Callable[[int], Chains]) -> None:
        """chains_of: returns the statements of a namespace, by its number, with what closed and what withdrew what."""
        self._store, self._database, self._chains_of = store, database, chains_of

    def _period(self, name: str, moment: int) -> Period:
        """Return the time up to `moment` whose turns are not expired by the policy of a namespace."""
        expired = expired_before(self._store.policies.of(name))
        return Period(EVER if expired is None else microseconds(expired), moment)

    def lookup(self, namespace: int, name: str, moment: int) -> Lookup:
        """Return where the turns of a namespace up to a time are found; name: of the namespace."""
        period = self._period(name, moment)

        def naming(number: int, limit: int) -> list[tuple[int, int]]:
            with self._database.reading() as db:
                return mentions.turns_with(db, namespace, number, period, limit)

        def last_session(limit: int) -> list[int]:
            with self._database.reading() as db:
                return mentions.last_session(db, namespace, period, limit)

        def turns(seqs: Sequence[int]) -> dict[int, Engram]:
            return self._store.by_seq(namespace, seqs)

        def speakers() -> frozenset[str]:
            return frozenset(key for speaker in self._store.speakers(namespace) for key in key_of(speaker).split())

        return Lookup(naming, last_session, speakers, turns)

    def arcs(self, namespace: int, name: str, moment: int, limit: int) -> list[Arc]:
        """Return the arcs of a namespace up to a time, those of the most sessions first, at most `limit`."""
        with self._database.reading() as db:
            turns = mentions.turn_names(db, namespace, self._period(name, moment))
        found = candidates(turns, max(POOL, 2 * limit))
        return Titles(found, turns, self._store.by_seq(namespace, ends_of(found.chains, turns))).arcs(limit)

    def view(self, namespace: int, name: str, id: str, moment: int, limit: int, unread: int) -> ArcView:
        """Return one arc of a namespace up to a time, from its last `limit` turns; name: of the namespace.

        Raises `NotFound` if no turn is in it.
        """
        shared = shared_by(key_of_id(id))
        period = self._period(name, moment)
        rows = self._rows(namespace, shared, period)
        engrams = self._engrams(namespace, rows[-limit:])
        if not engrams:
            raise no_arc(id, name)
        turns = list(engrams.values())
        first = next(iter(self._engrams(namespace, rows[:FIRST]).values()), turns[0])
        own, shown = (surface_of(engram.text, number_of(shared.key)) or id for engram in (first, turns[-1]))
        arc = Arc(id_of(own), shown, first.at, turns[-1].at, len(rows), len({session for _, session in rows}))
        around = self._around(namespace, name, {seq: engram.id for seq, engram in engrams.items()}, period)
        return viewed(arc, shared, turns, len(rows) - len(rows[-limit:]), around, unread)

    def _rows(self, namespace: int, shared: Shared, period: Period) -> list[tuple[int, int]]:
        """Return the seqs and sessions of the turns of an arc, in the order of time.

        Words that are not written as a name together are found by the one that fewest turns have.
        """
        with self._database.reading() as db:
            rows = mentions.sessions_with(db, namespace, number_of(shared.key), period) if shared.key else []
            if rows or len(shared.phrase) < 2:
                return rows
            found = [mentions.sessions_with(db, namespace, number_of(key), period) for key in shared.phrase]
        rows = min(found, key=len)
        engrams = self._engrams(namespace, rows[-MOST_SEARCHED:])
        held = {seq for seq, engram in engrams.items() if quotes_of(engram, shared)}
        return [(seq, session) for seq, session in rows if seq in held]

    def _engrams(self, namespace: int, rows: Sequence[tuple[int, int]]) -> dict[int, Engram]:
        """Return the turns that are still there, by seq, in the order of `rows`."""
        found = self._store.by_seq(namespace, [seq for seq, _ in rows])
        return {seq: found[seq] for seq, _ in rows if seq in found}

    def _around(self, namespace: int, name: str, ids: Mapping[int, str], period: Period) -> Around:
        chains, moment = self._chains_of(namespace), period.until
        plans = [each.statement for each in chains.holding(moment) if each.statement.kind == PLAN]
        spoken = dict[str, list[Engram]]()

        def answered(engram: Engram) -> bool:
            if engram.session not in spoken:
                seqs = self._store.session_seqs(name, engram.session, END_OF_SESSION)
                spoken[engram.session] = list(self._engrams(namespace, [(seq, 0) for seq in seqs]).values())
            said = [each for each in spoken[engram.session] if microseconds(each.at) <= moment]
            place = next((index for index, each in enumerate(said) if each.id == engram.id), None)
            # A turn that is not among the last ones of its session was followed by many.
            return place is None or any(each.role != engram.role for each in said[place + 1 :])

        def done(task: Quote) -> bool:
            keys = [number_of(key) for key in shared_by(key_of_id(task.text)).phrase]
            with self._database.reading() as db:
                found = [mentions.turns_with(db, namespace, key, period, MOST_SEARCHED) for key in keys]
            later = min(found, key=len, default=[])
            engrams = self._engrams(namespace, [(seq, 0) for at, seq in later if at >= microseconds(task.at)])
            return is_done(task, engrams.values())

        return Around(spans_of(chains.replaced(moment), ids), spans_of(plans, ids), answered, done)


def spans_of(statements: Iterable[Statement], ids: Mapping[int, str]) -> dict[str, list[Span]]:
    """Return where statements stand, by the ids of their turns; only of the turns whose seqs are in `ids`."""
    spans: dict[str, list[Span]] = {}
    for each in statements:
        if each.seq in ids:
            spans.setdefault(ids[each.seq], []).append((each.start, each.stop))
    return spans


def no_arc(id: str, namespace: str) -> NotFound:
    """Return the error for an id that no arc has."""
    return NotFound(f"no arc has the id {id!r} in the namespace {namespace!r}; memory.arcs or engram arcs lists them")
