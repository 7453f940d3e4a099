"""Durations as text: in words, and read as ISO 8601 too."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.errors import InvalidEngram
from engram.times import duration_in_words, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90 days", timedelta(days=90)),
        ("90d", timedelta(days=90)),
        (" 1 Day ", timedelta(days=1)),
        ("12 h", timedelta(hours=12)),
        ("2 weeks", timedelta(weeks=2)),
        ("1d12h30min", timedelta(days=1, hours=12.5)),
        ("1 day 12 hours", timedelta(days=1.5)),
        ("1.5 days", timedelta(days=1.5)),
        ("30 min", timedelta(minutes=30)),
        ("10s", timedelta(seconds=10)),
        ("0 days", timedelta(0)),
        ("P90D", timedelta(days=90)),
        ("p2w", timedelta(weeks=2)),
        ("P1DT12H", timedelta(days=1.5)),
        ("PT1H30M0.5S", timedelta(hours=1.5, seconds=0.5)),
        ("PT0.000001S", timedelta(microseconds=1)),
        ("999999999 days", timedelta(days=999_999_999)),
    ],
)
def test_text_is_read(text: str, expected: timedelta) -> None:
    assert parse_duration("it", text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "90", "days", "-90 days", "+90 days", "90 days ago", "about 90 days", "90 daysx", "1 m", "3 months",
        "1 year", "P", "PT", "P1DT", "P1Y", "P3M", "-P90D", "P-90D", "P1H", "nan days", "inf days", "1e3 days",
        "1,5 days", "1_000 days", "\u0663 days", "90\0 days", "\ud800", "9" * 13 + " days", "9" * 100_000 + " days",
        "1.1234567 s", "1 \u017f", "1 day,", "1d1d1dx",
    ],
)  # fmt: skip
def test_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidEngram, match="such as 90 days, 12 h or P90D") as caught:
        parse_duration("--expire-after", text)
    assert str(caught.value).startswith("--expire-after is ")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [None, 90, 1.5, True, b"90 days", timedelta(days=1), ["90 days"]])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(InvalidEngram, match="it must be a duration as text"):
        parse_duration("it", value)


@pytest.mark.parametrize("text", ["999999999999 days", "999999999999 weeks", "999999999 days 25 h", "P999999999999D"])
def test_what_no_timedelta_can_hold_is_refused(text: str) -> None:
    with pytest.raises(InvalidEngram, match="too long"):
        parse_duration("it", text)


@given(st.timedeltas(min_value=timedelta(0)))
def test_words_are_read_back(duration: timedelta) -> None:
    assert parse_duration("it", duration_in_words(duration)) == duration


def test_words_are_few() -> None:
    assert duration_in_words(timedelta(days=90)) == "90 days"
    assert duration_in_words(timedelta(days=1, hours=12)) == "1 day 12 hours"
    assert duration_in_words(timedelta(seconds=1.5)) == "1.5 seconds"
    assert duration_in_words(timedelta(0)) == "0 days"
