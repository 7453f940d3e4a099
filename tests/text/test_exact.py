"""Reading of exact things: their parts are words, and what is written in one word is a form of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.opening import open_analyzer
from engram.text.exact import LONGEST, read, read_compound
from engram.text.tokenizer import words

WORDS = frozenset("youtube iphone 4th email".split())


def reading(text: str) -> tuple[list[str], dict[str, list[str]]]:
    """Return the words of a text, and for each form the words that it stands for."""
    found = read(text, lambda compound: read_compound(compound, WORDS.__contains__))
    return list(found.words), {form.word: list(found.words[form.first : form.last]) for form in found.forms}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TX-40_09b", ["tx", "40", "09", "b"]),
        ("saveOpenTabs", ["save", "open", "tabs"]),
        ("parseHTMLPage", ["parse", "html", "page"]),
        ("eReader9Plus", ["ereader", "9", "plus"]),
        ("version V3.8.1", ["version", "3.8.1"]),
        ("0xAB12F0", ["ab12f0"]),
        ("YouTube", ["youtube"]),
        ("b12 4x4 12a", ["b12", "4x4", "12a"]),
        ("zx7", ["zx", "7"]),
        ("60kg", ["60", "kg"]),
        ("c0ffee99d", ["c0ffee99d"]),
        ("zR4kQ8xW2m", ["zr4kq8xw2m"]),
        ("Ana's well-read aunt's here", ["ana", "well", "read", "aunt", "here"]),
        ("ÉCOLE2", ["ecole", "2"]),
        ("乘CZ3101到", ["乘", "cz", "3101", "到"]),
        ("１２３ ４５６", ["123", "456"]),
    ],
)
def test_exact_things_are_read_in_their_parts(text: str, expected: list[str]) -> None:
    assert reading(text)[0] == expected


@pytest.mark.parametrize(
    ("text", "form", "of"),
    [
        ("TX-40_09b", "tx4009b", ["tx", "40", "09", "b"]),
        ("call 0171 555-2368 now", "01715552368", ["0171", "555", "2368"]),
        ("+49 (0)171 555-2368", "5552368", ["49", "0", "171", "555", "2368"]),
        ("part 0007316", "7316", ["0007316"]),
        ("01715552368", "5552368", ["01715552368"]),
        ("sea-side", "seaside", ["sea", "side"]),
        ("e-mail", "email", ["e", "mail"]),
        ("tide_table.csv", "tidetable", ["tide", "table"]),
        ("tide_table.csv", "tidetablecsv", ["tide", "table", "csv"]),
        ("12,450.00", "12450", ["12,450.00"]),
        ("12 450,50", "12450.5", ["12", "450,50"]),
        ("3.9.2031", "20310903", ["3.9.2031"]),
        ("2031/09/03", "20310903", ["2031", "09", "03"]),
        ("9/3/2031", "20310903", ["9", "3", "2031"]),
        ("0d3c9b77aa10", "0d3c9b7", ["0d3c9b77aa10"]),
        ("5th", "fifth", ["5th"]),
        ("at 9:45pm", "9:45", ["9", "45"]),
        ("at 09.45", "9:45", ["09.45"]),
        ("M NO 4417", "mno4417", ["m", "no", "4417"]),
    ],
)
def test_forms_stand_for_the_parts(text: str, form: str, of: list[str]) -> None:
    assert reading(text)[1][form] == of


@pytest.mark.parametrize("text", ["a plain sentence, with a comma.", "Paris 42", "what? no!", "and/or", "24/7", "I'm"])
def test_plain_words_have_no_forms(text: str) -> None:
    assert reading(text) == (words(text), {})


def test_what_is_too_long_for_a_name_is_read_as_words() -> None:
    blob = "aB3" * LONGEST
    assert reading(f"see {blob} here") == (words(f"see {blob} here"), {})


def test_a_table_of_numbers_has_no_more_forms_than_numbers() -> None:
    table = "\n".join(" ".join(str(1000 + 7 * row + column) for column in range(20)) for row in range(50))
    found, forms = reading(table)
    assert len(found) == 1000
    assert len(forms) < len(found) / 4


@given(st.text() | st.text("aZ\u00c9\u0416\u037a\u00d7\u0301\u09390159.,-_/:@()+' \u4e58"))
def test_any_text_is_read_and_forms_stand_for_words_of_it(text: str) -> None:
    found = read(text, lambda compound: read_compound(compound, WORDS.__contains__))
    assert all(word and not any(map(str.isspace, word)) for word in found.words)
    for form in found.forms:
        assert 0 <= form.first < form.last <= len(found.words)
        assert form.word
        assert not any(map(str.isspace, form.word))


def test_terms_of_an_analysis_end_with_the_forms() -> None:
    analysis = open_analyzer().analyse("The sea-side cabin KX-207")
    assert analysis.terms == ["the", "sea", "side", "cabin", "kx", "207", "seasid", "kx207"]
    assert list(analysis.forms) == [(1, 3, False), (4, 6, False)]
    assert len(analysis.ids) == len(analysis.terms)
    assert list(open_analyzer().analyse("cabin KX207").forms) == [(1, 3, True)]
