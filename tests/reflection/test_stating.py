"""What a hit gains by its sentence that is nearest to the question."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engram.memory import Memory
from engram.reflection.stating import LASTS, NEAR, STATES, Nearest, gains

LONG = (
    "The weather was awful on Saturday and the market was closed. My daughter plays the oboe in the school orchestra."
    " We had soup afterwards and watched a film about penguins."
)
OTHERS = (
    "The orchestra tickets for Saturday cost 18 euros each.",
    "Mozart wrote a concerto for the clarinet late in his life.",
    "I watched a documentary about how oboes are made.",
)


def told(memory: Memory) -> None:
    memory.remember_many({"text": text} for text in (LONG, *OTHERS))
    memory.flush()


def test_a_nearer_sentence_and_one_that_lasts_gain_more() -> None:
    near, far, silent = gains([Nearest(0.8, 0, 1), Nearest(0.3, 0, 0), None], [True] * 3)
    assert near > far > silent
    assert np.isclose(near - far, 0.5 * NEAR + LASTS)


def test_a_turn_that_was_not_read_gains_as_much_as_the_others_on_average() -> None:
    worth = gains([Nearest(0.8, 0, 1), None, Nearest(0.2, 0, 0)], [True, False, True])
    assert np.isclose(worth[1], (worth[0] + worth[2]) / 2)
    assert gains([None, None], [False, False]).tolist() == [0, 0]
    assert gains([], []).tolist() == []


def test_hits_gain_by_what_was_read_and_places_keep_their_scores(tmp_path: Path) -> None:
    query = "What does my daughter play in the school orchestra?"
    with Memory(tmp_path / "memory.db") as memory:
        told(memory)
        before = memory.recall(query, floor=0)
        assert not any(STATES in hit.why for hit in before)
        memory.reflect()
        after = memory.recall(query, floor=0)
        assert after[0].engram.text == LONG
        assert after[0].why[STATES] > 0
        assert {hit.engram.id for hit in after} == {hit.engram.id for hit in before}
        values = [sum(hit.why.values()) for hit in after]
        assert values == sorted(values, reverse=True)
        assert after[0].score == max(hit.score for hit in before)


def test_what_is_asked_by_its_own_words_stays_first(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        told(memory)
        memory.reflect()
        for text in OTHERS:
            assert memory.recall(text, floor=0)[0].engram.text == text
