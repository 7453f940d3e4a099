"""Choosing: which of some sentences say together what all of them say, within a budget of tokens.

Owns the measure and the search. What a choice is worth is a sum of what it covers: the meaning of all sentences, their
telling words (names, numbers, rare words), the worth of the chosen ones, and how many groups (turns, sessions, months)
they are from. Each sentence is worth less the more of it is covered, so no two say the same. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from engram.meaning.base import Vectors
from engram.meaning.network import Floats
from engram.reflection.values import Values, differ
from engram.text.analyzer import stem_of
from engram.text.base import UNKNOWN_PROBABILITY
from engram.text.common import share_of
from engram.text.tokenizer import words

MOST = 800
"""Candidates of one choice; of more, those that are worth most."""
ALIKE = 0.85
"""Cosine from which two sentences say the same, unless they state different numbers of one type."""
UNLIKE = 0.2
"""Cosine up to which a sentence covers nothing of another."""
COMMON = 1e-3
"""Share among all words of a language from which a word tells nothing."""
MEANING, WORDS, WORTH, SPREAD = 1.0, 1.0, 1.0, 0.5
"""Weights of what a choice covers: each is 1 at most."""
PRICE = 0.65
"""Power of a sentence's tokens by which its gain is divided: 1 prefers short sentences, 0 long ones."""

Flags = npt.NDArray[np.bool_]


class Candidate(NamedTuple):
    """A sentence that may be chosen."""

    vector: Vectors
    """Shape (dimensions,). The product of two is their cosine."""
    worth: float
    """How much it tells that lasts, over 0."""
    terms: frozenset[str]
    """Its telling words, as `telling_terms` returns them."""
    values: Values
    """The numbers that it states."""
    tokens: int
    """What its line takes of the budget."""
    day: str
    """The line above it, which sentences of one day share."""
    day_tokens: int
    """What that line takes."""
    group: Hashable
    """What it is a part of: a turn, a session or a month."""


Chosen = TypeVar("Chosen", bound="Candidate")


def telling_terms(sentence: str) -> frozenset[str]:
    """Return the stems of a sentence that are not among the common words of its language."""
    return frozenset(stem for word in words(sentence) if telling(stem := _stem(word)) > 0)


@lru_cache(50_000)
def _stem(word: str) -> str:
    return stem_of(word)


def telling(term: str) -> float:
    """Return how much a stem tells: 0 for a common word, 1 for one that is in no table."""
    share = max(share_of(term), UNKNOWN_PROBABILITY)
    return max(0.0, math.log(COMMON / share) / math.log(COMMON / UNKNOWN_PROBABILITY))


def chosen(candidates: Sequence[Candidate], budget: int) -> list[int]:
    """Return which candidates to take within `budget` tokens: their indices, in the order in which they were taken.

    Greedy by gain for the price. Takes O(k n (n + t)) time for k chosen of n candidates with t different terms; n is
    at most `MOST`.
    """
    kept = sorted(range(len(candidates)), key=lambda index: -candidates[index].worth)[:MOST]
    kept.sort()
    if not kept:
        return []
    return [kept[index] for index in _Search([candidates[index] for index in kept]).run(budget)]


class _Search:
    """The search among n candidates with t different terms."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        vectors = np.array([each.vector for each in candidates], np.float32)
        self._cosines = vectors @ vectors.T
        self._near = np.clip((self._cosines - UNLIKE) / (1 - UNLIKE), 0, 1)
        np.fill_diagonal(self._near, 1)
        worth = np.array([each.worth for each in candidates], np.float32)
        self._worth = worth / max(float(worth.sum()), 1e-9)
        """Shares of all that the candidates are worth: shape (n,)."""
        self._has, self._weights = term_matrix(candidates)
        self._tokens = np.array([max(1, each.tokens) for each in candidates])
        self._days = np.array([each.day for each in candidates])
        self._of_days = np.array([each.day_tokens for each in candidates])
        """What the line of its day would take of the budget, for each: shape (n,)."""
        groups = {group: number for number, group in enumerate(dict.fromkeys(each.group for each in candidates))}
        self._group = np.array([groups[each.group] for each in candidates])
        self._of_groups = np.zeros(len(groups), np.float32)
        """What was taken of each group, as a share of all: shape (groups,)."""
        self._covered = np.zeros(len(candidates), np.float32)
        """How much of each sentence is covered by those that were taken, 0 to 1: shape (n,)."""
        self._open: Flags = np.ones(len(candidates), np.bool_)

    def run(self, budget: int) -> list[int]:
        """Return the indices of what is taken, in that order."""
        taken: list[int] = []
        while True:
            tokens = self._tokens + self._of_days
            possible = self._open & (tokens <= budget)
            if not possible.any():
                return taken
            best = int(np.where(possible, self._gains() / tokens**PRICE, -1).argmax())
            taken.append(best)
            budget -= int(tokens[best])
            self._take(best)

    def _gains(self) -> Floats:
        """Return what each candidate would add: shape (n,)."""
        more = np.maximum(self._near - self._covered, 0) @ self._worth
        after = self._of_groups[self._group] + self._worth
        spread = (np.sqrt(after) - np.sqrt(self._of_groups[self._group])) / math.sqrt(len(self._of_groups))
        gains = MEANING * more + WORDS * (self._has @ self._weights) + WORTH * self._worth + SPREAD * spread
        return np.asarray(gains, np.float32)

    def _take(self, index: int) -> None:
        self._covered = np.maximum(self._covered, self._near[index])
        self._of_groups[self._group[index]] += self._worth[index]
        self._weights = np.where(self._has[index] > 0, np.float32(0), self._weights)
        self._open[index] = False
        self._of_days[self._days == self._days[index]] = 0
        own = self._candidates[index].values
        for other in np.flatnonzero(self._open & (self._cosines[index] >= ALIKE)).tolist():
            self._open[other] = differ(own, self._candidates[other].values)


def term_matrix(candidates: Sequence[Candidate]) -> tuple[Floats, Floats]:
    """Return which terms n candidates have, 1 or 0, and what each term weighs: shapes (n, t) and (t,).

    The weights have the sum 1. A term of several candidates weighs more than one of a single one.
    """
    counts: dict[str, int] = {}
    for each in candidates:
        for term in each.terms:
            counts[term] = counts.get(term, 0) + 1
    numbers = {term: number for number, term in enumerate(sorted(counts))}
    has = np.zeros((len(candidates), len(numbers)), np.float32)
    for row, each in enumerate(candidates):
        has[row, [numbers[term] for term in each.terms]] = 1
    weights = np.array([telling(term) * math.sqrt(counts[term]) for term in numbers], np.float32)
    return has, weights / max(float(weights.sum()), 1e-9)
