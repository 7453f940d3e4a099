"""The server's client to upstream: how long it waits, and by which way it goes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from engram.serve.http.errors import ServeError
from engram.serve.http.outlet import Source
from engram.serve.proxy.upstream import BufferSink, UpstreamBroken, proxy_for
from engram.serve.proxy.upstream import Upstream as Client
from tests.serve.upstream import Upstream

Steps = list[tuple[float, bytes]]

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


class Slow(BufferSink):
    """A sink that, once it has something, has no room for so many seconds."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause = pause
        self._source: Source | None = None

    def write(self, piece: bytes) -> None:
        super().write(piece)
        if self._pause and self._source is not None:
            self._source.pause()
            asyncio.get_running_loop().call_later(self._pause, self._source.resume)

    async def drain(self) -> None:
        await asyncio.sleep(self._pause)

    def attach(self, source: Source | None) -> None:
        self._source = source


async def asked(url: str, seconds: float, pause: float) -> bytes:
    """What comes of a stream; a pause is made behind each piece."""
    client, sink = Client(url, seconds=seconds, use_proxy=False), Slow(pause)
    try:
        body = json.dumps({"model": "plain", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}).encode()
        async with client.request("POST", "/v1/chat/completions", "", [], body) as answer:
            await answer.stream_to(sink)
    finally:
        await client.close()
    return b"".join(sink.chunks)


async def from_one_who(steps: Steps, seconds: float, pause: float = 0.0) -> bytes:
    """What comes of an answer of which each part is sent after so many seconds."""

    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"Hi")
            for after, data in steps:
                await asyncio.sleep(after)
                writer.write(data)
            await writer.drain()
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.create_task(answer(reader, writer)))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        try:
            return await asked(f"http://127.0.0.1:{port}", seconds, pause)
        finally:
            for task in answering:
                task.cancel()
            await asyncio.gather(*answering, return_exceptions=True)


@pytest.mark.parametrize("head", [CHUNKED, HEAD + b"\r\n", HEAD + b"content-length: 50\r\n\r\n"])
def test_a_stream_that_falls_silent_is_given_up(head: bytes) -> None:
    steps = [(0.0, head + b"5\r\nhello\r\n"), (3.0, b"0\r\n\r\n")]
    with pytest.raises(UpstreamBroken, match=r"nothing came for 0\.3 s"):
        asyncio.run(from_one_who(steps, 0.3))


def test_a_slow_stream_is_not_given_up() -> None:
    steps = [(0.0, CHUNKED), *((0.12, b"2\r\nhi\r\n") for _ in range(6)), (0.12, b"0\r\n\r\n")]
    assert asyncio.run(from_one_who(steps, 0.5)) == b"hi" * 6


def test_a_slow_stream_without_chunks_is_not_given_up() -> None:
    steps = [(0.0, HEAD + b"content-length: 12\r\n\r\n"), *((0.12, b"hi") for _ in range(6))]
    assert asyncio.run(from_one_who(steps, 0.5)) == b"hi" * 6


def test_a_slow_client_does_not_count_as_silence_of_upstream() -> None:
    steps = [(0.0, CHUNKED + b"2\r\nhi\r\n"), (0.1, b"2\r\nho\r\n0\r\n\r\n")]
    assert asyncio.run(from_one_who(steps, 0.3, pause=0.7)) == b"hiho"


def test_an_upstream_that_does_not_answer_is_given_up() -> None:
    with pytest.raises(ServeError, match="did not answer in time") as raised:
        asyncio.run(from_one_who([(3.0, CHUNKED)], 0.3))
    assert raised.value.status == 504


def test_the_proxy_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for("https://api.example.com/v1") is None
    monkeypatch.setenv("https_proxy", "http://ana:secret@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "localhost,.internal")
    assert proxy_for("https://api.example.com/v1") == "http://ana:secret@proxy.example:3128"
    assert proxy_for("http://api.example.com/v1") is None
    assert proxy_for("https://models.internal/v1") is None


def test_requests_use_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()

    async def ask() -> bytes:
        server = await asyncio.start_server(proxy, "127.0.0.1", 0)
        async with server:
            monkeypatch.setenv("http_proxy", f"http://ana:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}")
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            client = Client("http://api.example.com/v1")
            try:
                async with client.request("GET", "/v1/models", "", [("authorization", "Bearer mine")], b"") as answer:
                    return await answer.read()
            finally:
                await client.close()

    assert asyncio.run(ask()) == b"hi"
    (head,) = seen
    assert head.startswith(b"GET http://api.example.com/v1/models HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic YW5hOnNlY3JldA==\r\n" in head
    assert b"authorization: Bearer mine" in head


def test_netrc_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, upstream: Upstream) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ana password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))

    async def ask() -> None:
        client = Client(upstream.url)
        try:
            async with client.request("GET", "/v1/models", "", [], b"") as answer:
                assert answer.status == 200
        finally:
            await client.close()

    asyncio.run(ask())
    assert upstream.last.header("Authorization") is None
