"""Streams taken off their connections: however upstream cuts, ends or breaks them, and however slowly they go on."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from engram.serve.http.errors import ServeError
from engram.serve.http.outlet import Source
from engram.serve.proxy.fast_relay import MAX_HEAD, is_stream
from engram.serve.proxy.upstream import BufferSink, Upstream, UpstreamBroken

Run = Callable[[Coroutine[Any, Any, Any]], Any]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = [b"data: one\n\n", b"data: two\n\n", "data: dr\u00fc\n\n".encode(), b"data: [DONE]\n\n"]
ALL = b"".join(EVENTS)


def chunked(pieces: Sequence[bytes], end: bytes = b"0\r\n\r\n") -> bytes:
    """Pieces as the chunks of a body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def cut(data: bytes, size: int) -> list[bytes]:
    """Data in pieces of a size."""
    return [data[at : at + size] for at in range(0, len(data), size)]


@dataclass
class Model:
    """A server that gives one answer after the other, in the parts given, to whoever asks."""

    answers: list[list[bytes]]
    url: str = ""
    connections: int = 0
    sent: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Upstream]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = Upstream(self.url, seconds=5.0, use_proxy=False)
        try:
            async with server:
                yield client
                await client.close()
                for task in self.tasks:
                    task.cancel()
                await asyncio.gather(*self.tasks, return_exceptions=True)
        finally:
            await client.close()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.add(asyncio.create_task(self._answer(reader, writer)))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while self.answers:
                await reader.readuntil(b"ask")
                for part in self.answers.pop(0):
                    if part == b"close":
                        return
                    writer.write(part)
                    await writer.drain()
                    self.sent += len(part)
                    await asyncio.sleep(0.001)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs something on an event loop: the server's own, or Python's."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else None

    def on_loop(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(work)

    return on_loop


async def said(client: Upstream) -> bytes:
    """What is answered to a question."""
    async with client.request("POST", "/v1/chat/completions", "", [], b"ask") as answer:
        return await answer.read()


async def answers(*given: list[bytes]) -> tuple[list[bytes | str], int]:
    """What is answered to one question after the other, or how that failed; and over how many connections."""
    model = Model(list(given))
    got: list[bytes | str] = []
    async with model.running() as client:
        for _ in given:
            try:
                got.append(await said(client))
            except ServeError as error:
                got.append(error.message)
    return got, model.connections


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_streams_arrive_whole_however_cut_and_the_connection_is_reused(run: Run, size: int) -> None:
    whole = HEAD + chunked(EVENTS)
    assert run(answers(cut(whole, size), cut(whole, size), cut(whole, size))) == ([ALL] * 3, 1)


def test_informational_responses_and_trailers_are_accepted(run: Run) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n"
    trailers = b"0\r\nx-usage: 12\r\n\r\n"
    assert run(answers(cut(early + HEAD + chunked(EVENTS, trailers), 5), [HEAD + chunked(EVENTS)])) == ([ALL, ALL], 1)


@pytest.mark.parametrize("size", [1, 10_000])
def test_lines_may_end_without_a_carriage_return(run: Run, size: int) -> None:
    assert run(answers(cut(HEAD.replace(b"\r\n", b"\n") + chunked(EVENTS), size))) == ([ALL], 1)


def test_a_stream_that_ends_before_it_is_read_is_whole(run: Run) -> None:
    closing = HEAD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") + chunked(EVENTS)

    def answer(listening: socket.socket) -> None:
        line, _ = listening.accept()
        with line:
            line.recv(1 << 16)
            time.sleep(0.1)
            line.sendall(closing)

    async def ask(port: int) -> bytes:
        client = Upstream(f"http://127.0.0.1:{port}", seconds=5.0, use_proxy=False)
        # While it all comes, and the end of the connection, the event loop has something else to do.
        asyncio.get_running_loop().call_later(0.05, time.sleep, 0.3)
        try:
            return await said(client)
        finally:
            await client.close()

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        answering = pool.submit(answer, listening)
        assert run(ask(listening.getsockname()[1])) == ALL
        answering.result()


def test_chunk_extensions_are_ignored(run: Run) -> None:
    assert run(answers([HEAD + b"5;a=b\r\nhello\r\n0\r\n\r\n"])) == ([b"hello"], 1)


def test_unsolicited_data_is_not_taken_for_the_next_response(run: Run) -> None:
    stray = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray"
    assert run(answers([HEAD + chunked(EVENTS) + stray], [HEAD + chunked([b"mine"])])) == ([ALL, b"mine"], 2)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([HEAD + b"5\r\nhello\r\n", b"close"], "closed before its end"),
        ([HEAD + b"50\r\nhello", b"close"], "closed before its end"),
        ([HEAD, b"close"], "closed before its end"),
        ([HEAD + b"5\r\nhello\r\n", b"no chunk\r\n"], "chunks cannot be read"),
        ([HEAD + b"5\r\nhello world\r\n0\r\n\r\n"], "chunks cannot be read"),
    ],
)
def test_a_broken_stream_is_reported_and_its_connection_not_reused(run: Run, parts: list[bytes], why: str) -> None:
    (broken, whole), connections = run(answers(parts, [HEAD + chunked(EVENTS)]))
    assert isinstance(broken, str)
    assert "broke off its answer" in broken
    assert why in broken
    assert (whole, connections) == (ALL, 2)


def test_chunks_before_a_break_are_relayed(run: Run) -> None:
    async def ask() -> bytes:
        heap = BufferSink()
        async with Model([[HEAD + chunked(EVENTS[:2], end=b""), b"close"]]).running() as client:
            async with client.request("POST", "/v1/chat/completions", "", [], b"ask") as answer:
                with pytest.raises(UpstreamBroken):
                    await answer.stream_to(heap)
        return b"".join(heap.chunks)

    assert run(ask()) == b"".join(EVENTS[:2])


def test_other_responses_are_left_to_aiohttp(run: Run) -> None:
    plain = HEAD.replace(b"text/event-stream", b"application/json")
    packed = HEAD[:-2] + b"content-encoding: gzip\r\n\r\n"
    until_closed = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    told = until_closed[:-2] + b"content-length: %d\r\n\r\n" % len(ALL)
    assert not any(map(is_stream, (plain, packed, until_closed, told)))
    found = answers(
        cut(plain + chunked(EVENTS), 9),
        cut(packed + chunked(cut(gzip.compress(ALL), 10)), 9),
        cut(told + ALL, 9),
        [*cut(until_closed + ALL, 9), b"close"],
    )
    assert run(found) == ([ALL] * 4, 1)


def test_a_head_without_end_is_refused(run: Run) -> None:
    endless = b"HTTP/1.1 200 OK\r\n" + b"x-much: " + b"a" * (2 * MAX_HEAD)
    (refused,), _ = run(answers(cut(endless, 10_000)))
    assert isinstance(refused, str)
    assert "cannot be reached" in refused


class Full(BufferSink):
    """A sink that has no room from its first piece on, until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self.source: Source | None = None

    def write(self, piece: bytes) -> None:
        super().write(piece)
        self.size += len(piece)
        if len(self.chunks) == 1 and self.source is not None:
            self.source.pause()

    def attach(self, source: Source | None) -> None:
        self.source = source


def test_upstream_is_paused_while_the_sink_is_full(run: Run) -> None:
    much = [b"x" * 50_000] * 400

    async def ask() -> tuple[int, int, int, int]:
        model, sink = Model([[HEAD, *(chunked([piece], end=b"") for piece in much), b"0\r\n\r\n"]]), Full()
        async with model.running() as client, client.request("POST", "/v1/x", "", [], b"ask") as answer:
            pouring = asyncio.create_task(answer.stream_to(sink))
            sent = -1
            while sent != model.sent or not sink.size:
                sent = model.sent
                await asyncio.sleep(0.3)
            waited = sink.size
            assert sink.source is not None
            sink.source.resume()
            await pouring
        return waited, sent, sink.size, sum(map(len, much))

    waited, sent, got, size = run(ask())
    # What had come when it was paused is there; the rest stands in the system's buffers, or is not sent yet.
    assert waited < 1_000_000
    assert sent < size
    assert got == size


def test_a_stream_that_ends_while_paused_leaves_a_reusable_connection(run: Run) -> None:
    async def ask() -> tuple[bytes, bytes, int]:
        model, sink = Model([[HEAD + chunked(EVENTS)], [HEAD + chunked(EVENTS)]]), Full()
        async with model.running() as client:
            async with client.request("POST", "/v1/x", "", [], b"ask") as answer:
                await answer.stream_to(sink)
            return b"".join(sink.chunks), await said(client), model.connections

    assert run(ask()) == (ALL, ALL, 1)
