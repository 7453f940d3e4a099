"""Titles: the arcs of a namespace as callers see them, from their chains and the turns at their ends.

Owns what a title and an id are made of: words of the turns, never a sentence of its own; and which words that are not
written as names stand for a thing. Reads each turn once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from engram.engram import Engram
from engram.reflection.arc_list import Candidates, Chain, Joined, comes_often, joined
from engram.reflection.arcs import Arc
from engram.reflection.mentions import TurnNames
from engram.reflection.names import READ, Named, named, number_of
from engram.reflection.surfaces import id_of, is_definite, surface
from engram.text.common import share_of

BESIDE = 2
"""Names in a title beside the one that its arc is named after, at most."""
PART = 0.5
"""Share of the turns of a word above which a name of several words, of which it is a part, stands for it."""


def ends_of(chains: Iterable[Chain], turns: TurnNames) -> list[int]:
    """Return the seqs of the first and the last turns of chains."""
    return sorted({int(turns.seqs[chain.turns[end]]) for chain in chains for end in (0, -1)})


class Titles:
    """Makes arcs of candidates, once."""

    def __init__(self, found: Candidates, turns: TurnNames, engrams: Mapping[int, Engram]) -> None:
        """engrams: the turns at the ends of the chains, by seq; those that were forgotten are not among them."""
        self._found, self._turns, self._engrams = found, turns, engrams
        self._named: dict[int, dict[int, Named]] = {}

    def arcs(self, limit: int) -> list[Arc]:
        """Return at most `limit` arcs."""
        chains = [chain for chain in self._found.chains if self._ends(chain)]
        telling = list(self._without_parts([chain for chain in chains if self._tells(chain)]))
        return [self._arc(each) for each in joined(telling, self._found.total, limit)]

    def _ends(self, chain: Chain) -> list[tuple[Engram, Named]]:
        """Return the first and the last turn of a chain, with where they name it; nothing if either is not there."""
        ends = []
        for end in (0, -1):
            seq = int(self._turns.seqs[chain.turns[end]])
            engram, each = self._engrams.get(seq), self._names(seq).get(chain.number)
            if engram is None or each is None:
                return []
            ends.append((engram, each))
        return ends

    def _names(self, seq: int) -> dict[int, Named]:
        """Return the first place of each name in a turn, by its number; one where it is written as a name, if any."""
        found = self._named.get(seq)
        if found is None:
            found = self._named[seq] = {}
            for each in named(self._engrams[seq].text[:READ]) if seq in self._engrams else ():
                known = found.get(number_of(each.key))
                if known is None or each.is_name > known.is_name:
                    found[number_of(each.key)] = each
        return found

    def _tells(self, chain: Chain) -> bool:
        """Return whether a chain is of a name, or of a word that comes often and stands for a definite thing."""
        if chain.is_name:
            return True
        ends = self._ends(chain)
        return comes_often(chain, share_of(ends[0][1].key), self._found) and all(
            is_definite(engram.text, each) for engram, each in ends
        )

    def _without_parts(self, chains: Sequence[Chain]) -> Iterator[Chain]:
        """Yield chains without words of which most are a part of a longer name: "Heron" of "Heron Lock"."""
        whole: dict[str, int] = {}
        keys = [self._ends(chain)[0][1].key for chain in chains]
        for key, chain in zip(keys, chains, strict=True):
            for part in key.split() if " " in key else ():
                whole[part] = max(whole.get(part, 0), len(chain.turns))
        for key, chain in zip(keys, chains, strict=True):
            if whole.get(key, 0) <= PART * len(chain.turns):
                yield chain

    def _arc(self, each: Joined) -> Arc:
        same = frozenset(chain.number for chain in each.same)
        (first, begins), (last, ends) = self._ends(each.chain)
        shown = [surface(last.text, ends, same)]
        for chain in (*each.same, *each.beside):
            if chain.is_name:
                engram, there = self._ends(chain)[1]
                shown.append(surface(engram.text, there))
        title = ", ".join(distinct(shown)[: 1 + BESIDE])
        return Arc(
            id_of(surface(first.text, begins)), title, first.at, last.at, len(each.chain.turns), each.chain.sessions
        )


def distinct(names: Sequence[str]) -> list[str]:
    """Return names without those that are a part of one before, or have it as a part."""
    kept: list[str] = []
    for name in names:
        if not any(name.casefold() in other.casefold() or other.casefold() in name.casefold() for other in kept):
            kept.append(name)
    return kept
