"""Patterns that are searched without case, against the way in which the standard library ignores it."""

import re

import pytest

from engram.text.caseless import caseless, without_case

WORDS = r"\b(?:always|immer|jamás|никогда|artık|ilkönce|süß)\b"


@pytest.mark.parametrize(
    "text",
    [
        "ALWAYS in metres",
        "Immer so",
        "¡JAMÁS!",
        "НИКОГДА больше",
        "ARTIK böyle",
        "artik boyle",
        "İLKÖNCE bu",
        "Süß",
        "sideways",
    ],
)
def test_a_pattern_finds_what_it_finds_with_ignorecase(text: str) -> None:
    assert bool(re.search(caseless(WORDS), without_case(text))) == bool(re.search(WORDS, text, re.IGNORECASE))


def test_a_text_keeps_its_length_whatever_its_letters() -> None:
    text = "".join(map(chr, range(0x20, 0xD800)))
    assert len(without_case(text)) == len(text)


def test_a_pattern_with_a_capital_is_refused_and_an_escape_is_not() -> None:
    with pytest.raises(ValueError, match="'A' at 3"):
        caseless(r"\b(Always)")
    assert re.search(caseless(r"\Bx\W"), "ax ")
