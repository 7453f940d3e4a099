"""What the faces of one server share.

Owns nothing but the bundle: `app` makes it when the server starts, and lets go of it when it ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from engram.memory import Memory
from engram.serve.auth.access import Gate
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.recorder import Recorder
from engram.serve.http.logs import log
from engram.serve.http.metrics import Metrics, status_class
from engram.serve.settings import Settings

logger = logging.getLogger("engram.serve")

SETTLE_SECONDS = 2.0
"""How long what is about to be forgotten waits for what is still to be written."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running server."""

    settings: Settings
    memory: Memory
    conversations: ConversationStore
    recorder: Recorder
    gate: Gate
    metrics: Metrics
    threads: ThreadPoolExecutor
    """For calls of the memory: nothing of it may run on the event loop."""

    def answered(self, face: str, status: int, begun: float, *, broken: bool = False, **fields: object) -> None:
        """Count and log a request, `begun` at this `perf_counter`; broken: its answer did not come to its end."""
        outcome = "broken" if broken else status_class(status)
        self.metrics.requests.labels(face, outcome).inc()
        taken = round((time.perf_counter() - begun) * 1000, 1)
        log(logger, logging.INFO, "request", face=face, status=status, outcome=outcome, ms=taken, **fields)

    def settle(self) -> None:
        """Have what was said and waits in the memory, so that it can be forgotten like the rest. Not on the loop."""
        self.recorder.drain(SETTLE_SECONDS)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `function` returns, run in one of `threads`."""
        call = lambda: function(*args, **kwargs)  # noqa: E731
        return await asyncio.get_running_loop().run_in_executor(self.threads, call)
