"""The model's API that stands behind this server, over HTTP.

Owns the connections to it, where a path leads, and which headers pass, either way. Knows nothing of what bodies say.
HTTP is aiohttp's: the same streams cost httpx two to three times the processor (docs/LOG.md).
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from engram.errors import EngramError
from engram.models.local import LocalModel
from engram.serve.access import is_engram_key
from engram.serve.errors import ServeError
from engram.serve.settings import Settings

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


@dataclass(frozen=True, slots=True)
class Answer:
    """What upstream answers, its body still to come."""

    status: int
    headers: Headers
    """Those that pass on to the client."""
    content_type: str
    pieces: AsyncIterator[bytes]
    """The body as it comes, unpacked. Raises `UpstreamBroken` where it breaks off."""


class Watch:
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
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
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
            anthropic = any(name == "anthropic-version" for name, _ in sent)
            sent = [(name, value) for name, value in sent if name not in ("authorization", "x-api-key")]
            sent.append(("x-api-key", self._key) if anthropic else ("authorization", f"Bearer {self._key}"))
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
            returned = [
                (name, value)
                for name, value in ((n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in response.raw_headers)
                if name not in NOT_RETURNED and not name.startswith((CORS, OWN))
            ]
            content_type = response.headers.get("content-type", "")
            yield Answer(response.status, returned, content_type, self._pieces(response))
        finally:
            # Read to its end, the connection goes back to the others; else it is closed, and upstream stops.
            response.close() if not response.content.at_eof() else response.release()

    async def _pieces(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        if (connection := response.connection) is not None and connection.protocol is not None:
            # aiohttp would set a timer anew for each piece: a tenth of what a stream costs.
            connection.protocol.read_timeout = None
        watch = Watch(self._seconds, response.close)
        said = f"nothing came for {self._seconds:g} s"
        try:
            async for piece in response.content.iter_any():
                # While the piece goes on to the client, nobody waits for upstream.
                watch.since = math.inf
                yield piece
                watch.since = watch.now()
        except (aiohttp.ClientError, TimeoutError) as error:
            if not watch.over:
                said = str(error) or type(error).__name__
            raise self._broken(said) from None
        finally:
            watch.end()
        if watch.over:
            raise self._broken(said)

    def _broken(self, said: str) -> UpstreamBroken:
        return UpstreamBroken(502, f"{self.shown} broke off its answer: {said}", "upstream_broken")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


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
