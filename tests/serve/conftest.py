"""Servers for tests: the real application in this process, or `engram serve` as a process; and a scripted model."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

import httpx
import pytest
import uvicorn
import uvloop
from starlette.types import ASGIApp

from engram.serve.app import EngramApp, create_app
from engram.serve.http.connection import http_protocol
from engram.serve.http.logs import JsonLines, set_levels
from engram.serve.server import uvicorn_config
from engram.serve.settings import Settings

from .upstream import Upstream

PATIENCE = 60.0
"""Seconds that anything may take on a busy machine before a test fails."""

DEADLINE = 20.0
"""Seconds that a `LocalServer` waits for memory: a busy machine must not decide what a test sees of it."""

TLS = ssl.create_default_context()
"""For all HTTP clients: each would load the system's certificates again, which takes up to 80 ms."""

GRACE = 5.0
"""Seconds that a `LocalServer` waits for running responses when it stops."""


def wait_until(condition: Callable[[], Any], what: str = "it", seconds: float = PATIENCE) -> Any:
    """Return what `condition` returns as soon as that is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds:.0f} seconds"
        time.sleep(0.005)
    return result


class RunningServer:
    """A server under test, as its clients see it."""

    memory: Path
    url: str
    http: httpx.Client
    """A client of the server."""

    def __init__(self) -> None:
        self.said: list[str] = []
        """The lines of its log."""

    def _open_client(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False, verify=TLS)

    @property
    def base(self) -> str:
        """The base URL as the `openai` package wants it."""
        return self.url + "/v1"

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its log, parsed."""
        return [line for line in map(parsed, list(self.said)) if line]

    def logged(self, message: str) -> list[dict[str, Any]]:
        """Return the lines of its log with this message."""
        return [line for line in self.log if line.get("message") == message]

    def receipt(self, id: str, **headers: str) -> dict[str, Any]:
        """Return the receipt with this id."""
        answer = self.http.get(f"/memory/receipts/{id}", headers=headers)
        assert answer.status_code == 200, answer.text
        receipt: dict[str, Any] = answer.json()
        return receipt

    def settled(self, id: str, *states: str, **headers: str) -> dict[str, Any]:
        """Return the receipt once its state is one of `states` (default: stored, indexed or refused)."""
        wanted = states or ("stored", "indexed", "refused")

        def in_state() -> dict[str, Any] | None:
            receipt = self.receipt(id, **headers)
            return receipt if receipt["state"] in wanted else None

        receipt: dict[str, Any] = wait_until(in_state, f"receipt {id}, {' or '.join(wanted)}")
        return receipt


class LocalServer(RunningServer):
    """The application in a thread of this process, on a real socket, under the HTTP class of `engram serve`."""

    def __init__(
        self,
        memory: Path,
        upstream: str | None,
        *,
        http: Any = None,
        keep_alive: int = 5,
        mount: Callable[[EngramApp], ASGIApp] = lambda app: app,
        **options: Any,
    ) -> None:
        """Start it and wait until it listens.

        http: another HTTP class of uvicorn; None: the server's. keep_alive: seconds until idle connections close.
        mount: returns the application that uvicorn runs. options: of `Settings`.
        """
        super().__init__()
        self.memory = memory
        self.settings = Settings(
            memory=str(memory), upstream=upstream, **{"deadline": DEADLINE, "drain_seconds": GRACE, **options}
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._log = LogLines(self.said)
        self._log.start()
        http = http or http_protocol(self.settings, direct=self.settings.relay != "plain")
        app = mount(create_app(self.settings))
        config = uvicorn_config(app, self.settings, http, timeout_keep_alive=keep_alive)
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, name="local-server")
        self._thread.start()
        wait_until(lambda: self._server.started or not self._thread.is_alive(), "the server's start")
        if not self._server.started:
            self.close()
            pytest.fail("the server does not start:\n" + "\n".join(self.said[-40:]))
        self._open_client()

    def stop(self) -> None:
        """Stop it in order: responses and pending writes finish."""
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def close(self) -> None:
        """Stop it, in whatever state it is."""
        if hasattr(self, "http"):
            self.http.close()
        self.stop()
        self._listener.close()
        self._log.stop()


class LogLines(logging.Handler):
    """Appends the server's log records to a list, as lines of JSON."""

    NAMES = ("engram", "uvicorn.error", "asyncio")

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(JsonLines(with_text=False))
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))

    def start(self) -> None:
        logging.getLogger("engram").setLevel(logging.INFO)
        set_levels()
        for name in self.NAMES:
            logging.getLogger(name).addHandler(self)

    def stop(self) -> None:
        for name in self.NAMES:
            logging.getLogger(name).removeHandler(self)


class Server(RunningServer):
    """`engram serve` as a process."""

    def __init__(self, memory: Path, upstream: str | None, *options: str, **environment: str) -> None:
        """Start it and wait until it listens. Fails with its log if it ends instead."""
        super().__init__()
        self.memory = memory
        command = [sys.executable, "-m", "engram", "serve", "--memory", str(memory), "--port", "0", *options]
        if upstream is not None:
            command += ["--upstream", upstream]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ENGRAM_")}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**inherited, **environment}
        )
        self.url = ""
        self._listening = Event()
        assert self.process.stderr is not None
        self._reader = Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        self._listening.wait(PATIENCE)
        if not self.url:
            code = self.process.poll()
            self.kill()
            pytest.fail(f"the server does not listen (exit code {code}):\n" + "\n".join(self.said[-40:]))
        self._open_client()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self.said.append(line.rstrip("\n"))
            if not self.url:
                record = parsed(line)
                if record.get("message") == "listening":
                    self.url = str(record["url"]).rstrip("/")
                    self._listening.set()
        # The process ended, so stop waiting.
        self._listening.set()

    def terminate(self) -> None:
        """Send SIGTERM, and do not wait."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds: float = PATIENCE) -> int:
        """Send SIGTERM and return the exit code."""
        if self.process.poll() is None:
            self.terminate()
        return self._wait(seconds)

    def kill(self) -> None:
        """Send SIGKILL, as a power cut would end it."""
        self.process.kill()
        self._wait(PATIENCE)

    def _wait(self, seconds: float) -> int:
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"the server did not end in {seconds:.0f} seconds:\n" + "\n".join(self.said[-40:]))
        self._reader.join(PATIENCE)
        # To close the pipe while a thread reads it would wait for ever.
        assert not self._reader.is_alive(), "a child process of the server still runs and holds its log open"
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def close(self) -> None:
        """Kill it if it runs."""
        if hasattr(self, "http"):
            self.http.close()
        if self.process.poll() is None:
            self.process.kill()
        self._wait(PATIENCE)


def parsed(line: str) -> dict[str, Any]:
    """Return a line of the log as an object; {} if it is none."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


Run = Callable[[Coroutine[Any, Any, Any]], Any]
StartServer = Callable[..., Server]
StartLocal = Callable[..., LocalServer]


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on uvloop, as the server does, and on asyncio's event loop."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else None

    def on_loop(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(work)

    return on_loop


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A scripted model (`upstream.py`)."""
    with Upstream() as running:
        yield running


@pytest.fixture
def server(tmp_path: Path, upstream: Upstream) -> Iterator[StartServer]:
    """Starts server processes with the scripted model as upstream, and `memory.db` in the test's folder.

    `server("--sticky", memory=path, upstream=None, ENGRAM_X="...")`: options, another memory, another upstream or none
    (the local model), and variables of the environment.
    """
    with ExitStack() as stack:

        def start(
            *options: str, memory: Path | None = None, upstream: str | None = upstream.url, **environment: str
        ) -> Server:
            running = Server(memory or tmp_path / "memory.db", upstream, *options, **environment)
            stack.callback(running.close)
            return running

        yield start


@pytest.fixture
def local(tmp_path: Path, upstream: Upstream) -> Iterator[StartLocal]:
    """Starts servers in this process, as `server` starts processes: `local(sticky=True, memory=path)`."""
    with ExitStack() as stack:

        def start(memory: Path | None = None, upstream: str | None = upstream.url, **options: Any) -> LocalServer:
            running = LocalServer(memory or tmp_path / "memory.db", upstream, **options)
            stack.callback(running.close)
            return running

        yield start
