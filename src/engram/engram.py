"""The engram: one remembered message, data only.

Owns its fields, their limits and its identity. Does not know how engrams are stored or searched.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal, get_args

from engram.errors import InvalidEngram
from engram.ids import uuid7
from engram.times import as_utc, local

MAX_TEXT_BYTES = 1 << 20
"""Longest text of one engram, in bytes of UTF-8 (1 MiB)."""

MAX_NAME_BYTES = 512
"""Longest namespace, session, speaker, kind, source or reason of a quarantine, in bytes of UTF-8."""

MAX_METADATA_BYTES = 64 << 10
"""Longest metadata of one engram, in bytes of its JSON (64 KiB)."""

DEFAULT_NAMESPACE = "default"
DEFAULT_SESSION = "default"
ROLES = ("user", "assistant", "system", "tool")

Origin = Literal["user", "program", "import", "assistant", "agent", "document", "tool"]
ORIGINS: tuple[str, ...] = get_args(Origin)
"""By which way a text came in, from the most to the least trusted.

user: typed by the user. program: written by an application, through REST or as a system prompt. import: read from a
file. assistant: a model's reply. agent: an agent's call through MCP. document: text of an attachment. tool: output of a
tool.
"""
TRUST_OF = {origin: place for place, origin in enumerate(ORIGINS)}
"""The place of each in `ORIGINS`."""

ORIGIN_OF_ROLE = {"user": "user", "assistant": "assistant", "system": "program", "tool": "tool"}
"""The origin of an engram whose writer states none."""


@dataclass(frozen=True, slots=True)
class Engram:
    """One remembered message: its text, its speaker, its time and its source.

    Two engrams are equal if all their fields but `origin` and `quarantined` are equal. `draft` makes an engram and
    checks every limit.
    """

    id: str
    """UUID in canonical text form. Ids that Engram makes are UUIDv7, which sort by the time at which they were made."""
    namespace: str
    """Separates memories: recall, counts and scores never cross a namespace. 1 to 512 bytes of UTF-8."""
    session: str
    """The conversation that the message belongs to. 1 to 512 bytes of UTF-8."""
    role: str
    """The role of the speaker as chat models know it: user, assistant, system or tool."""
    speaker: str | None
    """The name of the speaker, if known. 1 to 512 bytes of UTF-8."""
    text: str
    """The message, verbatim. Any Unicode except NUL, 1 byte to 1 MiB of UTF-8."""
    at: datetime
    """Time of the message; aware, in UTC, to the microsecond."""
    recorded_at: datetime
    """Time at which the engram was made; aware, in UTC, to the microsecond."""
    kind: str = "turn"
    """turn, fact, summary or any other text. 1 to 512 bytes of UTF-8."""
    source: str | None = None
    """Where the caller says that the message is from, such as chat or import:chatgpt. 1 to 512 bytes of UTF-8."""
    metadata: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Other data of the caller: a JSON object of up to 64 KiB."""
    origin: str = field(default="", compare=False)
    """By which way the text came in, one of `ORIGINS`; by default that of the role. Not compared: an engram that is
    stored again keeps its first origin."""
    quarantined: str | None = field(default=None, compare=False)
    """Why the engram is in quarantine, which recall and lists never read; None: it is not. Not compared."""

    def __post_init__(self) -> None:
        if not self.origin:
            object.__setattr__(self, "origin", ORIGIN_OF_ROLE.get(self.role, ORIGINS[-1]))


FIELD_NAMES = frozenset(item.name for item in dataclasses.fields(Engram))
NUL_IN_JSON = "\\u0000"
TEXT_FIELDS = ("text", "namespace", "session", "speaker", "kind", "source", "quarantined")


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
    origin: str | None = None,
    quarantined: str | None = None,
    id: str | uuid.UUID | None = None,
) -> Engram:
    """Return a checked engram. Fills in the id and the times that are left out.

    Raises `InvalidEngram`, a `ValueError`, that names the field, the value and the limit.
    """
    check_text(text)
    for name, value in (("namespace", namespace), ("session", session), ("kind", kind)):
        check_name(name, value)
    for name, optional in (("speaker", speaker), ("source", source), ("quarantined", quarantined)):
        if optional is not None:
            check_name(name, optional)
    if role not in ROLES:
        raise InvalidEngram(f"role is {role!r}; it must be one of {', '.join(ROLES)}")
    if origin is not None:
        check_origin("origin", origin)
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
        origin=ORIGIN_OF_ROLE[role] if origin is None else origin,
        quarantined=quarantined,
    )


def check_origin(field_name: str, value: object) -> None:
    """Raise `InvalidEngram` unless `value` is one of `ORIGINS`."""
    if value not in ORIGINS:
        raise InvalidEngram(f"{field_name} is {value!r}; it must be one of {', '.join(ORIGINS)}")


def is_trusted(origin: str, least: str) -> bool:
    """Return whether `origin` is at least as trusted as `least`; both are of `ORIGINS`."""
    return TRUST_OF[origin] <= TRUST_OF[least]


def less_trusted(first: str, second: str) -> str:
    """Return the less trusted of two origins."""
    return second if is_trusted(first, second) else first


def in_zone(engram: Engram, zone: tzinfo) -> Engram:
    """Return an engram to show or to quote, with its time in `zone`."""
    return engram if engram.at.tzinfo is zone else dataclasses.replace(engram, at=local(engram.at, zone))


def check_text(text: object) -> None:
    """Raise `InvalidEngram` unless `text` is valid as the text of an engram."""
    if not isinstance(text, str):
        raise InvalidEngram(f"text is {type(text).__name__}; it must be str")
    if not text:
        raise InvalidEngram("text is empty; it must hold at least one character")
    size = byte_length("text", text)
    if size > MAX_TEXT_BYTES:
        raise InvalidEngram(f"text is {size:,} bytes of UTF-8; the limit is {MAX_TEXT_BYTES:,} (1 MiB)")
    check_no_nul("text", text)


def check_name(field_name: str, value: object) -> None:
    """Raise `InvalidEngram` unless `value` is valid as a namespace, session, speaker, kind, source or reason."""
    if not isinstance(value, str):
        raise InvalidEngram(f"{field_name} is {type(value).__name__}; it must be str")
    if not value:
        raise InvalidEngram(f"{field_name} is empty; it must hold 1 to {MAX_NAME_BYTES} bytes of UTF-8")
    size = byte_length(field_name, value)
    if size > MAX_NAME_BYTES:
        raise InvalidEngram(f"{field_name} is {size:,} bytes of UTF-8; the limit is {MAX_NAME_BYTES}")
    check_no_nul(field_name, value)


def check_no_nul(field_name: str, value: str) -> None:
    """Raise `InvalidEngram` if `value` holds a NUL character, which PostgreSQL and C programs cannot store."""
    position = value.find("\0")
    if position >= 0:
        raise InvalidEngram(f"{field_name} holds a NUL character at character {position}; remove it")


def check_metadata_has_no_nul(metadata: Mapping[str, object]) -> None:
    """Raise `InvalidEngram` if a key or a text anywhere in `metadata` holds a NUL character."""
    pending: list[tuple[str, object]] = [("metadata", metadata)]
    while pending:
        name, value = pending.pop()
        if isinstance(value, str):
            check_no_nul(name, value)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                check_no_nul(f"a key of {name}", str(key))
                pending.append((f"{name}[{key!r}]", item))
        elif isinstance(value, list):
            pending += [(f"{name}[{index}]", item) for index, item in enumerate(value)]


def refuse_nul(engram: Engram) -> None:
    """Raise `InvalidEngram` if any field of an engram holds a NUL character, for engrams that `draft` did not make."""
    for name in TEXT_FIELDS:
        value = getattr(engram, name)
        if value is not None:
            check_no_nul(name, value)
    check_metadata_has_no_nul(engram.metadata)


def byte_length(field_name: str, value: str) -> int:
    """Return the length of `value` in bytes of UTF-8. Raises `InvalidEngram` for a lone surrogate, which has none."""
    if value.isascii():
        return len(value)
    try:
        return len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidEngram(
            f"{field_name} holds a lone surrogate at character {error.start}; it must be valid Unicode"
        ) from None


def checked_metadata(metadata: Mapping[str, object]) -> dict[str, object]:
    """Return a copy of `metadata` that went through JSON. Raises `InvalidEngram` if the copy differs."""
    if not isinstance(metadata, Mapping):
        raise InvalidEngram(f"metadata is {type(metadata).__name__}; it must be a mapping of str to JSON values")
    text = metadata_json(metadata)
    if len(text) > MAX_METADATA_BYTES and len(text.encode()) > MAX_METADATA_BYTES:
        raise InvalidEngram(f"metadata is over {MAX_METADATA_BYTES:,} bytes of JSON, the limit")
    if NUL_IN_JSON in text:
        check_metadata_has_no_nul(metadata)
    copy: dict[str, object] = json.loads(text)
    if copy != dict(metadata):
        raise InvalidEngram("metadata changes when it is written as JSON; use str keys and JSON values only")
    return copy


def metadata_json(metadata: Mapping[str, object]) -> str:
    """Return `metadata` as compact JSON. Raises `InvalidEngram` if it holds anything but JSON values."""
    try:
        text = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        byte_length("metadata", text)
    except InvalidEngram:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEngram(f"metadata is not JSON: {error}") from None
    return text


TIMES = frozenset({"at", "recorded_at"})
"""Fields that `draft` fills in with the time of the call."""


def unstated_times(fields: Collection[str]) -> frozenset[str]:
    """Return the times that are not among the stated fields of an engram with an id: they do not tell it from another.

    Without an id there are none: a new id is in use nowhere.
    """
    return TIMES.difference(fields) if "id" in fields else frozenset()


def refuse_other(stored: Engram | None, given: Engram, open_fields: Collection[str] = ()) -> None:
    """Raise `InvalidEngram` unless a stored engram, None if it cannot be read, is the one that is given with its id.

    open_fields: names of fields that the writer did not state, and that may differ.
    """
    compared = [field.name for field in dataclasses.fields(Engram) if field.compare and field.name not in open_fields]
    other = [name for name in compared if stored is None or getattr(stored, name) != getattr(given, name)]
    if other:
        what = "content" if stored is None else " and ".join(other)
        raise InvalidEngram(f"id {given.id} is in use with other content ({what}); leave id out to get a new one")


def canonical_id(value: str | uuid.UUID) -> str:
    """Return the canonical text of a UUID. Raises `InvalidEngram` if `value` is no UUID."""
    try:
        return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise InvalidEngram(f"id is {str(value)[:80]!r}; it must be a UUID") from None


def checked(item: Engram | Mapping[str, object]) -> Engram:
    """Return a checked engram, made from the fields of `remember` or from an engram. Raises `InvalidEngram`."""
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
