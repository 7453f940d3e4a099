"""A server process: its parts opened, its socket bound, and its end.

Owns the order of opening: what cannot work is said before anybody is answered.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import uvicorn
from filelock import FileLock, Timeout

from engram.errors import EngramError, MemoryLocked, MemoryReadOnly
from engram.memory import Memory
from engram.models.local import LocalModel, smollm2_path
from engram.notes.injection import without_notes, wording_for
from engram.serve.app import make_app
from engram.serve.auth.access import Gate
from engram.serve.auth.keys import KeyStore
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.recorder import Recorder
from engram.serve.database import ServerDatabase, server_database_path
from engram.serve.http import limits
from engram.serve.http.logs import log
from engram.serve.http.metrics import Metrics
from engram.serve.malloc import give_back_what_is_freed
from engram.serve.proxy.recall_worker import RecallProcess
from engram.serve.proxy.upstream import open_upstream
from engram.serve.services import Services
from engram.serve.settings import Settings

logger = logging.getLogger("engram.serve")

THREADS = 4
"""Threads that call the memory. More would only wait for each other: recall is arithmetic."""

BACKLOG = 2048
"""Connections that may wait to be taken."""

MEMORY_WAIT = 2.0
"""Seconds that a write waits for another process's before it is put off."""


def serve(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM, SIGINT). Raises `EngramError` if it cannot begin."""
    give_back_what_is_freed()
    with ExitStack() as opened:
        opened.enter_context(only_server(settings.memory))
        database = opened.enter_context(ServerDatabase(server_database_path(settings.memory)))
        keys, conversations = KeyStore(database), ConversationStore(database)
        limits.check_bind(settings, keys.any_created())
        bound = opened.enter_context(bind(settings))
        memory = opened.enter_context(Memory(settings.memory, wait=MEMORY_WAIT))
        model = LocalModel(smollm2_path(), name="SmolLM2-135M-Instruct") if settings.upstream is None else None
        metrics = Metrics()
        recorder = Recorder(
            memory, conversations, most_waiting=settings.most_waiting, on_event=metrics.event, clean=without_notes
        )
        services = Services(
            settings=settings,
            memory=memory,
            conversations=conversations,
            recorder=recorder,
            gate=Gate(keys, settings.namespace),
            metrics=metrics,
            threads=ThreadPoolExecutor(THREADS, "engram-serve"),
        )
        upstream = open_upstream(settings, model)
        wording = wording_for(
            embedded=settings.upstream is None,
            budget=settings.budget,
            notes=settings.notes,
            least_score=settings.least_score,
        )
        recalls = RecallProcess(memory, wording, services.threads)
        app = make_app(services, upstream, recalls, model)
        config = uvicorn.Config(
            app,
            http=limits.protocol(settings),
            loop="uvloop",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=int(settings.drain_seconds),
        )
        log(
            logger,
            logging.INFO,
            "listening",
            url=url_of(bound),
            upstream="embedded" if settings.upstream is None else upstream.shown,
            memory=memory.path,
        )
        # Once it has ended, uvicorn raises the signal again that told it to: to end so is no failure.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        uvicorn.Server(config).run(sockets=[bound])


@contextmanager
def only_server(memory: str) -> Iterator[None]:
    """Be the one server of a memory: what waits to be written is in the keeping of one process."""
    path = server_database_path(memory) + ".lock"
    lock = FileLock(path, fallback_to_soft=False)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise MemoryLocked(f"another engram serve has {memory} open; stop it, or give another --memory") from None
    except OSError as error:
        raise MemoryReadOnly(f"cannot lock {path}: {error}; give a --memory in a folder that can be written") from None
    try:
        yield
    finally:
        lock.release()


def bind(settings: Settings) -> socket.socket:
    """The socket to listen on. Raises `EngramError` if the address cannot be used."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((settings.host, settings.port))
        bound.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        raise EngramError(
            f"cannot listen on {settings.host}:{settings.port}: {error}; choose another with --host and --port"
        ) from None
    bound.set_inheritable(True)
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a bound socket is reached."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
