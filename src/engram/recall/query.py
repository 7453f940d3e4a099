"""Parsed query: what a query asks for, read from its words before anything is looked up.

Owns which of the query's words count, and whom the query asks about. Knows no candidates and no scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from engram.engram import ROLES
from engram.meaning.asking import leaning
from engram.meaning.base import Encoder
from engram.text.base import Analyzer
from engram.text.dates.period import Period

MAX_QUERY_TOKENS = 32
"""Distinct tokens of a query that are used; of a longer query, those that are rarest in plain language."""

SpeakerTokens = Mapping[int, frozenset[int]]
"""Token ids that name speakers, each with the numbers of these speakers."""

PRONOUNS = (
    (frozenset(("i", "my", "me", "mine", "myself", "we", "our")), ROLES.index("user")),
    (frozenset(("you", "your", "yourself")), ROLES.index("assistant")),
)
"""Terms that ask about a role, with the role's index. They are stems: "yours" has the stem "your"."""


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
    periods: tuple[Period, ...]
    """The times that the query means."""
    vector: npt.NDArray[np.float32] | None = None
    """What the query means, of length 1: shape (dimensions,). None without an encoder."""
    asks: float = 0.0
    """Log odds that the query calls for what a memory could hold; 0 if that is not known."""
    time_alone: bool = False
    """Whether it asks for these times and for nothing else: "What did we do last Tuesday?"."""


def parse_query(
    query: str, analyzer: Analyzer, speakers: SpeakerTokens, now: datetime, encoder: Encoder | None = None
) -> ParsedQuery:
    """Parse `query`, asked at `now`; `speakers` as `speaker_names` returns it. Never raises for any text."""
    vectors = None if encoder is None else encoder.encode([query])
    analysis = analyzer.analyse(query)
    term_of: dict[int, str] = {}
    for id, term in zip(analysis.ids, analysis.terms, strict=True):
        term_of.setdefault(id, term)
    ids = list(term_of)
    probabilities = analyzer.probabilities(ids, [term_of[id] for id in ids])
    if len(ids) > MAX_QUERY_TOKENS:
        rarest = np.sort(np.argsort(probabilities, kind="stable")[:MAX_QUERY_TOKENS])
        ids, probabilities = [ids[i] for i in rarest], probabilities[rarest]
    named = speakers.keys() & ids
    periods = tuple(analyzer.periods(query, now))
    return ParsedQuery(
        ids=tuple(ids),
        terms=tuple(term_of[i] for i in ids),
        probabilities=probabilities,
        names=np.array([i in named for i in ids], dtype=np.bool_),
        speakers=frozenset().union(*(speakers[i] for i in named)),
        roles=frozenset(role for stems, role in PRONOUNS if not stems.isdisjoint(analysis.terms)),
        asks_when="when" in analysis.terms,
        periods=periods,
        time_alone=not named and analyzer.asks_time_alone(query, periods, now),
        vector=None if vectors is None else vectors[0],
        asks=0.0 if encoder is None or vectors is None else float(leaning(vectors, encoder.fingerprint)[0]),
    )


def speaker_names(analyzer: Analyzer, speakers: Mapping[str, int]) -> SpeakerTokens:
    """Return which speakers each token names. `speakers`: names with numbers; any word of a name names its speaker."""
    names: dict[int, list[int]] = {}
    for name, number in speakers.items():
        for id in analyzer.analyse(name).ids:
            names.setdefault(id, []).append(number)
    return {id: frozenset(numbers) for id, numbers in names.items()}
