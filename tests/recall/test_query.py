"""Parsing of a query: which of its words count, and whom it asks about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engram.engram import ROLES
from engram.opening import open_analyzer
from engram.recall.query import parse_query, speaker_names

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
