"""Tellings: the sentences of a turn, by what they name and how they go on about it.

Owns when a sentence goes on about what the one before it names, and when it is nothing but talk. Pure functions in time
proportional to the length of the text.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache

from engram.reflection.names import COMMON, READ, named_in_sentence, tokens
from engram.text.common import share_of
from engram.text.passages import units

CACHED = 1_024
"""Texts whose sentences are kept."""
LONGEST_CACHED = 4_096
"""Characters of a text up to which its sentences are kept."""
TAG = 6
"""Words around what is said up to which a sentence is only talk: "said Corvo without looking up"."""

_PRONOUNS = frozenset(
    """
    he she it they him her them his hers its their theirs
    er sie es ihr ihm ihn ihnen il elle ils elles lui leur él ella ellos ellas ele ela eles elas lei loro essi
    hij zij ze haar on ona ono oni one jego jej han hon hun den det dem
    он она оно они его её ему ей им их onlar
    """.split()
)
"""Pronouns of the third person with which a sentence goes on about whom the one before it names."""
FIRST_WORD = re.compile(r"[^\W_]+")
_SAID = re.compile(r"[“\"«„「『][^“”\"«»„「」『』]*(?:[”\"»“」』]|\Z)|\A[^“”\"«»„「」『』]*[”»」』]")
"""What is said, between quotation marks; it may begin or end in another sentence."""


class Sentence:
    """A sentence of a turn. What takes time to read is read when it is asked for."""

    __slots__ = ("__dict__", "_text", "begins_paragraph", "start", "stop")

    def __init__(self, text: str, start: int, stop: int, begins_paragraph: bool) -> None:
        """start, stop: where it begins and ends in the text of the turn, in characters."""
        self._text, self.start, self.stop = text, start, stop
        self.begins_paragraph = begins_paragraph

    @property
    def text(self) -> str:
        """The sentence, verbatim."""
        return self._text[self.start : self.stop]

    @cached_property
    def content(self) -> str:
        """Its stems that are not common words, in their order, each with a space before and after it."""
        keys = (key for token in tokens(self.text) for key in token.keys if share_of(key) < COMMON)
        return f" {' '.join(keys)} "

    @cached_property
    def goes_on(self) -> bool:
        """Whether it begins with a pronoun of the third person, and no paragraph."""
        first = None if self.begins_paragraph else FIRST_WORD.search(self.text)
        return first is not None and first[0].casefold() in _PRONOUNS

    @cached_property
    def named(self) -> dict[str, bool]:
        """The keys of what it names and of its words that tell something: whether each is written as a name."""
        found: dict[str, bool] = {}
        for each in named_in_sentence(self._text, (self.start, self.stop)):
            found[each.key] = found.get(each.key, False) or each.is_name
        return found

    @cached_property
    def names(self) -> frozenset[str]:
        """The keys of what is written as a name in it."""
        return frozenset(key for key, is_name in self.named.items() if is_name)

    @cached_property
    def only_talk(self) -> bool:
        """Whether it is what somebody says, with at most `TAG` words around it."""
        return is_only_talk(self.text)

    def names_phrase(self, phrase: tuple[str, ...]) -> bool:
        """Return whether it has some stems next to each other, common words left out."""
        return f" {' '.join(phrase)} " in self.content


def sentences_of(text: str) -> tuple[Sentence, ...]:
    """Return the sentences of the first `READ` characters of a text."""
    return _cached(text) if len(text) <= LONGEST_CACHED else _read(text)


def _read(text: str) -> tuple[Sentence, ...]:
    found: list[Sentence] = []
    fresh = True
    for start, stop in units(text[:READ]):
        part = text[start:stop]
        body = part.strip()
        if body:
            begin = start + part.index(body)
            found.append(Sentence(text, begin, begin + len(body), fresh))
        fresh = not body or "\n" in part[len(part.rstrip()) :]
    return tuple(found)


_cached = lru_cache(maxsize=CACHED)(_read)


def without_talk(sentence: str) -> str:
    """Return a sentence without what stands in it between quotation marks."""
    return _SAID.sub(" ", sentence)


def is_only_talk(sentence: str) -> bool:
    """Return whether a sentence is what somebody says, between quotation marks, with at most `TAG` words around it."""
    around = without_talk(sentence)
    return around != sentence and len(around.split()) <= TAG
