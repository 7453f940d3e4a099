"""The words of a text, for each script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.text.tokenizer import LONGEST_WORD, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What's my dog's name?", ["what", "my", "dog", "name"]),
        ("I don't, we'll, they've", ["i", "don", "we", "they"]),
        ("It\u2019s Ana\u2019s", ["it", "ana"]),
        ("3,000.50 at 10.30 on 2023-05-08", ["3,000.50", "at", "10.30", "on", "2023", "05", "08"]),
        ("Café NAÏVE Straße", ["cafe", "naive", "strasse"]),
        ("ΑΒΓ Ёлка новый", ["αβγ", "елка", "новый"]),
        ("Ｆｕｌｌ ｗｉｄｔｈ", ["full", "width"]),
        ("كلبي اسمه بِسكويت", ["كلبي", "اسمه", "بسكويت"]),
        ("הכלב שֶׁלִּי", ["הכלב", "שלי"]),
        ("मेरे कुत्ते का नाम", ["मेरे", "कुत्ते", "का", "नाम"]),
        ("我的狗", ["我", "的", "狗", "我的", "的狗"]),
        ("犬の名前", ["犬", "名", "前", "犬の", "の名", "名前"]),
        ("비스킷", ["비", "스", "킷", "비스", "스킷"]),
        ("ร้าน", ["ร้", "้า", "าน"]),
        ("🎂🎉 yes", ["🎂", "🎉", "yes"]),
        ("x\0y\tz", ["x", "y", "z"]),
        ('" OR * field:x^9', ["or", "field", "x", "9"]),
        ("<b>bold</b>", ["b", "bold", "b"]),
        ("", []),
        ("... !? --", []),
    ],
)
def test_words_of_every_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_mixed_scripts_are_split() -> None:
    assert words("iPhoneの写真") == ["iphone", "写", "真", "の写", "写真"]


def test_long_words_with_the_same_start_differ() -> None:
    one, other = words("a" * 1000), words("a" * 1001)
    assert len(one[0]) == len(other[0]) == LONGEST_WORD
    assert one != other


@given(st.text())
def test_words_contain_no_white_space_and_are_stable(text: str) -> None:
    result = words(text)
    assert all(word and not any(c.isspace() for c in word) for word in result)
    assert result == words(text)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_path_equals_general_path(text: str) -> None:
    assert words(text) == [w for w in words(text + " \u00e9") if w != "e"] or "e" in words(text)
