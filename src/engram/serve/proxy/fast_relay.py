"""The fast way to read an event stream from upstream: bytes go from the socket to a sink, with no task to wake.

Replaces aiohttp's protocol on the socket while a chunked SSE body arrives, and forwards the body directly. aiohttp
still connects, sends, and parses the head of every response; of a stream it sees only the head and, at the end, an
empty body. aiohttp receives every other response unchanged. Knows nothing of what bodies contain. Uses internals of
aiohttp; `engram.serve.relay` checks them at start.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import httptools

from engram.serve.http.outlet import Sink

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

MAX_HEAD = 64 << 10
"""Bytes of a head beyond which the interceptor gives up; aiohttp then refuses the head as too large."""

_END = re.compile(rb"\n\r?\n")
_INFORMATIONAL = re.compile(rb"HTTP/\d\.\d 1(?!01)\d\d")
_STREAM = re.compile(rb"^content-type:[ \t]*text/event-stream", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:[ \t]*chunked[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_ENCODED = re.compile(rb"^content-encoding:[ \t]*(?!identity)\S", re.IGNORECASE | re.MULTILINE)

CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
"""Prepares a parser to read a chunked body and nothing after it."""
EMPTY_BODY = b"0\r\n\r\n"
"""Replaces the body for aiohttp, so that aiohttp returns the connection to its pool."""


def is_stream(head: bytes | bytearray) -> bool:
    """Return whether the body after `head` can be intercepted: server-sent events, chunked, not compressed."""
    return bool(_STREAM.search(head) and _CHUNKED.search(head) and not _ENCODED.search(head))


class InterceptingConnector(aiohttp.TCPConnector):
    """Installs a `StreamInterceptor` on every connection that it hands out."""

    async def connect(self, *args: Any, **options: Any) -> aiohttp.connector.Connection:
        """Return a pooled or new connection that waits for its next request."""
        connection = await super().connect(*args, **options)
        handler, transport = connection.protocol, connection.transport
        if handler is not None and transport is not None:
            transport.set_protocol(StreamInterceptor(handler, transport))
        return connection


class ForwardingProtocol(asyncio.Protocol):
    """Stands between a transport and aiohttp's protocol; forwards every event except received data."""

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport) -> None:
        self._handler = handler
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forward the loss of the connection."""
        self._handler.connection_lost(exc)

    def eof_received(self) -> None:
        """Forward the end of input."""
        self._handler.eof_received()

    def pause_writing(self) -> None:
        """Forward back-pressure on the request."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Forward the end of back-pressure."""
        self._handler.resume_writing()

    def restore(self) -> None:
        """Give the transport back to aiohttp's protocol."""
        self._transport.set_protocol(self._handler)


class StreamInterceptor(ForwardingProtocol):
    """Forwards the head of a response to aiohttp, and holds the body if it is a stream."""

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport) -> None:
        super().__init__(handler, transport)
        self._head = bytearray()
        self._held: bytearray | None = None
        """What arrived of a stream's body; None while no stream was recognised."""

    @staticmethod
    def holding(response: aiohttp.ClientResponse) -> StreamInterceptor | None:
        """Return the interceptor that holds the body of `response`; None if aiohttp has the body."""
        transport = None if response.connection is None else response.connection.transport
        protocol = None if transport is None else transport.get_protocol()
        return protocol if isinstance(protocol, StreamInterceptor) and protocol._held is not None else None

    def data_received(self, data: bytes) -> None:
        """Forward a part of the head, or hold a part of the body."""
        if self._held is not None:
            self._held += data
            return
        before = len(self._head)
        self._head += data
        end = _END.search(self._head, max(0, before - 2))
        if end is None:
            if len(self._head) > MAX_HEAD:
                self.restore()
            self._handler.data_received(data)
            return
        head, rest = data[: end.end() - before], data[end.end() - before :]
        del self._head[end.end() :]
        if _INFORMATIONAL.match(self._head):
            self._head.clear()
            self._handler.data_received(head)
            if rest:
                self.data_received(rest)
        elif is_stream(self._head):
            self._held = bytearray(rest)
            self._handler.data_received(head)
        else:
            self.restore()
            self._handler.data_received(data)

    async def stream_to(self, sink: Sink, timer: IdleTimer) -> None:
        """Write the whole body to `sink` as it arrives. Raises `ConnectionError` if it breaks off."""
        held, self._held = self._held, None
        reader = ChunkedBodyReader(self._handler, self._transport, sink, timer)
        self._transport.set_protocol(reader)
        sink.attach(reader)
        try:
            if held:
                reader.data_received(bytes(held))
            if self._transport.is_closing() and not reader.done.done():
                raise ConnectionError("the connection was closed before its end")
            await reader.done
        finally:
            sink.attach(None)


class ChunkedBodyReader(ForwardingProtocol):
    """Parses a chunked body and writes its content to a sink. A `Source`: the sink may pause it."""

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport, sink: Sink, timer: IdleTimer) -> None:
        super().__init__(handler, transport)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer = timer
        self.on_body = sink.write
        """Called by the parser."""
        self._paused = False
        self._complete = False
        self._parser = httptools.HttpResponseParser(self)
        # As lenient as aiohttp's own parser.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._parser.feed_data(CHUNKED_HEAD)

    def pause(self) -> None:
        """Stop reading from the socket."""
        if not self._paused and not self._complete and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
            self._timer.pause()

    def resume(self) -> None:
        """Continue reading from the socket."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
            self._timer.restart()

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._complete = True

    def data_received(self, data: bytes) -> None:
        """Parse one or more chunks, or parts of a chunk."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            # A bug on our side: the event loop logs it and closes the connection.
            raise
        except httptools.HttpParserError as error:
            if not self._complete:
                self._fail(f"its chunks cannot be read: {error}")
            # Data after the body would be taken for the response to the next request.
            self._transport.close()
        if self._complete:
            self._finish()
        elif not self._paused:
            self._timer.restart()

    def _finish(self) -> None:
        # The parser refers back to this object; break the cycle instead of waiting for the garbage collector.
        del self._parser
        self.resume()
        if not self._transport.is_closing():
            self.restore()
            self._handler.data_received(EMPTY_BODY)
        if not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forward the loss of the connection, and fail unless the body is complete."""
        super().connection_lost(exc)
        self._fail(str(exc or "the connection was closed before its end"))

    def _fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(reason))


class IdleTimer:
    """Calls back once if nothing restarts or pauses it for a number of seconds; one event-loop timer for many waits."""

    def __init__(self, seconds: float, on_expired: Callable[[], None]) -> None:
        """Start waiting."""
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self.since = self.now()
        """When the current wait began, by `now`; infinite while paused."""
        self.expired = False
        self._seconds = seconds
        self._on_expired = on_expired
        self._timer = loop.call_later(seconds, self._check)

    def pause(self) -> None:
        """Stop waiting until `restart`."""
        self.since = math.inf

    def restart(self) -> None:
        """Start a new wait now."""
        self.since = self.now()

    def _check(self) -> None:
        left = self.since + self._seconds - self.now()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(min(left, self._seconds), self._check)
        else:
            self.expired = True
            self._on_expired()

    def close(self) -> None:
        """Cancel the timer."""
        self._timer.cancel()
