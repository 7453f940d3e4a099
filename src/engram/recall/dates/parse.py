"""When: the times that a query means, and how near to them something was said.

Owns the reading of times in English ("last May", "on 3 March", "two weeks ago", "between March and May 2023") and of
dates and years in digits in any language. Knows nothing of scores: it says how near, never how much that counts, and it
filters nothing out. It refuses to read what stands too often for something else: "may I", "the sun sat", "the fall".

Days are those of `now`'s own clock; weeks begin on Monday; summer is June to August, winter December to February and
bears the year it begins in. Written by hand, because the libraries that read dates give one moment where a stretch of
time is meant, take "may" and "sun" for times, and are slow to load in somebody else's program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, partial

from engram.recall.dates.period import DAY, FIRST, LAST, Period, midnight

LONGEST_QUERY = 4096
"""Characters of a query that are read; what is longer is a text, and its times are not what is asked."""
MOST_READ = 8
"""Times that are read in a query; the others are left."""
UNSURE = 0.5
"""The weight of a word that is a name as often as a time ("April", "Friday"), or says it vaguely ("recently")."""


def periods(query: str, now: datetime) -> list[Period]:
    """Every time that `query` means, in its order; empty where it means none. Never raises for any text.

    A naive `now` is taken as UTC. A date that can be read day first or month first gives both readings.
    """
    text = query[:LONGEST_QUERY].translate(ODD).lower()
    if not compiled(SUSPECT).search(text):
        return []
    zone = UTC if now.utcoffset() is None else now.tzinfo
    found = sorted(readings(query, text, now.replace(tzinfo=UTC)), key=lambda reading: reading.begin)
    times = [(query[r.begin : r.stop], time) for r in composed(found, text) for time in r.times]
    return list(dict.fromkeys(period(time, words, zone) for words, time in times))


# What follows reads. Its datetimes show the asker's own clock, under the name of UTC until `period` puts that right.


@dataclass(frozen=True, slots=True)
class Time:
    """A stretch of time, before it is known what stands around it in the query."""

    start: datetime
    end: datetime
    yearly: bool = False
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands between two places of a query, and the times it can mean."""

    begin: int
    stop: int
    times: tuple[Time, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """What a pattern found, for its reader."""

    match: re.Match[str]
    """In lower case."""
    text: str
    """The query as it is written."""
    clock: datetime
    lead: str
    """The word before it that leads to a time ("in", "since"); "" for none."""

    def __getitem__(self, name: str) -> str:
        """What a group of the pattern found; "" if nothing."""
        return self.match[name] or ""

    def before(self, most: int) -> str:
        """The characters before it, `most` at most, in lower case."""
        return self.match.string[max(0, self.match.start() - most) : self.match.start()]

    def capital(self) -> bool:
        """Whether its name is written with a capital, and not all in capitals."""
        return self.text[self.match.start("name") : self.match.end("name")].istitle()

    def verb(self) -> bool:
        """Whether what follows its name makes a verb of it ("may I")."""
        return compiled(AS_VERB).match(self.match.string, self.match.end("name")) is not None

    def step(self) -> int | None:
        """-1 for "last" and its like, 0 for "this", 1 for "next"; None where none of them is said."""
        return STEPS[self["which"].split()[-1]] if self["which"] else None

    def year(self) -> int | None:
        """The year that stands behind a date, in digits or as "last year"."""
        word = self["year"].partition(" ")[0]
        return self.clock.year + STEPS[word] if word in STEPS else int(word) if word else None


Reader = Callable[[Words], list[Time]]

# Signs to their plain likes, and the one letter that is two in lower case.
ODD = str.maketrans("İ’‘–—−", "I''---")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
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

MONTH = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b"
)
NAME = rf"(?P<name>{MONTH}|(?:spring|summer|autumn|fall|winter|{'|'.join(sorted(HOLIDAYS, reverse=True))})\b)"
WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|mon|tues?|wed|thur?s?|fri|sat|sun)\b"
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
"""What stands wherever a time is meant: without it nothing else is tried."""
LEAD = (
    r"\b(in|on|at|over|during|since|until|till|before|after|of|from|between|through|throughout|around|early|mid|late)"
    rf"[\s-]+(?:the\s+)?(?:{MONTH}\.?\s+(?:and|or|to|through|until)\s+|{WEEKDAY},?\s+(?:the\s+)?)?$"
)
BESIDE = rf"\b(?:{COUNT}\s+{UNIT}s?|(?P<weekday>{WEEKDAY}|weekend))\s+(?P<side>before|after)\s+(?:the\s+)?$"
JOIN = r"\s*(?:(?P<and>and)|to|until|till|through|-)\s*(?:the\s+|in\s+)?"
YEAR_LEAD = (
    r"\b(?:in|of|during|since|until|till|before|after|from|between|early|mid|late|around|year"
    r"|im|jahr|en|em|nel|dal|del|año|ano|année|anno|seit|desde|depuis)[\s-]+$"
)
NOT_TO = {"fall": ("on", "at", "after", "before", "since", "from", "of", "around", "until", "till")}
"""Leads that lead to something else by that name."""
AS_VERB = r"\s+(?:i|we|you|he|she|they|it|be|have|not|also|well|never|still|the)\b"
TAKEN = "\0"
"""What a reader's words are replaced with, so that no other reader takes them."""
READERS: list[tuple[str, Reader]] = []
"""Each pattern with what reads it, in the order in which they take their words."""


def reads(*patterns: str) -> Callable[[Reader], Reader]:
    """Enter a reader of these patterns into `READERS`."""

    def enter(reader: Reader) -> Reader:
        READERS.extend((pattern, reader) for pattern in patterns)
        return reader

    return enter


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern; compiled when a query first needs it, so that importing stays quick."""
    return re.compile(pattern)


def readings(query: str, text: str, clock: datetime) -> Iterator[Reading]:
    """What the patterns find in `text`, which is `query` in lower case, pattern by pattern; no two overlap."""
    left, count = text, 0
    for pattern, reader in READERS:
        for match in compiled(pattern).finditer(left):
            times: list[Time] = []
            # What is in no calendar is no time.
            with suppress(ValueError, OverflowError):
                times = reader(Words(match, query, clock, lead_before(text, match.start())))
            if times:
                yield Reading(match.start(), match.end(), tuple(times))
                left = left[: match.start()] + TAKEN * len(match[0]) + left[match.end() :]
                count += 1
            if count >= MOST_READ:
                return


def lead_before(text: str, place: int) -> str:
    """The word before a place of `text` that leads to a time; "" if there is none."""
    match = compiled(LEAD).search(text[max(0, place - 40) : place])
    return match[1] if match else ""


def composed(found: list[Reading], text: str) -> Iterator[Reading]:
    """The readings with what stands around them: "since X", "the week before X", "between X and Y"."""
    place = 0
    while place < len(found):
        this = found[place]
        place += 1
        lead = lead_before(text, this.begin)
        if place < len(found):
            join = compiled(JOIN).fullmatch(text[this.stop : found[place].begin])
            if join and (lead in ("between", "from") or not join["and"]):
                spans = [span(a, b) for a in this.times for b in found[place].times]
                times = tuple(time for time in spans if time.start < time.end)
                if times:
                    yield Reading(this.begin, found[place].stop, times)
                    place += 1
                    continue
        beside = compiled(BESIDE).search(text[max(0, this.begin - 40) : this.begin])
        with suppress(ValueError, OverflowError):
            times = tuple(next_to(beside, t) if beside else bounded(lead, t) for t in this.times)
            yield Reading(this.begin, this.stop, times)


def bounded(lead: str, time: Time) -> Time:
    """`time` as its lead opens it: "since March" has no end, "before March" no beginning."""
    opened = {
        "since": (time.start, LAST),
        "after": (time.end, LAST),
        "before": (FIRST, time.start),
        "until": (FIRST, time.end),
        "till": (FIRST, time.end),
    }
    return Time(*opened[lead], weight=time.weight) if lead in opened else time


def next_to(beside: re.Match[str], time: Time) -> Time:
    """What lies a number of units before or after `time`: "the week before Christmas", "the Monday after 5 May"."""
    unit, later = beside["unit"], beside["side"] == "after"
    if beside["weekday"]:
        place, days = slot(beside["weekday"])
        start = midnight(time.end) if later else midnight(time.start) - days * DAY
        start += ((place - start.weekday()) % 7 if later else -((start.weekday() - place) % 7)) * DAY
        return replace(time, start=start, end=start + days * DAY, yearly=False)
    if beside["count"] == "the":
        start = time.end if later else moved(time.start, -1, unit)
        return replace(time, start=start, end=moved(start, 1, unit) if later else time.start)
    count = number(beside["count"])
    there = around(time.end - DAY, count, unit) if later else around(time.start, -count, unit)
    return replace(time, start=there.start, end=there.end)


def span(first: Time, last: Time) -> Time:
    """From `first` to `last`, where either may leave its year to the other; empty if they are the wrong way round."""
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
def iso_day(said: Words) -> list[Time]:
    """2023-03-14, 2023/03/14."""
    return [day(int(said.match[1]), int(said.match[3]), int(said.match[4]))]


@reads(r"(?<![\w/.+-])((?:19|20)\d\d)-(0[1-9]|1[0-2])(?![\w-])")
def iso_month(said: Words) -> list[Time]:
    """2023-03."""
    return [months(int(said.match[1]), int(said.match[2]))]


@reads(
    r"(?<![\w/.-])(?P<a>\d{1,2})([-/.])(?P<b>\d{1,2})\2(?P<year>\d{4})(?![\w/-]|\.\d)",
    r"(?<![\w/.-])(?P<a>\d{1,2})/(?P<b>\d{1,2})(?:/(?P<year>\d\d))?(?![\w/-]|\.\d)",
)
def numeric_day(said: Words) -> list[Time]:
    """14.3.2023, 3/14/23, and "on 3/14": day first and month first, whichever there are."""
    digits = said["year"]
    if not digits and said.lead != "on":
        return []
    year = int(digits) if digits else None
    if year is not None and len(digits) == 2:
        year += 2000 if 2000 + year <= said.clock.year + 1 else 1900
    result = []
    for date, month in dict.fromkeys([(int(said["a"]), int(said["b"])), (int(said["b"]), int(said["a"]))]):
        with suppress(ValueError, OverflowError):
            result.append(chosen(partial(day, month=month, date=date), said.clock, year))
    return result


@reads(
    r"(?:(?<!\d)(?P<year>\d{4})\s*[年년]\s*)?(?<!\d)(?P<month>\d{1,2})\s*[月월](?:\s*(?P<day>\d{1,2})\s*[日号號일])?",
    r"(?<!\d)(?P<year>\d{4})\s*[年년](?P<month>)(?P<day>)",
)
def ideographic(said: Words) -> list[Time]:
    """2023年3月14日, 3月, 2023년."""
    year = int(said["year"]) if said["year"] else None
    if said["day"]:
        return [chosen(partial(day, month=int(said["month"]), date=int(said["day"])), said.clock, year)]
    if said["month"]:
        return [chosen(partial(months, month=int(said["month"])), said.clock, year)]
    return [months(int(said["year"]), 1, 12)]


@reads(
    rf"(?<![\w.,:/$€£-])(?P<day>\d{{1,2}}){NTH}{TO}\s+(?:of\s+)?(?P<name>{MONTH})\.?{YEAR}",
    rf"\b(?P<name>{MONTH})\.?\s+(?:the\s+)?(?P<day>\d{{1,2}}){NTH}"
    rf"(?!\w|[:.]\d|\s*(?:[ap]\.?m\b|o'clock)){TO}{YEAR}",
)
def named_day(said: Words) -> list[Time]:
    """3 March, March 3rd, 2023, the 3rd to 5th of March."""
    month, first, last = month_of(said["name"]), int(said["day"]), int(said["last"] or said["day"])
    if last < first or (said["name"] == "may" and not said.capital() and said.verb()):
        return []
    day(said.year() or 2000, month, last)  # there must be such a day
    return [chosen(partial(day, month=month, date=first, count=last - first + 1), said.clock, said.year())]


@reads(rf"\b(?:{WHICH})?{NAME}\.?{YEAR}")
def named_time(said: Words) -> list[Time]:
    """In May, last May, May 2023, summer of 2021, Christmas."""
    weight, name = certainty(said), said["name"]
    if not weight:
        return []
    if name in HOLIDAYS:
        month, date, count = HOLIDAYS[name]
        make: Callable[[int], Time] = partial(day, month=month, date=date, count=count)
    elif name in SEASONS:
        make = partial(months, month=SEASONS[name], count=3)
    else:
        make = partial(months, month=month_of(name))
    return [replace(chosen(make, said.clock, said.year(), said.step()), weight=weight)]


@reads(rf"\b(?:{WHICH})?(?P<name>{WEEKDAY}|weekend\b){PART}(?!(?:,?|\s+before|\s+after)\s+(?:the\s+)?{TAKEN})")
def weekday(said: Words) -> list[Time]:
    """Last Tuesday, on Friday night, this weekend: the latest not after today where nothing says which."""
    name, step, today = said["name"], said.step(), midnight(said.clock)
    surely = step is not None or bool(said.lead)
    if not name.endswith(("day", "weekend")) and not (surely and said.capital()):
        return []
    place, count = slot(name)
    if step == 0:
        start = today + (place - today.weekday()) * DAY
    else:
        start = today - (today.weekday() - place) % 7 * DAY
        if step == 1 or (step == -1 and start + count * DAY > today):
            start += step * 7 * DAY
    return [part_of(Time(start, start + count * DAY, weight=1.0 if surely else UNSURE), said["part"])]


@reads(rf"\b{COUNT}\s+{UNIT}s?\s+(?:ago|back)\b(?:\s+today\b)?")
def ago(said: Words) -> list[Time]:
    """3 days ago, a couple of weeks ago: as long as the unit, with the moment in its middle."""
    return [around(said.clock, -number(said["count"]), said["unit"])]


@reads(rf"\b(?:(?:last|past)\s+{COUNT}\s+|(?:(?<=the )last|(?:this\s+)?past)\s+){UNIT}s?\b(?!\s+of\b)")
def rolling(said: Words) -> list[Time]:
    """In the last 10 days, the past week: up to now."""
    unit = said["unit"]
    start = moved(said.clock, -number(said["count"] or "a"), unit)
    return [Time(midnight(start) if DAYS_OF[unit] >= 1 else start, said.clock)]


@reads(rf"\b{WHICH}(?P<unit>week|month|year)\b(?!\s+of\b)")
def calendar_unit(said: Words) -> list[Time]:
    """Last week, this month, next year: by the calendar."""
    step, name = said.step() or 0, said["unit"]
    if name == "week":
        monday = midnight(said.clock) + (7 * step - said.clock.weekday()) * DAY
        return [Time(monday, monday + 7 * DAY)]
    first = shifted(midnight(said.clock).replace(day=1), step) if name == "month" else said.clock
    return [months(first.year, first.month) if name == "month" else months(said.clock.year + step, 1, 12)]


@reads(rf"\b(?P<day>{'|'.join(DAYS_AWAY)})\b{PART}")
def near_day(said: Words) -> list[Time]:
    """Yesterday, today, tomorrow evening, the day before yesterday."""
    start = midnight(said.clock) + DAYS_AWAY[said["day"]] * DAY
    return [part_of(Time(start, start + DAY), said["part"])]


@reads(rf"\b(?:(?P<which>this|last)\s+(?P<part>{'|'.join(PARTS)})|tonight)\b")
def near_part(said: Words) -> list[Time]:
    """Of today, tonight, or of yesterday, as in "last night"."""
    start = midnight(said.clock) + (said.step() or 0) * DAY
    return [part_of(Time(start, start + DAY), said["part"] or "night")]


@reads(r"\b(?:(?P<week>the\s+other\s+day)|recently|lately)\b")
def vague(said: Words) -> list[Time]:
    """The other day, recently, lately."""
    return [Time(midnight(said.clock) - (7 if said["week"] else 30) * DAY, said.clock, weight=UNSURE)]


@reads(
    r"(?<![\w.,:/$€£#+])(?:(?<!\d-)|(?<=\b(?:19|20)\d\d-))((?:19|20)\d\d)"
    r"(?![\w/]|-(?!(?:19|20)\d\d\b)|[.,:]\d|%)"
)
def bare_year(said: Words) -> list[Time]:
    """2022, of 1900 to 2099; surely one after "in" and its like in some languages."""
    sure = compiled(YEAR_LEAD).search(said.before(12))
    return [replace(months(int(said.match[1]), 1, 12), weight=1.0 if sure else UNSURE)]


@reads(r"\b((?:19|20)\d0)s\b")
def decade(said: Words) -> list[Time]:
    """The 1990s."""
    return [months(int(said.match[1]), 1, 120)]


def certainty(said: Words) -> float:
    """How sure it is that a month, season or holiday without a day is meant, and nothing else by its name; 0: not."""
    name, step, lead = said["name"], said.step(), said.lead
    if said["year"]:
        return 1.0
    if lead in NOT_TO.get(name, () if name in HOLIDAYS else ("on", "at")):
        lead = ""
    if name in ("may", "march") and not said.capital():
        # "this may help", "the last march", "what stood there before may have fallen".
        misread = step == 0 or said.before(4) == "the " or said.verb()
        return 1.0 if (step is not None or lead) and not misread else 0.0
    if step is not None or (lead and not said.match.string.startswith("'s", said.match.end("name"))):
        return 1.0
    if name in SEASONS or (name in (*MONTHS, "sept") and name != "may"):
        return 0.0
    if name in ("may", "march") and (said.verb() or not re.search(r"\w\s+$", said.before(4))):
        return 0.0
    return UNSURE


def chosen(make: Callable[[int], Time], clock: datetime, year: int | None = None, step: int | None = None) -> Time:
    """The one of the times that recur each year that is meant; where nothing says which, the latest, as yearly.

    `step`: -1 the last that is over, 0 this year's (or one begun before that goes on), 1 the next. ValueError if none.
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
    """The number of a month, 1 to 12."""
    return MONTHS.index(name[:3]) + 1


def slot(name: str) -> tuple[int, int]:
    """The day of the week, 0 for Monday, on which a weekday or the weekend begins, and its days."""
    return (5, 2) if name == "weekend" else (WEEKDAYS.index(name[:3]), 1)


def number(words: str) -> int:
    """The number that digits or words say ("a couple of")."""
    return int(words) if words.isdecimal() else [NUMBERS[w] for w in words.split() if w in NUMBERS][-1]


def part_of(time: Time, part: str) -> Time:
    """The morning, afternoon, evening or night of a day; the day where none is said."""
    if not part:
        return time
    begin, end = PARTS[part]
    return replace(time, start=time.start + timedelta(hours=begin), end=time.start + timedelta(hours=end))


def day(year: int, month: int, date: int, count: int = 1) -> Time:
    """`count` days of the calendar from a day on; ValueError if there is none such."""
    start = datetime(year, month, date, tzinfo=UTC)
    return Time(start, start + count * DAY)


def months(year: int, month: int, count: int = 1) -> Time:
    """`count` months of the calendar from a month on; ValueError if there is none such."""
    start = datetime(year, month, 1, tzinfo=UTC)
    return Time(start, shifted(start, count))


def shifted(moment: datetime, count: int) -> datetime:
    """`moment` `count` months later; on the month's last day where it has no such day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + count, 12)
    first = moment.replace(year=year, month=month + 1, day=1)
    last = (first + 31 * DAY).replace(day=1) - DAY
    return first.replace(day=min(moment.day, last.day))


def in_year(time: Time, year: int) -> Time:
    """`time` in another year."""
    count = 12 * (year - time.start.year)
    return replace(time, start=shifted(time.start, count), end=shifted(time.end, count))


def around(moment: datetime, count: int, unit: str) -> Time:
    """A stretch as long as a unit, with the moment that is `count` of them after `moment` in its middle."""
    middle, length = moved(moment, count, unit), timedelta(DAYS_OF[unit])
    if length >= DAY:
        # Whole days, an odd number of them.
        middle, length = midnight(middle) + DAY / 2, length // (2 * DAY) * 2 * DAY + DAY
    return Time(middle - length / 2, middle + length / 2)


def moved(moment: datetime, count: int, unit: str) -> datetime:
    """`moment` `count` units later."""
    return shifted(moment, count * MONTHS_OF[unit]) if unit in MONTHS_OF else moment + count * timedelta(DAYS_OF[unit])


def period(time: Time, words: str, zone: tzinfo | None) -> Period:
    """A time of the asker's clock, in `zone`, as the period that it is in UTC."""
    start, end = utc(time.start, zone), utc(time.end, zone)
    return Period(start, end, words, time.yearly, time.weight, time.start - start if time.yearly else timedelta(0))


def utc(local: datetime, zone: tzinfo | None) -> datetime:
    """A time of the asker's clock in UTC, held within what a datetime can say."""
    try:
        return local if local in (FIRST, LAST) else local.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return FIRST if local.year < 5000 else LAST
