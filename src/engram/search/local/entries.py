"""From the records of a store to the entries of an index: their texts analysed, passage by passage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from engram.search.local.encoding import parted
from engram.search.local.forward import Entry
from engram.store.base import Record
from engram.text.base import QUESTION, Analysis, Analyzer

TOKENS_AT_ONCE = 20_000
"""Tokens whose vectors are summed in one call."""

ENDS = frozenset("\u3002\uff01\uff1f\u300d\u300f\uff09")
"""Signs besides white space after which no word goes on."""


def analysed(records: Sequence[Record], analyzer: Analyzer) -> list[Entry]:
    """Return the entries of records: their texts analysed, passage by passage."""
    parts = [analysed_passages(record.text, analyzer) for record in records]
    analyses = [analysis for analysis, _ in parts]
    centroids: list[npt.NDArray[np.int8]] = []
    start = pending = 0
    for index, analysis in enumerate(analyses):
        pending += len(analysis.ids)
        # In parts: each token needs room for a vector.
        if pending >= TOKENS_AT_ONCE or index + 1 == len(analyses):
            centroids += list(analyzer.centroids([a.ids for a in analyses[start : index + 1]]))
            start, pending = index + 1, 0
    return [Entry(*r[:-1], a, p, c) for r, (a, p), c in zip(records, parts, centroids, strict=True)]


def analysed_passages(text: str, analyzer: Analyzer) -> tuple[Analysis, tuple[int, ...]]:
    """Return the analysis of a text, and how many tokens each of its passages has."""
    parts = parted(text)
    if len(parts) == 1:
        analysis = analyzer.analyse(text)
        return analysis, (len(analysis.ids),)
    analyses = [analyzer.analyse(part) for part in parts]
    counts = [len(analysis.ids) for analysis in analyses]
    if all(part[-1].isspace() or part[-1] in ENDS for part in parts[:-1]):
        terms = [term for analysis in analyses for term in analysis.terms]
        marks = 0
        for analysis in analyses:
            # A text ends in a question if its last passage does.
            marks = (marks | analysis.marks) & ~QUESTION | analysis.marks & QUESTION
        return Analysis(terms, [id for analysis in analyses for id in analysis.ids], marks), tuple(counts)
    # A word or a number goes on from one passage to the next: the tokens are those of the whole, counted off.
    whole = analyzer.analyse(text)
    ends = [min(end, len(whole.ids)) for end in accumulate(counts[:-1])] + [len(whole.ids)]
    return whole, tuple(end - start for start, end in pairwise([0, *ends]))
