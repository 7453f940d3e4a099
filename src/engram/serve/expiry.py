"""Expiry: forgets what is expired by the memory's policies, and what is older than the operator keeps.

Owns the times at which it looks. Does not know what else forgets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from engram.errors import EngramError
from engram.serve.erasure import erase_forgotten
from engram.serve.http.logs import log
from engram.serve.services import SETTLE_SECONDS, Services

PAUSE = 3600.0
"""Seconds from one look to the next."""

logger = logging.getLogger("engram.serve")


@asynccontextmanager
async def expiring(services: Services) -> AsyncIterator[None]:
    """Forget what is expired now and every `PAUSE` until the end."""
    await services.run(forget_expired, services)
    repeating = asyncio.create_task(_repeat(services))
    try:
        yield
    finally:
        repeating.cancel()
        with suppress(asyncio.CancelledError):
            await repeating


async def _repeat(services: Services) -> None:
    while True:
        await asyncio.sleep(PAUSE)
        await services.run(forget_expired, services)


def forget_expired(services: Services) -> None:
    """Forget every expired engram, in quarantine too, and the names that they leave behind.

    By the policies of the memory, and if the operator sets `keep_days`, of every namespace also what is older.
    Blocking. Raises nothing: what fails is logged, and the next look repeats it.
    """
    keep_days = services.settings.keep_days
    try:
        services.recorder.drain(SETTLE_SECONDS)
        count = services.memory.forget_expired()
        if keep_days is not None:
            count += services.memory.forget(before=datetime.now(UTC) - timedelta(days=keep_days))
        if count or keep_days is not None:
            log(logger, logging.INFO, "expired turns were forgotten", turns=count)
        if count:
            _erase_names(services)
    except EngramError as error:
        log(logger, logging.ERROR, "expired turns could not be forgotten; the next try is in an hour", error=str(error))
    except Exception:  # the task's edge: the next look must still come, and the server must still end in order
        logger.exception("expired turns could not be forgotten; the next try is in an hour")


def _erase_names(services: Services) -> None:
    try:
        erase_forgotten(services.memory, services.conversations.database)
    except EngramError as error:
        # The engrams are deleted, and a failure would say that they are not.
        log(logger, logging.ERROR, "expired names are erased at the next start only", error=str(error))
