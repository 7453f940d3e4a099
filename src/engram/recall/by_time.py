"""Recall by time alone: what a namespace holds of the times that a query means, the most telling first.

Owns which turns these are, and their scores. Knows no index. How times are read, and whether a query asks for nothing
else, is the business of `engram.text.dates`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engram.recall.candidates import Candidates, Restriction, each_once, of_namespace
from engram.recall.copies import surplus
from engram.recall.features import Features, Floats
from engram.recall.proximity import closeness, occurrences
from engram.recall.query import ParsedQuery
from engram.recall.score import PARTS, Scores
from engram.search.base import MOST_TELLING, Array, Ints, SearchReader, Span, Turns, telling
from engram.text.base import Analyzer
from engram.text.courtesy import ASSENTS, GREETINGS

MOST = 256
"""Turns of a time that are ranked."""
WIDER = 16
"""Factor by which the look-up is widened if a filter admits few of these."""
YEARS = 30
"""Years in which the days of a period without a year are looked for, from the latest back."""
EVERYDAY = 3e-3
"""Share among all words above which a word tells nothing: "is", "you"."""
HALF_TOLD = 2
"""Words that tell something in a turn that tells half as much as any of its kind can."""
LEAST_SURE = 0.2
"""Confidence of a turn of the time that tells nothing."""


def find_by_time(reader: SearchReader, namespace: int, query: ParsedQuery, only: Restriction | None) -> Candidates:
    """Return the turns of a namespace at the times that a query means, and that `only` admits.

    Days of no year ("on 3 March") are those of the latest year that holds any.
    """
    rows = rows_at(reader, namespace, [span for period in query.periods for span in occurrences(period, 1)], only)
    if not len(rows) and any(period.yearly for period in query.periods):
        earlier = [span for period in query.periods for span in occurrences(period, YEARS)]
        rows = latest(reader, rows_at(reader, namespace, earlier, only), earlier)
    turns = of_namespace(reader.take(each_once(rows)), namespace)
    return Candidates(turns, reader.size(namespace), reader.frequencies(namespace, query.terms))


def rows_at(reader: SearchReader, namespace: int, spans: Sequence[Span], only: Restriction | None) -> Ints:
    """Return the rows of the most telling engrams at some times, at most `MOST`."""
    if only is not None and only.complete:
        return only.rows[within(reader.columns(only.rows), spans)]
    rows = reader.rows_between(namespace, spans, MOST)
    if only is None:
        return rows
    if len(rows) == MOST:
        rows = reader.rows_between(namespace, spans, MOST * WIDER)
    return rows[only.admits(reader.columns(rows))][:MOST]


def latest(reader: SearchReader, rows: Ints, spans: Sequence[Span]) -> Ints:
    """Return those of some rows, all at some of `spans`, that are in the same of these as the latest of them."""
    if not len(rows):
        return rows
    columns = reader.columns(rows)
    last = int(columns["at"].max())
    return rows[within(columns, [span for span in spans if span.start <= last < span.end])]


def within(columns: Array, spans: Sequence[Span]) -> Array:
    """Return which columns (dtype ROW) have a time in any of `spans`: shape (n,), bool."""
    inside = np.zeros(len(columns), np.bool_)
    for span in spans:
        inside |= (columns["at"] >= span.start) & (columns["at"] < span.end)
    return inside


def score_by_time(query: ParsedQuery, features: Features, analyzer: Analyzer) -> tuple[Scores, Floats]:
    """Return the scores of at least one turn by how much it tells, and their confidences: shape (n,).

    What an earlier one in the order says already comes after all others.
    """
    turns, n = features.turns, len(features.turns.rows)
    columns = turns.columns
    when = closeness(columns["at"], list(query.periods))
    worth = telling(columns["role"], columns["marks"], content_words(turns, analyzer), HALF_TOLD) / MOST_TELLING
    told = when * (LEAST_SURE + (1 - LEAST_SURE) * worth).astype(np.float32)
    order = np.asarray(n - 1 - (-told[::-1]).argsort(kind="stable"))
    again = surplus(turns, order, most=1)[order]
    order = np.concatenate((order[~again], order[again]))
    parts = {name: np.zeros(n, np.float32) for name in PARTS} | {"time": told}
    sure = np.empty(n, np.float32)
    sure[order] = np.minimum.accumulate(told[order])
    return Scores(told, parts, order, np.zeros((len(query.ids), n + 1), np.float32), when), sure


def content_words(turns: Turns, analyzer: Analyzer) -> Ints:
    """Return how many different words each turn holds, without everyday words and those of courtesy: shape (n,)."""
    turn_of = np.repeat(np.arange(len(turns.rows)), turns.lengths)
    different = np.unique(turn_of.astype(np.int64) << 32 | turns.tokens.astype(np.int64))
    ids, index_of = np.unique(different & 0xFFFFFFFF, return_inverse=True)
    tells = (analyzer.probabilities(ids.tolist()) < EVERYDAY) & ~np.isin(ids, courtesy_ids(analyzer))
    return np.bincount(different[tells[index_of]] >> 32, minlength=len(turns.rows))


def courtesy_ids(analyzer: Analyzer) -> Ints:
    """Return the token ids of words that only greet, thank or agree, in any order: shape (m,)."""
    return np.array(analyzer.analyse(" ".join(GREETINGS | ASSENTS)).ids, np.int64)
