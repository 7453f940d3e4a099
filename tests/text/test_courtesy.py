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
