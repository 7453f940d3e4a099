"""The ASGI application: routing, health, and orderly shutdown.

Owns the order in which a request passes the checks, and the end of a server: first the running responses finish, then
the pending writes, then everything closes. Runs under any ASGI server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from engram.errors import EngramError
from engram.installation import version
from engram.search.local.index import TAIL_MOST
from engram.serve.api import rest, rest_errors
from engram.serve.api.mcp import mcp_app
from engram.serve.environment import settings_from_environment
from engram.serve.expiry import expiring
from engram.serve.http.anonymous import without_paths
from engram.serve.http.errors import ServeError
from engram.serve.http.http10 import with_lengths
from engram.serve.http.limits import guarded, send_error
from engram.serve.http.logs import log
from engram.serve.http.paths import addressed, local_path
from engram.serve.http.zones import zoned
from engram.serve.proposing import proposing
from engram.serve.proxy.handler import Proxy
from engram.serve.proxy.profiles import Profiles
from engram.serve.reflecting import reflecting
from engram.serve.relay import choose_relay
from engram.serve.services import ServerParts, Services, open_database, open_parts
from engram.serve.settings import Settings

logger = logging.getLogger("engram.serve")

DESCRIPTION = """\
Remember conversations, recall the passages that answer a question, forget what should not be stored. The same memory
is behind `/v1` (the APIs of OpenAI and Anthropic) and `/mcp`.
"""

MEMORY_SECONDS = 2.0
"""Seconds that readiness and metrics wait for the memory."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
"""Methods that are forwarded to upstream."""


def create_app(settings: Settings | None = None) -> EngramApp:
    """Return the ASGI application of one memory, for any ASGI server.

    settings: None reads the variables of `serve.environment` and leaves the rest at its defaults, so that
    `uvicorn --factory engram.serve.app:create_app` works. Nothing is opened until the server starts. Raises
    `EngramError` for a variable whose value cannot be used.
    """
    return EngramApp(settings_from_environment() if settings is None else settings)


class EngramApp:
    """The ASGI application. Opens its memory at ASGI's lifespan startup, or as an async context manager.

    Use `async with` where no lifespan reaches the application: under `httpx.ASGITransport`, or mounted in another
    application. Raises `EngramError` on opening if a part cannot be opened.
    """

    def __init__(self, settings: Settings, parts: ServerParts | None = None) -> None:
        """`parts`: already open, and closed by the caller; None: opened and closed by the application."""
        self._settings = settings
        self._parts = parts
        self._app: ASGIApp | None = None
        self._stack = AsyncExitStack()
        self._lifespan_only = Router(lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan_only(scope, receive, send)
        elif self._app is None:
            raise RuntimeError(
                "engram's application is not open: its ASGI server sent no lifespan startup; open it yourself with"
                " `async with app:` (see docs/serve.md)"
            )
        else:
            await self._app(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[None]:
        async with self:
            yield

    async def __aenter__(self) -> EngramApp:
        async with AsyncExitStack() as stack:
            parts = self._parts
            if parts is None:
                fast = await choose_relay(self._settings.relay)
                database = stack.enter_context(open_database(self._settings))
                parts = stack.enter_context(open_parts(self._settings, database, fast=fast))
            self._app = await stack.enter_async_context(running(parts))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._app = None
        await self._stack.aclose()


@asynccontextmanager
async def running(parts: ServerParts) -> AsyncIterator[ASGIApp]:
    """Run the application over open parts; on exit let responses and pending writes finish."""
    services = parts.services
    profiles = Profiles(services)
    proxy = Proxy(services, parts.upstream, parts.recalls, profiles)
    mcp = mcp_app(services)
    try:
        async with reflecting(services), proposing(services, parts.reflect_model):
            # The worker reads what `reflecting` derives, so that file must exist first.
            parts.recalls.start()
            async with mcp.lifespan(), expiring(services), profiles.ready():
                log(logger, logging.INFO, "requests that name no namespace", namespace=services.settings.namespace)
                app = zoned(split(faces(services, proxy, mcp), proxy), services.settings.timezone)
                yield with_lengths(addressed(guarded(app, services.settings)))
        await finish(services, proxy)
    finally:
        await parts.upstream.close()
        await parts.recalls.close()


async def finish(services: Services, proxy: Proxy) -> None:
    """Wait for background tasks and pending writes, each for at most `drain_seconds`."""
    seconds = services.settings.drain_seconds
    try:
        await asyncio.wait_for(proxy.drain(), seconds)
    except TimeoutError:
        log(logger, logging.ERROR, "turns whose conversation could not be found in time were not remembered")
    left = await asyncio.to_thread(services.recorder.drain, seconds)
    if left:
        log(logger, logging.ERROR, "turns were not written", turns=left)


def faces(services: Services, proxy: ASGIApp, mcp: ASGIApp) -> ASGIApp:
    """Return the application with REST, MCP, health and the documentation pages."""
    # fastapi_offline serves the scripts of /docs itself: the page loads nothing from other servers.
    app = FastAPIOffline(docs_url="/docs", redoc_url=None, title="Engram", version=version(), description=DESCRIPTION)
    app.include_router(rest.router(services))
    rest_errors.add_error_handlers(app)
    # Reached only with methods that are not forwarded, which this route refuses.
    app.router.routes.append(Route("/v1/{path:path}", endpoint=proxy, methods=METHODS, include_in_schema=False))
    app.router.routes.append(Route("/mcp", endpoint=mcp, include_in_schema=False))
    add_health(app, services)
    for route in app.routes:
        if isinstance(route, Route | APIRoute) and not route.include_in_schema and "GET" in (route.methods or ()):
            # Load balancers and uptime checks send HEAD.
            route.methods = {*(route.methods or ()), "HEAD"}
    return app


def split(app: ASGIApp, proxy: ASGIApp) -> ASGIApp:
    """Send requests below /v1 to `proxy` and all others to `app`, so that streams pass fewer layers.

    Reject WebSocket upgrades with 501: forwarded as plain requests, they would get a misleading response.
    """

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif (b"upgrade", b"websocket") in ((name, value.strip().lower()) for name, value in scope["headers"]):
            error = ServeError(501, "websockets are not served here; send plain HTTP requests", "websocket_not_served")
            await send_error(error, scope, send)
        elif local_path(scope).startswith("/v1/v1/"):
            message = "the path holds /v1 twice: the client adds it itself, so leave it out of the base URL"
            await send_error(ServeError(404, message, "not_found"), scope, send)
        elif scope["method"] in METHODS and local_path(scope).startswith("/v1/"):
            await proxy(scope, receive, send)
        else:
            await app(scope, receive, send)

    return choose


async def state_of(services: Services) -> tuple[str | None, str | None]:
    """Return what troubles the index, and why the server is not ready; None for nothing. Names no path of the memory.

    Anybody may read it. The path of the memory is for the log only.
    """
    try:
        stats = await asyncio.wait_for(services.run(services.check_files), MEMORY_SECONDS)
    except TimeoutError:
        return None, f"the memory did not answer within {MEMORY_SECONDS:g} s"
    except (EngramError, OSError) as error:
        return None, without_paths(error, services.memory.path)
    trouble, reason = stats.index_trouble, services.recorder.broken
    if trouble is not None:
        trouble = without_paths(trouble, services.memory.path)
        if stats.unindexed > TAIL_MOST:
            reason = reason or f"not all is searched; the index: {trouble}"
    if reason is None and services.recorder.is_full():
        reason = f"{services.recorder.unwritten()} turns wait to be written"
    return trouble, reason


def add_health(app: FastAPI, services: Services) -> None:
    """Add what a supervisor reads: whether the process lives, whether it can work, and its metrics."""

    @app.get("/", include_in_schema=False)
    async def about() -> Response:
        paths = {"model": "/v1", "rest": "/memory", "mcp": "/mcp", "documentation": "/docs", "health": "/healthz"}
        return JSONResponse({"name": "engram", "about": "a memory for language models", "paths": paths})

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        trouble, reason = await state_of(services)
        if reason is not None:
            return JSONResponse({"ready": False, "reason": reason}, 503)
        return JSONResponse({"ready": True} if trouble is None else {"ready": True, "index": trouble})

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        access = services.gate.access(dict(request.headers))
        if not access.admin:
            # The metrics count over all namespaces.
            raise rest_errors.forbidden("the figures are for admin keys")
        try:
            await asyncio.wait_for(services.run(services.metrics.read_index), MEMORY_SECONDS)
        except TimeoutError:
            services.metrics.index_unknown()
        # Not in the threads of the memory: all of them may wait for it.
        text = await asyncio.to_thread(services.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
