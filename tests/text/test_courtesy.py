"""Messages that ask for nothing."""

from __future__ import annotations

import pytest

from engram.text.courtesy import is_assent, is_courtesy


@pytest.mark.parametrize(
    "text",
    [
        "Thank you so much!",
        "hi there",
        "Good evening, hello",
        "Danke schön, tschüss!",
        "merci beaucoup",
        "谢谢！",
        "bye \U0001f44b",
    ],
)
def test_a_greeting_or_thanks_is_a_courtesy(text: str) -> None:
    assert is_courtesy(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hey, how are you doing today?",
        "Hi! How\u2019s everything?",
        "What's up?",
        "Good morning, nice to meet you!",
        "Thanks a lot, have a nice evening",
        "Hallo, wie geht es Ihnen?",
        "Na, wie geht's?",
        "Salut, comment vas-tu ?",
        "\u00a1Hola! \u00bfQu\u00e9 tal?",
        "Ol\u00e1, tudo bem?",
        "Ciao, come stai?",
        "C\u0327a va ?",
        "Привет, как дела?",
        "您好，你好吗？",
    ],
)
def test_a_phrase_that_greets_or_parts_is_a_courtesy(text: str) -> None:
    assert is_courtesy(text)


@pytest.mark.parametrize(
    "text",
    [
        "How are you called?",
        "How is it going with the boat?",
        "What's up with my knee?",
        "Hello, how are my plants?",
        "Wie geht es meinem Hund?",
        "Comment \u00e7a va finir ?",
        "How are you and Ben related?",
        "Nice to meet whom?",
        "How old are you?",
        "Как дела у моей сестры?",
        "Have a look at the evening plan",
    ],
)
def test_a_question_that_begins_as_a_greeting_is_no_courtesy(text: str) -> None:
    assert not is_courtesy(text)
    assert not is_assent(text)


@pytest.mark.parametrize("text", ["Okay, great.", "yes please", "Go on", "Weiter", "oui", "好的", "No."])
def test_an_assent_is_no_courtesy(text: str) -> None:
    assert is_assent(text)
    assert not is_courtesy(text)


@pytest.mark.parametrize(
    "text",
    [
        "Thanks, and what is my locker number?",
        "hello, where do I live",
        "Was it you?",
        "thanks 42",
        "dog",
        "",
        "!?",
        "ok boomer",
        "hello " * 100,
        "What do I say for thank you in Czech?",
    ],
)
def test_a_message_with_any_other_content_is_neither(text: str) -> None:
    assert not is_courtesy(text)
    assert not is_assent(text)
