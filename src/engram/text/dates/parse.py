"""Parsing of times: the periods that a query means.

Owns the order of the steps, and the way from a time of the asker's clock to a period. Knows no words: `english`,
`digits` and `languages` do, and `composing` knows those around them. Knows no score and filters nothing out.

Days are those of the clock of `now`. Weeks begin on Monday. Summer is June to August. Winter is December to February
and has the year in which it begins. Hand-written because the libraries that parse dates return a moment instead of a
period, and take "may" and "sun" for times.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from functools import cache

from engram.text.dates import digits, english
from engram.text.dates.composing import composed
from engram.text.dates.languages import may_name_a_time, readings_in
from engram.text.dates.moments import DAYS_OF, PARTS, Time
from engram.text.dates.narrowing import EDGES
from engram.text.dates.period import FIRST, LAST, Period
from engram.text.dates.tables import ENGLISH_LIGHT
from engram.text.dates.words import (
    EASTERS,
    HOLIDAYS,
    MONTH,
    NUMBERS,
    ORDINALS,
    STEPS,
    TAKEN,
    WEEKDAY,
    Reading,
    Words,
    compiled,
    lead_before,
)
from engram.times import MONTHS, SEASONS, WEEKDAYS

LONGEST_QUERY = 4096
"""Characters of a query that are parsed. A longer query is a pasted text, and its times are not what it asks for."""
MOST_READ = 8
"""Number of times that are read in a query; further ones are ignored."""
# Typographic signs to ASCII, and the one letter that becomes two in lower case.
ODD = str.maketrans("İ’‘–—−", "I''---")
SUSPECT = (
    rf"\d|\b(?:{MONTH}|(?:{WEEKDAY}|{'|'.join([*SEASONS, *HOLIDAYS, *EASTERS])}|today|yesterday|tomorrow|tonight"
    "|yday|tmrw|tomoz|tonite|nite"
    rf"|recently|lately|late|ago|weekend|(?:on|since|until|till|from) the|(?:{'|'.join([*DAYS_OF, *PARTS])})s?)\b)"
)
"""Occurs in every query that means a time. Without a match no other pattern is tried."""


READERS = [
    *((True, pattern, reader) for pattern, reader in digits.READERS),
    *((False, pattern, reader) for pattern, reader in (*english.READERS, *digits.YEARS)),
]
"""Whether it reads dates in digits, pattern and reader, in the order in which they are tried."""


def periods(query: str, now: datetime) -> list[Period]:
    """Return every time that `query` means, in the order of the query; empty if none. Never raises for any text.

    A naive `now` is taken as UTC. A date that can be read day first or month first gives both readings.
    """
    text = query[:LONGEST_QUERY].translate(ODD).lower()
    if not compiled(SUSPECT).search(text) and not may_name_a_time(text):
        return []
    zone = UTC if now.utcoffset() is None else now.tzinfo
    times = [
        (query[r.begin : r.stop], time) for r in readings(query, text, now.replace(tzinfo=UTC)) for time in r.times
    ]
    return list(dict.fromkeys(period(time, words, zone) for words, time in times))


def readings(query: str, text: str, clock: datetime) -> list[Reading]:
    """Return the times in `text`, the lower-case `query`, in their order, read in its language."""
    dates, left = matched(True, query, text, text, clock)
    words = [word for word in compiled(r"[^\W\d_]+").findall(text) if word in english_words()]
    others, surely = readings_in(text, len(words), dates, clock)
    if others and surely:
        return others
    found, _ = matched(False, query, text, left, clock)
    here = list(composed(sorted(dates + found, key=lambda reading: reading.begin)[:MOST_READ], text))
    return others if others and evidence(others) > evidence(here) else here


def evidence(found: list[Reading]) -> float:
    """Return how many characters some readings explain, by how sure they are."""
    return sum((reading.stop - reading.begin) * max(time.weight for time in reading.times) for reading in found)


def matched(dates: bool, query: str, text: str, left: str, clock: datetime) -> tuple[list[Reading], str]:
    """Return what is read in `left`, the rest of `text`, and what is left then; no two readings overlap.

    dates: whether to read dates in digits, or all other times.
    """
    result = list[Reading]()
    for in_digits, pattern, reader in READERS:
        if in_digits is not dates:
            continue
        for match in compiled(pattern).finditer(left):
            times: list[Time] = []
            # A date that does not exist is not a time.
            with suppress(ValueError, OverflowError):
                times = reader(Words(match, query, clock, lead_before(text, match.start())))
            if times:
                result.append(Reading(match.start(), match.end(), tuple(times)))
                left = left[: match.start()] + TAKEN * len(match[0]) + left[match.end() :]
            if len(result) >= MOST_READ:
                return result, left
    return result, left


@cache
def english_words() -> frozenset[str]:
    """Return the English words that tell that a query is in English."""
    times = "yesterday today tomorrow tonight ago weekend days weeks months years recently lately half"
    named = (*MONTHS, *WEEKDAYS, *SEASONS, *ORDINALS, *DAYS_OF, *STEPS, *NUMBERS, *PARTS, *EDGES)
    return frozenset((*ENGLISH_LIGHT.split(), *times.split(), *named))


def period(time: Time, words: str, zone: tzinfo | None) -> Period:
    """Convert a time from the asker's `zone` to a period in UTC."""
    start, end = utc(time.start, zone), utc(time.end, zone)
    return Period(start, end, words, time.yearly, time.weight, time.start - start)


def utc(local: datetime, zone: tzinfo | None) -> datetime:
    """Convert a local time to UTC, clipped to the range of datetime."""
    try:
        return local if local in (FIRST, LAST) else local.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return FIRST if local.year < 5000 else LAST
