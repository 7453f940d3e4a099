"""Uses of real memories: how they are counted, kept, forgotten and lost, in files and processes."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engram import Memory
from engram.errors import EngramError
from engram.notes.choosing import choose
from engram.notes.wording import LARGE
from engram.opening import USES, index_folder
from engram.recall.recaller import STRENGTH
from engram.strength.uses import VARIABLE, Uses

TWIN = "The spare key hangs behind the blue door of the shed."
BETTER = "The key of the garden shed, the spare one, hangs behind the blue door: key, shed, spare."
OTHER = "My aunt Odile repairs clocks in Besançon."
QUERY = "Where does the spare key of the shed hang?"
LONG_AGO = datetime.now(UTC) - timedelta(days=40)


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory with two equal turns, of which the later one comes first, and another one."""
    path = tmp_path_factory.mktemp("template") / "memory.db"
    with Memory(path) as memory:
        memory.remember_many(
            {"text": text, "session": f"s{number}", "at": LONG_AGO + timedelta(hours=number), "recorded_at": LONG_AGO}
            for number, text in enumerate((TWIN, TWIN, OTHER))
        )
        memory.flush()
    return path


@pytest.fixture
def path(tmp_path: Path, template: Path) -> Path:
    """A copy of it."""
    shutil.copytree(template.parent, tmp_path / "place")
    return tmp_path / "place" / template.name


def file_of(path: Path) -> Path:
    return index_folder(str(path)) / USES


def rows(path: Path) -> dict[str, tuple[float, int]]:
    with closing(sqlite3.connect(file_of(path))) as db:
        return {id: (amount, day) for id, amount, day in db.execute("SELECT id, amount, day FROM uses")}


def pass_days(path: Path, days: int = 1) -> None:
    """Let days pass: the counts are then of earlier days."""
    with closing(sqlite3.connect(file_of(path))) as db:
        db.execute("UPDATE uses SET day = day - ?, before = max(-1, before - ?)", (days, days))
        db.commit()


def ids(memory: Memory) -> list[str]:
    return [engram.id for engram in memory.engrams()]


def found(memory: Memory, query: str = QUERY) -> list[str]:
    return [hit.engram.id for hit in memory.recall(query)]


def use_daily(path: Path, id: str, days: int) -> None:
    for _ in range(days):
        with Memory(path) as memory:
            memory.strengthen([id])
        pass_days(path)


def use_much(path: Path, *ids: str) -> None:
    """Make engrams as strong as the use on twenty days makes them."""
    with Memory(path) as memory:
        memory.strengthen(ids)
    with closing(sqlite3.connect(file_of(path))) as db:
        db.executemany("UPDATE uses SET amount = 20 WHERE id = ?", ((id,) for id in ids))
        db.commit()
    pass_days(path)


def test_what_was_recalled_on_several_days_comes_before_its_equal(path: Path) -> None:
    with Memory(path) as memory:
        old, new, _ = ids(memory)
        assert found(memory)[:2] == [new, old]
    use_daily(path, old, 3)
    with Memory(path) as memory:
        hits = memory.recall(QUERY)
        assert [hit.engram.id for hit in hits[:2]] == [old, new]
        assert hits[0].why[STRENGTH] > hits[1].why.get(STRENGTH, 0) >= 0
        assert STRENGTH not in hits[2].why
        assert hits[0].score == pytest.approx(hits[1].score)
        assert [hit.engram.id for hit in memory.recall(QUERY, limit=1)] == [old]
        explained = memory.explain(QUERY, old)
        assert (explained.place, explained.why[STRENGTH]) == (1, hits[0].why[STRENGTH])
        assert memory.explain(QUERY, new).place == 2


def test_a_better_match_stays_first_and_what_is_told_later_too(path: Path) -> None:
    with Memory(path) as memory:
        old, new, _ = ids(memory)
        better = memory.remember_many([{"text": BETTER, "at": LONG_AGO, "recorded_at": LONG_AGO}])[0].id
        assert found(memory)[0] == better
    use_much(path, old)
    with Memory(path) as memory:
        assert found(memory)[:3] == [better, old, new]
        latest = memory.remember(TWIN).id
        order = found(memory)
        assert order.index(latest) < order.index(old)


def test_what_is_asked_for_by_its_own_words_is_found_however_weak(path: Path) -> None:
    with Memory(path) as memory:
        others = memory.remember_many(
            {"text": f"My aunt Odile mends clock number {n}.", "at": LONG_AGO, "recorded_at": LONG_AGO}
            for n in range(8)
        )
    use_much(path, *(one.id for one in others))
    with Memory(path) as memory:
        assert memory.recall(OTHER)[0].engram.text == OTHER
        assert memory.recall("Where does aunt Odile repair clocks?")[0].engram.text == OTHER


def test_a_recall_counts_a_day_once_and_changes_nothing_on_that_day(path: Path) -> None:
    with Memory(path) as memory:
        order = found(memory)
        for _ in range(3):
            assert found(memory) == order
    assert {id: amount for id, (amount, _) in rows(path).items()} == dict.fromkeys(order[:2], 1.0)
    with Memory(path) as memory:
        assert found(memory) == order
    assert {amount for amount, _ in rows(path).values()} == {1.0}
    pass_days(path)
    with Memory(path) as memory:
        assert found(memory) == order
    assert all(1.9 < rows(path)[id][0] < 2 for id in order[:2])


def test_only_what_is_used_is_counted(path: Path) -> None:
    with Memory(path) as memory:
        memory.recall(QUERY, floor=0)
        memory.recall(QUERY, strengthen=False)
        memory.recall("thanks!")
        memory.explain(QUERY, ids(memory)[0])
        memory.strengthen(["019c2f7e-5c1a-7d70-8a3b-0f5d7e9a1c22", "no id"])
    assert not file_of(path).exists() or rows(path) == {}
    with Memory(path) as memory:
        working = memory.working(QUERY, budget=200)
        quoted = {id for part in working.parts if part.name == "recalled" for id in part.engrams}
    assert quoted
    assert rows(path).keys() == quoted


def test_notes_count_only_when_they_reach_a_prompt(path: Path) -> None:
    from engram.notes.finding import find_notes

    with Memory(path) as memory:
        assert find_notes(memory, QUERY, LARGE, namespace="default", limit=10, held_ids=()).hits
    assert not file_of(path).exists()


def test_the_first_hits_score_decides_about_notes_as_without_strength(path: Path) -> None:
    with Memory(path) as memory:
        old, *_ = ids(memory)
    use_much(path, old)
    with Memory(path) as memory:
        hits = memory.recall(QUERY)
        least = hits[1].score
        assert choose(hits, LARGE, held_ids=(), least_score=least)
        assert not choose(hits, LARGE, held_ids=(), least_score=1.0)


def test_a_memory_in_ram_counts_too() -> None:
    with Memory(":memory:") as memory:
        id = memory.remember(TWIN).id
        day = [20_000]
        uses = Uses(memory._store, None, day=lambda: day[0])
        uses.count([id])
        assert STRENGTH not in uses.ordered(memory.recall(QUERY))[0].why
        day[0] += 1
        assert uses.ordered(memory.recall(QUERY))[0].why[STRENGTH] > 0
        uses.forget(id)
        assert uses.of([id]) == {}


def test_the_file_belongs_to_its_owner_alone_and_holds_ids_only(path: Path) -> None:
    with Memory(path) as memory:
        found(memory)
    file = file_of(path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert ids_in(content, rows(path))
    assert b"spare" not in content
    assert b"default" not in content


def ids_in(content: bytes, wanted: Sequence[str] | dict[str, tuple[float, int]]) -> bool:
    return bool(wanted) and all(id.encode() in content for id in wanted)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"no database at all" * 1_000),
        lambda file: file.write_bytes(file.read_bytes()[:4_096] + b"\xff" * 8_192),
        lambda file: sqlite3.connect(file).execute("PRAGMA user_version=99").connection.close(),
        lambda file: (file.unlink(), file.mkdir()),
    ],
)
def test_a_damaged_file_means_no_strength_and_is_said_once(
    path: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    with Memory(path) as memory:
        order = found(memory)
    pass_days(path)
    damage(file_of(path))
    with caplog.at_level(logging.WARNING, "engram"), Memory(path) as memory:
        for _ in range(3):
            assert found(memory) == order
            assert all(STRENGTH not in hit.why for hit in memory.recall(QUERY))
    assert sum("does not come before its equals" in record.getMessage() for record in caplog.records) == 1


def test_compacting_removes_a_damaged_file(path: Path) -> None:
    with Memory(path) as memory:
        found(memory)
    file_of(path).write_bytes(b"no database at all" * 1_000)
    with Memory(path) as memory:
        memory.compact()
        assert not file_of(path).exists()
        assert found(memory)


def test_a_file_that_is_deleted_while_it_is_open_is_made_anew(path: Path) -> None:
    with Memory(path) as memory:
        order = found(memory)
        memory._uses.write()
        assert found(memory) == order
        for name in file_of(path).parent.glob(f"{USES}*"):
            name.unlink()
        assert found(memory) == order
        memory.strengthen([ids(memory)[2]])
    with Memory(path) as memory:
        assert found(memory) == order


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_that_cannot_be_written_changes_nothing(path: Path, whole: bool) -> None:
    with Memory(path) as memory:
        order = found(memory)
    before = rows(path)
    pass_days(path)
    script = """
import logging, os, sys
from engram import Memory
logging.basicConfig(stream=sys.stdout, format="%(message)s")
path, query, read_only = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
Memory(":memory:").recall(query)  # loads what only this user may read
if os.geteuid() == 0:
    os.setuid(65534)
with Memory(path, read_only=read_only) as memory:
    for _ in range(2):
        print([hit.engram.id for hit in memory.recall(query)])
"""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(path.parent, place, dirs_exist_ok=True)
        names = [Path(place), *Path(place).rglob("*")]
        for name in names:
            closed = whole or name.name.startswith(USES)
            if os.geteuid() == 0 and not closed:
                os.chown(name, 65534, 65534)
            name.chmod((0o555 if closed else 0o755) if name.is_dir() else (0o444 if closed else 0o644))
        command = [sys.executable, "-c", script, str(Path(place) / path.name), QUERY, str(whole)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
        for name in names:
            name.chmod(0o755 if name.is_dir() else 0o644)
        assert run.returncode == 0, run.stderr
        lines = run.stdout.splitlines()
        assert [line for line in lines if line.startswith("[")] == [repr(order)] * 2
        assert sum("does not come before its equals" in line for line in lines) == (0 if whole else 1)
        assert rows(Path(place) / path.name).keys() == before.keys()


def test_a_memory_for_reading_only_reads_strength_and_counts_nothing(path: Path) -> None:
    with Memory(path) as memory:
        old, new, _ = ids(memory)
    with Memory(path, read_only=True) as memory:
        assert found(memory)[:2] == [new, old]
    assert not file_of(path).exists()
    use_much(path, old)
    before = rows(path)
    with Memory(path, read_only=True) as memory:
        assert found(memory)[:2] == [old, new]
        memory.strengthen([new])
    assert rows(path) == before


FORGETTING = (
    "import sys; from engram.opening import open_store; from engram.store.base import Filter\n"
    "open_store(sys.argv[1]).forget(Filter(), sys.argv[2])"
)
COUNTING = (
    "import sys, time; from engram import Memory; memory = Memory(sys.argv[1])\n"
    "print([hit.engram.id for hit in memory.recall(sys.argv[2])], flush=True)\n"
)


def test_two_processes_count_a_day_once(path: Path) -> None:
    script = f"{COUNTING}sys.stdin.read(); memory.close()"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), QUERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline()
    for process in running:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(rows(path)) == 2
    assert {amount for amount, _ in rows(path).values()} == {1.0}


def test_a_memory_that_was_not_closed_writes_its_counts_at_the_end_of_the_process(path: Path) -> None:
    subprocess.run([sys.executable, "-c", COUNTING, str(path), QUERY], capture_output=True, check=True, timeout=60)
    assert len(rows(path)) == 2


def test_a_killed_process_loses_counts_and_nothing_else(path: Path) -> None:
    with Memory(path) as memory:
        order = found(memory)
    before = rows(path)
    script = f"{COUNTING}memory.strengthen([e.id for e in memory.engrams()]); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script, str(path), QUERY], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    assert process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    process.stdout.close()
    with Memory(path) as memory:
        assert found(memory) == order
    assert rows(path).keys() == before.keys()


@pytest.mark.parametrize("way", ["id", "session", "before", "compact", "quarantine"])
def test_what_is_forgotten_is_counted_no_more(path: Path, way: str) -> None:
    with Memory(path) as memory:
        found(memory)
        memory._uses.write()
        old, new, _ = ids(memory)
        assert rows(path).keys() == {old, new}
        if way == "id":
            memory.forget(id=old)
        elif way == "session":
            memory.forget(session="s0")
        elif way == "before":
            memory.forget(before=LONG_AGO + timedelta(minutes=1))
        elif way == "quarantine":
            memory.quarantine(old, "It is not true.")
        else:
            # As an older version, which knows no uses, forgets.
            subprocess.run([sys.executable, "-c", FORGETTING, str(path), old], check=True, timeout=60)
            assert rows(path).keys() == {old, new}
            memory.compact()
            assert old.encode() not in file_of(path).read_bytes()
        assert rows(path).keys() == {new}
        memory.compact()
        assert old.encode() not in b"".join(one.read_bytes() for one in file_of(path).parent.glob(f"{USES}*"))


def test_a_namespace_that_is_forgotten_leaves_no_counts(path: Path) -> None:
    with Memory(path) as memory:
        found(memory)
        memory.forget(namespace="default")
        memory.remember("The key is in the drawer.")
    assert not file_of(path).exists() or rows(path) == {}


@pytest.mark.parametrize("way", ["argument", "variable"])
def test_strength_can_be_switched_off(path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Memory(path) as memory:
        old, new, _ = ids(memory)
    use_much(path, old)
    before = rows(path)
    if way == "variable":
        monkeypatch.setenv(VARIABLE, "off")
    with Memory(path, strength=None if way == "variable" else False) as memory:
        assert not memory.strength
        assert found(memory)[:2] == [new, old]
        memory.strengthen([new])
        assert rows(path) == before
        memory.forget(id=old)
    assert rows(path) == {}


def test_a_variable_that_is_no_switch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "perhaps")
    with pytest.raises(EngramError, match="ENGRAM_STRENGTH: 'perhaps' is no switch; write 1 or 0"):
        Memory(":memory:")
    assert Memory(":memory:", strength=False).strength is False


def test_uses_of_long_ago_are_deleted(path: Path) -> None:
    with Memory(path) as memory:
        old, new, _ = ids(memory)
    use_much(path, old)
    pass_days(path, 400)
    use_much(path, new)
    assert rows(path).keys() == {new}


@pytest.mark.parametrize("in_ram", [True, False])
def test_an_id_that_is_none_is_ignored_and_strength_goes_on(path: Path, in_ram: bool) -> None:
    unknown = "018f1111-2222-7333-8444-555566667777"
    with Memory(":memory:" if in_ram else path) as memory:
        engram = memory.remember(OTHER)
        memory.strengthen(["front door"])
        memory._uses.write()
        memory.strengthen([engram.id.upper(), "front door", unknown])
        memory._uses.write()
        assert list(memory._uses.of([engram.id, unknown])) == [engram.id]
