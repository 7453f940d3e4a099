"""Limits on requests, checked before the application sees them.

Owns the checks that need no key and no memory: the address that is bound, the Host and Origin headers, the size and the
pace of request bodies. Limits that need the connection itself are in `connection`. Knows nothing of what a request
means.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Iterable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engram.errors import EngramError
from engram.serve.auth.headers import header_sent_twice
from engram.serve.http.errors import ServeError, bad_request
from engram.serve.http.paths import local_path
from engram.serve.settings import LOOPBACK, Settings
from engram.serve.wire.table import error_wire

EXPOSED = (
    "X-Engram-Recalled",
    "X-Engram-Profile",
    "X-Engram-Ms",
    "X-Engram-Session",
    "X-Engram-Receipt",
    "X-Engram-Error",
    "X-Engram-Tools",
    "Retry-After",
    "ETag",
)
"""Response headers that pages of other origins may read, where CORS is enabled."""

ANY = "*"
ANY_ADDRESS = "any address"
"""Entry of the allowed names that matches every IP address."""

HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.*-]+))(?::[0-9]*)?", re.ASCII)
"""A Host header: an IPv6 address in brackets, or a name or address; then an optional port."""


def guarded(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return `app` behind all checks of a request, the cheapest check first."""
    inner: ASGIApp = single_headers(BodyLimit(app, settings.most_body, settings.body_seconds))
    if settings.cors_origins:
        inner = CORSMiddleware(
            inner,
            allow_origins=list(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
        )
    return HostCheck(inner, allowed_hosts(settings), settings.cors_origins)


def single_headers(app: ASGIApp) -> ASGIApp:
    """Return `app` behind the refusal (400) of requests with two values for one of Engram's headers.

    Parts of the server, and proxies before it, would each pick another value: the key of one caller could meet the
    namespace of another.
    """

    async def check(scope: Scope, receive: Receive, send: Send) -> None:
        twice = header_sent_twice(scope["headers"]) if scope["type"] == "http" else None
        if twice is None:
            await app(scope, receive, send)
        else:
            message = f"{twice} came twice, in the headers or in a header and the path (/ns/...); send it once"
            await send_error(bad_request(message, twice, "header_twice"), scope, send)

    return check


def check_bind(settings: Settings, has_keys: bool) -> None:
    """Raise `EngramError` if other machines could reach the server and no keys exist."""
    if not has_keys and not is_loopback(settings.host):
        raise EngramError(
            f"the server would listen on {settings.host or 'every address'} for everybody, because no keys are set up;"
            " make one (engram keys create --namespace NAME), or leave --host at 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Return whether an address, or the name localhost, is reachable from this machine only."""
    address = address_of(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return `host` as an IP address, an IPv4-mapped one as IPv4; None if `host` is a name."""
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Return the names by which clients may call the server, as `host_of` returns them; "*" allows any."""
    names = {host_of(name) or normalised(name) for name in (*LOOPBACK, *settings.allowed_hosts, settings.host) if name}
    address = address_of(settings.host)
    if not settings.host or (address is not None and address.is_unspecified):
        # The server has every address of the machine. DNS rebinding always uses a name, never an address.
        names.add(ANY_ADDRESS)
    return frozenset(names)


def normalised(host: str) -> str:
    """Return a name or an address in the one form in which hosts are compared."""
    address = address_of(host)
    return host.lower().rstrip(".") if address is None else address.compressed


def host_of(value: str) -> str | None:
    """Return the name in a Host header without its port, as `normalised` writes it; None if malformed."""
    match = HOST.fullmatch(value.strip())
    if match is None or (match[1] is not None and address_of(match[1]) is None):
        return None
    return normalised(match[1] or match[2])


class HostCheck:
    """Refuses requests whose Host header is not a name of the server, or whose Origin is another site's page.

    A page can point a DNS name of its own at this machine (DNS rebinding), and can send some requests to any address
    without a preflight. Without keys, both must be refused.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str], origins: Iterable[str] = ()) -> None:
        """`allowed`: names as `allowed_hosts` returns them. `origins`: of pages that may call; "*": any."""
        self._app = app
        self._allowed = frozenset(allowed)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse one request, or pass it to the application."""
        if scope["type"] == "http" and (error := self._refusal(scope)) is not None:
            await send_error(error, scope, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ServeError | None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            count = "no Host header" if not hosts else "more than one Host header"
            return ServeError(400, f"the request has {count}; it must have one", "invalid_host")
        host = host_of(hosts[0])
        if host is None:
            return ServeError(400, "the Host header is no host name or address", "invalid_host")
        if not self._allows_host(host):
            return ServeError(
                421, f"this server is not called {host[:255]}; allow the name with --allow-host", "host_not_allowed"
            )
        for name, value in scope["headers"]:
            if name == b"origin" and not self._allows_origin(value.decode("latin-1").strip().lower(), hosts[0]):
                return ServeError(
                    403,
                    "pages of this origin may not call the server; allow it with --cors-origin",
                    "origin_not_allowed",
                )
        return None

    def _allows_host(self, host: str) -> bool:
        if ANY in self._allowed or host in self._allowed:
            return True
        return ANY_ADDRESS in self._allowed and address_of(host) is not None

    def _allows_origin(self, origin: str, host: str) -> bool:
        """Return whether `origin` may call. Schemes other than http(s) belong to applications, which always may."""
        if ANY in self._origins or origin in self._origins:
            return True
        scheme, separator, caller = origin.partition("://")
        return caller == host.strip().lower() if scheme in ("http", "https") else bool(separator)


class BodyLimit:
    """Refuses a body that is too large (413) or that stalls for too long (408)."""

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float) -> None:
        """`seconds`: the longest pause between two pieces of a body."""
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request to the application and limit the body that it reads."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if any(name == b"content-length" and self._exceeds(value) for name, value in scope["headers"]):
            await send_error(self._too_large(), scope, send)
            return
        exchange = LimitedExchange(scope, receive, send, self)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            if exchange.error is None:
                raise
        await exchange.refuse()

    async def next_message(self, receive: Receive) -> Message:
        """Return the next message of a body. Raises `ServeError` (408) if none arrives in time."""
        try:
            async with asyncio.timeout(self._seconds):
                return await receive()
        except TimeoutError:
            raise ServeError(
                408, f"nothing more of the request's body came for {self._seconds:g} s", "body_timeout"
            ) from None

    def check(self, size: int) -> None:
        """Raise `ServeError` (413) if a body of `size` bytes is too large."""
        if size > self._max_bytes:
            raise self._too_large()

    def _exceeds(self, length: bytes) -> bool:
        return length.isdigit() and int(length) > self._max_bytes

    def _too_large(self) -> ServeError:
        return ServeError(413, f"the request's body is over {self._max_bytes:,} bytes, the limit", "body_too_large")


class LimitedExchange:
    """One request and its response. If the body breaks a limit, our error replaces the application's response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: BodyLimit) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = limit
        self._size = 0
        self._complete = False
        self._started = False
        self._replaced = False
        self.error: ServeError | None = None

    async def receive(self) -> Message:
        """Return the next message. Raises `ServeError` if the body breaks a limit."""
        if self._complete:
            return await self._receive()
        try:
            message = await self._limit.next_message(self._receive)
            self._size += len(message.get("body", b""))
            self._limit.check(self._size)
        except ServeError as error:
            self.error = error
            raise
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a message of the response, unless our error replaces the response."""
        if self._replaced:
            return
        if self.error is not None and not self._started and message.get("status") != self.error.status:
            await self.refuse()
            return
        if message["type"] == "http.response.start":
            self._started = True
        await self._send(message)

    async def refuse(self) -> None:
        """Send the error, if there is one and no response has started."""
        if self._replaced or self._started or self.error is None:
            return
        self._replaced = True
        await send_error(self.error, self._scope, self._send)


async def send_error(error: ServeError, scope: Scope, send: Send, *more: tuple[bytes, bytes]) -> None:
    """Answer a request with an error, in the error format of the API that was called, with `more` headers.

    The connection stays open for a while and drops what the client still sends, so that the client reads the response.
    """
    body = error_wire(local_path(scope)).error(error)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
