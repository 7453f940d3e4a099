"""Recall in a process of its own, so that a server's streams do not wait for its arithmetic.

Owns that process and the pipe to it: a query goes in, hits come out, one after the other. Where the process is not
there (it begins, or has died), recall runs here, and the process is started anew. Knows nothing of requests.
"""

from __future__ import annotations

import gc
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from engram.errors import EngramError
from engram.memory import Memory
from engram.recall.result import Hit
from engram.serve.logs import log, set_up
from engram.serve.malloc import give_back_what_is_freed
from engram.store.sqlite import IN_MEMORY

logger = logging.getLogger("engram.serve")

PATIENCE = 10.0
"""Seconds after which a process that does not answer is given up."""

PAUSE = 5.0
"""Seconds from one start of the process to the next, at least."""

IDLE = 0.2
"""Seconds without a query after which the process looks for what is new."""

READY = "ready"


class RecallProcess:
    """Recalls from one memory. Safe to use from several threads, which take turns."""

    def __init__(self, memory: Memory) -> None:
        """Start the process; a memory that is only in RAM is asked here."""
        self._memory = memory
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._ready = False
        self._started = 0.0
        self._closed = memory.path == IN_MEMORY
        self._start()

    def recall(self, query: str, namespace: str, limit: int) -> Sequence[Hit]:
        """What in `namespace` answers `query`: as `Memory.recall`, and with its errors."""
        with self._turn:
            pipe = self._answering()
            if pipe is not None:
                try:
                    pipe.send((query, namespace, limit))
                    if not pipe.poll(PATIENCE):
                        raise TimeoutError(f"no answer in {PATIENCE:g} s")
                    worked, answer = pipe.recv()
                except (OSError, EOFError) as error:
                    self._stop()
                    log(logger, logging.ERROR, "the process that recalls is gone", error=str(error))
                else:
                    if worked:
                        found: Sequence[Hit] = answer
                        return found
                    raise answer
        return list(self._memory.recall(query, namespace=namespace, limit=limit))

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the process."""
        with self._turn:
            self._closed = True
            self._stop()

    def _answering(self) -> Connection | None:
        """The pipe to the process, if it is there and has the memory open."""
        if self._pipe is None:
            self._start()
        elif not self._ready:
            try:
                self._ready = self._pipe.poll() and self._pipe.recv() == READY
            except (OSError, EOFError):
                self._stop()
        return self._pipe if self._ready else None

    def _start(self) -> None:
        if self._closed or (self._started and time.monotonic() < self._started + PAUSE):
            return
        self._started = time.monotonic()
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "engram.serve.helper", str(theirs.fileno()), self._memory.path]
            try:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
            except OSError as error:
                ours.close()
                log(logger, logging.ERROR, "the process that recalls could not be started", error=str(error))
                return
        self._pipe = Connection(ours.detach())

    def _stop(self) -> None:
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        self._ready = False
        if pipe is not None:
            pipe.close()
        if process is not None:
            # It ends by itself where the pipe ends, unless it hangs.
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
                return
            process.kill()
            process.wait()


def answer(memory: Memory, asked: tuple[str, str, int]) -> tuple[bool, Any]:
    """Whether it worked, and the hits or the error."""
    query, namespace, limit = asked
    try:
        return True, list(memory.recall(query, namespace=namespace, limit=limit))
    except (EngramError, OSError, ValueError) as error:
        return False, error
    except Exception as error:  # the edge of this process: the next query must still be answered
        logger.exception("recall failed")
        return False, EngramError(f"recall failed: {type(error).__name__}")


def main() -> None:
    """Answer what comes through the pipe whose number is the first argument, until it ends."""
    # Both are for the server: it ends this process by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_up(with_text=False)
    give_back_what_is_freed()
    pipe = Connection(int(sys.argv[1]))
    with Memory(sys.argv[2], read_only=True) as memory:
        pipe.send(READY)
        gc.freeze()
        while True:
            try:
                # What was remembered meanwhile is taken up while nobody waits.
                while not pipe.poll(IDLE):
                    memory.catch_up()
                asked = pipe.recv()
            except EOFError:
                return
            except (EngramError, OSError):
                time.sleep(IDLE)
                continue
            pipe.send(answer(memory, asked))


if __name__ == "__main__":
    main()
