"""What stands between the network and the application: who may call, how much, how slowly.

Owns the checks that need no key and no memory: the address that is bound, the name and the page that call, the size
and the pace of what is sent and of what is read. Knows nothing of what a request means.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from engram.errors import EngramError
from engram.serve.http.errors import ServeError
from engram.serve.proxy.fast_relay import Flow, Sink
from engram.serve.settings import LOOPBACK, Settings
from engram.serve.wire.table import Wire, error_wire

MOST_HEADERS = 64 << 10
"""Bytes of a request's line and headers."""

EXPOSED = ("X-Engram-Recalled", "X-Engram-Ms", "X-Engram-Session", "X-Engram-Receipt", "X-Engram-Error", "Retry-After")
"""Headers of an answer that a page of another origin may read, where CORS is asked for."""

ANY = "*"
ANY_ADDRESS = "any address"
"""Stands among the allowed names for every IP address."""

HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.*-]+))(?::[0-9]*)?", re.ASCII)
"""A Host header: an IPv6 address in brackets, or a name or address; then perhaps a port."""


AT_ONCE = struct.pack("ii", 1, 0)
"""For SO_LINGER: what was not sent is dropped when a connection is closed."""

OFFER = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n|\Z)", re.IGNORECASE)
"""A header that offers HTTP/2."""

OUTLET = "engram.outlet"
"""The extension of a request's scope that gives its connection: an `Outlet`, named "self"."""

LINGER_SECONDS = 2.0
"""How long a connection that is refused stays open for its client to read why."""


def guarded(app: ASGIApp, settings: Settings) -> ASGIApp:
    """`app` behind all that is checked of a request, the cheapest check first."""
    inner: ASGIApp = BodyLimit(app, settings.most_body, settings.body_seconds)
    if settings.cors_origins:
        inner = CORSMiddleware(
            inner,
            allow_origins=list(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
        )
    return HostCheck(inner, allowed_hosts(settings), settings.cors_origins)


def check_bind(settings: Settings, has_keys: bool) -> None:
    """Raise `EngramError` if others than this machine could call, and no key would keep them out."""
    if not has_keys and not is_loopback(settings.host):
        raise EngramError(
            f"the server would listen on {settings.host or 'every address'} for everybody, because no keys are set up;"
            " make one (engram keys create --namespace NAME), or leave --host at 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether an address, or the name localhost, is reached from this machine only."""
    address = address_of(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """`host` as an IP address; None if it is a name."""
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """The names by which the server may be called, as `host_of` gives them; with "*" any."""
    names = {host_of(name) or normal(name) for name in (*LOOPBACK, *settings.allowed_hosts, settings.host) if name}
    address = address_of(settings.host)
    if not settings.host or (address is not None and address.is_unspecified):
        # It has every address of the machine. An address is never the name that an attacker has bound to another one.
        names.add(ANY_ADDRESS)
    return frozenset(names)


def normal(host: str) -> str:
    """A name or an address in the one form in which it is compared."""
    address = address_of(host)
    return host.lower().rstrip(".") if address is None else address.compressed


def host_of(value: str) -> str | None:
    """The name in a Host header, without its port, as `normal` writes it; None if it is malformed."""
    found = HOST.fullmatch(value.strip())
    if found is None or (found[1] is not None and address_of(found[1]) is None):
        return None
    return normal(found[1] or found[2])


class HostCheck:
    """Refuses requests that call the server by a name that is not its own, or come from a page of another origin.

    A page can point a name of its own at this machine (DNS rebinding), and can send some requests to any address
    without asking first: what is served without a key must not be within its reach.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str], origins: Iterable[str] = ()) -> None:
        """`allowed`: names as `allowed_hosts` gives them. `origins`: those of pages that may call; "*": any."""
        self._app = app
        self._allowed = frozenset(allowed)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] == "http" and (error := self._refusal(scope)) is not None:
            await answer(error, scope, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ServeError | None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            found = "no Host header" if not hosts else "more than one Host header"
            return ServeError(400, f"the request has {found}; it must have one", "invalid_host")
        host = host_of(hosts[0])
        if host is None:
            return ServeError(400, "the Host header is no host name or address", "invalid_host")
        if not self._serves(host):
            return ServeError(
                421, f"this server is not called {host[:255]}; allow the name with --allow-host", "host_not_allowed"
            )
        for name, value in scope["headers"]:
            if name == b"origin" and not self._calls(value.decode("latin-1").strip().lower(), hosts[0]):
                return ServeError(
                    403,
                    "pages of this origin may not call the server; allow it with --cors-origin",
                    "origin_not_allowed",
                )
        return None

    def _serves(self, host: str) -> bool:
        if ANY in self._allowed or host in self._allowed:
            return True
        return ANY_ADDRESS in self._allowed and address_of(host) is not None

    def _calls(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` may call; what is no page of the web (an application's own scheme) always may."""
        if ANY in self._origins or origin in self._origins:
            return True
        scheme, named, caller = origin.partition("://")
        return caller == host.strip().lower() if scheme in ("http", "https") else bool(named)


class BodyLimit:
    """Refuses a body that is too large (413), or of which no piece comes for too long (408)."""

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        """`most`: bytes. `seconds`: between two pieces."""
        self._app = app
        self._most = most
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one request on, its body watched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if any(name == b"content-length" and self._exceeds(value) for name, value in scope["headers"]):
            await answer(self._too_large(), scope, send)
            return
        watched = Watched(scope, receive, send, self)
        try:
            await self._app(scope, watched.receive, watched.send)
        except Exception:
            if watched.error is None:
                raise
        await watched.refuse()

    async def piece(self, receive: Receive) -> Message:
        """The next piece of a body. Raises `ServeError` 408 if none comes in time."""
        try:
            async with asyncio.timeout(self._seconds):
                return await receive()
        except TimeoutError:
            raise ServeError(
                408, f"nothing more of the request's body came for {self._seconds:g} s", "body_timeout"
            ) from None

    def check(self, size: int) -> None:
        """Raise `ServeError` 413 if a body of `size` bytes is too large."""
        if size > self._most:
            raise self._too_large()

    def _exceeds(self, length: bytes) -> bool:
        return length.isdigit() and int(length) > self._most

    def _too_large(self) -> ServeError:
        return ServeError(413, f"the request's body is over {self._most:,} bytes, the limit", "body_too_large")


class Watched:
    """The body and the answer of one request. A body that is refused decides the answer, whatever is made of that."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: BodyLimit) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = limit
        self._size = 0
        self._whole = False
        self._started = False
        self._replaced = False
        self.error: ServeError | None = None

    async def receive(self) -> Message:
        """The next message; raises `ServeError` if the body is refused."""
        if self._whole:
            return await self._receive()
        try:
            message = await self._limit.piece(self._receive)
            self._size += len(message.get("body", b""))
            self._limit.check(self._size)
        except ServeError as error:
            self.error = error
            raise
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a message of the answer, unless the refusal of the body stands in its place."""
        if self._replaced:
            return
        if self.error is not None and not self._started and message.get("status") != self.error.status:
            await self.refuse()
            return
        if message["type"] == "http.response.start":
            self._started = True
        await self._send(message)

    async def refuse(self) -> None:
        """Answer with the refusal, if there is one and nothing was answered yet."""
        if self._replaced or self._started or self.error is None:
            return
        self._replaced = True
        await answer(self.error, self._scope, self._send)


async def answer(error: ServeError, scope: Scope, send: Send, *more: tuple[bytes, bytes]) -> None:
    """Answer a request with an error, in the form of the API that was called, and with `more` headers.

    The connection stays for a while: what a client is still sending is dropped, so that it comes to read the answer.
    """
    body = form_of(scope["path"]).error(error)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def form_of(path: str) -> Wire:
    """The API that is called by a path: its form is that of the errors."""
    return error_wire(path)


class Outlet(Sink, Protocol):
    """Where the pieces of a stream go out, once the head of the answer is gone.

    By ASGI's own way each piece is a message that passes every layer, and that would be most of what a stream costs.
    """

    def on_gone(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the client goes away."""

    def forget(self, tell: Callable[[], None]) -> None:
        """Do not call `tell` any more."""


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 by uvicorn, with the limits that it lacks: for headers without end, and for a client that does not read.

    Both are a matter of the connection: an application sees no request that never begins, and cannot cut off one whose
    answer is stuck.
    """

    header_seconds = 10.0
    send_seconds = 60.0

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.url = b""
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._loose = 0
        """Bytes since the parser last had something to show for them: of headers, or of what follows a chunked body."""
        self._head = 0
        """Bytes of the request's line and headers, as parsed."""
        self._refused: ServeError | None = None
        self._flow: Flow | None = None
        self._tell: Callable[[], None] | None = None

    # What comes.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its headers are waited for."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Something came."""
        if self._refused is not None:
            return
        self._loose += len(data)
        if b"h2c" in data and (self.cycle is None or self.cycle.response_complete):
            # An offer to speak HTTP/2, which Java's client makes each time: the parser would take the body for that.
            head, end, body = data.partition(b"\r\n\r\n")
            data = OFFER.sub(b"", head) + end + body
        super().data_received(data)
        if self._refused is not None or self.transport.is_closing():
            return
        if self._loose > MOST_HEADERS:
            self._refuse(headers_too_large())
        elif self.cycle is None or self.cycle.response_complete:
            self._await_head()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._head = 0
        self.scope["extensions"] = {OUTLET: {"self": self}}

    def on_url(self, url: bytes) -> None:
        """A piece of the request's line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; also one behind a chunked body."""
        self._count(len(name) + len(value) + len(b": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request can be answered."""
        self._loose = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._loose = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._loose = 0
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MOST_HEADERS:
            # The parser turns what is raised here into a call of `send_400_response`.
            self._refused = headers_too_large()
            raise self._refused

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.header_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.get_write_buffer_size():
            self._cut()
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request that can be read."""
        self._refuse(self._refused or ServeError(400, "this is not HTTP/1.1 that can be read", "invalid_http"))

    def _refuse(self, error: ServeError) -> None:
        self._refused = error
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started or self.pipeline:
                # In the middle of an answer there is no place for another one.
                self._cut()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = form_of(self.url.decode("latin-1")).error(error)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[error.status] + head + body)
        if self.transport.can_write_eof():
            # Closing at once would throw the answer away while the client is still sending.
            self.transport.write_eof()
            self._stop_timers()
            self._head_timer = self.loop.call_later(LINGER_SECONDS, self._head_is_late)
        else:
            self.transport.close()

    # What goes.

    def put(self, piece: bytes) -> None:
        """Send a piece of an answer whose head is gone and whose length was not told (`Outlet`)."""
        if piece and not self.transport.is_closing():
            self.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    async def room(self) -> None:
        """Wait until the client has read enough (`Outlet`)."""
        await self.flow.drain()

    def attach(self, flow: Flow | None) -> None:
        """Let `flow` wait while the client does not read (`Outlet`)."""
        self._flow = flow
        if flow is not None and self.flow.write_paused:
            flow.pause()

    def pause_writing(self) -> None:
        """The client reads more slowly than is written."""
        super().pause_writing()
        self._await_reader()
        if self._flow is not None:
            self._flow.pause()

    def resume_writing(self) -> None:
        """The client has read on."""
        super().resume_writing()
        if self._flow is not None:
            self._flow.go_on()
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def on_response_complete(self) -> None:
        """All of an answer is written; the client may still have to read it."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._await_reader()

    def _await_reader(self) -> None:
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(self.send_seconds, self._reader_is_late)

    def _reader_is_late(self) -> None:
        self._send_timer = None
        if self.transport.get_write_buffer_size():
            self._cut()

    def _cut(self) -> None:
        # Closing would wait until the client has read what is left, and the system would go on after that.
        if (own := self.transport.get_extra_info("socket")) is not None:
            # Not every event loop gives out a socket that options can be set on; its number is always there.
            with socket.socket(fileno=os.dup(own.fileno())) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.abort()

    def on_gone(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the client goes away (`Outlet`)."""
        self._tell = tell
        if self.transport.is_closing():
            tell()

    def forget(self, tell: Callable[[], None]) -> None:
        """Do not call `tell` any more (`Outlet`)."""
        # The next request on this connection may have begun.
        if self._tell is tell:
            self._tell = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_timers()
        super().connection_lost(exc)
        if self._tell is not None:
            self._tell()

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._send_timer):
            if timer is not None:
                timer.cancel()


def headers_too_large() -> ServeError:
    """The refusal of a request whose headers do not end in time."""
    return ServeError(431, f"the request's headers are over {MOST_HEADERS:,} bytes, the limit", "headers_too_large")


def protocol(settings: Settings) -> type[asyncio.Protocol]:
    """The HTTP protocol for uvicorn's `http`, with the times of `settings`."""

    class Protocol(GuardedProtocol):
        header_seconds = settings.header_seconds
        send_seconds = settings.send_seconds

    return Protocol
