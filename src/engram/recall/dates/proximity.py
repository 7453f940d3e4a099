"""Proximity: how near moments are to the periods that a query means.

Owns how nearness decays. It says how near, never how much that counts. Knows no text.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from engram.recall.dates.period import DAY, FIRST, LAST, Period, midnight
from engram.times import MICROSECOND, microseconds

LATE, EARLY = 7.0, 2.0
"""Days within which nearness to a day falls to 1/e, after it and before it: most events are told a little later."""
OPEN = timedelta(days=30)
"""The length that a period without beginning or end is taken to have."""

Micros = npt.NDArray[np.int64]
"""Microseconds since 1970, UTC."""


def closeness(at: Micros, meant: list[Period]) -> npt.NDArray[np.float32]:
    """How near each of `at` (microseconds since 1970) is to the nearest of `meant`, 0 to 1: the shape of `at`.

    A period's weight inside it, falling smoothly outside, slower after it than before and slower for longer ones; 0
    where nothing is meant.
    """
    result = np.zeros(at.shape, np.float32)
    clipped = np.clip(at, microseconds(FIRST), microseconds(LAST))
    for period in meant:
        value = recurring(clipped, period) if period.yearly else falling(clipped, period)
        np.maximum(result, period.weight * value, out=result, casting="same_kind")
    return result


def falling(at: Micros, period: Period) -> npt.NDArray[np.float64]:
    """How near each of `at` is to one stretch of time."""
    return decayed(at, microseconds(period.start), microseconds(period.end), scale(period))


def recurring(at: Micros, period: Period) -> npt.NDArray[np.float64]:
    """How near each of `at` is to the same days of the nearest year. 29 February is 1 March in years without it."""
    start, end = period.start + period.ahead, period.end + period.ahead
    local = at + period.ahead // MICROSECOND
    years = local.astype("M8[us]").astype("M8[Y]").astype(np.int64)
    least = min(end - start, DAY) // MICROSECOND
    best = np.zeros(at.shape, np.float64)
    for step in (-1, 0, 1):
        starts = anniversary(years + step, start)
        ends = anniversary(years + (step + end.year - start.year), end)
        np.maximum(best, decayed(local, starts, np.maximum(ends, starts + least), scale(period)), out=best)
    return best


def anniversary(years: Micros, moment: datetime) -> Micros:
    """The microseconds of a day and time of the year in each of `years` (counted from 1970)."""
    months = (years * 12 + (moment.month - 1)).astype("M8[M]")
    days = months.astype("M8[D]").astype(np.int64) + (moment.day - 1)
    return days * (DAY // MICROSECOND) + (moment - midnight(moment)) // MICROSECOND


def decayed(at: Micros, start: Micros | int, end: Micros | int, days: float) -> npt.NDArray[np.float64]:
    """1 between `start` and `end`, falling to 1/e within `days` times `LATE` and `EARLY`."""
    unit = days * (DAY / MICROSECOND)
    fallen = np.maximum(at - end, 0) / (unit * LATE) + np.maximum(start - at, 0) / (unit * EARLY)
    return np.asarray(np.exp(-np.minimum(fallen, 20)) * (fallen < 20), np.float64)


def scale(period: Period) -> float:
    """How much slower nearness to a period decays than to a day: the fourth root of its length in days."""
    length = OPEN if period.start == FIRST or period.end == LAST else period.end - period.start
    return math.pow(max(length / DAY, 1 / 24), 0.25)
