"""Sentences of a turn: what its writer says, without what is quoted or pasted."""

from __future__ import annotations

import pytest

from engram.reflection.sentences import LONGEST, MOST, statements_of
from engram.text.passages import size


def said(text: str) -> list[str]:
    return [text[start:stop] for start, stop in statements_of(text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("We moved to Leith. The cat hates it!", ["We moved to Leith.", "The cat hates it!"]),
        ("Am 3. August ziehen wir um.", ["Am 3. August ziehen wir um."]),
        ("我搬到了杭州。猫不喜欢。", ["我搬到了杭州。", "猫不喜欢。"]),
        ("- oat milk\n- no nuts, Ida is allergic", ["- oat milk", "- no nuts, Ida is allergic"]),
        ("  \n ", []),
        ("?!? 12 34", []),
    ],
)
def test_sentences_and_lines_are_statements(text: str, sentences: list[str]) -> None:
    assert said(text) == sentences


@pytest.mark.parametrize(
    "aside",
    [
        "> I live in Turin.\n> I am a baker.",
        "```\nI = live('Turin')\n```",
        "| name | town |\n|---|---|\n| Ugo | Turin |",
        "From: Ugo Berti\nSubject: moving\n\nI live in Turin now. My number is 0151.",
        "Dear Ms Holt,\n\nI live in Turin now. My number is 0151.\n\nUgo Berti",
        "Betreff: Umzug\n\nIch wohne jetzt in Turin.",
        "“I live in Turin now. My number is 0151. I always want tea.”",
        "„Ich wohne in Turin. Ab jetzt immer Tee.“",
        "「以后请一直叫我小李。我住在北京。」",
        '{"event": "signup", "prefers": "always dark mode"}',
        '{\n  "city": "Turin",\n  "prefers": "always dark mode"\n}',
        "<user city='Turin'>\n<note>I live in Turin.</note>",
        "Sehr geehrte Frau Holt\n\nIch wohne jetzt in Turin.",
    ],
)
def test_what_others_say_in_a_message_is_no_statement(aside: str) -> None:
    assert said(f"Look what came today.\n\n{aside}") == ["Look what came today."]


def test_a_message_that_begins_as_a_letter_is_its_writers_own() -> None:
    assert said("Dear assistant,\n\nI live in Turin now.") == ["Dear assistant,", "I live in Turin now."]


@pytest.mark.parametrize(
    "letter",
    [
        "Sehr geehrte Frau Holt,\n\nich wohne künftig selbst dort.\n\nMit freundlichen Grüßen\nK. Petersen",
        "Dear Ada,\n\nI live in Turin now.\n\nBest regards,\nUgo\n\nWhat should I answer?",
        "Dear Ada,\nI live in Turin now.\n\nYours sincerely,\n\nUgo Berti\n\nIs that polite enough?",
        "尊敬的王老师，\n我住在北京。",
    ],
)
def test_a_letter_to_somebody_else_is_not_what_its_reader_is_told(letter: str) -> None:
    assert said(letter) == []


def test_a_letter_to_an_assistant_is_its_writers_own() -> None:
    assert "I live in Turin now." in said("Dear Engram,\n\nI live in Turin now.\n\nBest regards,\nUgo")


def test_words_that_also_begin_letters_end_no_message() -> None:
    tea = "Lieber Tee als Kaffee"
    assert said(f"Morgens trinke ich was.\n{tea}\nUnd ich wohne in Kiel.")[1:] == [tea, "Und ich wohne in Kiel."]


def test_a_sentence_with_a_quote_in_it_is_its_writers_and_the_rest_of_the_quote_is_not() -> None:
    text = 'My boss said: "I go home at six. Always lock the door." I live in Turin.'
    assert said(text) == ['My boss said: "I go home at six.', "I live in Turin."]
    assert said('"I live in Turin. I have a cat."') == ['"I live in Turin.', 'I have a cat."']


def test_a_full_stop_of_an_abbreviation_ends_no_sentence() -> None:
    assert said("My dentist is Dr. Suhr. Her number is ext. 208.") == [
        "My dentist is Dr. Suhr.",
        "Her number is ext. 208.",
    ]


def test_hostile_texts_are_read_in_linear_time() -> None:
    for text in ('"a', "„", "Dear x,\n", "\n" * 3, " \n", "Regards\n", "{ ", "Dear " + " " * 50):
        statements_of(text * (300_000 // len(text)))


def test_a_long_sentence_is_cut_and_a_long_turn_is_read_in_part() -> None:
    text = "and then we walked on through the rain " * 60
    parts = said(text)
    assert len(parts) > 1
    assert all(size(part) <= LONGEST for part in parts)
    assert len(statements_of("It rained. " * 1_000)) == MOST
