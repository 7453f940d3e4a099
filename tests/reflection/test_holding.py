"""Recall that knows what holds: the order of hits in real memories, and when it is left alone."""

from __future__ import annotations

import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram import Memory
from engram.opening import STATEMENTS, index_folder
from engram.reflection.links import HOLDS

OLD = "I live in Lisbon, in the small flat above the pharmacy."
NEW = "We moved to Oslo last week, I live in Grünerløkka now."
OTHER = "My cousin Bea lives in Porto and loves it."


def on(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


def with_homes(memory: Memory, role: str = "user") -> None:
    memory.remember(OLD, at=on(1, 5))
    memory.remember("What should I cook tonight?", at=on(1, 6))
    memory.remember(OTHER, at=on(2, 1))
    memory.remember(NEW, at=on(6, 9), role=role)
    memory.flush()


def found(memory: Memory, query: str, limit: int = 10) -> list[str]:
    return [hit.engram.text for hit in memory.recall(query, limit=limit, floor=0, now=on(7, 1))]


def before(texts: list[str], first: str, second: str) -> bool:
    return texts.index(first) < texts.index(second)


def test_what_holds_comes_before_what_held_once_it_was_read() -> None:
    with Memory(":memory:") as memory:
        with_homes(memory)
        query = "Where do I live, in the flat above the pharmacy?"
        assert before(found(memory, query), OLD, NEW)
        memory.reflect()
        assert before(found(memory, query), NEW, OLD)


def test_the_value_of_a_hit_that_was_moved_says_why() -> None:
    with Memory(":memory:") as memory:
        with_homes(memory)
        memory.reflect()
        hits = list(memory.recall("Where do I live, in the flat above the pharmacy?", floor=0, now=on(7, 1)))
        values = [sum(hit.why.values()) for hit in hits]
        assert values == sorted(values, reverse=True)
        assert [hit.engram.text for hit in hits if HOLDS in hit.why] == [NEW]


def test_a_question_about_the_past_or_about_somebody_else_leaves_the_order() -> None:
    with Memory(":memory:") as memory:
        with_homes(memory)
        queries = ("Where did I live before, above the pharmacy?", "Where does Bea live, above the pharmacy?")
        assert all(before(found(memory, query), OLD, NEW) for query in queries)
        memory.reflect()
        assert all(before(found(memory, query), OLD, NEW) for query in queries)


@pytest.mark.parametrize("role", ["assistant", "tool"])
def test_what_the_user_did_not_say_does_not_come_first(role: str) -> None:
    with Memory(":memory:") as memory:
        with_homes(memory, role)
        query = "Where do I live, in the flat above the pharmacy?"
        place = found(memory, query).index(NEW)
        memory.reflect()
        assert found(memory, query).index(NEW) >= place


def test_a_few_new_turns_are_read_before_a_recall() -> None:
    with Memory(":memory:") as memory:
        memory.reflect()
        with_homes(memory)
        assert before(found(memory, "Where do I live, in the flat above the pharmacy?"), NEW, OLD)


def test_a_hit_beyond_the_limit_can_come_first() -> None:
    with Memory(":memory:") as memory:
        with_homes(memory)
        memory.reflect()
        assert found(memory, "Where do I live, in the flat above the pharmacy?", limit=1) == [NEW]


def test_a_forgotten_turn_replaces_nothing() -> None:
    with Memory(":memory:") as memory:
        with_homes(memory)
        memory.reflect()
        (newest,) = memory.recall("Where do I live?", limit=1, floor=0, now=on(7, 1))
        memory.forget(id=newest.engram.id)
        assert NEW not in found(memory, "Where do I live, in the flat above the pharmacy?")


def test_another_process_for_reading_only_knows_what_was_derived(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        with_homes(memory)
        memory.reflect()
    script = (
        "import sys; from engram import Memory; memory = Memory(sys.argv[1], read_only=True);"
        "print(memory.recall('Where do I live, in the flat above the pharmacy?', floor=0)[0].engram.text)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == NEW


def test_a_damaged_file_of_derived_data_leaves_recall_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "memory.db"
    query = "Where do I live, in the flat above the pharmacy?"
    with Memory(path) as memory:
        with_homes(memory)
        order = found(memory, query)
    (index_folder(str(path)) / STATEMENTS).write_bytes(b"no database" * 1_000)
    with Memory(path) as memory, caplog.at_level(logging.WARNING, "engram"):
        assert [found(memory, query), found(memory, query)] == [order, order]
    assert [STATEMENTS in record.getMessage() for record in caplog.records] == [True]


def test_statements_of_another_version_are_not_used_for_reading_only(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        with_homes(memory)
        memory.reflect()
    derived = index_folder(str(path)) / STATEMENTS
    subprocess.run(
        [sys.executable, "-c", "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]);"
         "db.execute(\"UPDATE meta SET value = 'other' WHERE name = 'made_by'\"); db.commit()", str(derived)],
        check=True,
    )  # fmt: skip
    with Memory(path, read_only=True) as memory:
        assert [fact.text for fact in memory.facts(slot="home")][:1] == [NEW]
