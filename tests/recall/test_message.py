"""Which parts of a message are looked up."""

from __future__ import annotations

import json

import pytest

from engram.opening import open_encoder
from engram.recall.message import LONGEST_JSON, is_marked, parts_of, parts_to_look_up

QUESTION = "Who waters my tomatoes in August?"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": QUESTION, "lang": "en"},
        [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
        {"task": "answer", "id": 7, "input": {"question": QUESTION, "options": None}},
    ],
)
def test_the_texts_of_a_json_message_are_its_parts(message: object) -> None:
    for indent in (None, 2):
        text = json.dumps(message, indent=indent)
        assert QUESTION in parts_of(text)
        assert parts_to_look_up(text, open_encoder())[0].text == QUESTION


@pytest.mark.parametrize(
    "message", ["{", "[1, 2", '{"a": 1}', "{}", "[[", "[" * 5_000, '["' + "x" * LONGEST_JSON + '"]']
)
def test_what_is_no_json_with_texts_is_looked_up_as_it_is(message: str) -> None:
    assert "".join(parts_of(message)).replace("\n", "")[:100] == message[:100]


@pytest.mark.parametrize(
    ("message", "question"),
    [
        (f"Totally off topic, but before I forget: {QUESTION}", QUESTION),
        ("对了，突然想问一下：八月谁给我的番茄浇水？", "八月谁给我的番茄浇水？"),
    ],
)
def test_a_question_after_a_colon_is_a_part(message: str, question: str) -> None:
    assert question in parts_of(message)
    assert question in [part.text for part in parts_to_look_up(message, open_encoder())]


@pytest.mark.parametrize(
    "message", ["Translate: I feed the hens.", "Lunch is at 12:30, isn't it?", "see https://a.example/?"]
)
def test_what_follows_another_colon_is_no_part_of_its_own(message: str) -> None:
    assert parts_of(message) == [message]


def test_marks_of_questions_are_known_in_all_scripts() -> None:
    assert all(is_marked(text) for text in ("Where? ", "哪里？", "أين؟"))
    assert not is_marked("Here.")


def test_each_part_is_looked_up_once_and_an_ordinal_ends_none() -> None:
    assert parts_of("Again. Again. Again. And am 3. August?") == ["Again.", "And am 3. August?"]
    assert parts_of("I turned 34. Where was that?\n1. milk\n2. eggs")[-2:] == ["1. milk", "2. eggs"]


@pytest.mark.parametrize("fences", [1, 2])
def test_the_question_behind_a_long_paste_is_read(fences: int) -> None:
    """The end of a block of code in the part that is left out must not make code of what follows it."""
    code = "```\n" + "total = total + 1\n" * 20_000 + "```\n"
    assert "Where did I leave the ladder?" in parts_of(f"{code * fences}Where did I leave the ladder?")
    assert "total = total + 1" not in parts_of(f"{code * fences}Where did I leave the ladder?")
