"""Readers of dates and years in digits, in any language.

Owns which digits are a date. Knows no words but the prepositions before a year.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial

from engram.text.dates.moments import UNSURE, Time, chosen, day, months
from engram.text.dates.words import Readers, Words, compiled

READERS = Readers()
"""Readers of dates, which are tried before those of words."""
YEARS = Readers()
"""Readers of years, which are tried after these."""

YEAR_LEAD = (
    r"\b(?:in|of|during|since|until|till|before|after|from|between|early|mid|late|around|year"
    r"|im|jahr|en|em|nel|dal|del|año|ano|année|anno|seit|desde|depuis)[\s-]+$"
)


@READERS.reads(r"(?<![\w/-])(?<!\w\.)(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)")
def iso_day(words: Words) -> list[Time]:
    """2023-03-14, 2023/03/14."""
    return [day(int(words.match[1]), int(words.match[3]), int(words.match[4]))]


@READERS.reads(r"(?<![\w/.+-])((?:19|20)\d\d)-(0[1-9]|1[0-2])(?![\w-])")
def iso_month(words: Words) -> list[Time]:
    """2023-03."""
    return [months(int(words.match[1]), int(words.match[2]))]


@READERS.reads(
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


@READERS.reads(
    r"(?:(?<!\d)(?P<year>\d{4})\s*+[年년]\s*+)?(?<!\d)(?P<month>\d{1,2})\s*+[月월](?:\s*+(?P<day>\d{1,2})\s*+[日号號일])?",
    r"(?<!\d)(?P<year>\d{4})\s*+[年년](?P<month>)(?P<day>)",
)
def ideographic(words: Words) -> list[Time]:
    """2023年3月14日, 3月, 2023년."""
    year = int(words["year"]) if words["year"] else None
    if words["day"]:
        return [chosen(partial(day, month=int(words["month"]), date=int(words["day"])), words.clock, year)]
    if words["month"]:
        return [chosen(partial(months, month=int(words["month"])), words.clock, year)]
    return [months(int(words["year"]), 1, 12)]


@YEARS.reads(
    r"(?<![\w.,:/$€£#+])(?:(?<!\d-)|(?<=\b(?:19|20)\d\d-))((?:19|20)\d\d)"
    r"(?![\w/]|-(?!(?:19|20)\d\d\b)|[.,:]\d|%)"
)
def bare_year(words: Words) -> list[Time]:
    """2022; from 1900 to 2099. Sure after "in" and its counterparts in some languages."""
    sure = compiled(YEAR_LEAD).search(words.before(12))
    return [replace(months(int(words.match[1]), 1, 12), weight=1.0 if sure else UNSURE)]


@YEARS.reads(r"\b((?:19|20)\d0)s\b")
def decade(words: Words) -> list[Time]:
    """The 1990s."""
    return [months(int(words.match[1]), 1, 120)]
