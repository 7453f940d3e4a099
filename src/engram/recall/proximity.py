"""Proximity: how near moments are to the periods that a query means.

Owns how closeness decays, and when periods recur. Knows no text, and no weight: how much closeness counts is
`recall.score`'s business.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from engram.search.base import Span
from engram.text.dates.period import DAY, FIRST, LAST, Period, midnight
from engram.times import MICROSECOND, microseconds

LATE, EARLY = 7.0, 2.0
"""Days within which closeness to a day falls to 1/e, after it and before it: most events are reported after them."""
OPEN = timedelta(days=30)
"""Assumed length of a period without beginning or end."""

Micros = npt.NDArray[np.int64]
"""Microseconds since 1970, UTC."""


def closeness(at: Micros, periods: list[Period]) -> npt.NDArray[np.float32]:
    """Return how near each of `at` (microseconds since 1970) is to the nearest period, 0 to 1: the shape of `at`.

    Inside a period it is the period's weight. Outside it decays, slower after the period than before it, and slower for
    longer periods. Without periods it is 0.
    """
    result = np.zeros(at.shape, np.float32)
    clipped = np.clip(at, microseconds(FIRST), microseconds(LAST))
    for period in periods:
        value = yearly_closeness(clipped, period) if period.yearly else single_closeness(clipped, period)
        np.maximum(result, period.weight * value, out=result, casting="same_kind")
    return result


def single_closeness(at: Micros, period: Period) -> npt.NDArray[np.float64]:
    """Return how near each of `at` is to a period of one year."""
    return decayed(at, microseconds(period.start), microseconds(period.end), scale(period))


def yearly_closeness(at: Micros, period: Period) -> npt.NDArray[np.float64]:
    """Return how near each of `at` is to the same days of its nearest year; 29 February is 1 March in other years."""
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
    """Return the microseconds of a day and time of the year, in each of `years` (counted from 1970)."""
    months = (years * 12 + (moment.month - 1)).astype("M8[M]")
    days = months.astype("M8[D]").astype(np.int64) + (moment.day - 1)
    return days * (DAY // MICROSECOND) + (moment - midnight(moment)) // MICROSECOND


def occurrences(period: Period, years: int) -> list[Span]:
    """Return a period as spans: the latest `years` ones, latest first, if it names no year; else the one that it is."""
    if not period.yearly:
        return [Span(microseconds(period.start), microseconds(period.end))]
    start, end, ahead = period.start + period.ahead, period.end + period.ahead, period.ahead // MICROSECOND
    back = start.year - 1970 - np.arange(years)
    starts, ends = anniversary(back, start) - ahead, anniversary(back + (end.year - start.year), end) - ahead
    return [Span(*span) for span in zip(starts.tolist(), ends.tolist(), strict=True) if span[0] < span[1]]


def decayed(at: Micros, start: Micros | int, end: Micros | int, days: float) -> npt.NDArray[np.float64]:
    """Return 1 between `start` and `end`; outside it decays to 1/e within `days` times `LATE` or `EARLY`."""
    unit = days * (DAY / MICROSECOND)
    fallen = np.maximum(at - end, 0) / (unit * LATE) + np.maximum(start - at, 0) / (unit * EARLY)
    return np.asarray(np.exp(-np.minimum(fallen, 20)) * (fallen < 20), np.float64)


def scale(period: Period) -> float:
    """Return how much slower closeness to a period decays than to a day: the fourth root of its length in days."""
    length = OPEN if period.start == FIRST or period.end == LAST else period.end - period.start
    return math.pow(max(length / DAY, 1 / 24), 0.25)
