"""The fit of which turns last: its chats are well-formed, and it finds a line that is known."""

from __future__ import annotations

import numpy as np
import pytest

from tools.lasting import fitted, left_out, read_chats


def test_the_chats_are_in_many_languages_and_turns_of_both_kinds() -> None:
    chats = read_chats()
    marks = [last for chat in chats for last in chat.lasts]
    assert {"en", "de", "ja", "ar", "zh-TW"} <= {chat.language for chat in chats}
    assert min(marks.count(True), marks.count(False), marks.count(None)) > 50
    assert all(text.strip() for chat in chats for text in chat.texts)


def test_a_line_is_found_again_whatever_the_scales_of_the_numbers() -> None:
    numbers = np.random.default_rng(1).normal((5, 0), (1, 100), (4_000, 2))
    lasts = numbers[:, 0] - numbers[:, 1] / 100 > 5
    line = fitted(numbers, lasts)
    assert ((line.chances(numbers) > 0.5) == lasts).mean() > 0.98
    assert line.weights[0] / line.weights[1] == pytest.approx(-100, rel=0.1)


def test_left_out_turns_are_judged_without_the_marks_of_their_chat() -> None:
    numbers = np.arange(40.0)[:, None] % 2
    lasts, chat_of = numbers[:, 0] > 0, np.arange(40) // 4
    wrong = lasts.copy()
    wrong[:4] = ~wrong[:4]
    chances = left_out(numbers, wrong, chat_of)
    assert ((chances[:4] > 0.5) == lasts[:4]).all()
