"""Texts that tell of a time: whether what was said at one moment names another, in any of the languages.

Owns how freely such a text is read. A query names its time in the words of one language; who tells of a day mixes
languages, spells as they please and says "on the 11th" of a month that goes without saying. Since the time is given,
the text is only asked whether it names that one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import islice

from engram.text.dates.parse import periods
from engram.text.dates.period import DAY, Period
from engram.text.dates.tables import TABLES
from engram.text.dates.words import SHORT_MONTHS, SHORT_WEEKDAYS, compiled
from engram.text.passages import units
from engram.times import MONTHS

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

MONTHS_OF: dict[str, set[int]] = {}
"""The months that a name means, in any language: some names differ from language to language."""
for _table in [*TABLES.values(), {"months": "|".join(MONTHS), "short": "|".join(SHORT_MONTHS)}]:
    for _key in ("months", "short"):
        for _number, _names in enumerate(_table.get(_key, "").split("|"), 1):
            for _name in _names.split():
                MONTHS_OF.setdefault(_name.rstrip("~").replace("_", " "), set()).add(_number)


def _words(key: str, group: int | None = None) -> str:
    """Return the words of all languages' tables under a key, or of one group there, for a pattern."""
    texts = [table.get(key, "") for table in TABLES.values()]
    groups = texts if group is None else [text.split("|")[group] for text in texts]
    found = {word.replace("_", " ") for text in groups for word in text.replace("|", " ").split()}
    return "|".join(re.escape(word) for word in sorted(found, reverse=True))


UNIT_AFTER = r"(?!\d|[.,:/]\d|-\d|\s*(?:[%€$£°]|(?:km|kg|cm|mm|ml|min|h|euros?|eur)\b))"
"""What a number before it is no day of a month."""
_FIRST, _SECOND = ("".join(sorted({re.escape(name[n : n + 1]) for name in MONTHS_OF})) for n in (0, 1))
_NAMES = rf"(?=[{_FIRST}][{_SECOND}])(?:" + "|".join(re.escape(name) for name in sorted(MONTHS_OF, reverse=True)) + ")"
"""The names of the months. Two signs are looked at before the names are tried, of which there are some hundreds."""
DATED = (
    rf"(?<![\w.,:/-])(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|[.ºª])?\s{{0,3}}+(?:of\s|de\s)?(?P<month>{_NAMES})(?!\w)"
    r"(?:,?\s(?:de\s|of\s)?(?P<year>(?:19|20)\d\d)(?!\d))?"
    rf"|(?<!\w)(?P<month_before>{_NAMES})\.?\s{{0,3}}+(?:the\s)?(?P<day_after>\d{{1,2}})(?:st|nd|rd|th|日|號|号|일)?(?!\w)"
    r"(?:,?\s(?P<year_after>(?:19|20)\d\d)(?!\d))?"
)
"""A day and a month, in any order and language: "13. September", "sept 13th, 2025"."""
NUMBERED = (
    rf"(?<!\w)(?<!\bi )(?:{_words('date')})\s{{0,3}}(?:(?:{_words('units', 0)})\s{{0,3}})?"
    rf"(\d{{1,2}})(?:er|[.ºª])?(?!\w){UNIT_AFTER}"
    rf"|(?<![\w.,:/-])(\d{{1,2}})(?:\s{{0,3}}+(?:{_words('date_after')})|(?:st|nd|rd|th)\b)"
)
"""The number of a day of a month: "el día 11", "on the 11th", "11日"."""
_SHORT = "|".join(SHORT_WEEKDAYS)
WEEKDAY = (
    r"\b(?:mond|tues|wedn|thurs?|frid|satu|sund)\b"
    rf"|\b(?:on|last|this)\s(?:{_SHORT})\b"
    rf"|\b(?:{_SHORT})\s(?:arvo|am|pm|morning|afternoon|evening|eve|night|nite)\b"
)
"""A weekday's English name as it is written in haste: "thurs", "on sat", "fri night"."""
LAST_NIGHT = r"\b(?:last\snite|yday|yest|ystrday|yesterda)\b"
"""Yesterday, as it is written in haste."""


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
    for found in compiled(DATED).finditer(text):
        number, month = found["day"] or found["day_after"], found["month"] or found["month_before"]
        year = found["year"] or found["year_after"]
        if int(number) == day.day and day.month in MONTHS_OF[month] and year in (None, str(day.year)):
            return True
    if abs(away) > A_MONTH:
        return False
    if any(int(found[1] or found[2]) == day.day for found in compiled(NUMBERED).finditer(text)):
        return True
    if away == 1 and compiled(LAST_NIGHT).search(text):
        return True
    if not 0 <= away < A_WEEK:
        return False
    short = SHORT_WEEKDAYS[day.weekday()]
    return any(short in found[0] for found in compiled(WEEKDAY).finditer(text))
