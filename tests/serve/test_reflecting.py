"""The server reads turns for what they state in the background, so that a recall knows what holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.errors import MemoryFull
from engram.memory import Memory
from engram.opening import STATEMENTS, index_folder
from engram.reflection.knowledge import FEW
from engram.reflection.reflector import STEP
from engram.serve import reflecting
from engram.serve.reflecting import BUSY_LOOKS, FAILED, Reading
from engram.serve.services import Answering

from .conftest import RunningServer, StartLocal, StartServer, wait_until
from .proxied import PATIENT, user
from .upstream import Upstream

OLD = "I live in Lisbon, in the small flat above the pharmacy."
NEW = "We moved to Oslo last week, I live in Grünerløkka now."
QUESTION = "Where do I live, in the flat above the pharmacy?"


def fill(path: Path) -> None:
    """Remember two homes, and more turns than a recall reads by itself."""
    with Memory(path) as memory:
        memory.remember(OLD, at=datetime(2026, 1, 5, tzinfo=UTC))
        for number in range(FEW):
            memory.remember(f"What should I cook tonight, for {number} people?", at=datetime(2026, 2, 5, tzinfo=UTC))
        memory.remember(NEW, at=datetime(2026, 6, 9, tzinfo=UTC))
        memory.flush()


def unread(path: Path) -> int:
    """Return how many turns nobody has read, by the file of what was derived."""
    with Memory(path, read_only=True) as memory:
        return memory.unread()


def homes(server: RunningServer) -> list[str]:
    """Return the two homes in the order of a recall."""
    answer = server.http.post("/memory/recall", json={"query": QUESTION, "floor": 0})
    return [text for hit in answer.json()["hits"] if (text := hit["engram"]["text"]) in (OLD, NEW)]


def test_what_was_read_in_the_background_orders_a_recall(local: StartLocal, tmp_path: Path) -> None:
    fill(tmp_path / "memory.db")
    server = local(reflect=False)
    assert homes(server) == [OLD, NEW]
    server.stop()
    assert not (index_folder(str(tmp_path / "memory.db")) / STATEMENTS).exists()
    server = local()
    wait_until(lambda: unread(tmp_path / "memory.db") == 0, "the reading of all turns")
    assert homes(server) == [NEW, OLD]
    assert server.http.get("/memory/profile").json()["complete"] is True


def test_notes_of_a_served_model_know_what_holds(server: StartServer, upstream: Upstream, tmp_path: Path) -> None:
    fill(tmp_path / "memory.db")
    running = server(*PATIENT, "--notes", "1")
    wait_until(lambda: unread(tmp_path / "memory.db") == 0, "the reading of all turns")
    body = {"model": "plain", "messages": [user(QUESTION)]}
    assert running.http.post("/v1/chat/completions", json=body, headers={"X-Engram": "read"}).status_code == 200
    assert NEW in upstream.last.last_user
    assert OLD not in upstream.last.last_user


def test_the_option_switches_it_off(server: StartServer, tmp_path: Path) -> None:
    fill(tmp_path / "memory.db")
    for running in (server("--no-reflect"), server(memory=tmp_path / "b.db", ENGRAM_REFLECT="0")):
        assert running.http.get("/readyz").status_code == 200
        assert not (index_folder(str(running.memory)) / STATEMENTS).exists()


def test_turns_are_read_at_the_first_look_at_which_nothing_was_remembered(memory: Memory) -> None:
    reading = Reading(memory)
    reading.look()
    for number in range(3):
        memory.remember(f"I live in house {number}.")
        reading.look()
        assert memory.unread() == number + 1
    reading.look()
    assert memory.unread() == 0


def test_turns_are_read_in_the_end_although_there_is_no_pause(memory: Memory) -> None:
    reading = Reading(memory)
    for number in range(1, BUSY_LOOKS):
        memory.remember(f"I live in house {number}.")
        reading.look()
        assert memory.unread() == number
    memory.remember("I live in a tent.")
    reading.look()
    assert memory.unread() == 0
    memory.remember("I live in a boat.")
    reading.look()
    assert memory.unread() == 1


def test_a_request_ends_the_reading_after_a_step(memory: Memory) -> None:
    answering = Answering()
    reading = Reading(memory, answering)
    memory.remember_many({"text": f"I live in house {number}."} for number in range(3 * STEP))
    reading.look()
    with answering:
        reading.look()
        assert memory.unread() == 2 * STEP
    reading.look()
    assert memory.unread() == 0


def test_what_was_derived_of_a_forgotten_turn_is_deleted_although_nothing_is_unread(memory: Memory) -> None:
    reading = Reading(memory)
    kept = memory.remember("I live in a tent.")
    gone = memory.remember("I live in a boat.")
    memory.reflect()
    reading.look()
    memory.forget(id=gone.id)
    reading.look()
    with closing(sqlite3.connect(index_folder(memory.path) / STATEMENTS)) as db:
        assert db.execute("SELECT count(DISTINCT seq) FROM statements").fetchone()[0] == 1
    assert [fact.engram.id for fact in memory.facts()] == [kept.id]


def test_a_failure_is_logged_once_and_the_next_look_comes(
    local: StartLocal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflecting, "PAUSE", 0.02)
    fill(tmp_path / "memory.db")
    reflect, failures = Memory.reflect, [MemoryFull("the disk is full"), RuntimeError("a bug"), OSError("gone")]

    def failing(memory: Memory, *, seconds: float | None = None) -> int:
        # A server of other tests may run in this process.
        if failures and memory.path == str(tmp_path / "memory.db"):
            raise failures.pop()
        return reflect(memory, seconds=seconds)

    monkeypatch.setattr(Memory, "reflect", failing)
    server = local()
    wait_until(lambda: unread(tmp_path / "memory.db") == 0, "the reading of all turns")
    assert failures == []
    assert len(server.logged(FAILED)) == 1


def test_a_damaged_file_of_derived_data_stops_no_request(local: StartLocal, tmp_path: Path) -> None:
    fill(tmp_path / "memory.db")
    (index_folder(str(tmp_path / "memory.db")) / STATEMENTS).write_bytes(b"no database at all, but bytes" * 100)
    server = local()
    assert sorted(homes(server)) == sorted([OLD, NEW])
    (line,) = server.logged(FAILED)
    assert STATEMENTS in line["error"]
    answer = server.http.get("/memory/profile")
    assert answer.status_code == 500
    assert str(tmp_path) not in answer.text
