"""Turns are read for what they state while `engram chat` and `engram mcp` wait for their users."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engram.cli.reading import reading
from engram.memory import Memory
from engram.opening import STATEMENTS, index_folder
from engram.reflection.reflector import STEP

HOME = "I live in Lisbon, in the small flat above the pharmacy."
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


def fill(path: Path, count: int) -> None:
    with Memory(path) as memory:
        memory.remember_many({"text": HOME} for _ in range(count))
        memory.flush(vectors=False)


def wait_for_reading(unread: Callable[[], int]) -> None:
    """Return once nothing is unread; fail after a minute."""
    deadline = time.monotonic() + 60
    while count := unread():
        assert time.monotonic() < deadline, f"{count} turns were not read"
        time.sleep(0.01)


def unread(path: Path) -> int:
    with Memory(path, read_only=True) as memory:
        return memory.unread()


def test_all_turns_are_read_in_a_thread(path: Path) -> None:
    fill(path, STEP + 1)
    with Memory(path) as memory, reading(memory):
        wait_for_reading(memory.unread)


def test_the_end_waits_for_a_step_and_for_no_more(path: Path) -> None:
    fill(path, 3 * STEP)
    with Memory(path) as memory:
        with reading(memory):
            pass
        assert memory.unread() in (3 * STEP, 2 * STEP)


def test_a_failure_is_a_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(path, 1)
    (index_folder(str(path)) / STATEMENTS).write_bytes(b"no database at all, but bytes" * 100)
    with Memory(path) as memory, reading(memory):
        assert len(list(memory.engrams())) == 1
    (record,) = caplog.records
    assert STATEMENTS in record.getMessage()


@pytest.mark.parametrize("command", ["mcp", "chat"])
def test_the_command_reads_what_is_unread(path: Path, command: str) -> None:
    pytest.importorskip("mcp", reason="engram mcp needs the extra serve")
    fill(path, 20)
    environment = {**os.environ, "ENGRAM_MEMORY": str(path)}
    arguments = [sys.executable, "-m", "engram", command]
    if command == "chat":
        # Nothing answers there: no message is sent.
        arguments += ["--model", "http://127.0.0.1:9/v1#none"]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        assert process.stdin
        if command == "mcp":
            process.stdin.write(json.dumps(HELLO) + "\n")
            process.stdin.flush()
        wait_for_reading(lambda: unread(path))
        process.stdin.close()
        assert process.wait() == 0
        assert process.stderr
        assert process.stderr.read() == ""
