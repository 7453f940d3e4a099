"""Surfaces: how a text writes a name whose key is known.

Owns the way from keys back to the words of a turn, and the ids of arcs, which are made of these words. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from engram.reflection.names import READ, Named, Token, key_of, named, number_of, tokens
from engram.text.tokenizer import UNSPACED_RUN

GAP = 1
"""Characters between two words that may be one name."""
AROUND = 200
"""Characters around a name in which words that belong to it are looked for."""
LONGEST = 60
"""Characters of a name in a title at most."""

_POSSESSIVE = re.compile(r"['’]s?\Z")
_DEFINITE = frozenset(
    """
    the my our your his her their this that
    der die das den dem des mein meine meinen meinem meiner unser unsere unseren unserem
    le la les l mon ma mes notre nos el los las mi mis nuestro nuestra il lo gli mio mia nostro nostra
    o os as meu minha nosso nossa de het mijn ons onze mój moja moje nasz nasza наш наша мой моя моего моей нашей
    """.split()
)
"""Words after which a word stands for a thing that is known."""


def surface_of(text: str, number: int) -> str | None:
    """Return how a text writes the name with a number, in its first place; None if it does not name it."""
    found = [each for each in named(text[:READ]) if number_of(each.key) == number]
    return surface(text, max(found, key=lambda each: each.is_name)) if found else None


def surface(text: str, each: Named, same: Collection[int] = ()) -> str:
    """Return how a text writes a name that stands in it, on one line, without a possessive ending.

    same: numbers of names that belong to it: where they stand right beside it, they are a part of it.
    """
    start, stop = _in_run(text, each, same) or _widened(text, each, same)
    return _POSSESSIVE.sub("", " ".join(text[start:stop].split()))[:LONGEST]


def id_of(surface: str) -> str:
    """Return the id of the arc of a name: its words in lower case with hyphens."""
    return "-".join(surface[token.start : token.stop].casefold().replace("’", "'") for token in tokens(surface))


def key_of_id(id: str) -> str:
    """Return the key of the name of an arc; "" if the id has no words."""
    return key_of(id.replace("-", " "))


def is_definite(text: str, each: Named) -> bool:
    """Return whether a word stands for a thing that is known: a word like "the" or "my" stands before it.

    True for scripts without spaces, which have no such words.
    """
    if UNSPACED_RUN.search(text[each.start : each.stop]):
        return True
    before = text[max(0, each.start - AROUND) : each.start]
    # The second word before it, too: "the brass key".
    return any(before[token.start : token.stop].casefold() in _DEFINITE for token in tokens(before)[-2:])


def _widened(text: str, each: Named, same: Collection[int]) -> tuple[int, int]:
    """Return where a name begins and ends with the words beside it that belong to it."""
    start, stop = each.start, each.stop
    if not same:
        return start, stop
    offset = max(0, start - AROUND)
    read = [Token(offset + t.start, offset + t.stop, t.keys) for t in tokens(text[offset : stop + AROUND])]
    for token in read:
        if token.start >= stop and token.start - stop <= GAP and _belongs(token, same):
            stop = token.stop
    for token in reversed(read):
        if token.stop <= start and start - token.stop <= GAP and _belongs(token, same):
            start = token.start
    return start, stop


def _belongs(token: Token, same: Collection[int]) -> bool:
    return bool(token.keys) and all(number_of(key) in same for key in token.keys)


def _in_run(text: str, each: Named, same: Collection[int]) -> tuple[int, int] | None:
    """Return where a pair of characters stands in its run, with the pairs around it that belong to it.

    None if the name is no part of a run, or the run writes it with other characters.
    """
    if len(each.key) != 2 or each.key.isascii() or each.stop - each.start <= 2:
        return None
    start = text.find(each.key, each.start, each.stop)
    if start < 0:
        return None
    stop = start + 2
    while stop < each.stop and number_of(text[stop - 1 : stop + 1]) in same:
        stop += 1
    while start > each.start and number_of(text[start - 1 : start + 1]) in same:
        start -= 1
    return start, stop
