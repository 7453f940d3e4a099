"""Encodings, and binary files."""

import io
import random

import pytest

from engram.formats.documents import decoding
from engram.formats.documents.decoding import Undecodable, decoding_of

TEXT = "Die Fähre nach Göteborg fährt täglich um sieben Uhr über das Meer.\n" * 20


def decoded(content: bytes, **options):
    found = decoding_of(io.BytesIO(content), **options)
    return content.decode(found.encoding, "replace"), found.remark


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"],
)
def test_unicode_is_recognised_with_and_without_a_mark(encoding: str):
    assert decoded(TEXT.encode(encoding)) == (TEXT, "")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_big_endian_unicode_is_recognised_by_its_mark(encoding: str):
    assert decoded("\ufeff".encode(f"{encoding}-be") + TEXT.encode(f"{encoding}-be")) == (TEXT, "")


def test_ascii_and_nothing_are_utf8():
    assert decoded(b"plain") == ("plain", "")
    assert decoded(b"") == ("", "")


def test_a_western_text_that_is_not_utf8_is_windows_1252_and_the_remark_says_so():
    text = TEXT + "10 €"
    assert decoded(text.encode("windows-1252")) == (text, "is not UTF-8, and is read as Windows-1252 (Latin-1)")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Паром отправляется в семь часов. " * 9, "windows-1251"),
        ("渡し船は七時に出ます。" * 9, "shift_jis"),
        ("Το πλοίο φεύγει στις επτά. " * 9, "iso8859-7"),
    ],
)
def test_an_encoding_that_nothing_tells_is_not_guessed(text: str, encoding: str):
    with pytest.raises(Undecodable, match="is not UTF-8, and nothing says what its encoding is; convert it first"):
        decoding_of(io.BytesIO(text.encode(encoding)))


def test_a_damaged_utf8_text_keeps_what_is_whole():
    text, remark = decoded(TEXT.encode() + b"\xff and more\xc3")
    assert text == TEXT + "\ufffd and more\ufffd"
    assert remark == "U+FFFD stands for what is not UTF-8 in it (bytes: 2)"


def test_characters_that_are_parted_between_chunks_are_whole(monkeypatch):
    monkeypatch.setattr(decoding, "CHUNK", 7)
    assert decoded(TEXT.encode()) == (TEXT, "")


def test_a_few_nul_characters_do_not_make_a_file_binary():
    text, remark = decoded((TEXT + "a\0b").encode())
    assert (text, remark) == (TEXT + "a\0b", "U+FFFD stands for NUL in it (1 times)")


@pytest.mark.parametrize(
    "content",
    [
        *(bytes(100), b"\x7fELF\x02\x01\x01" + bytes(50) + b"text", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0"),
        *(random.Random(1).randbytes(10_000), b"text " * 1000 + bytes(1000)),
    ],
)
def test_a_binary_file_is_no_text(content: bytes):
    with pytest.raises(Undecodable, match="is a binary file, not a text"):
        decoding_of(io.BytesIO(content))


@pytest.mark.parametrize(
    ("charset", "encoding", "text"),
    [
        *(
            ("windows-1251", "windows-1251", "Паром"),
            ("ISO-8859-1", "windows-1252", "Fähre 5 €"),
            ("latin1", "windows-1252", "“ä”"),
        ),
        *(
            ("shift_jis", "shift_jis", "渡し船"),
            ("GB2312", "gb18030", "渡轮"),
            ("utf-8", "utf-8", "Fähre"),
            ("koi8-r", "koi8-r", "Паром"),
        ),
        *(
            ("us-ascii", "windows-1252", "ä"),
            ("x-unknown", "utf-8", "Fähre"),
            ("zlib", "utf-8", "ä"),
            ("punycode", "utf-8", "ä"),
        ),
    ],
)
def test_a_page_states_its_encoding(charset: str, encoding: str, text: str):
    for tag in (f'<meta charset="{charset}">', f"<META http-equiv='x' content='text/html; charset={charset}' >"):
        page = f"<html><head>{tag}<p>{text}"
        assert decoded(page.encode(encoding), page=True) == (page, "")


def test_a_mark_is_stronger_than_what_a_page_states():
    page = "\ufeff<meta charset=windows-1251>ä"
    assert decoded(page.encode(), page=True) == (page[1:], "")


def test_only_a_page_states_its_encoding():
    assert decoded("<meta charset=windows-1251>ä".encode()) == ("<meta charset=windows-1251>ä", "")
