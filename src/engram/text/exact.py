"""Exact things: codes, numbers, names of programs and files, however their parts are joined or parted.

Owns how such a thing is read: its parts are words, and what people write for it in one word is a *form* of these parts.
A stored text and a query that write the same thing in two ways hold a common word or form. Knows no stems and no table.

For `RX-77Q_0413B` the words are rx, 77, q, 0413, b, and rx77q0413b is a form of all of them; for `iPhone15Pro` they are
iphone, 15, pro. A word of the language that is written in one word is not parted, nor is what only looks random.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from engram.text.folding import letters
from engram.text.tokenizer import (
    CLITIC,
    MARKS,
    UNSPACED,
    compatible,
    shortened,
    stream_safe,
    words,
    words_of_compatible,
)

JOINERS = r"\-_.@/:\\+\u2010"
LETTERS = r"A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u052f\uff21-\uff3a\uff41-\uff5a"
"""Latin, Greek and Cyrillic: other scripts have no capitals, and write codes in Latin letters."""
CHARACTERS = rf"0-9{LETTERS}"
_BESIDE = (
    r"(?<=[LETTERS].)|(?<=[A-Z] .)|(?=[LETTERS]|[ ().,'/\u00a0\u202f-]{1,3}[DIGIT]|[DIGIT]{7})|(?<=0)(?=[DIGIT]{4})"
)
_MARK = (
    rf"[DIGITA-Z{JOINERS}](?:(?<=[a-z][A-Z])|(?=[LETTERS0-9])(?<=[LETTERS0-9][{JOINERS}])|(?<=[DIGIT])(?:{_BESIDE}))"
)
MARKED_ASCII = re.compile(_MARK.replace("LETTERS", "A-Za-z").replace("DIGIT", "0-9"))
MARKED = re.compile(_MARK.replace("LETTERS", LETTERS).replace("DIGIT", r"\d"))
"""What every text holds that has something to be parted or joined; the first for ASCII, which takes half the time."""

_SPACE = "[ \u00a0\u202f]"
_START = rf"(?<![^\W_{UNSPACED}])(?<![{MARKS}])"
_END = rf"(?![^\W_{UNSPACED}])(?![{MARKS}])"
_GROUP = rf"(?!I\b)[A-Z0-9]{{1,12}}+(?:[.,][0-9]{{1,12}}+){{0,4}}+(?![{CHARACTERS}])"
_GAP = rf"(?:{_SPACE}?[()]{_SPACE}?|\){_SPACE}?[-/]|{_SPACE}[-/]{_SPACE}|[-/._]|{_SPACE})"
_RUN = rf"(?=[A-Z0-9])(?=[A-Z ()/-]{{0,24}}[0-9]){_GROUP}(?:{_GAP}{_GROUP}){{1,15}}+(?![{JOINERS}]\w)"
"""Groups of capital letters and digits, as numbers of phones, accounts and plates are written: with blanks."""
_JOINER = r"(?:[-_.@+\u2010]|[:/\\]{1,3}|(?<=[0-9])[,'\u2019](?=[0-9]))"
_CHUNK = rf"[{CHARACTERS}]++(?:{_JOINER}[{CHARACTERS}]++){{1,40}}+"
_MIXED = rf"(?:[A-Z]?+[a-z]*+[A-Z0-9]|[{LETTERS}]++[0-9])[{CHARACTERS}]*+"
COMPOUND = re.compile(rf"{_START}(?:{_RUN}|{_CHUNK}|{_MIXED}){_END}{CLITIC}")

_NUMBER = r"[0-9]+(?:[.,'\u2019][0-9]+)*"
_CLITIC_AT_END = re.compile(f"{CLITIC}$", re.IGNORECASE)
_SEGMENT = re.compile(rf"(?:{_NUMBER}|[^\W\d_])+")
_PIECE = re.compile(rf"{_NUMBER}|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PIECE_OF_ANY = re.compile(rf"{_NUMBER}|[^\W\d_]+")
_INNER_CAPITAL = re.compile("[a-z][A-Z]")
_PREFIX = re.compile(r"0x(?=[0-9a-f]{2,}$)|v(?=[0-9]+\.)", re.IGNORECASE)
"""What stands before numbers of base 16 and of versions, and may be left out."""
_IN_A_NUMBER = str.maketrans("", "", ".,'\u2019")
_IN_NAMES = (re.compile(""), re.compile(r"[-_+\u2010]*"), re.compile(r"[-_+\u2010.:]*"), re.compile(r"[^/\\@]*"))
"""What may stand between the parts that a form joins: in one word, in a name, in one with an ending, in a code."""
_IN_NUMBERS = (re.compile(r".*"), re.compile(r"[^\s()]*"))

_HASH = re.compile(r"(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,}")
_ORDINAL = re.compile(r"([0-9]+)(?:st|nd|rd|th)")
_IN_WORDS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
_ORDINALS = {str(number): word for number, word in enumerate(_IN_WORDS, 1)}
_AMOUNT = re.compile(r"([0-9]{1,3}(?:[ \u00a0\u202f.,'\u2019][0-9]{3})+|[0-9]+)(?:[.,]([0-9]{1,2}))?")
_DATE = re.compile(r"(?:([0-9]{4})([-./])([0-9]{1,2})\2([0-9]{1,2})|([0-9]{1,2})([-./])([0-9]{1,2})\6([0-9]{4}))")
_HOUR = re.compile(r"([01]?[0-9]|2[0-3])[:.]([0-5][0-9])")
LONGEST = 200
"""Characters of an exact thing; what is longer is no name that anybody writes in another way."""
LEAST_DIGITS = 4
"""Digits that are joined over what stands between them, at least."""
TAIL = 7
"""Last digits by which a longer number is found without what may stand before it: +49, 0."""
HEAD = 7
"""First characters by which a hash is found."""
SHORT = 4
"""Most characters of a mixed word that stays one word, if it changes twice, or has a letter that says nothing alone: it
begins with one, or ends in one of `ONE_LETTER`. So do b12, 4x4 and 12a."""
ONE_LETTER = "aeiouy"
"""Letters that are words by themselves."""

Known = Callable[[str], bool]
"""Returns whether a folded word is one of the language."""


class Form(NamedTuple):
    """What the words from `first` to before `last` are called in one word."""

    word: str
    first: int
    last: int
    is_code: bool
    """Whether the text itself writes them in one word, of letters and digits: a part of it means nothing alone."""


class Reading(NamedTuple):
    """The folded words of a text, in order, and the forms of them."""

    words: Sequence[str]
    forms: Sequence[Form]


class _Part(NamedTuple):
    word: str
    gap: str
    """What stands before it; "" if that is another part of the same word."""
    start: int
    end: int

    @property
    def plain(self) -> str:
        return self.word.translate(_IN_A_NUMBER) if self.word[0].isdigit() else self.word


def read(text: str, compound: Callable[[str], Reading]) -> Reading:
    """Return the words of `text`, with exact things in their parts, and the forms of these.

    compound: reads one such thing, as `read_compound` does.
    """
    if not (MARKED_ASCII if text.isascii() else MARKED).search(text):
        return Reading(words(text), ())
    plain = text if text.isascii() else compatible(stream_safe(text)).translate(letters())
    found: list[str] = []
    forms: list[Form] = []
    position = 0
    for match in COMPOUND.finditer(plain):
        if len(match[0]) > LONGEST:
            continue
        found += words_of_compatible(plain[position : match.start()])
        position, before = match.end(), len(found)
        parts, made = compound(match[0])
        found += parts
        forms += [form._replace(first=form.first + before, last=form.last + before) for form in made]
    found += words_of_compatible(plain[position:])
    return Reading(found, forms)


def read_compound(compound: str, known: Known) -> Reading:
    """Return the parts of an exact thing, and their forms, each once."""
    text = _CLITIC_AT_END.sub("", compound)
    parts = list(_parts(text, known))
    forms: dict[str, Form] = {}
    for word, first, last in chain(_joined(parts), _numbers(text, parts), _shorter(parts)):
        if word != parts[first].word or last > first + 1:
            is_code = last > first + 1 and not word.isalpha() and not any(part.gap for part in parts[first + 1 : last])
            forms.setdefault(word, Form(shortened(word), first, last, is_code))
    return Reading(tuple(part.word for part in parts), tuple(forms.values()))


def _parts(text: str, known: Known) -> Iterator[_Part]:
    end = 0
    for segment in _SEGMENT.finditer(text):
        gap, end = text[end : segment.start()], segment.end()
        for start, stop in _pieces(segment[0], known):
            word = _folded(segment[0][start:stop])
            if word:
                yield _Part(word, gap, segment.start() + start, segment.start() + stop)
                gap = ""


def _pieces(segment: str, known: Known) -> list[tuple[int, int]]:
    """Return where each part of letters and digits that follow each other begins and ends; at least one."""
    prefix = _PREFIX.match(segment)
    if prefix:
        return [(prefix.end(), len(segment))]
    whole = _folded(segment)
    pieces = [match.span() for match in (_PIECE if segment.isascii() else _PIECE_OF_ANY).finditer(segment)]
    if len(pieces) > 1 and pieces[0][1] == 1 and _INNER_CAPITAL.match(segment):
        # iPhone, eBay.
        pieces[:2] = [(0, pieces[1][1])]
    lone = min((end - start for start, end in pieces if segment[start].isalpha()), default=0) == 1
    short = len(whole) <= SHORT and (len(pieces) > 2 or (lone and (whole[0].isalpha() or whole[-1] in ONE_LETTER)))
    random = len(pieces) >= 5 and len(whole) < 3 * len(pieces)
    if len(pieces) < 2 or short or random or _HASH.fullmatch(whole) or _ORDINAL.fullmatch(whole) or known(whole):
        return [(0, len(segment))]
    return pieces


def _folded(word: str) -> str:
    return word.lower() if word.isascii() else "".join(words_of_compatible(word))


def _ranges(breaks: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Yield the beginning and the end of every range that no break interrupts; a break is before its index."""
    starts = [index for index, broken in enumerate(breaks) if broken or not index]
    return pairwise([*starts, len(breaks)])


def _joined(parts: Sequence[_Part]) -> Iterator[tuple[str, int, int]]:
    for allowed in _IN_NAMES:
        for first, last in _ranges([not allowed.fullmatch(part.gap) for part in parts]):
            word = "".join(part.plain for part in parts[first:last])
            if last > first + 1 and not word.isdigit():
                yield word, first, last


def _numbers(text: str, parts: Sequence[_Part]) -> Iterator[tuple[str, int, int]]:
    """Yield for each number, in groups of digits or not, its digits, its value, its date and its last digits.

    The longest number first: what stands for it stands for its groups, too.
    """
    for allowed in _IN_NUMBERS:
        digits = [part.plain.isdigit() for part in parts]
        breaks = [not (digits[i] and digits[i - 1] and allowed.fullmatch(part.gap)) for i, part in enumerate(parts)]
        for first, last in _ranges(breaks):
            if not digits[first]:
                continue
            number = "".join(part.plain for part in parts[first:last])
            source = text[parts[first].start : parts[last - 1].end]
            dates = list(_dates(source))
            amounts = list(_amount(source))
            values = [*dates, *amounts, *_hour(source)]
            if len(number) >= LEAST_DIGITS and not amounts:
                values.append(number)
            if len(number) > TAIL and not dates:
                values.append(number[-TAIL:])
            if number[0] == "0" and len(number.lstrip("0")) >= LEAST_DIGITS:
                values.append(number.lstrip("0"))
            yield from ((value, first, last) for value in values)


def _amount(source: str) -> Iterator[str]:
    """Yield an amount without marks of thousands, with a point, and without zeros at the end."""
    amount = None if source.isdigit() else _AMOUNT.fullmatch(source)
    if amount:
        whole = re.sub("[^0-9]", "", amount[1])
        cents = (amount[2] or "").rstrip("0")
        yield f"{whole}.{cents}" if cents else whole


def _hour(source: str) -> Iterator[str]:
    """Yield an hour and a minute with a colon."""
    hour = _HOUR.fullmatch(source)
    if hour:
        yield f"{int(hour[1])}:{hour[2]}"


def _dates(source: str) -> Iterator[str]:
    """Yield a day as year, month and day in digits; of a day in the order of two countries, both readings."""
    date = _DATE.fullmatch(source)
    if not date:
        return
    year, month, day = (date[1], date[3], date[4]) if date[1] else (date[8], date[7], date[5])
    orders = {(month, day), (day, month)} if date[6] == "/" else {(month, day)}
    yield from (f"{year}{m:>02}{d:>02}" for m, d in sorted(orders) if 1 <= int(m) <= 12)


def _shorter(parts: Sequence[_Part]) -> Iterator[tuple[str, int, int]]:
    """Yield the beginnings of hashes, also of those in groups, and the numbers of ordinals."""
    whole = "".join(part.word for part in parts)
    if len(parts) > 1 and len(whole) > HEAD and _HASH.fullmatch(whole):
        yield whole[:HEAD], 0, len(parts)
    for index, part in enumerate(parts):
        ordinal = _ORDINAL.fullmatch(part.word)
        if len(part.word) > HEAD and _HASH.fullmatch(part.word):
            yield part.word[:HEAD], index, index + 1
        elif ordinal:
            yield ordinal[1], index, index + 1
            word = _ORDINALS.get(ordinal[1])
            if word:
                yield word, index, index + 1
