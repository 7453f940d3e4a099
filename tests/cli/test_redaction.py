"""--redact of the commands that write."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Ran

Run = Callable[..., Ran]


def a_secret() -> str:
    return "glpat-" + secrets.token_hex(12)


def test_remember_takes_secrets_out(run: Run, path: Path) -> None:
    secret = a_secret()
    assert run("remember", f"the token is {secret}", "--redact", "secrets").code == 0
    assert run("memories", "--json").lines[0]["text"] == "the token is [secret removed: GitLab token]"
    assert secret.encode() not in b"".join(file.read_bytes() for file in path.parent.rglob("*") if file.is_file())


def test_import_takes_secrets_out_and_counts_them(run: Run, tmp_path: Path) -> None:
    secret = a_secret()
    file = tmp_path / "turns.jsonl"
    turns = [{"text": f"my token is {secret}"}, {"text": "my dog is called Biscuit"}]
    file.write_text("".join(json.dumps(turn) + "\n" for turn in turns))

    first = run("import", str(file), "--redact", "secrets,pii", "--json")
    again = run("import", str(file), "--redact", "secrets,pii", "--json")
    printed = run("import", str(file), "--redact", "secrets,pii")

    assert (first.json["remembered"], first.json["redacted"]) == (2, 1)
    assert (again.json["remembered"], again.json["already_there"], again.json["problems"]) == (0, 2, [])
    assert "1 stored without secrets or personal data" in printed.out
    assert secret not in run("memories", "--json").out


def test_the_option_can_be_an_environment_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAM_REDACT", "pii")
    run("remember", "write to ana@mail.example.org")
    assert "[personal data removed: e-mail address]" in run("memories", "--json").out


def test_an_unknown_name_is_refused(run: Run, path: Path) -> None:
    ran = run("remember", "x", "--redact", "everything")
    assert ran.code == 2
    assert "'everything' cannot be taken out; choose from secrets, pii" in ran.err
    assert not path.exists()
