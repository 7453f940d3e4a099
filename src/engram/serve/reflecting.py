"""Reflection: reads turns for what they state while nothing is being remembered and no request is being answered.

Owns the times at which it looks. What is read, and what it is used for, belongs to `Memory.reflect`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from engram.errors import EngramError
from engram.memory import Memory
from engram.serve.http.logs import log
from engram.serve.services import Answering, Services

PAUSE = 2.0
"""Seconds from one look to the next."""
SECONDS = 0.5
"""Seconds after which reading stops until the next look; a step that was begun is finished."""
BREAK = 0.05
"""Seconds between two steps while a request is being answered: reading holds the interpreter for most of a step."""
BUSY_LOOKS = 15
"""Looks in a row at which something was just remembered; after so many turns are read nevertheless."""
LOG_PAUSE = 3600.0
"""Seconds for which errors are not logged after one was."""
FAILED = "turns could not be read for what they state; more such errors are logged in an hour"

logger = logging.getLogger("engram.serve")


@asynccontextmanager
async def reflecting(services: Services) -> AsyncIterator[None]:
    """Look every `PAUSE` until the end; only once the first look is done, which creates the file of derived data.

    Does nothing if the operator has switched it off. A look that was begun ends before the threads of the memory do.
    """
    if not services.settings.reflect:
        yield
        return
    reading = Reading(services.memory, services.answering)
    await services.run(reading.look)
    repeating = asyncio.create_task(_repeat(services, reading))
    try:
        yield
    finally:
        repeating.cancel()
        with suppress(asyncio.CancelledError):
            await repeating


async def _repeat(services: Services, reading: Reading) -> None:
    while True:
        await asyncio.sleep(PAUSE)
        await services.run(reading.look)


class Reading:
    """Reads the unread turns of one server's memory, a little at a time. One look at a time."""

    def __init__(self, memory: Memory, answering: Answering | None = None) -> None:
        """`answering`: the requests that reading yields to; None for none."""
        self._memory = memory
        self._answering = Answering() if answering is None else answering
        self._unread: int | None = None
        """The number of unread turns at the end of the last look; None before the first one and after an error."""
        self._busy = 0
        """Looks in a row at which something had been remembered since the look before."""
        self._logged: float | None = None
        """When an error was logged, by the monotonic clock."""

    def look(self) -> None:
        """Read unread turns and deletions if nothing was remembered since the last look. Blocking.

        Raises nothing: what fails is logged, and the next look repeats it.
        """
        try:
            self._look()
        except EngramError as error:
            self._unread = None
            if self._may_log():
                log(logger, logging.ERROR, FAILED, error=str(error))
        except Exception:  # the task's edge: the next look must still come, and the server must still end in order
            self._unread = None
            if self._may_log():
                logger.exception(FAILED)

    def _look(self) -> None:
        unread = self._memory.unread()
        calm = unread == self._unread
        self._busy = 0 if calm else self._busy + 1
        # Also if no turn is unread: a deletion may be, and what was derived of a forgotten turn goes with it.
        if calm or self._busy >= BUSY_LOOKS:
            self._busy = 0
            self._read(calm=calm)
            unread = self._memory.unread()
        self._unread = unread

    def _read(self, *, calm: bool) -> None:
        """Read for about `SECONDS`, a step at a time. A request ends it if it is `calm`, and else slows it down."""
        end = time.monotonic() + SECONDS
        while self._memory.reflect(seconds=0) and time.monotonic() < end:
            if self._answering.requests and calm:
                return
            if self._answering.requests:
                time.sleep(BREAK)

    def _may_log(self) -> bool:
        """Return whether no error was logged for `LOG_PAUSE`, and note that one is logged now."""
        now = time.monotonic()
        if self._logged is not None and now < self._logged + LOG_PAUSE:
            return False
        self._logged = now
        return True
