"""Narrowing of times: "the first week of X", "early X", "the evening of X", and "the week of X".

Owns these English words and the parts that they name. Does not know how X was read.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

from engram.text.dates.moments import PARTS, Time, months, part_of, shifted
from engram.text.dates.period import DAY, FIRST, LAST, midnight
from engram.text.dates.words import NUMBERS, WEEKDAY, compiled, number, slot

NTH = {"first": 1, "1st": 1, "opening": 1, "second": 2, "2nd": 2, "latter": 2, "third": 3, "3rd": 3, "fourth": 4}
NTH |= {"4th": 4, "fifth": 5, "5th": 5, "last": -1, "final": -1, "closing": -1}
NARROW = (
    rf"\b(?:(?P<nth>{'|'.join(NTH)})\s++(?:(?P<count>\d{{1,2}}|{'|'.join(NUMBERS)}|couple\s++of)\s++)?"
    rf"(?P<unit>day|weekend|week|month|quarter|half|{WEEKDAY})(?P<many>s?)\s++(?:of|in)"
    r"|(?:very\s++)?(?P<edge>beginning|start|middle|end)\s++of|(?P<side>early|mid|late)(?:\s++in)?"
    rf"|(?P<part>{'|'.join(PARTS)})\s++(?:of|on)|(?P<whole>weekend|week|month)\s++of)[\s-]+(?:the\s++)?$"
)
"""What stands before a time and means a part of it, or what it is a part of."""
LONGEST = 48
"""Characters before a time in which such words are looked for."""
EDGES = {
    "beginning": (0.0, 0.37),
    "start": (0.0, 0.37),
    "early": (0.0, 0.37),
    "middle": (0.3, 0.7),
    "mid": (0.3, 0.7),
    "end": (0.63, 1.0),
    "late": (0.63, 1.0),
}
"""Shares of a time between which each lies. They overlap, because nobody is exact about them."""
SEVERAL = {"day": 5, "week": 3, "month": 3, "weekend": 2}
"""How many "the last days" are, and the like."""
LEAST = 3 * DAY
"""Length under which a time has no early and late part: "early yesterday"."""


def narrowing_before(text: str, end: int) -> re.Match[str] | None:
    """Return the words right before a position of `text` that narrow what stands there; None if there are none."""
    return compiled(NARROW).search(text[max(0, end - LONGEST) : end])


def narrowed(time: Time, words: re.Match[str]) -> Time:
    """Return the part of `time` that `words`, a match of `NARROW`, mean. Raises ValueError if it has no such part."""
    if time.start == FIRST or time.end == LAST:
        return time
    if words["part"]:
        return part_of(time, words["part"]) if time.end - time.start == DAY else time
    if words["whole"]:
        return whole(time, words["whole"])
    if words["nth"]:
        unit = words["unit"]
        count = number(words["count"]) if words["count"] else SEVERAL.get(unit, 1) if words["many"] else 1
        return nth_of(time, NTH[words["nth"]], count, unit)
    return edge(time, *EDGES[words["edge"] or words["side"]])


def edge(time: Time, begin: float, stop: float) -> Time:
    """Return the whole days of `time` between two shares of it, 0 to 1; a short time as it is."""
    length = time.end - time.start
    if length < LEAST:
        return time
    start, end = midnight(time.start + length * begin), time.start + length * stop
    return replace(time, start=start, end=end if end == midnight(end) else midnight(end) + DAY)


def whole(time: Time, unit: str) -> Time:
    """Return the calendar week, weekend or month in which `time` begins; `time` itself if it is longer."""
    monday = midnight(time.start) - time.start.weekday() * DAY
    if unit == "month":
        outer = months(time.start.year, time.start.month)
        start, end = outer.start, outer.end
    else:
        start, end = monday + (5 if unit == "weekend" else 0) * DAY, monday + 7 * DAY
    return (
        time
        if time.end - time.start > timedelta(days=31 if unit == "month" else 7)
        else replace(time, start=start, end=end)
    )


def nth_of(time: Time, position: int, count: int, unit: str) -> Time:
    """Return `time` narrowed to what `nth` returns."""
    start, end = nth(time, position, count, unit)
    return replace(time, start=max(start, time.start), end=min(end, time.end))


def nth(time: Time, position: int, count: int, unit: str) -> tuple[datetime, datetime]:
    """Return the start and end of "the second week", "the last three days" and the like of `time`.

    position: from 1, or -1 for the last. Raises ValueError if there is none.
    """
    if unit in ("half", "quarter", "month"):
        return share_of_months(time, position, count, unit)
    if unit not in ("day", "week"):
        return nth_weekday(time, position, count, unit)
    length = count * (7 if unit == "week" else 1) * DAY
    start = time.end - length if position < 0 else time.start + (position - 1) * length
    if start >= time.end:
        raise ValueError(f"there is no such {unit}")
    return start, start + length


def share_of_months(time: Time, position: int, count: int, unit: str) -> tuple[datetime, datetime]:
    """Return the start and end of a half, a quarter or some months of `time`."""
    size = (time.end.year - time.start.year) * 12 + time.end.month - time.start.month
    each = {"half": size // 2, "quarter": 3, "month": count}[unit]
    if not each:
        middle = midnight(time.start + (time.end - time.start) / 2)
        return (time.start, middle) if position == 1 else (middle, time.end)
    start = shifted(time.end, -each) if position < 0 else shifted(time.start, (position - 1) * each)
    if start >= time.end:
        raise ValueError(f"there is no such {unit}")
    return start, shifted(start, each)


def nth_weekday(time: Time, position: int, count: int, name: str) -> tuple[datetime, datetime]:
    """Return the start and end of "the first Monday", "the last two weekends" and the like of `time`."""
    weekday, days = slot(name)
    first = midnight(time.start) + (weekday - time.start.weekday()) % 7 * DAY
    if position < 0:
        last = midnight(time.end - DAY / 2)
        last -= (last.weekday() - weekday) % 7 * DAY
        return last - 7 * (count - 1) * DAY, last + days * DAY
    start = first + 7 * (position - 1) * DAY
    if start >= time.end:
        raise ValueError(f"there is no such {name}")
    return start, start + (7 * (count - 1) + days) * DAY
