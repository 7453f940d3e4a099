"""Hostile texts do not stall the reading of messages, nor an operator's patterns."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from engram.errors import EngramError
from engram.serve.frontends.messages import as_said
from engram.serve.frontends.reading import read_parts
from engram.serve.frontends.strip import VARIABLE, Strip, patterns_from_environment
from engram.serve.frontends.table import FRONTENDS
from engram.serve.frontends.tasks import task_of
from engram.serve.wire.base import ChatMessage, MessagePart, Request

SIZE = 100_000
MARKS = [
    mark
    for frontend in FRONTENDS
    for mark in (
        *(f"<{block.tag}>{block.holds}" for block in frontend.blocks),
        *(f"<{tag}>\n" for tag in (*frontend.wrappers, frontend.command_arguments)),
        *(record.opening + "".join(record.until[-1:]) for record in frontend.records),
        *(record.opening + "".join(record.holds + record.until[-1:]) for record in frontend.records),
        *frontend.lines,
        *(tail.opening for tail in frontend.tails),
        *(begin for begin, _ in frontend.enclosed),
        *(template.opening + "".join(template.label[:1]) for template in frontend.templates),
        *(task.opening for task in frontend.tasks),
    )
]
TEXTS = [
    *(f"{mark}\n" for mark in MARKS),
    *(f"{mark} " for mark in MARKS),
    *(f"<{tag}>\n</{tag}> x" for frontend in FRONTENDS for tag in frontend.wrappers),
    "[TASK RESUMPTION]<environment_details></environment_details>\n",
    "[read_file for 'a'] Result:\n<feedback>\nb\n</feedback>\n",
    "[read_file for ",
    "[read_file for 'a\n",
    "[ask_followup_question] Result:\n<answer>\nb\n</answer>\n",
    "<environment_details>[read_file for '</environment_details>\n",
    "<environment_info>\n</environment_info>\n<workspace_info>\n",
    "```\n<task>\n",
    "<task " + "a" * 50,
    "</task>  ",
    "Write a title for this conversation. User: Assistant: ",
    " \n",
    "\t",
]


def message(text: str) -> ChatMessage:
    return ChatMessage("user", (MessagePart("user", text),), " ".join(text.split()), text, None, None, (text,))


def seconds(work: Callable[[], object]) -> float:
    """Return the shortest of two measurements."""
    times = []
    for _ in range(2):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def filled(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


@pytest.mark.parametrize("unit", TEXTS, ids=range(len(TEXTS)))
def test_the_time_of_reading_grows_with_the_length_only(unit: str) -> None:
    def cost(size: int) -> float:
        said = message(filled(unit, size))
        asked = Request("", (said,), None, False, None, None)
        return seconds(lambda: (read_parts(said.pieces), as_said([said], Strip()), task_of(asked)))

    assert cost(8 * SIZE) < 40 * cost(SIZE) + 0.05


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "(?s)<ctx>.*?</ctx>", "a", "(.*a){12}", r"\s+$"])
@pytest.mark.parametrize("unit", ["a", "<ctx>", " ", "ä<ctx></ctx>"])
def test_no_pattern_of_an_operator_stalls(pattern: str, unit: str) -> None:
    strip = Strip([pattern])
    assert seconds(lambda: strip(filled(unit, 8 * SIZE))) < 40 * seconds(lambda: strip(filled(unit, SIZE))) + 0.2


@pytest.mark.parametrize("pattern", ["(", "[a", r"(a)\1", "(?=b)", "*"])
def test_a_pattern_that_re2_cannot_read_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(EngramError) as error:
        Strip(["fine", pattern])
    assert repr(pattern) in str(error.value)
    assert "--strip" in str(error.value)


def test_patterns_remove_their_matches_only() -> None:
    strip = Strip([r"(?m)^ctx:.*$", "(?s)<doc>.*?</doc>", "q*"])
    assert strip("ctx: 7\nMy boat <doc>a\nb</doc>is Kittiwake. ❤ ctx: 8") == ("My boat is Kittiwake. ❤ ctx: 8", [6, 14])
    assert strip("  nothing here ") == ("  nothing here ", [])


def test_the_environment_holds_a_pattern_on_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "a b\n\n(?i)c\n")
    assert patterns_from_environment() == ("a b", "(?i)c")
