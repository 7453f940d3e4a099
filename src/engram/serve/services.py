"""The parts of a running server: opened in order, closed in the reverse order.

Owns the bundles that the faces share, and the lock that lets one server use a memory at a time. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

from filelock import FileLock, Timeout

from engram.errors import EngramError, MemoryLocked, MemoryReadOnly
from engram.memory import Memory, Stats
from engram.models.base import Model
from engram.models.local import LocalModel, smollm2_path
from engram.notes.injection import wording_for
from engram.opening import files_of, open_store
from engram.serve.auth.access import Gate
from engram.serve.auth.keys import KeyStore
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.recorder import Recorder
from engram.serve.database import ServerDatabase, server_database_path
from engram.serve.erasure import erase_at_start, erase_namespace, session_names
from engram.serve.frontends.strip import Strip
from engram.serve.http.logs import log
from engram.serve.http.metrics import Metrics, status_class
from engram.serve.proxy.recall_worker import RecallProcess
from engram.serve.proxy.upstream import Upstream, open_upstream
from engram.serve.reflect_model import open_reflect_model
from engram.serve.settings import Settings
from engram.store.private import FILE_RIGHTS, exposed, private_file, private_folder

try:
    import fcntl
except ImportError:
    # Windows. There the lock's file is the only lock.
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("engram.serve")

SETTLE_SECONDS = 2.0
"""How long a delete waits for pending writes."""

THREADS = 4
"""Threads that call the memory. More would only wait for each other: recall is arithmetic."""

MEMORY_WAIT = 2.0
"""Seconds that a write waits for another process's write before it is retried later."""

P = ParamSpec("P")
R = TypeVar("R")


class Answering:
    """Counts the requests that are being answered. Use the block on one event loop; any thread may read the count."""

    def __init__(self) -> None:
        self.requests = 0

    def __enter__(self) -> None:
        self.requests += 1

    def __exit__(self, *_: object) -> None:
        self.requests -= 1


@dataclass(frozen=True, slots=True)
class Services:
    """What the faces of one server share."""

    settings: Settings
    memory: Memory
    conversations: ConversationStore
    recorder: Recorder
    gate: Gate
    metrics: Metrics
    threads: ThreadPoolExecutor
    """For calls of the memory, none of which may run on the event loop."""
    strip: Strip = field(default_factory=Strip)
    """The operator's patterns."""
    answering: Answering = field(default_factory=Answering)
    """The requests to the model that are being answered: what can wait, waits for them."""

    def answered(self, face: str, status: int, begun: float, *, broken: bool = False, **fields: object) -> None:
        """Count and log a request that began at `begun` by `perf_counter`. broken: its response is incomplete."""
        outcome = "broken" if broken else status_class(status)
        self.metrics.requests.labels(face, outcome).inc()
        elapsed = round((time.perf_counter() - begun) * 1000, 1)
        log(logger, logging.INFO, "request", face=face, status=status, outcome=outcome, ms=elapsed, **fields)

    def check_files(self) -> Stats:
        """Read from both files, and return the memory in numbers.

        Raises `EngramError` if a file cannot be read, `MemoryReplaced` if it was replaced.
        """
        self.memory.sessions(self.settings.namespace, limit=1)
        with self.conversations.database.reading() as db:
            db.execute("SELECT 1 FROM meta").fetchone()
        return self.memory.stats()

    @contextmanager
    def forgetting(self, namespace: str) -> Iterator[None]:
        """Flush pending writes before a deletion in `namespace`; erase names that it leaves without engrams.

        Blocking: enter it in a thread.
        """
        self.recorder.drain(SETTLE_SECONDS)
        before = session_names(self.memory, namespace)
        yield
        try:
            erase_namespace(self.memory, self.conversations.database, namespace, before)
        except EngramError as error:
            # The engrams are deleted, and a failure would say that they are not.
            log(logger, logging.ERROR, "forgotten names are erased at the next start only", error=str(error))

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `function` returns, run in one of `threads`."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, partial(function, *args, **kwargs))


@dataclass(frozen=True, slots=True)
class ServerParts:
    """All parts of one server."""

    services: Services
    upstream: Upstream
    recalls: RecallProcess
    reflect_model: Model | None = None
    """The model that is asked for proposals; None: none."""


@contextmanager
def open_database(settings: Settings) -> Iterator[ServerDatabase]:
    """Open the server database of a memory, as its only server. Raises `EngramError` if that is not possible."""
    with only_server(settings.memory), ServerDatabase(server_database_path(settings.memory)) as database:
        yield database


@contextmanager
def open_parts(settings: Settings, database: ServerDatabase, *, fast: bool) -> Iterator[ServerParts]:
    """Open the parts of a server, and close them in reverse order. Blocking.

    fast: whether `fast_relay` reads the streams of upstream. Raises `EngramError` if a part cannot be opened.
    """
    strip = Strip(settings.strip)
    with ExitStack() as stack:
        store = open_store(settings.memory, wait=MEMORY_WAIT)
        if commands := exposed(files_of(settings.memory)):
            advice = " && ".join(commands)
            log(logger, logging.WARNING, "other users of this machine may read the memory", mend=advice)
        memory = stack.enter_context(Memory(store=store, redact=settings.redact, strength=settings.strength))
        model = None
        if settings.upstream is None:
            model = LocalModel(smollm2_path(), name="SmolLM2-135M-Instruct")
            stack.callback(model.close)
        upstream = open_upstream(settings, model, fast=fast)
        if (reflect_model := open_reflect_model(settings, upstream)) is not None:
            stack.callback(reflect_model.close)
        metrics = Metrics()
        conversations = ConversationStore(database)
        recorder = Recorder(
            memory,
            conversations,
            most_waiting=settings.most_waiting,
            on_event=metrics.event,
            first=partial(erase_at_start, memory, store, database),
        )
        stack.callback(recorder.close)
        metrics.watch_queue(recorder.unwritten)
        metrics.watch_index(memory.stats)
        metrics.watch_redactions(lambda: memory.redactions)
        threads = ThreadPoolExecutor(THREADS, "engram-serve")
        stack.callback(threads.shutdown, wait=True, cancel_futures=True)
        wording = wording_for(
            embedded=settings.upstream is None,
            budget=settings.budget,
            notes=settings.notes,
            least_score=settings.least_score,
            least_trust=settings.least_trust,
        )
        services = Services(
            settings=settings,
            memory=memory,
            conversations=conversations,
            recorder=recorder,
            gate=Gate(KeyStore(database), settings.namespace),
            metrics=metrics,
            strip=strip,
            threads=threads,
        )
        yield ServerParts(services, upstream, RecallProcess(memory, wording, threads), reflect_model)


@contextmanager
def only_server(memory: str) -> Iterator[None]:
    """Hold the lock of the one server of a memory: pending writes live in one process only.

    Raises `MemoryLocked` if another server holds the lock, `MemoryReadOnly` if the lock's file cannot be written.
    """
    path = server_database_path(memory) + ".lock"
    with ExitStack() as stack:
        lock = FileLock(path, mode=FILE_RIGHTS, fallback_to_soft=False)
        try:
            private_folder(os.path.dirname(path))
            lock.acquire(timeout=0)
            stack.callback(lock.release)
            stack.enter_context(locked_file(memory))
        except (Timeout, BlockingIOError):
            raise MemoryLocked(f"another engram serve has {memory} open; stop it, or give another --memory") from None
        except OSError as error:
            raise MemoryReadOnly(
                f"cannot lock {path}: {error}; give a --memory in a folder that can be written"
            ) from None
        yield


@contextmanager
def locked_file(memory: str) -> Iterator[None]:
    """Hold a lock on the memory's file itself, which is the same for every hard link to it. Creates a missing file.

    SQLite does not see this lock: it is a `flock`, and SQLite's are record locks. Raises `BlockingIOError` if another
    process holds it. Must end after the memory is closed: closing the file releases SQLite's locks of this process.
    """
    if fcntl is None:
        yield
        return
    new = not os.path.exists(memory)
    private_file(memory)
    descriptor = os.open(memory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        # A server that could not start leaves no file behind.
        if new and os.fstat(descriptor).st_size == 0:
            with suppress(FileNotFoundError):
                os.unlink(memory)
        os.close(descriptor)
