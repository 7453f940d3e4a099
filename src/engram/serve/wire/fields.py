"""Checks the fields of a request, and words the errors.

Every error names the field and the kind of value it holds. Does not know what a message means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engram.engram import check_name
from engram.errors import InvalidEngram
from engram.serve.http.errors import bad_request
from engram.serve.wire.base import ChatMessage
from engram.serve.wire.content import plain
from engram.serve.wire.spans import Items, JsonBody, Span, kind


def identifier(fields: Mapping[str, object], name: str, where: str = "") -> str | None:
    """Return the text of a field that identifies something; None if it has none.

    Raises `ServeError` 400 for a lone surrogate: two such names could not be distinguished.
    """
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        return None
    if plain(value) != value:
        raise bad_request(f"{where}{name} holds a lone surrogate; it must be valid Unicode", f"{where}{name}")
    return value


def openai_user(fields: Mapping[str, object]) -> str | None:
    """Return the end user that a request of OpenAI's APIs names: in `user`, or in the field that replaces it."""
    return identifier(fields, "user") or identifier(fields, "safety_identifier")


def speaker_of(name: object) -> str | None:
    """Return `name` if it is valid as a speaker, else None."""
    if not isinstance(name, str) or not name.isprintable():
        return None
    try:
        check_name("speaker", name)
    except InvalidEngram:
        return None
    return name


def role_of(message: Mapping[str, object], roles: Mapping[str, str], where: str) -> str:
    """Return the role of a message, mapped by `roles`. Raises `ServeError` 400 if it is not in `roles`."""
    role = message.get("role")
    if isinstance(role, str) and role in roles:
        return roles[role]
    found = repr(role[:40]) if isinstance(role, str) else found_kind(message, "role")
    raise bad_request(f"{where}.role is {found}; it must be one of {', '.join(roles)}", f"{where}.role")


def fields_of(value: object, where: str) -> dict[str, object]:
    """Return the fields of a message. Raises `ServeError` 400 if it is no object."""
    if not isinstance(value, dict):
        raise bad_request(f"{where} is {kind(value)}; it must be an object", where)
    return value


def check_content(content: object, where: str) -> None:
    """Raise `ServeError` 400 unless `content` is text, a list of parts, or null."""
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise bad_request(
            f"{where}.content is {kind(content)}; it must be a string or a list of parts", f"{where}.content"
        )
    for index, part in enumerate(content):
        # Some servers accept plain strings as parts.
        if not isinstance(part, dict | str):
            part_name = f"{where}.content[{index}]"
            raise bad_request(f"{part_name} is {kind(part)}; it must be an object", part_name)


def found_kind(fields: Mapping[str, object], name: str) -> str:
    """Return the kind of a field's value, or "missing"."""
    return kind(fields[name]) if name in fields else "missing"


def messages_of(body: JsonBody, parse: Callable[[dict[str, object], Span, str], ChatMessage]) -> list[ChatMessage]:
    """Return the messages in the field "messages", each parsed by `parse(fields, span, where)`.

    Raises `ServeError` 400 if the field is no list, or one of the messages is no object.
    """
    items = body.fields.get("messages")
    if not isinstance(items, Items):
        raise bad_request(f"messages is {found_kind(body.fields, 'messages')}; it must be a list", "messages")
    messages = []
    for index, (value, span) in enumerate(zip(items.values, items.spans, strict=True)):
        where = f"messages[{index}]"
        messages.append(parse(fields_of(value, where), span, where))
    return messages
