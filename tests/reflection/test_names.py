"""What a text names: capitals inside a sentence, quotations, and words that are no common ones."""

from __future__ import annotations

import pytest

from engram.reflection.names import key_of, named, names_in, number_of


def names_of(text: str) -> list[str]:
    return list(dict.fromkeys(text[each.start : each.stop] for each in named(text) if each.is_name))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("We met Anna Weber at the Harbour Club on Monday.", ["Anna Weber", "Harbour Club"]),
        ("I gave it to the Keeper of the Lamps, and I left.", ["Keeper of the Lamps"]),
        ("Gestern war ich mit Jonas in Bregenz.", ["Jonas", "Bregenz"]),
        ("Вчера мы были у Марины в Калуге.", ["Марины", "Калуге"]),
        ("Ayer vi a Lucía en la Casa del Viento.", ["Lucía", "Casa del Viento"]),
        ("The door opens for “kittiwake” from tonight.", ["kittiwake"]),
        ("她住在「星之家」。", ["星之家"]),
    ],
)
def test_names_are_found_in_several_languages(text: str, names: list[str]) -> None:
    assert set(names) <= set(names_of(text))


@pytest.mark.parametrize(
    "text", ["THE WHOLE LINE IS IN CAPITALS HERE", "I am. We were. It is.", "", "?!", "\ud800", "12 34"]
)
def test_what_is_no_name_is_none(text: str) -> None:
    assert names_of(text) == []


def test_the_first_word_of_a_sentence_is_no_name_by_its_capital() -> None:
    assert names_in("Lanterns hung there.")["lantern"] is False
    assert names_in("We carried Lanterns there.")["lantern"] is True


def test_inflected_forms_have_one_key() -> None:
    assert key_of("Anna's") == key_of("anna")
    assert key_of("Марину") == key_of("Марины")
    assert key_of("brass keys") == key_of("Brass Key")
    assert key_of(" - ") == ""
    assert number_of("anna") == number_of("anna") != number_of("ann")


def test_a_long_text_keeps_its_names_and_not_every_word() -> None:
    words = " ".join(f"blorp{number}q" for number in range(5_000))
    found = names_in(f"We saw Anna there. {words}")
    assert found["anna"] is True
    assert len(found) < 500
