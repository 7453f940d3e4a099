"""--keep-days: what is older is not recalled, and is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engram.memory import Memory
from engram.serve import expiry

from .conftest import LocalServer, StartLocal, wait_until

OLD = "The boat is called Kittiwake."
NEW = "The goat is called Petunia."


def texts(server: LocalServer) -> list[str]:
    """Return what the memory holds."""
    return [engram["text"] for engram in server.http.get("/memory/engrams").json()["engrams"]]


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
