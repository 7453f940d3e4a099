"""Period: a stretch of time that a query means.

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
    """A stretch of time that a query means."""

    start: datetime
    """Aware, in UTC, within the period; `FIRST` if it has no beginning."""
    end: datetime
    """Aware, in UTC, the first moment after it; `LAST` if it has no end."""
    text: str
    """The words that say it."""
    yearly: bool = False
    """No year is said ("on 3 March"): the same days of any year are meant; these are the latest begun by now."""
    weight: float = 1.0
    """How sure it is that a time is meant, 0 to 1."""
    ahead: timedelta = timedelta(0)
    """How far the asker's clock is ahead of UTC; yearly periods recur by that clock."""


def midnight(moment: datetime) -> datetime:
    """The beginning of its day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
