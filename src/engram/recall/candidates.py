"""Candidates: the few hundred turns out of a namespace that are worth scoring.

Owns how many, and which of the cue's words may fetch them. Exact words and near words are two plain queries to the
index; what the index does not hold yet is asked for the same words. The turns beside the foremost come too: an answer
stands beside its question.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engram.recall.features import changes
from engram.recall.query import ParsedQuery
from engram.search.local.forward import Ints, Turns
from engram.search.local.inverted import EVERY
from engram.search.local.reader import IndexReader
from engram.text.analyzer import Analyzer


@dataclass(frozen=True, slots=True)
class RetrievalLimits:
    """How far recall looks. More costs time and finds little: see docs/LOG.md."""

    exact: int = 100
    """Candidates by the cue's own words."""
    near: int = 100
    """Candidates by words near them."""
    near_words: int = 5
    """Near words asked for, for each of the cue's."""
    near_least: float = 0.45
    """... at this similarity or more."""
    asking: int = 8
    """Words of the cue that fetch candidates, the rarest first."""
    surrounded: int = 64
    """Candidates, the foremost by exact words, whose surroundings are candidates, too."""
    whole: int = 150
    """Engrams of a namespace up to which all of it is scored, and nothing looked up."""
    common: float = 0.05
    """The share of a namespace's engrams from which on a word is too common to fetch them, if there are others."""

    def times(self, factor: int) -> RetrievalLimits:
        """The same with more candidates."""
        wider = {name: getattr(self, name) * factor for name in ("exact", "near", "surrounded")}
        return replace(self, **wider)


DEFAULT_LIMITS = RetrievalLimits()
NONE: Ints = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates with the turns beside them, sorted by seq, and what the index knows of the cue."""

    turns: Turns
    size: int
    """Engrams of the namespace in the index."""
    tail: int
    """Engrams of the namespace in the tail."""
    frequencies: Ints | None
    """How many of those hold each token of the cue: shape (q,). None where all of them are here to be counted."""
    exhausted: bool
    """Whether every engram that the words can fetch is here: more reach would find no more."""


def find_candidates(
    view: IndexReader,
    namespace: int,
    cue: ParsedQuery,
    encoder: Analyzer,
    reach: RetrievalLimits = DEFAULT_LIMITS,
    also: Ints | None = None,
) -> Candidates:
    """The candidates of a namespace for a cue; `also`: seqs that are candidates in any case."""
    reader = view.index.reader
    size, tail = reader.size(namespace), len(view.tail_seqs(namespace))
    if size + tail <= reach.whole:
        every = np.concatenate((reader.search(namespace, [EVERY], reach.whole), view.tail_seqs(namespace)))
        turns = of_namespace(view.take(each_once(every)), namespace)
        return Candidates(turns, size, tail, None, exhausted=True)
    frequencies = reader.frequencies(namespace, cue.terms)
    if tail:
        frequencies += np.array([len(seqs) for seqs in view.tail_holding(namespace, cue.terms)])
    asking = asking_words(cue, size + tail, frequencies, reach)
    words, others = [cue.terms[i] for i in asking], near_words(cue, asking, encoder, reach)
    others = uncommon(others, reader.frequencies(namespace, others), size + tail, reach)
    exact = reader.search(namespace, words, reach.exact)
    near = reader.search(namespace, others, reach.near)
    parts = [exact, near]
    inner = exact if len(exact) >= reach.surrounded else np.concatenate((exact, near))
    surrounded = [inner[: reach.surrounded]]
    if tail:
        # By the same words, so that the tail ranks as the index does.
        late = view.tail_holding(namespace, words)
        parts += late + view.tail_holding(namespace, others)
        surrounded.append(foremost(late, frequencies[asking], size + tail, reach.surrounded))
    if also is not None:
        parts.append(also)
    beside = view.beside(np.concatenate(surrounded))
    parts += [beside, view.beside(each_once(beside))]
    turns = of_namespace(view.take(each_once(np.concatenate(parts))), namespace)
    return Candidates(turns, size, tail, frequencies, len(exact) < reach.exact and len(near) < reach.near)


def foremost(holding: list[Ints], frequencies: Ints, size: int, most: int) -> Ints:
    """Those `most` engrams that hold most of some words, the rarer the better; `holding`: for each word, who has it."""
    seqs, of_each = np.unique(np.concatenate((NONE, *holding)), return_inverse=True)
    rarity = np.log((size + 1) / frequencies)
    worth = np.bincount(of_each, rarity.repeat([len(some) for some in holding]), len(seqs))
    return np.asarray(seqs.take((-worth).argsort(kind="stable")[:most]))


def asking_words(cue: ParsedQuery, size: int, frequencies: Ints, reach: RetrievalLimits) -> list[int]:
    """Places in the cue of the words that fetch candidates: those that are there and not common, the rarest first."""
    here = [i for i in np.argsort(frequencies, kind="stable").tolist() if frequencies[i]]
    rare = [i for i in here if frequencies[i] <= max(reach.common * size, reach.exact)]
    return (rare or here[:3])[: reach.asking]


def near_words(cue: ParsedQuery, asking: list[int], encoder: Analyzer, reach: RetrievalLimits) -> list[str]:
    """The words near those that ask, and near those that the namespace does not hold at all; each once."""
    places = [i for i in range(len(cue.ids)) if i in asking or cue.probabilities[i] < 1e-3]
    rarest = sorted(places, key=lambda i: cue.probabilities[i])[: reach.asking]
    own = set(cue.terms)
    words = (w for i in rarest for w in encoder.near_terms(cue.ids[i], reach.near_least, reach.near_words))
    return [word for word in dict.fromkeys(words) if word not in own]


def uncommon(words: list[str], frequencies: Ints, size: int, reach: RetrievalLimits) -> list[str]:
    """Those of some near words that are not so common that ranking them costs more than they find."""
    most = max(reach.common * size, reach.near)
    return [word for word, count in zip(words, frequencies.tolist(), strict=True) if count <= most]


def each_once(seqs: Ints) -> Ints:
    """Those of `seqs`, each once, sorted."""
    found = np.sort(seqs)
    return np.asarray(found[changes(found)])


def of_namespace(turns: Turns, namespace: int) -> Turns:
    """`turns`, all of which must be of one namespace: a damaged index must not lead across the wall."""
    strange = turns.rows["namespace"] != namespace
    if not strange.any():
        return turns
    keep = np.repeat(~strange, turns.lengths)
    return Turns(turns.seqs[~strange], turns.rows[~strange], turns.tokens[keep], turns.lengths[~strange])
