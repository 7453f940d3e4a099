"""Texts that tell of a time: whether what was said at one moment names another, in any of the languages.

Owns how freely such a text is read. A query names its time in the words of one language; who tells of a day mixes
languages, spells as they please and says "on the 11th" of a month that goes without saying. Since the time is given,
the text is only asked whether it names that one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from itertools import islice

from engram.text.dates.parse import periods
from engram.text.dates.period import DAY, Period
from engram.text.dates.tables import TABLES
from engram.text.dates.words import SHORT_MONTHS, SHORT_WEEKDAYS, compiled
from engram.text.passages import units
from engram.times import MONTHS, WEEKDAYS

LONGEST = 2_000
"""Characters of a text in which a time is looked for."""
MOST_UNITS = 40
"""Sentences and lines of a text that are read."""
MOST_NAMED = timedelta(days=9)
"""Longest time by which a text names a day."""
MOST_DAYS = 3
"""Days of a time up to which a text may name it by the number of one of its days."""
A_YEAR, A_MONTH, A_WEEK = 366, 31, 7
"""Days within which a month and a day mean that day, the number of a day does, and the name of a weekday."""
CLOCK_CHANGE = timedelta(hours=1)
"""How far the asker's clock may have been put forward or back since."""

UNIT_AFTER = r"(?!\d|[.,:/]\d|-\d|\s*(?:[%€$£°]|(?:km|kg|cm|mm|ml|min|h|euros?|eur)\b))"
"""What a number before it is no day of a month."""


def tells_of(text: str, at: datetime, asked: Sequence[Period]) -> bool:
    """Return whether a text that was said at `at`, aware, names one of `asked`: "yesterday", "on Saturday", "the 12th".

    asked: in the zone of whoever asks (`Period.ahead`).
    """
    read = text[:LONGEST]
    local = at.astimezone(timezone(asked[0].ahead) if asked else UTC)
    clocks = {moment.date(): moment for moment in (local - CLOCK_CHANGE, local + CLOCK_CHANGE, local)}
    days = {day for period in asked for day in days_of(period)}
    lowered = read.lower()
    if any(names_day(lowered, said, day) for said in clocks for day in days):
        return True
    sentences = [read[begin:end] for begin, end in islice(units(read), MOST_UNITS)]
    named = (period for sentence in sentences for clock in clocks.values() for period in periods(sentence, clock))
    short = (period for period in named if period.end - period.start <= MOST_NAMED)
    return any(same_time(told, period) for told in short for period in asked)


def same_time(told: Period, asked: Period) -> bool:
    """Return whether two periods have a moment in common; a told one without a year may be that of the year after."""
    years = (timedelta(0), timedelta(days=365), timedelta(days=366)) if told.yearly else (timedelta(0),)
    return any(told.start + year < asked.end and asked.start < told.end + year for year in years)


def days_of(period: Period) -> list[date]:
    """Return the local dates of a period of few days; none of a longer one."""
    if period.end - period.start > MOST_DAYS * DAY:
        return []
    first = (period.start + period.ahead).date()
    last = (period.end + period.ahead - timedelta(microseconds=1)).date()
    return [first + number * DAY for number in range((last - first).days + 1)]


def names_day(text: str, said: date, day: date) -> bool:
    """Return whether a text in lower case, said on a date, names a day by its date, number or weekday's short name."""
    away = (said - day).days
    if abs(away) > A_YEAR:
        return False
    if compiled(dated(day.month, day.day, day.year)).search(text):
        return True
    if abs(away) > A_MONTH:
        return False
    if compiled(numbered(day.day)).search(text):
        return True
    return (0 <= away < A_WEEK and compiled(weekday(day.weekday())).search(text) is not None) or (
        away == 1 and compiled(r"\b(?:last\s+nite|yday|yest|ystrday|yesterda)\b").search(text) is not None
    )


@cache
def dated(month: int, number: int, year: int) -> str:
    """Return the pattern of a date without a year, or of that year, in all languages: "13. September", "sept 13th"."""
    names = {MONTHS[month - 1], SHORT_MONTHS[month - 1]}
    for table in TABLES.values():
        for key in ("months", "short"):
            groups = table.get(key, "").split("|")
            names |= {word.rstrip("~") for word in groups[month - 1].split()} if len(groups) == len(MONTHS) else set()
    written = "|".join(sorted((re.escape(name) for name in names), reverse=True))
    another = rf"(?!,?\s+(?:de\s+|of\s+)?(?!{year})(?:19|20)\d\d)"
    return (
        rf"(?<![\w.,:/-])0?{number}(?:st|nd|rd|th|er|[.ºª])?\s*(?:of\s+|de\s+)?(?:{written})(?!\w){another}"
        rf"|(?<!\w)(?:{written})\.?\s*(?:the\s+)?0?{number}(?:st|nd|rd|th|日|號|号|일)?(?!\w){another}"
    )


@cache
def numbered(number: int) -> str:
    """Return the pattern of a day of the month by its number, in all languages: "el día 11", "on the 11th", "11日"."""
    before = {word.replace("_", r"\s+") for table in TABLES.values() for word in table.get("date", "").split()}
    after = {word for table in TABLES.values() for word in table.get("date_after", "").split()}
    unit = {word for table in TABLES.values() for word in table.get("units", "").partition("|")[0].split()}
    lead = "|".join(sorted(before, reverse=True))
    days = "|".join(sorted((re.escape(word) for word in unit), reverse=True))
    ending = "|".join(sorted(after, reverse=True))
    return (
        rf"(?<!\w)(?<!\bi )(?:{lead})\s*(?:(?:{days})\s*)?0?{number}(?:er|[.ºª])?(?!\w){UNIT_AFTER}"
        rf"|(?<![\w.,:/-])0?{number}(?:\s*(?:{ending})|(?:st|nd|rd|th)\b)"
    )


@cache
def weekday(number: int) -> str:
    """Return the pattern of a weekday's English name as it is written in haste: "thurs", "on sat", "fri night"."""
    short = SHORT_WEEKDAYS[number]
    longer = WEEKDAYS[number][: 5 if number == 3 else 4]
    part = r"\s+(?:arvo|am|pm|morning|afternoon|evening|eve|night|nite)\b"
    return rf"\b{longer}\b|\b(?:on|last|this)\s+{short}\b|\b{short}{part}"
