"""English words for times: the patterns that readers share, and a match of a pattern as a reader gets it.

Owns what the words mean. Reads nothing by itself: `english` and `digits` do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from engram.text.dates.moments import DAYS_OF, PARTS, Time
from engram.times import MONTHS, SEASONS, WEEKDAYS

TAKEN = "\0"
"""Replaces the characters that a reader has used, so that no other reader uses them."""
SHORT_MONTHS = tuple(month[:3] for month in MONTHS)
SHORT_WEEKDAYS = tuple(day[:3] for day in WEEKDAYS)
HOLIDAYS = {  # month, day, days
    "christmas": (12, 24, 3),
    "xmas": (12, 24, 3),
    "christmas eve": (12, 24, 1),
    "christmas day": (12, 25, 1),
    "boxing day": (12, 26, 1),
    "new year's eve": (12, 31, 1),
    "new year's day": (1, 1, 1),
    "new year's": (1, 1, 1),
    "new year": (1, 1, 1),
    "valentine's day": (2, 14, 1),
    "halloween": (10, 31, 1),
    "epiphany": (1, 6, 1),
    "twelfth night": (1, 5, 2),
    "burns night": (1, 25, 1),
    "australia day": (1, 26, 1),
    "waitangi day": (2, 6, 1),
    "saint valentine's day": (2, 14, 1),
    "valentines day": (2, 14, 1),
    "saint patrick's day": (3, 17, 1),
    "st patrick's day": (3, 17, 1),
    "april fool's day": (4, 1, 1),
    "april fools": (4, 1, 1),
    "anzac day": (4, 25, 1),
    "may day": (5, 1, 1),
    "juneteenth": (6, 19, 1),
    "canada day": (7, 1, 1),
    "fourth of july": (7, 4, 1),
    "independence day": (7, 4, 1),
    "bastille day": (7, 14, 1),
    "labor day": (9, 1, 7),  # the first Monday is one of them
    "all saints' day": (11, 1, 1),
    "all souls' day": (11, 2, 1),
    "day of the dead": (11, 1, 2),
    "bonfire night": (11, 5, 1),
    "guy fawkes night": (11, 5, 1),
    "remembrance day": (11, 11, 1),
    "veterans day": (11, 11, 1),
    "st nicholas day": (12, 6, 1),
    "thanksgiving": (11, 22, 7),  # the fourth Thursday is one of them
}
EASTERS = {  # days after Easter Sunday, days
    "easter": (-2, 4),
    "good friday": (-2, 1),
    "easter sunday": (0, 1),
    "easter monday": (1, 1),
    "ash wednesday": (-46, 1),
    "palm sunday": (-7, 1),
    "pentecost": (49, 2),
    "whitsun": (49, 2),
    "holy week": (-7, 8),
    "maundy thursday": (-3, 1),
    "shrove tuesday": (-47, 1),
    "mardi gras": (-47, 1),
    "ascension day": (39, 1),
}
NUMBERS = {"a": 1, "an": 1, "the": 1, "one": 1, "couple": 2, "two": 2, "few": 3, "three": 3, "several": 4, "four": 4}
NUMBERS |= {"five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12}
NUMBERS |= {"thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "eighteen": 18, "twenty": 20, "thirty": 30}
STEPS = {"last": -1, "past": -1, "previous": -1, "this": 0, "next": 1, "coming": 1}
MONTH = rf"(?:{'|'.join([*MONTHS, *SHORT_MONTHS])}|sept)\b"
NAME = rf"(?P<name>{MONTH}|(?:{'|'.join([*SEASONS, *sorted((*HOLIDAYS, *EASTERS), reverse=True)])})\b)"
WEEKDAY = rf"(?:{'|'.join(WEEKDAYS)}|mon|tues?|wed|thur?s?|fri|sat|sun)\b"
UNIT = rf"(?P<unit>{'|'.join(DAYS_OF)})"
COUNT = rf"(?P<count>\d{{1,4}}|(?:a\s++)?(?:couple|few)(?:\s++of)?|{'|'.join(sorted(NUMBERS, reverse=True))})"
WHICH = r"(?P<which>(?:this\s++)?(?:past|coming)|last|previous|this|next)\s++"
YEAR = r"(?:(?:,\s*+|\s++)(?:(?:of|in)\s++)?(?P<year>[12]\d{3}\b|(?:last|this|next) year\b))?"
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth".split()
ORDINALS = [
    *_ORDINALS,
    *"tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth".split(),
    "twentieth",
    *(f"twenty-{name}" for name in _ORDINALS),
    "thirtieth",
    "thirty-first",
]
"""The days of a month, from the first."""
ORDINAL = rf"(?:{'|'.join(sorted(ORDINALS, reverse=True))})\b"
NTH = r"(?:st|nd|rd|th)?"
TO = rf"(?:\s*+(?:-|to|and|through|until)\s*+(?:the\s++)?(?P<last>\d{{1,2}}){NTH}(?![\w:/]))?"
PART = rf"(?:\s++(?P<part>{'|'.join(PARTS)})\b)?"
LEAD = (
    r"\b(in|on|at|over|during|since|until|till|before|after|of|from|between|through|throughout|around|early|mid|late)"
    rf"[\s-]+(?:the\s++)?(?:{MONTH}\.?\s++(?:and|or|to|through|until)\s++|{WEEKDAY},?\s++(?:the\s++)?)?$"
)
AS_VERB = r"\s++(?:i|we|you|he|she|they|it|be|have|not|also|well|never|still|the)\b"


@dataclass(frozen=True, slots=True)
class Reading:
    """A part of the query, from `begin` to `stop`, and the times that it can mean."""

    begin: int
    stop: int
    times: tuple[Time, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """A match of a pattern, as its reader gets it."""

    match: re.Match[str]
    """Its text is in lower case."""
    text: str
    """The query in its original case."""
    clock: datetime
    lead: str
    """The preposition before it ("in", "since"); "" for none."""

    def __getitem__(self, name: str) -> str:
        """Return the text of a named group; "" if it did not match."""
        return self.match[name] or ""

    def before(self, most: int) -> str:
        """Return up to `most` characters before the match, in lower case."""
        return self.match.string[max(0, self.match.start() - most) : self.match.start()]

    def capital(self) -> bool:
        """Return whether its name is capitalised, and not all in capitals."""
        return self.text[self.match.start("name") : self.match.end("name")].istitle()

    def verb(self) -> bool:
        """Return whether the next word makes its name a verb ("may I")."""
        return compiled(AS_VERB).match(self.match.string, self.match.end("name")) is not None

    def step(self) -> int | None:
        """Return -1 for "last" and its synonyms, 0 for "this", 1 for "next"; None without such a word."""
        return STEPS[self["which"].split()[-1]] if self["which"] else None

    def year(self) -> int | None:
        """Return the year after a date, in digits or as "last year"; None without one."""
        word = self["year"].partition(" ")[0]
        return self.clock.year + STEPS[word] if word in STEPS else int(word) if word else None


Reader = Callable[[Words], list[Time]]


class Readers(list[tuple[str, Reader]]):
    """Patterns with their readers, in the order in which they are tried."""

    def reads(self, *patterns: str) -> Callable[[Reader], Reader]:
        """Register a reader for these patterns."""

        def enter(reader: Reader) -> Reader:
            self.extend((pattern, reader) for pattern in patterns)
            return reader

        return enter


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern, compiled when a query first needs it, so that the import stays fast."""
    return re.compile(pattern)


def lead_before(text: str, end: int) -> str:
    """Return the preposition before a position of `text` that introduces a time; "" if there is none."""
    match = compiled(LEAD).search(text[max(0, end - 40) : end])
    return match[1] if match else ""


def month_of(name: str) -> int:
    """Return the number of a month, 1 to 12."""
    return SHORT_MONTHS.index(name[:3]) + 1


def date_of(words: str) -> int:
    """Return the day of a month, 1 to 31, that digits or a word name."""
    return int(words) if words.isdecimal() else ORDINALS.index(words) + 1


def slot(name: str) -> tuple[int, int]:
    """Return the weekday, 0 for Monday, on which a weekday or the weekend begins, and its number of days."""
    return (5, 2) if name == "weekend" else (SHORT_WEEKDAYS.index(name[:3]), 1)


def number(words: str) -> int:
    """Return the number that digits or words name ("a couple of")."""
    return int(words) if words.isdecimal() else [NUMBERS[w] for w in words.split() if w in NUMBERS][-1]
