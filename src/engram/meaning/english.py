"""Whether a text is English, by its pieces: the contextual part of the sentence encoder knows no other language.

Owns the rule. Words of English are mostly a piece each, those of other languages are in parts, and function words tell
short questions apart. `tools/context.py --english` prints how many texts of each language pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

WORD, CONTINUED, FUNCTION, QUESTION = 1, 2, 3, 4
"""Kinds of pieces: a word of letters, letters that continue a word, a function word, one that asks. 0 is any other."""

QUESTION_WORDS = frozenset("did does how what when where which who whom whose why".split())
FUNCTION_WORDS = frozenset(
    "about after and are because been before being but can could from have having if into it its ll may might must my"
    " not our she should than that the their them then there these they this those ve were while will with would you"
    " your".split()
)
"""Function words of English that the other languages of the sentence encoder hardly write."""

PER_WORD, PER_FUNCTION_WORD, PER_QUESTION_WORD = 0.25, 1.0, 2.0
"""Words in parts that a text may have for each word, for each function word, and for each one that asks."""
LESS = 0.75
"""What is taken from that: a short text needs a function word, unless none of its words is in parts."""
FOREIGN = 0.5
"""What a letter outside of ASCII counts, in words in parts."""

LETTERS, MORE_LETTERS, PARTED = re.compile("[a-z]+"), re.compile("##[a-z]+"), re.compile(b"%c+" % CONTINUED)


def kinds_of(vocabulary: Sequence[str]) -> bytes:
    """Return the kind of each piece of a vocabulary."""
    return bytes(map(kind_of, vocabulary))


def kind_of(piece: str) -> int:
    """Return the kind of a piece."""
    if piece in QUESTION_WORDS:
        return QUESTION
    if piece in FUNCTION_WORDS:
        return FUNCTION
    if LETTERS.fullmatch(piece):
        return WORD
    return CONTINUED if MORE_LETTERS.fullmatch(piece) else 0


def is_english(text: str, pieces: Sequence[int], kinds: bytes) -> bool:
    """Return whether a text with these pieces is English. kinds: those of the vocabulary."""
    row = bytes([kinds[piece] for piece in pieces])
    function_words, question_words = row.count(FUNCTION), row.count(QUESTION)
    words = row.count(WORD) + function_words + question_words
    foreign = 0 if text.isascii() else sum(letter.isalpha() and not letter.isascii() for letter in text)
    parted = len(PARTED.findall(row)) + FOREIGN * foreign
    allowed = PER_WORD * words + PER_FUNCTION_WORD * function_words + PER_QUESTION_WORD * question_words - LESS
    return parted <= allowed
