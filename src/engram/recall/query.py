"""The cue: what a query asks for, read from its words before anything is looked up.

Owns which of the query's words count, and who is asked about. Knows nothing of candidates or scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from engram.engram import ROLES
from engram.recall.dates.parse import Period, periods
from engram.text.analyzer import Analyzer, stem_of

MAX_QUERY_TOKENS = 32
"""Different tokens of a query that are looked up; of a longer one, those that are rarest in plain language."""


SpeakerTokens = Mapping[int, frozenset[int]]
"""Token ids that name speakers, with the speakers' numbers."""

PRONOUNS = (
    (frozenset(map(stem_of, ("i", "my", "me", "mine", "myself", "we", "our"))), ROLES.index("user")),
    (frozenset(map(stem_of, ("you", "your", "yours", "yourself"))), ROLES.index("assistant")),
)


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query as recall uses it: its different tokens in the order of their first place, n of them."""

    ids: tuple[int, ...]
    """Token ids."""
    terms: tuple[str, ...]
    """Their stems."""
    probabilities: npt.NDArray[np.float64]
    """How common each is in plain language: shape (n,)."""
    names: npt.NDArray[np.bool_]
    """Which of them name a speaker of the namespace: shape (n,)."""
    asked: frozenset[int]
    """The speakers so named, by their number."""
    roles: frozenset[int]
    """The roles it asks about: "I" and "my" are the user, "you" is the assistant."""
    asks_when: bool
    """Whether it asks for a time, in so many words."""
    periods: tuple[Period, ...]
    """The times that it means."""


def parse_query(query: str, encoder: Analyzer, speakers: SpeakerTokens, now: datetime) -> ParsedQuery:
    """The cue of `query`, asked at `now`; `speakers` as from `speaker_names`."""
    analysis = encoder.analyse(query)
    first: dict[int, str] = {}
    for id, term in zip(analysis.ids, analysis.terms, strict=True):
        first.setdefault(id, term)
    ids = list(first)
    probabilities = encoder.probabilities(ids)
    if len(ids) > MAX_QUERY_TOKENS:
        kept = np.sort(np.argsort(probabilities, kind="stable")[:MAX_QUERY_TOKENS])
        ids, probabilities = [ids[i] for i in kept], probabilities[kept]
    named = speakers.keys() & ids
    return ParsedQuery(
        ids=tuple(ids),
        terms=tuple(first[i] for i in ids),
        probabilities=probabilities,
        names=np.array([i in named for i in ids], dtype=np.bool_),
        asked=frozenset().union(*(speakers[i] for i in named)),
        roles=frozenset(role for words, role in PRONOUNS if not words.isdisjoint(analysis.terms)),
        asks_when="when" in analysis.terms,
        periods=tuple(periods(query, now)),
    )


def speaker_names(encoder: Analyzer, speakers: Mapping[str, int]) -> SpeakerTokens:
    """Which speakers each token names, `speakers` being the names of a namespace: any word of a name will do."""
    names: dict[int, frozenset[int]] = {}
    for name, number in speakers.items():
        for id in encoder.analyse(name).ids:
            names[id] = names.get(id, frozenset()) | {number}
    return names
