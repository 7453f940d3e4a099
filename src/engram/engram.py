"""Engram: one memory trace, data only.

Owns what a trace is, its limits and its identity. Knows nothing of where traces are kept or how they are found.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engram.errors import InvalidEngram
from engram.ids import uuid7
from engram.times import as_utc

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


FIELD_NAMES = frozenset(item.name for item in dataclasses.fields(Engram))


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


def canonical_id(value: str | uuid.UUID) -> str:
    """The canonical text of a UUID; raises `InvalidEngram` if it is none."""
    try:
        return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise InvalidEngram(f"id is {value!r}; it must be a UUID") from None


def checked(item: Engram | Mapping[str, object]) -> Engram:
    """An engram from the fields of `remember`, or an engram made elsewhere, with every limit checked."""
    if isinstance(item, Engram):
        fields: dict[str, Any] = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    elif isinstance(item, Mapping):
        fields = dict(item)
    else:
        raise InvalidEngram(f"it is {type(item).__name__}; it must be an Engram or a mapping of remember's fields")
    unknown = fields.keys() - FIELD_NAMES
    if unknown or "text" not in fields:
        wrong = f"unknown field {sorted(map(str, unknown))[0]!r}" if unknown else "the field 'text' is missing"
        raise InvalidEngram(f"{wrong}; the fields are {', '.join(sorted(FIELD_NAMES))}")
    return draft(**fields)
