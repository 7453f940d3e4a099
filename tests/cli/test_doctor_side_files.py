"""`engram doctor` on the files beside a memory: derived data, uses, the server's file, and what to do about each."""

import os
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engram.memory import Memory
from engram.opening import index_folder
from engram.reflection.database import VERSION

FILES = {"derived data": "statements.db", "file of uses": "strength.db", "server database": ""}


@pytest.fixture
def folder(run, path: Path) -> Path:
    """Return the folder of the index of a memory with every file that it can have."""
    serve = pytest.importorskip("engram.serve.database", reason="the server is not installed")
    run("remember", "I live in Ghent.")
    run("reflect")
    run("recall", "Where do I live?")
    serve.ServerDatabase(serve.server_database_path(path)).close()
    return index_folder(str(path))


def file_of(folder: Path, name: str) -> Path:
    return folder / FILES[name] if FILES[name] else Path(str(folder).replace(".index", ".serve"))


def states(run) -> dict[str, str]:
    return {file["name"]: file["state"] for file in run("doctor", "--json").json["side_files"]}


def sql(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)


def other_application(path: Path) -> None:
    path.unlink()
    sql(path, "PRAGMA application_id=7; CREATE TABLE a (b)")


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def folder_in_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def noise(path: Path) -> None:
    path.write_bytes(b"noise" * 9_000)


def newer(path: Path) -> None:
    sql(path, "PRAGMA user_version=99")


def no_meta(path: Path) -> None:
    sql(path, "DROP TABLE IF EXISTS meta; DROP TABLE IF EXISTS uses")


def test_good_files_are_named_and_nothing_is_to_be_done(run, folder: Path):
    assert states(run) == dict.fromkeys(FILES, "good")
    ran = run("doctor")
    assert ran.code == 0
    assert all(f"\n{name}" in ran.out for name in FILES)


@pytest.mark.parametrize(
    ("name", "harm", "state"),
    [
        ("derived data", noise, "damaged"),
        ("derived data", cut_off, "damaged"),
        ("derived data", no_meta, "damaged"),
        ("derived data", other_application, "foreign"),
        ("derived data", newer, "newer"),
        ("derived data", folder_in_place, "unreadable"),
        ("file of uses", noise, "damaged"),
        ("file of uses", no_meta, "damaged"),
        ("server database", cut_off, "damaged"),
        ("server database", newer, "newer"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_cure(
    run, folder: Path, name: str, harm: Callable[[Path], None], state: str
):
    file = file_of(folder, name)
    harm(file)
    ran = run("doctor", "--json")
    assert (ran.code, ran.json["healthy"], ran.json["problems"]) == (1, False, [])
    (found,) = [each for each in ran.json["side_files"] if each["state"] != "good"]
    assert (found["name"], found["path"], found["state"]) == (name, str(file), state)
    assert found["problem"]
    shown = run("doctor")
    assert shown.code == 1
    assert f"- {file}: {found['problem']}; {found['cure']}" in shown.out.splitlines()
    if found["cure"].startswith("delete it: "):
        assert name != "server database"
        subprocess.run(shlex.split(found["cure"].removeprefix("delete it: ").partition(": ")[0]), check=True)
    else:
        assert found["cure"].startswith("move it away: ")
        file.rename(f"{file}.away")
    assert run("doctor").code == 0
    run("reflect")
    run("recall", "Where do I live?")
    assert run("facts").out.rstrip().endswith("I live in Ghent.")
    assert run("doctor").code == 0


@pytest.mark.parametrize("name", FILES)
def test_a_new_file_without_tables_and_a_missing_one_are_no_damage(run, folder: Path, name: str):
    file = file_of(folder, name)
    file.unlink()
    assert states(run)[name] == "missing"
    file.touch(0o600)
    assert states(run)[name] == "good"
    assert run("doctor").code == 0


def test_derived_data_of_an_older_version_is_no_damage(run, folder: Path):
    sql(folder / "statements.db", f"PRAGMA user_version={VERSION - 1}")
    assert states(run)["derived data"] == "good"


def test_a_damaged_memory_keeps_its_exit_code(run, folder: Path, path: Path):
    noise(folder / "statements.db")
    noise(path)
    assert run("doctor").code == 7


def test_files_that_another_process_has_open_are_read_with_their_logs_and_not_changed(run, folder: Path, path: Path):
    with Memory(path) as memory:
        memory.remember("I work in Bruges.")
        memory.reflect()
        before = {file.name: file.read_bytes() for file in folder.glob("statements.db*")}
        assert "statements.db-wal" in before
        assert states(run)["derived data"] == "good"
        assert {file.name: file.read_bytes() for file in folder.glob("statements.db*")} == before


def test_a_file_in_the_place_of_the_folder_of_the_index_is_damage(run, folder: Path):
    shutil.rmtree(folder)
    folder.touch(0o600)
    ran = run("doctor")
    assert ran.code == 1
    assert f"damaged: {folder} is no folder; move it away" in " ".join(ran.out.split())
    folder.unlink()
    assert run("doctor").code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_named(run, folder: Path):
    (folder / "statements.db").chmod(0)
    assert states(run)["derived data"] == "unreadable"
    assert "let yourself read and write it, or delete it" in run("doctor").out
