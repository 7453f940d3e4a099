"""The real server as a process, and a scripted model behind it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

import httpx
import pytest

from .upstream import Upstream

PATIENCE = 60.0
"""Seconds that anything may take on a busy machine before a test fails."""


def wait_until(condition: Callable[[], Any], what: str = "it", seconds: float = PATIENCE) -> Any:
    """What `condition` gives as soon as that is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds:.0f} seconds"
        time.sleep(0.02)
    return found


class Server:
    """A running `engram serve`."""

    def __init__(
        self,
        memory: Path,
        upstream: str | None,
        *options: str,
        program: Sequence[str] = ("-m", "engram", "serve"),
        **environment: str,
    ) -> None:
        """Start it and wait until it listens; fails with what it said if it ends instead.

        program: what Python is to run, if not the command.
        """
        self.memory = memory
        command = [sys.executable, *program, "--memory", str(memory), "--port", "0", *options]
        if upstream is not None:
            command += ["--upstream", upstream]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGRAM_")}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**kept, **environment}
        )
        self.said: list[str] = []
        """Its standard error, a line each."""
        self.url = ""
        self._listening = Event()
        assert self.process.stderr is not None
        self._reader = Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        self._listening.wait(PATIENCE)
        if not self.url:
            ended = self.process.poll()
            self.kill()
            pytest.fail(f"the server does not listen (exit code {ended}):\n" + "\n".join(self.said[-40:]))
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)
        """A client of it."""

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self.said.append(line.rstrip("\n"))
            if not self.url:
                with_url = parsed(line)
                if with_url.get("message") == "listening":
                    self.url = str(with_url["url"]).rstrip("/")
                    self._listening.set()
        # It ended: there is nothing more to wait for.
        self._listening.set()

    @property
    def base(self) -> str:
        """The base URL as the `openai` package wants it."""
        return self.url + "/v1"

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [line for line in map(parsed, list(self.said)) if line]

    def logged(self, message: str) -> list[dict[str, Any]]:
        """The lines of its log with this message."""
        return [line for line in self.log if line.get("message") == message]

    def receipt(self, id: str, **headers: str) -> dict[str, Any]:
        """What became of a turn: the receipt with this id."""
        answer = self.http.get(f"/memory/receipts/{id}", headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def settled(self, id: str, *states: str, **headers: str) -> dict[str, Any]:
        """The same once its state is one of `states` (stored, indexed or refused if none is given)."""
        wanted = states or ("stored", "indexed", "refused")

        def asked() -> dict[str, Any] | None:
            found = self.receipt(id, **headers)
            return found if found["state"] in wanted else None

        found: dict[str, Any] = wait_until(asked, f"receipt {id}, {' or '.join(wanted)}")
        return found

    def terminate(self) -> None:
        """Ask it to end, and do not wait."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds: float = PATIENCE) -> int:
        """End it by SIGTERM; its exit code."""
        if self.process.poll() is None:
            self.terminate()
        return self._ended(seconds)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self._ended(PATIENCE)

    def _ended(self, seconds: float) -> int:
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"the server did not end in {seconds:.0f} seconds:\n" + "\n".join(self.said[-40:]))
        self._reader.join(PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def close(self) -> None:
        """Let go of it, whatever state it is in."""
        if hasattr(self, "http"):
            self.http.close()
        if self.process.poll() is None:
            self.process.kill()
        self._ended(PATIENCE)


def parsed(line: str) -> dict[str, Any]:
    """A line of the log; nothing if it is none."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


StartServer = Callable[..., Server]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A scripted model (`upstream.py`)."""
    with Upstream() as running:
        yield running


@pytest.fixture
def server(tmp_path: Path, upstream: Upstream) -> Iterator[StartServer]:
    """Starts servers with the scripted model behind them, `memory.db` in the test's folder unless another is given.

    `server("--sticky", memory=path, upstream=None, ENGRAM_X="...")`: options, another memory, another upstream or none
    (the local model), and what is to stand in the environment.
    """
    with ExitStack() as stack:

        def started(
            *options: str, memory: Path | None = None, upstream: str | None = upstream.url, **environment: str
        ) -> Server:
            running = Server(memory or tmp_path / "memory.db", upstream, *options, **environment)
            stack.callback(running.close)
            return running

        yield started
