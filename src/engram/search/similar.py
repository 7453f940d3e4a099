"""Similar terms: how many typing errors lie between two terms, and what a term with an error may have been.

Owns the edits: a letter left out, put in, taken for another, or two neighbours swapped. Knows no index.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import cache

HEAD = 4
"""Letters at the beginning of a short word in which every error is tried; after them it is found by its beginning."""


def edits_between(one: str, other: str) -> int:
    """Return the least number of edits that make `one` into `other`; no letter is edited twice."""
    before, row = list[int](), list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, before = before, row
        row = [i]
        for j, wanted in enumerate(other, 1):
            least = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                least = min(least, above[j - 2] + 1)
            row.append(least)
    return row[-1]


def similar(terms: Iterable[str], term: str, edits: int) -> dict[str, int]:
    """Return those of `terms` that are at most `edits` edits away from `term`, and not the same, with their edits."""
    letters, found = set(term), {}
    for other in terms:
        # One edit adds a letter and takes one away, at most.
        if abs(len(other) - len(term)) <= edits and len(letters.symmetric_difference(other)) <= 2 * edits:
            distance = edits_between(term, other)
            if 0 < distance <= edits:
                found[other] = distance
    return found


def similar_by_beginning(term: str, edits: int, beginning: Callable[[str], Iterable[str]]) -> dict[str, int]:
    """Return the terms of a sorted dictionary that `similar` finds, but for those with two edits at their beginning.

    beginning: returns the terms of the dictionary that begin with a text, and may return others.
    """
    count = head(term)
    texts = {term[:count]}
    for other in edited(term, count):
        # If one edit is all, the rest of the word is right.
        texts.add(other if edits == 1 else other[:count])
    found = dict[str, int]()
    for text in texts:
        found |= similar(beginning(text), term, edits)
    return found


def head(term: str) -> int:
    """Return how many letters of a term are its beginning, after which few terms of a dictionary go on."""
    return max(min(HEAD, len(term) - 2), (len(term) + 1) // 2)


def edited(term: str, before: int) -> set[str]:
    """Return `term` with one edit that begins before the index `before`."""
    parts = [(term[:i], term[i:]) for i in range(before)]
    result = {start + end[1:] for start, end in parts}
    result |= {start + end[1] + end[0] + end[2:] for start, end in parts if len(end) > 1}
    for letter in alphabet(term[0]):
        result |= {start + letter + end[1:] for start, end in parts}
        result |= {start + letter + end for start, end in parts}
    return result - {term}


@cache
def alphabet(letter: str) -> str:
    """Return the folded letters of the script of a letter: those of its block of Unicode."""
    if letter.isascii():
        return "abcdefghijklmnopqrstuvwxyz"
    block = ord(letter) & ~0x7F
    characters = map(chr, range(block, block + 0x80))
    return "".join(c for c in characters if c == c.casefold() and unicodedata.category(c)[0] in "LM")
