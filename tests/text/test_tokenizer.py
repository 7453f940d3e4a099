"""The words of a text, for each script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.text.analyzer import stem_of
from engram.text.folding import letters
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
        ("كلبي اسمه بِسكويت", ["كلبي", "اسمة", "بسكويت"]),
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Latin: strokes, ligatures, letters of their own, dotless i, the sharp s.
        ("Đurđevac", "Durdevac"),
        ("Bjørnøya", "bjornoya"),
        ("Łódź i Wrocław", "lodz i wroclaw"),
        ("Seyðisfjörður", "seydisfjordur"),
        ("Þingvellir", "thingvellir"),
        ("Ħamrun", "hamrun"),
        ("Groß-Gerau", "GROSS-GERAU"),
        ("sœur, cæsium", "soeur, caesium"),
        ("Diyarbakır İzmir", "diyarbakir izmir"),
        ("đường phố", "duong pho"),
        ("soft\u00adhyphen", "softhyphen"),
        # Greek and Cyrillic.
        ("Άγιος Νικόλαος", "ΑΓΙΟΣ ΝΙΚΟΛΑΟΣ"),
        ("самолёт", "самолет"),
        ("за\u0301мок", "замок"),
        ("ґанок", "ганок"),
        ("п\u02bcять", "п'ять"),
        # Chinese and Japanese: traditional, regional and new forms, both kana, half width, marks of long vowels.
        ("體檢報告", "体检报告"),
        ("臺灣烏龍茶", "台湾乌龙茶"),
        ("濱田", "浜田"),
        ("ピアノ", "ぴあの"),
        ("ｶﾒﾗ", "カメラ"),
        ("プリンター", "プリンタ"),
        ("ヴィオラ", "ビオラ"),
        ("おかーさん", "おかあさん"),
        # Arabic, Hebrew, Hindi, and digits of other scripts.
        ("مكتبة", "مكتبه"),
        ("أحمد إلى آخر", "احمد الي اخر"),
        ("\ufee3\ufedc\ufe98\ufe90", "مكتب"),
        ("کتاب", "كتاب"),
        ("שלום ארץ", "שלומ ארצ"),
        ("लड़का सड़क", "लडका सडक"),
        ("चाँद", "चांद"),
        ("रास्ता ४२", "रास्ता 42"),
        ("٢٠٢٤", "2024"),
    ],
)
def test_letters_that_are_written_for_each_other_give_the_same_words(one: str, other: str) -> None:
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("おばさん", "おばあさん"), ("ビール", "ビル"), ("のり", "のりー"), ("мой", "мои"), ("सड़क", "सड़के"), ("银", "铜")],
)
def test_letters_that_tell_words_apart_stay(one: str, other: str) -> None:
    assert words(one) != words(other)


def test_folding_folds_no_further_what_is_folded() -> None:
    for letter, form in letters().items():
        assert form.translate(letters()) == form, f"{letter:#06x}"


def test_arabic_nouns_keep_their_stem_in_every_spelling() -> None:
    for nouns in ("حديقة حديقه الحديقة الحديقه", "مستشفى مستشفي المستشفى المستشفي", "كلبي كلبى كلبه الكلب"):
        assert len(set(map(stem_of, words(nouns)))) == 1
