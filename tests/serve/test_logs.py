"""SQLite's logs that are deleted or cut off while `engram serve` runs: those of the memory and of the server's file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engram.doctor import examine
from engram.memory import Memory

from .conftest import Server, StartServer


def remember(server: Server, text: str) -> int:
    return server.http.post("/memory/remember", json={"items": [{"text": text}]}).status_code


def chat(server: Server, text: str) -> str:
    """Send a turn; returns its receipt."""
    answer = server.http.post(
        "/v1/chat/completions", json={"model": "plain", "messages": [{"role": "user", "content": text}]}
    )
    assert answer.status_code == 200
    return answer.headers["x-engram-receipt"]


def not_ready(server: Server, folder: Path) -> bool:
    """Return whether the server says that it is not ready, and names no folder to callers without a key."""
    answer = server.http.get("/readyz")
    return answer.status_code == 503 and str(folder) not in answer.text and answer.json()["reason"] != ""


def texts(path: Path) -> set[str]:
    with Memory(path) as memory:
        return {engram.text for engram in memory.engrams()}


@pytest.mark.parametrize("suffixes", [("-wal",), ("-wal", "-shm")])
def test_a_server_whose_log_was_deleted_keeps_what_it_acknowledged_and_acknowledges_nothing_more(
    tmp_path: Path, server: StartServer, suffixes: tuple[str, ...]
) -> None:
    running, path = server(), tmp_path / "memory.db"
    assert {remember(running, f"The ferry number {n} leaves at noon.") for n in range(9)} == {201}
    running.settled(chat(running, "The harbour of Orust has nine berths."))
    for suffix in suffixes:
        Path(f"{path}{suffix}").unlink()
    assert {remember(running, f"The tram number {n} leaves at dusk.") for n in range(3)} == {503}
    assert not_ready(running, tmp_path)
    running.kill()
    found = texts(path)
    assert {f"The ferry number {n} leaves at noon." for n in range(9)} <= found
    assert "The harbour of Orust has nine berths." in found
    assert examine(path).healthy
    again = server()
    assert remember(again, "The tram leaves at dawn.") == 201
    assert again.http.get("/readyz").status_code == 200


def test_a_server_whose_log_was_cut_off_acknowledges_nothing_more(tmp_path: Path, server: StartServer) -> None:
    running, path = server(), tmp_path / "memory.db"
    assert {remember(running, f"The ferry number {n} leaves at noon.") for n in range(9)} == {201}
    os.truncate(f"{path}-wal", 0)
    assert min(remember(running, f"The tram number {n} leaves at dusk.") for n in range(3)) >= 500
    assert not_ready(running, tmp_path)
    running.kill()
    assert not any("tram" in text for text in texts(path))
    assert examine(path).healthy


@pytest.mark.parametrize("harm", ["delete", "cut off"])
def test_a_server_whose_own_log_is_harmed_is_not_ready_and_accepts_no_turn(
    tmp_path: Path, server: StartServer, harm: str
) -> None:
    running, path = server(), tmp_path / "memory.db"
    receipt = chat(running, "The harbour of Orust has nine berths.")
    running.settled(receipt)
    log = Path(f"{path}.serve-wal")
    log.unlink() if harm == "delete" else os.truncate(log, 0)
    assert not_ready(running, tmp_path)
    answer = running.http.post(
        "/v1/chat/completions", json={"model": "plain", "messages": [{"role": "user", "content": "The tram is late."}]}
    )
    assert answer.status_code == 200
    assert answer.headers["x-engram-error"]
    assert "x-engram-receipt" not in answer.headers
    running.kill()
    assert "The harbour of Orust has nine berths." in texts(path)
    again = server()
    assert again.http.get("/readyz").status_code == 200
    if harm == "delete":
        assert again.receipt(receipt)["state"] == "stored"
