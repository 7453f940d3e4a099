"""The parts of a message as they are stored."""

from __future__ import annotations

import pytest

from engram.engram import MAX_TEXT_BYTES
from engram.notes.injection import marked
from engram.recall.context import HEADING
from engram.serve.wire.reading import LONGEST_WORD, as_stored
from engram.serve.wire.table import CHAT

from .forms import body

NOTES = marked(f"{HEADING}\n[2026-01-01]\n- user: The shed is green.")


def parts(text: str) -> list[str]:
    (message,) = CHAT.read(body(messages=[{"role": "user", "content": text}])).messages
    return [part.text for part in as_stored(message).parts]


@pytest.mark.parametrize(
    "text",
    [
        "x" * (2 * MAX_TEXT_BYTES + 1),
        "one word and another " * (MAX_TEXT_BYTES // 8),
        "ẞ" * MAX_TEXT_BYTES,
        "é🐝" * (MAX_TEXT_BYTES // 2),
        "row\n" * MAX_TEXT_BYTES,
        "a" * (MAX_TEXT_BYTES - 1) + "🐝",
    ],
    ids=["no gap", "words", "three bytes", "mixed", "line breaks", "a sign on the limit"],
)
def test_a_long_text_is_cut_into_pieces_that_an_engram_can_hold(text: str) -> None:
    found = parts(text)
    assert "".join(found) == text
    sizes = [len(piece.encode()) for piece in found]
    assert max(sizes) <= MAX_TEXT_BYTES
    assert all(size >= MAX_TEXT_BYTES - LONGEST_WORD - 4 for size in sizes[:-1])


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "Zq7xK2mP9vB4nR8s\n" * 100 + "-----END RSA " + "PRIVATE KEY-----",
        "password: violinbridge7",
        "4111 1111 1111 1111",
    ],
    ids=["private key", "password", "card"],
)
@pytest.mark.parametrize("behind", [1, 5, 9])
def test_a_secret_is_not_cut(secret: str, behind: int) -> None:
    before = "é row\n" * (MAX_TEXT_BYTES // 7)
    start = MAX_TEXT_BYTES - len(secret) + behind - len(before.encode())
    text = before[: start - 1] + "\n" if start < 0 else before + "." * (start - 1) + "\n"
    found = parts(text + secret + "\nrow" * 10)
    assert "".join(found) == text + secret + "\nrow" * 10
    assert any(secret in piece for piece in found)


def test_words_are_not_cut() -> None:
    assert all(piece.endswith(" ") for piece in parts("a longish sentence " * 100_000))


@pytest.mark.parametrize("text", ["short", "x" * MAX_TEXT_BYTES])
def test_a_text_that_fits_stays_one_part_and_loses_its_notes(text: str) -> None:
    assert parts(NOTES + text) == [text]
    assert parts(NOTES) == []
