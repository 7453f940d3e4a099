"""The size of passages, their headings, and where they are cut."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.formats.documents.blocks import Block, Stated
from engram.formats.documents.cutting import LONGEST_HEADING, Passage, is_wrapped, passages, pieces

MOST_WORDS = 400


def cut(*parts, name="notes"):
    return [item for item in passages(parts, name) if isinstance(item, Passage)]


def texts(*parts, name="notes"):
    return [passage.text for passage in cut(*parts, name=name)]


def heading(text, level=1):
    return Block("heading", text, 1, level)


def text(words, place=1):
    return Block("text", words, place)


def sentences(count, seed=1):
    """Sentences of nine words, all different."""
    made = random.Random(seed)
    words = "ferry harbour winter morning ticket island bicycle lighthouse captain letter window bread".split()
    return [f"No {n} {' '.join(made.choice(words) for _ in range(6))} {n}." for n in range(count)]


def test_a_passage_begins_with_the_path_of_its_headings():
    guide = [
        *(heading("Guide"), text("Welcome."), heading("Install", 2), heading("Linux", 3), text("Use apt.")),
        *(heading("macOS", 3), text("Use brew."), heading("Run", 2), text("Start it.")),
    ]
    assert texts(*guide) == [
        "Guide\nWelcome.",
        "Guide > Install > Linux\nUse apt.",
        "Guide > Install > macOS\nUse brew.",
        "Guide > Run\nStart it.",
    ]


def test_headings_without_text_are_kept_where_nothing_is_below_them():
    parts = [heading("Guide"), heading("One", 2), heading("Two", 2), text("Text."), heading("Three", 2)]
    assert texts(*parts) == ["Guide > One", "Guide > Two\nText.", "Guide > Three"]


def test_text_before_any_heading_is_under_the_title_or_the_name_of_the_document():
    assert texts(text("Hello."), heading("A"), text("B.")) == ["notes\nHello.", "A\nB."]
    assert texts(Stated("My diary"), text("Hello.")) == ["My diary\nHello."]


def test_a_title_stands_before_the_headings_unless_it_says_the_same():
    assert texts(Stated("My diary"), heading("May"), text("Rain.")) == ["My diary > May\nRain."]
    assert texts(Stated("My Diary"), heading("My diary!"), text("Rain.")) == ["My diary!\nRain."]
    assert texts(Stated("My Holiday"), heading("Day"), text("Rain.")) == ["My Holiday > Day\nRain."]
    of_site = Stated("May - Diaries - example.org", of_site=True)
    assert texts(of_site, heading("Spring"), text("Rain.")) == ["Spring\nRain."]
    assert texts(of_site, heading("Week 1", 2), text("Rain.")) == ["May - Diaries - example.org > Week 1\nRain."]


def test_a_long_heading_begins_its_passages_shortened_and_is_kept_whole_as_text():
    long = " ".join(f"word{n}" for n in range(100))
    (passage,) = texts(heading(long), text("Text."))
    first, _, rest = passage.partition("\n")
    assert len(first) <= LONGEST_HEADING + 2
    assert first.endswith(" …")
    assert rest == f"{long}\n\nText."


def test_long_text_is_cut_between_sentences_into_passages_of_a_limited_size():
    said = sentences(300)
    found = texts(heading("A"), text(" ".join(said)))
    assert all(passage.startswith("A\n") for passage in found)
    assert all(len(passage.split()) <= MOST_WORDS for passage in found)
    assert min(len(passage.split()) for passage in found[:-1]) > 150
    bodies = [passage.removeprefix("A\n") for passage in found]
    assert " ".join(bodies).split() == " ".join(said).split()
    assert all(body.endswith(".") and body.startswith("No ") for body in bodies)


def test_paragraphs_items_and_rows_stay_whole():
    said = sentences(120)
    paragraphs = [" ".join(said[start : start + 4]) for start in range(0, 120, 4)]
    found = texts(*map(text, paragraphs))
    assert "\n\n".join(passage.removeprefix("notes\n") for passage in found) == "\n\n".join(paragraphs)
    assert 3 < len(found) < 8
    found = texts(*(Block("item", f"- {sentence}", 1) for sentence in said))
    assert [line for passage in found for line in passage.splitlines()[1:]] == [f"- {sentence}" for sentence in said]


def test_each_passage_of_a_table_begins_with_its_header():
    header = "| name | text |\n|---|---|"
    rows = [Block("row", f"| {n} | {sentence} |", 1, frame=header) for n, sentence in enumerate(sentences(120))]
    found = texts(heading("Table"), Block("row", header, 1), *rows)
    assert len(found) > 3
    assert all(passage.startswith(f"Table\n{header}\n| ") for passage in found)
    assert sum(passage.count(" No ") for passage in found) == 120


def test_each_passage_of_code_is_fenced_and_holds_whole_lines():
    code = "\n".join(f"call_number_{n}(first, second)  # {n}" for n in range(200))
    found = texts(heading("Code"), Block("code", code, 1, frame="~~~~py"))
    assert len(found) > 3
    bodies = [passage.removeprefix("Code\n") for passage in found]
    assert all(body.startswith("~~~~py\ncall_") and body.endswith("\n~~~~") for body in bodies)
    lines = "\n".join(body.removeprefix("~~~~py\n").removesuffix("\n~~~~") for body in bodies)
    assert lines.replace("\n~~~~\n\n~~~~py", "") == code


def test_a_small_rest_of_a_section_is_no_passage_of_its_own():
    for count in range(60, 100):
        found = texts(heading("A"), *map(text, sentences(count)))
        assert len(found) == 1 or len(found[-1].split()) >= 45


def test_an_edit_changes_the_passages_near_it_only():
    said = sentences(600)
    before = set(texts(text(" ".join(said))))
    said.insert(100, "A new sentence stands in the first part of the text.")
    after = set(texts(text(" ".join(said))))
    assert len(before) > 20
    assert len(after - before) <= 5


@pytest.mark.parametrize("long", ["x" * 100_000, "word " * 20_000, "漢字" * 20_000, "a\n" * 20_000])
def test_text_without_sentences_is_cut_all_the_same(long: str):
    found = texts(text(long))
    assert all(len(passage) < 2_500 and len(passage.split()) <= MOST_WORDS for passage in found)
    assert "".join("".join(passage.removeprefix("notes\n").split()) for passage in found) == "".join(long.split())


def test_sentences_end_behind_their_signs_and_not_behind_abbreviations():
    said = "Dr. Smith met Mr. Jones at 3.5 p.m. in St. Moritz. They left. “Really?” she asked. 我们去了。很好！"
    ends = ["Dr. Smith met Mr. Jones at 3.5 p.m. in St. Moritz. ", "They left. ", "“Really?” she asked. "]
    assert list(pieces(said, 100)) == [*ends, "我们去了。", "很好！"]


def test_lines_of_a_narrow_page_are_no_sentences():
    wrapped = (
        "The ferry to Porto leaves at seven in the\nmorning, and it is often late in winter,\n"
        "because of the fog over the harbour. It\nis on time in May.\n"
    )
    assert is_wrapped(wrapped.splitlines())
    assert [piece.count("\n") for piece in pieces(wrapped, 100)] == [2, 2]
    log = "started\n2 jobs\na job took a long time to end, 300 seconds\nended\n"
    assert not is_wrapped(log.splitlines())
    assert list(pieces(log, 100)) == log.splitlines(keepends=True)


def test_the_place_of_a_passage_is_that_of_its_first_block():
    found = cut(heading("A"), text("One.", place=3), text("Two.", place=7), heading("B"), text("Three.", place=9))
    assert [(passage.place, passage.last_place) for passage in found] == [(3, 7), (9, 9)]


KINDS = st.sampled_from(["heading", "text", "item", "row", "code"])
WORDS = st.text(alphabet="ab .!?\n|-`>#漢。é", max_size=300)
BLOCKS = st.builds(
    lambda kind, words, times, level: Block(kind, words * times, 1, level=level, frame="```" if kind == "code" else ""),
    *(KINDS, WORDS, st.integers(1, 40), st.integers(1, 6)),
)


@given(st.lists(BLOCKS, max_size=12))
def test_passages_hold_all_text_of_any_blocks_within_their_size(parts):
    found = cut(*parts)
    assert all(len(passage.text.split()) - len(" > ".join(passage.headings).split()) <= MOST_WORDS for passage in found)
    kept = "".join(passage.text for passage in found)
    for sign in "ab漢é":
        assert kept.count(sign) >= sum(part.text.count(sign) for part in parts if part.kind != "heading")
