"""Queries that ask for a time alone: "What did we do last Tuesday?", "yesterday?".

Owns which words say nothing beside a time: those that only ask, point, join, or say that something happened or was
said. Does not know how times are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from engram.text.courtesy import GREETINGS, is_courtesy
from engram.text.dates.period import Period
from engram.text.tokenizer import words
from engram.times import MONTHS, SEASONS

LONGEST = 200
"""Characters above which a query is taken to say more than a time."""

LIGHT = {
    "en": """
    what which who whom where how when why whatever whats
    be am is are was were been being do does did done doing don didn have has had having haven hadn
    i me my mine myself we us our ours ourselves you your yours he him his she her hers they them their it its one
    this that these those there here s re ve d ll m
    anyone anybody anything someone somebody something everyone everybody everything all both each any some else
    a an the and or but so of on in at to from for with by about around during over between within since until till
    before after back into through throughout as if then than not no just also only even still ever again once more
    most much many few lot lots bit so far up on off out down together exactly precisely roughly happen happens
    happened happening occur occurs occurred go goes going gone went come came take took place get got make made talk
    talks talked talking say says said saying tell tells told telling discuss discussed discussing chat chats chatted
    chatting mention mentioned mentioning speak spoke spoken write wrote written ask asked note notes noted record
    recorded remember remembered recall recalled remind show give list sum earlier later like summarise summarize summary recap recount
    describe thing things stuff event events activity activities memory memories conversation conversations message
    messages entry entries diary journal log news new begin began start started end ended please
    """,
}
"""For each language its words that say nothing beside a time, as the tokenizer folds them."""

_LIGHT = {language: frozenset(text.split()) | GREETINGS for language, text in LIGHT.items()}

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
    left = frozenset(words(POLITE.sub(" ", rest)))
    return any(left <= light for light in _LIGHT.values())


def _sure(period: Period) -> bool:
    """Return whether the words of a period alone say that they mean a time: not "April" or "2041"."""
    text = period.text.lower()
    return period.weight == 1 or not (text in NAMES or text.isdecimal())
