"""Parsing of times: the periods that a query means.

Owns the order of the steps, and the way from a time of the asker's clock to a period. Knows no words: `english` and
`digits` do, and `composing` knows those around them. Knows no score and filters nothing out.

Days are those of the clock of `now`. Weeks begin on Monday. Summer is June to August. Winter is December to February
and has the year in which it begins. Hand-written because the libraries that parse dates return a moment instead of a
period, and take "may" and "sun" for times.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo

from engram.text.dates import digits, english
from engram.text.dates.composing import composed
from engram.text.dates.moments import DAYS_OF, PARTS, Time
from engram.text.dates.period import FIRST, LAST, Period
from engram.text.dates.words import EASTERS, HOLIDAYS, MONTH, TAKEN, WEEKDAY, Reading, Words, compiled, lead_before
from engram.times import SEASONS

LONGEST_QUERY = 4096
"""Characters of a query that are parsed. A longer query is a pasted text, and its times are not what it asks for."""
MOST_READ = 8
"""Number of times that are read in a query; further ones are ignored."""
# Typographic signs to ASCII, and the one letter that becomes two in lower case.
ODD = str.maketrans("İ’‘–—−", "I''---")
SUSPECT = (
    rf"\d|\b(?:{MONTH}|(?:{WEEKDAY}|{'|'.join([*SEASONS, *HOLIDAYS, *EASTERS])}|today|yesterday|tomorrow|tonight"
    rf"|recently|lately|late|ago|weekend|(?:on|since|until|till|from) the|(?:{'|'.join([*DAYS_OF, *PARTS])})s?)\b)"
)
"""Occurs in every query that means a time. Without a match no other pattern is tried."""


def periods(query: str, now: datetime) -> list[Period]:
    """Return every time that `query` means, in the order of the query; empty if none. Never raises for any text.

    A naive `now` is taken as UTC. A date that can be read day first or month first gives both readings.
    """
    text = query[:LONGEST_QUERY].translate(ODD).lower()
    if not compiled(SUSPECT).search(text):
        return []
    zone = UTC if now.utcoffset() is None else now.tzinfo
    parts = sorted(readings(query, text, now.replace(tzinfo=UTC)), key=lambda reading: reading.begin)
    times = [(query[r.begin : r.stop], time) for r in composed(parts, text) for time in r.times]
    return list(dict.fromkeys(period(time, words, zone) for words, time in times))


def readings(query: str, text: str, clock: datetime) -> Iterator[Reading]:
    """Yield what the patterns match in `text`, the lower-case `query`, pattern by pattern; no two overlap."""
    left, count = text, 0
    for pattern, reader in (*digits.READERS, *english.READERS, *digits.YEARS):
        for match in compiled(pattern).finditer(left):
            times: list[Time] = []
            # A date that does not exist is not a time.
            with suppress(ValueError, OverflowError):
                times = reader(Words(match, query, clock, lead_before(text, match.start())))
            if times:
                yield Reading(match.start(), match.end(), tuple(times))
                left = left[: match.start()] + TAKEN * len(match[0]) + left[match.end() :]
                count += 1
            if count >= MOST_READ:
                return


def period(time: Time, words: str, zone: tzinfo | None) -> Period:
    """Convert a time from the asker's `zone` to a period in UTC."""
    start, end = utc(time.start, zone), utc(time.end, zone)
    return Period(start, end, words, time.yearly, time.weight, time.start - start if time.yearly else timedelta(0))


def utc(local: datetime, zone: tzinfo | None) -> datetime:
    """Convert a local time to UTC, clipped to the range of datetime."""
    try:
        return local if local in (FIRST, LAST) else local.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return FIRST if local.year < 5000 else LAST
