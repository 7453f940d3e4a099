"""Times of the calendar: days, months and parts of a day in local time, before the words around them are considered.

Owns their arithmetic. Knows no words.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from engram.text.dates.period import DAY, midnight

# All datetimes are the asker's local time, labelled UTC. `parse.period` converts them at the end.

UNSURE = 0.5
"""Weight of a word that is a name as often as a time ("April", "Friday"), or that is vague ("recently")."""
PARTS = {"morning": (5, 12), "afternoon": (12, 18), "evening": (17, 24), "night": (18, 30)}  # hours
DAYS_OF = {
    "minute": 1 / 1440,
    "hour": 1 / 24,
    "day": 1,
    "week": 7,
    "fortnight": 14,
    "month": 31,
    "quarter": 91,
    "year": 365,
    "decade": 3650,
}
UNITS = ("day", "week", "month", "year")
"""Calendar units, by their length."""
PARTS_OF_DAY = tuple(PARTS)
MONTHS_OF = {"month": 1, "quarter": 3, "year": 12, "decade": 120}


@dataclass(frozen=True, slots=True)
class Time:
    """A period in local time, before the words around it are considered."""

    start: datetime
    end: datetime
    yearly: bool = False
    weight: float = 1.0


def span(first: Time, last: Time) -> Time:
    """Return the time from `first` to `last`; one takes the other's year if it has none. Empty if `last` is earlier."""
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


def chosen(make: Callable[[int], Time], clock: datetime, year: int | None = None, step: int | None = None) -> Time:
    """Return the occurrence that is meant of a time that recurs each year; without a word for it the latest, as yearly.

    step: -1 is the last that is over, 0 this year's (or one that began earlier and continues), 1 the next. Raises
    ValueError if there is none.
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


def part_of(time: Time, part: str) -> Time:
    """Return the morning, afternoon, evening or night of a day; the whole day if `part` is ""."""
    if not part:
        return time
    begin, end = PARTS[part]
    return replace(time, start=time.start + timedelta(hours=begin), end=time.start + timedelta(hours=end))


def day(year: int, month: int, date: int, count: int = 1) -> Time:
    """Return `count` calendar days from a day on. Raises ValueError if the day does not exist."""
    start = datetime(year, month, date, tzinfo=UTC)
    return Time(start, start + count * DAY)


def months(year: int, month: int, count: int = 1) -> Time:
    """Return `count` calendar months from a month on. Raises ValueError if the month does not exist."""
    start = datetime(year, month, 1, tzinfo=UTC)
    return Time(start, shifted(start, count))


def day_of_month(clock: datetime, date: int, count: int = 1, step: int | None = None) -> Time:
    """Return `count` days from a day of a month on: of the latest month in which it has come, or `step` months later.

    date: 1 to 31. Raises ValueError if that month has no such day.
    """
    first = clock.replace(day=1)
    if step is not None:
        month = shifted(first, step)
        return day(month.year, month.month, date, count)
    # Of three months one has 31 days and has begun.
    for back in range(3):
        month = shifted(first, -back)
        with suppress(ValueError):
            time = day(month.year, month.month, date, count)
            if time.start <= clock:
                return time
    raise ValueError(f"no month has a day {date}")


def calendar_unit(clock: datetime, unit: str, step: int) -> Time:
    """Return the calendar week, month, quarter or year that is `step` such units after that of `clock`."""
    if unit == "week":
        monday = midnight(clock) + (7 * step - clock.weekday()) * DAY
        return Time(monday, monday + 7 * DAY)
    if unit == "quarter":
        first = shifted(midnight(clock).replace(day=1), 3 * step - (clock.month - 1) % 3)
        return months(first.year, first.month, 3)
    first = shifted(midnight(clock).replace(day=1), step)
    return months(first.year, first.month) if unit == "month" else months(clock.year + step, 1, 12)


def weekday_near(clock: datetime, weekday: int, days: int, step: int | None) -> Time:
    """Return `days` days from a weekday, 0 for Monday, on: the latest up to today, or by `step` last, this, next.

    A step of -2 is the one before the last, and one of 2 the one after the next.
    """
    today = midnight(clock)
    if step == 0:
        start = today + (weekday - today.weekday()) * DAY
        return Time(start, start + days * DAY)
    start = today - (today.weekday() - weekday) % 7 * DAY
    if step is not None:
        if step > 0 or start + days * DAY > today:
            start += (7 if step > 0 else -7) * DAY
        start += (step - (1 if step > 0 else -1)) * 7 * DAY
    return Time(start, start + days * DAY)


def easter(year: int, offset: int, count: int) -> Time:
    """Return `count` days from `offset` days after Easter Sunday on, in the Gregorian calendar.

    By the method of Butcher (1876).
    """
    century, rest = divmod(year, 100)
    golden = year % 19
    moon = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - moon - rest % 4) % 7
    days = moon + weekday - 7 * ((golden + 11 * moon + 22 * weekday) // 451) + 114
    sunday = datetime(year, days // 31, days % 31 + 1, tzinfo=UTC)
    return Time(sunday + offset * DAY, sunday + (offset + count) * DAY)


def shifted(moment: datetime, count: int) -> datetime:
    """Return the moment `count` months later; on the month's last day if the day does not exist."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + count, 12)
    first = moment.replace(year=year, month=month + 1, day=1)
    last = (first + 31 * DAY).replace(day=1) - DAY
    return first.replace(day=min(moment.day, last.day))


def in_year(time: Time, year: int) -> Time:
    """Return `time` in another year."""
    count = 12 * (year - time.start.year)
    return replace(time, start=shifted(time.start, count), end=shifted(time.end, count))


def around(moment: datetime, count: int, unit: str) -> Time:
    """Return a period of one unit around the moment that is `count` units after `moment`."""
    middle, length = moved(moment, count, unit), timedelta(DAYS_OF[unit])
    if length >= DAY:
        # Whole days, an odd number of them.
        middle, length = midnight(middle) + DAY / 2, length // (2 * DAY) * 2 * DAY + DAY
    return Time(middle - length / 2, middle + length / 2)


def moved(moment: datetime, count: int, unit: str) -> datetime:
    """Return the moment `count` units later."""
    return shifted(moment, count * MONTHS_OF[unit]) if unit in MONTHS_OF else moment + count * timedelta(DAYS_OF[unit])
