"""Spelling: what a query's word may mean that the namespace does not hold.

Owns which words are taken for typing errors, and which words of the namespace are meant instead. Knows no score.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engram.recall.query import ParsedQuery, Rule, SpeakerTokens
from engram.search.base import SearchReader
from engram.text.base import Analyzer

SHORTEST, LONG = 5, 9
"""Letters of a word from which one error in it is borne, and from which two are."""
SHORTEST_KNOWN = 7
"""The same for one error in a word of a language, which the namespace may lack because nobody said it."""
MOST_WORDS = 4
"""Words of a query that are looked up, the first ones."""
MOST_TERMS = 3
"""Words of the namespace that one word may stand for."""


def spelled(
    reader: SearchReader, namespace: int, query: ParsedQuery, analyzer: Analyzer, speakers: SpeakerTokens
) -> ParsedQuery:
    """Return `query` with the namespace's own words for those that it lacks, and that may be typing errors of them.

    speakers: as `speaker_names` returns it.
    """
    words = {index: edits for index, term in enumerate(query.terms) if (edits := errors_borne(query, index, analyzer))}
    if not words:
        return query
    counts = query.by_rules(reader.frequencies(namespace, query.all_terms)[:, None])
    missing = [index for index in words if not counts[index]][:MOST_WORDS]
    others, rules, probabilities = list(query.others), list(query.rules), query.probabilities.copy()
    names, named = query.names.copy(), set(query.speakers)
    for index in missing:
        for term in meant(reader, namespace, query, index, words[index], analyzer):
            id = analyzer.token_id(term)
            row = {known: place for place, known in enumerate((*query.ids, *(id for id, _ in others)))}.get(id)
            if row is None:
                row = len(query.ids) + len(others)
                others.append((id, term))
            rules.append(Rule(index, (row,)))
            probabilities[index] = max(probabilities[index], float(analyzer.probabilities([id], [term])[0]))
            names[index] |= id in speakers
            named |= speakers.get(id, frozenset())
    return replace(
        query,
        others=tuple(others),
        rules=tuple(rules),
        probabilities=probabilities,
        names=names,
        speakers=frozenset(named),
    )


def errors_borne(query: ParsedQuery, index: int, analyzer: Analyzer) -> int:
    """Return how many typing errors of a query's word are borne: 0, 1 or 2."""
    term = query.terms[index]
    if not term.isalpha() or len(term) < SHORTEST:
        return 0
    if analyzer.knows(term):
        return int(len(term) >= SHORTEST_KNOWN)
    return 1 + (len(term) >= LONG)


def meant(
    reader: SearchReader, namespace: int, query: ParsedQuery, index: int, edits: int, analyzer: Analyzer
) -> list[str]:
    """Return the namespace's words that a query's word may mean: those with the fewest errors."""
    asked, is_known = query.terms[index], analyzer.knows(query.terms[index])
    found = reader.similar_terms(namespace, asked, edits)
    terms = [term for term in found if term.isalpha() and may_mean(asked, is_known, term, analyzer)]
    least = min((found[term] for term in terms), default=0)
    terms = sorted(term for term in terms if found[term] == least)
    counts = reader.frequencies(namespace, terms)
    order = np.argsort(-counts, kind="stable")[:MOST_TERMS]
    return [terms[i] for i in order.tolist() if counts[i]]


def may_mean(asked: str, is_known: bool, term: str, analyzer: Analyzer) -> bool:
    """Return whether a word that is similar to `term` may be an error in it.

    Two words of a language are two words. Another word is a word of a language only if the first letter is right,
    or in a wrong place: the error in "began" is not "vegan".
    """
    if not analyzer.knows(term):
        return True
    return not is_known and (asked[0] == term[0] or sorted(asked) == sorted(term))
