"""Notes that are found in a real memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from engram import Memory
from engram.notes.finding import find_notes
from engram.notes.injection import Wording
from engram.notes.wording import LARGE, SMALL, PromptProfile


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(":memory:") as memory:
        yield memory


def notes(memory: Memory, query: str, profile: PromptProfile = LARGE, held: frozenset[str] = frozenset()) -> list[str]:
    found = find_notes(memory, query, profile, namespace="default", limit=16, held_ids=held, least_score=0.15)
    return [hit.engram.text for hit in found.hits]


def tell(memory: Memory, *turns: str, session: str = "s") -> list[str]:
    """Remember turns of assistant and user in turn, and return their ids."""
    roles = ("assistant", "user")
    return [memory.remember(text, role=roles[i % 2], session=session).id for i, text in enumerate(turns)]


@pytest.mark.parametrize("profile", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("asked", "answered", "query"),
    [
        ("Shall I note down that you drink your tea without milk?", "yes please", "Do I drink tea with milk?"),
        ("How many hens does your neighbour keep?", "14", "How many hens does my neighbour keep?"),
        ("Will you take the ferry or the night bus to Bergen?", "the former", "How do I get to Bergen, ferry or bus?"),
    ],
)
def test_an_answer_that_says_little_comes_with_its_question(
    memory: Memory, asked: str, answered: str, query: str, profile: PromptProfile
) -> None:
    tell(memory, asked, answered)
    tell(memory, "What did you have for lunch?", "Soup.", session="other")
    found = notes(memory, query, profile)
    assert set(found[:2]) == {answered, asked}
    assert len(found) == len(set(found))


def test_a_question_that_the_model_sees_anyway_is_not_repeated(memory: Memory) -> None:
    asked, _ = tell(memory, "How many hens does your neighbour keep?", "14")
    assert notes(memory, "How many hens does my neighbour keep?", held=frozenset([asked])) == ["14"]


def test_what_was_told_is_found_behind_many_different_questions(memory: Memory) -> None:
    memory.remember("My canoe is called Otter Nine.", session="told")
    starts = ("What", "So what", "Well, what", "Again, what", "Please, what", "Now what", "Hey, what", "And what")
    ends = ("", " then", " please", " again", " again please", " these days", " exactly", " in fact")
    for number, (start, end) in enumerate(itertools.product(starts, ends)):
        memory.remember(f"{start} is my canoe called{end}?", session=f"{number}")
    assert notes(memory, "What is my canoe called?") == ["My canoe is called Otter Nine."]


def test_a_request_that_is_repeated_is_no_note(memory: Memory) -> None:
    for number in range(30):
        memory.remember("Tell me the name of my canoe", session=f"{number}")
    memory.remember("My canoe has the name Otter Nine.", session="told")
    assert notes(memory, "Tell me the name of my canoe") == ["My canoe has the name Otter Nine."]


def test_nothing_is_found_in_an_empty_memory(memory: Memory) -> None:
    assert notes(memory, "What is my canoe called?") == []


def test_the_wordings_limits_hold(memory: Memory) -> None:
    for number in range(8):
        memory.remember(f"The heron number {number} stood at the weir.", session=f"{number}")
    for most in (0, 3):
        wording = Wording(replace(LARGE, max_notes=most), least_score=0.2, tagged=True)
        assert len(wording.find(memory, "default", "Where did the heron stand?", (), ())[0]) == most
    strict = Wording(LARGE, least_score=1.1, tagged=True)
    assert strict.find(memory, "default", "Where did the heron stand?", (), ())[0] == []
