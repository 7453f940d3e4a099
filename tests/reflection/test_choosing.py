"""The choice among sentences, by vectors and words made up for it."""

from __future__ import annotations

import numpy as np
import pytest

from engram.reflection.choosing import MOST, Candidate, chosen, telling, telling_terms
from engram.reflection.values import values_of

NORTH, EAST, UP = np.eye(3, dtype=np.float32)


def candidate(
    vector: np.ndarray = NORTH, worth: float = 1.0, text: str = "", tokens: int = 10, day: str = "[1]", group: int = 0
) -> Candidate:
    return Candidate(vector, worth, telling_terms(text), values_of(text), tokens, day, 0, group)


def test_the_second_choice_is_of_another_matter() -> None:
    near = (NORTH + 0.7 * EAST) / np.linalg.norm(NORTH + 0.7 * EAST)
    assert set(chosen([candidate(NORTH), candidate(near), candidate(UP)], 20)) in ({0, 2}, {1, 2})


def test_what_says_the_same_is_never_chosen_twice_unless_its_numbers_differ() -> None:
    same = [candidate(text="900 euros"), candidate(text="900 euros")]
    assert len(chosen(same, 1_000)) == 1
    assert len(chosen([*same, candidate(text="1100 euros")], 1_000)) == 2


def test_a_telling_word_decides_between_equals() -> None:
    assert chosen([candidate(NORTH, text="it was nice"), candidate(EAST, text="it was Grünerløkka")], 10) == [1]


def test_what_is_worth_more_comes_first() -> None:
    assert chosen([candidate(NORTH, 0.4), candidate(EAST, 0.9)], 100) == [1, 0]


def test_another_group_is_preferred() -> None:
    first, second = chosen([candidate(NORTH, 1.1), candidate(EAST, 1.0), candidate(UP, 1.0, group=1)], 20)
    assert (first, second) in ((0, 2), (2, 0))


def test_the_line_of_a_day_is_paid_once() -> None:
    parts = [
        candidate(vector, day=day)._replace(day_tokens=5) for vector, day in ((NORTH, "a"), (EAST, "a"), (UP, "b"))
    ]
    assert sorted(chosen(parts, 25)) == [0, 1]
    assert sorted(chosen(parts, 40)) == [0, 1, 2]


@pytest.mark.parametrize("budget", [-5, 0, 9])
def test_nothing_is_chosen_that_does_not_fit(budget: int) -> None:
    assert chosen([candidate()], budget) == []
    assert chosen([], 100) == []


def test_of_very_many_those_are_looked_at_that_are_worth_most() -> None:
    random = np.random.default_rng(1).normal(size=(MOST + 50, 64)).astype(np.float32)
    vectors = random / np.linalg.norm(random, axis=1, keepdims=True)
    worth = [0.1] * 50 + [1.0] * MOST
    found = chosen([candidate(vector, value) for vector, value in zip(vectors, worth, strict=True)], 300)
    assert len(found) == 30
    assert min(found) >= 50


def test_common_words_tell_nothing() -> None:
    assert telling_terms("and it was the same for me") == frozenset()
    assert telling("zzyzx") == 1.0
    assert 0 < telling("pottery"[:7]) <= 1.0
