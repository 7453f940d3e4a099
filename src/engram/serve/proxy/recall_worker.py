"""Recall in a worker process, so that streams do not wait for its arithmetic.

Owns the process and the socket to it: requests go out, notes come back in the same order, and with them the codes of
turns that the worker has encoded, which the server indexes. The event loop itself reads
and writes the socket; a thread in between would have to wait for the interpreter lock. Until the process has started
for the first time, recall runs in this process. After the worker was lost it is restarted, and requests fail meanwhile:
what ended the worker must not run in the server. Knows nothing of HTTP requests.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from threading import Thread
from typing import Any, cast

from engram.errors import EngramError
from engram.memory import Memory
from engram.notes.injection import Wording
from engram.search.base import Encoded
from engram.serve.http.logs import log, set_up
from engram.serve.malloc import return_freed_memory
from engram.serve.proxy.recall_request import NoteFinder, Notes, RecallRequest
from engram.store.sqlite.connections import IN_MEMORY

logger = logging.getLogger("engram.serve")

PATIENCE = 10.0
"""Seconds after which a worker that does not answer is killed."""

PAUSE = 5.0
"""Seconds between two starts of the worker, at least."""

IDLE = 0.2
"""Seconds without a request after which the worker reads new commits, by whichever process."""

CALM = 0.03
"""Seconds after the last request from which on the worker reads new commits as soon as the server reports a write."""

FAREWELL = 1.0
"""Seconds after which a worker whose server has closed the socket, or was killed, ends in the middle of its work."""

READY = "ready"
WRITTEN = "written"
"""Messages: from the worker, that it is ready; to the worker, that the memory has new commits."""

NO_STRENGTH = "--no-strength"
"""Argument of the worker: use does not strengthen."""

_SIZE = struct.Struct(">I")


class WorkerLost(ConnectionError):
    """The connection to the worker was lost."""


class RecallProcess:
    """Recalls notes in a worker process. Use it on one event loop."""

    def __init__(self, memory: Memory, wording: Wording, threads: Executor) -> None:
        """`threads`: run recall until the worker has started once; always, for a memory in RAM."""
        self._arguments = [memory.path] if memory.strength else [memory.path, NO_STRENGTH]
        self._wording = wording
        self._finder = NoteFinder(memory, wording)
        self._take_encoded = memory.take_encoded
        self._threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: WorkerConnection | None = None
        self._starting: asyncio.Task[None] | None = None
        self._started = 0.0
        self._closed = memory.path == IN_MEMORY
        self._lost = False

    async def notes(self, request: RecallRequest, until: float) -> Notes:
        """Return the notes for a request. Raises as `Memory.recall`, and `WorkerLost` while a lost worker is restarted.

        until: the time by `time.monotonic` after which the worker need not answer.
        """
        connection = self._usable_connection()
        if connection is not None:
            return await connection.request(request, until)
        if self._lost and not self._closed:
            raise WorkerLost("the recall worker was lost and is restarted")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._finder.notes, request)

    def written(self) -> None:
        """Tell the worker that the memory has new commits."""
        if self._connection is not None and self._connection.ready:
            self._connection.send(WRITTEN)

    @property
    def ready(self) -> bool:
        """Whether the worker runs and has the memory open."""
        return self._connection is not None and self._connection.ready

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while it is missing."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the worker, unless it runs or was started less than `PAUSE` seconds ago."""
        if self._closed or self._starting is not None or self._connection is not None:
            return
        if self._started and time.monotonic() < self._started + PAUSE:
            return
        self._started = time.monotonic()
        self._starting = asyncio.create_task(self._start())

    async def close(self) -> None:
        """Stop the worker."""
        self._closed = True
        if self._starting is not None:
            await self._starting
        if self._connection is not None:
            self._connection.abort()
        process, self._process = self._process, None
        await asyncio.to_thread(reap, process)

    def _usable_connection(self) -> WorkerConnection | None:
        """Return the connection if the worker answers; start or kill the worker if needed."""
        if self._connection is None:
            self.start()
            return None
        if self._connection.is_stuck() and self._process is not None:
            log(logger, logging.ERROR, f"the recall worker gave no answer in {PATIENCE:g} s")
            self._lost = True
            self._process.kill()
            return None
        return self._connection if self._connection.ready else None

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        command = [sys.executable, "-m", "engram.serve.proxy.recall_worker", str(theirs.fileno()), *self._arguments]
        try:
            with theirs:
                self._process = await asyncio.to_thread(
                    subprocess.Popen, command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
                )
            connection = WorkerConnection(self._on_lost, self._take_encoded)
            await asyncio.get_running_loop().create_unix_connection(lambda: connection, sock=ours)
        except OSError as error:
            ours.close()
            log(logger, logging.ERROR, "the recall worker could not be started", error=str(error))
        else:
            self._connection = connection
            connection.send(self._wording)
        finally:
            self._starting = None

    def _on_lost(self) -> None:
        self._connection, self._lost = None, True
        if not self._closed:
            log(logger, logging.ERROR, "the recall worker was lost")
            # The process is dead, or ends because its socket is closed.
            process, self._process = self._process, None
            asyncio.get_running_loop().run_in_executor(None, reap, process)


def reap(process: subprocess.Popen[bytes] | None) -> None:
    """Wait for a process that ends because its socket is closed; kill it if it hangs."""
    if process is None:
        return
    with suppress(subprocess.TimeoutExpired):
        process.wait(FAREWELL)
        return
    process.kill()
    process.wait()


class WorkerConnection(asyncio.Protocol):
    """The server's end of the socket to the worker."""

    def __init__(self, on_lost: Callable[[], None], on_encoded: Callable[[Encoded], None]) -> None:
        """`on_encoded`: called with what the worker has encoded."""
        self._on_lost = on_lost
        self._on_encoded = on_encoded
        self._received = bytearray()
        self._pending: deque[tuple[asyncio.Future[Notes], float]] = deque()
        """Requests without an answer, with their start by `time.monotonic`, oldest first."""
        self._transport: asyncio.Transport | None = None
        self.ready = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are not subclasses of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all pending requests."""
        self.ready, self._transport = False, None
        for future, _ in self._pending:
            if not future.done():
                future.set_exception(WorkerLost("the recall worker was lost"))
        self._pending.clear()
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        """Parse answers and resolve the oldest pending requests."""
        self._received += data
        while (message := next_message(self._received)) is not None:
            if not self.ready:
                self.ready = message == READY
                continue
            if isinstance(message, Encoded):
                self._on_encoded(message)
                continue
            future, _ = self._pending.popleft()
            if future.done():
                continue
            succeeded, answer = message
            if succeeded:
                future.set_result(answer)
            else:
                future.set_exception(answer)

    def send(self, message: object) -> None:
        """Send a message, unless the connection is lost."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(framed(message))

    async def request(self, request: RecallRequest, until: float) -> Notes:
        """Return the notes for a request. Raises `WorkerLost` if the connection is lost meanwhile."""
        future: asyncio.Future[Notes] = asyncio.get_running_loop().create_future()
        self._pending.append((future, time.monotonic()))
        self.send((request, until))
        return await future

    def is_stuck(self) -> bool:
        """Return whether the oldest request has waited for more than `PATIENCE` seconds."""
        return bool(self._pending) and time.monotonic() > self._pending[0][1] + PATIENCE

    def abort(self) -> None:
        """Close the connection at once; the worker then ends."""
        if self._transport is not None:
            self._transport.abort()


def framed(message: object) -> bytes:
    """Return a message in the format of the socket: 4 bytes of length, then the pickle."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _SIZE.pack(len(body)) + body


def next_message(received: bytearray) -> Any:
    """Remove the first message from `received` and return it; None if it is incomplete."""
    if len(received) < _SIZE.size:
        return None
    end = _SIZE.size + _SIZE.unpack_from(received)[0]
    if len(received) < end:
        return None
    with memoryview(received) as view:
        message = pickle.loads(view[_SIZE.size : end])  # noqa: S301 (both ends are this program)
    del received[:end]
    return message


# The worker process.


class WorkerChannel:
    """The worker's end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()

    def next(self, seconds: float | None) -> Any:
        """Return the next message. Raises `TimeoutError` after `seconds`, `EOFError` once the socket is closed."""
        while (message := next_message(self._received)) is None:
            self._connection.settimeout(seconds)
            data = self._connection.recv(1 << 16)
            if not data:
                raise EOFError
            self._received += data
        return message

    def send(self, message: object) -> None:
        """Send a message to the server."""
        self._connection.settimeout(None)
        self._connection.sendall(framed(message))


def end_with_server(connection: socket.socket) -> None:
    """Wait until the server has closed the socket, and end this process soon after it, whatever it is doing."""
    closed = select.poll()
    closed.register(connection, 0)  # a closed socket is reported in any case
    closed.poll()
    time.sleep(FAREWELL)
    os._exit(1)


def answer(finder: NoteFinder, request: RecallRequest, until: float) -> tuple[bool, object]:
    """Return whether recall succeeded, and the notes or the error."""
    if time.monotonic() > until:
        return False, EngramError("the request expired before recall began")
    try:
        return True, finder.notes(request)
    except (EngramError, OSError, ValueError) as error:
        return False, error
    except Exception as error:  # the edge of this process: the next request must still be answered
        logger.exception("recall failed")
        return False, EngramError(f"recall failed: {type(error).__name__}")


def serve(channel: WorkerChannel, memory: Memory) -> None:
    """Answer requests until the server closes the socket (`EOFError`)."""
    finder, last = NoteFinder(memory, channel.next(None)), 0.0
    channel.send(READY)
    gc.freeze()
    while True:
        try:
            message = channel.next(IDLE)
        except TimeoutError:
            message = WRITTEN
        if message != WRITTEN:
            channel.send(answer(finder, *message))
            last = time.monotonic()
            send_encoded(channel, memory)
        elif time.monotonic() > last + CALM:
            # Read new commits while nobody waits. If that fails, the next recall reports the reason.
            with suppress(EngramError, OSError):
                memory.catch_up()
                send_encoded(channel, memory)


def send_encoded(channel: WorkerChannel, memory: Memory) -> None:
    """Send what was encoded since the last call, if anything was: the server need not do it again."""
    encoded = memory.encoded()
    if encoded.codes:
        channel.send(encoded)


def main() -> None:
    """Run the worker. Arguments: the descriptor of the socket, the path of the memory, and maybe `NO_STRENGTH`."""
    # Signals are for the server, which stops this process by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_up(with_text=False)
    return_freed_memory()
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        Thread(target=end_with_server, args=(connection,), name="engram-farewell", daemon=True).start()
        strength = NO_STRENGTH not in sys.argv[3:]
        with Memory(sys.argv[2], read_only=True, strength=strength) as memory, suppress(EOFError, ConnectionError):
            with suppress(EngramError, OSError):
                # Load the encoder before the first request waits for it.
                memory.recall("Who am I?", limit=1, strengthen=False)
            serve(WorkerChannel(connection), memory)


if __name__ == "__main__":
    main()
