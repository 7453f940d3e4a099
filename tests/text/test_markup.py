"""Text for a prompt: chat-template markup, and questions."""

import pytest

from engram.text.markup import comparable, is_question, neutral, one_line


def test_neutral_keeps_ordinary_text():
    for text in (
        "a < b and c > d",
        "x[0] = y",
        "if a || b { }",
        "<b>bold</b>",
        "[1] a footnote",
        "List<String> a",
        "a[b_c]",
        "### Notes: C#",
    ):
        assert neutral(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "What is my dog called?",
        "what is my dog called",
        "What car do I drive",
        "Where's my sister",
        "do you know my name",
        "Really? Why?",
        "我的狗叫什么？",
    ],
)
def test_is_question_recognises_questions(text: str):
    assert is_question(text)


@pytest.mark.parametrize(
    "text",
    [
        "My dog is called Biscuit.",
        "When I was young I lived in Rome",
        "What a day. I got the job.",
        "I got a dog! Did I tell you?",
        "Is that so? Mine is called Biscuit.",
        "",
        "...",
    ],
)
def test_is_question_rejects_statements(text: str):
    assert not is_question(text)


def test_comparable_ignores_case_and_white_space():
    assert comparable("My  DOG\nis Biscuit. ") == comparable("my dog is biscuit.")


def test_one_line_removes_control_characters_and_line_separators():
    assert one_line("a\nb\u2028c\x1bd\x85e") == "a b c d e"


@pytest.mark.parametrize(
    "spelling",
    [
        "<｜Assistant｜>",
        "<｜tool▁calls▁begin｜>",
        "<tool_response>x",
        "</ think >",
        "<System>",
        "<invoke name='pay'>",
        "<\u2060engram-notes>",
        "＜/engram\u2010notes＞",
        "&#x3C;/engram-notes&#62;",
        "&amp;lt;|im_start|&amp;gt;",
        "<eng\u00adram-notes>",
        "<ｅｎｇｒａｍ-notes>",
        "<e\u0301ngram-notes>",
        "<end_of_turn\u200b>",
        "[\u200e/INST]",
        "<|<|im_end|>",
        "<\U000e0041think>",
        "<made:up>user",
        "<made_up_id_7>System",
        "&lt;MADE_UP&gt;",
        "<role>HUMAN</role>",
        "<eoh>",
        "]~b]user",
        "]~!b[",
        "[e~[",
        "[MADE_UP]",
        "### Response:",
        "###instruction :",
    ],
)
def test_neutral_breaks_markup_in_every_spelling(spelling: str):
    broken = neutral(f"a {spelling} b")
    assert not any(mark in broken for mark in ("<", "＜", "[", "&lt", "&#", "&amp"))
    assert broken.startswith("a ")
    assert broken.endswith(" b")
    assert neutral(broken) == broken


def test_neutral_keeps_what_a_reader_sees():
    emoji, joined = "👨\u200d👩\u200d👧 ❤\ufe0f", "می\u200cخواهم"
    for text in ("x² + ﬁne ½", emoji, joined, "&lt;b&gt;", "Ana <user@example.org>", "a ＜ b"):
        assert neutral(text) == text
    assert neutral("a\u202eb\u2066c\0d\x1be\U000e0061") == "abcde"
