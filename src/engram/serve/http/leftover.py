"""What arrived of a response before upstream broke off.

aiohttp hands out no data once a connection is lost, not even data that arrived before.
"""

from __future__ import annotations

from typing import Any

import aiohttp

from engram.serve.http.outlet import Sink


async def send_leftover(content: aiohttp.StreamReader, sink: Sink) -> None:
    """Write to `sink` what a broken body still holds, and wait until the sink can accept more."""
    # A reader without an exception hands its data out again; the type knows no way to say so.
    no_exception: Any = None
    content.set_exception(no_exception)
    sink.write(content.read_nowait())
    await sink.drain()
