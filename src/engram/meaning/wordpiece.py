"""WordPiece: the tokenizer of the contextual part of the sentence encoder, that of BERT for text without case.

Owns the way from a text to the numbers of its pieces, in linear time. Knows no weights and no file; the vocabulary
comes from `engram.meaning.context_weights`. The result is that of the package `tokenizers`, with one difference: a
special piece that is written in the text, as "[SEP]", is read as the characters that it consists of.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from engram.meaning.base import beginning
from engram.meaning.english import is_english, kinds_of

MOST_CHARACTERS = 2_000
"""Characters of a text that are read: 128 pieces of English have some 600."""
MOST_PIECES = 128
"""Pieces of a text that are read, with those for its begin and its end."""
LONGEST_WORD = 100
"""Characters of a word above which it counts as unknown, as in BERT."""
REMEMBERED_WORDS, REMEMBERED_CHARACTERS = 8_192, 4_096
"""Words and characters that a tokenizer remembers, each at most: a text of a stranger must not fill the memory."""
BEGIN, END, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
CONTINUED = "##"
"""Begin of a piece that continues a word."""

HAN = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)
"""First and last character of the ranges in which each character is a word of its own, as in the tokenizer of BERT."""


class WordPiece:
    """Parts texts into pieces. Safe to call from several threads."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """`vocabulary`: the pieces in the order of their numbers. Raises ValueError if a special piece is missing."""
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}
        for special in (BEGIN, END, UNKNOWN):
            if special not in self._numbers:
                raise ValueError(f"the vocabulary does not hold {special}")
        self._unknown = self._numbers[UNKNOWN]
        self._longest = max(map(len, vocabulary))
        self._kinds = kinds_of(vocabulary)
        self._characters = Characters()
        self._words: dict[str, list[int]] = {}

    def pieces(self, text: str) -> list[int]:
        """Return the numbers of a text's pieces between `BEGIN` and `END`; [] for a text without any.

        Of a text the first `MOST_CHARACTERS` are read, up to `MOST_PIECES` pieces with the two around them.
        """
        result = list[int]()
        for word in self.words(text):
            result += self._pieces_of(word)
            if len(result) >= MOST_PIECES - 2:
                break
        return [self._numbers[BEGIN], *result[: MOST_PIECES - 2], self._numbers[END]] if result else []

    def is_english(self, text: str, pieces: Sequence[int]) -> bool:
        """Return whether a text with these pieces, as `pieces` returns them, is English; False for one without any."""
        return is_english(text[:MOST_CHARACTERS], pieces, self._kinds)

    def words(self, text: str) -> list[str]:
        """Return the words and punctuation marks of a text's first `MOST_CHARACTERS`, in lower case and no accents."""
        return unicodedata.normalize("NFD", beginning(text, MOST_CHARACTERS)).translate(self._characters).split()

    def _pieces_of(self, word: str) -> list[int]:
        known = self._words.get(word)
        if known is not None:
            return known
        found = self._parted(word)
        if len(word) <= LONGEST_WORD:
            if len(self._words) >= REMEMBERED_WORDS:
                self._words.clear()
            self._words[word] = found
        return found

    def _parted(self, word: str) -> list[int]:
        """Return the pieces of a word: at each place the longest that fits."""
        if len(word) > LONGEST_WORD:
            return [self._unknown]
        found, start, before = list[int](), 0, ""
        while start < len(word):
            for end in range(min(len(word), start + self._longest), start, -1):
                number = self._numbers.get(before + word[start:end])
                if number is not None:
                    break
            else:
                return [self._unknown]
            found.append(number)
            start, before = end, CONTINUED
        return found


class Characters(dict[int, str]):
    """What each character of a decomposed text becomes, for `str.translate`; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        read = as_read(chr(code))
        if len(self) < REMEMBERED_CHARACTERS:
            self[code] = read
        return read


def as_read(character: str) -> str:
    """Return a character of a decomposed text as the tokenizer reads it: in lower case, "" if it is left out."""
    category = unicodedata.category(character)
    if (character.isspace() and category != "Cc") or character in "\t\n\r":
        return " "
    if category in ("Mn", "Cc", "Cf", "Co") or character == "\ufffd":
        return ""
    if is_mark(character, category) or any(first <= ord(character) <= last for first, last in HAN):
        return f" {character} "
    return character.lower()


def is_mark(character: str, category: str) -> bool:
    """Return whether a character is a word of its own because it is punctuation, or a symbol of ASCII."""
    return category[0] == "P" or (character.isascii() and category[0] == "S")
