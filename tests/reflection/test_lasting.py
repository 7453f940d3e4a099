"""Which turns last, on texts that no fit has read."""

from __future__ import annotations

import numpy as np
import pytest

from engram.opening import open_encoder
from engram.reflection.labels import made_by
from engram.reflection.lasting import LASTS, NUMBERS, lasting_of, numbers_of, sentences_of, told_in, weights


def chances(*texts: str) -> list[float]:
    return lasting_of(texts, told_in(texts, open_encoder())).tolist()


def numbers(*texts: str) -> list[dict[str, float]]:
    rows = numbers_of(texts, told_in(texts, open_encoder()))
    return [dict(zip(NUMBERS, row, strict=True)) for row in rows.tolist()]


def test_the_weights_belong_to_the_labels_of_the_package() -> None:
    assert weights().labels == made_by(), "run python -m tools.lasting"
    assert weights().weights.shape == (len(NUMBERS),)


@pytest.mark.parametrize(
    "text",
    [
        "I've been repairing church organs since I left school, mostly around Hereford.",
        "My nephew was born deaf, so the whole family is learning to sign.",
        "Wir haben letzten Monat einen alten Hof bei Uelzen gekauft und halten jetzt Ziegen.",
        "Mon frère se marie en septembre à Quimper et je suis son témoin.",
        "Мы с женой купили дачу под Тверью и разводим пчёл.",
        "我妹妹去年考上了武汉大学,现在学建筑。",
    ],
)
def test_what_somebody_tells_of_their_life_lasts(text: str) -> None:
    assert chances(text)[0] >= LASTS


@pytest.mark.parametrize(
    "text",
    [
        "Oh wow, that's wonderful news! You must be over the moon, and you deserve every bit of it!",
        "Thank you so much, see you soon!",
        "How did it go, and what did they say afterwards?",
        "Translate this into Portuguese and make it shorter.",
        "Das freut mich sehr für dich!",
        "¿Y qué tal el tiempo por ahí?",
        "すごいね、おめでとう!",
    ],
)
def test_praise_thanks_questions_and_requests_do_not_last(text: str) -> None:
    assert chances(text)[0] < LASTS


def test_an_order_for_every_time_lasts() -> None:
    assert chances("From now on always give me prices including tax.")[0] >= LASTS


def test_an_answer_lasts_rather_than_the_same_words_after_a_statement() -> None:
    answer = "Four of them, in the shed."
    assert chances("How many hens do you keep?", answer)[1] > chances("You keep hens.", answer)[1]


def test_the_numbers_say_how_much_a_turn_tells_and_what_it_follows() -> None:
    first, second, third = numbers("Where do you live?", "I live in Bergen. It rains a lot.", "I see.")
    assert (first["asks"], first["ends asking"], first["after asking"]) == (1, 1, 0)
    assert (second["sentences"], second["after asking"], second["after an end asking"]) == (2, 1, 1)
    assert (third["asks"], third["after asking"]) == (0, 0)
    assert second["fact"] > first["fact"]
    assert second["own telling"] > third["own telling"]


@pytest.mark.parametrize("text", ["", "\n \n", "...", "[shared a photo of a dog]", "\ud800\x00"])
def test_a_turn_that_says_nothing_does_not_last(text: str) -> None:
    assert list(sentences_of(text)) in ([], [text])
    assert chances("My sister lives in Graz.", text)[1] < LASTS


def test_no_turns_have_no_chances() -> None:
    assert chances() == []
    assert numbers_of([], told_in([], open_encoder())).shape == (0, len(NUMBERS))


def test_a_note_of_what_a_picture_shows_is_not_counted() -> None:
    text = "Look at this! It was taken on Sunday."
    assert list(sentences_of(f"{text} [shared a boat on a lake]")) == ["Look at this!", "It was taken on Sunday."]
    assert np.allclose(chances(text), chances(f"{text} [shared a boat on a lake]"))
