import json
import os
import random
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from engram import accel
from engram.doctor import examine, salvage
from engram.engram import ORIGINS, Engram, draft
from engram.errors import EngramError, MemoryTooNew, NotFound
from engram.meaning.sentences import DATA, TOKENIZER, WEIGHTS, SentenceEncoder, default_encoder
from engram.memory import Memory
from engram.opening import index_folder
from engram.store.base import Filter
from engram.store.sqlite.migrations import VERSION
from engram.store.sqlite.store import SqliteStore
from tests.store.sqlite.test_store import FORMAT_1, FORMAT_2, OLD_ORIGINS, add_old_engrams, run_sql

COUNT = 3_000
PAGE = 4096


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Engram]]:
    """Return the bytes of a memory with many pages, and its engrams."""
    path = tmp_path_factory.mktemp("healthy") / "memory.db"
    words = random.Random(7)
    originals = [
        draft(
            f"number {n} " + " ".join(words.choices(["dog", "Biscuit", "cheese", "Paris"], k=30)),
            session=f"s{n // 100}",
            namespace=f"n{n % 3}",
            speaker=("Ana", None)[n % 2],
            metadata={"n": n},
        )
        for n in range(COUNT)
    ]
    fill(path, originals)
    return path.read_bytes(), originals


def fill(path: Path, engrams: list[Engram]) -> None:
    """Create a memory in one file, without an index or a WAL."""
    with closing(SqliteStore(path)) as store:
        store.append(engrams)
        store.compact()


def read(path: Path) -> list[Engram]:
    with closing(SqliteStore(path)) as store:
        return list(store.engrams(Filter()))


@pytest.mark.parametrize("name", ["two words; true", "it's"])
def test_commands_that_are_shown_can_be_copied_to_a_shell(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    folder = tmp_path / name
    memory, backup = folder / "memory.db", folder / "backup.db"
    monkeypatch.setenv("ENGRAM_MEMORY", str(memory))
    run("remember", "one")
    command = run("backup", str(backup)).out.splitlines()[-1].removeprefix("restore it with: ")
    assert shlex.split(command) == ["engram", "restore", str(backup), "--memory", str(memory)]
    folder.chmod(0o777)
    memory.chmod(0o644)
    for warning in examine(memory).warnings:
        subprocess.run(warning.rpartition("end that with: ")[2], shell=True, check=True)
    assert examine(memory).warnings == ()
    memory.write_bytes(b"no database" * 2_000)
    command = run("stats").err.rpartition("run: ")[2]
    assert shlex.split(command) == ["engram", "doctor", "--memory", str(memory)]


def test_doctor_saves_into_a_folder_that_it_creates(run, path: Path):
    run("remember", "one")
    new = path.parent / "new" / "deep" / "rescued.db"
    assert run("doctor", "--save", str(new)).code == 0
    assert [engram.text for engram in read(new)] == ["one"]
    assert [new.parent.stat().st_mode & 0o777, new.stat().st_mode & 0o777] == [0o700, 0o600]


def test_doctor_names_the_file_that_it_cannot_save(run, path: Path):
    run("remember", "one")
    blocked = path.parent / "file"
    blocked.write_text("not a folder")
    ran = run("doctor", "--save", str(blocked / "rescued.db"))
    assert ran.code
    assert f"cannot write {blocked / 'rescued.db'}" in ran.err
    assert ".part" not in ran.err


def test_doctor_reports_a_healthy_memory(run, path: Path):
    run("remember", "one")
    run("reindex")
    ran = run("doctor", "--json")
    fingerprint = default_encoder().fingerprint
    assert ran.code == 0
    assert ran.json | {"store_bytes": 0, "index_bytes": 0} == {
        "path": str(path),
        "problems": [],
        "readable": 1,
        "lost": 0,
        "format": VERSION,
        "index": "good",
        "unindexed": 0,
        "unencoded": 0,
        "store_bytes": 0,
        "index_bytes": 0,
        "healthy": True,
        "compiled": accel.available,
        "encoder": f"{fingerprint}, 512 dimensions, {'compiled' if accel.available else 'in numpy, slower'}",
        "conflicts": [],
        "warnings": [],
        "state_documents": 0,
        "lost_state_documents": 0,
        "side_files": [
            {"name": name, "path": f"{path}{end}", "state": "missing", "problem": "", "cure": ""}
            for name, end in (
                ("derived data", ".index/statements.db"),
                ("file of uses", ".index/strength.db"),
                ("server database", ".serve"),
            )
        ],
    }
    out = run("doctor").out
    assert "database  good" in out
    assert f"encoder   {fingerprint}, 512 dimensions, " in out


def test_doctor_names_a_damaged_file_of_the_encoder(run, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run("remember", "one")
    for name in (WEIGHTS, TOKENIZER):
        shutil.copy(DATA / name, tmp_path / name)
    with (tmp_path / WEIGHTS).open("r+b") as file:
        file.seek(20_000_000)
        file.write(b"changed")
    monkeypatch.setattr("engram.meaning.sentences.default_encoder", lambda: SentenceEncoder(tmp_path))
    ran = run("doctor")
    assert ran.code == 1
    assert f"damaged: the sentence encoder cannot be used: {tmp_path / WEIGHTS} has changed since" in " ".join(
        ran.out.split()
    )


def test_a_file_of_a_newer_format_is_not_called_damaged(run, path: Path, tmp_path: Path):
    run("remember", "one")
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")
    before, new = path.read_bytes(), tmp_path / "new.db"
    for options in ((), ("--save", str(new))):
        ran = run("doctor", *options)
        assert ran.code == MemoryTooNew.exit_code
        assert f"has format {VERSION + 1}, this Engram knows up to {VERSION}; upgrade" in ran.err
        assert "damaged" not in ran.out + ran.err
    assert run("doctor", "--json").json["error"]["type"] == "MemoryTooNew"
    assert path.read_bytes() == before
    assert not new.exists()


def test_what_a_damaged_file_says_of_its_format_does_not_keep_it_from_being_saved(healthy, tmp_path: Path):
    path = tmp_path / "memory.db"
    damaged = bytearray(healthy[0])
    damaged[60:64] = (77).to_bytes(4)
    damaged[20 * PAGE : 21 * PAGE] = os.urandom(PAGE)
    path.write_bytes(damaged)
    assert examine(path).problems
    assert salvage(path, tmp_path / "new.db").saved > COUNT // 2


def test_examine_and_salvage_do_not_change_the_file(healthy, tmp_path: Path):
    path = tmp_path / "memory.db"
    path.write_bytes(healthy[0])
    examine(path)
    salvage(path, tmp_path / "new.db")
    assert path.read_bytes() == healthy[0]
    assert {name for name in os.listdir(tmp_path) if name.startswith("memory.db")} == {"memory.db"}


def test_engrams_in_the_wal_only_are_found_and_saved(path: Path, tmp_path: Path):
    with Memory(path) as memory:
        memory.remember("not yet in the file itself")
        copy = tmp_path / "copy.db"
        for end in ("", "-wal"):
            Path(f"{copy}{end}").write_bytes(Path(f"{path}{end}").read_bytes())
    log = Path(f"{copy}-wal").read_bytes()
    assert log
    assert examine(copy).readable == 1
    assert salvage(copy, tmp_path / "new.db").saved == 1
    assert Path(f"{copy}-wal").read_bytes() == log


@pytest.mark.parametrize("seed", range(4))
def test_damaged_pages_lose_only_their_engrams(healthy, tmp_path: Path, seed: int):
    content, originals = bytearray(healthy[0]), healthy[1]
    noise = random.Random(seed)
    pages = len(content) // PAGE
    for page in noise.sample(range(pages // 4, pages), 3):
        content[page * PAGE : (page + 1) * PAGE] = noise.randbytes(PAGE)
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    path.write_bytes(content)
    report = examine(path)
    assert report.problems
    assert not report.healthy
    outcome = salvage(path, new)
    assert outcome.saved == report.readable >= COUNT * 0.9
    saved = read(new)
    known = {e.id: e for e in originals}
    assert all(known[e.id] == e for e in saved)
    assert [e.id for e in saved] == [e.id for e in originals if e.id in {s.id for s in saved}]
    if outcome.lost is not None:
        assert outcome.lost == COUNT - outcome.saved
        assert set(outcome.lost_ids) == set(known) - {e.id for e in saved}


def test_a_truncated_file_is_salvaged(healthy, tmp_path: Path):
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    path.write_bytes(healthy[0][: len(healthy[0]) // 2])
    outcome = salvage(path, new)
    assert outcome.saved > COUNT // 4
    known = {e.id: e for e in healthy[1]}
    assert all(known[e.id] == e for e in read(new))


def test_a_damaged_header_loses_nothing(healthy, tmp_path: Path):
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    path.write_bytes(random.Random(1).randbytes(100) + healthy[0][100:])
    assert examine(path).problems[0] == "its header is damaged, or it was cut off"
    assert salvage(path, new).saved == COUNT
    assert read(new) == healthy[1]


def pages_of(content: bytes, kind: int) -> list[int]:
    return [n for n in range(1, len(content) // PAGE) if content[n * PAGE] == kind]


def test_salvage_does_not_need_the_inner_pages(healthy, tmp_path: Path):
    content, new = bytearray(healthy[0]), tmp_path / "new.db"
    inner = pages_of(healthy[0], 0x05)
    assert inner
    for page in inner:
        content[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    path = tmp_path / "memory.db"
    path.write_bytes(content)
    assert salvage(path, new).saved == COUNT
    assert read(new) == healthy[1]


def test_salvage_does_not_need_the_first_page(healthy, tmp_path: Path):
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    path.write_bytes(random.Random(1).randbytes(PAGE) + healthy[0][PAGE:])
    assert examine(path).problems
    outcome = salvage(path, new)
    assert (outcome.saved, outcome.lost, outcome.unnamed) == (COUNT, None, 0)
    assert read(new) == healthy[1]


def test_long_texts_are_salvaged_in_full(tmp_path: Path):
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    with Memory(path) as memory:
        originals = memory.remember_many(
            {"text": f"{n} " * size} for n, size in enumerate((1, 2_000, 2_031, 4_500, 300_000))
        )
        memory.compact()
    path.write_bytes(bytes(PAGE) + path.read_bytes()[PAGE:])
    assert salvage(path, new).saved == len(originals)
    assert read(new) == originals


def test_forgotten_engrams_are_not_salvaged(tmp_path: Path):
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    with closing(SqliteStore(path)) as store:
        store.append([draft(f"number {n} " * 50, session=f"s{n % 2}") for n in range(1_000)])
        store.forget(Filter(session="s0"))
        store.forget(Filter(before=list(store.engrams(Filter()))[300].at))
        left = list(store.engrams(Filter()))
    assert left
    content = bytearray(path.read_bytes())
    for page in pages_of(bytes(content), 0x05):
        content[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    path.write_bytes(content)
    salvage(path, new)
    assert read(new) == left


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Engram], list[Engram]]:
    """Return the bytes of a memory with engrams of every origin, those remembered, and those in quarantine."""
    path = tmp_path_factory.mktemp("guarded") / "memory.db"
    engrams = [
        draft(
            f"number {n} " * (20 if n % 50 else 2_000),
            session=f"s{n // 100}",
            speaker=("Eve", None)[n % 2],
            origin=ORIGINS[n % len(ORIGINS)],
            quarantined=f"reason {n}" if n % 3 else None,
            metadata={"n": n},
        )
        for n in range(900)
    ]
    fill(path, engrams)
    return path.read_bytes(), engrams[::3], [e for e in engrams if e.quarantined]


def with_trust(engrams: Iterable[Engram]) -> list[tuple[Engram, str, str | None]]:
    return [(engram, engram.origin, engram.quarantined) for engram in engrams]


@pytest.mark.parametrize("damage", ["none", "header", "inner pages", "first page"])
def test_salvage_keeps_origins_and_the_quarantine(guarded, tmp_path: Path, damage: str):
    content, remembered, held = bytearray(guarded[0]), *guarded[1:]
    inner = pages_of(guarded[0], 0x05) if damage == "inner pages" else [0] if damage == "first page" else []
    for page in inner:
        content[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    if damage == "header":
        content[:100] = bytes(100)
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    path.write_bytes(content)
    report = examine(path)
    assert (report.readable, bool(report.problems)) == (900, damage != "none")
    outcome = salvage(path, new)
    assert (outcome.saved, outcome.unnamed) == (900, 0)
    with closing(SqliteStore(new)) as store:
        assert with_trust(store.engrams(Filter())) == with_trust(remembered)
        assert with_trust(store.quarantined(Filter())) == with_trust(held)


@pytest.mark.parametrize("seed", range(4))
def test_lost_pages_of_the_quarantine_are_counted(guarded, tmp_path: Path, seed: int):
    content, remembered, held = bytearray(guarded[0]), *guarded[1:]
    noise = random.Random(seed)
    leaves = [page for page in pages_of(guarded[0], 0x0D) if b"reason " in content[page * PAGE : (page + 1) * PAGE]]
    for page in noise.sample(leaves, 3):
        content[page * PAGE : (page + 1) * PAGE] = noise.randbytes(PAGE)
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    path.write_bytes(content)
    assert examine(path).problems
    outcome = salvage(path, new)
    with closing(SqliteStore(new)) as store:
        assert list(store.engrams(Filter())) == remembered
        saved = list(store.quarantined(Filter()))
    assert outcome.saved == len(remembered) + len(saved) < 900
    assert outcome.lost == len(outcome.lost_ids) == len(held) - len(saved)
    assert set(outcome.lost_ids) == {e.id for e in held} - {e.id for e in saved}


@pytest.mark.parametrize("script", [FORMAT_1, FORMAT_2])
@pytest.mark.parametrize("damaged", [False, True])
def test_files_of_older_formats_are_salvaged(tmp_path: Path, script: str, damaged: bool):
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    run_sql(path, script)
    add_old_engrams(path)
    if damaged:
        content = bytearray(path.read_bytes())
        content[:PAGE] = bytes(PAGE)
        path.write_bytes(content)
    assert examine(path).readable == 2 + len(OLD_ORIGINS)
    assert salvage(path, new).saved == 2 + len(OLD_ORIGINS)
    assert [e.origin for e in read(new)][2:] == [row[-1] for row in OLD_ORIGINS]


def test_doctor_reports_and_saves_a_damaged_memory(run, healthy, path: Path, tmp_path: Path):
    content = bytearray(healthy[0])
    middle = len(content) // PAGE // 2 * PAGE
    content[middle : middle + PAGE] = bytes(PAGE)
    path.write_bytes(content)
    ran = run("doctor")
    assert ran.code == 7
    assert "database  damaged" in ran.out
    assert f"save what can be read: engram doctor --memory {path} --save NEW.db" in ran.out
    new = tmp_path / "new.db"
    saved = run("doctor", "--save", str(new))
    assert saved.code == 1
    assert "memories saved to" in saved.out
    again = run("doctor", "--save", str(new), "--json")
    assert again.json["error"]["message"].endswith("so that nothing is overwritten")
    assert run("doctor", "-m", str(new)).code == 0
    assert run("recall", "number 17", "-n", "n2", "-m", str(new)).out


def test_a_healthy_memory_is_saved_in_full(run, healthy, path: Path, tmp_path: Path):
    path.write_bytes(healthy[0])
    outcome = run("doctor", "--save", str(tmp_path / "new.db"), "--json")
    assert outcome.code == 0
    assert outcome.json["saved"] == COUNT
    assert read(tmp_path / "new.db") == healthy[1]


def test_a_damaged_index_is_reported_and_rebuilt(run, path: Path):
    run("remember", "one")
    run("reindex")
    state = Path(f"{path}.index") / "state.json"
    state.write_text("noise")
    ran = run("doctor", "--json")
    assert ran.code == 1
    assert ran.json["index"].startswith("damaged: ")
    assert run("reindex").code == 0
    assert run("doctor", "--json").json["index"] == "good"


def test_an_index_of_another_memory_is_damaged(run, path: Path, tmp_path: Path):
    run("remember", "one")
    run("reindex")
    other = tmp_path / "other.db"
    run("remember", "two", "-m", str(other))
    Path(f"{path}.index").rename(f"{other}.index")
    assert run("doctor", "-m", str(other), "--json").json["index"].startswith("damaged: ")


def test_files_that_are_not_a_memory_are_reported(run, tmp_path: Path):
    with pytest.raises(NotFound):
        examine(tmp_path / "none.db")
    noise = tmp_path / "noise.db"
    noise.write_bytes(b"noise" * 10_000)
    assert examine(noise).problems == ("SQLite cannot read it: file is not a database",)
    with pytest.raises(EngramError, match="nothing can be read"):
        salvage(noise, tmp_path / "new.db")
    assert run("doctor", "-m", str(noise)).code == 7
    assert json.loads(run("doctor", "-m", str(tmp_path / "none.db"), "--json").out)["error"]["exit_code"] == 3


def test_a_salvage_appears_only_when_it_is_whole(healthy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    path.write_bytes(healthy[0])
    seen = []
    append = SqliteStore.append

    def watched(store: SqliteStore, engrams):
        seen.append(new.exists())
        return append(store, engrams)

    monkeypatch.setattr(SqliteStore, "append", watched)
    assert salvage(path, new).saved == COUNT
    assert len(seen) > 1
    assert not any(seen)
    assert read(new) == healthy[1]
    assert new.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob(".new.db*"))


def test_a_salvage_that_is_broken_off_leaves_no_new_memory(healthy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, new = tmp_path / "memory.db", tmp_path / "new.db"
    path.write_bytes(healthy[0])
    monkeypatch.setattr("engram.doctor._save", lambda store, engrams: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        salvage(path, new)
    assert os.listdir(tmp_path) == ["memory.db"]


def test_doctor_warns_of_rights_of_others_and_of_a_second_name(run, path: Path, tmp_path: Path):
    run("remember", "one")
    assert not examine(path).warnings
    path.chmod(0o644)
    run("reindex")
    index_folder(str(path)).chmod(0o755)
    Path(f"{path}.serve").touch(0o600)
    tmp_path.chmod(0o777)
    os.link(path, tmp_path / "second.db")
    ran = run("doctor")
    assert ran.code == 0
    mend = f"chmod 600 {path} && chmod 700 {path}.index"
    assert f"warning: other users of this machine may read it; end that with: {mend}\n" in ran.out
    assert f"warning: other users of this machine may replace it; end that with: chmod go-w {tmp_path}\n" in ran.out
    assert "warning: it has 2 names (hard links)" in ran.out


def test_a_path_with_a_tilde_is_in_the_home_folder(run, home: Path):
    assert run("remember", "at home", "--memory", "~/mine.db").code == 0
    assert (home / "mine.db").is_file()
    with Memory("~/mine.db") as memory:
        assert [engram.text for engram in memory.engrams()] == ["at home"]
    assert examine("~/mine.db").readable == 1


@pytest.mark.parametrize("where", ["$HOME/x.db", "${HOME}/x.db", "~nobody-of-this-name/x.db"])
def test_a_path_that_only_a_shell_understands_is_refused(run, where: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(EngramError, match="only a shell replaces"):
        Memory(where)
    monkeypatch.setenv("ENGRAM_MEMORY", where)
    assert "only a shell replaces" in run("remember", "lost").err
