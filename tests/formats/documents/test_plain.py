"""Plain text: paragraphs, lists and underlined headings, of any length."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.formats.documents import plain
from engram.formats.documents.blocks import Block

from .conftest import blocks, plain_parts


def read(text):
    return blocks(plain_parts(text))


def test_paragraphs_are_parted_by_empty_lines_and_stay_as_they_are():
    assert read("\n\n  One\n  two \n \t\nthree\n\n\n\n") == [("text", "  One\n  two"), ("text", "three")]


def test_each_item_of_a_list_is_a_block():
    assert read("To buy:\n- milk\n  (fresh)\n* bread\n2) eggs\n\n2026 was fine.\n-5 degrees") == [
        ("text", "To buy:"),
        ("item", "- milk\n  (fresh)"),
        ("item", "* bread"),
        ("item", "2) eggs"),
        ("text", "2026 was fine.\n-5 degrees"),
    ]


def test_underlined_lines_are_headings():
    text = "====\nBook\n====\n\nChapter\n=======\nText.\n\nPart\n----\n\nPiece\n~~~~~\n\nBit\n^^^\n"
    assert read(text) == [
        ("heading 1", "Book"),
        ("heading 1", "Chapter"),
        ("text", "Text."),
        ("heading 2", "Part"),
        ("heading 3", "Piece"),
        ("heading 4", "Bit"),
    ]


@pytest.mark.parametrize(
    "text", ["one\ntwo\n---\n", "A long line of text that is not a heading\n---\n", f"{'x ' * 80}\n{'=' * 160}\n"]
)
def test_other_lines_are_no_headings(text: str):
    assert {kind for kind, _ in read(text)} == {"text"}


def test_rules_between_paragraphs_are_no_text():
    assert read("one\n\n-----\n\ntwo\n\n* * *\n\n=====\n") == [("text", "one"), ("text", "two"), ("item", "* * *")]


def test_blocks_have_the_lines_of_the_file():
    text = "\n\none\ntwo\n\n\nHead\n====\nthree\n- four\n\nfive"
    assert [(part.text, part.place) for part in plain_parts(text)] == [
        *(("one\ntwo", 3), ("Head", 7), ("three", 9), ("- four", 10), ("five", 12)),
    ]


def test_a_paragraph_without_end_is_parted_where_a_sentence_ends(monkeypatch):
    monkeypatch.setattr(plain, "LONGEST", 1_000)
    monkeypatch.setattr(plain, "AT_ONCE", 400)
    text = "The ferry leaves at nine. " * 200
    found = [part.text for part in plain_parts(text)]
    assert 5 <= len(found) < 30
    assert all(part.endswith("nine.") for part in found)
    assert " ".join(found) == text.strip()


@pytest.mark.parametrize("long", ["x" * 50_000, "word " * 10_000, " " * 50_000 + "end", "line\n" * 10_000])
def test_any_long_line_is_read_whole(long: str, monkeypatch):
    monkeypatch.setattr(plain, "LONGEST", 1_000)
    monkeypatch.setattr(plain, "AT_ONCE", 400)
    assert "".join("".join(part.text.split()) for part in plain_parts(long)) == "".join(long.split())


@given(st.text(alphabet="ab .\n\t-*=~1)\0é", max_size=300))
def test_any_text_keeps_its_words(text: str):
    found = "".join(part.text for part in plain_parts(text) if isinstance(part, Block))
    assert [found.count(sign) for sign in "abé\ufffd"] == [text.count(sign) for sign in "abé\0"]


def test_lines_end_in_any_way():
    stream = io.TextIOWrapper(io.BytesIO(b"one\r\ntwo\r\rthree\r\n\r\nfour"), "utf-8")
    assert blocks(plain.blocks(stream)) == [("text", "one\ntwo"), ("text", "three"), ("text", "four")]
