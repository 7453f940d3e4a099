"""Reads turns for what they state while a command waits for its user.

Owns the thread, and its end before the memory is closed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engram.errors import EngramError

if TYPE_CHECKING:
    from engram.memory import Memory

logger = logging.getLogger("engram")


@contextmanager
def reading(memory: Memory) -> Iterator[None]:
    """Read all unread turns in a thread, step by step; at the end wait for the step that was begun."""
    ending = threading.Event()
    # A daemon thread, so that a second Ctrl-C need not wait for a step.
    thread = threading.Thread(target=_read, args=(memory, ending), name="engram-reading", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def _read(memory: Memory, ending: threading.Event) -> None:
    try:
        while not ending.is_set() and memory.reflect(seconds=0):
            pass
    except EngramError as error:
        logger.warning("turns were not read for what they state: %s", error)
