"""Settings of the C library's memory allocator for server processes.

glibc keeps freed memory in one heap per thread, and puts large blocks into these heaps once some were freed: with an
index that commits every few seconds, a server grew by 40 KB a turn (docs/LOG.md). A server may set this for its
process; a library must not.
"""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD, ARENA_MAX = -3, -8
"""Numbers of mallopt's parameters (malloc.h)."""


def return_freed_memory() -> None:
    """Return large freed blocks to the system at once, and use few heaps. Does nothing without glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(ARENA_MAX, 2)
    mallopt(MMAP_THRESHOLD, 128 << 10)
