"""Policies of a memory: what is expired is not returned by any method, and is erased by `compact`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engram import Engram, Memory, Policy
from engram.errors import InvalidEngram, MemoryClosed, MemoryReadOnly, NotFound
from engram.notes.injection import wording_for
from engram.notes.zones import MACHINE
from engram.store.memory import MemoryStore

OpenMemory = Callable[..., Memory]

WEEK = timedelta(days=7)
OLD, NEW = "My boat is called Kittiwake.", "My goat is called Petunia."

CHILD = """
import json, sys
from engram import Memory
with Memory(sys.argv[1]) as memory:
    for line in sys.stdin:
        found = [hit.engram.text for hit in memory.recall(line.strip(), namespace="ana")]
        listed = [engram.text for engram in memory.engrams(namespace="ana")]
        print(json.dumps([found, listed, memory.stats().engrams]), flush=True)
"""


def ago(**age: float) -> datetime:
    return datetime.now(UTC) - timedelta(**age)


@pytest.fixture
def aged(memory: Memory) -> tuple[Engram, Engram]:
    """A turn of ten days ago and one of yesterday, in one namespace."""
    old = memory.remember(OLD, namespace="ana", session="old", at=ago(days=10))
    return old, memory.remember(NEW, namespace="ana", session="new", at=ago(days=1))


def recalled(memory: Memory, query: str, **options: object) -> list[str]:
    return [hit.engram.text for hit in memory.recall(query, namespace="ana", floor=0, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize("indexed", [True, False])
def test_an_expired_turn_is_not_recalled_until_its_policy_is_longer(
    memory: Memory, aged: tuple[Engram, Engram], indexed: bool
) -> None:
    if indexed:
        assert memory.flush(60)
    query = "What are the boat and the goat called?"
    assert set(recalled(memory, query)) == {OLD, NEW}
    assert memory.set_policy("ana", expire_after=WEEK) == Policy("ana", WEEK)
    assert recalled(memory, query) == recalled(memory, query, after=ago(days=99)) == [NEW]
    assert recalled(memory, query, session="old") == recalled(memory, query, before=ago(days=5)) == []
    assert recalled(memory, query, after=ago(hours=1)) == []
    assert recalled(memory, "What did we talk about ten days ago?") == []
    memory.set_policy("ana", expire_after=timedelta(days=11))
    assert set(recalled(memory, query)) == {OLD, NEW}
    memory.set_policy("ana", expire_after=timedelta(hours=1))
    assert recalled(memory, query) == []


def test_an_expired_turn_does_not_bring_its_neighbour_up(memory: Memory) -> None:
    memory.remember("The combination of the safe is 7-41-23.", namespace="ana", at=ago(days=8, minutes=1))
    memory.remember("Thank you, that is good to know.", namespace="ana", role="assistant", at=ago(days=8))
    query = "What is the combination of the safe?"
    assert memory.recall(query, namespace="ana", floor=0)[1].why["previous"] > 0
    memory.set_policy("ana", expire_after=timedelta(days=8, seconds=30))
    for hit in memory.recall(query, namespace="ana", floor=0):
        assert (hit.engram.role, hit.why["previous"]) == ("assistant", 0)
    assert not memory.recall(query, namespace="ana")


def test_enough_is_found_behind_many_expired_turns(memory: Memory) -> None:
    expired = [{"text": f"Kestrel, kestrel, number {n}.", "namespace": "ana", "at": ago(days=10)} for n in range(400)]
    birds = [{"text": f"A hawk or a falcon, number {n}.", "namespace": "ana"} for n in range(400)]
    invoice = "The invoice of the plumber lists pipes, valves, two taps, working hours and the van of the firm Kestrel."
    memory.remember_many([*expired, {"text": invoice, "namespace": "ana"}, *birds])
    assert memory.flush(60)
    memory.set_policy("ana", expire_after=WEEK)
    assert invoice in recalled(memory, "kestrel", limit=3)


def test_other_namespaces_are_untouched(memory: Memory, aged: tuple[Engram, Engram]) -> None:
    memory.set_policy("bo", expire_after=timedelta(hours=1))
    assert set(recalled(memory, "boat goat")) == {OLD, NEW}
    memory.set_policy(None, expire_after=timedelta(hours=1))
    assert recalled(memory, "boat goat") == []
    memory.set_policy("ana", expire_after=None)
    assert set(recalled(memory, "boat goat")) == {OLD, NEW}


def test_no_method_returns_or_counts_an_expired_turn(memory: Memory, aged: tuple[Engram, Engram]) -> None:
    old, new = aged
    held = memory.quarantine(memory.remember("Held.", namespace="ana", session="q", at=ago(days=9)).id, "a doubt")
    memory.set_policy(None, expire_after=WEEK)
    for call in (
        lambda: memory.get(old.id),
        lambda: memory.explain("boat", old.id),
        lambda: memory.quarantine(old.id, "why"),
        lambda: memory.release(held.id),
        lambda: memory.engrams(after_id=old.id),
        lambda: memory.sessions("ana", after="old"),
    ):
        with pytest.raises(NotFound):
            call()
    assert memory.get_many([old.id, new.id]) == {new.id: new}
    assert list(memory.engrams()) == list(memory.engrams(namespace="ana", newest=True)) == [new]
    assert memory.namespaces() == [("ana", 1)]
    assert memory.sessions("ana") == [("new", 1)]
    assert list(memory.quarantined()) == []
    stats = memory.stats()
    assert (stats.engrams, stats.namespaces, stats.sessions, stats.quarantined) == (1, 1, 1, 0)
    assert memory.is_indexed([old.id])
    memory.clear_policy(None)
    assert memory.get(old.id) == old
    assert list(memory.quarantined()) == [held]


def test_facts_of_expired_turns_are_gone(memory: Memory) -> None:
    memory.remember("My phone number is 0171 220 4415.", namespace="ana", at=ago(days=10))
    memory.remember("My phone number is 0160 99 7754 from today.", namespace="ana", at=ago(days=1))
    (fact,) = memory.facts(namespace="ana", slot="phone")
    assert len(fact.history) == 1
    memory.set_policy("ana", expire_after=WEEK)
    (fact,) = memory.facts(namespace="ana", slot="phone")
    assert (fact.text, fact.history) == ("My phone number is 0160 99 7754 from today.", ())
    assert list(memory.facts(namespace="ana", slot="phone", at=ago(days=9))) == []
    memory.set_policy("ana", expire_after=timedelta(hours=1))
    assert list(memory.facts(namespace="ana")) == []
    memory.clear_policy("ana")
    assert len(memory.facts(namespace="ana", slot="phone")[0].history) == 1


def test_notes_hold_no_expired_turn(memory: Memory, aged: tuple[Engram, Engram]) -> None:
    wording = wording_for(embedded=False, budget=500, notes=5, least_score=0, least_trust="agent")

    def notes() -> set[str]:
        query = "What are the boat and the goat called?"
        return {hit.engram.text for hit in wording.find(memory, "ana", query, frozenset(), set(), zone=MACHINE).hits}

    assert OLD in notes()
    memory.set_policy("ana", expire_after=WEEK)
    assert OLD not in notes()


def test_compact_erases_expired_turns_from_every_file(tmp_path: Path, open_memory: OpenMemory) -> None:
    memory = open_memory()
    memory.remember("The quetzalcoatlus was here.", namespace="ana", session="archaeopteryx", at=ago(days=10))
    memory.remember(NEW, namespace="ana")
    assert memory.flush(60)
    memory.set_policy(None, expire_after=WEEK)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(b"quetzalcoatlus" in file.read_bytes() for file in files)
    memory.compact()
    memory.clear_policy(None)
    assert [engram.text for engram in memory.engrams()] == [NEW]
    memory.close()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"quetzalcoatlus" not in content, file
            assert b"archaeopteryx" not in content, file


def test_forget_expired_deletes_for_good(memory: Memory, aged: tuple[Engram, Engram]) -> None:
    assert memory.forget_expired() == 0
    memory.set_policy("ana", expire_after=WEEK)
    assert memory.forget_expired() == 1
    memory.clear_policy("ana")
    assert recalled(memory, "boat goat") == [NEW]
    assert memory.forget_expired() == 0


def test_forget_reaches_an_expired_turn(memory: Memory, aged: tuple[Engram, Engram]) -> None:
    memory.set_policy("ana", expire_after=WEEK)
    assert memory.forget(id=aged[0].id) == 1
    memory.clear_policy("ana")
    assert list(memory.engrams()) == [aged[1]]


def test_a_turn_that_is_too_old_is_stored_and_expired_at_once(memory: Memory) -> None:
    memory.set_policy("ana", expire_after=WEEK)
    naive = ago(days=10).replace(tzinfo=None)
    old = memory.remember(OLD, namespace="ana", at=naive)
    assert recalled(memory, "boat") == []
    assert memory.remember_many([old]) == [old]
    assert memory.add([old]) == [False]
    memory.clear_policy("ana")
    assert list(memory.engrams()) == [old]


def test_policies_are_listed_and_cleared(memory: Memory) -> None:
    assert memory.policy(None) == memory.policy("ana") == Policy(None, None)
    assert memory.policies() == []
    default = memory.set_policy(None, expire_after=WEEK)
    own = [memory.set_policy(name, expire_after=None) for name in ("a", "b/c", "\U0001f98a\n'")]
    assert memory.policies() == own
    assert memory.policies(limit=1, after="a") == own[1:2]
    assert memory.policy("another") == memory.policy(None) == default
    assert [memory.policy(policy.namespace) for policy in own] == own
    assert memory.clear_policy("b/c")
    assert not memory.clear_policy("b/c")
    assert memory.policy("b/c") == default
    assert memory.clear_policy(None)
    assert memory.policy("b/c") == Policy(None, None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (timedelta(0), "expire_after is 0:00:00; it must be more than 0 and at most 36,500 days"),
        (timedelta(days=-1), "more than 0"),
        (timedelta.min, "more than 0"),
        (timedelta.max, "at most 36,500 days"),
        (timedelta(days=36_500, microseconds=1), "at most 36,500 days"),
        (90, "expire_after is int; it must be timedelta, or None to keep"),
        (float("nan"), "expire_after is float"),
        ("P90D", "expire_after is str"),
        (True, "expire_after is bool"),
        (datetime(2026, 1, 1), "expire_after is datetime"),  # noqa: DTZ001
    ],
)
def test_wrong_ages_are_refused_and_change_nothing(memory: Memory, value: object, message: str) -> None:
    memory.set_policy("ana", expire_after=WEEK)
    for namespace in ("ana", None):
        with pytest.raises(InvalidEngram, match=message):
            memory.set_policy(namespace, expire_after=value)  # type: ignore[arg-type]
    assert memory.policy("ana") == Policy("ana", WEEK)
    assert memory.policy(None) == Policy(None, None)


@pytest.mark.parametrize("name", ["", "x" * 513, "\ud800", "a\0b", 5, b"ana"])
def test_wrong_names_are_refused(memory: Memory, name: str) -> None:
    for call in (
        lambda: memory.set_policy(name, expire_after=WEEK),
        lambda: memory.clear_policy(name),
        lambda: memory.policy(name),
    ):
        with pytest.raises(InvalidEngram, match="namespace"):
            call()
    assert memory.policies() == []


def test_wrong_pages_are_refused(memory: Memory) -> None:
    with pytest.raises(ValueError, match="limit is -1"):
        memory.policies(limit=-1)
    with pytest.raises(InvalidEngram, match="lone surrogate"):
        memory.policies(after="\ud800")


@pytest.mark.parametrize("age", [timedelta(microseconds=1), timedelta(days=36_500)])
def test_the_shortest_and_the_longest_age(memory: Memory, age: timedelta) -> None:
    memory.remember("x", at=datetime(1, 1, 1, tzinfo=UTC))
    memory.remember("y", at=datetime(9999, 12, 31, tzinfo=UTC))
    memory.set_policy(None, expire_after=age)
    assert memory.policy("default") == Policy(None, age)
    assert [engram.text for engram in memory.engrams()] == ["y"]


def test_a_read_only_memory_applies_policies_and_sets_none(memory: Memory, open_memory: OpenMemory) -> None:
    memory.remember(OLD, namespace="ana", at=ago(days=10))
    reader = open_memory(read_only=True)
    assert recalled(reader, "boat") == [OLD]
    memory.set_policy("ana", expire_after=WEEK)
    assert recalled(reader, "boat") == []
    for call in (
        lambda: reader.set_policy("ana", expire_after=None),
        lambda: reader.clear_policy("ana"),
        reader.forget_expired,
        reader.compact,
    ):
        with pytest.raises(MemoryReadOnly):
            call()


def test_a_closed_memory_refuses_policies(memory: Memory) -> None:
    memory.close()
    for call in (lambda: memory.set_policy("a", expire_after=None), memory.policies, memory.forget_expired):
        with pytest.raises(MemoryClosed):
            call()


@pytest.mark.parametrize("path", [":memory:", None])
def test_memories_in_ram_have_policies(path: str | None) -> None:
    with Memory(path) if path else Memory(store=MemoryStore()) as memory:
        memory.remember(OLD, namespace="ana", at=ago(days=10))
        memory.remember(NEW, namespace="ana")
        memory.set_policy("ana", expire_after=WEEK)
        assert recalled(memory, "boat goat") == [NEW]
        memory.compact()
        memory.clear_policy("ana")
        assert recalled(memory, "boat goat") == [NEW]


def test_another_process_that_has_the_memory_open_follows_at_once(
    memory: Memory, aged: tuple[Engram, Engram], tmp_path: Path
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "memory.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None

    def ask() -> tuple[set[str], list[str], int]:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("What are the boat and the goat called?\n")
        child.stdin.flush()
        found, listed, count = json.loads(child.stdout.readline())
        return set(found), listed, count

    both, one = ({OLD, NEW}, [OLD, NEW], 2), ({NEW}, [NEW], 1)
    assert ask() == both
    memory.set_policy("ana", expire_after=WEEK)
    assert ask() == one
    memory.set_policy("ana", expire_after=None)
    assert ask() == both
    memory.set_policy("ana", expire_after=WEEK)
    memory.compact()
    memory.clear_policy("ana")
    assert ask() == one
    child.stdin.close()
    assert child.wait(60) == 0
    child.stdout.close()
