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
    ],
)
def test_what_others_say_in_a_message_is_no_statement(aside: str) -> None:
    assert said(f"Look what came today.\n\n{aside}") == ["Look what came today."]


def test_a_message_that_begins_as_a_letter_is_its_writers_own() -> None:
    assert said("Dear assistant,\n\nI live in Turin now.") == ["Dear assistant,", "I live in Turin now."]


def test_a_long_sentence_is_cut_and_a_long_turn_is_read_in_part() -> None:
    text = "and then we walked on through the rain " * 60
    parts = said(text)
    assert len(parts) > 1
    assert all(size(part) <= LONGEST for part in parts)
    assert len(statements_of("It rained. " * 1_000)) == MOST
