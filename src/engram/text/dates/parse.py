"""Parsing of times: the periods that a query means.

Owns the reading of times in English ("last May", "on 3 March", "two weeks ago", "between March and May 2023"), and of
dates and years in digits in any language. Ignores words that usually mean something else: "may I", "the sun sat", "the
fall". Knows no score and filters nothing out.

Days are those of the clock of `now`. Weeks begin on Monday. Summer is June to August. Winter is December to February
and has the year in which it begins. Hand-written because the libraries that parse dates return a moment instead of a
period, and take "may" and "sun" for times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, partial

from engram.text.dates.period import DAY, FIRST, LAST, Period, midnight
from engram.times import MONTHS, SEASONS, WEEKDAYS

LONGEST_QUERY = 4096
"""Characters of a query that are parsed. A longer query is a pasted text, and its times are not what it asks for."""
MOST_READ = 8
"""Number of times that are read in a query; further ones are ignored."""
UNSURE = 0.5
"""Weight of a word that is a name as often as a time ("April", "Friday"), or that is vague ("recently")."""


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


# All datetimes below are the asker's local time, labelled UTC. `period` converts them at the end.


@dataclass(frozen=True, slots=True)
class Time:
    """A period in local time, before the words around it are considered."""

    start: datetime
    end: datetime
    yearly: bool = False
    weight: float = 1.0


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

# Typographic signs to ASCII, and the one letter that becomes two in lower case.
ODD = str.maketrans("İ’‘–—−", "I''---")
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
    "thanksgiving": (11, 22, 7),  # the fourth Thursday is one of them
}
DAYS_AWAY = {"day before yesterday": -2, "yesterday": -1, "today": 0, "tomorrow": 1, "day after tomorrow": 2}
PARTS = {"morning": (5, 12), "afternoon": (12, 18), "evening": (17, 24), "night": (18, 30)}  # hours
DAYS_OF = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "fortnight": 14, "month": 31, "year": 365}
MONTHS_OF = {"month": 1, "year": 12}
NUMBERS = {"a": 1, "an": 1, "the": 1, "one": 1, "couple": 2, "two": 2, "few": 3, "three": 3, "several": 4, "four": 4}
NUMBERS |= {"five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12}
STEPS = {"last": -1, "past": -1, "previous": -1, "this": 0, "next": 1, "coming": 1}

MONTH = rf"(?:{'|'.join([*MONTHS, *SHORT_MONTHS])}|sept)\b"
NAME = rf"(?P<name>{MONTH}|(?:{'|'.join([*SEASONS, *sorted(HOLIDAYS, reverse=True)])})\b)"
WEEKDAY = rf"(?:{'|'.join(WEEKDAYS)}|mon|tues?|wed|thur?s?|fri|sat|sun)\b"
UNIT = rf"(?P<unit>{'|'.join(DAYS_OF)})"
COUNT = rf"(?P<count>\d{{1,4}}|(?:a\s+)?(?:couple|few)(?:\s+of)?|{'|'.join(sorted(NUMBERS, reverse=True))})"
WHICH = r"(?P<which>(?:this\s+)?(?:past|coming)|last|previous|this|next)\s+"
YEAR = r"(?:(?:,\s*|\s+)(?:(?:of|in)\s+)?(?P<year>[12]\d{3}\b|(?:last|this|next) year\b))?"
NTH = r"(?:st|nd|rd|th)?"
TO = rf"(?:\s*(?:-|to|and|through|until)\s*(?:the\s+)?(?P<last>\d{{1,2}}){NTH}(?![\w:/]))?"
PART = rf"(?:\s+(?P<part>{'|'.join(PARTS)})\b)?"

SUSPECT = (
    rf"\d|\b(?:{MONTH}|(?:{WEEKDAY}|{'|'.join([*SEASONS, *HOLIDAYS])}|today|yesterday|tomorrow|tonight"
    rf"|recently|lately|weekend|(?:{'|'.join([*DAYS_OF, *PARTS])})s?)\b)"
)
"""Occurs in every query that means a time. Without a match no other pattern is tried."""
LEAD = (
    r"\b(in|on|at|over|during|since|until|till|before|after|of|from|between|through|throughout|around|early|mid|late)"
    rf"[\s-]+(?:the\s+)?(?:{MONTH}\.?\s+(?:and|or|to|through|until)\s+|{WEEKDAY},?\s+(?:the\s+)?)?$"
)
OFFSET = (
    rf"\b(?:(?P<all>the\s+(?:first\s+|last\s+)?)?{COUNT}\s+{UNIT}s?|(?P<weekday>{WEEKDAY}|weekend))"
    r"\s+(?P<side>before|after)\s+(?:the\s+)?$"
)
OF_DAY = rf"\b{WEEKDAY},?\s+(?:the\s+)?$"
"""A weekday before a date, which is a part of it."""
JOIN = r"\s*(?:(?P<and>and)|to|until|till|through|-)\s*(?:the\s+|in\s+)?"
YEAR_LEAD = (
    r"\b(?:in|of|during|since|until|till|before|after|from|between|early|mid|late|around|year"
    r"|im|jahr|en|em|nel|dal|del|año|ano|année|anno|seit|desde|depuis)[\s-]+$"
)
NOT_TO = {"fall": ("on", "at", "after", "before", "since", "from", "of", "around", "until", "till")}
"""Prepositions after which a name means something else."""
AS_VERB = r"\s+(?:i|we|you|he|she|they|it|be|have|not|also|well|never|still|the)\b"
TAKEN = "\0"
"""Replaces the characters that a reader has used, so that no other reader uses them."""
READERS: list[tuple[str, Reader]] = []
"""Each pattern with its reader, in the order in which they are tried."""


def reads(*patterns: str) -> Callable[[Reader], Reader]:
    """Register a reader for these patterns in `READERS`."""

    def enter(reader: Reader) -> Reader:
        READERS.extend((pattern, reader) for pattern in patterns)
        return reader

    return enter


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern, compiled when a query first needs it, so that the import stays fast."""
    return re.compile(pattern)


def readings(query: str, text: str, clock: datetime) -> Iterator[Reading]:
    """Yield what the patterns match in `text`, the lower-case `query`, pattern by pattern; no two overlap."""
    left, count = text, 0
    for pattern, reader in READERS:
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


def lead_before(text: str, end: int) -> str:
    """Return the preposition before a position of `text` that introduces a time; "" if there is none."""
    match = compiled(LEAD).search(text[max(0, end - 40) : end])
    return match[1] if match else ""


def composed(parts: list[Reading], text: str) -> Iterator[Reading]:
    """Yield the readings, combined with the words around them: "since X", "the week before X", "between X and Y"."""
    index = 0
    while index < len(parts):
        part = parts[index]
        index += 1
        lead = lead_before(text, part.begin)
        before = compiled(OF_DAY).search(text[max(0, part.begin - 20) : part.begin])
        begin = part.begin - len(before[0]) if before else part.begin
        if index < len(parts):
            join = compiled(JOIN).fullmatch(text[part.stop : parts[index].begin])
            if join and (lead in ("between", "from") or not join["and"]):
                spans = [span(a, b) for a in part.times for b in parts[index].times]
                times = tuple(time for time in spans if time.start < time.end)
                if times:
                    yield Reading(begin, parts[index].stop, times)
                    index += 1
                    continue
        offset = compiled(OFFSET).search(text[max(0, part.begin - 40) : part.begin])
        with suppress(ValueError, OverflowError):
            times = tuple(next_to(offset, t) if offset else bounded(lead, t) for t in part.times)
            yield Reading(part.begin - len(offset[0]) if offset else begin, part.stop, times)


def bounded(lead: str, time: Time) -> Time:
    """Return `time`, opened by its preposition: "since March" has no end, "before March" no beginning."""
    opened = {
        "since": (time.start, LAST),
        "after": (time.end, LAST),
        "before": (FIRST, time.start),
        "until": (FIRST, time.end),
        "till": (FIRST, time.end),
    }
    return Time(*opened[lead], weight=time.weight) if lead in opened else time


def next_to(offset: re.Match[str], time: Time) -> Time:
    """Return the time so many units before or after `time`: "the week before Christmas", "the Monday after 5 May"."""
    unit, later = offset["unit"], offset["side"] == "after"
    if offset["weekday"]:
        weekday, days = slot(offset["weekday"])
        start = midnight(time.end) if later else midnight(time.start) - days * DAY
        start += ((weekday - start.weekday()) % 7 if later else -((start.weekday() - weekday) % 7)) * DAY
        return replace(time, start=start, end=start + days * DAY, yearly=False)
    count = number(offset["count"])
    if offset["all"] or offset["count"] == "the":
        start = time.end if later else moved(time.start, -count, unit)
        return replace(time, start=start, end=moved(start, count, unit) if later else time.start)
    period = around(time.end - DAY, count, unit) if later else around(time.start, -count, unit)
    return replace(time, start=period.start, end=period.end)


def span(first: Time, last: Time) -> Time:
    """Return the time from `first` to `last`; one takes the other's year if it has none. Empty if `last` is earlier."""
    with suppress(ValueError, OverflowError):
        if first.yearly:
            first = in_year(first, last.start.year)
            first = first if first.start <= last.start else in_year(first, last.start.year - 1)
        elif last.yearly:
            last = in_year(last, first.start.year)
            last = last if last.start >= first.start else in_year(last, first.start.year + 1)
        elif timedelta(0) < first.start - last.start < timedelta(days=7):
            first = replace(first, start=first.start - timedelta(days=7))  # "from Friday to Sunday"
    return Time(first.start, last.end, first.yearly and last.yearly, max(first.weight, last.weight))


@reads(r"(?<![\w/.-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)")
def iso_day(words: Words) -> list[Time]:
    """2023-03-14, 2023/03/14."""
    return [day(int(words.match[1]), int(words.match[3]), int(words.match[4]))]


@reads(r"(?<![\w/.+-])((?:19|20)\d\d)-(0[1-9]|1[0-2])(?![\w-])")
def iso_month(words: Words) -> list[Time]:
    """2023-03."""
    return [months(int(words.match[1]), int(words.match[2]))]


@reads(
    r"(?<![\w/.-])(?P<a>\d{1,2})([-/.])(?P<b>\d{1,2})\2(?P<year>\d{4})(?![\w/-]|\.\d)",
    r"(?<![\w/.-])(?P<a>\d{1,2})/(?P<b>\d{1,2})(?:/(?P<year>\d\d))?(?![\w/-]|\.\d)",
)
def numeric_day(words: Words) -> list[Time]:
    """14.3.2023, 3/14/23, and "on 3/14": day first and month first, if such a day exists."""
    digits = words["year"]
    if not digits and words.lead != "on":
        return []
    year = int(digits) if digits else None
    if year is not None and len(digits) == 2:
        year += 2000 if 2000 + year <= words.clock.year + 1 else 1900
    result = []
    for date, month in dict.fromkeys([(int(words["a"]), int(words["b"])), (int(words["b"]), int(words["a"]))]):
        with suppress(ValueError, OverflowError):
            result.append(chosen(partial(day, month=month, date=date), words.clock, year))
    return result


@reads(
    r"(?:(?<!\d)(?P<year>\d{4})\s*[年년]\s*)?(?<!\d)(?P<month>\d{1,2})\s*[月월](?:\s*(?P<day>\d{1,2})\s*[日号號일])?",
    r"(?<!\d)(?P<year>\d{4})\s*[年년](?P<month>)(?P<day>)",
)
def ideographic(words: Words) -> list[Time]:
    """2023年3月14日, 3月, 2023년."""
    year = int(words["year"]) if words["year"] else None
    if words["day"]:
        return [chosen(partial(day, month=int(words["month"]), date=int(words["day"])), words.clock, year)]
    if words["month"]:
        return [chosen(partial(months, month=int(words["month"])), words.clock, year)]
    return [months(int(words["year"]), 1, 12)]


@reads(
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


@reads(rf"\b(?:{WHICH})?{NAME}\.?{YEAR}")
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


@reads(rf"\b(?:{WHICH})?(?P<name>{WEEKDAY}|weekend\b){PART}(?!(?:,?|\s+before|\s+after)\s+(?:the\s+)?{TAKEN})")
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


@reads(rf"\b{COUNT}\s+{UNIT}s?\s+(?:ago|back)\b(?:\s+today\b)?")
def ago(words: Words) -> list[Time]:
    """3 days ago, a couple of weeks ago: a period of one unit around that moment."""
    return [around(words.clock, -number(words["count"]), words["unit"])]


@reads(rf"\b(?:(?:last|past)\s+{COUNT}\s+|(?:(?<=the )last|(?:this\s+)?past)\s+){UNIT}s?\b(?!\s+of\b)")
def rolling(words: Words) -> list[Time]:
    """In the last 10 days, the past week: until now."""
    unit = words["unit"]
    start = moved(words.clock, -number(words["count"] or "a"), unit)
    return [Time(midnight(start) if DAYS_OF[unit] >= 1 else start, words.clock)]


@reads(rf"\b{WHICH}(?P<unit>week|month|year)\b(?!\s+of\b)")
def calendar_unit(words: Words) -> list[Time]:
    """Last week, this month, next year: calendar units."""
    step, name = words.step() or 0, words["unit"]
    if name == "week":
        monday = midnight(words.clock) + (7 * step - words.clock.weekday()) * DAY
        return [Time(monday, monday + 7 * DAY)]
    first = shifted(midnight(words.clock).replace(day=1), step) if name == "month" else words.clock
    return [months(first.year, first.month) if name == "month" else months(words.clock.year + step, 1, 12)]


@reads(rf"\b(?P<day>{'|'.join(DAYS_AWAY)})\b{PART}")
def near_day(words: Words) -> list[Time]:
    """Yesterday, today, tomorrow evening, the day before yesterday."""
    start = midnight(words.clock) + DAYS_AWAY[words["day"]] * DAY
    return [part_of(Time(start, start + DAY), words["part"])]


@reads(rf"\b(?:(?P<which>this|last)\s+(?P<part>{'|'.join(PARTS)})|tonight)\b")
def near_part(words: Words) -> list[Time]:
    """Last night, tonight, this morning."""
    start = midnight(words.clock) + (words.step() or 0) * DAY
    return [part_of(Time(start, start + DAY), words["part"] or "night")]


@reads(r"\b(?:(?P<week>the\s+other\s+day)|recently|lately)\b")
def vague(words: Words) -> list[Time]:
    """The other day, recently, lately."""
    return [Time(midnight(words.clock) - (7 if words["week"] else 30) * DAY, words.clock, weight=UNSURE)]


@reads(
    r"(?<![\w.,:/$€£#+])(?:(?<!\d-)|(?<=\b(?:19|20)\d\d-))((?:19|20)\d\d)"
    r"(?![\w/]|-(?!(?:19|20)\d\d\b)|[.,:]\d|%)"
)
def bare_year(words: Words) -> list[Time]:
    """2022; from 1900 to 2099. Sure after "in" and its counterparts in some languages."""
    sure = compiled(YEAR_LEAD).search(words.before(12))
    return [replace(months(int(words.match[1]), 1, 12), weight=1.0 if sure else UNSURE)]


@reads(r"\b((?:19|20)\d0)s\b")
def decade(words: Words) -> list[Time]:
    """The 1990s."""
    return [months(int(words.match[1]), 1, 120)]


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


def chosen(make: Callable[[int], Time], clock: datetime, year: int | None = None, step: int | None = None) -> Time:
    """Return the occurrence that is meant of a time that recurs each year; without a word for it the latest, as yearly.

    step: -1 is the last that is over, 0 this year's (or one that began earlier and continues), 1 the next. Raises
    ValueError if there is none.
    """
    if year is not None:
        return make(year)
    if step == 0:
        earlier = make(clock.year - 1)
        return earlier if earlier.end > clock else make(clock.year)
    # 29 February can be eight years away.
    for away in range(9):
        with suppress(ValueError, OverflowError):
            time = make(clock.year + away if step == 1 else clock.year - away)
            if time.start > clock if step == 1 else (time.start if step is None else time.end) <= clock:
                return replace(time, yearly=step is None)
    raise ValueError("no such time in the calendar")


def month_of(name: str) -> int:
    """Return the number of a month, 1 to 12."""
    return SHORT_MONTHS.index(name[:3]) + 1


def slot(name: str) -> tuple[int, int]:
    """Return the weekday, 0 for Monday, on which a weekday or the weekend begins, and its number of days."""
    return (5, 2) if name == "weekend" else (SHORT_WEEKDAYS.index(name[:3]), 1)


def number(words: str) -> int:
    """Return the number that digits or words name ("a couple of")."""
    return int(words) if words.isdecimal() else [NUMBERS[w] for w in words.split() if w in NUMBERS][-1]


def part_of(time: Time, part: str) -> Time:
    """Return the morning, afternoon, evening or night of a day; the whole day if `part` is ""."""
    if not part:
        return time
    begin, end = PARTS[part]
    return replace(time, start=time.start + timedelta(hours=begin), end=time.start + timedelta(hours=end))


def day(year: int, month: int, date: int, count: int = 1) -> Time:
    """Return `count` calendar days from a day on. Raises ValueError if the day does not exist."""
    start = datetime(year, month, date, tzinfo=UTC)
    return Time(start, start + count * DAY)


def months(year: int, month: int, count: int = 1) -> Time:
    """Return `count` calendar months from a month on. Raises ValueError if the month does not exist."""
    start = datetime(year, month, 1, tzinfo=UTC)
    return Time(start, shifted(start, count))


def shifted(moment: datetime, count: int) -> datetime:
    """Return the moment `count` months later; on the month's last day if the day does not exist."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + count, 12)
    first = moment.replace(year=year, month=month + 1, day=1)
    last = (first + 31 * DAY).replace(day=1) - DAY
    return first.replace(day=min(moment.day, last.day))


def in_year(time: Time, year: int) -> Time:
    """Return `time` in another year."""
    count = 12 * (year - time.start.year)
    return replace(time, start=shifted(time.start, count), end=shifted(time.end, count))


def around(moment: datetime, count: int, unit: str) -> Time:
    """Return a period of one unit around the moment that is `count` units after `moment`."""
    middle, length = moved(moment, count, unit), timedelta(DAYS_OF[unit])
    if length >= DAY:
        # Whole days, an odd number of them.
        middle, length = midnight(middle) + DAY / 2, length // (2 * DAY) * 2 * DAY + DAY
    return Time(middle - length / 2, middle + length / 2)


def moved(moment: datetime, count: int, unit: str) -> datetime:
    """Return the moment `count` units later."""
    return shifted(moment, count * MONTHS_OF[unit]) if unit in MONTHS_OF else moment + count * timedelta(DAYS_OF[unit])


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
