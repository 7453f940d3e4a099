"""Tells the encoding of a document, and a text from a binary file.

Owns both judgements. UTF-8, UTF-16 and UTF-32 are certain; a page of HTML can state its encoding; what is none of these
is Windows-1252 (Latin-1) if it looks like a Western language, and otherwise nothing is guessed.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

CHUNK = 1 << 20
"""Bytes that are judged at a time."""
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks with their encodings; that of UTF-32 begins with one of UTF-16."""

CONTROLS = bytes({*range(9), *range(14, 32), 127} - {27})
"""Bytes that no text has many of: controls without tab, line ends, form feed and escape."""
MOST_CONTROLS = 0.02
"""Share of these from which a file is binary."""
DAMAGED = 4
"""How many characters must be valid UTF-8 for each byte that is not, in a damaged text."""
MOST_WESTERN = 0.3
"""Share of the letters of a Western text that are not ASCII."""

_META = re.compile(rb"<meta(?=[\s/])[^<>]*+>", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s*+=\s*+[\"']?+\s*+([a-z0-9_:-]{1,40}+)", re.IGNORECASE)
STATED_WITHIN = 4096
"""Bytes of a page in which it can state its encoding."""
_SINGLE = {"latin-1": "windows-1252", "ascii": "windows-1252", "iso8859-9": "windows-1254", "gb2312": "gb18030"}
"""Encodings that pages state with their names in Python, and what browsers read instead."""
_OTHERS = (
    "utf-8 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257"
    " windows-1258 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-10 iso8859-13"
    " iso8859-14 iso8859-15 iso8859-16 koi8-r koi8-u mac-roman gbk gb18030 big5 euc-jp shift_jis iso2022_jp euc-kr"
).split()
_KNOWN = {codecs.lookup(name).name: name for name in _OTHERS} | {
    codecs.lookup(name).name: other for name, other in _SINGLE.items()
}


class Decoding(NamedTuple):
    """How to decode a file."""

    encoding: str
    remark: str = ""
    """What a user should know of it; "" for nothing."""


class Undecodable(ValueError):
    """A file that is no text, or in an encoding that nothing tells. The message continues the name of the file."""


def decoding_of(file: BinaryIO, *, page: bool = False) -> Decoding:
    """Return how to decode a seekable file; reads all of it. Raises `Undecodable`.

    page: whether it is HTML, which can state its encoding. Decode with errors="replace", as each remark assumes.
    """
    file.seek(0)
    head = file.read(CHUNK)
    marked = next((encoding for mark, encoding in MARKS if head.startswith(mark)), None) or _wide(head)
    if marked is not None:
        return Decoding(marked)
    stated = _stated(head) if page else None
    if stated is not None:
        return Decoding(stated)
    file.seek(0)
    return _judged(iter(lambda: file.read(CHUNK), b""))


def _stated(head: bytes) -> str | None:
    """Return the encoding that a page states, if browsers know it."""
    for tag in _META.findall(head[:STATED_WITHIN]):
        match = _CHARSET.search(tag)
        if match is not None:
            try:
                return _KNOWN.get(codecs.lookup(match[1].decode("ascii")).name)
            except LookupError:
                return None
    return None


def _wide(head: bytes) -> str | None:
    """Return UTF-16 with its byte order for a text without a mark whose every other byte is mostly zero."""
    part = head[: len(head) & ~1][:4096]
    first, second = part[0::2].count(0), part[1::2].count(0)
    least = 0.7 * len(part) / 2
    if not part or min(first, second) > least / 10:
        return None
    return "utf-16-le" if second >= least else "utf-16-be" if first >= least else None


class _Counted:
    """The bytes of a file, counted by what they can be."""

    def __init__(self) -> None:
        self.total = self.controls = self.zeros = self.high = self.letters = self.undecoded = self.decoded = 0

    def count(self, chunks: Iterable[bytes]) -> _Counted:
        """Count chunks that make up a file; returns this object."""
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        for chunk in chunks:
            self._bytes(chunk)
            self._characters(decoder.decode(chunk))
        self._characters(decoder.decode(b"", True))
        return self

    def _bytes(self, chunk: bytes) -> None:
        self.total += len(chunk)
        self.zeros += chunk.count(0)
        self.controls += len(chunk) - len(chunk.translate(None, CONTROLS))
        if not chunk.isascii():
            self.high += len(chunk) - len(chunk.translate(None, _HIGH))
        self.letters += len(chunk) - len(chunk.translate(None, _LETTERS))

    def _characters(self, text: str) -> None:
        if not text.isascii():
            others = len(text) - len(text.encode("ascii", "ignore"))
            undecoded = (
                len(text.encode("utf-16-le", "surrogatepass")) // 2 - len(text.encode("utf-16-le", "ignore")) // 2
            )
            self.undecoded += undecoded
            self.decoded += others - undecoded


_HIGH = bytes(range(128, 256))
_LETTERS = bytes([*range(65, 91), *range(97, 123)])


def _judged(chunks: Iterator[bytes]) -> Decoding:
    counted = _Counted().count(chunks)
    if counted.controls > MOST_CONTROLS * counted.total:
        raise Undecodable("is a binary file, not a text")
    zeros = f"U+FFFD stands for NUL in it ({counted.zeros:,} times)" if counted.zeros else ""
    if not counted.undecoded:
        return Decoding("utf-8", zeros)
    if counted.undecoded * DAMAGED <= counted.decoded:
        damaged = f"U+FFFD stands for what is not UTF-8 in it (bytes: {counted.undecoded:,})"
        return Decoding("utf-8", "; ".join(filter(None, (damaged, zeros))))
    if counted.high <= MOST_WESTERN * (counted.high + counted.letters):
        western = "is not UTF-8, and is read as Windows-1252 (Latin-1)"
        return Decoding("windows-1252", "; ".join(filter(None, (western, zeros))))
    raise Undecodable(
        "is not UTF-8, and nothing says what its encoding is; convert it first, for example: "
        "iconv -f ENCODING -t UTF-8 FILE > FILE.txt"
    )
