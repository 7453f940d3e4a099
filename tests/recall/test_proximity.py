"""How near moments are to the periods that a query means."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.recall.proximity import closeness
from engram.text.dates.moments import UNSURE
from engram.text.dates.parse import periods
from engram.text.dates.period import FIRST, LAST
from tests.text.dates.test_parse import NOTHING, NOW, STATED, YEARLY, moment

DAY = 86_400_000_000


def micros(*texts: str) -> np.ndarray:
    return np.array([int(moment(text, NOW).timestamp()) * 1_000_000 for text in texts], np.int64)


def nearness(at: np.ndarray, query: str, now: datetime) -> np.ndarray:
    return closeness(at, periods(query, now))


@pytest.mark.parametrize("query", NOTHING)
def test_query_without_a_time_is_near_to_nothing(query: str) -> None:
    assert not nearness(micros("2024-06-12"), query, NOW).any()


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
def test_ends_of_the_calendar_give_finite_values(query: str, now: datetime) -> None:
    for hours in (-14, 0, 14):
        local = now.replace(tzinfo=timezone(timedelta(hours=hours)))
        assert np.isfinite(nearness(micros("2024-06-12"), query, local)).all()


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20),
    st.sampled_from(["last May", "in May", "29 February", "since March", "before 2020", "an hour ago", "yesterday"]),
)
def test_closeness_is_0_to_1_for_any_time(at: list[int], query: str) -> None:
    near = nearness(np.array(at, np.int64), query, NOW)
    assert near.dtype == np.float32
    assert near.shape == (len(at),)
    assert ((near >= 0) & (near <= 1)).all()


@given(st.integers(0, 400), st.integers(1, 100))
def test_closeness_decays_with_distance_and_slower_after_the_period(days: int, more: int) -> None:
    period = periods("3 March 2023", NOW)
    start, end = micros("2023-03-03", "2023-03-04").tolist()
    at = np.array(
        [end + days * DAY, end + (days + more) * DAY, start - days * DAY, start - (days + more) * DAY], np.int64
    )
    late, later, early, earlier = closeness(at, period).tolist()
    assert late >= later
    assert early >= earlier
    assert late >= early
    assert later >= earlier


def test_closeness_is_1_inside_and_decays_over_days() -> None:
    at = micros("2023-03-03T00:00", "2023-03-03T23:59", "2023-03-05", "2023-03-02", "2023-03-14", "2022-03-03")
    inside, last, day_after, day_before, week_after, year_before = nearness(at, "3 March 2023", NOW).tolist()
    assert inside == last == 1
    assert 0.8 < day_after < 0.9
    assert 0.5 < day_before < 0.7
    assert 0.1 < week_after < 0.3
    assert year_before == 0


def test_longer_period_decays_slower() -> None:
    after = micros("2023-06-08")
    assert (
        nearness(after, "31 May 2023", NOW)
        < nearness(after, "in May 2023", NOW)
        < nearness(after, "before June 2023", NOW) + 0.1
    )


def test_every_year_is_equally_near_if_the_query_names_none() -> None:
    at = micros("1999-03-03", "2019-03-03T12:00", "2024-03-03", "2031-03-03", "2019-09-01")
    assert nearness(at, "on 3 March", NOW).tolist() == [1, 1, 1, 1, 0]


def test_winter_spans_the_new_year() -> None:
    at = micros("2018-12-31T23:00", "2019-01-15", "2019-02-28T23:00", "2018-11-30", "2019-03-01T01:00", "2019-07-01")
    inside, middle, last, before, after, far = nearness(at, "in winter", NOW).tolist()
    assert inside == middle == last == 1
    assert 0 < before < 1
    assert 0.9 < after < 1
    assert far < 0.01


def test_leap_day_is_1_march_in_other_years() -> None:
    at = micros("2020-02-29T12:00", "2019-03-01T12:00")
    assert nearness(at, "on 29 February", NOW).tolist() == [1, 1]


def test_unsure_time_has_less_closeness() -> None:
    at = micros("2023-04-10")
    assert nearness(at, "What did April say?", NOW).tolist() == [UNSURE]
    assert nearness(at, "What did we do in April?", NOW).tolist() == [1]
