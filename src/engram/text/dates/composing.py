"""Composing of times: what has been read, with the English words around it ("since X", "the week before X").

Owns these words. Does not know how X was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from engram.text.dates.moments import Time, around, moved, span
from engram.text.dates.narrowing import narrowed, narrowing_before
from engram.text.dates.period import DAY, FIRST, LAST, midnight
from engram.text.dates.words import COUNT, UNIT, WEEKDAY, Reading, compiled, lead_before, number, slot

OFFSET = (
    rf"\b(?:(?P<all>the\s++(?:first\s++|last\s++)?)?{COUNT}\s++{UNIT}s?|(?P<weekday>{WEEKDAY}|weekend))"
    r"\s++(?P<side>before|after)\s++(?:the\s++)?$"
)
OF_DAY = rf"\b{WEEKDAY},?\s++(?:the\s++)?$"
"""A weekday before a date, which is a part of it."""
JOIN = r"\s*+(?:(?P<and>and)|to|until|till|through|-|\.\.+)\s*+(?:the\s++|in\s++)?"


def composed(read: list[Reading], text: str) -> Iterator[Reading]:
    """Yield the readings, combined with the words around them: "since X", "the week before X", "between X and Y"."""
    parts = list(narrowed_parts(read, text))
    index = 0
    while index < len(parts):
        part = parts[index]
        index += 1
        lead = lead_before(text, part.begin)
        if index < len(parts):
            join = compiled(JOIN).fullmatch(text[part.stop : parts[index].begin])
            if join and (lead in ("between", "from") or not join["and"]):
                spans = [span(a, b) for a in part.times for b in parts[index].times]
                times = tuple(time for time in spans if time.start < time.end)
                if times:
                    yield Reading(part.begin, parts[index].stop, times)
                    index += 1
                    continue
        offset = compiled(OFFSET).search(text[max(0, part.begin - 40) : part.begin])
        with suppress(ValueError, OverflowError):
            times = tuple(next_to(offset, t) if offset else bounded(lead, t) for t in part.times)
            yield Reading(part.begin - len(offset[0]) if offset else part.begin, part.stop, times)


def narrowed_parts(read: list[Reading], text: str) -> Iterator[Reading]:
    """Yield the readings with the weekday of a date, and as parts of what was read: "the first week of X"."""
    for part in read:
        weekday = compiled(OF_DAY).search(text[max(0, part.begin - 20) : part.begin])
        begin = part.begin - len(weekday[0]) if weekday else part.begin
        words = narrowing_before(text, begin)
        if words is None:
            yield replace(part, begin=begin)
            continue
        with suppress(ValueError, OverflowError):
            yield Reading(begin - len(words[0]), part.stop, tuple(narrowed(time, words) for time in part.times))


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
