"""Which relay a server uses: the self-test of the fast one, and the choice.

The fast relay uses internals of aiohttp (`proxy.fast_relay`) and of uvicorn (`http.connection`). The self-test checks
their versions and sends two streams through both over loopback sockets. It takes a few milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from engram.errors import EngramError
from engram.serve.http.connection import http_protocol
from engram.serve.http.logs import log
from engram.serve.http.outlet import EXTENSION
from engram.serve.proxy.upstream import Upstream
from engram.serve.settings import RelayMode, Settings

logger = logging.getLogger("engram.serve")

SUPPORTED = {
    "aiohttp": ((3, 14), (3, 15)),
    "uvicorn": ((0, 50), (0, 55)),
    "httptools": ((0, 8), (0, 10)),
}
"""Versions whose internals the fast relay is written for, as in pyproject.toml: from the first up to, not including,
the second."""

SELF_TEST_SECONDS = 5.0
"""Time limit of the self-test. Usually it takes a few milliseconds."""

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = (b"data: one\n\n", "data: zwölf\n\n".encode(), b"data: [DONE]\n\n")
CUT = 7
"""The scripted upstream sends its response in pieces of so many bytes, which cut through heads, chunks and events."""


class SelfTestFailed(Exception):
    """The fast relay did not do what it should."""


async def choose_relay(mode: RelayMode) -> bool:
    """Return whether to use the fast relay. Logs why not, in mode auto.

    Raises `EngramError` if mode is fast and the self-test fails.
    """
    if mode == "plain":
        return False
    reason = unsupported_version() or await failure()
    if reason is None:
        return True
    if mode == "fast":
        raise EngramError(f"the fast relay cannot be used: {reason}; choose --relay auto or --relay plain")
    log(logger, logging.WARNING, "the fast relay cannot be used, streams take the plain one", reason=reason)
    return False


def unsupported_version() -> str | None:
    """Return which library's version is outside `SUPPORTED`; None if all are inside."""
    for name, (first, end) in SUPPORTED.items():
        try:
            installed = version(name)
            major, minor = (int(part) for part in installed.split(".")[:2])
        except (PackageNotFoundError, ValueError):
            return f"the version of {name} is unknown"
        if not first <= (major, minor) < end:
            return f"{name} {installed} is installed, but it is written for {dotted(first)} up to {dotted(end)}"
    return None


def dotted(parts: tuple[int, int]) -> str:
    """Return a version as text."""
    return ".".join(map(str, parts))


async def failure() -> str | None:
    """Run the self-test on the running event loop; return why it failed, or None."""
    try:
        async with asyncio.timeout(SELF_TEST_SECONDS):
            await self_test()
    except SelfTestFailed as error:
        return f"its self-test failed: {error}"
    except TimeoutError:
        return f"its self-test did not end within {SELF_TEST_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 (the internals of the libraries may have changed in any way)
        return f"its self-test failed: {type(error).__name__}: {error}"
    return None


async def self_test() -> None:
    """Send two streams through the fast relay. Raises `SelfTestFailed`, or whatever the libraries raise."""
    connections: list[None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(None)
        response = HEAD + chunked(EVENTS)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for start in range(0, len(response), CUT):
                    writer.write(response[start : start + CUT])
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    model = await asyncio.start_server(answer, "127.0.0.1", 0)
    upstream = Upstream(f"http://127.0.0.1:{model.sockets[0].getsockname()[1]}", use_proxy=False, fast=True)
    try:
        async with relaying(upstream) as (reader, writer):
            for _ in range(2):
                writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
                _, _, body = (await reader.readuntil(b"\r\n0\r\n\r\n")).partition(b"\r\n\r\n")
                if unchunked(body) != b"".join(EVENTS):
                    raise SelfTestFailed("a stream did not arrive as it was sent")
        if len(connections) != 1:
            raise SelfTestFailed("the connection to upstream was not reused")
    finally:
        await upstream.close()
        model.close()


@asynccontextmanager
async def relaying(upstream: Upstream) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve a stream of `upstream` to every request; yield a connection to that server. Raises what serving raised."""
    errors: list[Exception] = []

    async def application(scope: Scope, _: Receive, send: Send) -> None:
        outlet = scope["extensions"][EXTENSION]["outlet"]
        try:
            async with upstream.request("GET", "/v1/models", "", [], b"") as response:
                if not response.is_intercepted:
                    raise SelfTestFailed("aiohttp read the stream itself")
                await send({"type": "http.response.start", "status": response.status, "headers": []})
                await response.stream_to(outlet)
                await send({"type": "http.response.body", "body": b""})
        except Exception as error:  # noqa: BLE001 (the self-test raises it; uvicorn would only log it)
            errors.append(error)
            outlet.transport.abort()

    config = Config(application, lifespan="off", ws="none", log_config=None, access_log=False, proxy_headers=False)
    http = http_protocol(Settings(memory=""), direct=True)
    server = await asyncio.get_running_loop().create_server(lambda: http(config, ServerState(), {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    try:
        yield reader, writer
    except (asyncio.IncompleteReadError, ConnectionError):
        raise errors[0] if errors else SelfTestFailed("the connection broke off") from None
    finally:
        writer.close()
        server.close()


def chunked(parts: tuple[bytes, ...]) -> bytes:
    """Return parts as a chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def unchunked(body: bytes) -> bytes:
    """Return the content of a chunked body. Raises `ValueError` if it is malformed."""
    content = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        content.append(rest[:length])
        body = rest[length + 2 :]
    return b"".join(content)
