"""The server process of `engram serve`.

Owns the order of its start: everything that can fail does so before the first request is accepted.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from contextlib import ExitStack
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp

from engram.errors import EngramError
from engram.serve.app import EngramApp
from engram.serve.auth.keys import KeyStore
from engram.serve.http.connection import http_protocol
from engram.serve.http.limits import check_bind
from engram.serve.http.logs import log
from engram.serve.malloc import return_freed_memory
from engram.serve.relay import choose_relay
from engram.serve.services import open_database, open_parts
from engram.serve.settings import Settings

logger = logging.getLogger("engram.serve")

BACKLOG = 2048
"""Connections that may wait to be accepted."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises `EngramError` if the server cannot start."""
    return_freed_memory()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        fast = runner.run(choose_relay(settings.relay))
    with ExitStack() as stack:
        database = stack.enter_context(open_database(settings))
        # Before the memory and the model, which a refused start should neither create nor load.
        check_bind(settings, KeyStore(database).any_created())
        listener = stack.enter_context(bind(settings))
        parts = stack.enter_context(open_parts(settings, database, fast=fast))
        config = uvicorn_config(EngramApp(settings, parts), settings, http_protocol(settings, direct=fast))
        # The objects that exist now live as long as the process; the collector need not visit them again.
        gc.collect()
        gc.freeze()
        log(
            logger,
            logging.INFO,
            "listening",
            url=url_of(listener),
            upstream="embedded" if settings.upstream is None else parts.upstream.display_url,
            memory=parts.services.memory.path,
            relay="fast" if fast else "plain",
        )
        # uvicorn raises the signal that stopped it once more at its end. That must not count as a failure.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            stack.close()
            log(logger, logging.INFO, "stopped")


def uvicorn_config(app: ASGIApp, settings: Settings, http: Any, **more: Any) -> uvicorn.Config:
    """Return the configuration of uvicorn. http: its class for connections. more: options that differ."""
    options = {"timeout_graceful_shutdown": int(settings.drain_seconds), **more}
    return uvicorn.Config(
        app,
        http=http,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        **options,
    )


def bind(settings: Settings) -> socket.socket:
    """Return the listening socket. Raises `EngramError` if the address cannot be used."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise EngramError(
            f"cannot listen on {settings.host}:{settings.port}: {error}; choose another with --host and --port"
        ) from None
    listener.set_inheritable(True)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
