import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engram.memory import Memory

ID = "018f1111-2222-7333-8444-555566667777"


def test_recall_finds_a_remembered_text(run):
    assert run("remember", "My dog is called Biscuit.", "--speaker", "Ana").code == 0
    ran = run("recall", "What is my dog called?")
    assert ran.code == 0
    assert ran.err == ""
    first, text, id = ran.out.splitlines()
    assert first.startswith("1.  ")
    assert first.endswith("  Ana  (default)")
    assert text == "    My dog is called Biscuit."
    (hit,) = run("recall", "dog", "--json").json["hits"]
    assert hit["engram"]["id"] == id.strip()
    assert 0 < hit["score"] <= 1


def test_remember_accepts_every_field(run):
    stored = run(
        *("remember", "-", "-n", "ana", "-s", "s1", "--role", "assistant", "--speaker", "Bo", "--kind", "fact"),
        *("--at", "2026-03-01T10:00+02:00", "--source", "test", "--metadata", '{"a": [1]}', "--json"),
        stdin="Füße\n\n".encode(),
    ).json
    assert {
        name: stored[name] for name in ("namespace", "session", "role", "speaker", "kind", "source", "metadata")
    } == {
        "namespace": "ana",
        "session": "s1",
        "role": "assistant",
        "speaker": "Bo",
        "kind": "fact",
        "source": "test",
        "metadata": {"a": [1]},
    }
    assert stored["text"] == "Füße\n"
    assert stored["at"] == "2026-03-01T08:00:00+00:00"


def test_a_recall_without_hits_succeeds(run):
    run("remember", "My dog is called Biscuit.")
    ran = run("recall", "quantum chromodynamics")
    assert (ran.code, ran.out, ran.err) == (0, "", "nothing in the namespace default fits\n")
    ran = run("recall", "dog", "-n", "other", "--json")
    assert ran.json == {"query": "dog", "namespace": "other", "hits": [], "unsearched": 0}
    assert ran.err == ""


def test_recall_applies_its_filters(run):
    for day, session in (("01", "a"), ("02", "b"), ("03", "b")):
        run("remember", f"My dog ate on {day}.", "--at", f"2026-03-{day}", "-s", session)
    run("remember", "The dog is fed daily.", "--kind", "fact", "--at", "2026-03-02")

    def days(*options: str) -> list[str]:
        hits = run("recall", "my dog", "--json", *options).json["hits"]
        return sorted(hit["engram"]["text"] for hit in hits)

    assert days("--session", "a") == ["My dog ate on 01."]
    assert days("--before", "2026-03-02") == ["My dog ate on 01."]
    assert days("--after", "2026-03-03") == ["My dog ate on 03."]
    assert days("--kind", "fact") == ["The dog is fed daily."]
    assert len(days("--limit", "2")) == 2


def test_recall_prints_a_context(run):
    run("remember", "My dog is called Biscuit.", "--at", "2026-03-01")
    ran = run("recall", "dog", "--context", "100")
    assert "Biscuit" in ran.out
    assert "2026-03-01" in ran.out
    assert "Biscuit" in run("recall", "dog", "--context", "100", "--json").json["context"]


def test_why_explains_a_rank(run):
    id = run("remember", "My dog is called Biscuit.").out.strip()
    assert "1 of 1" in run("why", "dog", id).out
    ran = run("why", "dog", id, "--json").json
    assert (ran["place"], ran["engram"]["id"], ran["winner"]["engram"]["id"]) == (1, id, id)
    assert run("why", "dog", ID).code == 3
    assert run("why", "dog", id, "-n", "other").code == 3


def test_memories_lists_engrams_namespaces_and_sessions(run):
    for number in range(5):
        run("remember", f"number {number}", "-s", f"s{number % 2}", "-n", "ana" if number else "bo")
    listed = run("memories", "--json", "-l", "2").lines
    assert [one["text"] for one in listed] == ["number 3", "number 4"]
    listed = run("memories", "--json", "-l", "2", "--after-id", listed[0]["id"]).lines
    assert [one["text"] for one in listed] == ["number 4"]
    assert run("memories", "--namespaces", "--json").lines == [
        {"namespace": "ana", "engrams": 4},
        {"namespace": "bo", "engrams": 1},
    ]
    assert run("memories", "--sessions", "-n", "ana").out == "        2  s1\n        2  s0\n"
    assert "number 1" in run("memories", "-n", "ana", "-s", "s1").out
    assert run("memories", "-n", "nobody").err == "no memories\n"


def test_stats_counts_engrams(run, path: Path):
    run("remember", "one")
    ran = run("stats", "--json").json
    assert (ran["engrams"], ran["namespaces"], ran["path"]) == (1, 1, str(path))
    assert "memories         1\n" in run("stats").out


def test_forget_by_id_session_time_and_namespace(run):
    ids = [run("remember", f"number {n}", "-s", f"s{n}", "--at", f"2026-03-0{n}").out.strip() for n in range(1, 6)]
    run("remember", "other", "-n", "ana")
    assert run("forget", "--id", ids[0], "--json").json == {"forgotten": 1}
    assert run("forget", "--id", ids[0]).code == 3
    assert run("forget", "--session", "s2").out == "forgot 1; engram compact removes the text from the files\n"
    assert run("forget", "--before", "2026-03-05", "--json").json == {"forgotten": 2}
    assert run("forget", "--session", "s9", "--json").json == {"forgotten": 0}
    assert run("memories", "--namespaces", "--json").lines == [
        {"namespace": "ana", "engrams": 1},
        {"namespace": "default", "engrams": 1},
    ]
    assert run("forget", "-n", "ana", "--json").json == {"forgotten": 1}
    assert run("forget").code == 2


@pytest.mark.usefixtures("terminal")
def test_forget_asks_on_a_terminal(run):
    run("remember", "one")
    run("remember", "two")
    refused = run("forget", "-n", "default", stdin=b"n\n")
    assert refused.code == 130
    assert "Forget 2 memories of the namespace default?" in refused.err
    assert len(run("memories", "--json").lines) == 2
    assert run("forget", "-n", "default", "--yes").code == 0
    run("remember", "three")
    assert run("forget", "-n", "default", stdin=b"").out.startswith("forgot 1")


def test_compact_removes_forgotten_text_from_the_files(run, path: Path):
    run("remember", "The password is xylophone.")
    run("remember", "Something else.")
    run("forget", "--before", "2100-01-01")
    assert set(run("compact", "--json").json) == {"bytes_before", "bytes_after", "expired"}
    files = [path, *path.parent.rglob("*")]
    assert not any(b"xylophone" in file.read_bytes() for file in files if file.is_file())


def test_reindex_indexes_everything(run):
    run("remember", "one")
    ran = run("reindex", "--json").json
    assert (ran["engrams"], ran["unindexed"]) == (1, 0)


def test_export_can_be_imported(run, tmp_path: Path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "My dog is called Biscuit.", "at": "2026-03-01"}\n{"text": "broken\n{"text": "Füße"}\n')
    ran = run("import", str(source))
    assert ran.code == 1
    assert ran.out == "2 read: 2 remembered, 0 already there, 1 problem\n"
    assert ran.err.startswith(f"{source}:2: is not JSON")
    again = run("import", str(source), "--json").json
    assert (again["remembered"], again["already_there"], again["formats"]) == (0, 2, {"jsonl": 2})
    assert again["problems"][0] | {"why": ""} == {"file": str(source), "line": 2, "path": None, "why": ""}
    target = tmp_path / "out.jsonl"
    assert run("export", str(target), "--json").json == {"exported": 2, "path": str(target)}
    piped = run("export", "-")
    assert piped.out == target.read_text()
    copy = tmp_path / "copy.db"
    assert run("import", "-", "-m", str(copy), stdin=piped.out.encode()).code == 0
    assert run("export", "-m", str(copy)).out == piped.out
    assert len(run("export", "--after", "2026-03-02").lines) == 1


def test_a_dry_run_creates_no_memory(run, path: Path, tmp_path: Path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "one"}\n')
    ran = run("import", str(source), "--dry-run")
    assert (ran.code, ran.out) == (0, "1 read: nothing written (dry run), 0 problems\n")
    assert not path.exists()


def test_import_of_several_files_names_the_missing_one(run, tmp_path: Path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "one"}\n')
    ran = run("import", str(tmp_path / "none"), str(source), "--json")
    assert ran.code == 1
    assert ran.json["remembered"] == 1
    assert ran.json["problems"][0]["why"] == "cannot be read: No such file or directory"


def test_no_branches_imports_the_shown_path(run, tmp_path: Path):
    message = {"author": {"role": "user"}, "content": {"parts": ["x"]}}
    mapping = {
        "q": {"parent": None, "message": message},
        "a": {"parent": "q", "message": message},
        "b": {"parent": "q", "message": message},
    }
    source = tmp_path / "conversations.json"
    source.write_text(json.dumps([{"id": "c", "current_node": "b", "mapping": mapping}]))
    assert run("import", str(source), "--no-branches").out == (
        "2 read: 2 remembered, 0 already there, 0 problems\n1 left out: belongs to another branch\n"
    )
    assert run("import", str(source), "--json").json["remembered"] == 1


NASTY = "\x1b[31mred\x1b]0;title\x07 [bold]not bold[/bold] \x9b5A \u202egnp.exe\rover\nnext\tline"


def test_text_of_a_memory_cannot_control_the_terminal(run):
    run("remember", "-", "--speaker", "E\x1b[2Jve\n", stdin=NASTY.encode())
    for args in (("memories",), ("recall", "red title"), ("recall", "red title", "--context", "500")):
        out = run(*args).out
        assert r"\x1b[31mred\x1b]0;title\x07 [bold]not bold[/bold] \x9b5A \u202egnp.exe" in out
        assert not set(out) & {"\x1b", "\x07", "\x9b", "\u202e", "\r"}
    assert r"E\x1b[2Jve\n" in run("memories").out
    raw = run("memories", "--json")
    assert not set(raw.out) & {"\x1b", "\x07", "\x9b", "\u202e", "\r"}
    assert raw.json["text"] == NASTY


def test_a_memory_that_another_process_uses_can_be_used(run, path: Path):
    with Memory(path) as other:
        other.remember("My dog is called Biscuit.")
        assert "Biscuit" in run("recall", "dog").out
        run("remember", "The cat is called Crumb.")
        assert other.recall("cat")[0].engram.text == "The cat is called Crumb."


def test_backup_and_restore_say_what_to_do_next(run, path: Path, tmp_path: Path):
    target = tmp_path / "monday.db"
    run("remember", "My dog is called Biscuit.")
    ran = run("backup", str(target))
    assert ran.code == 0
    assert f"1 memories backed up to {target}" in ran.out
    assert f"engram restore {target} --memory {path}" in ran.out
    assert run("backup", str(target)).code == 1
    run("remember", "Her bed is blue.")
    ran = run("restore", str(target))
    assert ran.code == 1
    assert "--force" in ran.err
    ran = run("restore", str(target), "--force", "--json")
    assert ran.json == {
        "source": str(target),
        "target": str(path),
        "engrams": 1,
        "state_documents": 0,
        "bytes": path.stat().st_size,
        "server": False,
    }
    assert [engram["text"] for engram in run("memories", "--json").lines] == ["My dog is called Biscuit."]


def test_an_old_memory_with_nul_survives_export_and_import(run, tmp_path: Path):
    old, new, file = tmp_path / "old.db", tmp_path / "new.db", tmp_path / "all.jsonl"
    for text in ("plain", "cut here"):
        assert run("remember", text, "--memory", str(old)).code == 0
    with closing(sqlite3.connect(old)) as db, db:
        db.execute("UPDATE engrams SET text = ? WHERE text = ?", ("cut\0here", "cut here"))
    assert run("export", str(file), "--memory", str(old)).code == 0
    ran = run("import", str(file), "--memory", str(new))
    assert ran.code == 1
    assert "2 read: 2 remembered" in ran.out
    assert "1 problem" in ran.out
    assert f"{file}:2: holds NUL characters" in ran.err
    with Memory(new) as memory:
        assert [engram.text for engram in memory.engrams()] == ["plain", "cut\ufffdhere"]
