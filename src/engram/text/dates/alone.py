"""Queries that ask for a time alone: "What did we do last Tuesday?", "yesterday?".

Owns the condition: that a query holds no word besides its times but light words, which only ask, point, join, or say
that something happened or was said. Knows neither how times are read nor the light words, which are in `tables`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from engram.text.courtesy import GREETINGS, is_courtesy
from engram.text.dates.languages import only_light
from engram.text.dates.period import Period
from engram.text.dates.tables import ENGLISH_LIGHT
from engram.text.tokenizer import words
from engram.times import MONTHS, SEASONS

LONGEST = 200
"""Characters above which a query is taken to say more than a time."""

_LIGHT = frozenset(ENGLISH_LIGHT.split()) | GREETINGS

POLITE = re.compile(r"^\W*(?:(?:can|could|would|will) you|i(?:'d| would) like (?:you )?to|let'?s)\b", re.IGNORECASE)
"""Beginnings of a request, whose words would otherwise ask what may or will be."""

NAMES = frozenset((*MONTHS, *SEASONS))
"""Times that are names of people, too."""


def asks_time_alone(query: str, periods: Iterable[Period], now: datetime) -> bool:
    """Return whether `query`, asked at `now`, asks for what was at `periods`, the times that it means, and for no more.

    A time that has not begun holds nothing that could have been remembered, so a query for it does not. A naive `now`
    is taken as UTC.
    """
    times = list(periods)
    if not times or len(query) > LONGEST or is_courtesy(query):
        return False
    moment = now if now.tzinfo else now.replace(tzinfo=UTC)
    if not all(period.start <= moment and _sure(period) for period in times):
        return False
    rest = query
    for period in times:
        rest = rest.replace(period.text, " ")
    return frozenset(words(POLITE.sub(" ", rest))) <= _LIGHT or only_light(rest)


def _sure(period: Period) -> bool:
    """Return whether the words of a period alone say that they mean a time: not "April" or "2041"."""
    text = period.text.lower()
    return period.weight == 1 or not (text in NAMES or text.isdecimal())
