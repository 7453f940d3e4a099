"""Times that queries mean, and how near to them something was said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.recall.dates.parse import UNSURE, periods
from engram.recall.dates.period import FIRST, LAST
from engram.recall.dates.proximity import closeness

NOW = datetime(2024, 6, 12, 15, 30, tzinfo=UTC)  # a Wednesday
DAY = 86_400_000_000


def nearness(at: np.ndarray, query: str, now: datetime) -> np.ndarray:
    return closeness(at, periods(query, now))


STATED = [
    ("2023-03-14", "2023-03-14", "2023-03-15"),
    ("Was steht am 2023/3/14 an?", "2023-03-14", "2023-03-15"),
    ("2023-03", "2023-03-01", "2023-04-01"),
    ("March 3rd, 2023", "2023-03-03", "2023-03-04"),
    ("3 March, 2023", "2023-03-03", "2023-03-04"),
    ("on Sunday, the 3rd of March 2024", "2024-03-03", "2024-03-04"),
    ("the 3rd to 5th of March 2022", "2022-03-03", "2022-03-06"),
    ("29 February 2024", "2024-02-29", "2024-03-01"),
    ("3/14/2023", "2023-03-14", "2023-03-15"),
    ("3/14/23", "2023-03-14", "2023-03-15"),
    ("3/14/99", "1999-03-14", "1999-03-15"),
    ("le 14.3.2023", "2023-03-14", "2023-03-15"),
    ("5.5.2023", "2023-05-05", "2023-05-06"),
    ("2023年3月14日", "2023-03-14", "2023-03-15"),
    ("2023年3月", "2023-03-01", "2023-04-01"),
    ("2022年", "2022-01-01", "2023-01-01"),
    ("2023년 3월 14일", "2023-03-14", "2023-03-15"),
    ("May 2023", "2023-05-01", "2023-06-01"),
    ("may 2023", "2023-05-01", "2023-06-01"),
    ("in May last year", "2023-05-01", "2023-06-01"),
    ("last May", "2024-05-01", "2024-06-01"),
    ("last June", "2023-06-01", "2023-07-01"),
    ("this June", "2024-06-01", "2024-07-01"),
    ("next May", "2025-05-01", "2025-06-01"),
    ("in 2022", "2022-01-01", "2023-01-01"),
    ("¿Dónde vivía en 2021?", "2021-01-01", "2022-01-01"),
    ("in the 1990s", "1990-01-01", "2000-01-01"),
    ("in DECEMBER 2021", "2021-12-01", "2022-01-01"),
    ("today", "2024-06-12", "2024-06-13"),
    ("yesterday", "2024-06-11", "2024-06-12"),
    ("yesterday evening", "2024-06-11T17:00", "2024-06-12"),
    ("the day before yesterday", "2024-06-10", "2024-06-11"),
    ("tomorrow", "2024-06-13", "2024-06-14"),
    ("this morning", "2024-06-12T05:00", "2024-06-12T12:00"),
    ("last night", "2024-06-11T18:00", "2024-06-12T06:00"),
    ("tonight", "2024-06-12T18:00", "2024-06-13T06:00"),
    ("last week", "2024-06-03", "2024-06-10"),
    ("this week", "2024-06-10", "2024-06-17"),
    ("next week", "2024-06-17", "2024-06-24"),
    ("last month", "2024-05-01", "2024-06-01"),
    ("this month", "2024-06-01", "2024-07-01"),
    ("last year", "2023-01-01", "2024-01-01"),
    ("this year", "2024-01-01", "2025-01-01"),
    ("an hour ago", "2024-06-12T14:00", "2024-06-12T15:00"),
    ("3 days ago", "2024-06-09", "2024-06-10"),
    ("a couple of days ago", "2024-06-10", "2024-06-11"),
    ("two weeks ago", "2024-05-26", "2024-06-02"),
    ("a month ago", "2024-04-27", "2024-05-28"),
    ("a year ago today", "2022-12-12", "2023-12-12"),
    ("in the last 10 days", "2024-06-02", "2024-06-12T15:30"),
    ("over the past few weeks", "2024-05-22", "2024-06-12T15:30"),
    ("in the past month", "2024-05-12", "2024-06-12T15:30"),
    ("last Tuesday", "2024-06-11", "2024-06-12"),
    ("on Tuesday", "2024-06-11", "2024-06-12"),
    ("on Wednesday", "2024-06-12", "2024-06-13"),
    ("last Wednesday", "2024-06-05", "2024-06-06"),
    ("this Friday", "2024-06-14", "2024-06-15"),
    ("next Friday", "2024-06-14", "2024-06-15"),
    ("on Sun", "2024-06-09", "2024-06-10"),
    ("on Friday night", "2024-06-07T18:00", "2024-06-08T06:00"),
    ("on the weekend", "2024-06-08", "2024-06-10"),
    ("last weekend", "2024-06-08", "2024-06-10"),
    ("last summer", "2023-06-01", "2023-09-01"),
    ("last winter", "2023-12-01", "2024-03-01"),
    ("summer of 2021", "2021-06-01", "2021-09-01"),
    ("the winter of 2021", "2021-12-01", "2022-03-01"),
    ("Christmas 2022", "2022-12-24", "2022-12-27"),
    ("last New Year’s Eve", "2023-12-31", "2024-01-01"),
    ("between March and May 2023", "2023-03-01", "2023-06-01"),
    ("between August 11 and August 15 2023", "2023-08-11", "2023-08-16"),
    ("between November 2022 and February", "2022-11-01", "2023-03-01"),
    ("from 2019 to 2021", "2019-01-01", "2022-01-01"),
    ("from 2019–2021", "2019-01-01", "2022-01-01"),
    ("from Friday to Sunday", "2024-06-07", "2024-06-10"),
    ("the week before 16 November 2023", "2023-11-09", "2023-11-16"),
    ("two weeks before August 11, 2023", "2023-07-25", "2023-08-01"),
    ("two days after 5 May 2023", "2023-05-07", "2023-05-08"),
    ("the Monday before July 24, 2023", "2023-07-17", "2023-07-18"),
    ("on the Saturday after October 28, 2023", "2023-11-04", "2023-11-05"),
    ("over the weekend before 4th October, 2023", "2023-09-30", "2023-10-02"),
    ("a few years back", "2020-12-12", "2021-12-12"),
    ("since March", "2024-03-01", None),
    ("since July", "2023-07-01", None),
    ("since yesterday", "2024-06-11", None),
    ("after 5 May", "2024-05-06", None),
    ("before June 2023", None, "2023-06-01"),
    ("until last May", None, "2024-06-01"),
]

YEARLY = [
    ("on 3 March", "2024-03-03", "2024-03-04"),
    ("on 3/14", "2024-03-14", "2024-03-15"),
    ("May 3-5", "2024-05-03", "2024-05-06"),
    ("on December 24th", "2023-12-24", "2023-12-25"),
    ("29 February", "2024-02-29", "2024-03-01"),
    ("in May", "2024-05-01", "2024-06-01"),
    ("in may", "2024-05-01", "2024-06-01"),
    ("mid-June", "2024-06-01", "2024-07-01"),
    ("3月", "2024-03-01", "2024-04-01"),
    ("in the fall", "2023-09-01", "2023-12-01"),
    ("at Christmas", "2023-12-24", "2023-12-27"),
    ("the day after Christmas", "2023-12-27", "2023-12-28"),
    ("between March and May", "2024-03-01", "2024-06-01"),
    ("from november to january", "2023-11-01", "2024-02-01"),
]

VAGUE = [
    "What did April say?",
    "How is June?",
    "Friday",
    "Christmas presents",
    "What did May cook?",
    "2022",
    "recently",
]

NOTHING = [
    "",
    "What is my dog called?",
    "may I ask",
    "May I ask",
    "Yes, May I ask",
    "MAY I GO",
    "it might or may have rained",
    "How this may help",
    "the 3 may be wrong",
    "what stood there before may have fallen",
    "we march on",
    "March with us",
    "when was the last march for equality?",
    "give me a second",
    "the sun was hot and she sat on it",
    "who wed whom",
    "after the fall",
    "a spring roll and a summer dress",
    "Jan's dog",
    "mar the surface",
    "maybe, marching, Tuesdays, decades",
    "$2000 or 555-2012",
    "version 1.2.2023.4",
    "1/2 cup of sugar",
    "How many days a week?",
    "3 months pregnant",
    "0000-01-01",
    "9999 years ago",
    "2023-13-45",
    "32/32/2023",
]


def moment(text: str | None, open_end: datetime) -> datetime:
    return open_end if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def micros(*texts: str) -> np.ndarray:
    return np.array([int(moment(text, NOW).timestamp()) * 1_000_000 for text in texts], np.int64)


@pytest.mark.parametrize(("query", "start", "end"), STATED)
def test_a_time_with_its_year(query: str, start: str | None, end: str | None) -> None:
    [found] = periods(query, NOW)
    assert (found.start, found.end) == (moment(start, FIRST), moment(end, LAST))
    assert (found.yearly, found.weight) == (False, 1.0)


@pytest.mark.parametrize(("query", "start", "end"), YEARLY)
def test_a_time_of_any_year_gives_the_latest_that_has_begun(query: str, start: str, end: str) -> None:
    [found] = periods(query, NOW)
    assert (found.start, found.end) == (moment(start, FIRST), moment(end, LAST))
    assert (found.yearly, found.weight) == (True, 1.0)


@pytest.mark.parametrize("query", VAGUE)
def test_what_may_be_a_name_or_is_vague_weighs_less(query: str) -> None:
    [found] = periods(query, NOW)
    assert found.weight == UNSURE


@pytest.mark.parametrize("query", NOTHING)
def test_no_time_where_none_is_meant(query: str) -> None:
    assert periods(query, NOW) == []
    assert not nearness(micros("2024-06-12"), query, NOW).any()


def test_day_first_and_month_first_are_both_read() -> None:
    assert [f"{p.start:%m-%d}" for p in periods("on 3/4/2023", NOW)] == ["04-03", "03-04"]


def test_several_times_come_in_the_order_of_the_query() -> None:
    found = periods("Was it yesterday, in May or on 3 March 2023?", NOW)
    assert [p.text for p in found] == ["yesterday", "May", "3 March 2023"]


def test_a_span_the_wrong_way_round_is_two_times() -> None:
    assert [p.text for p in periods("from May 2023 to March 2023", NOW)] == ["May 2023", "March 2023"]


def test_text_is_the_querys_own() -> None:
    assert [p.text for p in periods("İ was there LAST MAY, on New Year’s Eve", NOW)] == ["LAST MAY", "New Year’s Eve"]


def test_days_are_those_of_the_askers_clock() -> None:
    east = timezone(timedelta(hours=9))
    [found] = periods("today", datetime(2024, 6, 13, 1, 0, tzinfo=east))
    assert found.start == datetime(2024, 6, 12, 15, tzinfo=UTC)
    assert periods("today", NOW.replace(tzinfo=None)) == periods("today", NOW)


def test_yearly_days_recur_by_the_askers_clock_through_leap_years() -> None:
    east = timezone(timedelta(hours=9))
    for year in (2019, 2020):
        first = datetime(year, 3, 1, tzinfo=east)
        at = np.array([int((first + timedelta(hours=h)).timestamp()) * 1_000_000 for h in (-1, 0, 23)], np.int64)
        near = nearness(at, "on 1 March", NOW.astimezone(east))
        assert near[0] < 1
        assert near[1:].tolist() == [1, 1]


@pytest.mark.parametrize("now", [FIRST, LAST, NOW])
@pytest.mark.parametrize("query", [query for query, _, _ in STATED + YEARLY])
def test_the_ends_of_the_calendar_are_no_trouble(query: str, now: datetime) -> None:
    for hours in (-14, 0, 14):
        there = now.replace(tzinfo=timezone(timedelta(hours=hours)))
        assert np.isfinite(nearness(micros("2024-06-12"), query, there)).all()


PIECES = (
    [query for query, _, _ in STATED + YEARLY]
    + VAGUE
    + NOTHING
    + [" ", "-", ", ", " and ", " to ", "\0", "ſ", "K", "٣"]
)


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)), st.datetimes())
def test_any_text_is_read(query: str, now: datetime) -> None:
    for found in periods(query, now):
        assert found.start < found.end
        assert found.text in query
        assert 0 < found.weight <= 1
        assert found.start.utcoffset() == found.end.utcoffset() == timedelta(0)


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20),
    st.sampled_from(["last May", "in May", "29 February", "since March", "before 2020", "an hour ago", "yesterday"]),
)
def test_nearness_is_a_share_for_any_time(at: list[int], query: str) -> None:
    near = nearness(np.array(at, np.int64), query, NOW)
    assert near.dtype == np.float32
    assert near.shape == (len(at),)
    assert ((near >= 0) & (near <= 1)).all()


@given(st.integers(0, 400), st.integers(1, 100))
def test_nearness_falls_with_distance_and_slower_after(days: int, more: int) -> None:
    meant = periods("3 March 2023", NOW)
    start, end = micros("2023-03-03", "2023-03-04").tolist()
    at = np.array(
        [end + days * DAY, end + (days + more) * DAY, start - days * DAY, start - (days + more) * DAY], np.int64
    )
    late, later, early, earlier = closeness(at, meant).tolist()
    assert late >= later
    assert early >= earlier
    assert late >= early
    assert later >= earlier


def test_nearness_is_whole_inside_and_falls_over_days_for_a_day() -> None:
    at = micros("2023-03-03T00:00", "2023-03-03T23:59", "2023-03-05", "2023-03-02", "2023-03-14", "2022-03-03")
    inside, last, day_after, day_before, week_after, year_before = nearness(at, "3 March 2023", NOW).tolist()
    assert inside == last == 1
    assert 0.8 < day_after < 0.9
    assert 0.5 < day_before < 0.7
    assert 0.1 < week_after < 0.3
    assert year_before == 0


def test_a_longer_period_falls_slower() -> None:
    after = micros("2023-06-08")
    assert (
        nearness(after, "31 May 2023", NOW)
        < nearness(after, "in May 2023", NOW)
        < nearness(after, "before June 2023", NOW) + 0.1
    )


def test_any_year_is_as_near_where_none_is_said() -> None:
    at = micros("1999-03-03", "2019-03-03T12:00", "2024-03-03", "2031-03-03", "2019-09-01")
    assert nearness(at, "on 3 March", NOW).tolist() == [1, 1, 1, 1, 0]


def test_across_the_new_year() -> None:
    at = micros("2018-12-31T23:00", "2019-01-15", "2019-02-28T23:00", "2018-11-30", "2019-03-01T01:00", "2019-07-01")
    inside, middle, last, before, after, far = nearness(at, "in winter", NOW).tolist()
    assert inside == middle == last == 1
    assert 0 < before < 1
    assert 0.9 < after < 1
    assert far < 0.01


def test_the_leap_day_is_the_first_of_march_in_other_years() -> None:
    at = micros("2020-02-29T12:00", "2019-03-01T12:00")
    assert nearness(at, "on 29 February", NOW).tolist() == [1, 1]


def test_an_unsure_time_shifts_less() -> None:
    at = micros("2023-04-10")
    assert nearness(at, "What did April say?", NOW).tolist() == [UNSURE]
    assert nearness(at, "What did we do in April?", NOW).tolist() == [1]


def test_a_long_text_is_read_in_little_time() -> None:
    assert len(periods("on 3 March and " * 100_000, NOW)) <= 8
    assert periods("may 5 " * 200_000, NOW) != []
