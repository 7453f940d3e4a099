from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.text.passages import MOST, passages, size

SENTENCE = "The ferry to the island leaves at seven from the old harbour behind the fish market. "


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in passages(text)]


def test_a_short_text_is_one_passage() -> None:
    assert passages("My dog is called Biscuit. He is four.") == [(0, 37)]
    assert passages("") == [(0, 0)]


def test_a_long_text_is_parted_between_sentences() -> None:
    found = parts(SENTENCE * 20)
    assert len(found) > 3
    assert all(part.endswith("market. ") for part in found)
    assert all(size(part) <= MOST for part in found)


@pytest.mark.parametrize(
    "sentence",
    [
        "我们昨天去了海边，天气非常好，孩子们玩得很开心。",
        "昨日は友達と海に行きました。",
        "เราไปทะเลเมื่อวานนี้ อากาศดีมาก\n",
    ],
)
def test_scripts_without_spaces_are_parted(sentence: str) -> None:
    found = parts(sentence * 20)
    assert len(found) > 1
    assert all(part.endswith(sentence[-1]) for part in found)


def test_list_items_and_table_rows_stay_whole() -> None:
    items = [f"- Item {i}: two cups of flour. Then some salt, a spoon of oil and more water\n" for i in range(20)]
    rows = [f"| row {i} | a cell with several words in it | another cell with more words |\n" for i in range(20)]
    for lines in (items, rows):
        assert all(part.count("\n") >= 1 and part.endswith("\n") for part in parts("".join(lines)))


def test_a_block_of_code_stays_whole() -> None:
    code = "```python\n" + "value = read(path)  # a comment. And more.\n" * 8 + "```\n"
    assert any(code in part for part in parts(SENTENCE * 6 + "\n" + code + SENTENCE * 6))


def test_a_unit_without_end_is_cut() -> None:
    assert max(map(len, parts("word " * 5_000))) < 8 * MOST
    assert max(map(len, parts("x" * 20_000))) < 8 * MOST
    assert max(map(len, parts("海" * 20_000))) < 4 * MOST


def test_an_open_fence_reaches_to_the_end() -> None:
    text = SENTENCE * 8 + "\n```\n" + "some output of a program\n" * 400
    assert "".join(parts(text)) == text


@given(st.text(alphabet=st.sampled_from("ab .!?\n`~。海\r\u2028x-"), max_size=2_000))
def test_passages_cover_the_text_in_order(text: str) -> None:
    spans = passages(text)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert all(start < end for start, end in spans) or text == ""
