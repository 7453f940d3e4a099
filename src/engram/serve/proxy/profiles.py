"""The profile that a conversation has in its system prompt: found once, when the conversation begins, and kept.

Owns when a profile is found anew, and how long a request waits for it. What a profile quotes is `notes.profiles`.
Knows nothing of bodies and headers.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import tzinfo
from functools import partial
from typing import NamedTuple

from engram.errors import EngramError
from engram.notes.profiles import FoundProfile, Quote, find_profile, pack_quotes, render_profile, unpack_quotes
from engram.recall.context import estimated_tokens
from engram.serve.conversations.hashes import Hashes
from engram.serve.conversations.matching import ConversationMatch
from engram.serve.http.logs import log
from engram.serve.services import Services

logger = logging.getLogger("engram.serve")

FINDERS = 2
"""Threads that find profiles. They have no part in those that recall: of a large namespace it takes seconds."""

RENDER_SECONDS = 0.02
"""Seconds before the end of a request's patience at which it takes the namespace's profile before, if there is one."""

MOST_KEPT = 1_000
"""Namespaces whose last profile is kept."""

SETTLED = 100
"""Unread turns up to which an empty profile counts as the profile of a conversation."""


class AttachedProfile(NamedTuple):
    """The profile of one request."""

    text: str
    """With its marks; "" for none."""
    ids: tuple[str, ...] = ()
    """The engrams that it quotes."""
    record: bytes | None = None
    """What is to be recorded for the later requests of the conversation; None if it was recorded before."""

    @property
    def tokens(self) -> int:
        """Estimated tokens of the text."""
        return estimated_tokens(self.text) if self.text else 0


NO_PROFILE = AttachedProfile("")


class Profiles:
    """Finds the profiles of conversations. Use it on one event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._finders = ThreadPoolExecutor(FINDERS, "engram-profile")
        self._finding: dict[str, asyncio.Task[FoundProfile]] = {}
        self._last: OrderedDict[str, tuple[Quote, ...]] = OrderedDict()
        """The quotes that were found last, by namespace, the latest used last."""
        self._wanted = asyncio.Event()
        if services.settings.profile == "on":
            self._wanted.set()

    async def attached(self, match: ConversationMatch, zone: tzinfo, until: float) -> AttachedProfile:
        """Return the profile of a conversation: the recorded one, or a new one if it begins.

        zone: the user's. until: the time by `time.monotonic` at which the request ends its waiting. Raises as
        `Memory.profile`, and `TimeoutError` if a new one takes longer and the namespace had none before.
        """
        self._wanted.set()
        run = self._services.run
        if not (match.is_opening and match.new_indexes):
            recorded = await run(self._recorded, match)
            if recorded is not None:
                return await run(self._rendered, match.namespace, recorded, zone)
        quotes, unread = await self._new(match.namespace, until)
        profile = await run(self._rendered, match.namespace, quotes, zone)
        # Of a memory that is not read yet, a later request of the conversation may have one.
        return profile._replace(record=pack_quotes(quotes)) if profile.text or unread <= SETTLED else profile

    def _recorded(self, match: ConversationMatch) -> tuple[Quote, ...] | None:
        """Return the quotes that were recorded for a conversation; None if none were. In a thread."""
        conversations = self._services.conversations
        recorded = conversations.profile_of(Hashes(conversations.secret, match.namespace).session_key(match.session))
        return None if recorded is None else unpack_quotes(recorded)

    def _rendered(self, namespace: str, quotes: tuple[Quote, ...], zone: tzinfo) -> AttachedProfile:
        """Return quotes as text, without those whose engram was forgotten. In a thread."""
        ids = list(dict.fromkeys(quote.id for quote in quotes))
        engrams = self._services.memory.get_many(ids, namespace=namespace) if ids else {}
        trust = self._services.settings.least_trust
        return AttachedProfile(*render_profile(quotes, engrams, zone=zone, trust=trust))

    async def _new(self, namespace: str, until: float) -> FoundProfile:
        """Return the profile of a namespace as it is now; the one before if that takes too long."""
        task = self._finding.get(namespace)
        if task is None:
            task = self._finding[namespace] = asyncio.create_task(self._find(namespace))
            task.add_done_callback(partial(self._found, namespace))
        patience = until - RENDER_SECONDS - time.monotonic()
        await asyncio.wait({task}, timeout=None if patience == math.inf else max(0.0, patience))
        if task.done():
            return task.result()
        if (last := self._last.get(namespace)) is None:
            raise TimeoutError
        return FoundProfile(last, 0)

    async def _find(self, namespace: str) -> FoundProfile:
        settings = self._services.settings
        budget, trust = settings.profile_budget, settings.least_trust
        find = partial(find_profile, self._services.memory, namespace, budget, trust=trust)
        return await asyncio.get_running_loop().run_in_executor(self._finders, find)

    def _found(self, namespace: str, task: asyncio.Task[FoundProfile]) -> None:
        del self._finding[namespace]
        # An exception that nobody waits for any more is read here.
        if task.cancelled() or task.exception() is not None:
            return
        self._last[namespace] = task.result().quotes
        self._last.move_to_end(namespace)
        if len(self._last) > MOST_KEPT:
            self._last.popitem(last=False)

    # Around the server.

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        """Load what finds profiles at the first request that wants one, or at the start; wait for it at the end."""
        task = asyncio.create_task(self._load())
        try:
            yield
        finally:
            # The memory is closed next, and nothing must be looked up then.
            if not self._wanted.is_set():
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if self._finding:
                await asyncio.wait(set(self._finding.values()))
            self._finders.shutdown()

    async def _load(self) -> None:
        await self._wanted.wait()
        try:
            await self._new(self._services.settings.namespace, math.inf)
        except (EngramError, OSError) as error:
            log(logger, logging.ERROR, "the first profile could not be found", error=str(error))
        except Exception:  # the task's edge: profiles must not end the server
            logger.exception("the first profile could not be found")
