"""Recall by time alone: what a namespace holds of the times that a query means, the most telling first.

Owns which turns these are, and their scores. Knows no index. How times are read, and whether a query asks for nothing
else, is the analyzer's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from engram.recall.candidates import NONE, Candidates, Restriction, each_once, of_namespace
from engram.recall.copies import surplus
from engram.recall.features import Features, Floats
from engram.recall.proximity import closeness, occurrences
from engram.recall.query import ParsedQuery
from engram.recall.score import PARTS, Scores
from engram.search.base import MOST_TELLING, Ints, SearchReader, Span, Timed
from engram.text.base import TIME, Analyzer
from engram.text.dates.period import DAY, Period
from engram.times import MICROSECOND, microseconds

MOST = 256
"""Turns of a time that are ranked."""
WIDER = 16
"""Factor by which the look-up is widened if a filter admits few of these."""
YEARS = 30
"""Years in which the days of a date without a year are looked for, from the latest back."""
DAY_LONG, REPORTED = DAY // MICROSECOND, timedelta(hours=6) // MICROSECOND
"""Microseconds of a day, and those after a part of a day in which it is told of."""
LEAST_NAMED = 2
"""Words and numbers of a day that a turn must hold to name it."""
NAMED_TELLING = MOST_TELLING // 2
"""How much a turn tells that names the day and was said on another one."""
TOLD_LATER = 21 * DAY // MICROSECOND
"""Microseconds after a time within which it is told of: "last Saturday we sailed"."""
LONGEST_TOLD = 8 * DAY // MICROSECOND
"""Microseconds of the longest time that is looked for in what was said after it."""
MAY_NAME = 48
"""Turns of one kind that are read for whether they name a time."""
NUMBERED = 31 * DAY // MICROSECOND
"""Microseconds within which the number of a day means that day."""
LEAST_NEAR = np.float32(0.5)
"""How near to the time a turn of another one is that names it, however long after it was said."""
LEAST_SURE = 0.2
"""Confidence of a turn of the time that tells nothing."""


class Told(NamedTuple):
    """The turns that may tell of a time."""

    candidates: Candidates
    told: Floats
    """How much each tells, 0 to 1: shape (n,). Less than 0 if the turn holds the time's words and is from any day."""
    elsewhere: bool
    """Whether they are from other times: then a turn is a hit only if its text names the time (`Analyzer.tells_of`)."""


def find_by_time(
    reader: SearchReader, namespace: int, query: ParsedQuery, analyzer: Analyzer, only: Restriction | None
) -> Told:
    """Return the turns at the times that a query means and that `only` admits, and how much each tells.

    Days of no year ("on 3 March") are those of the latest year that holds any. If a part of a day holds
    none, the turns that follow within `REPORTED` are taken, because a night is told at breakfast. If there are none,
    those that are said within `TOLD_LATER`, and those of any day that hold its words, as far as they name it.
    """
    spans = [span for period in query.periods for span in occurrences(period, 1)]
    found = timed(reader, namespace, spans, only)
    parts = [Span(start, end + REPORTED) for start, end in spans if end - start < DAY_LONG]
    if not len(found.rows) and parts:
        found = timed(reader, namespace, parts, only)
    if not len(found.rows) and any(period.yearly for period in query.periods):
        earlier = [span for period in query.periods for span in occurrences(period, YEARS)]
        found = latest(reader, timed(reader, namespace, earlier, only), earlier)
    named, elsewhere = NONE, not len(found.rows)
    if elsewhere:
        later = [Span(end, end + TOLD_LATER) for start, end in spans if end - start <= LONGEST_TOLD]
        found = naming_a_time(reader, timed(reader, namespace, later, only))
        named = rows_naming(reader, namespace, query, analyzer, only)
    turns = of_namespace(reader.take(each_once(np.concatenate((found.rows, named)))), namespace)
    telling = dict(zip(named.tolist(), [NAMED_TELLING] * len(named), strict=True))
    telling.update(zip(found.rows.tolist(), found.telling.tolist(), strict=True))
    told = np.array([telling[row] for row in turns.rows.tolist()], np.float32) / MOST_TELLING
    candidates = Candidates(turns, reader.size(namespace), reader.frequencies(namespace, query.terms))
    return Told(candidates, np.where(np.isin(turns.rows, named), -told, told), elsewhere)


def naming_a_time(reader: SearchReader, found: Timed) -> Timed:
    """Return those of some engrams that may name a time: the `MAY_NAME` most telling marked ones, and others.

    Only times in English and in digits are marked.
    """
    marked = reader.columns(found.rows)["marks"] & TIME != 0
    first = [np.flatnonzero(each)[:MAY_NAME] for each in (marked, ~marked)]
    naming = np.sort(np.concatenate(first))
    return Timed(found.rows[naming], found.telling[naming])


def rows_naming(
    reader: SearchReader, namespace: int, query: ParsedQuery, analyzer: Analyzer, only: Restriction | None
) -> Ints:
    """Return the rows of admitted turns that hold all words and numbers of a day that a query means, or tell of it.

    Those that tell of it are said within `NUMBERED` and hold its number: "the party is on the 20th". Longer times do
    not count, because "last week" and "in May" are said of many.
    """
    rows = [NONE]
    for period in query.periods:
        if period.end - period.start <= DAY:
            rows.append(rows_numbering(reader, namespace, period))
        terms = list(dict.fromkeys(term for term in analyzer.analyse(period.text).terms if term in query.terms))
        if period.end - period.start > DAY or not any(map(str.isdigit, terms)) or len(terms) < LEAST_NAMED:
            continue
        found = reader.candidates(namespace, terms, MOST) if reader.frequencies(namespace, terms).all() else NONE
        turns = of_namespace(reader.take(each_once(found)), namespace)
        ids, ends = np.array(analyzer.analyse(" ".join(terms)).ids), turns.lengths.cumsum()
        spans = zip((ends - turns.lengths).tolist(), ends.tolist(), strict=True)
        holding = [bool(np.isin(ids, turns.tokens[start:end]).all()) for start, end in spans]
        rows.append(turns.rows[np.array(holding, np.bool_)])
    joined = each_once(np.concatenate(rows))
    return joined if only is None else joined[only.admits(reader.columns(joined))]


def rows_numbering(reader: SearchReader, namespace: int, period: Period) -> Ints:
    """Return the rows of turns, at most `MAY_NAME`, said within `NUMBERED` of a day, that hold its number."""
    number = str((period.start + period.ahead).day)
    rows = reader.candidates(namespace, [number], MOST)
    at = reader.columns(rows)["at"]
    near = np.abs(at - microseconds(period.start)) <= NUMBERED
    return np.asarray(rows[near][:MAY_NAME])


def timed(reader: SearchReader, namespace: int, spans: Sequence[Span], only: Restriction | None) -> Timed:
    """Return the most telling admitted engrams at some times, at most `MOST`."""
    found = reader.rows_between(namespace, spans, MOST)
    if only is None:
        return found
    if len(found.rows) == MOST:
        found = reader.rows_between(namespace, spans, MOST * WIDER)
    admitted = only.admits(reader.columns(found.rows))
    return Timed(found.rows[admitted][:MOST], found.telling[admitted][:MOST])


def latest(reader: SearchReader, found: Timed, spans: Sequence[Span]) -> Timed:
    """Return those of some engrams, all at some of `spans`, that are at the same of these as the latest of them."""
    at = reader.columns(found.rows)["at"]
    last, same = int(at.max(initial=0)), np.zeros(len(at), np.bool_)
    for start, end in spans:
        if start <= last < end:
            same |= (at >= start) & (at < end)
    return Timed(found.rows[same], found.telling[same])


def score_by_time(query: ParsedQuery, features: Features, by_time: Told) -> tuple[Scores, Floats]:
    """Return the scores of at least one turn by how much each tells, and their confidences: shape (n,).

    What an earlier one in the order says already comes after all others.
    """
    turns, n = features.turns, len(features.turns.rows)
    when = np.maximum(closeness(turns.columns["at"], list(query.periods)), by_time.told < 0)
    if by_time.elsewhere:
        when = np.maximum(when, LEAST_NEAR)
    told = np.abs(by_time.told)
    total = np.asarray(when * (LEAST_SURE + (1 - LEAST_SURE) * told), np.float32)
    order = np.asarray(n - 1 - (-total[::-1]).argsort(kind="stable"))
    again = surplus(turns, order, most=1)[order]
    order = np.concatenate((order[~again], order[again]))
    parts = {name: np.zeros(n, np.float32) for name in PARTS} | {"time": total}
    sure = np.empty(n, np.float32)
    sure[order] = np.minimum.accumulate(total[order])
    matched = np.zeros((len(query.ids), n + 1), np.float32)
    return Scores(total, parts, order, matched, when, features.meaning), sure
