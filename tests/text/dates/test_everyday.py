"""Times as people type them: text speak, and the first of a month in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engram.text.dates.alone import asks_time_alone
from engram.text.dates.parse import periods

NOW = datetime(2026, 5, 28, 10, tzinfo=UTC)
"""A Thursday."""


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("what did we do last tues", "2026-05-26", "2026-05-27"),
        ("wat did i do yday", "2026-05-27", "2026-05-28"),
        ("what did u tell me 2day", "2026-05-28", "2026-05-29"),
        ("what did i tell u last nite", "2026-05-27", "2026-05-28"),
        ("what did i say abt march 13?", "2026-03-13", "2026-03-14"),
        ("Qu'est-ce qu'on a fait le 1er avril ?", "2026-04-01", "2026-04-02"),
        ("Was war am ersten April?", "2026-04-01", "2026-04-02"),
        ("¿Qué hice el primero de abril?", "2026-04-01", "2026-04-02"),
        ("¿Qué hice el 1º de abril?", "2026-04-01", "2026-04-02"),
        ("Cosa ho fatto il primo aprile?", "2026-04-01", "2026-04-02"),
    ],
)
def test_a_day_is_read_and_asked_for_alone(query: str, first: str, last: str) -> None:
    found = periods(query, NOW)
    assert [(period.start.date().isoformat(), period.end.date().isoformat()) for period in found] == [(first, last)]
    assert asks_time_alone(query, found, NOW)


@pytest.mark.parametrize(
    "query",
    [
        "Was war zum ersten Mal im April?",
        "C'était la première fois en avril ?",
        "Was war in der ersten Woche im April?",
    ],
)
def test_the_first_time_and_the_first_week_are_not_the_first_day(query: str) -> None:
    assert all((period.end - period.start).days > 1 for period in periods(query, NOW))


@pytest.mark.parametrize("query", ["the dog sat by the door", "last sat down", "sun and fun"])
def test_words_that_are_also_short_weekdays_are_no_times(query: str) -> None:
    assert periods(query, NOW) == []
