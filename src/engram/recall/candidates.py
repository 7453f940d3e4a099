"""Candidates: the few hundred turns of a namespace that are worth scoring.

Owns how many turns are fetched, and by which words of the query. Exact words and near words are two queries to the
reader. The neighbours of the best candidates are candidates too, because an answer follows its question. Knows no score
and no index.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram.recall.copies import few_copies, may_hold_copies
from engram.recall.proximity import occurrences
from engram.recall.query import ParsedQuery
from engram.search.base import Array, Ints, SearchReader, Turns
from engram.text.base import Analyzer


@dataclass(frozen=True, slots=True)
class RetrievalLimits:
    """How many turns recall fetches. Higher limits cost time and find little: see docs/LOG.md."""

    exact: int = 100
    """Candidates by the query's words."""
    near: int = 100
    """Candidates by words near them."""
    similar: int = 100
    """Candidates by what they mean."""
    timed: int = 64
    """Candidates by a time that the query means, whatever their words."""
    near_words: int = 5
    """Near words that are looked up for each word of the query."""
    near_least: float = 0.45
    """Least similarity of a near word, 0 to 1."""
    max_terms: int = 16
    """Words of the query that are looked up, the rarest first."""
    expand_neighbours: int = 64
    """Best candidates whose neighbours are candidates too."""
    brute_force_below: int = 150
    """A namespace of at most so many engrams is scored whole, without a look-up."""
    common: float = 0.05
    """Share of a namespace's engrams above which a word is too common to be looked up, if there are other words."""

    def times(self, factor: int) -> RetrievalLimits:
        """Return the same limits with `factor` times as many candidates."""
        names = ("exact", "near", "similar", "timed", "expand_neighbours")
        wider = {name: getattr(self, name) * factor for name in names}
        return replace(self, **wider)


DEFAULT_LIMITS = RetrievalLimits()
NONE: Ints = np.empty(0, np.int64)
ENOUGH = 0.4
"""Share of a look-up's limit that a filter must leave; otherwise a wider look-up follows."""
WIDEST, WIDEST_NEAR = 64, 16
"""Upper bounds of the factors by which the look-ups of exact words, and of near ones or by meaning, are widened for a
filter."""
WIDEST_COPIES = 16
"""Factor by which a look-up is widened that finds copies of a few texts."""
MOST_COMMON = 3
"""Words of the query that are looked up although they are common in the namespace."""
RECENT_YEARS = 3
"""Years in which turns of the days of a period without a year are candidates."""
RARE_SHARE = 1e-3
"""Share among all words of the language under which a word is rare in it."""


class Restriction(NamedTuple):
    """What a filter leaves of a namespace."""

    admits: Callable[[Array], npt.NDArray[np.bool_]]
    """Which columns (shape (n,), dtype ROW) the filter admits, as far as columns say: shape (n,)."""
    rows: Ints
    """Rows that are candidates in any case, admitted or not."""
    complete: bool
    """Whether `rows` holds every row that can be admitted; then nothing is looked up."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The turns to score, with their neighbours, sorted by row, and the namespace's counts."""

    turns: Turns
    size: int
    """Number of engrams of the namespace."""
    frequencies: Ints | None
    """Number of engrams that hold each token of the query: shape (q,). None if all engrams are in `turns`."""


def find_candidates(
    reader: SearchReader,
    namespace: int,
    query: ParsedQuery,
    analyzer: Analyzer,
    limits: RetrievalLimits = DEFAULT_LIMITS,
    only: Restriction | None = None,
) -> Candidates:
    """Return the candidates of a namespace for a query.

    only: turns that it does not admit are candidates only as neighbours, because a turn's score depends on these.
    """
    size = reader.size(namespace)
    if size <= limits.brute_force_below:
        turns = reader.take(each_once(reader.all_rows(namespace, limits.brute_force_below)))
        return Candidates(of_namespace(turns, namespace), size, None)
    frequencies = reader.frequencies(namespace, query.all_terms)
    if only is not None and only.complete:
        rows = only.rows
    else:
        rows = looked_up_rows(reader, namespace, query, analyzer, limits, size, frequencies, only)
    turns = of_namespace(reader.take(each_once(rows)), namespace)
    return Candidates(turns, size, query.frequencies(frequencies))


def looked_up_rows(
    reader: SearchReader,
    namespace: int,
    query: ParsedQuery,
    analyzer: Analyzer,
    limits: RetrievalLimits,
    size: int,
    frequencies: Ints,
    only: Restriction | None,
) -> Ints:
    """Return the rows that the query's words and words near them find, and rows near these, with repetitions."""
    words = rarest_words(query, size, frequencies[: len(query.ids)], limits)
    others = near_words(query, words, analyzer, limits)
    others = uncommon(others, reader.frequencies(namespace, others), size, limits)
    terms = other_words(query, frequencies[len(query.ids) :], limits) + [query.terms[i] for i in words]
    by_words = partial(reader.candidates, namespace, terms[: limits.max_terms])
    exact = look_up(by_words, reader, limits.exact, WIDEST, only)
    near = look_up(partial(reader.candidates, namespace, others), reader, limits.near, WIDEST_NEAR, only)
    similar = NONE
    if query.vector is not None:
        by_meaning = partial(reader.similar, namespace, query.vector)
        similar = look_up(by_meaning, reader, limits.similar, WIDEST_NEAR, only)
    # Of each look-up the best, in turn.
    best = np.concatenate([found[: limits.expand_neighbours // 2] for found in (exact, similar, near)])
    neighbours = reader.neighbours(best[: 2 * limits.expand_neighbours])
    timed = rows_by_time(reader, namespace, query, limits, only) if query.periods else NONE
    admitted = NONE if only is None else only.rows
    return np.concatenate((exact, near, similar, timed, admitted, neighbours, reader.neighbours(neighbours)))


def rows_by_time(
    reader: SearchReader, namespace: int, query: ParsedQuery, limits: RetrievalLimits, only: Restriction | None
) -> Ints:
    """Return the admitted rows of the most telling engrams, at most `limits.timed`, at the times that a query means."""
    spans = [span for period in query.periods for span in occurrences(period, RECENT_YEARS)]
    rows = reader.rows_between(namespace, spans, limits.timed).rows
    return rows if only is None else rows[only.admits(reader.columns(rows))]


def look_up(
    find: Callable[[int], Ints], reader: SearchReader, limit: int, widest: int, only: Restriction | None
) -> Ints:
    """Return the best admitted rows that `find` finds, at most `limit`, of the best `widest` * `limit` of all.

    find: returns at most so many rows, the best first. A filter that admits few rows of the first look-up costs one
    more, which is wide enough by the share admitted.
    """
    rows = find(limit)
    columns, all_found = reader.columns(rows), len(rows) < limit
    if not all_found and may_hold_copies(columns):
        rows = few_copies(reader, find(limit * WIDEST_COPIES))[:limit]
        columns = reader.columns(rows)
    if only is None:
        return rows
    admitted = rows[only.admits(columns)]
    enough = limit * ENOUGH
    if all_found or len(admitted) >= enough:
        return admitted
    factor = min(widest, math.ceil(2 * enough / max(len(admitted), 1)))
    rows = find(limit * factor)
    return rows[only.admits(reader.columns(rows))][:limit]


def rarest_words(query: ParsedQuery, size: int, frequencies: Ints, limits: RetrievalLimits) -> list[int]:
    """Return the indices of the query's words to look up: of those that occur the rare ones, then a few common ones."""
    counts, most = frequencies.tolist(), max(limits.common * size, limits.exact)
    shares, names = query.probabilities.tolist(), query.names.tolist()
    occurring = sorted((i for i, count in enumerate(counts) if count), key=counts.__getitem__)
    rare = [i for i in occurring if counts[i] <= most]
    # What is asked often makes its own words common in the namespace; of these, some that are rare in the language.
    common = sorted((i for i in occurring if counts[i] > most), key=shares.__getitem__)
    common = [i for i in common if not rare or (shares[i] < RARE_SHARE and not names[i])][:MOST_COMMON]
    return rare[: limits.max_terms - len(common)] + common


def other_words(query: ParsedQuery, frequencies: Ints, limits: RetrievalLimits) -> list[str]:
    """Return what the query's words are called otherwise, and parts of its codes, the rarest first; only what is rare.

    frequencies: number of engrams that hold each of `query.others`.
    """
    counted = sorted(zip(frequencies.tolist(), (term for _, term in query.others), strict=True))
    return [term for count, term in counted if 0 < count <= limits.exact]


def near_words(query: ParsedQuery, looked_up: list[int], analyzer: Analyzer, limits: RetrievalLimits) -> list[str]:
    """Return the words near those that are looked up, and near those that the namespace does not hold; each once."""
    probabilities = query.probabilities.tolist()
    indices = [i for i, share in enumerate(probabilities) if share < RARE_SHARE or i in looked_up]
    rarest = sorted(indices, key=probabilities.__getitem__)[: limits.max_terms]
    exact = set(query.terms)
    words = (w for i in rarest for w in analyzer.near_terms(query.ids[i], limits.near_least, limits.near_words))
    return [word for word in dict.fromkeys(words) if word not in exact]


def uncommon(words: list[str], frequencies: Ints, size: int, limits: RetrievalLimits) -> list[str]:
    """Return the near words whose look-up finds more than it costs."""
    most = max(limits.common * size, limits.near)
    return [word for word, count in zip(words, frequencies.tolist(), strict=True) if count <= most]


def each_once(rows: Ints) -> Ints:
    """Return `rows` sorted, each once."""
    ordered = np.sort(rows)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return np.asarray(ordered[first])


def of_namespace(turns: Turns, namespace: int) -> Turns:
    """Return the turns of one namespace, so that a damaged index cannot leak another namespace's."""
    own = turns.columns["namespace"] == namespace
    return turns if own.all() else turns.kept(own)
