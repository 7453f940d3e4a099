"""Engram ids: UUIDv7 (RFC 9562), as canonical text and as 16 bytes.

Owns the creation of ids, their derivation from a hash, and their conversion. Does not know engrams.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from datetime import datetime

RANDOM_BLOCK = 2048
"""Random bytes that one system call returns; the call takes longer than the rest of making an id."""

_last_id = 0
_random = b""
_id_lock = threading.Lock()


def uuid7() -> str:
    """Return a new UUIDv7 (RFC 9562). Later calls in a process return greater ids, also within a millisecond.

    The 12 bits after the version hold the fraction of the millisecond (the RFC's method 3), the rest is random.
    """
    global _last_id, _random
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    stamp = milliseconds << 12 | (rest << 12) // 1_000_000
    with _id_lock:
        stamp = max(stamp, _last_id + 1)
        _last_id = stamp
        if not _random:
            _random = os.urandom(RANDOM_BLOCK)
        tail, _random = _random[:8], _random[8:]
    return _uuid7_from(stamp, int.from_bytes(tail))


def _forget_random() -> None:
    """Let a forked process draw its own random bytes."""
    global _random
    _random = b""


os.register_at_fork(after_in_child=_forget_random)


def uuid7_of(at: datetime, key: bytes) -> str:
    """Return the UUIDv7 for a time and a key of 16 or more bytes of a hash: equal arguments give equal ids."""
    milliseconds = max(0, int(at.timestamp() * 1000)) & (1 << 48) - 1
    stamp = milliseconds << 12 | int.from_bytes(key[:2]) & 0xFFF
    return _uuid7_from(stamp, int.from_bytes(key[2:10]))


def _uuid7_from(stamp: int, tail: int) -> str:
    value = (stamp >> 12 & (1 << 48) - 1) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64
    value |= 0b10 << 62 | tail & (1 << 62) - 1
    return id_from_bytes(value.to_bytes(16))


def id_to_bytes(id: str) -> bytes:
    """Return the 16 bytes of an id in canonical form."""
    return bytes.fromhex(id.replace("-", ""))


def id_from_bytes(value: bytes) -> str:
    """Return the canonical form of an id from its 16 bytes. Raises ValueError for any other length."""
    # A uuid.UUID object for each hit would take longer than reading the hit.
    if len(value) != 16:
        raise ValueError(f"an id has {len(value)} bytes, not 16")
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


MARKED = b"\xff"
"""The first byte of packed references of which one has a passage: no id of this millennium begins with it."""


def reference(id: str, passage: int = 0) -> str:
    """Return a reference to a note: an id and, unless it is 0, the number of the passage that is shown: "ID:2"."""
    return f"{id}:{passage}" if passage else id


def read_reference(text: str) -> tuple[str, int]:
    """Return the id and the number of the passage in a reference."""
    id, _, passage = text.partition(":")
    return id, int(passage or 0)


def pack_references(references: Iterable[str]) -> bytes:
    """Return references as bytes: packed ids if no reference has a passage."""
    pairs = list(map(read_reference, references))
    if not any(passage for _, passage in pairs):
        return pack_ids(id for id, _ in pairs)
    return MARKED + b"".join(id_to_bytes(id) + min(passage, 0xFFFF).to_bytes(2, "big") for id, passage in pairs)


def unpack_references(value: bytes) -> tuple[str, ...]:
    """Return the references that `pack_references` packed."""
    if value[:1] != MARKED:
        return unpack_ids(value)
    parts = (value[at : at + 18] for at in range(1, len(value), 18))
    return tuple(reference(id_from_bytes(part[:16]), int.from_bytes(part[16:], "big")) for part in parts)


def pack_ids(ids: Iterable[str]) -> bytes:
    """Return the 16 bytes of each id, concatenated."""
    return b"".join(map(id_to_bytes, ids))


def unpack_ids(value: bytes) -> tuple[str, ...]:
    """Return the ids that `pack_ids` packed."""
    return tuple(id_from_bytes(value[at : at + 16]) for at in range(0, len(value), 16))
