"""Names: the people, places and things that a text names, by how it is written.

Owns what counts as a name: capitals inside a sentence, short quotations, and words that are rare in their language. A
text is compared by its *keys*: stems of folded words, so that inflected forms are one name. In scripts without spaces
(Chinese, Japanese, Thai ...) the keys are pairs of characters, and only a quoted run is a name as a whole. Pure
functions in time proportional to the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from engram.text.analyzer import stem_of
from engram.text.common import share_of
from engram.text.passages import Span, units
from engram.text.tokenizer import UNSPACED_RUN, words
from engram.times import MONTHS, WEEKDAYS

NAMES = 1
"""Number of the way in which names are found; it grows with every change of it, so that they are found again."""
READ = 65_536
"""Characters of a text that are read."""
MOST = 160
"""Words of a text that are kept besides its names: the rarest ones."""
COMMON = 1e-3
"""Share among all words of its language from which a word stands for nothing by itself, with a capital or without."""
RARE_FIRST = 5e-5
"""Share under which the first word of a sentence belongs to the name that goes on after it: "Dame Ferrol"."""
LONGEST_NAME = 6
"""Words of a name at most."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_BETWEEN = re.compile(r"(?:[ \u00a0]|-|[.] )\Z")
"""What stands between the words of a name; the point is that of "Dr. Vesey"."""
_PARTICLES = frozenset("of the de del la le les du da do dos van von der den di al el bin ibn zu auf y".split())
"""Words without a capital inside a name: "Keeper of the Lamps"."""
_QUOTED = re.compile(r"[“\"«„「『《]([^“”\"«»„「」『』《》\n]{1,40})[”\"»“」』》]")
_CALENDAR = frozenset(stem_of(word.lower()) for word in (*MONTHS, *WEEKDAYS))
_ENDS = tuple(".,!?;:…。，！？、")
_OPENED = "“\"«„「『《(‘'[*_—–-:"


class Token(NamedTuple):
    """A word of a text, or a run of a script without spaces."""

    start: int
    stop: int
    keys: tuple[str, ...]


class Named(NamedTuple):
    """A name, or a rare word, where it stands."""

    start: int
    stop: int
    key: str
    """Its stems, with a space between them."""
    is_name: bool
    """Whether it is written as a name, and is not only a rare word."""


class Known(NamedTuple):
    """What is known of a word wherever it stands."""

    keys: tuple[str, ...]
    telling: tuple[str, ...]
    """Those of its keys that may stand for a thing."""
    capital: bool
    """Whether it begins with a capital that may be that of a name."""
    share: float
    """Of its first key, as `share_of` returns it."""


class Sentence(NamedTuple):
    """The n words of a sentence."""

    words: list[str]
    starts: list[int]
    """Where they begin in the text."""
    known: list[Known]
    capital: list[bool]
    """Whether each has a capital that tells something."""

    def stop(self, index: int) -> int:
        """Return where a word ends in the text."""
        return self.starts[index] + len(self.words[index])

    def joined(self, first: int, last: int) -> str:
        """Return the key of the words from `first` up to `last`."""
        return " ".join(key for word in self.known[first:last] for key in word.keys)


@lru_cache(maxsize=200_000)
def keys_of(word: str) -> tuple[str, ...]:
    """Return the stems of a word; of a run of a script without spaces, those of its pairs of characters."""
    found = words(word)
    if len(found) > 1 and UNSPACED_RUN.search(word):
        found = [each for each in found if len(each) > 1]
    return tuple(map(stem_of, found))


@lru_cache(maxsize=200_000)
def number_of(key: str) -> int:
    """Return the number of a key: 62 bits, the same in every process. A number does not tell its key."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") >> 2


def tokens(text: str, span: Span | None = None) -> list[Token]:
    """Return the words of a text, or of a span of it, in their order, with their places in the text."""
    start, stop = span or (0, len(text))
    return [Token(m.start(), m.end(), keys_of(m[0])) for m in _WORD.finditer(text, start, stop)]


def key_of(text: str) -> str:
    """Return the key of a name: the same for all of its inflected forms; "" for a text without words."""
    return " ".join(key for token in tokens(text) for key in token.keys)


@lru_cache(maxsize=200_000)
def tells(key: str) -> bool:
    """Return whether a key may stand for a thing: it has letters and is no common word."""
    return not key.isdigit() and len(key) > 1 and share_of(key) < COMMON


@lru_cache(maxsize=200_000)
def known(word: str) -> Known:
    """Return what is known of a word."""
    keys = keys_of(word)
    capital = word[0].isupper() or word[0].istitle()
    return Known(
        keys,
        tuple(filter(tells, keys)),
        capital and len(keys) == 1 and len(word) > 1 and keys[0] not in _CALENDAR,
        share_of(keys[0]) if keys else 0.0,
    )


def names_in(text: str) -> dict[str, bool]:
    """Return the keys of what a text names, and whether each is written as a name. At most `MOST` are only rare."""
    found: dict[str, bool] = {}
    text = text[:READ]
    quotes = _QUOTED.search(text) is not None
    for span in units(text):
        read = _read(text, span)
        names, inside = _names(text, read)
        for first, last, sure in names:
            key = read.joined(first, last)
            found[key] = found.get(key, False) or sure
        for word in read.known:
            for key in word.telling:
                found.setdefault(key, False)
        for index in inside:
            found[read.known[index].keys[0]] = True
        if quotes:
            found.update((each.key, True) for each in _quoted(text, span))
    plain = [key for key, is_name in found.items() if not is_name]
    if len(plain) > MOST:
        for key in sorted(plain, key=share_of)[MOST:]:
            del found[key]
    return found


def named(text: str) -> Iterator[Named]:
    """Yield the names and telling words of a text: of a name of several words the whole, and each of its words."""
    for start, stop in units(text):
        yield from named_in_sentence(text, (start, stop))


def named_in_sentence(text: str, span: Span) -> Iterator[Named]:
    """Yield the names and telling words of one sentence of a text."""
    read = _read(text, span)
    names, inside = _names(text, read)
    for first, last, sure in names:
        yield Named(read.starts[first], read.stop(last - 1), read.joined(first, last), sure)
    for index, word in enumerate(read.known):
        is_name = index in inside
        for key in word.keys if is_name else word.telling:
            yield Named(read.starts[index], read.stop(index), key, is_name)
    yield from _quoted(text, span)


def _read(text: str, span: Span) -> Sentence:
    matches = list(_WORD.finditer(text, *span))
    words = [match[0] for match in matches]
    of_words = list(map(known, words))
    capital = [word.capital for word in of_words]
    # A sentence in capitals, or a title, tells no names.
    if sum(capital) > 4 and sum(capital) > 0.7 * len(words):
        capital = [False] * len(words)
    return Sentence(words, [match.start() for match in matches], of_words, capital)


def _names(text: str, read: Sentence) -> tuple[list[tuple[int, int, bool]], set[int]]:
    """Return the names of several words in a sentence, as `_runs` does, and which words are written as names."""
    if True not in read.capital[1:]:
        # A capital at the beginning alone makes no name.
        return [], set()
    runs = list(_runs(text, read))
    inside = {index for first, last, sure in runs if sure for index in range(first, last) if read.capital[index]}
    return [run for run in runs if run[1] - run[0] > 1], inside


def _runs(text: str, read: Sentence) -> Iterator[tuple[int, int, bool]]:
    """Yield runs of words with capitals: the first, the one after the last, and whether one is inside a sentence."""
    end = 0
    for index in (at for at, capital in enumerate(read.capital) if capital):
        if index < end:
            continue
        last = index + 1
        while last < len(read.words) and last - index < LONGEST_NAME:
            step = _joined_by(text, read, last)
            if not step:
                break
            last += step
        if all(word.share >= COMMON for word in read.known[index:last]):
            end = last
            continue
        begins = _begins(text, read, index)
        if begins and last - index > 1 and read.known[index].share >= RARE_FIRST:
            # "Yesterday Anna", or "New York": the first word may have its capital from its place.
            yield index, last, False
            index, begins = index + 1, False
        yield index, last, not begins or last - index > 1
        end = last


def _joined_by(text: str, read: Sentence, at: int) -> int:
    """Return how many words, from a word on, go on with the name before it: 0 if it does not."""
    for index in range(at, min(at + 3, len(read.words))):
        if not _BETWEEN.match(text[read.stop(index - 1) : read.starts[index]]):
            return 0
        if read.capital[index]:
            return index + 1 - at
        if read.words[index] not in _PARTICLES:
            return 0
    return 0


def _begins(text: str, read: Sentence, index: int) -> bool:
    """Return whether a word has its capital, or may have it, from its place: it begins a sentence or a quotation."""
    if index == 0:
        return True
    gap = text[read.stop(index - 1) : read.starts[index]].rstrip(" ")
    return bool(gap) and (gap[-1] in _OPENED or "." in gap or "\n" in gap)


def _quoted(text: str, span: Span) -> Iterator[Named]:
    for match in _QUOTED.finditer(text, *span):
        inside = match[1]
        key = key_of(inside)
        if key and not inside.rstrip().endswith(_ENDS) and inside.count(" ") < 4 and len(key) > 1:
            yield Named(*match.span(1), key, True)
