"""Period: the time that a part of a query means.

Owns its fields and the bounds of an open one. Knows no text and no score.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
"""Start of a period without a beginning ("before June"), and end of one without an end ("since March")."""

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """A period that a query means."""

    start: datetime
    """First moment, aware, in UTC; `FIRST` if the period has no beginning."""
    end: datetime
    """First moment after the period, aware, in UTC; `LAST` if it has no end."""
    text: str
    """The words of the query that name it."""
    yearly: bool = False
    """The query names no year ("on 3 March") and means these days of any year. `start` is the latest up to now."""
    weight: float = 1.0
    """How sure it is that the words mean a time, 0 to 1."""
    ahead: timedelta = timedelta(0)
    """Offset of the asker's clock from UTC: yearly periods recur by that clock, and days are those of that clock."""


def midnight(moment: datetime) -> datetime:
    """Return the start of the moment's day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
