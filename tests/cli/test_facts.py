"""`engram facts`, `engram profile`, `engram working` and `engram reflect`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.memory import Memory
from engram.reflection.knowledge import AT_ONCE

ORDER = "From now on always give me prices including tax."
OLD = "My phone number is 0171 220 4415."
NEW = "My number is 0160 99 7754 from today, the old phone drowned."
TRIP = "We are flying to Bergen on the 14th to see the fjords."


@pytest.fixture
def told(path: Path) -> None:
    """What a user has told over some months, shortly before midnight in UTC."""
    with Memory(path) as memory:
        for month, text in ((1, ORDER), (1, OLD), (4, NEW), (5, TRIP)):
            memory.remember(text, namespace="ana", session=text[:5], at=datetime(2026, month, 5, 23, 30, tzinfo=UTC))
        memory.remember("My phone number is 0151 22.", namespace="ben")
        memory.flush()


def test_a_profile_is_printed_in_dated_quotes(run, told):
    ran = run("profile", "-n", "ana")
    assert (ran.code, ran.err) == (0, "")
    assert f"- [2026-01-05] {ORDER}\n" in ran.out
    assert f"- [2026-04-05] {NEW}\n" in ran.out
    assert OLD not in ran.out
    assert "0151" not in ran.out
    assert f"- [2026-04-06] {NEW}\n" in run("profile", "-n", "ana", "--timezone", "Europe/Oslo").out
    past = run("profile", "-n", "ana", "--at", "2026-02-01").out
    assert OLD in past
    assert NEW not in past


def test_a_profile_as_json(run, told):
    value = run("profile", "-n", "ana", "--json").json
    assert set(value) == {"text", "standing", "who", "now", "unread"}
    (order,) = value["standing"]
    assert (order["text"], order["kind"], order["since"]) == (ORDER, "order", "2026-01-05T23:30:00+00:00")
    (phone,) = (fact for fact in value["who"] if fact["slot"] == "phone")
    assert phone["text"] == NEW
    assert [older["text"] for older in phone["history"]] == [OLD]
    assert value["text"] == run("profile", "-n", "ana").out.rstrip("\n")
    assert value["unread"] == 0
    small = run("profile", "-n", "ana", "--budget", "40", "--json").json
    assert len(small["text"]) < len(value["text"])


def test_a_working_memory_is_printed(run, told, path: Path):
    ran = run("working", "What does the ticket to Bergen cost?", "-n", "ana")
    assert (ran.code, ran.err) == (0, "")
    assert ORDER in ran.out
    assert TRIP in ran.out
    assert "0151" not in ran.out
    later = run("working", "What does the ticket to Bergen cost?", "-n", "ana", "--timezone", "Europe/Oslo").out
    assert f"- [2026-01-06] {ORDER}" in later
    assert "[2026-05-06]" in later
    assert "-05]" not in later
    value = run("working", "What does the ticket to Bergen cost?", "-n", "ana", "--json").json
    assert set(value) == {"text", "tokens", "parts", "unread"}
    assert value["text"] == ran.out.rstrip("\n")
    assert [part["name"] for part in value["parts"]] == ["standing", "profile", "arcs", "recalled"]
    with Memory(path) as memory:
        ids = {engram.id for engram in memory.engrams(namespace="ana")}
    assert all(set(part["engrams"]) <= ids and part["engrams"] for part in value["parts"])


def test_a_working_memory_of_an_agent_begins_with_its_state(run, told):
    run("state", "set", "plan", '{"city": "Bergen", "step": "\\u001b[2J"}', "-n", "ana", "--agent", "planner")
    ran = run("working", "What does the ticket cost?", "-n", "ana", "--agent", "planner")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith('The state of the agent "planner"')
    assert '"plan" (version 1): {"city":"Bergen"' in ran.out
    assert "\x1b" not in ran.out
    assert ORDER in ran.out
    value = run("working", "What does the ticket cost?", "-n", "ana", "-a", "planner", "--json").json
    assert (value["parts"][0]["name"], value["parts"][0]["documents"]) == ("state", ["plan"])
    assert "planner" not in run("working", "What does the ticket cost?", "-n", "ana").out


@pytest.mark.parametrize("command", [("facts",), ("profile",), ("working", "What does it cost?")])
def test_an_empty_result_is_a_remark(run, told, command: tuple[str, ...]):
    ran = run(*command, "-n", "nobody")
    assert (ran.code, ran.out) == (0, "")
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("nothing ")


@pytest.mark.parametrize("command", [("facts",), ("profile",), ("working", "phone")])
def test_turns_that_were_not_read_are_counted(run, path: Path, command: tuple[str, ...]):
    with Memory(path) as memory:
        memory.remember_many({"text": OLD} for _ in range(AT_ONCE + 1))
    assert run(*command, "--json").json["unread"] == AT_ONCE + 1
    assert "2,001 turns were not read yet; run: engram reflect" in run(*command).err
    assert run("reflect", "--json").json == {"read": AT_ONCE + 1}
    ran = run(*command)
    assert ran.err == ""
    assert OLD in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("profile", "--budget", "0"), "0 is too small; the least is 1"),
        (("profile", "--at", "soon"), "the time"),
        (("profile", "-n", "\udcff"), "lone surrogate"),
        (("working", "x", "--budget", "-1"), "-1 is too small; the least is 1"),
        (("working", "x", "-n", "\udcff"), "lone surrogate"),
        (("working",), "Missing argument"),
        (("working", "x", "--agent", ""), "agent is empty"),
        (("working", "x", "--agent", "\udcff"), "lone surrogate"),
        (("facts", "--slot", "shoe"), "'shoe' is no slot"),
    ],
)
def test_wrong_options_are_refused(run, told, arguments: tuple[str, ...], message: str):
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_control_characters_are_escaped(run, path: Path):
    with Memory(path) as memory:
        memory.remember("I live in Lisbon\x1b[2J these days, near the river.")
    for command in (("profile",), ("working", "Where do I live?")):
        out = run(*command).out
        assert "Lisbon" in out, command
        assert "\x1b" not in out, command


def test_the_commands_need_a_memory(run, path: Path):
    for command in (("profile",), ("working", "x")):
        ran = run(*command)
        assert ran.code == 3
        assert "there is no memory at" in ran.err
    assert not path.exists()
