"""Sentences: the parts of a turn that can be statements of who wrote it.

Owns which parts of a text its writer says. What a message quotes or pastes (quoted lines, whole sentences in quotation
marks, letters, mails, code, data, tables) is somebody else's. Pure functions in time proportional to the length of the
text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engram.reflection.quotes import quotes_in
from engram.text.abbreviations import goes_on
from engram.text.passages import Span, passages, size, units

LONGEST = 60.0
"""Words of a sentence above which it is cut like a passage."""
MOST = 64
"""Sentences of a turn that are read, from its beginning."""
READ = 65_536
"""Characters of a turn that are read."""

_ASIDE = ("```", "~~~", ">", "|")
"""How code, quoted lines and rows of tables begin."""
_HEADS = (
    "from to cc subject date sent re fwd von an betreff gesendet de para asunto objet oggetto onderwerp van temat od"
    " тема от 主题 主旨 发件人 件名"
).split()
_HEADER = re.compile(rf"\s{{0,8}}(?:{'|'.join(_HEADS)})\s?[:：]\s?\S", re.IGNORECASE)
"""A line of the head of a mail."""
_SALUTATIONS = (
    "dear liebe lieber cher chère estimado estimada querido querida gentile caro cara beste geachte szanowny szanowna"
    " drogi droga prezado prezada уважаемый уважаемая sayın"
).split()
_SALUTATION = re.compile(
    rf"\s{{0,8}}[\"'“«„]?(?:sehr geehrter?|(?:{'|'.join(_SALUTATIONS)})(?!\w)|尊敬的|敬愛的|拝啓)"
    r"[^.!?\n]{0,80}?(?P<mark>[,:!，：])?\s*$",
    re.IGNORECASE,
)
"""The first line of a letter. Without a mark at its end it must have an empty line behind it."""
_TITLE = re.compile(
    r"(?<!\w)(?:mr|mrs|ms|miss|dr|prof|sir|madam|frau|herrn?|damen|monsieur|madame|señora?|sra?|signora?|dott|senhora?"
    r"|meneer|mevrouw|heer|pan|pani|państwo|господин|госпожа)(?!\w)|老师|老師|先生|女士|小姐|様|님",
    re.IGNORECASE,
)
"""How somebody is addressed whom one does not tell one's wishes as one tells an assistant."""
_FAREWELL = re.compile(
    r"^[ \t]{0,8}(?:mit freundlichen grüßen|(?:viele|beste|liebe|herzliche) grüße|hochachtungsvoll|mfg"
    r"|yours (?:sincerely|faithfully|truly)|sincerely(?: yours)?|(?:kind|best|warm)(?:est)? regards|regards"
    r"|cordialement|bien à vous|(?:un |cordiales )?saludos?|atentamente|(?:cordiali|distinti) saluti|atenciosamente"
    r"|(?:com os melhores )?cumprimentos|met vriendelijke groet(?:en)?|z poważaniem|pozdrawiam|с уважением|saygılarımla"
    r"|敬具|此致|敬礼|敬禮|مع (?:خالص )?التحية|تحياتي|ขอแสดงความนับถือ)[ \t]{0,8}[,.!，。]?[ \t]{0,8}$",
    re.IGNORECASE | re.MULTILINE,
)
"""The line before the name that ends a letter."""
_BEHIND_SIGNATURE = re.compile(r"\s*\S[^\n]*\n(?:[^\S\n]*\n)+\s*\S|\s*(?:\S[^\n]*\n){2,4}(?:[^\S\n]*\n)+\s*\S")
_DATA = re.compile(
    r"""[\[{]\s*["'{\[\]}]|["'][\w .-]{1,60}["']\s?:|[}\])]{1,9}[,;]?\s*$|</?[A-Za-z!?]""",
)
"""How a line of JSON, XML or HTML begins."""
_EMPTY_LINE = re.compile(r"[^\S\n]{0,80}\n[^\S\n]{0,80}\n")
_LETTER = re.compile(r"[^\W\d_]")


def statements_of(text: str) -> list[Span]:
    """Return where the sentences begin and end that the writer of `text` says, in characters, in their order.

    What follows a head of a mail or a salutation is taken for pasted. A text that begins with a salutation is its
    writer's own, unless it is a letter to somebody else (`is_letter`).
    """
    found: list[Span] = []
    read = text[:READ]
    quotes = quotes_around(read)
    for start, end in units(read):
        begin, stop = _trimmed(text, start, end)
        part = text[begin:stop]
        if _HEADER.match(part) or (_salutes(text, begin, stop) and (found or is_letter(read, begin, stop))):
            break
        if found and _joins(text, found[-1], begin):
            found[-1] = (found[-1][0], stop)
            continue
        if not _LETTER.search(part) or part.startswith(_ASIDE) or _DATA.match(part):
            continue
        found += (span for span in _cut(text, begin, stop) if not _is_quoted(span, quotes))
        if len(found) >= MOST:
            break
    return found[:MOST]


def quotes_around(text: str) -> list[Span]:
    """Return the quotes of a text in which a whole sentence may stand; not one that is the whole text."""
    return [(start, end) for start, end in quotes_in(text) if text[:start].strip() or text[end:].strip()]


def is_letter(text: str, start: int, stop: int) -> bool:
    """Return whether the salutation of a text begins a letter that is not for who reads the text.

    It addresses somebody by a title, or something else follows the signature.
    """
    farewell = _FAREWELL.search(text, stop)
    return bool(_TITLE.search(text, start, stop)) or bool(farewell and _BEHIND_SIGNATURE.match(text, farewell.end()))


def _salutes(text: str, start: int, stop: int) -> bool:
    """Return whether a unit of a text is a salutation: it ends in a mark, or an empty line follows."""
    found = _SALUTATION.match(text[start:stop])
    return bool(found and (found["mark"] or _EMPTY_LINE.match(text, stop)))


def _is_quoted(span: Span, quotes: list[Span]) -> bool:
    """Return whether a sentence begins within a quote, or is one."""
    start, stop = span
    return any(begin < start < end or (begin == start and stop <= end + 1) for begin, end in quotes)


def _joins(text: str, span: Span, begin: int) -> bool:
    """Return whether a sentence goes on with what begins at `begin`, on the same line."""
    start, end = span
    return "\n" not in text[end:begin] and goes_on(text[start:end], text[begin : begin + 1])


def _trimmed(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _cut(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the parts of a sentence: itself, unless it is very long."""
    if size(text[start:end]) <= LONGEST:
        yield start, end
        return
    for begin, stop in passages(text[start:end]):
        span = _trimmed(text, start + begin, start + stop)
        if span[0] < span[1]:
            yield span
