"""Serves MCP over stdin and stdout.

Owns the end of the input: every request that was read is answered first. Does not know the tools (`api.mcp`).
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

MAX_LINES_AHEAD = 100
"""Lines of stdin that are read before the protocol takes them."""


async def serve_stdio(server: Server[Any]) -> bool:
    """Serve stdin and stdout until the input ends or a signal stops the process; return whether it was SIGINT (Ctrl-C).

    Only the protocol writes to stdout: while this runs, all other output to stdout goes to stderr.
    """
    interrupted = False

    async def cancel_on_signal(scope: anyio.CancelScope) -> None:
        nonlocal interrupted
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                interrupted = number == signal.SIGINT
                scope.cancel()

    requests = OpenRequests()
    async with anyio.create_task_group() as group:
        group.start_soon(cancel_on_signal, group.cancel_scope)
        # The cast is safe: the protocol only iterates over the lines.
        async with stdio_server(stdin=cast("anyio.AsyncFile[str]", stdin_lines())) as (reading, writing):
            options = server.create_initialization_options()
            await server.run(Reading(reading, requests), Writing(writing, requests), options)
        group.cancel_scope.cancel()
    return interrupted


async def stdin_lines() -> AsyncIterator[str]:
    """Yield the lines of stdin as they arrive. Unlike a read in an anyio thread, the wait can be cancelled."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    free = threading.Semaphore(MAX_LINES_AHEAD)
    stream = io.TextIOWrapper(os.fdopen(os.dup(0), "rb"), encoding="utf-8", errors="replace")

    def read_lines() -> None:
        # The loop raises RuntimeError once it is closed.
        with suppress(RuntimeError):
            for line in stream:
                free.acquire()
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

    # A daemon thread, so that the interpreter exits without waiting for another line.
    threading.Thread(target=read_lines, name="engram-stdin", daemon=True).start()
    while (line := await lines.get()) is not None:
        free.release()
        yield line


class OpenRequests:
    """The requests that were read and are not answered."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._changed = anyio.Event()

    def read(self, message: object) -> None:
        """Note a message of the client: a request is open, and one that the client cancels gets no answer."""
        if isinstance(message, JSONRPCRequest):
            self._open[str(message.id)] += 1
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._close(str((message.params or {}).get("requestId")), of_all=True)

    def written(self, message: object) -> None:
        """Note a message to the client: an answer closes its request."""
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self._close(str(message.id))

    def _close(self, id: str, *, of_all: bool = False) -> None:
        self._open[id] -= self._open[id] if of_all else 1
        if self._open[id] <= 0:
            del self._open[id]
        self._changed.set()

    async def all_answered(self) -> None:
        """Wait until no request is open."""
        while self._open:
            self._changed = anyio.Event()
            await self._changed.wait()


class Reading(ObjectReceiveStream[SessionMessage | Exception]):
    """The messages of the client. The protocol drops running calls at the end, so the end waits for their answers."""

    def __init__(self, inner: Any, requests: OpenRequests) -> None:
        self._inner = inner
        self._requests = requests

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message. Raises `anyio.EndOfStream` once all are read and all requests answered."""
        try:
            message: SessionMessage | Exception = await self._inner.receive()
        except anyio.EndOfStream:
            await self._requests.all_answered()
            raise
        if isinstance(message, SessionMessage):
            self._requests.read(message.message)
        return message

    async def aclose(self) -> None:
        """Close the stream."""
        await self._inner.aclose()


class Writing(ObjectSendStream[SessionMessage]):
    """The messages to the client."""

    def __init__(self, inner: Any, requests: OpenRequests) -> None:
        self._inner = inner
        self._requests = requests

    async def send(self, item: SessionMessage) -> None:
        """Send a message. A request whose answer cannot be sent is no longer open either."""
        try:
            await self._inner.send(item)
        finally:
            self._requests.written(item.message)

    async def send_eof(self) -> None:
        """Close the stream."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the stream."""
        await self._inner.aclose()
