"""Expiry: forgets what is older than the operator keeps.

Owns the times at which it looks. Does not know what else forgets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from engram.errors import EngramError
from engram.memory import Memory
from engram.serve.http.logs import log

PAUSE = 3600.0
"""Seconds from one look to the next."""

logger = logging.getLogger("engram.serve")


@asynccontextmanager
async def expiring(memory: Memory, keep_days: int | None) -> AsyncIterator[None]:
    """Forget what is older than `keep_days` days now and every `PAUSE` until the end. None: never."""
    if keep_days is None:
        yield
        return
    await asyncio.to_thread(forget_expired, memory, keep_days)
    repeating = asyncio.create_task(_repeat(memory, keep_days))
    try:
        yield
    finally:
        repeating.cancel()
        with suppress(asyncio.CancelledError):
            await repeating


async def _repeat(memory: Memory, keep_days: int) -> None:
    while True:
        await asyncio.sleep(PAUSE)
        await asyncio.to_thread(forget_expired, memory, keep_days)


def forget_expired(memory: Memory, keep_days: int) -> None:
    """Forget every engram, in quarantine too, whose time is over `keep_days` days ago."""
    try:
        count = memory.forget(before=datetime.now(UTC) - timedelta(days=keep_days))
    except EngramError as error:
        log(logger, logging.ERROR, "expired turns could not be forgotten; the next try is in an hour", error=str(error))
    else:
        log(logger, logging.INFO, "expired turns were forgotten", turns=count)
