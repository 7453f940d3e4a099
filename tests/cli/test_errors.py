import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from engram.cli.app import LAZY, command
from engram.cli.usage import plain_message
from engram.errors import EngramError, MissingExtra
from engram.memory import Memory


def engram(*args: str, path: Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"ENGRAM_MEMORY": str(path)}
    command = [sys.executable, "-m", "engram", *args]
    return subprocess.run(command, env=environment, input=stdin, capture_output=True, timeout=60, check=False)


def test_the_process_ends_with_the_exit_code(tmp_path: Path):
    path = tmp_path / "m.db"
    missing = engram("recall", "dog", path=path)
    assert (missing.returncode, missing.stdout) == (3, b"")
    assert missing.stderr.decode() == (
        f"engram: there is no memory at {path}; engram remember or engram import creates one\n"
    )
    assert engram("remember", "-", path=path, stdin=b"My dog is called Biscuit.\n").returncode == 0
    assert b"Biscuit" in engram("recall", "dog", path=path).stdout
    assert engram("recal", "dog", path=path).returncode == 2


def test_a_closed_pipe_is_no_error(tmp_path: Path):
    path = tmp_path / "m.db"
    with Memory(path) as memory:
        memory.remember_many({"text": "x" * 10_000} for _ in range(200))
    command = f"{sys.executable} -m engram export - | head -c 10"
    ran = subprocess.run(
        command, shell=True, env=os.environ | {"ENGRAM_MEMORY": str(path)}, capture_output=True, timeout=60, check=True
    )
    assert (ran.stdout, ran.stderr) == (b'{"id": "01', b"")


def test_usage_errors_name_the_help(run):
    ran = run("recall")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "engram: Missing argument 'query'. (see: engram recall --help)\n"
    assert run("recall", "x", "--limit", "0").code == 2
    assert run("recall", "x", "--before", "yesterday").code == 2
    assert run("remember", "x", "--metadata", "[1]").err == "engram: --metadata is list; it must be a JSON object\n"
    assert run("remember", "x", "--metadata", "{").code == 2
    assert run("nonsense").code == 2


def commands() -> dict[str, Any]:
    """Return every command by name, with its options."""
    group = command()
    found = {name: group.get_command(None, name) for name in group.list_commands(None)}
    return {name: one.load() if name in LAZY else one for name, one in found.items()}


COMMANDS = commands()
OPTIONS = [
    (name, option.opts[0])
    for name, one in COMMANDS.items()
    for option in getattr(one, "params", [])
    if option.param_type_name == "option" and not getattr(option, "is_flag", False)
]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_a_wrong_value_of_an_option_is_told_in_plain_words(name: str, option: str):
    words = [] if name in ("serve", "mcp", "chat", "memories", "forget", "doctor") else ["x", "y"]
    for value in ("", "x", "-5", "1e400", "9" * 5000, "[1]", "a\0b", "nan"):
        try:
            COMMANDS[name].make_context(name, [*words, f"{option}={value}"])
        except typer.TyperException as error:
            message = plain_message(error)
            assert not re.search(r"Value error|[Ii]nput|pydantic|validat|function|type=", message)
            assert len(message) < 300


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("serve", "--relay", "quick"), "'quick' is not one of 'auto', 'fast', 'plain'"),
        (("serve", "--port", "65536"), "65536 is too large; the most is 65535"),
        (("recall", "x", "--limit", "few"), "'few' is no whole number"),
        (("serve", "--least-score", "half"), "'half' is no number"),
        (("chat", "--notes", "-2"), "-2 is too small; the least is 0"),
    ],
)
def test_the_words_for_a_wrong_value(run, words: tuple[str, ...], message: str):
    assert f": {message} (see: engram {words[0]} --help)" in run(*words).err


def test_json_errors_are_objects(run, path: Path):
    ran = run("recall", "dog", "--json")
    message = f"there is no memory at {path}; engram remember or engram import creates one"
    assert ran.json == {"error": {"type": "NotFound", "message": message, "exit_code": 3}}
    assert ran.err == f"engram: {message}\n"
    assert run("recall", "--json").json["error"]["type"] == "UsageError"


def test_fields_outside_their_limits_are_refused(run):
    ran = run("remember", "")
    assert (ran.code, ran.err) == (2, "engram: text is empty; it must hold at least one character\n")
    assert run("remember", "x", "--role", "boss").code == 2
    assert run("remember", "-", stdin=b"\xff").err == "engram: stdin is not UTF-8: invalid start byte at byte 1\n"
    assert run("remember", "\udcff").code == 2


def test_a_file_that_is_not_a_memory_is_refused(run, path: Path, tmp_path: Path):
    path.write_bytes(b"noise" * 1_000)
    assert run("recall", "x").code == 7
    assert run("stats", "-m", str(tmp_path)).code in (1, 5, 7)


def test_an_export_to_a_missing_folder_fails(run, tmp_path: Path):
    run("remember", "x")
    ran = run("export", str(tmp_path / "no" / "x.jsonl"))
    assert ran.code == 1
    assert "No such file" in ran.err


def test_a_bug_is_reported_on_one_line(run, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh\x1b")

    run("remember", "x")
    monkeypatch.setattr(Memory, "recall", broken)
    ran = run("recall", "x")
    assert ran.code == 70
    assert ran.err == "engram: internal error, ZeroDivisionError: oh\\x1b (ENGRAM_DEBUG=1 shows the traceback)\n"
    monkeypatch.setenv("ENGRAM_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("recall", "x")


def test_ctrl_c_ends_with_130(run, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    run("remember", "x")
    monkeypatch.setattr(Memory, "recall", interrupted)
    ran = run("recall", "x")
    assert (ran.code, ran.out, ran.err) == (130, "", "")


@pytest.mark.parametrize(
    ("missing", "code", "message"),
    [
        (
            "uvicorn",
            MissingExtra.exit_code,
            "engram serve needs uvicorn; install it with: pip install 'engram-layer[serve]'",
        ),
        ("engram.cli.serve", EngramError.exit_code, "this installation of Engram has no command serve: "),
    ],
)
def test_a_missing_module_of_a_command_is_named(missing: str, code: int, message: str):
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from engram.cli import main; sys.exit(main(['serve', '--help']))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (code, b"")
    assert ran.stderr.decode().startswith(f"engram: {message}")


def test_the_help_imports_no_large_package():
    code = (
        "import sys; from engram.cli.app import command; command();"
        "print([m for m in ('rich', 'httpx', 'xllamacpp', 'engram.cli.chat', 'fastapi')"
        " if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert ran.stdout == b"[]\n"
