"""The reader's time zone: which day a memory shows, and which day "yesterday" is.

Owns the zones by name, the machine's zone, and the conversion of what is shown. A stored time is a moment in UTC; a
zone only decides how it is written and read. Does not know who reads.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from engram import times
from engram.engram import in_zone
from engram.errors import EngramError, InvalidEngram

if TYPE_CHECKING:
    from engram.recall.result import Recall
    from engram.reflection.facts import Fact
    from engram.reflection.profile import Profile
    from engram.reflection.summary import Summary

local = times.local  # Here too, for those that show times.

KNOWN = "Etc/UTC"
"""A zone that every copy of the time zone database has."""


class MachineZone(tzinfo):
    """The zone that this machine is set to: its C library knows the offset of every date, summer time included."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return the offset from UTC at a local time; zero beyond the dates that the C library knows."""
        if moment is None:
            return None
        try:
            return moment.replace(tzinfo=None).astimezone().utcoffset()
        except (OverflowError, ValueError, OSError):
            return timedelta(0)

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Return None: the part of the offset that is summer time is not known."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        """Return None: the zone has no one name."""
        return None

    def fromutc(self, moment: datetime) -> datetime:
        """Return the local time of a time in UTC."""
        return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=self)


MACHINE = MachineZone()


def zone_named(name: str) -> tzinfo:
    """Return the time zone with an IANA name, such as Europe/Oslo.

    Raises `InvalidEngram` if there is no such zone, and `EngramError` if the machine has no time zones at all.
    """
    if name == "UTC":
        return UTC
    if (zone := _zone(name)) is not None:
        return zone
    if _zone(KNOWN) is None:
        raise EngramError(
            "this machine has no time zone database; install it with: pip install tzdata (or the system's package"
            " tzdata)"
        )
    raise InvalidEngram(f"{name[:80]!r} is no time zone; give an IANA name such as Europe/Oslo, America/Lima or UTC")


def _zone(name: str) -> tzinfo | None:
    # Imported here: a command that names no zone starts without it.
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        # A name that is a folder, that is too long or that leaves the folder of the zones, among others.
        return None


def with_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Return a time that somebody gave: without a zone of its own it is a time in `zone`."""
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment


def recall_in_zone(recall: Recall, zone: tzinfo) -> Recall:
    """Return the hits of a recall to show, with their times in `zone`."""
    return replace(recall, hits=tuple(replace(hit, engram=in_zone(hit.engram, zone)) for hit in recall))


def profile_in_zone(profile: Profile, zone: tzinfo) -> Profile:
    """Return a profile to show, with the days of its facts in `zone`."""

    def shown(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        return tuple(replace(fact, engram=in_zone(fact.engram, zone)) for fact in facts)

    return replace(profile, standing=shown(profile.standing), who=shown(profile.who), now=shown(profile.now))


def summary_in_zone(summary: Summary, zone: tzinfo) -> Summary:
    """Return a summary to show, with the days of its quotes in `zone`."""
    quotes = tuple(replace(quote, engram=in_zone(quote.engram, zone)) for quote in summary.quotes)
    return replace(summary, quotes=quotes)
