"""The rule of strength: what use amounts to, what it does to the order of hits, and what it never does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engram.engram import Engram, draft
from engram.recall.recaller import STRENGTH
from engram.recall.result import Hit
from engram.strength.rule import (
    BOUND,
    HALF_LIFE,
    NEVER,
    SECONDS_OF_DAY,
    Use,
    counted,
    day_of,
    faded,
    first_without,
    strength,
    strengthened,
    used,
)

DAY = 20_000
"""The day of all tests."""


def engram(text: str, told: int = DAY - 100) -> Engram:
    moment = datetime.fromtimestamp(told * SECONDS_OF_DAY + 5, UTC)
    return draft(text, at=moment, recorded_at=moment)


def hit(text: str, value: float, score: float = 0.5, told: int = DAY - 100) -> Hit:
    return Hit(engram(text, told), score, {"words": value}, 1, (0, len(text)))


def after(days: int, use: Use | None = None, last: int = DAY - 1) -> Use:
    """Return a use on each of so many days, up to `last`."""
    for day in range(last - days + 1, last + 1):
        use = counted(use, day)
    assert use is not None
    return use


def texts(hits: list[Hit]) -> list[str]:
    return [one.engram.text for one in hits]


def test_a_day_counts_once_and_from_the_next_day_on() -> None:
    use = counted(None, DAY)
    assert use == Use(1.0, DAY, NEVER)
    assert counted(use, DAY) == counted(use, DAY - 3) == use
    assert (faded(use, DAY), strength(use, DAY), strength(use, DAY - 3)) == (0, 0, 0)
    assert strength(use, DAY + 1) > 0
    again = counted(use, DAY + 1)
    assert (again.day, again.before) == (DAY + 1, DAY)
    assert faded(again, DAY + 1) == faded(use, DAY + 1)


def test_time_weakens_and_many_uses_saturate() -> None:
    use = counted(None, DAY)
    assert faded(use, DAY + int(HALF_LIFE)) == 0.5
    values = [strength(use, DAY + days) for days in (1, 10, 100, 1_000)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1e-6
    grown = [strength(after(days), DAY) for days in (1, 3, 10, 300)]
    assert grown == sorted(grown)
    assert (grown[1] - grown[0]) / 2 > (grown[2] - grown[1]) / 7 > 0
    assert grown[-1] == 1
    assert faded(after(300), DAY) < 1 / (1 - 2 ** (-1 / HALF_LIFE))


def test_a_used_hit_comes_before_its_equal_and_not_before_a_better_one() -> None:
    better, equal, twin = hit("better", 1.2), hit("equal", 1.0), hit("twin", 1.0)
    result = strengthened([better, equal, twin], {twin.engram.id: after(300)}, DAY)
    assert texts(result) == ["better", "twin", "equal"]
    assert result[1].why == {"words": 1.0, STRENGTH: BOUND}
    assert [one.score for one in result] == [0.5, 0.5, 0.5]
    assert STRENGTH not in result[0].why
    near = hit("near", 1.0 + BOUND + 1e-6)
    assert texts(strengthened([near, twin], {twin.engram.id: after(300)}, DAY)) == ["near", "twin"]


def test_the_stronger_of_two_used_hits_comes_first() -> None:
    weak, strong = hit("weak", 1.0), hit("strong", 1.0)
    uses = {weak.engram.id: after(1), strong.engram.id: after(5)}
    assert texts(strengthened([weak, strong], uses, DAY)) == ["strong", "weak"]
    assert texts(strengthened([strong, weak], uses, DAY)) == ["strong", "weak"]


@pytest.mark.parametrize(("told", "first"), [(DAY - 5, "old"), (DAY - 2, "old"), (DAY - 1, "new"), (DAY, "new")])
def test_what_was_told_since_the_last_use_is_not_pushed_out(told: int, first: str) -> None:
    old, new = hit("old", 1.0), hit("new", 1.0, told=told)
    for use in (after(50, last=DAY - 2), counted(after(50, last=DAY - 2), DAY)):
        assert texts(strengthened([new, old], {old.engram.id: use}, DAY))[0] == first


def test_a_hit_that_was_put_behind_a_worse_one_stays_there() -> None:
    worse, copy = hit("worse", 0.5), hit("copy", 0.9)
    assert texts(strengthened([worse, copy], {copy.engram.id: after(50)}, DAY)) == ["worse", "copy"]


def test_without_uses_nothing_changes() -> None:
    hits = [hit("a", 1.0), hit("b", 2.0)]
    assert strengthened(hits, {}, DAY) == hits
    today_only = {one.engram.id: counted(None, DAY) for one in hits}
    assert strengthened(hits, today_only, DAY) == hits


def test_used_are_hits_about_as_sure_as_the_best_and_none_under_the_floor() -> None:
    hits = [hit("a", 1.0, 0.8), hit("b", 0.9, 0.9), hit("c", 0.5, 0.46), hit("d", 0.4, 0.44)]
    assert used(hits) == [one.engram.id for one in hits[:3]]
    assert used([hit("a", 1.0, 0.14)]) == []
    assert used([]) == []


def test_the_hit_that_would_be_first_is_known() -> None:
    near, twin = hit("near", 1.01, 0.6), hit("twin", 1.0, 0.59)
    assert first_without([near, twin]) is near
    result = strengthened([near, twin], {twin.engram.id: after(300)}, DAY)
    assert (result[0].engram, first_without(result)) == (twin.engram, near)
    assert first_without(result[:1]) is result[0]


def test_days_are_those_of_utc() -> None:
    assert day_of(datetime(1970, 1, 2, tzinfo=UTC)) == 1
    assert day_of(datetime(1970, 1, 1, 23, 59, 59, tzinfo=UTC)) == 0
