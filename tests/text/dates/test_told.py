"""Whether a text tells of a time that somebody asks for, in the words and spellings that people use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from engram.text.dates.parse import periods
from engram.text.dates.told import tells_of

ASKED = datetime(2025, 12, 1, 12, tzinfo=UTC)

# What is asked for, when it was told, what was told, and whether it tells of that.
TOLD: list[tuple[str, str, str, bool]] = [
    ("on 10 April", "2025-04-12", "Writing with my left hand. Thurs arvo I fell off the ladder.", True),
    ("on 10 April", "2025-04-12", "Writing with my left hand. Tues arvo I fell off the ladder.", False),
    ("on 15 November", "2025-11-16", "the essay went ok. last nite we played at the barn", True),
    ("on 14 November", "2025-11-16", "the essay went ok. last nite we played at the barn", False),
    ("on 20 June", "2025-06-08", "The regatta is on the 20th n I have no boat.", True),
    ("on 21 June", "2025-06-08", "The regatta is on the 20th n I have no boat.", False),
    ("on 20 June", "2025-03-08", "The regatta is on the 20th n I have no boat.", False),
    ("on 11 August", "2025-08-20", "De vuelta. El día 11 se me cayó la cámara al río.", True),
    ("on 15 August", "2025-08-20", "Y en Avilés el 15 vimos pasar las barcas.", True),
    ("on 15 August", "2025-08-20", "Este banco da el 15 % de interés.", False),
    ("on 15 August", "2025-08-20", "Pagué 15 euros.", False),
    ("am 13. September", "2025-09-16", "Am Samstag war die Taufe. The band was from 1998, quite good.", True),
    ("am 13. September", "2025-07-28", "Gefeiert wird jetzt am 13. September.", True),
    ("on 13 September", "2025-09-20", "13日に祖母の家へ行きました。", True),
    ("on 13 September", "2025-09-20", "13 числа ездили к бабушке.", True),
    ("on 13 September", "2025-09-20", "I am 13 and I like trains.", False),
    ("on Christmas Eve", "2025-01-06", "Happy new year. On 24 December I shut the shop at one.", True),
    ("an Heiligabend", "2025-01-06", "Happy new year. On Christmas Eve I shut the shop at one.", True),
    ("on 3 May", "2025-05-04", "We tested the pump.", False),
]


@pytest.mark.parametrize(("asked", "said", "text", "expected"), TOLD)
def test_text_tells_of_a_time(asked: str, said: str, text: str, expected: bool) -> None:
    at = datetime.fromisoformat(f"{said}T18:00:00+00:00")
    now = ASKED if at.month > 1 else datetime(2025, 1, 20, tzinfo=UTC)
    assert tells_of(text, at, periods(asked, now)) is expected


def test_days_are_those_of_whoever_asks() -> None:
    zone = timezone(timedelta(hours=13))
    at = datetime(2025, 11, 9, 20, tzinfo=zone)
    asked = periods("What happened on 8 November?", ASKED.astimezone(zone))
    assert tells_of("Yesterday the kiln cracked.", at, asked)
    assert not tells_of("Yesterday the kiln cracked.", at - timedelta(days=1), asked)


def test_a_clock_that_was_put_forward_since_does_not_move_a_day() -> None:
    """Told at 23:30 by the clock of that day, which is half past midnight by that of whoever asks."""
    at = datetime(2025, 9, 21, 23, 30, tzinfo=timezone(timedelta(hours=12)))
    asked = periods("What happened on 20 September?", ASKED.astimezone(timezone(timedelta(hours=13))))
    assert tells_of("Yesterday the kiln cracked.", at, asked)


def test_nothing_asked_is_told_of_by_nothing() -> None:
    assert not tells_of("Yesterday the kiln cracked.", ASKED, [])
