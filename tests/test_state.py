"""The state of agents: documents with versions, through the memory."""

from __future__ import annotations

import gc
import math
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram import AgentState, Document, Memory
from engram.backup import back_up, restore
from engram.documents import KEPT_VERSIONS, MAX_DEPTH, MAX_VALUE_BYTES, DocumentKey, canonical_json
from engram.errors import InvalidEngram, MemoryClosed, MemoryReadOnly, NotFound, StateConflict
from engram.store.memory import MemoryStore

OpenMemory = Callable[..., Memory]

ROOT = Path(__file__).parents[1]


@pytest.fixture
def state(memory: Memory) -> AgentState:
    return memory.state("ana", "planner")


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


# Write and read.


def test_a_document_is_written_and_read(state: AgentState) -> None:
    before = datetime.now(UTC)
    value = {"b": [1, 2.5, None, True], "a": {"text": '\U0001f98a \u05e9 \x01 " \\ </script>'}, "": ""}
    written = state.set("trip", value)
    assert written == Document("ana", "planner", "trip", 1, written.at, value)
    assert before <= written.at <= datetime.now(UTC)
    assert state.get("trip") == state.get("trip", 1) == state.get("trip", version=1) == written
    assert state.get("trip", 2) is None
    assert state.get("other") is None
    assert state.names() == ["trip"]
    assert state.set("trip", 5).version == 2
    assert state.set("trip", 5).version == 3
    assert [d.value for d in state.history("trip")] == [5, 5, value]
    assert [d.version for d in state.history("trip", limit=1)] == [3]
    assert [d.version for d in state.history("trip", 2, before=3)] == [2, 1]
    assert state.history("other") == []


@pytest.mark.parametrize("value", [None, False, 0, -1, 1.5, 10**30, 1e300, "", "x", [], {}, [[]], {"a": {}}, 2**63])
def test_every_kind_of_json_is_kept(state: AgentState, value: object) -> None:
    state.set("x", value)
    document = state.get("x")
    assert document is not None
    assert document.value == value
    assert type(document.value) is type(value)


def test_what_is_given_and_returned_can_be_changed(state: AgentState) -> None:
    value = {"steps": [1]}
    written = state.set("x", value)
    value["steps"].append(2)
    written.value["steps"].append(3)
    document = state.get("x")
    assert document is not None
    assert document.value == {"steps": [1]}


def test_a_write_is_durable_in_the_file_of_the_memory(open_memory: OpenMemory) -> None:
    with open_memory() as memory:
        memory.state("ana").set("x", 1)
    with open_memory(read_only=True) as memory:
        state = memory.state("ana")
        assert [d.value for d in state.history("x")] == [1]
        for write in (lambda: state.set("x", 2), lambda: state.delete("x"), lambda: state.rollback("x", 1)):
            with pytest.raises(MemoryReadOnly):
                write()
    with pytest.raises(MemoryClosed):
        state.get("x")


def test_a_state_keeps_its_memory_open(tmp_path: Path) -> None:
    state = Memory(tmp_path / "memory.db").state("ana")
    gc.collect()
    assert state.set("x", 1).version == 1


def test_a_memory_over_another_store_has_documents() -> None:
    with Memory(store=MemoryStore()) as memory:
        state = memory.state()
        assert (state.namespace, state.agent, state.keep) == ("default", "default", KEPT_VERSIONS)
        state.set("x", 1)
        assert state.update("x", lambda value: value + 1).value == 2
        assert state.rollback("x", 1).value == 1


# Compare-and-set.


def test_a_write_that_expects_another_version_raises_a_conflict(state: AgentState) -> None:
    assert state.set("x", 1, expect=0).version == 1
    assert state.set("x", 2, 1).version == 2
    for expect in (0, 1, 3):
        for write in (
            lambda expect=expect: state.set("x", 3, expect=expect),
            lambda expect=expect: state.rollback("x", 1, expect=expect),
            lambda expect=expect: state.delete("x", expect=expect),
        ):
            with pytest.raises(StateConflict, match="is at version 2") as caught:
                write()
            assert caught.value.current == 2
    assert [d.value for d in state.history("x")] == [2, 1]
    with pytest.raises(StateConflict, match="does not exist") as caught:
        state.set("y", 1, expect=1)
    assert caught.value.current == 0


def test_threads_that_update_one_document_lose_nothing(memory: Memory) -> None:
    def work(number: int) -> None:
        state = memory.state("ana", "planner", keep=None)
        for step in range(25):
            state.update("log", lambda value, step=step: [*(value or []), [number, step]])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    document = memory.state("ana", "planner").get("log")
    assert document is not None
    assert document.version == 100
    assert sorted(document.value) == [[number, step] for number in range(4) for step in range(25)]
    assert [step for number, step in document.value if number == 2] == list(range(25))


def test_an_update_calls_again_when_another_write_came_first(memory: Memory, state: AgentState) -> None:
    state.set("x", {"mine": 0, "theirs": 0})
    seen: list[int] = []

    def change(value: Any) -> Any:
        seen.append(value["theirs"])
        if len(seen) == 1:
            memory.state("ana", "planner").set("x", {**value, "theirs": 1})
        return {**value, "mine": 1}

    assert state.update("x", change).value == {"mine": 1, "theirs": 1}
    assert seen == [0, 1]


def test_an_update_that_fails_writes_nothing(state: AgentState) -> None:
    state.set("x", 1)
    with pytest.raises(ZeroDivisionError):
        state.update("x", lambda value: value / 0)
    with pytest.raises(InvalidEngram):
        state.update("x", lambda value: {value})
    assert [d.value for d in state.history("x")] == [1]


# History, roll back, delete.


def test_roll_back_writes_an_old_value_as_a_new_version(state: AgentState) -> None:
    for value in ("a", "b", "c"):
        state.set("x", value)
    assert state.rollback("x", 1) == state.get("x")
    assert [(d.version, d.value) for d in state.history("x")] == [(4, "a"), (3, "c"), (2, "b"), (1, "a")]
    assert state.rollback("x", 2, expect=4).value == "b"
    with pytest.raises(NotFound, match="has no version 9"):
        state.rollback("x", 9)
    with pytest.raises(NotFound, match="nothing to roll back"):
        state.rollback("y", 1)
    assert len(state.history("x")) == 5


def test_a_document_that_is_deleted_during_a_roll_back_does_not_come_back(
    memory: Memory, state: AgentState, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.set("x", "a")
    state.set("x", "b")
    whole = AgentState.set

    def delete_first(self: AgentState, name: str, value: object, expect: int | None = None) -> Document:
        memory.state("ana", "planner").delete(name)
        return whole(self, name, value, expect)

    monkeypatch.setattr(AgentState, "set", delete_first)
    with pytest.raises(NotFound):
        state.rollback("x", 1)
    assert state.names() == []


def test_the_history_is_bounded(memory: Memory) -> None:
    state = memory.state("ana", "planner", keep=3)
    for number in range(5):
        state.set("x", number)
    assert [d.value for d in state.history("x")] == [4, 3, 2]
    with pytest.raises(NotFound):
        state.rollback("x", 1)
    everything = memory.state("ana", "planner", keep=None)
    for number in range(5):
        everything.set("x", number)
    assert len(everything.history("x", limit=None)) == 8
    assert memory.state("ana", "planner").keep == 1_000


def test_delete_erases_all_versions(memory: Memory, state: AgentState, tmp_path: Path) -> None:
    for value in ("the wombat", "the quoll"):
        state.set("x", value)
    state.set("y", "stays")
    assert state.delete("x") == 2
    assert state.delete("x") == 0
    assert state.get("x") is None
    assert state.get("x", 1) is None
    assert state.history("x") == []
    assert state.names() == ["y"]
    assert state.set("x", "new", expect=0).version == 3
    memory.compact()
    content = (tmp_path / "memory.db").read_bytes()
    assert b"wombat" not in content
    assert b"quoll" not in content


# Lists.


def test_documents_and_agents_are_listed(memory: Memory) -> None:
    for namespace, agent, name in (
        ("ana", "critic", "x"), ("ana", "planner", "b"), ("ana", "planner", "a/1"), ("ana", "planner", "a/2"),
        ("bo", "planner", "a"),
    ):  # fmt: skip
        memory.state(namespace, agent).set(name, 1)
    state = memory.state("ana", "planner")
    state.set("b", 2)
    assert state.names() == ["a/1", "a/2", "b"]
    assert state.names("a/") == ["a/1", "a/2"]
    assert state.names(limit=1, after="a/1") == ["a/2"]
    assert [(info.name, info.version) for info in state.infos()] == [("a/1", 1), ("a/2", 1), ("b", 2)]
    assert memory.agents("ana") == [("critic", 1), ("planner", 3)]
    assert memory.agents("ana", limit=1, after="critic") == [("planner", 3)]
    assert memory.agents("nobody") == []
    assert len(list(memory.state_documents())) == 5
    assert [info.namespace for info in memory.state_documents(agent="planner")] == ["ana"] * 3 + ["bo"]
    assert [info.name for info in memory.state_documents(namespace="ana")] == ["x", "a/1", "a/2", "b"]
    assert memory.stats().state_documents == 5
    assert memory.namespaces() == []


def test_many_documents_are_listed_in_pages(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engram.memory.PAGE", 3)
    for number in range(10):
        memory.state(f"n{number % 2}").set(f"x{number}", number)
    assert [info.name for info in memory.state_documents()] == [f"x{n}" for n in (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)]


# Forgetting.


def test_forgetting_a_namespace_erases_its_documents(memory: Memory) -> None:
    for namespace in ("ana", "bo"):
        memory.remember("My dog is called Biscuit.", namespace=namespace, session="s")
        for agent in ("planner", "critic"):
            memory.state(namespace, agent).set("plan", 1)
    assert memory.forget(namespace="ana") == 3
    assert [info.namespace for info in memory.state_documents()] == ["bo", "bo"]
    assert memory.state("ana", "planner").history("plan") == []


def test_forgetting_turns_leaves_documents(memory: Memory, state: AgentState) -> None:
    state.set("plan", 1)
    engram = memory.remember("My dog is called Biscuit.", namespace="ana", session="s")
    later = datetime.now(UTC) + timedelta(days=1)
    memory.forget(id=engram.id, namespace="ana")
    memory.forget(namespace="ana", session="s")
    memory.forget(namespace="ana", before=later)
    memory.forget(before=later)
    memory.forget(session="s")
    assert state.names() == ["plan"]


def test_recall_does_not_find_documents(memory: Memory, state: AgentState) -> None:
    state.set("dog", "My dog is called Biscuit.")
    memory.flush(30)
    assert list(memory.recall("What is my dog called?", namespace="ana", floor=0)) == []


# Backups.


def test_a_backup_holds_documents_with_their_history(memory: Memory, state: AgentState, tmp_path: Path) -> None:
    for number in range(3):
        state.set("plan", number)
    copy = back_up(memory.path, tmp_path / "backup.db")
    assert (copy.engrams, copy.state_documents) == (0, 1)
    history = state.history("plan")
    state.set("plan", "later")
    memory.close()
    assert restore(tmp_path / "backup.db", memory.path, overwrite=True).state_documents == 1
    with Memory(memory.path) as restored:
        assert restored.state("ana", "planner").history("plan") == history


# Redaction.


def test_secrets_are_taken_out_of_values(open_memory: OpenMemory, tmp_path: Path) -> None:
    key = "AKIA" + "ABCDEFGH12345678"
    memory = open_memory(redact=["secrets"])
    state = memory.state("ana")
    written = state.set("tools", {"aws": {"note": f"use {key} here"}, "list": [key, 5]})
    assert key not in str(written.value)
    assert written.value["list"][1] == 5
    assert state.get("tools") == written
    state.update("tools", lambda value: [value, key])
    assert key not in str(state.get("tools"))
    memory.close()
    assert key.encode() not in (tmp_path / "memory.db").read_bytes()


def test_a_roll_back_takes_secrets_out_of_an_old_value(open_memory: OpenMemory) -> None:
    key = "AKIA" + "ABCDEFGH12345678"
    with open_memory() as memory:
        memory.state("ana").set("tools", key)
        memory.state("ana").set("tools", "nothing")
    state = open_memory(redact=["secrets"]).state("ana")
    assert key not in state.rollback("tools", 1).value


# Wrong input.


class Number(IntEnum):
    ONE = 1


ITSELF: list[Any] = []
ITSELF += [ITSELF, ITSELF]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, r"^value is nan; JSON has only finite numbers"),
        ({"a": [1, {"b": math.inf}]}, r"^value\['a'\]\[1\]\['b'\] is inf"),
        ((1, 2), r"^value is tuple"),
        ({"a": {1, 2}}, r"^value\['a'\] is set"),
        ({1: 2}, r"^a key of value is int"),
        ([{"a": {None: 1}}], r"^a key of value\[0\]\['a'\] is NoneType"),
        (b"x", r"^value is bytes"),
        (datetime.now(UTC), r"^value is datetime"),
        ("\ud800", r"^value holds a lone surrogate at character 0"),
        ({"\ud800": 1}, r"^a key of value holds a lone surrogate"),
        ({"a": ["x\0"]}, r"^value\['a'\]\[0\] holds a NUL character at character 1"),
        ({"x\0": 1}, r"^a key of value holds a NUL character"),
        ("x" * MAX_VALUE_BYTES, r"^value is 1,048,578 bytes of JSON; the limit is 1,048,576"),
        ("\u00e9" * (MAX_VALUE_BYTES // 2), r"^value is 1,048,578 bytes"),
        ([1] * (MAX_VALUE_BYTES + 1), r"^value is over 1,048,576 bytes"),
        (nested(MAX_DEPTH + 1), r"^value has more than 100 levels"),
        (ITSELF, r"^value has more than 100 levels"),
        pytest.param(10**5000, r"^value holds an integer with too many digits", id="digits"),
        ({"x" * 500: {"y" * 500: object()}}, r"^value\['x{60}…'\]\['y{60}…'\] is object"),
        ([[[[[[object()]]]]]], r"^value…\[0\]\[0\]\[0\]\[0\] is object"),
    ],
)
def test_what_is_no_json_value_is_refused_with_its_place(state: AgentState, value: object, message: str) -> None:
    with pytest.raises(InvalidEngram, match=message) as caught:
        state.set("x", value)
    assert len(str(caught.value)) < 300
    assert state.names() == []


def test_the_largest_and_deepest_values_are_kept(state: AgentState) -> None:
    for value in ("x" * (MAX_VALUE_BYTES - 2), nested(MAX_DEPTH), {"number": Number.ONE}):
        state.set("x", value)
        document = state.get("x")
        assert document is not None
        assert document.value == value


@pytest.mark.parametrize("wrong", ["", "\0", "x\0", "\ud800", "x" * 513, "\u00e9" * 257, 5, None, ["x"]])
def test_wrong_names_are_refused(memory: Memory, state: AgentState, wrong: Any) -> None:
    for field, call in {
        "namespace": lambda: memory.state(wrong, "planner"),
        "agent": lambda: memory.state("ana", wrong),
        "name": lambda: state.set(wrong, 1),
    }.items():
        with pytest.raises(InvalidEngram, match=f"^{field} "):
            call()
    for call in (
        lambda: state.get(wrong),
        lambda: state.history(wrong),
        lambda: state.rollback(wrong, 1),
        lambda: state.delete(wrong),
        lambda: state.update(wrong, lambda value: 1),
        lambda: DocumentKey("a", "b", wrong),
    ):
        with pytest.raises(InvalidEngram, match="^name "):
            call()


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".", " ", "%", "*", "'; DROP TABLE documents", "\n", "\U0001f98a", "x" * 512]
)
def test_every_other_name_is_possible(state: AgentState, name: str) -> None:
    state.set(name, name)
    assert state.names() == [name]
    assert state.delete(name) == 1


@pytest.mark.parametrize("wrong", [-1, 1.0, "1", True, 2**53, pytest.param(10**5000, id="digits")])
def test_wrong_versions_are_refused(state: AgentState, wrong: Any) -> None:
    state.set("x", 1)
    for field, call in (
        ("expect", lambda: state.set("x", 2, expect=wrong)),
        ("expect", lambda: state.rollback("x", 1, expect=wrong)),
        ("expect", lambda: state.delete("x", expect=wrong)),
        ("version", lambda: state.get("x", wrong)),
        ("version", lambda: state.rollback("x", wrong)),
        ("before", lambda: state.history("x", before=wrong)),
    ):
        with pytest.raises(InvalidEngram, match=f"^{field} is "):
            call()
    assert [d.value for d in state.history("x")] == [1]


def test_wrong_numbers_and_filters_are_refused(memory: Memory, state: AgentState) -> None:
    for keep in (0, -1, True, 1.5, "3"):
        with pytest.raises(InvalidEngram, match="^keep is "):
            memory.state("ana", "planner", keep=keep)  # type: ignore[arg-type]
    for call in (lambda: state.names(limit=-1), lambda: state.history("x", -1), lambda: memory.agents(limit=-1)):
        with pytest.raises(ValueError, match="limit is -1"):
            call()
    for call in (
        lambda: state.names("\ud800"),
        lambda: state.names(after="\ud800"),
        lambda: memory.agents("\ud800"),
        lambda: list(memory.state_documents(namespace="\ud800")),
        lambda: list(memory.state_documents(agent="\ud800")),
    ):
        with pytest.raises(InvalidEngram, match="lone surrogate"):
            call()
    state.set("x", 1)
    assert len(state.history("x", 2**70)) == len(state.names(limit=2**70)) == 1


# Canonical JSON.

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@given(VALUES)
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
def test_every_value_has_one_text(value: Any) -> None:
    import json

    text = canonical_json(value)
    copy = json.loads(text)
    assert copy == value
    assert canonical_json(copy) == text


def test_the_order_of_keys_does_not_matter() -> None:
    assert canonical_json({"b": 1, "a": {"d": 1, "c": "\u00e9"}}) == canonical_json(
        {"a": {"c": "\u00e9", "d": 1}, "b": 1}
    )
    assert canonical_json({"b": 1, "a": "\u00e9"}) == '{"a":"\u00e9","b":1}'


# The page.


def test_the_code_of_the_page_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/state.md").read_text(encoding="utf-8"), re.DOTALL)
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    promised = re.findall(r"print\(.*\)  # (.*)", code)
    assert len(promised) == 5
    assert ran.stdout.splitlines() == promised
