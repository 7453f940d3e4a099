"""The ASGI application: which path leads to which face, and what is opened and let go of with it.

Owns the order in which a request passes the guards, and the end of a server: running answers first, then the writes
that still wait, then the files.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi_offline import FastAPIOffline
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from engram.errors import EngramError
from engram.installation import version
from engram.models.local import LocalModel
from engram.serve.api import rest, rest_errors
from engram.serve.api.mcp import mcp_app
from engram.serve.http import limits
from engram.serve.http.errors import ServeError
from engram.serve.http.logs import log
from engram.serve.proxy.handler import Proxy
from engram.serve.proxy.recall_worker import RecallProcess
from engram.serve.proxy.upstream import Upstream
from engram.serve.services import Services

logger = logging.getLogger("engram.serve")

DESCRIPTION = """\
Remember what was said, recall the part of it that answers a question, forget what should not be kept. The same memory
stands behind `/v1` (the APIs of OpenAI and Anthropic) and `/mcp`.
"""


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
"""Those that pass on to upstream."""


def make_app(services: Services, upstream: Upstream, recalls: RecallProcess, model: LocalModel | None) -> ASGIApp:
    """The application over the parts of a server, which are let go of when it ends."""
    settings = services.settings
    proxy = Proxy(services, upstream, recalls)
    mcp = mcp_app(services)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.metrics.watch_queue(services.recorder.unwritten)
        recalls.start()
        # What is there now stays: the collector need not look at it again with every round.
        gc.collect()
        gc.freeze()
        async with mcp.lifespan():
            yield
        await let_go(services, upstream, proxy, recalls, model)

    # The page at /docs brings its scripts along: a memory's own pages load nothing from others.
    app = FastAPIOffline(
        docs_url="/docs", redoc_url=None, title="Engram", version=version(), description=DESCRIPTION, lifespan=lifespan
    )
    app.include_router(rest.router(services))
    rest_errors.add_error_handlers(app)
    # Only for the methods that are not passed on, which it refuses.
    app.router.routes.append(Route("/v1/{path:path}", endpoint=proxy, methods=METHODS, include_in_schema=False))
    app.router.routes.append(Route("/mcp", endpoint=mcp, include_in_schema=False))
    add_health(app, services)
    return limits.guarded(faces(app, proxy), settings)


def faces(app: ASGIApp, proxy: ASGIApp) -> ASGIApp:
    """`proxy` for what lies under /v1, and `app` for all else: a stream's pieces need not pass all its layers.

    Who wants to speak by websocket is told that nobody does here: passed on as the plain request that is left of it, it
    would get an answer that does not say what is wrong.
    """

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (b"upgrade", b"websocket") in (
            (name, value.strip().lower()) for name, value in scope["headers"]
        ):
            error = ServeError(501, "websockets are not served here; send plain HTTP requests", "websocket_not_served")
            await limits.answer(error, scope, send)
        elif scope["type"] == "http" and scope["path"].startswith("/v1/") and scope["method"] in METHODS:
            await proxy(scope, receive, send)
        else:
            await app(scope, receive, send)

    return asked


def add_health(app: FastAPI, services: Services) -> None:
    """What a supervisor asks: whether the server lives, whether it can work, and its figures."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        settings = services.settings
        try:
            await asyncio.wait_for(services.run(services.memory.sessions, settings.namespace), 2.0)
        except TimeoutError:
            return JSONResponse({"ready": False, "reason": "the memory did not answer within 2 s"}, 503)
        except (EngramError, OSError) as error:
            # Anybody may ask this: where the memory lies is in the log.
            said = str(error).replace(services.memory.path, "the memory")
            return JSONResponse({"ready": False, "reason": said}, 503)
        waiting = services.recorder.unwritten()
        if waiting >= settings.most_waiting:
            return JSONResponse({"ready": False, "reason": f"{waiting} turns wait to be written"}, 503)
        return JSONResponse({"ready": True})

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        access = services.gate.access(dict(request.headers))
        if not access.admin:
            # The figures count over all namespaces.
            raise rest_errors.forbidden("the figures are for admin keys")
        return Response(services.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def let_go(
    services: Services, upstream: Upstream, proxy: Proxy, recalls: RecallProcess, model: LocalModel | None
) -> None:
    """End a server: what waits to be written is written, as far as the time for that goes."""
    seconds = services.settings.drain_seconds
    try:
        await asyncio.wait_for(proxy.drain(), seconds)
    except TimeoutError:
        log(logger, logging.ERROR, "turns whose conversation could not be found in time were not remembered")
    left = await asyncio.to_thread(services.recorder.drain, seconds)
    if left:
        log(logger, logging.ERROR, "turns were not written", turns=left)
    await upstream.close()
    await recalls.close()
    services.threads.shutdown(wait=True, cancel_futures=True)
    await asyncio.to_thread(services.recorder.close)
    if model is not None:
        await asyncio.to_thread(model.close)
    services.memory.close()
    services.conversations.database.close()
    log(logger, logging.INFO, "stopped")
