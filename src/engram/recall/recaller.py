"""Recaller: from the text of a query to hits, over a store and its index.

Owns the order of the steps, the repetition if the index turns out to be damaged, and the cache of speakers' names.
Knows the contracts of store, search and analyzer only; the ranking is `recall.rank`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np

from engram.engram import Engram
from engram.meaning.base import Encoder, worth_of
from engram.recall.candidates import DEFAULT_LIMITS, NONE
from engram.recall.message import Part, parts_to_look_up
from engram.recall.query import SpeakerTokens, parse_query, speaker_names
from engram.recall.rank import Ranking, rank, restriction, why_not_first
from engram.recall.result import Explanation, Hit, Recall
from engram.recall.score import FLOOR
from engram.recall.spelling import spelled
from engram.search.base import IndexDamaged, Ints, Search, SearchReader
from engram.store.base import Filter, LoggedStore
from engram.store.policy import expired_before
from engram.text.base import Analyzer
from engram.times import microseconds

SESSION_MOST = 5_000
"""Turns of a session, the latest ones, that are candidates when recall is limited to the session."""

NAMESPACES_CACHED = 10_000
"""Namespaces whose speakers' names are cached."""


FIRST = 10
"""Hits whose order a `Holding` is asked for, however few are wanted."""


STRENGTH = "strength"
"""The part of a hit's value that it has for being used often."""


class Holding(Protocol):
    """What knows which of several turns says what holds. Safe to call from several threads."""

    def catch_up(self) -> None:
        """Read a few turns that were remembered lately. Called once for a recall, before `ordered`."""
        ...

    def ordered(self, part: Part, namespace: int, hits: Sequence[Hit], admits: Callable[[Engram], bool]) -> list[Hit]:
        """Return the hits for a part of a message with what holds before what held. namespace: its number.

        What closed a hit may come in although it was none. admits: whether an engram may be a hit.
        """
        ...


class Strength(Protocol):
    """What knows how often engrams were used. Safe to call from several threads."""

    def ordered(self, hits: Sequence[Hit]) -> list[Hit]:
        """Return hits, best first, with what is used often before what is hardly better; `why` shows it."""
        ...


class Recaller:
    """Recalls from one store. Safe to use from several threads."""

    def __init__(self, store: LoggedStore, search: Search, analyzer: Analyzer, encoder: Encoder | None = None) -> None:
        """`encoder`: the one whose vectors the index holds; None for an index without vectors."""
        self._store = store
        self._search = search
        self._analyzer = analyzer
        self._encoder = encoder
        self._worth = worth_of(encoder)
        self._speakers = SpeakerCache(analyzer)

    def recall(
        self,
        query: str,
        namespace: str,
        where: Filter,
        limit: int,
        now: datetime,
        floor: float = FLOOR,
        holding: Holding | None = None,
        strength: Strength | None = None,
    ) -> Recall:
        """Return the engrams of `namespace`, which is that of `where`, that answer a query: at most `limit`.

        None if the best one's score is under `floor`, 0 to 1. strength, then holding: order the first hits, unless a
        time is asked for that does not hold `now`, as "this year" does. What holds has the last word.
        """
        reader, rankings = self._rank(query, namespace, where, limit, now)
        wanted = limit if holding is None and strength is None else max(limit, FIRST)
        of_now = [all(period.start <= now < period.end for period in ranking.query.periods) for _, ranking in rankings]
        if holding is not None and any(of_now):
            holding.catch_up()
        found = []
        for (part, ranking), is_of_now in zip(rankings, of_now, strict=True):
            hits = list(self._hits(ranking, ranking.order(where, floor), where, wanted))
            if strength is not None and is_of_now:
                hits = strength.ordered(hits)
            if holding is not None and is_of_now:
                hits = holding.ordered(part, ranking.namespace, hits, where.admits)
            found.append(hits)
        return Recall(query, namespace, merged(found, limit), reader.unsearched)

    def explain(self, query: str, engram: Engram, now: datetime, strength: Strength | None = None) -> Explanation:
        """Explain the position of an engram for a query; of a message with several parts, for the surest part."""
        where = Filter(engram.namespace)
        key = self._store.keys([engram.id]).get(engram.id)
        rankings = [ranking for _, ranking in self._rank(query, engram.namespace, where, 100, now)[1]]
        if not rankings or key is None:
            reason = "nothing in the namespace holds a word of the query, a word near one, or a time that it asks for"
            return Explanation(query, engram, None, 0, 0.0, {}, None, {}, reason)
        ranking = max(rankings, key=lambda ranking: float(ranking.confidence.max()))
        order = ranking.order(where, 0.0)
        hits = list(self._hits(ranking, order, where, FIRST))
        if strength is not None and not ranking.query.periods:
            hits = strength.ordered(hits)
        explanation = ranking.explanation(query, engram, key.seq, order, hits[0] if hits else None)
        return explained(explanation, hits, key.seq)

    def _rank(
        self, query: str, namespace: str, where: Filter, limit: int, now: datetime
    ) -> tuple[SearchReader, list[tuple[Part, Ranking]]]:
        """Return a new reader and its ranking of each part of a query; none if there is nothing to score.

        An expired engram is neither ranked nor counts as a neighbour.
        """
        parts = parts_to_look_up(query, self._encoder)
        bound = expired_before(self._store.policies.of(namespace))
        if bound is not None:
            # Look-ups are then wide enough to find others than expired engrams.
            where = replace(where, after=bound if where.after is None else max(bound, where.after))
        for attempt in (1, 2):
            reader = self._search.reader()
            if bound is not None:
                reader = reader.since(microseconds(bound))
            number = self._store.namespace_number(namespace)
            if number is None:
                return reader, []
            try:
                return reader, self._rank_with(reader, number, parts, where, limit, now)
            except IndexDamaged as error:
                if attempt == 2:
                    raise
                self._search.damaged(reader, error)
        raise AssertionError("unreachable")

    def _rank_with(
        self, reader: SearchReader, number: int, parts: Sequence[Part], where: Filter, limit: int, now: datetime
    ) -> list[tuple[Part, Ranking]]:
        speakers = self._speakers.tokens(number, reader.version, lambda: self._store.speakers(number))
        parsed = [
            parse_query(part.text, self._analyzer, speakers, now, part.vector, part.asks, part.replies, self._worth)
            for part in parts
        ]
        found = [
            (part, spelled(reader, number, query, self._analyzer, speakers))
            for part, query in zip(parts, parsed, strict=True)
            if query.ids
        ]
        seqs: list[int] = []
        if where.namespace is not None and where.session is not None:
            seqs = self._store.session_seqs(where.namespace, where.session, SESSION_MOST)
        rows = reader.rows_of(number, np.array(seqs, dtype=np.int64)) if seqs else NONE
        only = restriction(reader, where, rows, whole=len(seqs) < SESSION_MOST)
        limits = DEFAULT_LIMITS.times(max(1, limit // DEFAULT_LIMITS.exact))
        ranked = [(part, rank(reader, number, query, self._analyzer, limits, only)) for part, query in found]
        return [(part, ranking) for part, ranking in ranked if ranking is not None]

    def _hits(self, ranking: Ranking, order: Ints, where: Filter, limit: int) -> Iterator[Hit]:
        """Yield the first `limit` of a ranking that are still in the store and that the filter admits."""
        left = limit
        for start in range(0, len(order), limit):
            part = order[start : start + limit]
            seqs = ranking.seqs[part].tolist()
            engrams = self._store.by_seq(ranking.namespace, seqs)
            found = [(index, engrams[seq]) for index, seq in zip(part.tolist(), seqs, strict=True) if seq in engrams]
            told = ((i, engram) for i, engram in found if where.admits(engram) and self._tells(ranking, engram))
            chosen = list(islice(told, left))
            yield from ranking.hits([index for index, _ in chosen], [engram for _, engram in chosen])
            left -= len(chosen)
            if not left:
                return

    def _tells(self, ranking: Ranking, engram: Engram) -> bool:
        """Whether an engram may be a hit: one that is not from the time that alone is asked for must name it."""
        periods = ranking.query.periods
        return not ranking.elsewhere or self._analyzer.tells_of(engram.text, engram.at, periods)


def explained(explanation: Explanation, hits: Sequence[Hit], seq: int) -> Explanation:
    """Return an explanation for the engram with this seq by its place among the first hits, if strength orders them."""
    if not any(STRENGTH in hit.why for hit in hits):
        return explanation
    for place, hit in enumerate(hits, start=1):
        if hit.seq == seq:
            reason = why_not_first(place, hit, hits[0], dict(explanation.words))
            return replace(explanation, place=place, why=hit.why, reason=reason)
    return explanation


def merged(found: Sequence[Sequence[Hit]], limit: int) -> tuple[Hit, ...]:
    """Return the hits of several rankings as one, the surest first; of an engram the surest hit. At most `limit`."""
    if len(found) == 1:
        return tuple(found[0][:limit])
    hits: dict[str, Hit] = {}
    for hit in sorted((hit for part in found for hit in part), key=lambda hit: hit.score, reverse=True):
        hits.setdefault(hit.engram.id, hit)
    return tuple(islice(hits.values(), limit))


class _Speakers(NamedTuple):
    """The speakers of a namespace, as a reader of `version` covers them."""

    version: int
    speakers: Mapping[str, int]
    tokens: SpeakerTokens


class SpeakerCache:
    """The tokens that name speakers, by namespace. Safe to use from several threads."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        self._cached: dict[int, _Speakers] = {}

    def tokens(self, namespace: int, version: int, read: Callable[[], Mapping[str, int]]) -> SpeakerTokens:
        """Return the tokens that name speakers. `read` gives the speakers; it is called if `version` is new."""
        cached = self._cached.get(namespace)
        if cached is not None and cached.version == version:
            return cached.tokens
        speakers = read()
        same = cached is not None and cached.speakers == speakers
        tokens = cached.tokens if cached is not None and same else speaker_names(self._analyzer, speakers)
        if len(self._cached) >= NAMESPACES_CACHED:
            self._cached = {}
        self._cached[namespace] = _Speakers(version, speakers, tokens)
        return tokens
