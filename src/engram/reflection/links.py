"""Links: what a model proposed to close a hit, and its place in the order of the hits.

Owns which closed hit gives its place to what closed it, and how a hit that was put before a better one is valued. Which
links there are is `reflection.proposals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from engram.recall.result import Hit
from engram.reflection.chains import Turns
from engram.reflection.database import DerivedDatabase
from engram.reflection.proposals.tables import Place, ProposedLink
from engram.text.passages import Span, passage_at, passages

LONGEST_CHAIN = 16
"""Links of a chain that are followed from a closed statement."""
HOLDS = "holds"
"""The part of a hit's value that it has for saying what holds now."""


class Closers:
    """What models proposed to close the statements of some turns."""

    def __init__(self, database: DerivedDatabase, namespace: int, links: Sequence[ProposedLink]) -> None:
        """links: all that close a statement of these turns."""
        self._database, self._namespace = database, namespace
        self._closer = {link.older: link.newer for link in reversed(links)}

    def of(self, seq: int, starts: Sequence[int]) -> Place | None:
        """Return the statement that closed one of some statements of a turn, directly or through others; None if none.

        starts: where the statements begin. The first of them that is closed decides.
        """
        closer = next((found for start in starts if (found := self._closer.get(Place(seq, start)))), None)
        for _ in range(LONGEST_CHAIN):
            if closer is None or (further := self._next(closer)) is None:
                break
            closer = further
        return closer

    def _next(self, place: Place) -> Place | None:
        links = self._database.links_from(self._namespace, [place.seq])
        return next((link.newer for link in links if link.older == place), None)


def replaced(hits: Sequence[Hit], closers: Mapping[int, Place], turns: Turns) -> list[Hit]:
    """Return hits with what closed one of them directly before it, also if it was no hit.

    closers: by the seq of a closed hit. turns: gives the turns that may be hits; one that is gone closes nothing.
    """
    result, known = list(hits), {hit.seq: hit for hit in hits}
    missing = sorted({place.seq for place in closers.values()} - known.keys())
    fetched = turns(missing) if missing else {}
    for hit in hits:
        place = closers.get(hit.seq)
        if place is None:
            continue
        at, newer = result.index(hit), known.get(place.seq)
        if newer is None and (engram := fetched.get(place.seq)) is not None:
            newer = Hit(engram, hit.score, {HOLDS: sum(hit.why.values())}, place.seq, passage_with(engram.text, place))
            known[place.seq] = newer
            result.insert(at, newer)
        elif newer is not None and (there := result.index(newer)) > at:
            result.insert(at, result.pop(there))
    return raised(result)


def passage_with(text: str, place: Place) -> Span:
    """Return where the passage of a text begins and ends that holds a sentence."""
    return passages(text)[passage_at(text, place.start)]


def raised(hits: Sequence[Hit]) -> list[Hit]:
    """Return hits of which each that was put before a better one has its value and score, which `why` then shows."""
    result = list(hits)
    value, score = -np.inf, 0.0
    for index in range(len(result) - 1, -1, -1):
        hit = result[index]
        own = sum(hit.why.values())
        if own < value:
            result[index] = replace(hit, score=max(hit.score, score), why={**hit.why, HOLDS: value - own})
        value, score = max(value, own), max(score, hit.score)
    return result
