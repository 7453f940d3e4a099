"""Parsing of a query: which of its words count, and whom it asks about."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from engram.engram import ROLES
from engram.opening import open_analyzer
from engram.recall.query import ParsedQuery, Rule, parse_query, speaker_names

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("role", "words"),
    [("user", "i my me mine myself we our"), ("assistant", "you your yours yourself")],
)
def test_pronouns_ask_about_a_role(role: str, words: str) -> None:
    for word in words.split():
        query = parse_query(f"Which boat is {word.title()}?", open_analyzer(), {}, NOW)
        assert query.roles == {ROLES.index(role)}, word


def test_query_without_a_pronoun_asks_about_no_role() -> None:
    assert parse_query("Which boat is Ana's?", open_analyzer(), {}, NOW).roles == frozenset()


def test_a_word_names_all_speakers_that_share_it() -> None:
    names = speaker_names(open_analyzer(), {"Ana Costa": 1, "Bo Costa": 2, "Cy": 3})
    assert set(names.values()) == {frozenset({1}), frozenset({2}), frozenset({1, 2}), frozenset({3})}


def parsed(query: str) -> ParsedQuery:
    return parse_query(query, open_analyzer(), {}, NOW)


def test_words_that_are_joined_are_tokens_which_their_form_stands_for() -> None:
    query = parsed("the sea-side cabin")
    assert query.terms == ("the", "sea", "side", "cabin")
    assert [term for _, term in query.others] == ["seasid"]
    assert query.rules == (Rule(1, (4,)), Rule(2, (4,)))


def test_a_code_is_one_token_which_its_parts_stand_for_together() -> None:
    query = parsed("cabin KX207")
    assert query.terms == ("cabin", "kx207")
    assert [term for _, term in query.others] == ["kx", "207"]
    assert query.rules == (Rule(1, (2, 3)),)


def test_a_turn_holds_a_code_by_all_of_its_parts_or_in_one_word() -> None:
    query = parsed("cabin KX207")
    # Turns: nothing, one part, both parts, the code.
    held = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 2, 1, 0], [0, 0, 3, 0]], np.float32)
    assert query.by_rules(held) == pytest.approx(np.array([[0, 0, 0, 0], [0, 0, 0.15, 1]]))
    assert held[1].tolist() == [0, 0, 0, 1]


def test_a_part_of_a_code_names_no_speaker() -> None:
    (code,) = speaker_names(open_analyzer(), {"KX207": 1})
    assert parsed("KX207").ids == (code,)
    assert not {code} & set(parsed("207 kx").ids)
