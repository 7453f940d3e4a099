"""The rule: how use becomes strength, and what strength does to the order of hits.

Owns the numbers and their meaning. Strength is a tie-breaker: it moves a hit over others that are at most `BOUND`
better, and over none that was told since it was used last, so that what is asked often does not push out what is told.
Scores stay as they are, and so does what is under the floor. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from engram.recall.recaller import STRENGTH
from engram.recall.result import Hit
from engram.recall.score import FLOOR

HALF_LIFE = 28.0
"""Days after which a use counts half."""
MOST = 15.0
"""Uses, each of another day, from which more make nothing stronger."""
BOUND = 0.03
"""The most that strength adds to the value that hits are ranked by: about the difference of two hits that answer
equally well."""
SHARE_OF_BEST = 0.5
"""Share of the best hit's score from which a hit counts as used: beside a sure answer, the others are noise."""
NEVER = -1
"""The day of a use that there was not."""
SECONDS_OF_DAY = 86_400


class Use(NamedTuple):
    """How an engram was used. Days are whole days since 1970 in UTC; one day counts once."""

    amount: float
    """The uses, each halved for every `HALF_LIFE` between it and `day`; that of `day` counts 1."""
    day: int
    """The day of the last use."""
    before: int
    """The day of the use before the last one; `NEVER` if there was none."""


def day_of(moment: datetime) -> int:
    """Return the day of a time."""
    return int(moment.timestamp() // SECONDS_OF_DAY)


def today() -> int:
    """Return the current day."""
    return day_of(datetime.now(UTC))


def counted(use: Use | None, day: int) -> Use:
    """Return a use with one more on a day; the same if that day, or a later one, was counted already."""
    if use is None:
        return Use(1.0, day, NEVER)
    return use if use.day >= day else Use(faded(use, day) + 1, day, use.day)


def faded(use: Use, day: int) -> float:
    """Return what the uses count on a day, without that of the day itself."""
    return use.amount - 1 if use.day >= day else use.amount * 2.0 ** ((use.day - day) / HALF_LIFE)


def last_before(use: Use, day: int) -> int:
    """Return the day of the last use before a day; `NEVER` if there was none."""
    return use.day if use.day < day else use.before


def strength(use: Use, day: int) -> float:
    """Return how strong an engram is on a day, 0 to 1. What is used on a day counts from the next day on."""
    return min(1.0, math.log1p(max(0.0, faded(use, day))) / math.log1p(MOST))


def used(hits: Sequence[Hit]) -> list[str]:
    """Return the ids of the hits that count as used: those that answer about as surely as the best one."""
    enough = max(FLOOR, SHARE_OF_BEST * max((hit.score for hit in hits), default=0.0))
    return [hit.engram.id for hit in hits if hit.score >= enough]


def strengthened(hits: Sequence[Hit], uses: Mapping[str, Use], day: int) -> list[Hit]:
    """Return hits, best first, in the order that strength gives them; `why` of a strong one shows it.

    uses: by id. A hit that was put behind a worse one, such as a copy, stays behind it.
    """
    result: list[Hit] = []
    for hit in hits:
        use = uses.get(hit.engram.id)
        added = 0.0 if use is None else BOUND * strength(use, day)
        if use is None or added <= 0:
            result.append(hit)
            continue
        stronger = replace(hit, why={**hit.why, STRENGTH: added})
        place, known = len(result), last_before(use, day)
        while place and passes(stronger, result[place - 1], known):
            place -= 1
        result.insert(place, stronger)
    return result


def passes(hit: Hit, other: Hit, known: int) -> bool:
    """Return whether a hit comes before one that is above it. known: the last day on which it was used before."""
    above = sum(other.why.values()) < sum(hit.why.values()) and own_value(other) >= own_value(hit)
    return above and day_of(other.engram.recorded_at) <= known


def own_value(hit: Hit) -> float:
    """Return what a hit is ranked by without its strength."""
    return sum(hit.why.values()) - hit.why.get(STRENGTH, 0.0)


def first_without(hits: Sequence[Hit]) -> Hit:
    """Return the hit that would be first without strength. hits: at least one, best first."""
    first = hits[0]
    if STRENGTH not in first.why:
        return first
    return next((hit for hit in hits[1:] if own_value(hit) > own_value(first)), first)
