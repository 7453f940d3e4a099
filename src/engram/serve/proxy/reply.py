"""The response to one proxied request, on its way to the client.

Owns the ASGI messages of the response, the plain outlet, and the order of a stream's end and its storage. Knows nothing
of conversations: what is stored, and how, is a function that the handler passes in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from starlette.types import Receive, Scope, Send

from engram.serve.http.errors import ServeError
from engram.serve.http.outlet import EXTENSION, Outlet, Source
from engram.serve.proxy.upstream import UpstreamResponse
from engram.serve.wire.base import Collector
from engram.serve.wire.table import Wire

HIGH_WATER = 64 << 10
"""Bytes that an `AsgiOutlet` holds before it pauses its source."""

END_LENGTH = 32
"""Bytes that are kept of a stream to recognise its end mark, which may be split over chunks."""


class ClientDisconnected(ServeError):
    """The client disconnected; nobody reads the response."""

    def __init__(self) -> None:
        super().__init__(499, "the client disconnected", "client_gone")


class RequestBody:
    """The body of one request, and the disconnect message that may follow it. Read the body once, then wait."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._complete = asyncio.Event()
        self.disconnected = False
        """Whether the client disconnected before the end of the body."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the chunks. Raises `ClientDisconnected` if the client disconnects before the end."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.disconnected = True
                raise ClientDisconnected
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk
        self._complete.set()

    async def read(self) -> bytes:
        """Return the whole body. Raises `ClientDisconnected` as iteration does."""
        return b"".join([chunk async for chunk in self])

    def skip(self) -> None:
        """Declare that there is no body to read."""
        self._complete.set()

    async def wait_for_disconnect(self) -> None:
        """Return when the client disconnects, but not before the body is read: both arrive by `receive`."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


class AsgiOutlet:
    """Sends the body of a response as ASGI messages: the outlet that works under every ASGI server.

    Chunks written in one turn of the event loop go out as one message. The server's `send` waits while the client does
    not read; the outlet then pauses its source.
    """

    def __init__(self, body: RequestBody, send: Send) -> None:
        self._body = body
        self._send = send
        self._chunks: list[bytes] = []
        self._size = 0
        """Bytes written to the outlet that `send` has not accepted yet."""
        self._source: Source | None = None
        self._sender: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None

    def write(self, chunk: bytes) -> None:
        """Queue a chunk; a task sends it."""
        if not chunk:
            return
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > HIGH_WATER and self._source is not None:
            self._source.pause()
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_chunks())

    async def _send_chunks(self) -> None:
        while self._chunks:
            body = b"".join(self._chunks)
            self._chunks.clear()
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
            self._size -= len(body)
            if self._size <= HIGH_WATER and self._source is not None:
                self._source.resume()

    async def drain(self) -> None:
        """Wait until the server has accepted all chunks. Raises `ClientDisconnected` if it refuses them."""
        waited_for = None
        # While one sender is awaited, a write from elsewhere may start the next.
        while (sender := self._sender) is not waited_for and sender is not None:
            await asyncio.wait({sender})
            if isinstance(sender.exception(), OSError):
                raise ClientDisconnected
            sender.result()
            waited_for = sender

    def attach(self, source: Source | None) -> None:
        """Pause `source` while more than `HIGH_WATER` bytes wait."""
        self._source = source
        if source is not None and self._size > HIGH_WATER:
            source.pause()

    def disconnected(self) -> asyncio.Future[None]:
        """Return a task that ends when the server reports the disconnect."""
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._body.wait_for_disconnect())
        return self._watcher

    def close(self) -> None:
        """Stop the tasks."""
        for task in (self._sender, self._watcher):
            if task is None:
                continue
            task.cancel()
            if task.done() and not task.cancelled():
                # Retrieve the exception, or asyncio logs it.
                task.exception()


def outlet_of(scope: Scope, body: RequestBody, send: Send) -> Outlet:
    """Return the direct outlet if the server offers one, else the plain outlet."""
    extension = scope.get("extensions", {}).get(EXTENSION)
    if extension is None:
        return AsgiOutlet(body, send)
    direct: Outlet = extension["outlet"]
    return direct


class ResponseSender:
    """Sends the response to one request. A `Sink` for the body, once the head is sent."""

    def __init__(self, send: Send, outlet: Outlet) -> None:
        """`outlet`: receives the chunks of a streamed body."""
        self._send = send
        self.outlet = outlet
        self.write = outlet.write
        self.drain = outlet.drain
        self.attach = outlet.attach
        self.extra_headers: list[tuple[str, str]] = []
        """Headers for every response: what memory did for the request."""
        self.log_text: str | None = None
        """The user's words, for a log that may hold text."""
        self.status = 0
        self.ended = False

    @property
    def started(self) -> bool:
        """Whether the head is sent."""
        return self.status > 0

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Send the head."""
        self.status = status
        raw = [(name.encode("latin-1"), header_value(value)) for name, value in (*headers, *self.extra_headers)]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def end(self, body: bytes = b"") -> None:
        """Send the last part of the body."""
        await self.drain()
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
        self.ended = True

    async def send_whole(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Send a response whose body is complete."""
        await self.start(status, [*headers, ("content-length", str(len(body)))])
        await self.end(body)


class HoldEndUntilStored:
    """A sink that forwards a stream, collects it, and holds back its end mark until the reply is stored.

    A client that has seen the end may rely on the reply being durable.
    """

    def __init__(
        self, sender: ResponseSender, collector: Collector, wire: Wire, store: Callable[[], asyncio.Task[None]]
    ) -> None:
        """`store`: starts to store what was collected, once; returns the task."""
        self.drain = sender.drain
        self.attach = sender.attach
        self._forward = sender.write
        self._collect = collector.feed
        self._has_end = wire.ends
        self._store = store
        self._last = b""
        self._held: list[bytes] | None = None
        self._released = False

    def write(self, chunk: bytes) -> None:
        """Collect a chunk, and forward or hold it."""
        self._collect(chunk)
        if self._released:
            self._forward(chunk)
        elif self._held is not None:
            self._held.append(chunk)
        elif self._has_end(last := self._last + chunk):
            self._held = [chunk]
            self._store().add_done_callback(self.release)
        else:
            self._last = last[-END_LENGTH:]
            self._forward(chunk)

    def release(self, _: object = None) -> None:
        """Forward what is held, and every later chunk at once."""
        held, self._held, self._released = self._held or (), None, True
        for chunk in held:
            self._forward(chunk)


async def relay(response: UpstreamResponse, sender: ResponseSender) -> None:
    """Forward a response that is not stored."""
    await sender.start(response.status, response.headers)
    await response.stream_to(sender)
    await sender.end()


async def unless_disconnected(work: Coroutine[Any, Any, None], sender: ResponseSender) -> None:
    """Run `work`, which sends a response. Raises `ClientDisconnected` if the client disconnects before its end."""
    task, disconnected = asyncio.ensure_future(work), sender.outlet.disconnected()
    stopped = False

    def stop(_: object) -> None:
        nonlocal stopped
        # Some servers report a disconnect after every response.
        if not sender.ended:
            stopped = task.cancel()

    disconnected.add_done_callback(stop)
    try:
        await task
    except asyncio.CancelledError:
        if stopped:
            raise ClientDisconnected from None
        raise
    finally:
        disconnected.remove_done_callback(stop)


def header_value(value: str) -> bytes:
    """Return a header's value in Latin-1; other characters are escaped with a backslash."""
    return value.encode("latin-1", "backslashreplace")
