"""The periods that queries mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.text.dates.moments import UNSURE
from engram.text.dates.parse import periods
from engram.text.dates.period import FIRST, LAST

NOW = datetime(2024, 6, 12, 15, 30, tzinfo=UTC)  # a Wednesday


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
    ("a year ago", "2022-12-12", "2023-12-12"),
    ("a year ago today", "2023-06-12", "2023-06-13"),
    ("half a year ago", "2023-11-27", "2023-12-28"),
    ("a fortnight ago", "2024-05-22", "2024-06-06"),
    ("fifteen days ago", "2024-05-28", "2024-05-29"),
    ("two Mondays ago", "2024-06-03", "2024-06-04"),
    ("three weekends ago", "2024-05-25", "2024-05-27"),
    ("this time last year", "2023-06-02", "2023-06-23"),
    ("at this time last month", "2024-05-09", "2024-05-16"),
    ("this day in 2021", "2021-06-12", "2021-06-13"),
    ("this week last year", "2023-06-12", "2023-06-19"),
    ("the weekend before last", "2024-06-01", "2024-06-03"),
    ("the week before last", "2024-05-27", "2024-06-03"),
    ("the month before last", "2024-04-01", "2024-05-01"),
    ("the Tuesday before last", "2024-06-04", "2024-06-05"),
    ("the night before last", "2024-06-10T18:00", "2024-06-11T06:00"),
    ("the summer before last", "2022-06-01", "2022-09-01"),
    ("the week after next", "2024-06-24", "2024-07-01"),
    ("on Tuesday of last week", "2024-06-04", "2024-06-05"),
    ("last week on Friday", "2024-06-07", "2024-06-08"),
    ("Thursday evening last week", "2024-06-06T17:00", "2024-06-07"),
    ("the first week of 2023", "2023-01-01", "2023-01-08"),
    ("the second week of May 2023", "2023-05-08", "2023-05-15"),
    ("the last week of 2022", "2022-12-25", "2023-01-01"),
    ("the last days of June 2023", "2023-06-26", "2023-07-01"),
    ("the first three days of March 2023", "2023-03-01", "2023-03-04"),
    ("the last two months of 2023", "2023-11-01", "2024-01-01"),
    ("the first Monday of May 2023", "2023-05-01", "2023-05-02"),
    ("the last weekend of July 2023", "2023-07-29", "2023-07-31"),
    ("the first half of 2023", "2023-01-01", "2023-07-01"),
    ("the second half of April 2023", "2023-04-16", "2023-05-01"),
    ("the third quarter of 2023", "2023-07-01", "2023-10-01"),
    ("early May 2023", "2023-05-01", "2023-05-13"),
    ("in the middle of May 2023", "2023-05-10", "2023-05-23"),
    ("late in May 2023", "2023-05-20", "2023-06-01"),
    ("at the end of last month", "2024-05-20", "2024-06-01"),
    ("the beginning of the year", "2024-01-01", "2024-05-16"),
    ("the first week of last month", "2024-05-01", "2024-05-08"),
    ("the evening of 3 March 2023", "2023-03-03T17:00", "2023-03-04"),
    ("the week of 15 March 2023", "2023-03-13", "2023-03-20"),
    ("the weekend of the 15th of March 2023", "2023-03-18", "2023-03-20"),
    ("since early May 2023", "2023-05-01", None),
    ("between early May and late June 2023", "2023-05-01", "2023-07-01"),
    ("Q2 2023", "2023-04-01", "2023-07-01"),
    ("2023 Q4", "2023-10-01", "2024-01-01"),
    ("H1 of last year", "2023-01-01", "2023-07-01"),
    ("last quarter", "2024-01-01", "2024-04-01"),
    ("calendar week 20", "2024-05-13", "2024-05-20"),
    ("in week 30", "2023-07-24", "2023-07-31"),
    ("week 2 of 2023", "2023-01-09", "2023-01-16"),
    ("on the 3rd", "2024-06-03", "2024-06-04"),
    ("on the 24th", "2024-05-24", "2024-05-25"),
    ("on the 31st", "2024-05-31", "2024-06-01"),
    ("since the fifth", "2024-06-05", None),
    ("from the 3rd to the 7th", "2024-06-03", "2024-06-08"),
    ("the 10th of last month", "2024-05-10", "2024-05-11"),
    ("on Monday the 3rd", "2024-06-03", "2024-06-04"),
    ("the twenty-third of March 2023", "2023-03-23", "2023-03-24"),
    ("Easter 2024", "2024-03-29", "2024-04-02"),
    ("Good Friday 2019", "2019-04-19", "2019-04-20"),
    ("last Easter", "2024-03-29", "2024-04-02"),
    ("2023-05-02..2023-05-04", "2023-05-02", "2023-05-05"),
    ("the five days after 3 May 2023", "2023-05-04", "2023-05-09"),
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
    ("mid-June", "2024-06-10", "2024-06-22"),
    ("early May", "2024-05-01", "2024-05-13"),
    ("the last days of May", "2024-05-27", "2024-06-01"),
    ("the fifth of November", "2023-11-05", "2023-11-06"),
    ("May the fourth", "2024-05-04", "2024-05-05"),
    ("in Q3", "2023-07-01", "2023-10-01"),
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
    "the other day",
    "the other weekend",
    "in recent weeks",
    "The 24th?",
    "Q2",
    "week 12",
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
    "on the 4th floor",
    "the 3rd time this happened",
    "the second one is mine",
    "the first, the second and the last",
    "what day of the week do I swim",
    "the week before",
    "week 99",
    "the end of the line",
    "in the middle of nowhere",
    "2023-13-45",
    "32/32/2023",
]


def moment(text: str | None, open_end: datetime) -> datetime:
    return open_end if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("query", "start", "end"), STATED)
def test_time_with_a_year_is_that_period(query: str, start: str | None, end: str | None) -> None:
    [period] = periods(query, NOW)
    assert (period.start, period.end) == (moment(start, FIRST), moment(end, LAST))
    assert (period.yearly, period.weight) == (False, 1.0)


@pytest.mark.parametrize(("query", "start", "end"), YEARLY)
def test_time_without_a_year_is_yearly_and_the_latest_that_has_begun(query: str, start: str, end: str) -> None:
    [period] = periods(query, NOW)
    assert (period.start, period.end) == (moment(start, FIRST), moment(end, LAST))
    assert (period.yearly, period.weight) == (True, 1.0)


@pytest.mark.parametrize("query", VAGUE)
def test_possible_names_and_vague_words_weigh_less(query: str) -> None:
    [period] = periods(query, NOW)
    assert period.weight == UNSURE


@pytest.mark.parametrize("query", NOTHING)
def test_query_without_a_time_has_no_periods(query: str) -> None:
    assert periods(query, NOW) == []


def test_ambiguous_date_is_read_day_first_and_month_first() -> None:
    assert [f"{p.start:%m-%d}" for p in periods("on 3/4/2023", NOW)] == ["04-03", "03-04"]


def test_several_times_keep_the_order_of_the_query() -> None:
    result = periods("Was it yesterday, in May or on 3 March 2023?", NOW)
    assert [p.text for p in result] == ["yesterday", "May", "3 March 2023"]


def test_reversed_span_is_two_times() -> None:
    assert [p.text for p in periods("from May 2023 to March 2023", NOW)] == ["May 2023", "March 2023"]


def test_period_holds_its_words_of_the_query() -> None:
    assert [p.text for p in periods("İ was there LAST MAY, on New Year’s Eve", NOW)] == ["LAST MAY", "New Year’s Eve"]


def test_days_are_those_of_the_askers_clock() -> None:
    east = timezone(timedelta(hours=9))
    [period] = periods("today", datetime(2024, 6, 13, 1, 0, tzinfo=east))
    assert period.start == datetime(2024, 6, 12, 15, tzinfo=UTC)
    assert periods("today", NOW.replace(tzinfo=None)) == periods("today", NOW)


PIECES = (
    [query for query, _, _ in STATED + YEARLY]
    + VAGUE
    + NOTHING
    + [" ", "-", ", ", " and ", " to ", "\0", "ſ", "K", "٣"]
)


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)), st.datetimes())
def test_any_text_is_parsed(query: str, now: datetime) -> None:
    for period in periods(query, now):
        assert period.start < period.end
        assert period.text in query
        assert 0 < period.weight <= 1
        assert period.start.utcoffset() == period.end.utcoffset() == timedelta(0)


def test_long_text_is_parsed_quickly() -> None:
    assert len(periods("on 3 March and " * 100_000, NOW)) <= 8
    assert periods("may 5 " * 200_000, NOW) != []
