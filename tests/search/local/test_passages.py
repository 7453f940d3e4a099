"""What an index holds of passages: the tokens of a text stay those of the whole, in order."""

from __future__ import annotations

import numpy as np
import pytest

from engram.search.local.entries import analysed, analysed_passages
from engram.search.local.forward import ForwardIndex
from engram.store.base import Record
from engram.text.passages import passages
from tests.search.conformance import ANALYZER

TEXTS = {
    "sentences": "The plumber comes on Tuesday, I think. Did you call him back? " * 20,
    "question": "The plumber comes on Tuesday, I think. " * 20 + "Did you call him back?",
    "list": "Shopping:\n" + "".join(f"- item number {i} of the list, with a few more words\n" for i in range(40)),
    "code": "Look:\n```\n" + "".join(f"value_{i} = compute({i}, 3.5)\n" for i in range(60)) + "```\nDone in 2024.",
    "one long word": "abcdefghij" * 200,
    "numbers": "1.25" + ",500.75" * 300,
    "Chinese sentences": "我昨天去了医院。医生说一切都好！你什么时候回来？" * 20,
    "Chinese without signs": "我昨天去了医院医生说一切都好你什么时候回来" * 20,
    "Thai": "ฉันไปตลาดเมื่อวานนี้และซื้อผลไม้มากมาย" * 30,
    "accents": "Müller trägt die Kisten über die Straße, o\u0308fter als nötig. " * 30,
    "white space": "a word" + " \n" * 2_000 + "another word",
}


@pytest.mark.parametrize("name", TEXTS)
def test_passages_together_have_the_tokens_and_marks_of_the_text(name: str) -> None:
    text = TEXTS[name]
    analysis, counts = analysed_passages(text, ANALYZER)
    whole = ANALYZER.analyse(text)
    assert (sorted(analysis.terms), sorted(analysis.ids)) == (sorted(whole.terms), sorted(whole.ids))
    assert analysis.marks == whole.marks
    if not whole.forms:
        # Forms of exact things follow the words of their passage.
        assert (analysis.terms, analysis.ids) == (whole.terms, whole.ids)
    assert len(counts) == len(passages(text)) > 1
    assert min(counts) >= 0
    assert sum(counts) == len(analysis.ids)


def test_passage_has_the_tokens_of_its_part_of_the_text() -> None:
    text = TEXTS["list"]
    _, counts = analysed_passages(text, ANALYZER)
    assert list(counts) == [len(ANALYZER.analyse(text[start:end]).ids) for start, end in passages(text)]


def test_text_of_one_passage_is_analysed_once() -> None:
    text = "A short sentence."
    assert analysed_passages(text, ANALYZER) == (ANALYZER.analyse(text), (3,))
    assert analysed_passages("...", ANALYZER)[1] == (0,)


def test_lengths_of_passages_are_read_as_they_were_written() -> None:
    texts = [*TEXTS.values(), "One sentence.", "..."]
    records = [Record(i, 1, 1, 0, 0, "turn", i, 0, text) for i, text in enumerate(texts, 1)]
    forward = ForwardIndex(1, ANALYZER.token_type)
    forward.extend(analysed(records[:5], ANALYZER))
    forward.extend(analysed(records[5:], ANALYZER))
    turns = forward.take(np.array([2, 9, len(texts), 4]))
    expected = [analysed_passages(texts[row - 1], ANALYZER)[1] for row in turns.rows.tolist()]
    assert turns.passages.tolist() == [len(counts) for counts in expected]
    assert turns.passage_lengths.tolist() == [count for counts in expected for count in counts]
