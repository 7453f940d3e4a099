"""How this process gets its memory from the C library.

glibc keeps what is freed in one heap a thread, and large blocks with the small ones once some have been freed: an index
that is committed every few seconds let a server grow by 40 KB a turn (docs/LOG.md). A library must not set this for the
process that it is part of; a server may.
"""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD, ARENA_MAX = -3, -8
"""mallopt's numbers for the settings (malloc.h)."""


def give_back_what_is_freed() -> None:
    """Have large blocks go back to the system when they are freed, and few heaps beside; nothing without glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(ARENA_MAX, 2)
    mallopt(MMAP_THRESHOLD, 128 << 10)
