"""The application under ASGI servers that know nothing of Engram."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from engram.errors import EngramError
from engram.serve.app import EngramApp, create_app
from engram.serve.settings import Settings
from tests.serve.calling import call
from tests.serve.conftest import DEADLINE, PATIENCE, TLS, RunningServer, StartLocal, wait_until
from tests.serve.proxied import Caller, unnumbered, user
from tests.serve.upstream import Upstream

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
DOG = "My dog is called Biscuit."
DOCS = Path(__file__).parents[2] / "docs" / "serve.md"


def asking(text: str, script: str = "plain", *, stream: bool = False) -> dict[str, Any]:
    return {"model": script, "stream": stream, "messages": [user(text)], "max_tokens": 9}


def in_process(
    folder: Path, upstream: Upstream, work: Callable[[httpx.AsyncClient], Awaitable[None]], **options: Any
) -> None:
    """Run `work` with a client that calls the application without a server."""
    settings = Settings(memory=str(folder / "memory.db"), upstream=upstream.url, deadline=DEADLINE, **options)

    async def main() -> None:
        async with (
            create_app(settings) as app,
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
        ):
            await work(http)

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True])
def test_httpx_calls_it_without_a_server(tmp_path: Path, upstream: Upstream, stream: bool) -> None:
    async def work(http: httpx.AsyncClient) -> None:
        for script in ("plain", "bytes=3", "lump", "tokens=2000"):
            body = asking(DOG, script, stream=stream)
            straight = httpx.post(upstream.root + CHAT, json=body, trust_env=False, verify=TLS)
            answer = await http.post(CHAT, json=body)
            assert answer.status_code == 200
            assert unnumbered(answer.content) == unnumbered(straight.content)
            receipt = (await http.get(f"/memory/receipts/{answer.headers['x-engram-receipt']}")).json()
            assert receipt["state"] in ("stored", "indexed")
            assert len(receipt["engrams"]) == 2
        answer = await http.post(CHAT, json=asking("What is my dog called?"))
        assert DOG in upstream.last.last_user
        assert (await http.get("/v1/models")).json()["object"] == "list"
        assert (await http.get("/healthz")).text == "ok\n"

    in_process(tmp_path, upstream, work)


def test_errors_and_limits_hold_without_a_server(tmp_path: Path, upstream: Upstream) -> None:
    async def work(http: httpx.AsyncClient) -> None:
        assert (await http.post(CHAT, json=asking(DOG, "500"))).status_code == 500
        assert (await http.post(CHAT, json=asking(DOG, "reset=1"))).status_code == 502
        too_large = await http.post(MESSAGES, content=b"x" * 2000)
        assert (too_large.status_code, too_large.json()["error"]["type"]) == (413, "request_too_large")
        assert (await http.get("/healthz", headers={"Host": "evil.example"})).status_code == 421

    in_process(tmp_path, upstream, work, most_body=1000)


def test_it_must_be_opened_first(tmp_path: Path) -> None:
    app = create_app(Settings(memory=str(tmp_path / "memory.db"), upstream="http://127.0.0.1:9"))

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
            await http.get("/healthz")

    with pytest.raises(RuntimeError, match="not open"):
        asyncio.run(ask())
    assert not (tmp_path / "memory.db").exists()


def test_it_says_why_it_cannot_be_opened(tmp_path: Path) -> None:
    app = create_app(Settings(memory=str(tmp_path / "memory.db"), upstream="nowhere"))

    async def start() -> None:
        async with app:
            pass

    with pytest.raises(EngramError, match="no URL of a model's API"):
        asyncio.run(start())
    # Nothing is left open or locked.
    app = create_app(Settings(memory=str(tmp_path / "memory.db"), upstream="http://127.0.0.1:9"))
    for _ in range(2):
        asyncio.run(start())


def test_starlettes_test_client_runs_its_lifespan(tmp_path: Path, upstream: Upstream) -> None:
    app = create_app(Settings(memory=str(tmp_path / "memory.db"), upstream=upstream.url, deadline=DEADLINE))
    with TestClient(app, base_url="http://localhost") as client:
        answer = client.post(CHAT, json=asking(DOG, "bytes=5", stream=True))
        assert answer.status_code == 200
        assert answer.text.endswith("data: [DONE]\n\n")
        assert client.get("/memory/engrams").json()["engrams"][0]["text"] == DOG


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_uvicorn_as_it_is(local: StartLocal, upstream: Upstream, http: str) -> None:
    with Caller(local(http=http), upstream) as ana:
        for script in ("plain", "bytes=1", "tokens=5000"):
            straight = ana.server.http.post(upstream.root + CHAT, json=asking(DOG, script, stream=True))
            answer = ana.post(CHAT, asking(DOG, script, stream=True))
            assert unnumbered(answer.content) == unnumbered(straight.content)
        # A client that disconnects stops upstream, and the part of the reply that arrived is stored.
        with ana.server.http.stream(
            "POST", CHAT, json=asking("Count.", "tokens=4000+rate=100", stream=True), headers=ana.headers
        ) as stream:
            received = b""
            for part in stream.iter_raw():
                received += part
                if b"word7" in received:
                    break
        assert ana.last.ended.wait(PATIENCE)
        assert ana.last.outcome == "gone"
        wait_until(lambda: any(e["metadata"] == {"broken_off": True} for e in ana.kept()), "the broken reply")


@pytest.mark.parametrize("http", [None, "h11"])
def test_a_client_that_does_not_read_holds_upstream_back(local: StartLocal, upstream: Upstream, http: str) -> None:
    server = local(http=http, relay="auto" if http is None else "plain")
    # The reply is longer than all buffers of the kernel, which may hold 32 MiB of one connection.
    size, times = 100_000, 1_000
    body = json.dumps(asking("x" * size, f"echo+times={times}", stream=True)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nx-engram: off\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), PATIENCE) as line:
        line.sendall(head.encode() + body)
        wait_until(lambda: upstream.asked, "the request")
        assert not upstream.last.ended.wait(1.0)
        received = bytearray()
        while not received.endswith(b"0\r\n\r\n"):
            received += line.recv(1 << 20)
    assert len(received) > size * times
    assert upstream.last.ended.wait(PATIENCE)
    assert upstream.last.outcome == "answered"


# In another application.


def mounted(app: EngramApp) -> FastAPI:
    """Return an application of somebody else with Engram below /engram."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with app:
            yield

    host = FastAPI(lifespan=lifespan)

    @host.get("/hello")
    async def hello() -> str:
        return "hello"

    host.mount("/engram", app)
    return host


@pytest.mark.parametrize("http", [None, "h11"])
def test_mounted_in_another_application(local: StartLocal, upstream: Upstream, http: str | None) -> None:
    server = local(http=http, mount=mounted)
    ask = server.http
    assert ask.get("/hello").json() == "hello"
    assert ask.get("/engram/healthz").text == "ok\n"
    answer = ask.post(f"/engram{CHAT}", json=asking(DOG, "bytes=9", stream=True))
    assert answer.text.endswith("data: [DONE]\n\n")
    assert (upstream.last.path, upstream.last.json) == (CHAT, asking(DOG, "bytes=9", stream=True))
    ask.get("/engram/v1/models/org%2Fname?x=%20")
    assert (upstream.last.path, upstream.last.query) == ("/v1/models/org/name", "x=%20")
    kept = ask.get("/engram/memory/engrams").json()["engrams"]
    assert [engram["text"] for engram in kept] == [DOG, upstream.reply]
    assert ask.post(f"/engram{MESSAGES}", content=b"{").json()["type"] == "error"
    assert ask.get("/engram/v1/../x").status_code in (400, 404)
    assert ask.get("/engram/v2").json()["error"]["code"] == "not_found"
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert ask.get("/engram/v1/realtime", headers=upgrade).status_code in (426, 501)
    assert '"/engram/openapi.json"' in ask.get("/engram/docs").text.replace("'", '"')
    assert ask.get("/engram/openapi.json").json()["info"]["title"] == "Engram"
    assert call(Below(server, "/engram"), "recall", query="dog")[0]


class Below(RunningServer):
    """A server as seen below a path."""

    def __init__(self, server: RunningServer, path: str) -> None:
        super().__init__()
        self.url = server.url + path


def test_a_path_that_only_begins_like_the_mount_is_not_cut(local: StartLocal, upstream: Upstream) -> None:
    server = local(mount=mounted)
    assert server.http.get("/engram/engram/v1/models").status_code == 404
    assert upstream.asked == []


# Started by a command.


def test_uvicorns_command_runs_the_factory(tmp_path: Path, upstream: Upstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "engram.serve.app:create_app", "--port", str(port)]
    environment = os.environ | {"ENGRAM_MEMORY": str(tmp_path / "memory.db"), "ENGRAM_UPSTREAM": upstream.url}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "Uvicorn running on" in line:
                break
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE) as http:
            answer = http.post(CHAT, json=asking(DOG, "bytes=4", stream=True))
            assert answer.text.endswith("data: [DONE]\n\n")
            assert answer.headers["x-engram-receipt"]
        process.terminate()
        process.stderr.read()
        assert process.wait(PATIENCE) in (0, -15)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert (tmp_path / "memory.db").exists()


# What the documentation shows.


def test_the_documented_snippets_work(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = DOCS.read_text()
    section = page[page.index("## Under another ASGI server") :]
    mounted_code, called_code = re.findall(r"```python\n(.*?)```", section[: section.index("\n## ", 5)], re.S)
    monkeypatch.chdir(tmp_path)
    upstream_url = "https://api.openai.com/v1"
    assert upstream_url in mounted_code
    assert upstream_url in called_code
    names: dict[str, Any] = {}
    exec(mounted_code.replace(upstream_url, upstream.url), names)
    with TestClient(names["app"], base_url="http://localhost") as client:
        assert client.post(f"/engram{CHAT}", json=asking(DOG)).status_code == 200
        started = time.monotonic()
    assert time.monotonic() < started + PATIENCE
    exec(called_code.replace(upstream_url, upstream.url), {"__name__": "__main__"})
    assert "200" in capsys.readouterr().out
