"""Times as whole microseconds since 1970 in UTC, the form in stores and indexes.

Owns the conversion in both directions, the parsing of times and durations, and the English names of months, weekdays
and seasons.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

from engram.errors import InvalidEngram

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
"""Each with its first month on the northern hemisphere."""

UNITS = {
    timedelta(weeks=1): ("weeks", "week", "w"),
    timedelta(days=1): ("days", "day", "d"),
    timedelta(hours=1): ("hours", "hour", "h"),
    timedelta(minutes=1): ("minutes", "minute", "min"),
    timedelta(seconds=1): ("seconds", "second", "s"),
}
"""The names of units of durations. Months and years have no fixed length, so they are none."""

_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)"
_NAMES = "|".join(name for names in UNITS.values() for name in names)
_IN_WORDS = re.compile(rf"\s*{_NUMBER}\s*({_NAMES})(?![a-z])", re.IGNORECASE | re.ASCII)
_ISO_DURATION = re.compile(
    rf"P(?=.)(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.IGNORECASE | re.ASCII,
)


def microseconds(moment: datetime) -> int:
    """Return the microseconds from 1970 to `moment`, exactly. A naive time is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Return the time that is `value` microseconds after 1970 began, aware, in UTC."""
    return EPOCH + value * MICROSECOND


def as_utc(field_name: str, value: object) -> datetime:
    """Return `value` in UTC. A naive time is taken as UTC.

    Raises `InvalidEngram`, naming `field_name`, if `value` is no datetime or has no time in UTC.
    """
    if not isinstance(value, datetime):
        raise InvalidEngram(f"{field_name} is {type(value).__name__}; it must be datetime")
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise InvalidEngram(f"{field_name} is {value}, which has no time in UTC between the years 1 and 9999") from None


def parse_time(field_name: str, value: object) -> datetime:
    """Return the time in ISO 8601 text; naive if the text names no zone.

    Raises `InvalidEngram`, naming `field_name`, if `value` is no such text.
    """
    if not isinstance(value, str):
        raise InvalidEngram(f"{field_name} is {type(value).__name__}; it must be a time as ISO 8601 text")
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        raise InvalidEngram(
            f"{field_name} is {value[:40]!r}; it must be ISO 8601, such as 2026-03-02T14:05:00Z"
        ) from None


def parse_duration(field_name: str, value: object) -> timedelta:
    """Return the duration in text such as "90 days", "1 day 12 h" or, as ISO 8601, "P90D" and "PT12H".

    Raises `InvalidEngram`, naming `field_name`, if `value` is no such text or is longer than a timedelta can be.
    """
    if not isinstance(value, str):
        raise InvalidEngram(f"{field_name} is {type(value).__name__}; it must be a duration as text, such as 90 days")
    amounts = _amounts(value.strip())
    if not amounts:
        raise InvalidEngram(
            f"{field_name} is {value[:40]!r}; it must be a duration in weeks, days, h, min or s, such as 90 days, 12 h"
            " or P90D"
        )
    try:
        return timedelta(microseconds=sum(amounts))
    except OverflowError:
        raise InvalidEngram(f"{field_name} is {value[:40]!r}, which is too long") from None


def _amounts(text: str) -> list[int]:
    """Return the parts of a duration in microseconds; none if the text is no duration."""
    if iso := _ISO_DURATION.fullmatch(text):
        return [_amount(number, unit) for number, unit in zip(iso.groups(), UNITS, strict=True) if number]
    unit_of = {name: unit for unit, names in UNITS.items() for name in names}
    amounts, end = list[int](), 0
    while part := _IN_WORDS.match(text, end):
        amounts.append(_amount(part[1], unit_of[part[2].lower()]))
        end = part.end()
    return amounts if end == len(text) else []


def _amount(number: str, unit: timedelta) -> int:
    return int(Decimal(number) * (unit // MICROSECOND))


def duration_in_words(duration: timedelta) -> str:
    """Return a duration that is not negative in words: 90 days, 1 day 12 hours."""
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{duration.microseconds:06d}".rstrip("0") if duration.microseconds else ""
    numbers = (str(duration.days), str(hours), str(minutes), f"{seconds}{fraction}")
    parts = [
        f"{number} {one if number == '1' else many}"
        for number, (many, one, _) in zip(numbers, list(UNITS.values())[1:], strict=True)
        if number != "0"
    ]
    return " ".join(parts) or "0 days"


def local(moment: datetime, zone: tzinfo) -> datetime:
    """Return an aware `moment` in `zone`; unchanged at the ends of the calendar, where `zone` has no such time."""
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return moment
