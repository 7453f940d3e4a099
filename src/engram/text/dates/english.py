"""Readers of the times that English words name.

Owns which words mean a time, and which of them usually mean something else: "may I", "the sun sat", "the fall".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from engram.text.dates.moments import DAYS_OF, PARTS, UNSURE, Time, around, chosen, day, months, moved, part_of, shifted
from engram.text.dates.period import DAY, midnight
from engram.text.dates.words import (
    COUNT,
    HOLIDAYS,
    MONTH,
    NAME,
    NTH,
    PART,
    SHORT_MONTHS,
    TAKEN,
    TO,
    UNIT,
    WEEKDAY,
    WHICH,
    YEAR,
    Readers,
    Words,
    month_of,
    number,
    slot,
)
from engram.times import SEASONS

READERS = Readers()

DAYS_AWAY = {"day before yesterday": -2, "yesterday": -1, "today": 0, "tomorrow": 1, "day after tomorrow": 2}
NOT_TO = {"fall": ("on", "at", "after", "before", "since", "from", "of", "around", "until", "till")}
"""Prepositions after which a name means something else."""


@READERS.reads(
    rf"(?<![\w.,:/$€£-])(?P<day>\d{{1,2}}){NTH}{TO}\s+(?:of\s+)?(?P<name>{MONTH})\.?{YEAR}",
    rf"\b(?P<name>{MONTH})\.?\s+(?:the\s+)?(?P<day>\d{{1,2}}){NTH}"
    rf"(?!\w|[:.]\d|\s*(?:[ap]\.?m\b|o'clock)){TO}{YEAR}",
)
def named_day(words: Words) -> list[Time]:
    """3 March, March 3rd, 2023, the 3rd to 5th of March."""
    month, first, last = month_of(words["name"]), int(words["day"]), int(words["last"] or words["day"])
    if last < first or (words["name"] == "may" and not words.capital() and words.verb()):
        return []
    day(words.year() or 2000, month, last)  # raises ValueError if the day does not exist
    return [chosen(partial(day, month=month, date=first, count=last - first + 1), words.clock, words.year())]


@READERS.reads(rf"\b(?:{WHICH})?{NAME}\.?{YEAR}")
def named_time(words: Words) -> list[Time]:
    """In May, last May, May 2023, summer of 2021, Christmas."""
    weight, name = certainty(words), words["name"]
    if not weight:
        return []
    if name in HOLIDAYS:
        month, date, count = HOLIDAYS[name]
        make: Callable[[int], Time] = partial(day, month=month, date=date, count=count)
    elif name in SEASONS:
        make = partial(months, month=SEASONS[name], count=3)
    else:
        make = partial(months, month=month_of(name))
    return [replace(chosen(make, words.clock, words.year(), words.step()), weight=weight)]


@READERS.reads(rf"\b(?:{WHICH})?(?P<name>{WEEKDAY}|weekend\b){PART}(?!(?:,?|\s+before|\s+after)\s+(?:the\s+)?{TAKEN})")
def weekday(words: Words) -> list[Time]:
    """Last Tuesday, on Friday night, this weekend; the latest one up to today if no word says which."""
    name, step, today = words["name"], words.step(), midnight(words.clock)
    surely = step is not None or bool(words.lead)
    if not name.endswith(("day", "weekend")) and not (surely and words.capital()):
        return []
    number, count = slot(name)
    if step == 0:
        start = today + (number - today.weekday()) * DAY
    else:
        start = today - (today.weekday() - number) % 7 * DAY
        if step == 1 or (step == -1 and start + count * DAY > today):
            start += step * 7 * DAY
    return [part_of(Time(start, start + count * DAY, weight=1.0 if surely else UNSURE), words["part"])]


@READERS.reads(rf"\b{COUNT}\s+{UNIT}s?\s+(?:ago|back)\b(?:\s+today\b)?")
def ago(words: Words) -> list[Time]:
    """3 days ago, a couple of weeks ago: a period of one unit around that moment."""
    return [around(words.clock, -number(words["count"]), words["unit"])]


@READERS.reads(rf"\b(?:(?:last|past)\s+{COUNT}\s+|(?:(?<=the )last|(?:this\s+)?past)\s+){UNIT}s?\b(?!\s+of\b)")
def rolling(words: Words) -> list[Time]:
    """In the last 10 days, the past week: until now."""
    unit = words["unit"]
    start = moved(words.clock, -number(words["count"] or "a"), unit)
    return [Time(midnight(start) if DAYS_OF[unit] >= 1 else start, words.clock)]


@READERS.reads(rf"\b{WHICH}(?P<unit>week|month|year)\b(?!\s+of\b)")
def calendar_unit(words: Words) -> list[Time]:
    """Last week, this month, next year: calendar units."""
    step, name = words.step() or 0, words["unit"]
    if name == "week":
        monday = midnight(words.clock) + (7 * step - words.clock.weekday()) * DAY
        return [Time(monday, monday + 7 * DAY)]
    first = shifted(midnight(words.clock).replace(day=1), step) if name == "month" else words.clock
    return [months(first.year, first.month) if name == "month" else months(words.clock.year + step, 1, 12)]


@READERS.reads(rf"\b(?P<day>{'|'.join(DAYS_AWAY)})\b{PART}")
def near_day(words: Words) -> list[Time]:
    """Yesterday, today, tomorrow evening, the day before yesterday."""
    start = midnight(words.clock) + DAYS_AWAY[words["day"]] * DAY
    return [part_of(Time(start, start + DAY), words["part"])]


@READERS.reads(rf"\b(?:(?P<which>this|last)\s+(?P<part>{'|'.join(PARTS)})|tonight)\b")
def near_part(words: Words) -> list[Time]:
    """Last night, tonight, this morning."""
    start = midnight(words.clock) + (words.step() or 0) * DAY
    return [part_of(Time(start, start + DAY), words["part"] or "night")]


@READERS.reads(r"\b(?:(?P<week>the\s+other\s+day)|recently|lately)\b")
def vague(words: Words) -> list[Time]:
    """The other day, recently, lately."""
    return [Time(midnight(words.clock) - (7 if words["week"] else 30) * DAY, words.clock, weight=UNSURE)]


def certainty(words: Words) -> float:
    """Return how sure it is that the name of a month, season or holiday means a time: 0 (not) to 1."""
    name, step, lead = words["name"], words.step(), words.lead
    if words["year"]:
        return 1.0
    if lead in NOT_TO.get(name, () if name in HOLIDAYS else ("on", "at")):
        lead = ""
    if name in ("may", "march") and not words.capital():
        # "this may help", "the last march", "what stood there before may have fallen".
        misread = step == 0 or words.before(4) == "the " or words.verb()
        return 1.0 if (step is not None or lead) and not misread else 0.0
    if step is not None or (lead and not words.match.string.startswith("'s", words.match.end("name"))):
        return 1.0
    if name in SEASONS or (name in (*SHORT_MONTHS, "sept") and name != "may"):
        return 0.0
    if name in ("may", "march") and (words.verb() or not re.search(r"\w\s+$", words.before(4))):
        return 0.0
    return UNSURE
