"""`engram arcs`, `engram arc` and `engram working --at`."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.memory import Memory

TURNS = (
    "We took the boat to Valdemora with Irina.",
    "In Valdemora the bakery is shut.\x1b[31m",
    "Next year we go to Valdemora again.",
)


@pytest.fixture
def told(path: Path) -> None:
    """A trip over three days, shortly before midnight in UTC."""
    with Memory(path) as memory:
        for day, text in enumerate(TURNS, 1):
            at = datetime(2026, 3, day, 23, 30, tzinfo=UTC)
            role = "assistant" if day == 2 else "user"
            memory.remember(text, namespace="ana", session=f"s{day}", role=role, at=at)


def test_arcs_are_listed(run, told):
    ran = run("arcs", "-n", "ana")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "- Valdemora: 2026-03-01 to 2026-03-03, turns: 3, sessions: 3 (id valdemora)\n"
    assert "2026-03-02 to 2026-03-04" in run("arcs", "-n", "ana", "--timezone", "Europe/Oslo").out
    body = json.loads(run("arcs", "-n", "ana", "--json").out)
    assert [arc["id"] for arc in body["arcs"]] == ["valdemora"]
    assert body["unread"] == 0


def test_one_arc_is_printed_with_who_said_what(run, told):
    ran = run("arc", "Valdemora", "-n", "ana")
    assert (ran.code, ran.err) == (0, "")
    assert "- [2026-03-01] user: We took the boat to Valdemora with Irina. (id " in ran.out
    assert "- [2026-03-02] assistant: In Valdemora the bakery is shut." in ran.out
    assert "\x1b" not in ran.out
    body = json.loads(run("arc", "valdemora", "-n", "ana", "--at", "2026-03-02", "--json").out)
    assert [quote["text"] for quote in body["quotes"]] == [TURNS[0]]
    assert body["quotes"][0]["span"] == [0, len(TURNS[0])]


def test_an_arc_that_is_not_there_is_an_error(run, told):
    for id in ("nobody", "", "\\", "a/b"):
        ran = run("arc", id, "-n", "ana")
        assert ran.code == 3
        assert "no arc has the id" in ran.err
        assert "Traceback" not in ran.err
    assert run("arcs", "-n", "ana", "--limit", "0").code == 2


def test_nothing_comes_back_in_an_empty_namespace(run, told):
    ran = run("arcs", "-n", "ben")
    assert (ran.code, ran.out) == (0, "")
    assert "no person, place or thing comes back" in ran.err


def test_a_working_memory_is_as_it_was_at_a_time(run, told):
    out = run("working", "How is Valdemora?", "-n", "ana", "--at", "2026-03-02").out
    assert TURNS[0] in out
    assert "bakery" not in out
    assert "bakery" in run("working", "How is Valdemora?", "-n", "ana").out
