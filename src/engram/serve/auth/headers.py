"""The request headers by which a caller names its key, its namespace and its session.

Owns the names of these headers and how their values are read. Header mappings have lower-case names. Does not know
which keys exist (`keys`) or which rights they have (`access`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from engram.serve.auth.keys import KEY_PREFIX
from engram.serve.http.errors import bad_request

ENGRAM = "x-engram"
"""Prefix of the headers between the client and Engram; they are never forwarded."""
KEY_HEADER = "x-engram-key"
NAMESPACE_HEADER = "x-engram-namespace"
SESSION_HEADER = "x-engram-session"
UPSTREAM_KEY_HEADERS = ("authorization", "x-api-key")
"""The headers that carry the key for upstream. A caller may send its key for Engram in one of them instead."""

WEBUI_USER = "x-openwebui-user-id"
WEBUI_CHAT = "x-openwebui-chat-id"
"""Headers of Open WebUI, which it sends with ENABLE_FORWARD_USER_INFO_HEADERS."""

PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}|\$\{[^{}]*\}|\A\s*(?:\$\w+|%\w+%|\{[\w.-]+\}|<[\w .-]+>)\s*\Z")
"""A variable of a template that a client should have replaced by the id of the user or the chat.

`{{USER_ID}}` and `${USER}` at any place; as the whole value also `$USER`, `%USER%`, `{user}` and `<user>`.
"""


def engram_key(headers: Mapping[str, str]) -> str | None:
    """Return the key for Engram; None if there is none.

    X-Engram-Key, else Authorization: Bearer, else x-api-key. The last two count only if the value has the form of a
    key for Engram, because they usually hold the key for upstream.
    """
    if (value := headers.get(KEY_HEADER)) is not None:
        return value.strip()
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip().startswith(KEY_PREFIX):
        return token.strip()
    value = headers.get("x-api-key", "").strip()
    return value if value.startswith(KEY_PREFIX) else None


def is_engram_key(name: str, value: str) -> bool:
    """Return whether a header (`name` in lower case) carries a key for Engram: such a header never goes upstream."""
    if name in UPSTREAM_KEY_HEADERS:
        # Also without a scheme, or with an unexpected one: no key for Engram may leave this server.
        return any(part.startswith(KEY_PREFIX) for part in re.split(r"[\s,]+", value))
    return name == KEY_HEADER


def header_sent_twice(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the name of a header that names a key or a place in memory and comes more than once; None for none.

    A header that usually carries the key for upstream counts if one of its values is a key for Engram.
    """
    values: dict[str, list[str]] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1")
        if is_for_engram(name) or name in UPSTREAM_KEY_HEADERS:
            values.setdefault(name, []).append(raw_value.decode("latin-1"))
    for name, given in values.items():
        if len(given) > 1 and (is_for_engram(name) or any(is_engram_key(name, value) for value in given)):
            return name
    return None


def is_for_engram(name: str) -> bool:
    """Return whether a header (`name` in lower case) is Engram's own, or one of Open WebUI's that it reads alike."""
    return name.startswith(ENGRAM) or name in (WEBUI_USER, WEBUI_CHAT)


def unfilled(field: str, value: str) -> str:
    """Return the message about a field or header that holds a placeholder."""
    return (
        f"{field} is {value[:80]!r}: the client did not fill in this placeholder; configure the client to send a"
        " value, or to leave it out"
    )


def requested_namespace(headers: Mapping[str, str]) -> str | None:
    """Return the namespace that the headers name; None if they name none."""
    return header_text(headers, NAMESPACE_HEADER)


def header_text(headers: Mapping[str, str], name: str) -> str | None:
    """Return the value of a header that may hold any text; None if the header is missing.

    Servers decode headers as Latin-1; a value that is valid UTF-8 is decoded again as UTF-8. Raises `ServeError` 400
    for a placeholder that the client did not fill in: all users of that client would share one namespace or session.
    """
    value = headers.get(name)
    if value is not None and PLACEHOLDER.search(value):
        raise bad_request(unfilled(name, value), name, "placeholder")
    if value is None or value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value
