"""Copies: turns that say the same words in the same role, such as a question that was asked many times.

Owns how copies are recognised, and how many of them may take places from other turns. Knows no score and no query.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engram.recall.features import Features
from engram.recall.query import ParsedQuery
from engram.search.base import Array, Ints, SearchReader, Turns
from engram.text.base import QUESTION, Analyzer

MOST, MOST_ASKED = 3, 1
"""Copies of a text, and of a question, that may take places from other turns: a diary repeats itself, too."""


QUESTION_WORDS = frozenset(("what", "who", "whom", "whose", "which", "where", "when", "how", "whi"))
"""Stems of the English words that ask."""

EVERYDAY, NOVEL = 3e-3, 1e-5
"""Shares of all words: above the one a word such as "is" need not be the same in two questions, and below the other a
word says something: "I forgot what my dog is called" holds no such word that "What is my dog called?" lacks."""


def asked_last(order: Ints, query: ParsedQuery, features: Features, analyzer: Analyzer) -> Ints:
    """Return `order`, best first, with the turns at its end that only ask again what the query asks, in other words."""
    asking = [i for i, term in enumerate(query.terms) if term in QUESTION_WORDS]
    if not asking:
        return order
    held, turns = features.in_turns(features.counts) > 0, features.turns
    same = np.asarray(held[asking].any(axis=0) & held[query.probabilities < EVERYDAY].all(axis=0))
    if not same.any():
        return order
    ends, known = turns.lengths.cumsum(), frozenset(query.all_ids)
    for index in np.flatnonzero(same).tolist():
        tokens = turns.tokens[ends[index] - turns.lengths[index] : ends[index]].tolist()
        more = [id for id in tokens if id not in known]
        same[index] = not more or bool(analyzer.probabilities(more).min() >= NOVEL)
    again = same[order]
    return np.concatenate((order[~again], order[again]))


def may_hold_copies(columns: Array) -> bool:
    """Return whether most of some turns (dtype ROW) look like copies: `few_copies` then finds those that are."""
    alike = np.sort(np.ascontiguousarray(columns["centroid"][:, :8]).view(np.int64)[:, 0])
    return 2 * int(np.count_nonzero(alike[1:] == alike[:-1])) >= len(columns)


def few_copies(reader: SearchReader, rows: Ints) -> Ints:
    """Return `rows`, in their order, without those copies of a text that are too many; the latest stay."""
    turns = reader.take(np.sort(rows))
    latest_first = np.arange(len(turns.rows))[::-1]
    return np.asarray(rows[np.isin(rows, turns.rows[~surplus(turns, latest_first)])])


def copies_last(order: Ints, features: Features, parts: Mapping[str, Array]) -> Ints:
    """Return `order`, indices of turns with the best first, with the surplus copies of a text at its end.

    parts: of the scores, shape (n,) each. A turn that owes its place to the turn before it, such as "yes", is a copy
    only if that one is too.
    """
    turns, previous = features.turns, features.around[0]
    words, before = parts["words"], parts["previous"]
    by_context = before > words + parts["meaning"]
    # Copies match the query equally well; this is quicker to see than that their words are the same.
    likeness = (
        words + np.float32(0.37) * features.centroid_similarity + np.float32(7.1) * np.where(by_context, before, 0)
    )
    values = likeness.take(order)
    ordered = np.sort(values)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated) or not repeated[-1]:
        return order
    suspects = order[np.isin(values, repeated[repeated > 0])]
    last = surplus(turns, suspects, np.where(by_context, previous, -1))[order]
    return np.concatenate((order[~last], order[last]))


def surplus(turns: Turns, order: Ints, previous: Ints | None = None, most: int = MOST) -> Array:
    """Return which turns have enough copies before them in `order`, which holds indices: shape (n,), bool.

    previous: index of the turn before each that must be the same too, -1 for none, shape (n,). most: enough copies.
    """
    # Lists: reading single entries of arrays takes several times as long.
    columns, tokens = turns.columns, turns.tokens.tobytes()
    ends = turns.tokens.itemsize * turns.lengths.cumsum()
    starts = (ends - turns.tokens.itemsize * turns.lengths).tolist()
    turn = list(zip(columns["role"].tolist(), columns["speaker"].tolist(), starts, ends.tolist(), strict=True))
    enough = np.where(columns["marks"] & QUESTION, MOST_ASKED, most).tolist()
    before = [-1] * len(turn) if previous is None else previous.tolist()

    def said(index: int) -> tuple[int, int, bytes]:
        role, speaker, start, end = turn[index]
        return role, speaker, tokens[start:end]

    found, seen = np.zeros(len(turn), np.bool_), dict[tuple[object, ...], int]()
    for index in order.tolist():
        other = before[index]
        key = said(index) if other < 0 else (said(index), said(other))
        count = seen[key] = seen.get(key, 0) + 1
        found[index] = count > enough[index]
    return found
