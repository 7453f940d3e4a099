"""The HTTP/1.1 connection of `engram serve`: uvicorn's protocol class with limits and a direct outlet.

Owns the limits that need the connection: an application never sees a request whose headers do not end, and cannot cut
off a client that does not read. Also writes stream chunks straight to the transport, which bypasses ASGI middleware for
speed. Uses internals of uvicorn's `HttpToolsProtocol`; `engram.serve.relay` checks them at start.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from engram.serve.http.errors import ServeError
from engram.serve.http.http10 import EXTENSION as CLOSE_DELIMITED
from engram.serve.http.http10 import CloseDelimitedCycle
from engram.serve.http.outlet import EXTENSION, Source
from engram.serve.settings import Settings
from engram.serve.wire.table import error_wire

MAX_HEADERS = 64 << 10
"""Largest request line with headers, in bytes."""

RESET = struct.pack("ii", 1, 0)
"""Value for SO_LINGER: closing the socket drops unsent data and resets the connection."""

H2C_OFFER = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n|\Z)", re.IGNORECASE)
"""A header that offers HTTP/2 over cleartext."""

LINGER_SECONDS = 2.0
"""How long a refused connection stays open so that the client can read why."""


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 by uvicorn, with limits on headers and on clients that do not read. Implements `Outlet`."""

    header_seconds = 10.0
    send_seconds = 60.0
    direct = True
    """Whether applications may write to the connection directly (`EXTENSION`)."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.url = b""
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._unparsed = 0
        """Bytes received since the parser last reported complete headers or a part of a body."""
        self._head = 0
        """Bytes of the request line and the headers, as parsed."""
        self._refused: ServeError | None = None
        self._source: Source | None = None
        self._disconnected: asyncio.Future[None] = self.loop.create_future()

    # Receiving.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first headers."""
        super().connection_made(transport)
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived and enforce the limit on headers."""
        if self._refused is not None:
            return
        self._unparsed += len(data)
        if b"h2c" in data and (self.cycle is None or self.cycle.response_complete):
            # Java's client offers HTTP/2 with each request; the parser would then treat the body as HTTP/2.
            head, end, body = data.partition(b"\r\n\r\n")
            data = H2C_OFFER.sub(b"", head) + end + body
        super().data_received(data)
        if self._refused is not None or self.transport.is_closing():
            return
        if self._unparsed > MAX_HEADERS:
            self._refuse(headers_too_large())
        elif self.cycle is None or self.cycle.response_complete:
            self._start_head_timer()

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self._head = 0
        if self.direct:
            self.scope["extensions"] = {EXTENSION: {"outlet": self}}

    def on_url(self, url: bytes) -> None:
        """Count a part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count one header, or one trailer of a chunked body."""
        self._count(len(name) + len(value) + len(b": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the header timer and start the application."""
        self._unparsed = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0" and self.cycle is not None:
            # The application has not started yet. It gets no outlet, which writes chunks.
            self.scope["extensions"] = {CLOSE_DELIMITED: {}}
            self.cycle.__class__ = CloseDelimitedCycle

    def on_body(self, body: bytes) -> None:
        """Reset the count of unparsed bytes."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Reset the count of unparsed bytes."""
        self._unparsed = 0
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEADERS:
            # The parser catches this exception, and uvicorn calls `send_400_response`.
            self._refused = headers_too_large()
            raise self._refused

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.header_seconds, self._on_head_timeout)

    def _on_head_timeout(self) -> None:
        self._head_timer = None
        if self.transport.get_write_buffer_size():
            self._cut()
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that cannot be parsed."""
        self._refuse(self._refused or ServeError(400, "this is not HTTP/1.1 that can be read", "invalid_http"))

    def _refuse(self, error: ServeError) -> None:
        self._refused = error
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started or self.pipeline:
                # A response is under way; an error response cannot follow it.
                self._cut()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = error_wire(self.url.decode("latin-1")).error(error)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[error.status] + head + body)
        if self.transport.can_write_eof():
            # Closing at once would discard the response while the client is still sending.
            self.transport.write_eof()
            self._stop_timers()
            self._head_timer = self.loop.call_later(LINGER_SECONDS, self._on_head_timeout)
        else:
            self.transport.close()

    # Sending (`Outlet`).

    def write(self, chunk: bytes) -> None:
        """Write a chunk to the transport. The response must have started without a content-length."""
        if chunk and not self.transport.is_closing():
            self.transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    async def drain(self) -> None:
        """Wait until the client has read enough."""
        await self.flow.drain()

    def attach(self, source: Source | None) -> None:
        """Pause `source` while the client does not read."""
        self._source = source
        if source is not None and self.flow.write_paused:
            source.pause()

    def disconnected(self) -> asyncio.Future[None]:
        """Return the connection's future; it is done when the connection is lost."""
        return self._disconnected

    def close(self) -> None:
        """Detach the source. The next request may use the connection."""
        self._source = None

    def pause_writing(self) -> None:
        """Pause the source and start the timer for a client that does not read."""
        super().pause_writing()
        self._start_send_timer()
        if self._source is not None:
            self._source.pause()

    def resume_writing(self) -> None:
        """Resume the source and stop the timer."""
        super().resume_writing()
        if self._source is not None:
            self._source.resume()
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def on_response_complete(self) -> None:
        """Start the timer if the client still has to read a part of the response."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._start_send_timer()

    def _start_send_timer(self) -> None:
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(self.send_seconds, self._on_send_timeout)

    def _on_send_timeout(self) -> None:
        self._send_timer = None
        if self.transport.get_write_buffer_size():
            self._cut()

    def _cut(self) -> None:
        # close() would wait until the client has read the rest, and the kernel would keep sending even after that.
        if (raw := self.transport.get_extra_info("socket")) is not None:
            # uvloop returns a socket on which options cannot be set, so set them on a duplicate of its descriptor.
            with socket.socket(fileno=os.dup(raw.fileno())) as duplicate:
                duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers and resolve `disconnected`."""
        self._stop_timers()
        super().connection_lost(exc)
        if not self._disconnected.done():
            self._disconnected.set_result(None)

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._send_timer):
            if timer is not None:
                timer.cancel()


def headers_too_large() -> ServeError:
    """Return the error for headers over the limit."""
    return ServeError(431, f"the request's headers are over {MAX_HEADERS:,} bytes, the limit", "headers_too_large")


def http_protocol(settings: Settings, *, direct: bool) -> type[GuardedProtocol]:
    """Return the class for uvicorn's `http` option. direct: whether applications may write to the connection."""
    return type(
        "Protocol",
        (GuardedProtocol,),
        {"header_seconds": settings.header_seconds, "send_seconds": settings.send_seconds, "direct": direct},
    )
