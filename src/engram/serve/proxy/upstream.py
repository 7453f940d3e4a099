"""The client of the model's API.

Owns the connections to upstream, the mapping of paths to URLs, and which headers pass in either direction. Knows
nothing of what bodies contain. Uses aiohttp: httpx needs two to three times the CPU for the same streams (docs/LOG.md).
Streams are read by `fast_relay` where the fast relay is on, else by aiohttp.
"""

from __future__ import annotations

import io
import os
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from engram.errors import EngramError
from engram.models.local import LocalModel
from engram.serve.auth.headers import ENGRAM, is_engram_key
from engram.serve.http.errors import ServeError
from engram.serve.http.leftover import send_leftover
from engram.serve.http.outlet import Sink, Source
from engram.serve.http.reasons import reason_of
from engram.serve.proxy.fast_relay import IdleTimer, InterceptingConnector, StreamInterceptor
from engram.serve.settings import Settings
from engram.serve.wire.table import KEY_HEADERS, key_for_upstream

PREFIX = "/v1"

HOP_BY_HOP = frozenset(
    """
    connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade
    """.split()
)
"""Headers that apply to one connection only (RFC 9110, 7.6.1)."""

NOT_FORWARDED = HOP_BY_HOP | {
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
MAX_HEADER = 64 << 10
"""Largest header of a response, in bytes."""
LARGE_BODY = 1 << 20
"""Bodies of more bytes are sent in parts."""
CORS = "access-control-"
"""Prefix of the headers that say which pages may call; this server sets them, not upstream."""

Headers = list[tuple[str, str]]


class UpstreamBroken(ServeError):
    """Upstream broke off in the middle of its response."""


class Upstream:
    """The client of one API. Use it on one event loop."""

    def __init__(
        self,
        base: str,
        *,
        key: str | None = None,
        seconds: float = 600.0,
        use_proxy: bool = True,
        fast: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connect to nothing yet. Raises `EngramError` if `base` is not a URL.

        base: the API's URL, with or without the version. key: sent instead of the caller's key. seconds: the longest
        silence. fast: whether `fast_relay` reads the streams, not aiohttp. tls: which certificates to trust; None:
        those of the system, or of the file that SSL_CERT_FILE names when the process starts.
        """
        try:
            parts = urlsplit(base)
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            raise EngramError(f"{base!r} is no URL of a model's API; give one like https://api.openai.com/v1")
        self.base = base.rstrip("/")
        if not parts.path.strip("/"):
            self.base += PREFIX
        self.display_url = self.base.replace(parts.netloc, parts.netloc.rpartition("@")[2])
        """`base` without a user name and password."""
        self._key = key
        self._seconds = seconds
        self._use_proxy = use_proxy
        self._connector = InterceptingConnector if fast else aiohttp.TCPConnector
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(limit=0, keepalive_timeout=30, ssl=self._tls or True),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=self._seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Every header comes from the caller; aiohttp must add none.
                skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
                max_line_size=MAX_HEADER,
                max_field_size=MAX_HEADER,
                # aiohttp's `trust_env` is off: it costs two thread switches a request, and would add a password of
                # ~/.netrc to the caller's request.
                proxy=proxy_for(self.base) if self._use_proxy else None,
            )
        return self._session

    def url(self, path: str, query: str) -> URL:
        """Return the upstream URL for a path of this server. `path` begins with /v1 and is still percent-encoded."""
        return URL(self.base + path.removeprefix(PREFIX) + (f"?{query}" if query else ""), encoded=True)

    def headers(self, received: Iterable[tuple[str, str]]) -> Headers:
        """Return the headers to forward. Headers for Engram and keys of Engram are left out."""
        forwarded = [
            (name, value)
            for name, value in received
            if name not in NOT_FORWARDED and not name.startswith(ENGRAM) and not is_engram_key(name, value)
        ]
        if self._key is not None:
            key_header = key_for_upstream(self._key, [name for name, _ in forwarded])
            forwarded = [(name, value) for name, value in forwarded if name not in KEY_HEADERS]
            forwarded.append(key_header)
        # A compressed response would have to be decompressed to be remembered.
        forwarded.append(("accept-encoding", "identity"))
        return forwarded

    @asynccontextmanager
    async def request(
        self, method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body: bytes | AsyncIterable[bytes]
    ) -> AsyncIterator[UpstreamResponse]:
        """Send a request; yield the response, its body still unread. Raises `ServeError` (502, 504) on failure."""
        received = list(headers)
        forwarded = self.headers(received)
        if not isinstance(body, bytes):
            # The body is forwarded as it arrives, with the length that the caller declared.
            forwarded += [(name, value) for name, value in received if name == "content-length"]
        try:
            response = await self._client().request(
                method, self.url(path, query), headers=forwarded, data=payload(body), allow_redirects=False
            )
        except TimeoutError:
            raise ServeError(504, f"{self.display_url} did not answer in time", "upstream_timeout") from None
        except (aiohttp.ClientError, ValueError) as error:
            message = f"{self.display_url} cannot be reached: {reason_of(error)}"
            raise ServeError(502, message, "upstream_unreachable") from None
        try:
            yield UpstreamResponse(response, self.display_url, self._seconds)
        finally:
            # After a complete body the connection returns to the pool. Otherwise close it, so that upstream stops.
            response.close() if not response.content.at_eof() else response.release()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class UpstreamResponse:
    """A response of upstream, its body still unread."""

    def __init__(self, response: aiohttp.ClientResponse, upstream: str, seconds: float) -> None:
        """upstream: the name for errors. seconds: the longest silence."""
        self.status = response.status
        self.headers = [
            (name, value)
            for name, value in ((n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in response.raw_headers)
            if name not in NOT_RETURNED and not name.startswith((CORS, ENGRAM))
        ]
        """The headers to forward to the client."""
        self.content_type = response.headers.get("content-type", "")
        self._response = response
        self._interceptor = StreamInterceptor.holding(response)
        self._upstream = upstream
        self._seconds = seconds

    @property
    def is_intercepted(self) -> bool:
        """Whether `fast_relay` reads the body."""
        return self._interceptor is not None

    async def stream_to(self, sink: Sink) -> None:
        """Write the body to `sink` as it arrives, decompressed. Raises `UpstreamBroken` if it breaks off."""
        try:
            if self._interceptor is None:
                async for chunk in self._response.content.iter_any():
                    sink.write(chunk)
                    await sink.drain()
            else:
                await self._intercept(self._interceptor, sink)
        except TimeoutError:
            raise self._broken(f"nothing came for {self._seconds:g} s") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            await send_leftover(self._response.content, sink)
            raise self._broken(str(error) or type(error).__name__) from error

    async def _intercept(self, interceptor: StreamInterceptor, sink: Sink) -> None:
        timer = IdleTimer(self._seconds, self._response.close)
        if (connection := self._response.connection) is not None and connection.protocol is not None:
            # aiohttp sees no data of an intercepted body, so its own read timer would expire.
            connection.protocol.read_timeout = None
            connection.protocol.start_timeout()
        try:
            await interceptor.stream_to(sink, timer)
        except ConnectionError:
            if timer.expired:
                raise TimeoutError from None
            raise
        finally:
            timer.close()

    def _broken(self, reason: str) -> UpstreamBroken:
        return UpstreamBroken(502, f"{self._upstream} broke off its answer: {reason}", "upstream_broken")

    async def read(self) -> bytes:
        """Return the whole body. Raises `UpstreamBroken` as `stream_to` does."""
        sink = BufferSink()
        await self.stream_to(sink)
        return b"".join(sink.chunks)


class BufferSink:
    """A sink that keeps all chunks in memory."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def write(self, chunk: bytes) -> None:
        """Keep a chunk."""
        self.chunks.append(chunk)

    async def drain(self) -> None:
        """Return at once."""

    def attach(self, source: Source | None) -> None:
        """Do nothing: the sink is never full."""


def payload(body: bytes | AsyncIterable[bytes]) -> bytes | io.BytesIO | AsyncIterable[bytes] | None:
    """Return a body as aiohttp should send it: a large one in parts, so that the event loop stays responsive."""
    return io.BytesIO(body) if isinstance(body, bytes) and len(body) > LARGE_BODY else body or None


def proxy_for(url: str) -> str | None:
    """Return the HTTP proxy that the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) names for a URL, or None."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def open_upstream(settings: Settings, model: LocalModel | None, *, fast: bool = True) -> Upstream:
    """Return the client of `settings.upstream`, or of `model` if that is None. fast: as for `Upstream`.

    Raises `EngramError` if the URL, the variable with the key, or the model is missing or wrong.
    """
    if settings.upstream is None:
        if model is None:
            raise EngramError("there is neither an upstream nor a local model to serve")
        return Upstream(model.url, key=model.key, seconds=settings.upstream_seconds, use_proxy=False, fast=fast)
    key = upstream_key(settings, os.environ)
    return Upstream(settings.upstream, key=key, seconds=settings.upstream_seconds, fast=fast)


def upstream_key(settings: Settings, environment: Mapping[str, str]) -> str | None:
    """Return the server's key for upstream, or None if callers send theirs. Raises `EngramError` if it is not set."""
    if settings.upstream_key_env is None:
        return None
    key = environment.get(settings.upstream_key_env, "").strip()
    if not key:
        raise EngramError(f"--upstream-key-env names {settings.upstream_key_env}, which is not set; set it to the key")
    return key
