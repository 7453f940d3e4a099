"""Times as whole microseconds since 1970 in UTC, the form in stores and indexes.

Owns the conversion in both directions, the parsing of ISO 8601 text, and the English names of months, weekdays and
seasons.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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
