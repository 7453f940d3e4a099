"""Tokenizer: text to words, in any script.

Owns what a word is: case, width and accents are folded, letters that are written for each other become one (which ones
is the business of `text.folding`), clitics are dropped. Scripts without spaces between words (Chinese, Japanese,
Korean, Thai, Lao, Khmer, Burmese) give overlapping pairs of characters, as search engines do. Where a single character
can be a word (Chinese, Korean), it is added to the pairs. An emoji is a word. Knows no stems.
"""

from __future__ import annotations

import re
import unicodedata
import zlib

from engram.text.folding import fold_letters

LONGEST_WORD = 64
"""Longest word in characters; a longer word is cut and ends in a checksum of the whole."""

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
HANGUL = "\uac00-\ud7a3"
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
SOUTH_EAST_ASIAN = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ecd\u1000-\u103f\u1780-\u17d3"
UNSPACED = HAN + HANGUL + KANA + SOUTH_EAST_ASIAN
# `re` does not count vowel signs and the like as letters, but words of Indian and other scripts contain them.
MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962-\u0963"
    "\u0981-\u0dff\u0f18-\u0fbc\u1a17-\u1a7f"
)
EMOJI = "\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"

CLITIC = r"(?:'(?:s|t|m|d|ll|re|ve)\b)?"
NUMBER_TAIL = r"(?:[.,][0-9]+)*"
ASCII_WORD = re.compile(rf"([a-z0-9]+{NUMBER_TAIL}){CLITIC}")
ANY_WORD = re.compile(rf"([{UNSPACED}]+|[{EMOJI}]|(?:(?![{UNSPACED}])[^\W_]|[{MARKS}])+{NUMBER_TAIL}){CLITIC}")
UNSPACED_RUN = re.compile(f"[{UNSPACED}]")
SINGLE = re.compile(f"[{HAN}{HANGUL}]")
# Marks that do not change the word: accents over Latin and Greek letters, pointing in Hebrew and Arabic.
ACCENT = re.compile(
    "(?<=[a-z\u03b1-\u03c9])[\u0300-\u036f]+|[\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]"
)


MOST_MARKS = 30
"""Longest run of combining marks that is normalised, as in the Stream-Safe Text Format of Unicode (UAX 15)."""
MARK_RUN = re.compile(rf"(?:[^\w\s\x00-\x7f]|[\uff9e\uff9f]){{{MOST_MARKS + 1},}}+")

PHRASE = re.compile("([\u3300-\u3357\ufdfa\ufdfb])")
"""Signs for whole words and phrases, which normalising makes up to 18 characters of. No other sign becomes over 4."""
MOST_PHRASES = 100
"""Number of `PHRASE` in a text that become their words, besides one for each 16 characters of the text."""


def words(text: str) -> list[str]:
    """Return the folded words of `text`, in order; empty if there are none.

    Together they have at most as many characters as the text; in scripts without spaces, twice as many.
    """
    return words_of_compatible(text if text.isascii() else compatible(stream_safe(text)))


def words_of_compatible(text: str) -> list[str]:
    """Return the folded words of `text`, which is ASCII or what `compatible` has returned."""
    if text.isascii():
        result: list[str] = ASCII_WORD.findall(text.lower())
        return result if len(max(result, key=len, default="")) <= LONGEST_WORD else list(map(shortened, result))
    result = []
    for word in ANY_WORD.findall(fold_letters(unaccented(text))):
        if UNSPACED_RUN.match(word):
            result += pairs(word)
        else:
            result.append(word if len(word) <= LONGEST_WORD else shortened(word))
    return result


def folded(text: str) -> str:
    """Return `text` with case, width, typographic apostrophes and `ACCENT` folded."""
    return unaccented(compatible(stream_safe(text)))


def unaccented(text: str) -> str:
    """Return `text`, which `compatible` has returned, with case, typographic apostrophes and `ACCENT` folded."""
    text = text.casefold().replace("\u2019", "'").replace("\u0451", "\u0435")
    return unicodedata.normalize("NFC", ACCENT.sub("", unicodedata.normalize("NFD", text)))


def compatible(text: str) -> str:
    """Return `text` in NFKC; if it holds more signs for phrases than `MOST_PHRASES`, these stay as they are."""
    if len(PHRASE.findall(text)) <= MOST_PHRASES + len(text) // 16:
        return unicodedata.normalize("NFKC", text)
    # Every second part is a sign.
    parts = PHRASE.split(text)
    parts[::2] = [unicodedata.normalize("NFKC", part) for part in parts[::2]]
    return "".join(parts)


def stream_safe(text: str) -> str:
    """Return `text` without the marks after the first `MOST_MARKS` of a run: normalising longer runs is quadratic."""
    return text if text.isascii() else MARK_RUN.sub(_limited, text)


def _limited(match: re.Match[str]) -> str:
    # All characters of a run that can be marks and are none stay.
    marks = [bool(unicodedata.combining(unicodedata.normalize("NFKD", c)[0])) for c in match[0]]
    return "".join(c for i, c in enumerate(match[0]) if i < MOST_MARKS or not all(marks[i - MOST_MARKS : i + 1]))


def pairs(run: str) -> list[str]:
    """Return the overlapping pairs of a run's characters, and the single characters that can be words."""
    if len(run) == 1:
        return [run]
    return SINGLE.findall(run) + [run[i : i + 2] for i in range(len(run) - 1)]


def shortened(word: str) -> str:
    """Return `word`; if it is longer than `LONGEST_WORD`, its start with a checksum."""
    if len(word) <= LONGEST_WORD:
        return word
    return f"{word[: LONGEST_WORD - 8]}{zlib.crc32(word.encode()):08x}"
