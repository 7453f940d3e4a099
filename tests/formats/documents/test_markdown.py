"""Which parts of Markdown are blocks, and front matter."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.formats.documents import markdown
from engram.formats.documents.blocks import Block, Stated
from engram.formats.documents.markdown import chunks, front_matter, plain
from engram.formats.items import Problem

from .conftest import blocks, markdown_parts


def read(text):
    return blocks(markdown_parts(text))


def test_headings_of_both_forms_are_read_as_plain_text():
    assert read(
        "# One *two* [three](http://x.org) `four` ##\n\nFive\n----\n\n### <a id='x'></a>Six ![seven](y.png) {#six}\n"
    ) == [
        ("heading 1", "One two three four"),
        ("heading 2", "Five"),
        ("heading 3", "Six "),
    ]


def test_what_only_looks_like_a_heading_is_none():
    code = "````md\n# one\n```\n# two\n```\n````"
    parts = f"#tag\n\n{code}\n\n    # three\n\n> # four\n\n<!-- \n# five\n-->\n\n\\# six\n"
    assert read(parts) == [
        ("text", "#tag"),
        ("code", "# one\n```\n# two\n```"),
        ("code", "# three"),
        ("text", "> # four"),
        ("text", "\\# six"),
    ]


def test_paragraphs_items_and_rows_stay_as_they_are_in_the_source():
    text = (
        "A *long*\nline.\n\n- one\n  more\n- two\n  1. nested\n\n     ```sh\n     # run\n     ```\n- three\n\n***\n"
        "| a | b |\n|:--|--:|\n| 1 | `x` |\n| 2 | y |\n\n> quoted\n>\n> more\n"
    )
    assert read(text) == [
        ("text", "A *long*\nline."),
        ("item", "- one\n  more"),
        ("item", "- two"),
        ("item", "  1. nested\n\n     ```sh\n     # run\n     ```"),
        ("item", "- three"),
        ("row", "| a | b |\n|:--|--:|"),
        ("row", "| 1 | `x` |"),
        ("row", "| 2 | y |"),
        ("text", "> quoted\n>"),
        ("text", "> more"),
    ]


def test_code_keeps_the_line_that_opens_it():
    opening = [
        part.frame for part in markdown_parts("~~~~ python\nx\n~~~~\n\n    y ``` z\n") if isinstance(part, Block)
    ]
    assert opening == ["~~~~python", "````"]


def test_html_inside_is_read_as_a_page():
    text = (
        "<h1 align=center>Engram</h1>\n<p>A <b>layer</b></p>\n<script>alert(1)</script>\n\n<!-- note to the model -->\n"
    )
    assert read(text) == [("heading 1", "Engram"), ("text", "A layer")]


def test_blocks_have_the_lines_of_the_file():
    text = "---\ntitle: x\n---\n# A\n\ntext\n\n- one\n- two\n\n<p>x\n<h2>B</h2>\n"
    assert [part.place for part in markdown_parts(text) if isinstance(part, Block)] == [4, 6, 8, 9, 11, 12]


def test_nul_is_replaced():
    assert read("a\0b") == [("text", "a\ufffdb")]


@pytest.mark.parametrize(
    ("text", "title", "date"),
    [
        ("---\ntitle: My guide\ndate: 2026-03-02\n---\nx", "My guide", "2026-03-02"),
        (
            "---\nTitle: 'A: b' # c\ntags:\n  - one\n  - two\n\n# comment\ndate: \"2026-03-02T10:00:00Z\"\n...\nx",
            "A: b",
            "2026-03-02T10:00:00Z",
        ),
        ("---\r\ntitle: x  # why\r\n---\r\ny", "x", ""),
        ("---\ndescription: |\n  title: no\n---\n", "", ""),
    ],
)
def test_front_matter_states_title_and_date(text: str, title: str, date: str):
    stated, start = front_matter(text)
    assert stated == Stated(title, date)
    assert text[start:].strip() in ("x", "y", "")


@pytest.mark.parametrize(
    "text",
    [
        "---\ntitle: x\n",
        "---\nJust a line.\n---\n",
        "\n---\ntitle: x\n---\n",
        "--- \nA sentence: with a sign, and more\nof it\n---\n",
        "title: x\n",
    ],
)
def test_lines_that_are_no_front_matter_are_text(text: str):
    assert front_matter(text) == (Stated(), 0)
    assert "".join(re.findall(r"\w", "".join(text for _, text in read(text)))) == "".join(re.findall(r"\w", text))


def test_lines_between_two_rules_are_no_front_matter_without_a_key():
    assert read("---\n\n# A\n\n- one\n\n---\n---\n") == [("heading 1", "A"), ("item", "- one")]


def test_the_name_of_a_language_is_cut():
    assert [part.frame for part in markdown_parts(f"```{'x' * 500}\na\n```\n") if isinstance(part, Block)] == [
        "```" + "x" * 100
    ]


def test_a_long_document_is_read_in_chunks_that_part_no_code(monkeypatch):
    monkeypatch.setattr(markdown, "CHUNK", 200)
    text = "".join(
        f"# H{n}\n\ntext {n}\n\n```\ncode\n\n# no heading {n}\n\n```\n\n- item\n\n  more {n}\n\n" for n in range(50)
    )
    parts = list(chunks(text))
    assert "".join(parts) == text
    assert 10 < len(parts) < 60
    assert read(text) == [
        block
        for n in range(50)
        for block in [
            ("heading 1", f"H{n}"),
            ("text", f"text {n}"),
            ("code", f"code\n\n# no heading {n}"),
            ("item", f"- item\n\n  more {n}"),
        ]
    ]


def test_lines_are_counted_over_chunks(monkeypatch):
    monkeypatch.setattr(markdown, "CHUNK", 100)
    text = "".join(f"word {n}\n\n" for n in range(100))
    assert [part.place for part in markdown_parts(text) if isinstance(part, Block)] == list(range(1, 200, 2))


def test_a_chunk_ends_even_in_code_that_does_not(monkeypatch):
    monkeypatch.setattr(markdown, "LONGEST_CHUNK", 1_000)
    assert max(map(len, chunks("```\n" + "code\n\n" * 1_000))) < 1_010


def test_a_comment_that_does_not_end_is_a_problem():
    (problem,) = (part for part in markdown_parts("# A\n\ntext\n\n<!-- hidden\n\nmore\n") if isinstance(part, Problem))
    assert (
        str(problem) == "a file:5: the comment <!--, which begins here, does not end, so that nothing after it was read"
    )


@pytest.mark.parametrize("heading", ["a" * 2_000, "*" * 2_000, "[" * 999, "<" * 999, "`" * 999])
def test_headings_without_sense_are_kept(heading: str):
    assert heading[:100] in plain(heading)


@given(st.text(alphabet="ab#-*>`~|<!\n \t1.)=[]{}:&\0é", max_size=400))
def test_any_text_is_read_and_words_are_kept(text: str):
    lines = [part for part in markdown_parts(f"x\n\n{text}") if isinstance(part, Block)]
    assert lines[0].text[0] == "x"
    assert [part.place for part in lines] == sorted(part.place for part in lines)
