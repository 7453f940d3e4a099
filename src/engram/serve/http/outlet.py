"""The interfaces between a stream from upstream and the client's connection.

Owns the two protocols that every relay and every outlet implement. Knows no implementation of them.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

EXTENSION = "engram.outlet"
"""Name of the ASGI scope extension under which a server of ours offers its connection: `{"outlet": Outlet}`."""


class Source(Protocol):
    """A stream that can be paused."""

    def pause(self) -> None:
        """Stop reading. Pausing twice is allowed."""

    def resume(self) -> None:
        """Continue reading. Resuming twice is allowed."""


class Sink(Protocol):
    """Receives the chunks of a stream."""

    def write(self, chunk: bytes) -> None:
        """Accept a chunk. Never blocks; an empty chunk is ignored."""

    async def drain(self) -> None:
        """Wait until the sink can accept more chunks."""

    def attach(self, source: Source | None) -> None:
        """Pause and resume `source` as the sink fills and empties; None detaches it."""


class Outlet(Sink, Protocol):
    """The sink that leads to the client, once the head of the response is sent."""

    def disconnected(self) -> asyncio.Future[None]:
        """Return a future that is done when the client disconnects. Callers must not cancel it."""

    def close(self) -> None:
        """Release what belongs to this request. The connection stays open."""
