"""Times as whole microseconds since 1970 in UTC, the form in stores and indexes.

Owns the conversion in both directions, the parsing of times and durations, and the English names of months, weekdays
and seasons.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
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
_IN_WORDS = re.compile(
    rf"\s*{_NUMBER}\s*({'|'.join(name for names in UNITS.values() for name in names)})\b", re.IGNORECASE
)
_ISO_DURATION = re.compile(
    rf"P(?=.)(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?", re.IGNORECASE
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
        return sum(amounts, timedelta(0))
    except OverflowError:
        raise InvalidEngram(f"{field_name} is {value[:40]!r}, which is too long") from None


def _amounts(text: str) -> list[timedelta]:
    """Return the parts of a duration; none if the text is no duration."""
    if iso := _ISO_DURATION.fullmatch(text):
        return [_amount(number, unit) for number, unit in zip(iso.groups(), UNITS, strict=True) if number]
    unit_of = {name: unit for unit, names in UNITS.items() for name in names}
    amounts, end = list[timedelta](), 0
    while part := _IN_WORDS.match(text, end):
        amounts.append(_amount(part[1], unit_of[part[2].lower()]))
        end = part.end()
    return amounts if end == len(text) else []


def _amount(number: str, unit: timedelta) -> timedelta:
    return int(Decimal(number) * (unit // MICROSECOND)) * MICROSECOND


def duration_text(duration: timedelta) -> str:
    """Return a duration that is not negative as ISO 8601 text: days, hours, minutes and seconds, such as P1DT12H."""
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{duration.microseconds:06d}".rstrip("0") if duration.microseconds else ""
    clock = "".join(
        f"{number}{unit}"
        for number, unit in ((hours, "H"), (minutes, "M"), (f"{seconds}{fraction}", "S"))
        if str(number) != "0"
    )
    days = f"{duration.days}D" if duration.days else ""
    return f"P{days}{'T' if clock else ''}{clock}" if days or clock else "PT0S"


def duration_in_words(duration: timedelta) -> str:
    """Return a duration that is not negative in words: "90 days", "1 day 12 hours"."""
    parts, left = [], duration
    for unit, (many, one, _) in list(UNITS.items())[1:]:
        count, rest = divmod(left, unit)
        if unit == timedelta(seconds=1) and rest:
            parts.append(f"{left / unit:f} {many}")
        elif count:
            parts.append(f"{count:,} {one if count == 1 else many}")
        left = rest
    return " ".join(parts) or "0 seconds"
