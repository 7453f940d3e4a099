"""Engram: one memory trace, data only.

Owns what a trace is, its limits and its identity. Knows nothing of where traces are kept or how they are found.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engram.errors import InvalidEngram

MAX_TEXT_BYTES = 1 << 20
"""Longest text of one engram, in bytes of UTF-8 (1 MiB)."""

MAX_NAME_BYTES = 512
"""Longest namespace, session, speaker, kind or source, in bytes of UTF-8."""

MAX_METADATA_BYTES = 64 << 10
"""Longest metadata of one engram, in bytes of its JSON (64 KiB)."""

DEFAULT_NAMESPACE = "default"
DEFAULT_SESSION = "default"
ROLES = ("user", "assistant", "system", "tool")


@dataclass(frozen=True, slots=True)
class Engram:
    """One trace: what was said, by whom, when, and where it came from.

    Equal when all its fields are equal. Make one with `draft`, which checks every limit; `Memory.remember` does.
    """

    id: str
    """UUIDv7 in its canonical text form: ids sort by the time they were made."""
    namespace: str
    """The wall: nothing is recalled, counted or ranked across it. 1 to 512 bytes."""
    session: str
    """One conversation. 1 to 512 bytes."""
    role: str
    """Who spoke, as chat models put it: user, assistant, system or tool."""
    speaker: str | None
    """The speaker's name, where there is one."""
    text: str
    """What was said, verbatim. Any Unicode, 1 byte to 1 MiB."""
    at: datetime
    """When it was said; aware, in UTC, to the microsecond."""
    recorded_at: datetime
    """When it was remembered; aware, in UTC, to the microsecond."""
    kind: str = "turn"
    """turn, fact, summary, ...: an open set."""
    source: str | None = None
    """Where it came from: chat, import:chatgpt, ..."""
    metadata: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Whatever else the caller wants kept: a JSON object, up to 64 KiB."""


def draft(
    text: str,
    *,
    namespace: str = DEFAULT_NAMESPACE,
    session: str = DEFAULT_SESSION,
    role: str = "user",
    speaker: str | None = None,
    at: datetime | None = None,
    recorded_at: datetime | None = None,
    kind: str = "turn",
    source: str | None = None,
    metadata: Mapping[str, object] | None = None,
    id: str | uuid.UUID | None = None,
) -> Engram:
    """A checked engram, its id and times filled in where they are left out.

    Raises `InvalidEngram` (a `ValueError`) naming the field, what was found and the limit.
    """
    check_text(text)
    for name, value in (("namespace", namespace), ("session", session), ("kind", kind)):
        check_name(name, value)
    for name, optional in (("speaker", speaker), ("source", source)):
        if optional is not None:
            check_name(name, optional)
    if role not in ROLES:
        raise InvalidEngram(f"role is {role!r}; it must be one of {', '.join(ROLES)}")
    now = datetime.now(UTC)
    return Engram(
        id=uuid7() if id is None else canonical_id(id),
        namespace=namespace,
        session=session,
        role=role,
        speaker=speaker,
        text=text,
        at=now if at is None else as_utc("at", at),
        recorded_at=now if recorded_at is None else as_utc("recorded_at", recorded_at),
        kind=kind,
        source=source,
        metadata={} if metadata is None else checked_metadata(metadata),
    )


def check_text(text: object) -> None:
    """Raise `InvalidEngram` unless `text` can be the text of an engram."""
    if not isinstance(text, str):
        raise InvalidEngram(f"text is {type(text).__name__}; it must be str")
    if not text:
        raise InvalidEngram("text is empty; it must hold at least one character")
    size = byte_length("text", text)
    if size > MAX_TEXT_BYTES:
        raise InvalidEngram(f"text is {size:,} bytes of UTF-8; the limit is {MAX_TEXT_BYTES:,} (1 MiB)")


def check_name(field_name: str, value: object) -> None:
    """Raise `InvalidEngram` unless `value` can be a namespace, session, speaker, kind or source."""
    if not isinstance(value, str):
        raise InvalidEngram(f"{field_name} is {type(value).__name__}; it must be str")
    if not value:
        raise InvalidEngram(f"{field_name} is empty; it must hold 1 to {MAX_NAME_BYTES} bytes of UTF-8")
    size = byte_length(field_name, value)
    if size > MAX_NAME_BYTES:
        raise InvalidEngram(f"{field_name} is {size:,} bytes of UTF-8; the limit is {MAX_NAME_BYTES}")


def byte_length(field_name: str, value: str) -> int:
    """Length of `value` in bytes of UTF-8; a lone surrogate has none and raises."""
    if value.isascii():
        return len(value)
    try:
        return len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidEngram(
            f"{field_name} holds a lone surrogate at character {error.start}; it must be valid Unicode"
        ) from None


def checked_metadata(metadata: Mapping[str, object]) -> dict[str, object]:
    """A copy of `metadata` as JSON gives it back."""
    if not isinstance(metadata, Mapping):
        raise InvalidEngram(f"metadata is {type(metadata).__name__}; it must be a mapping of str to JSON values")
    text = metadata_json(metadata)
    if len(text) > MAX_METADATA_BYTES and len(text.encode()) > MAX_METADATA_BYTES:
        raise InvalidEngram(f"metadata is over {MAX_METADATA_BYTES:,} bytes of JSON, the limit")
    copy: dict[str, object] = json.loads(text)
    if copy != dict(metadata):
        raise InvalidEngram("metadata changes when it is written as JSON; use str keys and JSON values only")
    return copy


def metadata_json(metadata: Mapping[str, object]) -> str:
    """`metadata` as compact JSON; raises `InvalidEngram` if it is not JSON."""
    try:
        text = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        byte_length("metadata", text)
    except InvalidEngram:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEngram(f"metadata is not JSON: {error}") from None
    return text


def as_utc(field_name: str, value: object) -> datetime:
    """`value` in UTC; a naive time is taken as UTC."""
    if not isinstance(value, datetime):
        raise InvalidEngram(f"{field_name} is {type(value).__name__}; it must be datetime")
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise InvalidEngram(f"{field_name} is {value}, which has no time in UTC between the years 1 and 9999") from None


def canonical_id(value: str | uuid.UUID) -> str:
    """The canonical text of a UUID; raises `InvalidEngram` if it is none."""
    try:
        return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise InvalidEngram(f"id is {value!r}; it must be a UUID") from None


RANDOM_BLOCK = 2048
"""Random bytes drawn at a time: the system call costs more than all else in making an id."""

_last_id = 0
_random = b""
_id_lock = threading.Lock()


def uuid7() -> str:
    """A new UUIDv7 (RFC 9562): later calls in a process give larger ids, also within a millisecond.

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
    """The UUIDv7 of something said at `at` that `key` (16 bytes or more of a hash) names: the same for the same key."""
    milliseconds = max(0, int(at.timestamp() * 1000)) & (1 << 48) - 1
    stamp = milliseconds << 12 | int.from_bytes(key[:2]) & 0xFFF
    return _uuid7_from(stamp, int.from_bytes(key[2:10]))


def _uuid7_from(stamp: int, tail: int) -> str:
    value = (stamp >> 12 & (1 << 48) - 1) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64
    value |= 0b10 << 62 | tail & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
