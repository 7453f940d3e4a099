"""Full stops that end no sentence."""

from __future__ import annotations

import pytest

from engram.text.abbreviations import LONGEST_JOINED, goes_on


@pytest.mark.parametrize(
    "text",
    [
        "My dentist is Dr.|Suhr", "She met Prof.|Okafor", "Reach me at ext.|208", "Zimmer Nr.|5",
        "Wir wohnen Lindenstr.|7",
        "Am 3.|August ziehen wir um", "I like teas, e.g.|Assam", "Ich mag Tee, z. B.|Assam", "Hablé con la Sra.|Pons",
        "Avec M.|Dupont", "Mary K.|Holt called", "Dr. J.|Okonkwo", "Mieszkam na ul.|5 Maja",
    ],
)  # fmt: skip
def test_a_sentence_goes_on_behind_an_abbreviation(text: str) -> None:
    assert goes_on(*text.split("|"))


@pytest.mark.parametrize(
    "text",
    [
        "The answer is no.|We moved", "I took the last one.|208 people came", "So did I.|Then we left",
        "It rained.|It poured",
        "I need more vitamin c.|Then I sleep", "Dr.|", "Dr|Suhr", "We met in 2019.|Then we left", "|Suhr",
        "We ate art.|It was",
    ],
)  # fmt: skip
def test_a_sentence_ends_behind_a_word(text: str) -> None:
    assert not goes_on(*text.split("|"))


def test_a_long_sentence_is_not_joined() -> None:
    assert goes_on("Am 3.", "August")
    assert not goes_on("word " * LONGEST_JOINED + "Am 3.", "August")
