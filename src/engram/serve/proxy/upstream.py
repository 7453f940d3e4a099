"""The model's API that stands behind this server, over HTTP.

Owns the connections to it, where a path leads, and which headers pass, either way. Knows nothing of what bodies say.
HTTP is aiohttp's: the same streams cost httpx two to three times the processor (docs/LOG.md). What comes of a stream is
taken off its connection (`tap`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from engram.errors import EngramError
from engram.models.local import LocalModel
from engram.serve.auth.headers import is_engram_key
from engram.serve.http.errors import ServeError
from engram.serve.proxy.fast_relay import Connector, Flow, IdleTimer, Sink, StreamInterceptor
from engram.serve.settings import Settings
from engram.serve.wire.table import KEY_HEADERS, key_for_upstream

PREFIX = "/v1"

HOP_BY_HOP = frozenset(
    """
    connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade
    """.split()
)
"""Headers that are one connection's own (RFC 9110, 7.6.1)."""

NOT_SENT = HOP_BY_HOP | {
    "host",
    "content-length",
    "accept-encoding",
    "expect",
    "forwarded",
    "cookie",
    "origin",
    "referer",
}
NOT_RETURNED = HOP_BY_HOP | {"content-length", "content-encoding", "server", "date", "set-cookie", "alt-svc"}
MOST_HEADER = 64 << 10
"""Bytes of one header of an answer."""
OWN = "x-engram"
"""How the headers begin that are between the client and Engram."""
CORS = "access-control-"
"""How those begin that say which pages may call: of this server, not of upstream."""

Headers = list[tuple[str, str]]


class UpstreamBroken(ServeError):
    """Upstream broke off in the middle of its answer."""


class Upstream:
    """One API. To be used on one event loop."""

    def __init__(self, base: str, *, key: str | None = None, seconds: float = 600.0, use_proxy: bool = True) -> None:
        """`base`: its URL, with or without the version. `key`: sent in the place of the caller's own."""
        try:
            parts = urlsplit(base)
            whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            whole = False
        if not whole:
            raise EngramError(f"{base!r} is no URL of a model's API; give one like https://api.openai.com/v1")
        self.base = base.rstrip("/")
        if not parts.path.strip("/"):
            self.base += PREFIX
        self.shown = self.base.replace(parts.netloc, parts.netloc.rpartition("@")[2])
        """The same without a password that stands in it."""
        self._key = key
        self._seconds = seconds
        self._use_proxy = use_proxy
        self._session: aiohttp.ClientSession | None = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=Connector(limit=0, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=self._seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Everything that is sent comes from the caller: nothing of this client's own is added.
                skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
                max_line_size=MOST_HEADER,
                max_field_size=MOST_HEADER,
                # Not aiohttp's own look at the environment: it takes two threads' time for each request, and would add
                # a password of ~/.netrc to requests that are the caller's.
                proxy=proxy_for(self.base) if self._use_proxy else None,
            )
        return self._session

    def url(self, path: str, query: str) -> URL:
        """Where a path of this server, beginning in /v1 and as it came (not unquoted), leads."""
        return URL(self.base + path.removeprefix(PREFIX) + (f"?{query}" if query else ""), encoded=True)

    def headers(self, given: Iterable[tuple[str, str]]) -> Headers:
        """The headers of a caller as they go to upstream: Engram's own, and a key for Engram, stay here."""
        sent = [
            (name, value)
            for name, value in given
            if name not in NOT_SENT and not name.startswith(OWN) and not is_engram_key(name, value)
        ]
        if self._key is not None:
            own = key_for_upstream(self._key, [name for name, _ in sent])
            sent = [(name, value) for name, value in sent if name not in KEY_HEADERS]
            sent.append(own)
        # What comes packed would have to be unpacked to be remembered.
        sent.append(("accept-encoding", "identity"))
        return sent

    @asynccontextmanager
    async def asked(
        self, method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body: bytes | AsyncIterator[bytes]
    ) -> AsyncIterator[Answer]:
        """What upstream answers to a request. Raises `ServeError` (502, 504) if it cannot be reached."""
        given = list(headers)
        sent = self.headers(given)
        if not isinstance(body, bytes):
            # It goes on piece by piece, as long as it was said to be.
            sent += [(name, value) for name, value in given if name == "content-length"]
        try:
            response = await self._client().request(
                method, self.url(path, query), headers=sent, data=body or None, allow_redirects=False
            )
        except TimeoutError:
            raise ServeError(504, f"{self.shown} did not answer in time", "upstream_timeout") from None
        except (aiohttp.ClientError, ValueError) as error:
            said = str(error) or type(error).__name__
            raise ServeError(502, f"{self.shown} cannot be reached: {said}", "upstream_unreachable") from None
        try:
            yield Answer(response, self.shown, self._seconds)
        finally:
            # Read to its end, the connection goes back to the others; else it is closed, and upstream stops.
            response.close() if not response.content.at_eof() else response.release()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class Answer:
    """What upstream answers, its body still to come."""

    def __init__(self, response: aiohttp.ClientResponse, upstream: str, seconds: float) -> None:
        """upstream: how errors call it. seconds: how long it may be silent."""
        self.status = response.status
        self.headers = [
            (name, value)
            for name, value in ((n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in response.raw_headers)
            if name not in NOT_RETURNED and not name.startswith((CORS, OWN))
        ]
        """Those that pass on to the client."""
        self.content_type = response.headers.get("content-type", "")
        self._response = response
        self._tap = StreamInterceptor.of(response)
        self._upstream = upstream
        self._seconds = seconds

    async def pour(self, sink: Sink) -> None:
        """Give all of the body to `sink` as it comes, unpacked. Raises `UpstreamBroken` where it breaks off."""
        watch, why = IdleTimer(self._seconds, self._response.close), None
        if (connection := self._response.connection) is not None and connection.protocol is not None:
            # aiohttp would set a timer of its own, anew for each piece.
            connection.protocol.read_timeout = None
            connection.protocol.start_timeout()
        try:
            if self._tap is not None:
                await self._tap.pour(sink, watch)
            else:
                await self._read(sink, watch)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            why = str(error) or type(error).__name__
        finally:
            watch.end()
        if watch.over:
            why = f"nothing came for {self._seconds:g} s"
        if why is not None:
            raise UpstreamBroken(502, f"{self._upstream} broke off its answer: {why}", "upstream_broken")

    async def _read(self, sink: Sink, watch: IdleTimer) -> None:
        async for piece in self._response.content.iter_any():
            # While the piece goes on to the client, nobody waits for upstream.
            watch.pause()
            sink.put(piece)
            await sink.room()
            watch.go_on()

    async def whole(self) -> bytes:
        """All of the body. Raises `UpstreamBroken` as `pour` does."""
        heap = Heap()
        await self.pour(heap)
        return b"".join(heap.pieces)


class Heap:
    """A sink that has room for everything."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def put(self, piece: bytes) -> None:
        """Take a piece."""
        self.pieces.append(piece)

    async def room(self) -> None:
        """There always is."""

    def attach(self, flow: Flow | None) -> None:
        """It never has to wait."""


def proxy_for(url: str) -> str | None:
    """The proxy that the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) names for a URL, None for none."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def open_upstream(settings: Settings, model: LocalModel | None) -> Upstream:
    """The upstream of `settings`, or `model` where it names none."""
    if settings.upstream is None:
        if model is None:
            raise EngramError("there is neither an upstream nor a local model to serve")
        return Upstream(model.url, key=model.key, seconds=settings.upstream_seconds, use_proxy=False)
    return Upstream(settings.upstream, key=upstream_key(settings, os.environ), seconds=settings.upstream_seconds)


def upstream_key(settings: Settings, environment: Mapping[str, str]) -> str | None:
    """The key for upstream that the server was given, or None if callers bring their own."""
    if settings.upstream_key_env is None:
        return None
    key = environment.get(settings.upstream_key_env, "").strip()
    if not key:
        raise EngramError(f"--upstream-key-env names {settings.upstream_key_env}, which is not set; set it to the key")
    return key
