"""Values: the numbers that a sentence states, each with what it counts or measures.

Owns when two sentences state another value of the same type: "150 commits" and "165 commits", "65%" and "78 percent",
"at 9:30" and "at 10". Names and places have no such types; of them the vectors tell. Pure functions in time
proportional to the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Values = Mapping[str, frozenset[str]]
"""Numbers, as they are written, by their type."""

READ = 4_096
"""Characters of a sentence that are read."""
UNIT = 5
"""Letters of the word behind a number that tell what it counts: "commit" and "commits" are one."""

_NUMBER = re.compile(r"\d(?:[\d.,:]*\d)?")
_MONEY_BEFORE = re.compile(r"[$€£¥₽₩₺]\s?$")
_MONEY = re.compile(
    r"\s?(?:[$€£¥₽₩₺元円원]|(?:euros?|dollars?|usd|eur|gbp|pounds?|quid|bucks|pln)\b|zł|lir|рубл)", re.IGNORECASE
)
_SHARE = re.compile(r"\s?(?:[%％]|percent\b|per cent\b|prozent\b|por ciento\b|pour ?cent\b|процент)", re.IGNORECASE)
_CLOCK = re.compile(r"\s?(?:[ap]\.?m\b|uhr\b|o'clock\b|[点點時时]|h\d{2})", re.IGNORECASE)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_MONTH = re.compile(rf"(?:\b(?:{_MONTHS})[a-z]*\.? |\d[年月/])$", re.IGNORECASE)
_DAY = re.compile(rf"(?:st|nd|rd|th)\b|\.? ?(?:{_MONTHS})|[年月日号號]", re.IGNORECASE)
_WORD = re.compile(r"[\s-]?([^\W\d_]+)")
_IDEOGRAPH = "\u3040"
"""The first character of the scripts that part no words."""


def values_of(sentence: str) -> Values:
    """Return the numbers that a sentence states, as they are written, by type; {} if it states none."""
    text = sentence[:READ]
    found: dict[str, set[str]] = {}
    for match in _NUMBER.finditer(text):
        kind = _type(text, match.start(), match.end(), match[0])
        found.setdefault(kind, set()).add(match[0])
    return {kind: frozenset(numbers) for kind, numbers in found.items()}


def _type(text: str, start: int, end: int, number: str) -> str:
    """Return what a number is of: a type with a name, or that of the word behind it."""
    before, behind = text[max(0, start - 12) : start], text[end : end + 24]
    if _MONEY_BEFORE.search(before) or _MONEY.match(behind):
        return "money"
    if _SHARE.match(behind):
        return "share"
    if ":" in number or _CLOCK.match(behind):
        return "clock"
    if _MONTH.search(before) or _DAY.match(behind):
        return "day"
    word = _WORD.match(behind)
    if word is None:
        return "number"
    return "number " + (word[1][:1] if word[1] >= _IDEOGRAPH else word[1][:UNIT].casefold())


def differ(values: Values, others: Values) -> bool:
    """Return whether two sentences with these values state different ones of one type."""
    return any(kind in others and not numbers & others[kind] for kind, numbers in values.items())
