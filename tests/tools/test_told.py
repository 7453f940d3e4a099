"""The statements and questions on which the encoder is tuned."""

from __future__ import annotations

from collections import Counter

from tools.told import SIBLINGS, TOLD, lines_of, read_items, read_languages

LANGUAGES = frozenset("ar de en es fr it ja ko nl pl pt ru th tr zh zh-TW".split())


def test_every_statement_has_two_questions_and_is_told_once() -> None:
    items = read_items()
    assert len(items) > 20_000
    assert len({item.told for item in items}) == len(items)
    for item in items:
        assert all(text and text == text.strip() for text in (item.told, *item.asked)), item
        assert len(set(item.asked)) == 2, item


def test_every_line_names_its_languages() -> None:
    told, siblings = list(lines_of(TOLD)), list(lines_of(SIBLINGS))
    for name, line in told:
        assert line.keys() - {"asked_lang"} == {"lang", "told", "asked", "near"}, name
    for name, line in siblings:
        assert line.keys() == {"lang", "asked_lang", "told"}, name
        assert len(line["told"]) > 1, name
    counts = Counter(line["lang"] for _, line in told + siblings)
    assert counts.keys() - {"mixed"} == LANGUAGES
    assert min(counts[language] for language in LANGUAGES) > 200


def test_the_languages_are_those_of_the_statements_in_their_order() -> None:
    items, languages = read_items(), read_languages()
    assert len(languages) == len(items)
    for item, (told, asked) in zip(items, languages, strict=True):
        assert told in LANGUAGES or told == "mixed"
        # Hangul stands in texts of Korean, and in some that name Korean words.
        if told == "ko":
            assert any("가" <= character <= "힣" for character in item.told), item
        if asked == "ru":
            assert any("а" <= character <= "я" for character in item.asked[0].lower()), item
