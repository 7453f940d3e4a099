"""Thoughts of a model in tags are no part of its reply."""

from __future__ import annotations

import time

import pytest

from engram.text.thoughts import without_thoughts

THOUGHT = "The user may keep bees. Let me look.\n\n```python\nbees = 3\n```\n"
ANSWER = "You keep three hives, I believe."
PAIRS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<Thinking lang='en'>", "</Thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<thought>", "</thought>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
]


@pytest.mark.parametrize(("opening", "closing"), PAIRS)
@pytest.mark.parametrize("gap", ["", "\n", " "])
def test_thoughts_in_tags_are_removed(opening: str, closing: str, gap: str) -> None:
    thought = f"{opening}{gap}{THOUGHT}{closing}"
    assert without_thoughts(f"{thought}{gap}{gap}{ANSWER}") == ANSWER
    # The template opened the thought.
    assert without_thoughts(f"{THOUGHT}{closing}\n\n{ANSWER}") == ANSWER
    assert without_thoughts(f"Maybe bees.{closing}{ANSWER}") == ANSWER
    # The reply was broken off.
    assert without_thoughts(f"\n{opening}{gap}{THOUGHT}") == ""
    assert without_thoughts(f"{thought}\n{ANSWER}\n{opening}\nMore") == ANSWER
    # Twice: one after the other, around a part of the answer, and nested.
    assert without_thoughts(f"{thought}{gap}{thought}{gap}{ANSWER}") == ANSWER
    assert without_thoughts(f"{thought}First.\n{thought}\n{ANSWER}") == f"First.\n\n{ANSWER}"
    assert without_thoughts(f"{opening}\n{thought}\n{closing}\n{ANSWER}") == ANSWER


@pytest.mark.parametrize(
    "reply",
    [
        "The <think> tag opens a thought and </think> closes it.",
        "<think> opens a thought and </think> closes it.",
        "Write `</think>` at the end.\n\nThen answer.",
        "Use this template:\n\n```xml\n<think>\nsteps\n</think>\n```\n\nand parse it.",
        "Use this template:\n\n    <reasoning>\n    </reasoning>\n",
        "Its logs show '<thinking>', which is not closed.",
        "The end mark is </reasoning>, then comes the answer.",
        "Tags that you may see:\n<think>\n<answer>\n",
        "I think, therefore I am.  ",
        "<thinker>Rodin</thinker>",
    ],
)
def test_a_reply_about_the_tags_keeps_its_words(reply: str) -> None:
    assert without_thoughts(reply) == reply


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_tags_that_follow_each_other_are_one_tag(count: int) -> None:
    opening, closing = "<think>" * count, "</think>" * count
    assert without_thoughts(f"{opening}deep in it{closing}The bridge opens at nine.") == "The bridge opens at nine."
    for reply in (f"`{opening}` is written before a thought.", f"A model writes {opening} and then thinks."):
        assert without_thoughts(reply) == reply


def test_a_mention_of_the_closing_tag_inside_a_thought_does_not_show_the_rest_of_it() -> None:
    reply = "<think>\nI must write `</think>` in code.\nSo be it.\n</think>\n\nWrite `</think>`."
    assert without_thoughts(reply) == "Write `</think>`."


@pytest.mark.parametrize(
    "unit", ["<think>", "</think>", "<think>a</think>", "a <think> ", "`<think>", "\n```\n<think>", "<think ", "<think"]
)
def test_the_time_grows_with_the_length_only(unit: str) -> None:
    def best(length: int) -> float:
        text, times = "think " + unit * (length // len(unit)), []
        for _ in range(3):
            begun = time.perf_counter()
            without_thoughts(text)
            times.append(time.perf_counter() - begun)
        return min(times)

    assert best(800_000) < 40 * best(100_000)
