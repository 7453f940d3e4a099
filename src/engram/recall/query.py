"""Parsed query: what a query asks for, read from its words before anything is looked up.

Owns which of the query's words count, and whom the query asks about. Knows no candidates and no scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram.engram import ROLES
from engram.meaning.base import Vectors
from engram.search.base import Array, Ints
from engram.text.base import ASKS, UNKNOWN_PROBABILITY, Analysis, Analyzer
from engram.text.dates.period import DAY, Period

IN_PARTS = 0.15
"""What all parts of a code count, as a share of the code in one word: the parts may belong to other codes."""

MAX_QUERY_TOKENS = 32
"""Distinct tokens of a query that are used; of a longer query, those that are rarest in plain language."""

SpeakerTokens = Mapping[int, frozenset[int]]
"""Token ids that name speakers, each with the numbers of these speakers."""

LONGEST = 100_000
"""Characters of a query that are read. A message is looked up by its parts, which are shorter."""

PRONOUNS = (
    (frozenset(("i", "my", "me", "mine", "myself", "we", "our")), ROLES.index("user")),
    (frozenset(("you", "your", "yourself")), ROLES.index("assistant")),
)
"""Terms that ask about a role, with the role's index. They are stems: "yours" has the stem "your"."""


class Rule(NamedTuple):
    """A turn that holds all of some tokens holds another one: a code in one word, or the parts of it."""

    token: int
    """Index of the token of the query."""
    held: tuple[int, ...]
    """Indices of the others, in the query's tokens and those of `ParsedQuery.others` behind them."""


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query of q distinct tokens, in the order of their first occurrence."""

    ids: tuple[int, ...]
    """Token ids."""
    terms: tuple[str, ...]
    """Their stems."""
    probabilities: npt.NDArray[np.float64]
    """How common each is in plain language, as a share of all words: shape (q,)."""
    names: npt.NDArray[np.bool_]
    """Which of them name a speaker of the namespace: shape (q,)."""
    speakers: frozenset[int]
    """Numbers of the speakers that the query names."""
    roles: frozenset[int]
    """Indices of the roles that the query asks about: "my" means the user, "you" the assistant."""
    asks_when: bool
    """Whether the query contains the word "when"."""
    is_question: bool
    """Whether it has the form of a question."""
    periods: tuple[Period, ...]
    """The times that the query means."""
    others: tuple[tuple[int, str], ...] = ()
    """Ids and terms of further tokens, which `rules` name and which count nothing by themselves."""
    rules: tuple[Rule, ...] = ()
    vector: Vectors | None = None
    """What the query means, of length 1: shape (dimensions,). None without an encoder."""
    worth: float = 1.0
    """How much a cosine of `vector` counts, compared with one of the default encoder."""
    asks: float = math.inf
    """Log odds that the query calls for what a memory could hold; infinite if that is not known."""
    replies: float | None = None
    """Log odds that the query asks for what the assistant said; None if that is not known."""
    days: tuple[tuple[int, ...], ...] = ()
    """For each day that it names in numbers, the indices of the tokens that name it."""
    time_alone: bool = False
    """Whether it asks for these times and for nothing else: "What did we do last Tuesday?"."""

    @property
    def all_ids(self) -> tuple[int, ...]:
        """Ids of the tokens, and of the others behind them."""
        return (*self.ids, *(id for id, _ in self.others))

    @property
    def all_terms(self) -> tuple[str, ...]:
        """Terms of the tokens, and of the others behind them."""
        return (*self.terms, *(term for _, term in self.others))

    def by_rules(self, held: Array) -> Array:
        """Return how far turns hold each token, of how far they hold each one of `all_ids`: shape (q, n)."""
        tokens = held[: len(self.ids)]
        if self.rules:
            tokens = tokens.copy()
            for rule in self.rules:
                found = held[list(rule.held)].min(axis=0)
                if len(rule.held) > 1:
                    # Of parts, words that are only near say nothing.
                    found = np.asarray(IN_PARTS * found, held.dtype) if held.dtype != np.uint8 else 0 * found
                np.maximum(tokens[rule.token], found, out=tokens[rule.token])
        return tokens

    def frequencies(self, counts: Ints) -> Ints:
        """Return how many engrams hold each token, of the number that holds each one of `all_ids`: shape (q,).

        A code may be held by its parts in fewer engrams than hold each part: then the number in one word counts.
        """
        tokens = counts[: len(self.ids)].copy()
        for rule in self.rules:
            if len(rule.held) == 1:
                tokens[rule.token] = max(tokens[rule.token], counts[rule.held[0]])
        return tokens


def parse_query(
    query: str,
    analyzer: Analyzer,
    speakers: SpeakerTokens,
    now: datetime,
    vector: Vectors | None = None,
    asks: float = math.inf,
    replies: float | None = None,
    worth: float = 1.0,
) -> ParsedQuery:
    """Parse `query`, asked at `now`. Never raises for any text.

    speakers: as `speaker_names` returns it. vector, asks, replies, worth: as in `ParsedQuery`.
    """
    analysis = analyzer.analyse(query[:LONGEST])
    place_of = places(analysis)
    term_of = {analysis.ids[place]: analysis.terms[place] for place in place_of}
    ids = list(term_of)
    probabilities = analyzer.probabilities(ids, [term_of[id] for id in ids])
    if len(ids) > MAX_QUERY_TOKENS:
        rarest = np.sort(np.argsort(probabilities, kind="stable")[:MAX_QUERY_TOKENS])
        ids, probabilities = [ids[i] for i in rarest], probabilities[rarest]
    named = speakers.keys() & ids
    periods = analyzer.periods(query, now)
    alone = not named and analyzer.asks_time_alone(query, periods, now)
    periods = narrowest(periods)
    knows_a_word = bool(len(ids)) and bool(probabilities.max() > UNKNOWN_PROBABILITY)
    others, rules = rules_of(analysis, ids, place_of)
    return ParsedQuery(
        ids=tuple(ids),
        terms=tuple(term_of[i] for i in ids),
        probabilities=probabilities,
        names=np.array([i in named for i in ids], dtype=np.bool_),
        speakers=frozenset().union(*(speakers[i] for i in named)),
        roles=frozenset(role for stems, role in PRONOUNS if not stems.isdisjoint(analysis.terms)),
        asks_when="when" in analysis.terms,
        is_question=bool(analysis.marks & ASKS),
        periods=tuple(periods),
        days=tuple(filter(None, (tokens_of_day(period, ids, analyzer) for period in periods))),
        time_alone=alone,
        # Of a code, or of a language without a word that is known here, the vector says nothing.
        vector=vector if knows_a_word else None,
        worth=worth,
        asks=asks if knows_a_word else math.inf,
        replies=replies,
        others=others,
        rules=rules,
    )


def narrowest(periods: Sequence[Period]) -> list[Period]:
    """Return those of some periods that no shorter one is a part of: "24 December" of "24 December last year"."""
    result, wider = list[Period](), set[Period]()
    for period in periods:
        around = {each for each in periods if within(period, each)}
        wider |= around
        result.append(replace(period, yearly=False) if around else period)
    return [period for period in result if period not in wider]


def within(period: Period, wider: Period) -> bool:
    """Return whether a period is a part of a longer one."""
    longer = wider.end - wider.start > period.end - period.start
    return longer and wider.start <= period.start and period.end <= wider.end


def places(analysis: Analysis) -> list[int]:
    """Return for each word of an analysed text its place in the terms; for a part of a code, the place of the code."""
    count = len(analysis.ids) - len(analysis.forms)
    place_of = list(range(count))
    for place, (first, last, is_code) in enumerate(analysis.forms, count):
        if is_code:
            place_of[first:last] = [place] * (last - first)
    return place_of


def rules_of(
    analysis: Analysis, ids: Sequence[int], place_of: Sequence[int]
) -> tuple[tuple[tuple[int, str], ...], tuple[Rule, ...]]:
    """Return `ParsedQuery.others` and the rules of an analysed query whose tokens are `ids`; place_of: `places`."""
    row_of = {id: row for row, id in enumerate(ids)}
    others: dict[int, str] = {}
    rules = dict[Rule, None]()

    def row(place: int) -> int:
        id = analysis.ids[place]
        if id not in row_of:
            others[id], row_of[id] = analysis.terms[place], len(row_of)
        return row_of[id]

    for place, (first, last, is_code) in enumerate(analysis.forms, len(place_of)):
        tokens = {row_of.get(analysis.ids[whole], len(ids)) for whole in place_of[first:last]}
        # Of a long query, most words are not among its tokens.
        if min(tokens, default=len(ids)) >= len(ids):
            continue
        held = tuple(map(row, range(first, last))) if is_code else (row(place),)
        rules |= dict.fromkeys(Rule(token, held) for token in sorted(tokens) if token < len(ids) and held != (token,))
    return tuple(others.items()), tuple(rules)


def tokens_of_day(period: Period, ids: Sequence[int], analyzer: Analyzer) -> tuple[int, ...]:
    """Return the indices of the tokens that name a day, such as those of "12 April"; none for other times."""
    if period.end - period.start > DAY or not any(map(str.isdigit, period.text)):
        return ()
    found = tuple(ids.index(id) for id in dict.fromkeys(analyzer.analyse(period.text).ids) if id in ids)
    return found if len(found) > 1 else ()


def speaker_names(analyzer: Analyzer, speakers: Mapping[str, int]) -> SpeakerTokens:
    """Return which speakers each token names. `speakers`: names with numbers; any word of a name names its speaker."""
    names: dict[int, list[int]] = {}
    for name, number in speakers.items():
        analysis = analyzer.analyse(name)
        for id in {analysis.ids[place] for place in places(analysis)}:
            names.setdefault(id, []).append(number)
    return {id: frozenset(numbers) for id, numbers in names.items()}
