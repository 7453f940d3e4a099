"""What holds: statements of real memories, what closes them, and what is left when turns are forgotten."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram import Memory
from engram.errors import InvalidEngram, MemoryDamaged
from engram.opening import STATEMENTS, index_folder
from engram.reflection.knowledge import AT_ONCE

OLD, NEW = "My phone number is 0171 220 4415.", "My number is 0160 99 7754 from today."


def on(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


def phones(memory: Memory, at: datetime | None = None) -> list[str]:
    return [fact.text for fact in memory.facts(slot="phone", at=at)]


def with_numbers(memory: Memory) -> None:
    memory.remember(OLD, at=on(1, 5))
    memory.remember("Thanks, that helps a lot!", at=on(1, 6))
    memory.remember(f"Dropped the old one in the canal. {NEW}", at=on(3, 9))


def test_a_later_statement_closes_the_earlier_one_in_its_slot() -> None:
    with Memory(":memory:") as memory:
        with_numbers(memory)
        (fact,) = memory.facts(slot="phone")
        assert (fact.text, fact.slot, fact.own, fact.until, fact.closed_by) == (NEW, "phone", True, None, None)
        assert fact.engram.text[fact.start : fact.stop] == NEW
        assert [older.text for older in fact.history] == [OLD]
        assert fact.history[0].closed_by == fact.engram.id
        assert fact.history[0].until == on(3, 9)


def test_of_a_past_day_what_held_then_is_returned() -> None:
    with Memory(":memory:") as memory:
        with_numbers(memory)
        assert phones(memory, on(1, 1)) == []
        assert phones(memory, on(2, 1)) == [OLD]
        assert phones(memory, on(3, 9)) == [NEW]


def test_what_ends_a_slot_closes_what_it_held_and_holds_itself() -> None:
    with Memory(":memory:") as memory:
        memory.remember(OLD, at=on(1, 5))
        memory.remember(gone := "I have no phone any more, I gave the number back.", at=on(2, 5))
        found = [fact.text for fact in memory.facts()]
        assert OLD not in found
        assert gone in found


def test_the_order_of_saying_counts_not_that_of_remembering() -> None:
    with Memory(":memory:") as memory:
        memory.remember(NEW, at=on(3, 9))
        memory.remember(OLD, at=on(1, 5))
        assert phones(memory) == [NEW]


def test_a_forgotten_turn_is_no_fact_and_closes_nothing() -> None:
    with Memory(":memory:") as memory:
        with_numbers(memory)
        (fact,) = memory.facts(slot="phone")
        memory.forget(id=fact.engram.id)
        (reopened,) = memory.facts(slot="phone")
        assert (reopened.text, reopened.until, reopened.history) == (OLD, None, ())
        memory.forget(namespace="default")
        assert len(memory.facts()) == 0


@pytest.mark.parametrize(
    "turn",
    [
        {"text": "Your phone number is 0800 11 22.", "role": "assistant"},
        {"text": NEW, "role": "user", "origin": "document"},
        {"text": NEW, "role": "tool"},
        {"text": NEW, "origin": "agent"},
        {"text": "My sister's phone number is 0160 99 7754.", "role": "user"},
        {"text": NEW, "speaker": "Ugo"},
    ],
)
def test_what_others_say_or_are_closes_nothing(turn: dict[str, str]) -> None:
    with Memory(":memory:") as memory:
        memory.remember(OLD, at=on(1, 5))
        memory.remember(**turn, at=on(2, 5))
        assert OLD in phones(memory)


def test_namespaces_are_apart() -> None:
    with Memory(":memory:") as memory:
        memory.remember(OLD, at=on(1, 5), namespace="ana")
        memory.remember(NEW, at=on(2, 5), namespace="ben")
        assert [fact.text for fact in memory.facts(namespace="ana")] == [OLD]
        assert [fact.text for fact in memory.facts(namespace="ben")] == [NEW]
        assert len(memory.facts(namespace="cem")) == 0


def test_own_parts_what_is_said_of_oneself_from_what_is_said_of_others() -> None:
    with Memory(":memory:") as memory:
        memory.remember(OLD)
        memory.remember("My brother's phone number is 0151 22.")
        assert [fact.text for fact in memory.facts(slot="phone", own=True)] == [OLD]
        assert [fact.text for fact in memory.facts(slot="phone", own=False)] == [
            "My brother's phone number is 0151 22."
        ]


def test_reading_goes_on_where_it_stopped_and_does_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        with_numbers(memory)
        assert memory.reflect() == 3
        assert memory.reflect() == 0
    with Memory(path) as memory, Memory(path) as other:
        assert memory.reflect() == 0
        memory.remember("I work as a nurse.")
        assert other.reflect() == 1
        assert memory.reflect() == 0
        assert len(memory.facts()) == len(other.facts())


def test_more_unread_turns_than_a_question_reads_are_counted() -> None:
    with Memory(":memory:") as memory:
        memory.remember_many({"text": OLD} for _ in range(AT_ONCE + 1))
        found = memory.facts()
        assert (len(found), found.unread) == (0, AT_ONCE + 1)
        memory.reflect(seconds=60)
        found = memory.facts()
        assert (len(found), found.unread) == (1, 0)


def test_a_lost_or_foreign_file_is_derived_again_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        with_numbers(memory)
        assert phones(memory) == [NEW]
    derived = index_folder(str(path)) / STATEMENTS
    derived.unlink()
    with Memory(path) as memory:
        assert phones(memory) == [NEW]
    derived.write_bytes(b"no database" * 1_000)
    with Memory(path) as memory, pytest.raises(MemoryDamaged, match=STATEMENTS):
        memory.facts()


def test_a_memory_that_is_read_only_derives_in_ram(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        with_numbers(memory)
    with Memory(path, read_only=True) as memory:
        assert phones(memory) == [NEW]
    assert not (index_folder(str(path)) / STATEMENTS).exists()


def test_wrong_arguments_are_named() -> None:
    with Memory(":memory:") as memory:
        with pytest.raises(ValueError, match="'shoe' is no slot; the slots are home, "):
            memory.facts(slot="shoe")
        with pytest.raises(InvalidEngram, match="at"):
            memory.facts(at="yesterday")  # type: ignore[arg-type]


def test_a_process_that_is_killed_while_it_reads_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        memory.remember_many({"text": f"Room {n} is mine. {OLD if n % 2 else NEW}"} for n in range(3_000))
    script = (
        "import os, threading; from engram import Memory; memory = Memory({!r}); memory.facts;"
        "threading.Timer(0.7, lambda: os.kill(os.getpid(), 9)).start(); memory.reflect()"
    )
    subprocess.run([sys.executable, "-c", script.format(str(path))], check=False)
    with Memory(path) as memory:
        memory.reflect()
        first = len(memory.facts())
        (index_folder(str(path)) / STATEMENTS).unlink()
    with Memory(path) as memory:
        memory.reflect()
        assert len(memory.facts()) == first > 0


def test_the_command_prints_what_holds_with_what_it_replaced(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        with_numbers(memory)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "engram", *arguments, "--memory", str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    shown = run("facts", "--slot", "phone", "--timezone", "UTC")
    assert shown.returncode == 0
    assert shown.stdout.splitlines() == [
        f"2026-03-09  phone         {NEW}",
        f"            before that, 2026-01-05: {OLD}",
    ]
    record = json.loads(run("facts", "--slot", "phone", "--at", "2026-02-01", "--json").stdout)
    assert [fact["text"] for fact in record["facts"]] == [OLD]
    assert record["unread"] == 0
    assert json.loads(run("reflect", "--json").stdout) == {"read": 0}
    wrong = run("facts", "--slot", "shoe")
    assert (wrong.returncode, "is no slot" in wrong.stderr) == (2, True)


def test_derived_data_of_the_first_format_is_derived_again(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        with_numbers(memory)
        memory.reflect()
    derived = index_folder(str(path)) / STATEMENTS
    with closing(sqlite3.connect(derived)) as db:
        later = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('statements', 'meta')")
        for (name,) in later.fetchall():
            db.execute(f"DROP TABLE {name}")
        db.execute("DROP INDEX statements_by_session")
        db.executescript("ALTER TABLE statements DROP COLUMN wish; PRAGMA user_version = 1")
    with Memory(path, read_only=True) as memory:
        assert phones(memory) == [NEW]
    with Memory(path) as memory:
        assert memory.unread() == 3
        assert phones(memory) == [NEW]
    with closing(sqlite3.connect(derived)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)


def derived_turns(file: Path) -> int:
    """Return how many turns have statements in a file of derived data, and check that its log holds none."""
    log = file.with_name(file.name + "-wal")
    assert not log.exists() or log.stat().st_size == 0
    with closing(sqlite3.connect(file)) as db:
        return int(db.execute("SELECT count(DISTINCT seq) FROM statements").fetchone()[0])


@pytest.mark.parametrize("opened_anew", [False, True])
def test_compact_removes_what_was_derived_of_a_forgotten_turn(tmp_path: Path, opened_anew: bool) -> None:
    path = tmp_path / "memory.db"
    file = index_folder(str(path)) / STATEMENTS
    with Memory(path) as memory:
        with_numbers(memory)
        memory.remember("I live in Bergen.", namespace="bo")
        memory.reflect()
        with closing(sqlite3.connect(file)) as db:
            codes = [row[0] for row in db.execute("SELECT code FROM statements WHERE namespace = 1")]
        assert codes
        memory.forget(namespace="default")
        if not opened_anew:
            memory.compact()
            assert derived_turns(file) == 1
    if opened_anew:
        with Memory(path) as memory:
            memory.compact()
    assert derived_turns(file) == 1
    content = file.read_bytes()
    assert not any(code in content for code in codes)
    with Memory(path) as memory:
        assert [fact.text for fact in memory.facts(namespace="bo")] == ["I live in Bergen."]
        assert phones(memory) == []


def test_compact_makes_no_file_of_derived_data(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        with_numbers(memory)
        memory.compact()
        assert not (index_folder(str(tmp_path / "memory.db")) / STATEMENTS).exists()


@pytest.mark.parametrize("by", ["deleting the file", "deleting the folder", "another file"])
def test_derived_data_that_is_deleted_while_it_is_open_is_derived_again(tmp_path: Path, by: str) -> None:
    folder = index_folder(str(tmp_path / "memory.db"))
    file = folder / STATEMENTS
    with Memory(tmp_path / "memory.db") as memory:
        with_numbers(memory)
        assert phones(memory) == [NEW]
        if by == "deleting the folder":
            shutil.rmtree(folder)
        elif by == "another file":
            with Memory(tmp_path / "other.db") as other:
                other.remember("I live in Bergen.")
                other.reflect()
            os.replace(index_folder(str(tmp_path / "other.db")) / STATEMENTS, file)
        else:
            for path in folder.glob(f"{STATEMENTS}*"):
                path.unlink()
        assert phones(memory) == [NEW]
        assert NEW in memory.profile().text
        assert any(NEW in hit.engram.text for hit in memory.recall("What is my phone number?"))
        memory.remember("I live in Oslo.")
        assert [fact.text for fact in memory.facts(slot="home")] == ["I live in Oslo."]
        memory.compact()
    assert derived_turns(file) == 3
