"""Typing errors between two terms, and the terms of a dictionary that are similar to one."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.search.similar import alphabet, edited, edits_between, similar, similar_by_beginning

WORDS = st.text("abcd", min_size=5, max_size=11)


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [
        ("oboe", "oboe", 0),
        ("oboe", "obe", 1),
        ("oboe", "obboe", 1),
        ("oboe", "obie", 1),
        ("oboe", "oobe", 1),
        ("oboe", "boo", 2),
        ("", "oboe", 4),
        ("bassoon", "basoom", 2),
    ],
)
def test_edits_are_counted(one: str, other: str, edits: int) -> None:
    assert edits_between(one, other) == edits_between(other, one) == edits


@given(WORDS, WORDS)
def test_one_edit_is_what_an_edited_word_has(one: str, other: str) -> None:
    assert (other in edited(one, len(one) + 1)) == (edits_between(one, other) == 1) or one + other[-1] == other


@given(WORDS, st.sets(WORDS, max_size=60))
def test_every_term_with_one_error_is_found_by_its_beginning(term: str, others: set[str]) -> None:
    terms = sorted(others | set(list(edited(term, len(term)))[:20]))

    def beginning(text: str) -> list[str]:
        start = bisect_left(terms, text)
        return terms[start : bisect_left(terms, text + "\uffff")]

    assert similar_by_beginning(term, 1, beginning) == similar(terms, term, 1)
    two = similar_by_beginning(term, 2, beginning)
    assert {word for word, edits in two.items() if edits == 1} == set(similar(terms, term, 1))
    assert two.items() <= similar(terms, term, 2).items()


@pytest.mark.parametrize(("letter", "expected"), [("q", "e"), ("ж", "ё"), ("ω", "ς"), ("ك", "ب"), ("क", "ि")])
def test_alphabet_is_that_of_the_script(letter: str, expected: str) -> None:
    if expected != expected.casefold():
        expected = expected.casefold()
    assert expected in alphabet(letter)
    assert letter in alphabet(letter)
    assert len(alphabet(letter)) < 128
