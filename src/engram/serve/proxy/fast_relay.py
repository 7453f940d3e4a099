"""The body of an event stream as it comes off its connection: handed on at once, with no task to wake for each piece.

aiohttp connects, sends, and reads the head of every answer. Of a stream that comes in chunks it gets no more than that
and, when it has ended, its end; of any other answer it gets everything. Knows nothing of what bodies say.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
import httptools

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

MOST_HEAD = 64 << 10
"""Bytes of a head after which aiohttp is left alone with it: it refuses what is too large."""

_END = re.compile(rb"\n\r?\n")
_INFORMATIONAL = re.compile(rb"HTTP/\d\.\d 1(?!01)\d\d")
_STREAM = re.compile(rb"^content-type:[ \t]*text/event-stream", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:[ \t]*chunked[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_PACKED = re.compile(rb"^content-encoding:[ \t]*(?!identity)\S", re.IGNORECASE | re.MULTILINE)

CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
"""For a parser that is to read what follows such a head, and nothing behind that."""
NO_CHUNKS = b"0\r\n\r\n"
"""For aiohttp in the place of a body that was taken: its connection can be used again."""


def is_stream(head: bytes | bytearray) -> bool:
    """Whether what follows a head can be taken: events, in chunks, not packed."""
    return bool(_STREAM.search(head) and _CHUNKED.search(head) and not _PACKED.search(head))


class Flow(Protocol):
    """What comes, and can be made to wait."""

    def pause(self) -> None:
        """Let nothing come."""

    def go_on(self) -> None:
        """Let it come again."""


class Sink(Protocol):
    """Where the pieces of an answer go."""

    def put(self, piece: bytes) -> None:
        """Take a piece."""

    async def room(self) -> None:
        """Wait until there is room for more."""

    def attach(self, flow: Flow | None) -> None:
        """Tell `flow` whenever there is no room, and when there is again; None: nobody any more."""


class Connector(aiohttp.TCPConnector):
    """A connector whose connections have a tap."""

    async def connect(self, *args: Any, **options: Any) -> aiohttp.connector.Connection:
        """A connection, from the pool or new, on which nothing has been asked yet."""
        connection = await super().connect(*args, **options)
        handler, transport = connection.protocol, connection.transport
        if handler is not None and transport is not None:
            transport.set_protocol(StreamInterceptor(handler, transport))
        return connection


class ForwardingProtocol(asyncio.Protocol):
    """Stands between a connection and aiohttp, which learns all but what comes."""

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport) -> None:
        self._handler = handler
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """It is not there any more."""
        self._handler.connection_lost(exc)

    def eof_received(self) -> None:
        """Nothing more will come."""
        self._handler.eof_received()

    def pause_writing(self) -> None:
        """What is asked goes out more slowly than it is written."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """It has gone out."""
        self._handler.resume_writing()

    def step_aside(self) -> None:
        """Let aiohttp have the connection to itself."""
        self._transport.set_protocol(self._handler)


class StreamInterceptor(ForwardingProtocol):
    """Lets the head of an answer through, and what follows it unless that is a stream."""

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport) -> None:
        super().__init__(handler, transport)
        self._head = bytearray()
        self._held: bytearray | None = None
        """What has come of a stream's body."""

    @staticmethod
    def of(response: aiohttp.ClientResponse) -> StreamInterceptor | None:
        """The tap that holds the body of an answer; None if aiohttp has it."""
        transport = None if response.connection is None else response.connection.transport
        tap = None if transport is None else transport.get_protocol()
        return tap if isinstance(tap, StreamInterceptor) and tap._held is not None else None

    def data_received(self, data: bytes) -> None:
        """A piece of the head, or of what is held."""
        if self._held is not None:
            self._held += data
            return
        before = len(self._head)
        self._head += data
        end = _END.search(self._head, max(0, before - 2))
        if end is None:
            if len(self._head) > MOST_HEAD:
                self.step_aside()
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
            self.step_aside()
            self._handler.data_received(data)

    async def pour(self, sink: Sink, watch: IdleTimer) -> None:
        """Give all of the body to `sink` as it comes; `watch` sees whether it does. Raises ConnectionError if not."""
        held, self._held = self._held, None
        body = ChunkedBodyReader(self._handler, self._transport, sink, watch)
        self._transport.set_protocol(body)
        sink.attach(body)
        try:
            if held:
                body.data_received(bytes(held))
            if self._transport.is_closing() and not body.done.done():
                raise ConnectionError("the connection was closed before its end")
            await body.done
        finally:
            sink.attach(None)


class ChunkedBodyReader(ForwardingProtocol):
    """The body of a stream, taken out of its chunks as it comes."""

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport, sink: Sink, watch: IdleTimer) -> None:
        super().__init__(handler, transport)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watch = watch
        self.on_body = sink.put
        """Called by the parser."""
        self._paused = False
        self._over = False
        self._parser = httptools.HttpResponseParser(self)
        # As much as aiohttp bears with.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._parser.feed_data(CHUNKED_HEAD)

    def pause(self) -> None:
        """Let nothing come."""
        if not self._paused and not self._over and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
            self._watch.pause()

    def go_on(self) -> None:
        """Let it come again."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
            self._watch.go_on()

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._over = True

    def data_received(self, data: bytes) -> None:
        """A piece, or several."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            # A fault of ours: the event loop logs it and closes the connection.
            raise
        except httptools.HttpParserError as error:
            if not self._over:
                self._fail(f"its chunks cannot be read: {error}")
            # What nobody has asked for would pass for the answer to what is asked next.
            self._transport.close()
        if self._over:
            self._end()
        elif not self._paused:
            self._watch.go_on()

    def _end(self) -> None:
        # It knows this object, too: the two would stay until the collector comes.
        del self._parser
        self.go_on()
        if not self._transport.is_closing():
            self.step_aside()
            self._handler.data_received(NO_CHUNKS)
        if not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """It breaks off."""
        super().connection_lost(exc)
        self._fail(str(exc or "the connection was closed before its end"))

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(why))


class IdleTimer:
    """Sees to it that nobody waits for longer than so many seconds; one timer for many waits."""

    def __init__(self, seconds: float, too_late: Callable[[], None]) -> None:
        """Begin to wait. `too_late` is called once, if it comes to that."""
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self.since = self.now()
        """Since when somebody waits, by `now`; infinite while nobody does."""
        self.over = False
        self._seconds = seconds
        self._too_late = too_late
        self._timer = loop.call_later(seconds, self._look)

    def pause(self) -> None:
        """Nobody waits for a while."""
        self.since = math.inf

    def go_on(self) -> None:
        """Somebody waits, from now on."""
        self.since = self.now()

    def _look(self) -> None:
        left = self.since + self._seconds - self.now()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(min(left, self._seconds), self._look)
        else:
            self.over = True
            self._too_late()

    def end(self) -> None:
        """Nobody will wait any more."""
        self._timer.cancel()
