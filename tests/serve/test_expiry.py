"""--keep-days and policies: what is older is not recalled, and is forgotten."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engram.memory import Memory
from engram.serve import app, expiry
from engram.serve.api.tools import TOOLS

from .calling import call
from .conftest import LocalServer, StartLocal, StartServer, wait_until
from .proxied import PATIENT, user
from .test_erasure import holding
from .upstream import Upstream

OLD = "The boat is called Kittiwake."
NEW = "The goat is called Petunia."


def texts(server: LocalServer) -> list[str]:
    """Return what the memory holds."""
    return [engram["text"] for engram in server.http.get("/memory/engrams").json()["engrams"]]


def policy(folder: Path, *arguments: str) -> None:
    """Run `engram policy` as a process."""
    command = [sys.executable, "-m", "engram", "policy", *arguments, "--memory", str(folder / "memory.db")]
    subprocess.run(command, check=True, capture_output=True)


def fill(path: Path) -> None:
    now = datetime.now(UTC)
    with Memory(path) as memory:
        memory.remember(OLD, at=now - timedelta(days=31))
        memory.remember(NEW, at=now - timedelta(days=29))


def test_what_is_older_is_gone_when_the_server_starts(local: StartLocal, tmp_path: Path) -> None:
    fill(tmp_path / "memory.db")
    server = local(keep_days=30)
    assert texts(server) == [NEW]
    answer = server.http.post("/memory/recall", json={"query": "What is the boat called?"})
    assert OLD not in answer.text
    assert [line["turns"] for line in server.logged("expired turns were forgotten")] == [1]


def test_what_becomes_older_is_forgotten_while_the_server_runs(
    local: StartLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "PAUSE", 0.02)
    server = local(keep_days=30)
    for text, at in ((OLD, "2020-01-01T00:00:00Z"), (NEW, datetime.now(UTC).isoformat())):
        assert server.http.post("/memory/remember", json={"text": text, "at": at}).status_code == 201
    wait_until(lambda: texts(server) == [NEW], "the end of the old turn")


def test_without_the_option_everything_is_kept(local: StartLocal, tmp_path: Path) -> None:
    fill(tmp_path / "memory.db")
    assert texts(local()) == [OLD, NEW]


def test_expired_names_leave_the_server_s_file_while_it_runs(
    local: StartLocal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "PAUSE", 0.02)
    server = local(keep_days=0)
    where = {"X-Engram-Namespace": "allotment-of-quentin", "X-Engram-Session": "talk about his greenhouse"}
    body = {"model": "plain", "messages": [user("The greenhouse leaks.")]}
    assert server.http.post("/v1/chat/completions", json=body, headers=where).status_code == 200
    wait_until(
        lambda: sum(line["turns"] for line in server.logged("expired turns were forgotten")) == 2,
        "the end of both turns",
    )
    wait_until(
        lambda: not [file for name in where.values() for file in holding(tmp_path, name) if ".serve" in file],
        "the end of the names",
    )


def test_an_unexpected_failure_is_logged_and_the_next_look_comes(
    local: StartLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "PAUSE", 0.02)
    forget, failures = Memory.forget, [OSError("the disk is gone"), RuntimeError("a bug"), ValueError("another")]

    def failing(memory: Memory, **filters: Any) -> int:
        if failures:
            raise failures.pop()
        return forget(memory, **filters)

    monkeypatch.setattr(Memory, "forget", failing)
    server = local(keep_days=30)
    assert server.http.post("/memory/remember", json={"text": OLD, "at": "2020-01-01T00:00:00Z"}).status_code == 201
    wait_until(lambda: texts(server) == [], "the end of the old turn")
    assert len(server.logged("expired turns could not be forgotten; the next try is in an hour")) == 3


def test_a_server_whose_expiry_fails_ends_in_order(local: StartLocal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "PAUSE", 0.02)
    calls: list[None] = []

    def failing(memory: Memory, **filters: Any) -> int:
        calls.append(None)
        raise RuntimeError("a bug")

    monkeypatch.setattr(Memory, "forget", failing)
    drained: list[bool] = []
    finish = app.finish

    async def finishing(*parts: Any) -> None:
        await finish(*parts)
        drained.append(True)

    monkeypatch.setattr(app, "finish", finishing)
    server = local(keep_days=30)
    wait_until(lambda: len(calls) > 2, "more than one look")
    server.stop()
    assert drained == [True]


def test_a_policy_of_another_process_applies_to_the_running_server_at_once(
    server: StartServer, upstream: Upstream, tmp_path: Path
) -> None:
    fill(tmp_path / "memory.db")
    running = server(*PATIENT)
    question = {"model": "plain", "messages": [user("What are the boat and the goat called?")]}

    def asked() -> str:
        """Ask the model without remembering; return what it was sent."""
        answer = running.http.post("/v1/chat/completions", json=question, headers={"X-Engram": "read"})
        assert answer.status_code == 200
        return upstream.last.last_user

    assert "Kittiwake" in asked()
    policy(tmp_path, "set", "--all", "--expire-after", "30 days")
    assert "Kittiwake" not in asked()
    assert "Petunia" in asked()
    for tool, arguments in (("recall", {"query": "What are the boat and the goat called?"}), ("list", {})):
        succeeded, text, _ = call(running, tool, **arguments)
        assert succeeded
        assert "Kittiwake" not in text
        assert "Petunia" in text
    hits = running.http.post("/memory/recall", json={"query": "boat goat", "floor": 0}).json()["hits"]
    assert [hit["engram"]["text"] for hit in hits] == [NEW]
    # The server was started before: it has not looked again, and nothing is erased.
    policy(tmp_path, "clear", "--all")
    assert "Kittiwake" in asked()


def test_what_a_policy_lets_expire_is_erased_by_the_running_server(
    local: StartLocal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "PAUSE", 0.02)
    fill(tmp_path / "memory.db")
    server = local()
    assert texts(server) == [OLD, NEW]
    answer = server.http.post("/memory/policies", json={"namespace": None, "expire_after_seconds": 30 * 86_400})
    assert answer.status_code == 200
    assert texts(server) == [NEW]
    wait_until(lambda: bool(server.logged("expired turns were forgotten")), "the look of the server")
    assert [line["turns"] for line in server.logged("expired turns were forgotten")] == [1]
    assert server.http.delete("/memory/policies").status_code == 200
    assert texts(server) == [NEW]


def test_what_has_expired_is_erased_when_the_server_starts(local: StartLocal, tmp_path: Path) -> None:
    fill(tmp_path / "memory.db")
    with Memory(tmp_path / "memory.db") as memory:
        memory.set_policy(None, expire_after=timedelta(days=30))
    server = local()
    assert server.http.delete("/memory/policies").status_code == 200
    assert texts(server) == [NEW]


def test_the_option_forgets_what_a_policy_keeps(local: StartLocal, tmp_path: Path) -> None:
    fill(tmp_path / "memory.db")
    with Memory(tmp_path / "memory.db") as memory:
        memory.set_policy("default", expire_after=None)
    assert texts(local(keep_days=30)) == [NEW]


def test_a_shorter_policy_comes_before_the_option(local: StartLocal, tmp_path: Path) -> None:
    fill(tmp_path / "memory.db")
    with Memory(tmp_path / "memory.db") as memory:
        memory.set_policy("default", expire_after=timedelta(days=1))
    assert texts(local(keep_days=30)) == []


def test_agents_have_no_tool_for_policies() -> None:
    assert {"remember", "recall", "forget", "list", "facts", "profile", "working", "state_set"} <= set(TOOLS)
    for name, tool in TOOLS.items():
        assert "polic" not in name
        assert "polic" not in json.dumps(tool.input_schema())
