"""`engram state`, and what other commands say of documents."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from engram.memory import Memory


def test_a_document_goes_through_all_commands(run, path: Path):
    assert run("state", "set", "trip", '{"b": [1, null], "a": "\u00e9"}', "--agent", "planner").out == "1\n"
    got = run("state", "get", "trip", "-a", "planner")
    assert (got.code, json.loads(got.out)) == (0, {"a": "\u00e9", "b": [1, None]})
    assert run("state", "set", "trip", "-a", "planner", stdin=got.out.encode()).out == "2\n"
    assert run("state", "set", "trip", "-", "-a", "planner", "--expect", "2", stdin=b"[3]").out == "3\n"
    assert run("state", "rollback", "trip", "1", "-a", "planner").out == "4\n"
    history = run("state", "history", "trip", "-a", "planner").out.splitlines()
    assert [line.split()[0] for line in history] == ["4", "3", "2", "1"]
    assert history[1].endswith("  [3]")
    listed = run("state", "list").out.splitlines()
    assert len(listed) == 1
    assert listed[0].split() == ["4", *listed[0].split()[1:3], "default", "/", "planner", "/", "trip"]
    deleted = run("state", "delete", "trip", "-a", "planner")
    assert deleted.out == "erased 4 versions; engram compact removes the text from the files\n"
    assert run("state", "list").err == "no state documents\n"
    with Memory(path) as memory:
        assert list(memory.state_documents()) == []


def test_commands_print_json(run):
    written = run("state", "set", "x", '{"a": "\\u001b[31m\\u202e"}', "-n", "ana", "--json")
    assert written.json | {"at": ""} == {
        "namespace": "ana",
        "agent": "default",
        "name": "x",
        "version": 1,
        "at": "",
        "value": {"a": "\x1b[31m\u202e"},
    }
    assert "\x1b" not in written.out
    assert "\u202e" not in written.out
    second = run("state", "set", "x", "2", "-n", "ana", "--json").json
    assert run("state", "get", "x", "-n", "ana", "--json").json == second
    assert run("state", "get", "x", "-n", "ana", "--version", "1", "--json").json == written.json
    assert run("state", "history", "x", "-n", "ana", "--json").lines == [second, written.json]
    assert run("state", "history", "x", "-n", "ana", "--before", "2", "--limit", "1", "--json").lines == [written.json]
    assert run("state", "rollback", "x", "1", "-n", "ana", "--json").json["value"] == written.json["value"]
    (listed,) = run("state", "list", "--json").lines
    assert (listed["version"], "value" in listed) == (3, False)
    assert run("state", "delete", "x", "-n", "ana", "--json").json == {"deleted": 3}


def test_a_conflict_has_its_exit_code_and_writes_nothing(run):
    run("state", "set", "x", "1")
    for command in (("set", "x", "2"), ("rollback", "x", "1"), ("delete", "x", "--yes")):
        ran = run("state", *command, "--expect", "7", "--json")
        assert (ran.code, ran.json["error"]["type"]) == (12, "StateConflict")
        assert "is at version 1, and version 7 was expected" in ran.err
    assert run("state", "set", "x", "2", "--expect", "0").code == 12
    assert run("state", "history", "x", "--json").lines[0]["version"] == 1
    assert run("state", "set", "y", "1", "--expect", "0").code == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (("get", "none"), b"", 3, "there is no document 'none' of the agent 'default' in the namespace 'default'"),
        (("get", "x", "--version", "9"), b"", 3, "there is no version 9 of document 'x'"),
        (("get", "x", "--version", "0"), b"", 2, "version is no number of a version"),
        (("rollback", "x", "9"), b"", 3, "has no version 9"),
        (("rollback", "none", "1"), b"", 3, "nothing to roll back"),
        (("delete", "none"), b"", 3, "there is no document 'none'"),
        (("set", "x", '{"a": 1, "a": 2}'), b"", 2, "the value has a key twice: a: it came twice in one object"),
        (("set", "x", "hello"), b"", 2, "the value is not JSON: Expecting value"),
        (("set", "x", "NaN"), b"", 2, "NaN is no number of JSON"),
        (("set", "x", "[1e999]"), b"", 2, "value[0] is inf; JSON has only finite numbers"),
        (("set", "x"), b"", 2, "the value is not JSON"),
        (("set", "x"), b"\xff", 2, "stdin is not UTF-8"),
        (("set", "x"), b"[" * 100_000, 2, "too many levels"),
        (("set", "x"), b"[" * 101 + b"]" * 101, 2, "more than 100 levels"),
        (("set", "x"), b"9" * 5_000, 2, "the value is not JSON"),
        (("set", "x"), b'"' + b"x" * (1 << 20) + b'"', 2, "the limit is 1,048,576 (1 MiB)"),
        (("set", "x", '"\\ud800"'), b"", 2, "lone surrogate"),
        (("set", "x", '"\\u0000"'), b"", 2, "NUL character"),
        (("set", "", "1"), b"", 2, "name is empty"),
        (("set", "\udcff", "1"), b"", 2, "name holds a lone surrogate"),
        (("set", "x", "1", "--agent", ""), b"", 2, "agent is empty"),
        (("set", "x", "1", "--namespace", ""), b"", 2, "namespace is empty"),
        (("set", "x", "1", "--expect", "-1"), b"", 2, "-1"),
        (("set", "x", "1", "--keep", "0"), b"", 2, "0"),
        (("set", "x", "1", "--expect", "9" * 30), b"", 2, "expect is no number of a version"),
        (("history", "x", "--limit", "0"), b"", 2, "0"),
    ],
)
def test_wrong_input_is_one_line_and_changes_nothing(run, arguments, stdin: bytes, code: int, message: str):
    run("state", "set", "x", "1")
    ran = run("state", *arguments, stdin=stdin)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert [one["value"] for one in run("state", "history", "x", "--json").lines] == [1]


def test_only_set_creates_a_memory(run, path: Path):
    for arguments in (("list",), ("get", "x"), ("history", "x"), ("rollback", "x", "1"), ("delete", "x")):
        assert run("state", *arguments).code == 3
    assert run("state", "set", "x", "{").code == 2
    assert not path.exists()
    assert run("state", "set", "x", "1").code == 0
    assert path.exists()


def test_a_list_is_of_one_namespace_and_agent_if_they_are_named(run):
    for namespace, agent in (("a", "p"), ("a", "q"), ("b", "p")):
        run("state", "set", "x", "1", "-n", namespace, "-a", agent)
    assert len(run("state", "list", "--json").lines) == 3
    assert [one["agent"] for one in run("state", "list", "-n", "a", "--json").lines] == ["p", "q"]
    assert [one["namespace"] for one in run("state", "list", "-a", "p", "--json").lines] == ["a", "b"]


def test_names_and_values_cannot_control_the_terminal(run):
    run("state", "set", "x\x1b[2J\n", '"\\u001b[2J\\n\\u009b"')
    for arguments in (("list",), ("get", "x\x1b[2J\n"), ("history", "x\x1b[2J\n")):
        out = run("state", *arguments).out
        assert "\x1b" not in out
        assert "\x9b" not in out
        assert out.count("\n") == 1


def test_delete_and_forget_ask_on_a_terminal(run, terminal):
    run("state", "set", "x", "1", "-n", "ana")
    run("state", "set", "y", "1", "-n", "ana")
    ran = run("state", "delete", "x", "-n", "ana", stdin=b"n\n")
    assert (ran.code, "Erase all versions of x?" in ran.err) == (130, True)
    assert run("state", "delete", "x", "-n", "ana", stdin=b"y\n").code == 0
    run("remember", "My dog is called Biscuit.", "-n", "ana")
    ran = run("forget", "-n", "ana", stdin=b"n\n")
    assert (ran.code, "Forget 1 memories and 1 state documents of the namespace ana?" in ran.err) == (130, True)
    assert len(run("state", "list", "--json").lines) == 1
    assert run("forget", "-n", "ana", "--json", stdin=b"y\n").out.endswith('{"forgotten": 2}\n')
    assert run("state", "list", "--json").lines == []


def test_keep_bounds_the_history(run):
    for number in range(4):
        run("state", "set", "x", str(number), "--keep", "2")
    assert [one["value"] for one in run("state", "history", "x", "--json").lines] == [3, 2]


def test_redact_takes_secrets_out(run, monkeypatch):
    key = "AKIA" + "ABCDEFGH12345678"
    assert key in run("state", "set", "x", f'"{key}"', "--json").out
    assert key not in run("state", "set", "x", f'"{key}"', "--redact", "secrets", "--json").out
    monkeypatch.setenv("ENGRAM_REDACT", "secrets")
    assert key not in run("state", "rollback", "x", "1", "--json").out


def test_other_commands_count_documents(run, path: Path, tmp_path: Path):
    run("state", "set", "x", "1")
    run("state", "set", "x", "2")
    assert run("stats", "--json").json["state_documents"] == 1
    assert "state documents  1" in run("stats").out
    assert run("doctor", "--json").json["state_documents"] == 2
    assert "state documents  2 versions, 0 lost" in run("doctor").out
    assert "0 memories and 1 state documents backed up" in run("backup", str(tmp_path / "b.db")).out
    saved = run("doctor", "--save", str(tmp_path / "c.db"))
    assert (saved.code, "2 versions of state documents saved" in saved.out) == (0, True)
    assert run("state", "get", "x", "-m", str(tmp_path / "c.db")).out == "2\n"
    assert run("export").out == ""


@pytest.mark.parametrize("command", [("state", "set", "x"), ("remember", "-")])
def test_stdin_without_an_end_is_refused_and_not_held_in_memory(path: Path, command: tuple[str, ...]) -> None:
    limited = f"ulimit -v {4 << 20}; exec {shlex.quote(sys.executable)} -m engram {' '.join(command)} < /dev/zero"
    ran = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "engram: stdin holds over 16 MiB; a text or a value is at most 1 MiB\n"
