"""Proposals in the background: a model is asked about finished sessions while nothing is being remembered.

Owns the times at which it is asked. Whatever a model does, no request waits for it: a thread of its own asks it. Which
model that is the options say (`reflect_model`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engram.errors import EngramError
from engram.memory import Memory
from engram.models import Model
from engram.reflection.proposals.asking import Asking
from engram.reflection.proposals.ledger import DAY
from engram.serve.http.logs import log
from engram.serve.reflect_model import asking_of
from engram.serve.services import Services

PAUSE = 2.0
"""Seconds from one call to the next."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
"""Seconds without a call after one that failed; twice as long after each further one."""
ENDING = 2.0
"""Seconds that the end of the server waits for a call. One that is broken off counts as what was reserved for it."""
FAILED = "the model for reflection could not be asked; the next try comes later"

logger = logging.getLogger("engram.serve")


@asynccontextmanager
async def proposing(services: Services, model: Model | None) -> AsyncIterator[None]:
    """Ask a model in the background until the end; with None nothing is asked."""
    if model is None:
        yield
        return
    loop = Asks(services.memory, model, asking_of(services.settings))
    loop.thread.start()
    try:
        yield
    finally:
        loop.ending.set()
        await asyncio.to_thread(loop.thread.join, ENDING)


class Asks:
    """The thread that asks, one call at a time."""

    def __init__(self, memory: Memory, model: Model, asking: Asking) -> None:
        self._memory, self._model, self._asking = memory, model, asking
        self.ending = threading.Event()
        # A daemon: a call that hangs must not hold up the end of the process.
        self.thread = threading.Thread(target=self._run, name="engram-proposing", daemon=True)
        self._failures = 0

    def _run(self) -> None:
        pause = PAUSE
        while not self.ending.wait(pause):
            try:
                pause = self.look()
            except EngramError as error:
                pause = self._after_failure()
                if not self.ending.is_set():
                    log(logger, logging.ERROR, FAILED, error=str(error))
            except Exception:  # the thread's edge: the next look must still come
                pause = self._after_failure()
                if not self.ending.is_set():
                    logger.exception(FAILED)

    def look(self) -> float:
        """Ask about one session if one is due and all turns were read. Returns the seconds until the next look."""
        if self._memory.unread():
            return PAUSE
        asked = self._memory.propose(self._model, asking=self._asking, seconds=0.0)
        if asked.over_budget:
            return DAY - time.time() % DAY
        if asked.failed:
            return self._after_failure()
        self._failures = 0
        return PAUSE

    def _after_failure(self) -> float:
        self._failures += 1
        return float(min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 20), LONGEST_PAUSE))
