"""Readers of the times that English words name.

Owns which words mean a time, and which of them usually mean something else: "may I", "the sun sat", "the fall".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from engram.text.dates.moments import (
    DAYS_OF,
    PARTS,
    UNSURE,
    Time,
    around,
    calendar_unit,
    chosen,
    day,
    day_of_month,
    easter,
    in_year,
    months,
    moved,
    part_of,
    weekday_near,
)
from engram.text.dates.narrowing import narrowing_before
from engram.text.dates.period import DAY, midnight
from engram.text.dates.words import (
    COUNT,
    EASTERS,
    HOLIDAYS,
    MONTH,
    NAME,
    NTH,
    ORDINAL,
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
    date_of,
    month_of,
    number,
    slot,
)
from engram.times import SEASONS

READERS = Readers()

DAYS_AWAY = {"day before yesterday": -2, "yesterday": -1, "today": 0, "tomorrow": 1, "day after tomorrow": 2}
DAYS_AWAY |= {"yday": -1, "2day": 0, "tmrw": 1, "2moro": 1, "2mrw": 1, "tomoz": 1}
ABOUT = {"week": 1, "month": 3, "year": 10}
"""Days before and after it that are "this time last week", and so on."""
HALVES = {
    "hour": ("minute", 60),
    "day": ("hour", 24),
    "week": ("day", 7),
    "year": ("month", 12),
    "decade": ("year", 10),
}
"""Each unit with a smaller one, and how many of these it has."""
RECENT = {"week": 21, "weekend": 21, "month": 92}
"""Days before now that "the other week" and the like can mean, if not those of a week."""
AFTER_DAY = (
    *("and", "or", "but", "to", "in", "at", "with", "for", "until", "till", "through", "about", "when", "while", "as"),
    *("i", "we", "you", "he", "she", "they", "it", "my", "our", "did", "do", "does", "was", "were", "is", "are", "had"),
    *("have", "has", "what", "who", "where", "how", "why", "please", "again", "already", "then", "that", "there"),
)
"""Words after "the 24th" that are no thing that is counted, as in "the 24th floor"."""
NOT_TO = {"fall": ("on", "at", "after", "before", "since", "from", "of", "around", "until", "till")}
"""Prepositions after which a name means something else."""


@READERS.reads(
    rf"(?<![\w.,:/$€£-])(?P<day>\d{{1,2}}){NTH}{TO}\s++(?:of\s++)?(?P<name>{MONTH})\.?{YEAR}",
    rf"\b(?P<name>{MONTH})\.?\s++(?:the\s++)?(?P<day>\d{{1,2}}){NTH}"
    rf"(?!\w|[:.]\d|\s*+(?:[ap]\.?m\b|o'clock)){TO}{YEAR}",
    rf"\b(?P<day>{ORDINAL})(?P<last>)\s++of\s++(?P<name>{MONTH})\.?{YEAR}",
    rf"\b(?P<name>{MONTH})\s++the\s++(?P<day>{ORDINAL})(?P<last>){YEAR}",
)
def named_day(words: Words) -> list[Time]:
    """3 March, March 3rd, 2023, the 3rd to 5th of March."""
    month, first, last = month_of(words["name"]), date_of(words["day"]), date_of(words["last"] or words["day"])
    if last < first or (words["name"] == "may" and not words.capital() and words.verb()):
        return []
    day(words.year() or 2000, month, last)  # raises ValueError if the day does not exist
    return [chosen(partial(day, month=month, date=first, count=last - first + 1), words.clock, words.year())]


# Two letters are looked at before the names are tried.
@READERS.reads(rf"\b(?=[a-z][a-z])(?:{WHICH})?{NAME}\.?{YEAR}")
def named_time(words: Words) -> list[Time]:
    """In May, last May, May 2023, summer of 2021, Christmas."""
    weight, name = certainty(words), words["name"]
    if not weight:
        return []
    make: Callable[[int], Time]
    if name in EASTERS:
        offset, count = EASTERS[name]
        make = partial(easter, offset=offset, count=count)
    elif name in HOLIDAYS:
        month, date, count = HOLIDAYS[name]
        make = partial(day, month=month, date=date, count=count)
    elif name in SEASONS:
        make = partial(months, month=SEASONS[name], count=3)
    else:
        make = partial(months, month=month_of(name))
    return [replace(chosen(make, words.clock, words.year(), words.step()), weight=weight)]


@READERS.reads(
    rf"\b(?P<name>week|month|quarter|year|weekend|night|{WEEKDAY}|{'|'.join(SEASONS)})\s++(?P<side>before\s++last|after\s++next)\b"
)
def twice(words: Words) -> list[Time]:
    """The week before last, the Tuesday after next, the summer before last."""
    name, step, clock = words["name"], -2 if words["side"].startswith("before") else 2, words.clock
    if name == "night":
        start = midnight(clock) + step * DAY
        return [part_of(Time(start, start + DAY), name)]
    if name in SEASONS:
        time = chosen(partial(months, month=SEASONS[name], count=3), clock, step=step // 2)
        return [in_year(time, time.start.year + step // 2)]
    if name in ("week", "month", "quarter", "year"):
        return [calendar_unit(clock, name, step)]
    return [weekday_near(clock, *slot(name), step)]


@READERS.reads(
    r"\bth(?:is|e\s++same)\s++(?P<kind>time|day|date|week|month)\s++"
    r"(?:(?P<which>last)\s++(?P<unit>week|month|year)\b|(?:of|in)\s++(?P<year>(?:19|20)\d\d)\b)",
    rf"\bth(?:is|e\s++same)\s++(?P<kind>time|day|date)(?P<which>)(?P<year>)\s++{COUNT}\s++{UNIT}s?\s++(?:ago|back)\b",
)
def this_time(words: Words) -> list[Time]:
    """At this time last year, on this day in 2023, this time two weeks ago."""
    unit, back, kind = "year", 1, words["kind"]
    if words["year"]:
        back = words.clock.year - int(words["year"])
    else:
        unit = words["unit"]
        back = 1 if words["which"] else number(words["count"])
    start = midnight(moved(words.clock, -back, unit))
    if kind in ("week", "month"):
        return [calendar_unit(start, kind, 0)]
    margin = (ABOUT.get(unit, 0) if kind == "time" else 0) * DAY
    return [Time(start - margin, start + DAY + margin)]


@READERS.reads(
    rf"\b(?P<name>{WEEKDAY}|weekend\b){PART}\s++(?:of\s++|in\s++)?(?P<which>last|this|next)\s++week\b",
    rf"\b(?P<which>last|this|next)\s++week(?:'s)?\s++(?:on\s++)?(?P<name>{WEEKDAY}|weekend\b){PART}",
)
def weekday_of_week(words: Words) -> list[Time]:
    """Tuesday of last week, last week on Friday evening."""
    weekday, days = slot(words["name"])
    start = calendar_unit(words.clock, "week", words.step() or 0).start + weekday * DAY
    return [part_of(Time(start, start + days * DAY), words["part"])]


# After "a" comes a count or a weekday: its first letter is looked at before words are tried.
@READERS.reads(
    rf"\b(?!an?\s++[^cfmtws]){COUNT}\s++(?P<name>{WEEKDAY.removesuffix(chr(92) + 'b')}|weekend)s\s++(?:ago|back)\b"
)
def weekdays_ago(words: Words) -> list[Time]:
    """Two Fridays ago, three weekends ago."""
    return [weekday_near(words.clock, *slot(words["name"]), -number(words["count"]))]


@READERS.reads(
    r"\b(?P<count>half)\s++an?\s++(?P<unit>hour|year|decade)\s++(?:ago|back)\b(?P<half>)(?P<today>)",
    rf"\b{COUNT}\s++{UNIT}s?(?P<half>\s++and\s++a\s++half)?\s++(?:ago|back)\b(?P<today>\s++today\b)?",
)
def ago(words: Words) -> list[Time]:
    """3 days ago, a couple of weeks ago: a period of one unit around that moment; and a year ago today."""
    unit = words["unit"]
    if words["count"] == "half" or words["half"]:
        part, units = HALVES.get(unit, (unit, 1))
        return [around(words.clock, -(units // 2 + (number(words["count"]) * units if words["half"] else 0)), part)]
    if words["today"]:
        start = midnight(moved(words.clock, -number(words["count"]), unit))
        return [Time(start, start + DAY)]
    return [around(words.clock, -number(words["count"]), unit)]


@READERS.reads(rf"\b(?:(?:last|past)\s++{COUNT}\s++|(?:(?<=the )last|(?:this\s++)?past)\s++){UNIT}s?\b(?!\s++of\b)")
def rolling(words: Words) -> list[Time]:
    """In the last 10 days, the past week: until now."""
    unit = words["unit"]
    start = moved(words.clock, -number(words["count"] or "a"), unit)
    return [Time(midnight(start) if DAYS_OF[unit] >= 1 else start, words.clock)]


@READERS.reads(
    r"\b(?P<year>(?:19|20)\d\d)[\s-]?(?P<part>[qh])(?P<n>[1-4])\b",
    r"\b(?P<part>[qh])(?P<n>[1-4])\b(?:,?\s++(?:of\s++|in\s++)?(?P<year>(?:19|20)\d\d\b|(?:last|this|next)\s++year\b))?",
)
def numbered_part(words: Words) -> list[Time]:
    """Q2, Q3 2023, H1 of last year: quarters and halves of a year."""
    size, n = 3 if words["part"] == "q" else 6, int(words["n"])
    make = partial(months, month=size * (n - 1) + 1, count=size)
    sure = words["year"] or words.lead in ("in", "since", "during", "of", "before", "after", "until", "from")
    return [replace(chosen(make, words.clock, words.year()), weight=1.0 if sure else UNSURE)]


@READERS.reads(
    r"\b(?P<kind>calendar\s++)?week\s++(?P<n>\d{1,2})\b(?!\s++of\s++(?!(?:19|20)\d\d))"
    r"(?:,?\s++(?:of\s++|in\s++)?(?P<year>(?:19|20)\d\d)\b)?"
)
def numbered_week(words: Words) -> list[Time]:
    """Week 34, calendar week 2 of 2023: as ISO 8601 numbers them."""
    n, year = int(words["n"]), words.year()
    sure = year or words["kind"] or words.lead in ("in", "since", "during", "before", "after", "until", "from")
    for each in (year,) if year else (words.clock.year, words.clock.year - 1):
        start = datetime.fromisocalendar(each, n, 1).replace(tzinfo=UTC)
        if year or start <= words.clock:
            return [Time(start, start + 7 * DAY, weight=1.0 if sure else UNSURE)]
    return []


@READERS.reads(
    rf"\bthe\s++(?P<day>\d{{1,2}}(?:st|nd|rd|th)|{ORDINAL})"
    rf"(?:\s*+(?:-|to|and|until|through)\s*+(?:the\s++)?(?P<last>\d{{1,2}}(?:st|nd|rd|th)|{ORDINAL}))?"
    r"(?:\s++of\s++(?:(?P<which>last|this|next)|the)\s++(?P<unit>month)\b)?"
    rf"(?=\s*+(?:$|[^\w\s])|\s++(?:{'|'.join(AFTER_DAY)})\b)"
)
def numbered_day(words: Words) -> list[Time]:
    """The 24th, on the third, the 3rd to the 7th of last month."""
    first = date_of(words["day"].rstrip("stndrh") if words["day"][0].isdigit() else words["day"])
    last = words["last"] and date_of(words["last"].rstrip("stndrh") if words["last"][0].isdigit() else words["last"])
    sure = words.lead in ("on", "since", "until", "till", "before", "after", "from", "between", "around", "of")
    if not (words["day"][0].isdigit() or words["unit"] or words.lead in ("on", "since", "until", "till", "from")):
        return []  # "the first", "the second"
    step = (words.step() or 0) if words["unit"] else None
    if not last:
        time = day_of_month(words.clock, first, step=step)
    elif int(last) >= first:
        time = day_of_month(words.clock, first, int(last) - first + 1, step)
    else:
        return []
    return [replace(time, weight=1.0 if sure or words["unit"] else UNSURE)]


@READERS.reads(rf"\b{WHICH}(?P<unit>week|month|quarter|year)\b(?!\s++of\b)")
def which_unit(words: Words) -> list[Time]:
    """Last week, this month, next year: calendar units."""
    return [calendar_unit(words.clock, words["unit"], words.step() or 0)]


@READERS.reads(r"\bthe\s++(?P<unit>week|month|quarter|year)\b")
def current_unit(words: Words) -> list[Time]:
    """The start of the week, the last days of the month: of the current one."""
    return (
        [calendar_unit(words.clock, words["unit"], 0)]
        if narrowing_before(words.match.string, words.match.start())
        else []
    )


@READERS.reads(rf"\b(?P<day>{'|'.join(DAYS_AWAY)})\b{PART}")
def near_day(words: Words) -> list[Time]:
    """Yesterday, today, tomorrow evening, the day before yesterday."""
    start = midnight(words.clock) + DAYS_AWAY[words["day"]] * DAY
    return [part_of(Time(start, start + DAY), words["part"])]


@READERS.reads(rf"\b(?:(?P<which>this|last)\s++(?P<part>{'|'.join(PARTS)}|nite)|tonight|tonite|2nite)\b")
def near_part(words: Words) -> list[Time]:
    """Last night, tonight, this morning."""
    start = midnight(words.clock) + (words.step() or 0) * DAY
    return [part_of(Time(start, start + DAY), words["part"].replace("nite", "night") or "night")]


@READERS.reads(
    r"\b(?:the\s++other\s++(?P<other>day|night|evening|morning|week|weekend|month)|recently|lately|of\s++late"
    r"|(?:in|over)\s++recent\s++(?P<recent>day|week|month)s)\b"
)
def vague(words: Words) -> list[Time]:
    """The other day, recently, lately, in recent weeks."""
    days = RECENT.get(words["other"] or words["recent"], 7 if words["other"] else 30)
    return [Time(midnight(words.clock) - days * DAY, words.clock, weight=UNSURE)]


@READERS.reads(
    rf"\b(?=[a-z][a-z])(?:{WHICH})?(?P<name>{WEEKDAY}|weekend\b){PART}"
    rf"(?!(?:,?|\s++before|\s++after|\s++of|\s++in)\s++(?:the\s++)?{TAKEN}|\s++(?:of|in)\s++\d)"
)
def weekday(words: Words) -> list[Time]:
    """Last Tuesday, on Friday night, this weekend; the latest one up to today if no word says which."""
    name, step = words["name"], words.step()
    surely = step is not None or bool(words.lead)
    # "Last tues" is one, and "the last sun of summer" is none.
    meant = words.capital() or (step is not None and name not in ("sat", "sun"))
    if not name.endswith(("day", "weekend")) and not (surely and meant):
        return []
    time = replace(weekday_near(words.clock, *slot(name), step), weight=1.0 if surely else UNSURE)
    return [part_of(time, words["part"])]


def certainty(words: Words) -> float:
    """Return how sure it is that the name of a month, season or holiday means a time: 0 (not) to 1."""
    name, step, lead = words["name"], words.step(), words.lead
    if words["year"]:
        return 1.0
    if lead in NOT_TO.get(name, () if name in HOLIDAYS or name in EASTERS else ("on", "at")):
        lead = ""
    if name in ("may", "march") and not words.capital():
        # "this may help", "the last march", "what stood there before may have fallen".
        misread = step == 0 or words.before(4) == "the " or words.verb()
        return 1.0 if (step is not None or lead) and not misread else 0.0
    if step is not None or (lead and not words.match.string.startswith("'s", words.match.end("name"))):
        return 1.0
    if name in SEASONS or (name in (*SHORT_MONTHS, "sept") and name != "may"):
        return 0.0
    if name in ("may", "march") and (words.verb() or not re.search(r"\w\s++$", words.before(4))):
        return 0.0
    return UNSURE
