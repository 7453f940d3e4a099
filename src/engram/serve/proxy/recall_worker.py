"""Recall in a process of its own, so that a server's streams do not wait for its arithmetic.

Owns that process and the line to it: what requests ask goes out, their notes come back in the same order. The event
loop speaks on the line itself: no thread stands between, which would have to wait for the interpreter's lock. Where the
process is not there (it begins, or has died), notes are found here, and the process is started anew. Knows nothing of
requests.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
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
from typing import Any, cast

from engram.errors import EngramError
from engram.memory import Memory
from engram.notes.injection import Wording
from engram.serve.http.logs import log, set_up
from engram.serve.malloc import give_back_what_is_freed
from engram.serve.proxy.recall_request import Notes, Recaller, RecallRequest
from engram.store.sqlite.connections import IN_MEMORY

logger = logging.getLogger("engram.serve")

PATIENCE = 10.0
"""Seconds after which a process that does not answer is given up."""

PAUSE = 5.0
"""Seconds from one start of the process to the next, at least."""

IDLE = 0.2
"""Seconds without a question after which the process looks for what is new, whoever wrote it."""

CALM = 0.03
"""Seconds after the last question from which on it does so as soon as this server has written something."""

READY = "ready"
WRITTEN = "written"
"""Said to the process when there is something new."""

_SIZE = struct.Struct(">I")


class ProcessGone(ConnectionError):
    """The process that recalls is not there any more."""


class RecallProcess:
    """Finds the notes for requests in a process of its own. To be used on one event loop."""

    def __init__(self, memory: Memory, wording: Wording, threads: Executor) -> None:
        """`threads`: where notes are found while the process is not there; always so for a memory that is in RAM."""
        self._path = memory.path
        self._wording = wording
        self._recaller = Recaller(memory, wording)
        self._threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._line: WorkerConnection | None = None
        self._starting: asyncio.Task[None] | None = None
        self._started = 0.0
        self._closed = memory.path == IN_MEMORY

    async def notes(self, asked: RecallRequest, until: float) -> Notes:
        """What is asked for, wanted until this time of `time.monotonic`. Raises as `Memory.recall`."""
        line = self._answering()
        if line is not None:
            with suppress(ProcessGone):
                return await line.ask(asked, until)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._recaller.notes, asked)

    def written(self) -> None:
        """Something new stands in the memory."""
        if self._line is not None and self._line.ready:
            self._line.say(WRITTEN)

    @property
    def ready(self) -> bool:
        """Whether the process is there and has the memory open."""
        return self._line is not None and self._line.ready

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process, unless it is there, or was started a moment ago."""
        if self._closed or self._starting is not None or self._line is not None:
            return
        if self._started and time.monotonic() < self._started + PAUSE:
            return
        self._started = time.monotonic()
        self._starting = asyncio.create_task(self._start())

    async def close(self) -> None:
        """End the process."""
        self._closed = True
        if self._starting is not None:
            await self._starting
        if self._line is not None:
            self._line.hang_up()
        process, self._process = self._process, None
        await asyncio.to_thread(reap, process)

    def _answering(self) -> WorkerConnection | None:
        """The line to the process, if somebody answers there."""
        if self._line is None:
            self.start()
            return None
        if self._line.is_stuck() and self._process is not None:
            log(logger, logging.ERROR, f"the process that recalls gave no answer in {PATIENCE:g} s")
            self._process.kill()
            return None
        return self._line if self._line.ready else None

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        command = [sys.executable, "-m", "engram.serve.proxy.recall_worker", str(theirs.fileno()), self._path]
        try:
            with theirs:
                self._process = await asyncio.to_thread(
                    subprocess.Popen, command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
                )
            line = WorkerConnection(self._lost)
            await asyncio.get_running_loop().create_unix_connection(lambda: line, sock=ours)
        except OSError as error:
            ours.close()
            log(logger, logging.ERROR, "the process that recalls could not be started", error=str(error))
        else:
            self._line = line
            line.say(self._wording)
        finally:
            self._starting = None

    def _lost(self) -> None:
        self._line = None
        if not self._closed:
            log(logger, logging.ERROR, "the process that recalls is gone")
            # It is there no more, or ends as its line has.
            process, self._process = self._process, None
            asyncio.get_running_loop().run_in_executor(None, reap, process)


def reap(process: subprocess.Popen[bytes] | None) -> None:
    """Have a process ended: it ends by itself where its line has ended, unless it hangs."""
    if process is None:
        return
    with suppress(subprocess.TimeoutExpired):
        process.wait(1.0)
        return
    process.kill()
    process.wait()


class WorkerConnection(asyncio.Protocol):
    """The line to the process, at the server's end."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost
        self._got = bytearray()
        self._asked: deque[tuple[asyncio.Future[Notes], float]] = deque()
        """Whoever waits for an answer, and since when; the one who is answered next first."""
        self._transport: asyncio.Transport | None = None
        self.ready = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        # uvloop's are none by their class.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """... and is not any more: nobody waits for an answer any longer."""
        self.ready, self._transport = False, None
        for future, _ in self._asked:
            if not future.done():
                future.set_exception(ProcessGone("the process that recalls is gone"))
        self._asked.clear()
        self._lost()

    def data_received(self, data: bytes) -> None:
        """A piece of an answer, or several."""
        self._got += data
        while (message := taken(self._got)) is not None:
            if not self.ready:
                self.ready = message == READY
                continue
            future, _ = self._asked.popleft()
            if future.done():
                continue
            worked, answer = message
            if worked:
                future.set_result(answer)
            else:
                future.set_exception(answer)

    def say(self, message: object) -> None:
        """Send something, unless the line is broken."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(framed(message))

    async def ask(self, asked: RecallRequest, until: float) -> Notes:
        """The notes that are asked for. Raises `ProcessGone` where the line breaks meanwhile."""
        future: asyncio.Future[Notes] = asyncio.get_running_loop().create_future()
        self._asked.append((future, time.monotonic()))
        self.say((asked, until))
        return await future

    def is_stuck(self) -> bool:
        """Whether somebody has waited for too long."""
        return bool(self._asked) and time.monotonic() > self._asked[0][1] + PATIENCE

    def hang_up(self) -> None:
        """Break it off."""
        if self._transport is not None:
            self._transport.abort()


def framed(message: object) -> bytes:
    """A message as it goes over the line: its size, and itself."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _SIZE.pack(len(body)) + body


def taken(got: bytearray) -> Any:
    """The first message in what came over the line, taken out of it; None if it is not whole yet."""
    if len(got) < _SIZE.size:
        return None
    end = _SIZE.size + _SIZE.unpack_from(got)[0]
    if len(got) < end:
        return None
    with memoryview(got) as view:
        message = pickle.loads(view[_SIZE.size : end])  # noqa: S301 (both ends are of this program)
    del got[:end]
    return message


# The process.


class WorkerChannel:
    """What comes over the line, at the process's end."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._got = bytearray()

    def next(self, seconds: float | None) -> Any:
        """The next message. Raises `TimeoutError` after so many seconds without one, `EOFError` at the end."""
        while (message := taken(self._got)) is None:
            self._line.settimeout(seconds)
            data = self._line.recv(1 << 16)
            if not data:
                raise EOFError
            self._got += data
        return message

    def answer(self, message: object) -> None:
        """Send something back."""
        self._line.settimeout(None)
        self._line.sendall(framed(message))


def answer(recaller: Recaller, asked: RecallRequest, until: float) -> tuple[bool, object]:
    """Whether it worked, and the notes or the error."""
    if time.monotonic() > until:
        return False, EngramError("nobody waits for this any more")
    try:
        return True, recaller.notes(asked)
    except (EngramError, OSError, ValueError) as error:
        return False, error
    except Exception as error:  # the edge of this process: the next question must still be answered
        logger.exception("recall failed")
        return False, EngramError(f"recall failed: {type(error).__name__}")


def serve(questions: WorkerChannel, memory: Memory) -> None:
    """Answer what comes, until the line ends."""
    recaller, last = Recaller(memory, questions.next(None)), 0.0
    questions.answer(READY)
    gc.freeze()
    while True:
        try:
            message = questions.next(IDLE)
        except TimeoutError:
            message = WRITTEN
        if message != WRITTEN:
            questions.answer(answer(recaller, *message))
            last = time.monotonic()
        elif time.monotonic() > last + CALM:
            # What was remembered meanwhile is taken up while nobody waits; what keeps it from that, recall will tell.
            with suppress(EngramError, OSError):
                memory.catch_up()


def main() -> None:
    """Answer what comes over the line whose number is the first argument, about the memory that is the second."""
    # Both are for the server: it ends this process by breaking off the line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_up(with_text=False)
    give_back_what_is_freed()
    with (
        socket.socket(fileno=int(sys.argv[1])) as line,
        Memory(sys.argv[2], read_only=True) as memory,
        suppress(EOFError, ConnectionError),
    ):
        serve(WorkerChannel(line), memory)


if __name__ == "__main__":
    main()
