"""Finds what a text says to a model and not to a reader: hidden characters, encodings, other alphabets, fake turns.

Owns the patterns. Pure functions in time proportional to the length of the text; what they find is judged elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from urllib.parse import unquote

from engram.text.markup import HIDDEN, skeleton

FEWEST_WORDS = 3
"""Words from which decoded bytes are a text and not chance."""

_TAGS = re.compile("[\U000e0020-\U000e007e]++")
_BIDI = re.compile("[\u202e\u2067]([^\u202c\u2069\n]*+)")
_BASE64 = re.compile(r"(?<![\w+/-])[A-Za-z0-9+/_-]{24,}+={0,2}(?![\w+/])")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{2}){12,}+(?![0-9A-Za-z])")
_SPACED = re.compile(r"(?<!\w)(?:\w[ .\-_*]{1,3}+(?=\w(?!\w))){8,}+\w")
_INSIDE_SPACED = re.compile(r"(?<=\w)[ .\-_*](?=\w)")
_MIXED = re.compile(r"[a-z](?=[\u0370-\u03ff\u0400-\u04ff])|[\u0370-\u03ff\u0400-\u04ff](?=[a-z])", re.IGNORECASE)
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2}|[\w.+-]){12,}+")
_ESCAPED = re.compile(r"(?:\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\[0-7]{3}){8,}+")
_NUMBERS = re.compile(r"(?<!\d)(?:\d{2,3}[ ,;]{1,2}+(?=\d{2,3}(?!\d))){11,}+\d{2,3}")
_WORD = re.compile(r"[\w@$]{3,}+")
_MIXED_WORD = re.compile(r"[^\W\d][\d@$]|[\d@$][^\W\d]")
_LEET_LETTERS = str.maketrans("013457@$", "oieastas")
_SOFT_HYPHEN = "\u00ad"
MOST_HIDDEN = 4
"""Hidden characters that a text of a person may hold, such as the mark of byte order."""

MOST_TURNS = 1_000
"""Turns inside a text that are looked at."""

BLIND = 4096
"""Characters of a text that are also read backwards and in ROT13, whatever it says."""

_TURN = re.compile(
    r"(?:^|\n|(?<!\")\")[ \t>*#\[({<=|\"-]{0,12}+(?=\w)(user|human|me|patient|q from user|benutzer|nutzer|utilisateur"
    r"|usuario|usuário|utente|gebruiker|пользователь|用户|ユーザー|kullanıcı|użytkownik|instruction|input"
    r"|assistant|ai(?: assistant)?|model|bot|you|a from assistant|assistent|asistente|assistente|ассистент|助手"
    r"|アシスタント|asistan|asystent|chatbot|gpt|response"
    r"|system|developer|function|tool result|tool)"
    r"(?:[ \t]{1,3}(?:message|input|output|said|turn|prompt))?+[ \t]{0,3}(?:[\])}>*=|\"]{1,6}+|[:：]|\n|$)",
    re.IGNORECASE,
)
_LIMIT = re.compile(  # "the notes end here": what tries to stand outside of them
    r"\b(?:end|close|closed)\b[\w \t]{0,12}\b(?:notes?|memor(?:y|ies)|document|context|quotation|transcript|data)\b"
    r"|\b(?:notes?|memor(?:y|ies)|document|context|transcript)\b[\w \t]{0,12}\b(?:ends?|closed|end here)\b"
    r"|\b(?:everything|all|anything|text)\b[\w \t]{0,12}\b(?:before|above|so far)\b|\bfrom here on\b"
    r"|\bab hier\b|\bleave the quot|\bnotes about me\b|\b(?:above|earlier|previous) notes\b"
    r"|\b(?:ende|fin|fim|fine|einde|koniec)\b[\w \t]{1,8}\b"
    r"(?:notizen|notes|memoria|memória|notas|note|notities|notatek)\b|\bim_(?:start|end)\b"
    r"|конец заметок|笔记结束|</?(?:notes?|memory|context|instructions?)\b|engram[\s_‑-]{0,2}notes|note \d+ of \d+",
    re.IGNORECASE,
)
_OF_LIMITS = (
    "note memor document context quotation transcript data before above far here quot engram im_ instruction hier"
    " notiz notat notas конец 笔记"
).split()
"""Parts of words of which every match of `_LIMIT` holds one: looking for them takes a tenth of the time."""
_LONG_RUN = re.compile(r"\S{24}")
_URL = re.compile(r"(?:https?|ftp)://[^\s\"')>]*+|\]\((?:javascript|data):")
_PLACEHOLDER = re.compile(r"[{\[<]\w|=[A-Z_]{4,}+|BASE64|%7B|\{\{")


def decoded(text: str) -> Iterator[str]:
    """Yield what parts of `text` spell in characters or codes that a reader does not read."""
    if not text.isascii():
        tags = "".join(chr(ord(c) - 0xE0000) for run in _TAGS.findall(text) for c in run)
        if has_words(tags):
            yield tags
        for part in _BIDI.findall(text):
            yield part[::-1]
        if _MIXED.search(text):
            yield skeleton(text)
    yield from filter(has_words, _from_codes(text))
    for match in _SPACED.finditer(text):
        yield _INSIDE_SPACED.sub("", match[0])


def backwards(text: str) -> str:
    """Return `text` from its end to its beginning."""
    return text[::-1]


def rot13(text: str) -> str:
    """Return `text` with every letter of ASCII replaced by the one 13 places on."""
    return codecs.encode(text, "rot13")


def with_letters(text: str) -> str:
    """Return `text` with letters for the digits inside words."""
    return _WORD.sub(_with_letters, text) if _MIXED_WORD.search(text) else text


def _with_letters(match: re.Match[str]) -> str:
    """Return a word with letters for the digits between its letters."""
    word = match[0]
    return word.translate(_LEET_LETTERS) if word[:1].isalpha() or word[-1:].isalpha() else word


def _from_codes(text: str) -> Iterator[str]:
    if _LONG_RUN.search(text):
        yield from _from_runs(text)
    if text.count("%") > 2:
        for match in _PERCENT.finditer(text):
            if match[0].count("%") > 2:
                yield unquote(match[0])
    if "\\" in text:
        for match in _ESCAPED.finditer(text):
            yield codecs.decode(match[0], "unicode_escape")
    for match in _NUMBERS.finditer(text):
        yield "".join(map(chr, map(int, re.findall(r"\d+", match[0]))))


def _from_runs(text: str) -> Iterator[str]:
    for match in _BASE64.finditer(text):
        code = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        with suppress(binascii.Error, UnicodeDecodeError):
            yield base64.b64decode(code + "=" * (-len(code) % 4)).decode()
        with suppress(binascii.Error, UnicodeDecodeError):
            yield base64.b32decode(code + "=" * (-len(code) % 8)).decode()
    for match in _HEX.finditer(text):
        yield bytes.fromhex(match[0]).decode(errors="replace")


def hides(text: str) -> bool:
    """Whether `text` holds more than `MOST_HIDDEN` characters that nobody sees; soft hyphens do not count."""
    return not text.isascii() and len(HIDDEN.findall(text.replace(_SOFT_HYPHEN, ""))) > MOST_HIDDEN


def has_words(text: str) -> bool:
    """Whether `text` is printable and holds `FEWEST_WORDS` words."""
    return text.isprintable() and len(text.split()) >= FEWEST_WORDS


def turns(text: str) -> int:
    """Return how many different speakers of a conversation with a model begin a line inside `text`."""
    found = islice(_TURN.finditer(text), MOST_TURNS)
    return len({match[1].casefold() for match in found})


def limits(text: str) -> bool:
    """Whether `text` says that notes end in it, or that what stands before it is another text."""
    lower = text.casefold()
    return any(part in lower for part in _OF_LIMITS) and _LIMIT.search(text) is not None


def leaks(text: str) -> bool:
    """Whether `text` holds a URL that waits for data, such as ...?q={conversation}, or one that runs a script."""
    return any("://" not in url or _PLACEHOLDER.search(url) for url in _URL.findall(text))
