"""Folding for search: letters that people write for each other become one.

Owns which letters are the same for search, besides what `tokenizer.folded` folds for every reader: strokes, ligatures,
traditional and simplified Chinese, the two kana, letters of Arabic, Hebrew, Hindi and Cyrillic, the digits of every
script. Knows no words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files

LIGATURES = dict(zip("æœþðŋıȷɛɔəĸ", "ae oe th d n i j e o e k".split(), strict=True))
# Letters of Persian and Urdu that Arabic keyboards lack. Hamza is an accent of `tokenizer.ACCENT`.
ARABIC = dict(
    zip(
        "\u0649\u06cc\u06d0\u06c0\u06c1\u06be\u0671\u06a9",
        "\u064a\u064a\u064a\u0647\u0647\u0647\u0627\u0643",
        strict=True,
    )
)
OTHERS = dict(zip("ךםןףץґё\u02bc\u2018", "כמנפצге''", strict=True))
# In Hindi the nukta is often left out, and two signs stand for a nasal vowel.
HINDI = {"\u093c": "", "\u0901": "\u0902"}
# Hyphens and joiners that a reader does not see, and stress marks: no letter of Russian or Ukrainian needs these.
UNSEEN = dict.fromkeys("\u00ad\u200c\u200d\u2060\ufeff\u0300\u0301", "")
STROKED = re.compile("LATIN SMALL LETTER ([A-Z]) WITH ")
LATIN = range(0x00DF, 0x0250)
LAST_HEH, TEH_MARBUTA = re.compile("\u0647(?![\u0620-\u064a])"), "\u0629"
"""The second is written for the first: the stemmer drops both, but after an article only the second."""
HIRAGANA_BEHIND = 0x60
"""How far a letter of hiragana is before the same letter of katakana."""
LONG_VOWEL = re.compile("(?<=[\u3041-\u3096])\u30fc+")
LAST_LONG_VOWEL = re.compile("(?<=[\u3041-\u3096\u30fc]{2}[\u3041-\u3096])\u30fc++(?![\u3041-\u3096])")
"""A mark at the end of a long word, which is often left out."""
LONG = {"A": "あ", "I": "い", "U": "う", "E": "い", "O": "う"}
"""How each vowel is made longer in hiragana. The name of a letter of kana ends in its vowel."""
FOREIGN_V = {"\u3094ぁ": "ば", "\u3094ぃ": "び", "\u3094ぇ": "べ", "\u3094ぉ": "ぼ", "\u3094": "ぶ"}


def fold_letters(text: str) -> str:
    """Return `text`, which `tokenizer.folded` has folded, with the letters of all scripts folded for search."""
    text = text.translate(letters())
    if "\u30fc" in text:
        text = LONG_VOWEL.sub(_lengthened, LAST_LONG_VOWEL.sub("", text))
    if "\u0647" in text:
        text = LAST_HEH.sub(TEH_MARBUTA, text)
    if "\u3094" in text:
        for sound, other in FOREIGN_V.items():
            text = text.replace(sound, other)
    return text


@cache
def letters() -> dict[int, str]:
    """Return what each code point becomes."""
    named = {chr(code): STROKED.match(unicodedata.name(chr(code), "")) for code in LATIN}
    table = {letter: name[1].lower() for letter, name in named.items() if name}
    table |= LIGATURES | ARABIC | OTHERS | HINDI | UNSEEN
    # The digits of every living script.
    table |= {c: str(unicodedata.decimal(c)) for c in map(chr, range(0x80, 0x10000)) if c.isdecimal()}
    table |= {chr(code): chr(code - HIRAGANA_BEHIND) for code in (*range(0x30A1, 0x30F7), 0x30FD, 0x30FE)}
    sources, forms = (files("engram.text") / "data" / "han.txt").read_text("utf-8").splitlines()
    table |= dict(zip(sources, forms, strict=True))
    return {ord(letter): form for letter, form in table.items()}


def _lengthened(mark: re.Match[str]) -> str:
    return LONG.get(unicodedata.name(mark.string[mark.start() - 1])[-1], "")
