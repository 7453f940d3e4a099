"""What stands in a request's fields, and what is said of it where it cannot be understood.

Every refusal names the place and what was found there. Knows nothing of what a message means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engram.engram import check_name
from engram.errors import InvalidEngram
from engram.serve.http.errors import ServeError, bad_request
from engram.serve.wire.base import ChatMessage, Request
from engram.serve.wire.content import plain
from engram.serve.wire.spans import Items, Span, kind


def string(fields: Mapping[str, object], name: str, where: str = "") -> str | None:
    """The text of a field that callers are told apart by, None where it has none.

    Raises `ServeError` (400) for a lone surrogate: no name could be told from another that has one.
    """
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        return None
    if plain(value) != value:
        raise bad_request(f"{where}{name} holds a lone surrogate; it must be valid Unicode", f"{where}{name}")
    return value


def speaker_of(name: object) -> str | None:
    """`name` where it can be a speaker's."""
    if not isinstance(name, str) or not name.isprintable():
        return None
    try:
        check_name("speaker", name)
    except InvalidEngram:
        return None
    return name


def role_of(message: Mapping[str, object], roles: Mapping[str, str], where: str) -> str:
    """The role of a message: what `roles` makes of the one that it gives. Raises `ServeError` (400)."""
    role = message.get("role")
    if isinstance(role, str) and role in roles:
        return roles[role]
    found = repr(role[:40]) if isinstance(role, str) else found_kind(message, "role")
    raise bad_request(f"{where}.role is {found}; it must be one of {', '.join(roles)}", f"{where}.role")


def fields_of(value: object, where: str) -> dict[str, object]:
    """A message's fields. Raises `ServeError` (400) if it has none."""
    if not isinstance(value, dict):
        raise bad_request(f"{where} is {kind(value)}; it must be an object", where)
    return value


def check_content(content: object, where: str) -> None:
    """Raise `ServeError` (400) unless it is text, a list of parts, or nothing."""
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise bad_request(
            f"{where}.content is {kind(content)}; it must be a string or a list of parts", f"{where}.content"
        )
    for place, part in enumerate(content):
        # Some servers take plain strings as parts.
        if not isinstance(part, dict | str):
            at = f"{where}.content[{place}]"
            raise bad_request(f"{at} is {kind(part)}; it must be an object", at)


def found_kind(fields: Mapping[str, object], name: str) -> str:
    """What kind of value a field has, or that it is missing."""
    return kind(fields[name]) if name in fields else "missing"


def messages_of(
    fields: Mapping[str, object], said: Callable[[dict[str, object], Span, str], ChatMessage]
) -> tuple[ChatMessage, ...]:
    """The messages of a request: what `said` makes of each. Raises `ServeError` (400)."""
    items = fields.get("messages")
    if not isinstance(items, Items):
        raise bad_request(f"messages is {found_kind(fields, 'messages')}; it must be a list", "messages")
    messages = []
    for place, (value, span) in enumerate(zip(items.values, items.spans, strict=True)):
        where = f"messages[{place}]"
        messages.append(said(fields_of(value, where), span, where))
    return tuple(messages)


def too_deep() -> ServeError:
    """The refusal of a body that is nested deeper than Python goes."""
    return bad_request("the body is nested too deeply")


def places_of(request: Request, notes: Mapping[int, str]) -> list[tuple[Span, str]]:
    """The notes with the spans of the messages that they go into. Raises `ValueError` for one that has none."""
    found = []
    for place, note in notes.items():
        span = request.messages[place].span
        if span is None:
            raise ValueError(f"message {place} is not one that notes could go into")
        found.append((span, plain(note)))
    return found
