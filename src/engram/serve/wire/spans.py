"""JSON with positions: parses a body, returns the span of each message, and inserts text without changing other bytes.

The json module parses values; this module walks only the brackets around messages. Of an API's format it knows that an
object holds a list of messages, that a message has a content, and which content parts are text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engram.serve.http.errors import INVALID_BODY, bad_request

Span = tuple[int, int]
Scan = Callable[[str, int], tuple[object, int]]

LONGEST_INT = 4000
"""Digits. Python refuses to parse longer integers; they become floats."""

TEXT_FIELDS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
"""The types of content parts that are text, and the field that holds the text."""


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < LONGEST_INT else float(digits)


def _number(digits: str) -> int | float:
    # JavaScript sends 1.0 back as 1: both become the same number.
    number = float(digits)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_number)
_scan: Scan = _DECODER.raw_decode

# Separators between values, with the white space around them.
_SPACE = r"[ \t\n\r]*"
_space = re.compile(_SPACE).match
_colon = re.compile(f"{_SPACE}:{_SPACE}").match
_next = re.compile(rf"{_SPACE}([,\]}}]){_SPACE}").match
_ends = re.compile(rf"{_SPACE}\Z").match


def loads(text: str) -> object:
    """Return the value of a JSON text. Raises `ValueError`, or `RecursionError` if it is nested too deeply."""
    value: object = _DECODER.decode(text)
    return value


def kind(value: object) -> str:
    """Return the kind of a value in JSON's terms, with its article."""
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "a boolean"),
        (str, "a string"),
        ((int, float), "a number"),
        (dict, "an object"),
        ((list, Items), "a list"),
    )
    return next((name for of, name in names if isinstance(value, of)), "null")


def text_of(part: object) -> str | None:
    """Return the text of a content part; None if the part is no text."""
    if isinstance(part, dict):
        part_type = part.get("type")
        part = part.get(TEXT_FIELDS.get(part_type, "")) if isinstance(part_type, str) else None
    return part if isinstance(part, str) else None


# Parsing.


@dataclass(frozen=True, slots=True)
class Items:
    """The elements of a list."""

    values: list[object]
    spans: list[Span]
    """Start and end of each in the text."""


@dataclass(frozen=True, slots=True)
class JsonBody:
    """The body of a request."""

    text: str
    fields: dict[str, object]
    """Its values by name; the value of the messages field is `Items` if it is a list."""
    span: Span | None
    """Start and end of the value of the messages field."""


def read_body(body: bytes, messages_field: str) -> JsonBody:
    """Return the object in a body, with the positions of the elements of the list in `messages_field`.

    If a name occurs twice, the last value counts. Raises `ServeError` 400 if the body is no JSON object in UTF-8; its
    code is `INVALID_BODY` unless the bytes are in another encoding of Unicode, which upstream may read.
    """
    if (encoding := json.detect_encoding(body)) != "utf-8":
        found = (
            "begins with a byte order mark" if encoding == "utf-8-sig" else f"is not UTF-8: it is {encoding.upper()}"
        )
        raise bad_request(f"the body {found}, which memory does not read")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise bad_request(f"the body is not UTF-8: byte {error.start} is invalid", code=INVALID_BODY) from None
    try:
        begin = _past_space(text, 0)
        if text[begin : begin + 1] != "{":
            raise bad_request(f"the body is {kind(loads(text))}; it must be an object", code=INVALID_BODY)
        fields, span, end = _object(text, begin, messages_field, _items)
        if not _ends(text, end):
            raise json.JSONDecodeError("Extra data", text, end)
    except json.JSONDecodeError as error:
        raise bad_request(f"the body is not JSON: {error}", code=INVALID_BODY) from None
    except RecursionError:
        raise bad_request("the body is nested too deeply") from None
    return JsonBody(text, fields, span)


def _past_space(text: str, at: int) -> int:
    space = _space(text, at)
    return space.end() if space else at


def _object(text: str, at: int, name: str, scan: Scan) -> tuple[dict[str, object], Span | None, int]:
    """Return the object at `at`, the span of its value of `name`, and its end. `scan` reads that value."""
    fields: dict[str, object] = {}
    span = None
    at = _past_space(text, at + 1)
    if text[at : at + 1] == "}":
        return fields, None, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        key, at = _scan(text, at)
        colon = _colon(text, at)
        if colon is None:
            raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
        begin = colon.end()
        if key == name:
            value, at = scan(text, begin)
            span = begin, at
        else:
            value, at = _scan(text, begin)
        fields[str(key)] = value
        follows = _next(text, at)
        if follows is None or follows[1] == "]":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        if follows[1] == "}":
            return fields, span, follows.end(1)
        at = follows.end()


def _items(text: str, at: int) -> tuple[object, int]:
    """Return the value at `at`, as `Items` if it is a list, and its end."""
    return _list(text, at) if text[at : at + 1] == "[" else _scan(text, at)


def _list(text: str, at: int) -> tuple[Items, int]:
    """Return the list at `at`, and its end."""
    values: list[object] = []
    spans: list[Span] = []
    at = _past_space(text, at + 1)
    if text[at : at + 1] == "]":
        return Items(values, spans), at + 1
    while True:
        value, end = _scan(text, at)
        values.append(value)
        spans.append((at, end))
        follows = _next(text, end)
        if follows is None or follows[1] == "}":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, end)
        if follows[1] == "]":
            return Items(values, spans), follows.end(1)
        at = follows.end()


# Inserting.


Edit = tuple[int, int, str]
"""Start and end of what is replaced in a text, in characters, and what stands there instead."""


def edited(text: str, edits: Iterable[Edit]) -> bytes:
    """Return `text` in UTF-8 with edits, which must not overlap."""
    done: list[str] = []
    copied = 0
    for start, end, inserted in sorted(edits):
        done += text[copied:start], inserted
        copied = end
    done.append(text[copied:])
    return "".join(done).encode()


def note_edit(text: str, span: Span, note: str, part_type: str, skip: Callable[[str], bool] | None = None) -> Edit:
    """Return the edit that puts a note in front of the text of the message at `span`.

    A message is an object with a content, or a string. Into a list of parts a note goes as a part of the type
    `part_type`, in front of the first text part that `skip` does not skip. Raises `ValueError` for a message without
    content.
    """
    begin, end = _content(text, span)
    quoted = json.dumps(note, ensure_ascii=False)
    if text[begin] == '"':
        return begin + 1, begin + 1, quoted[1:-1]
    if text[begin] == "[":
        position, has_parts = _first_text(text, begin, skip)
        return position, position, f'{{"type":"{part_type}","text":{quoted}}}{"," if has_parts else ""}'
    return begin, end, quoted


def field_edit(text: str, field: str, addition: str, part_type: str) -> Edit | None:
    """Return the edit that puts an addition at the end of a field of the object in `text`, a string or a list of parts.

    A field that is missing or null becomes the addition. None if it is of another kind.
    """
    begin = _past_space(text, 0)
    _, span, _ = _object(text, begin, field, _scan)
    if span is None:
        return begin + 1, begin + 1, f"{json.dumps(field)}:{json.dumps(addition, ensure_ascii=False)},"
    return _end_edit(text, span, addition, part_type)


def list_edit(text: str, field: str, items: str) -> Edit | None:
    """Return the edit that puts items, as JSON without brackets, at the front of a list in the object in `text`.

    A field that is missing or null becomes the list. None if it is of another kind.
    """
    span = field_span(text, field)
    if span is None:
        return value_edit(text, field, f"[{items}]")
    begin, end = span
    if text.startswith("null", begin):
        return begin, end, f"[{items}]"
    if text[begin] != "[":
        return None
    return begin + 1, begin + 1, items + (", " if _list(text, begin)[0].spans else "")


def value_edit(text: str, field: str, value: str) -> Edit:
    """Return the edit that gives a field of the object in `text` a value, as JSON."""
    span = field_span(text, field)
    if span is not None:
        return *span, value
    begin = _past_space(text, 0) + 1
    gap = "" if text[_past_space(text, begin)] == "}" else ", "
    return begin, begin, f"{json.dumps(field)}: {value}{gap}"


def field_span(text: str, field: str) -> Span | None:
    """Return the span of a field's value in the object in `text`; None if the field is missing."""
    return _object(text, _past_space(text, 0), field, _scan)[1]


def message_edit(text: str, span: Span, addition: str, part_type: str) -> Edit | None:
    """Return the edit that puts an addition at the end of the content of the message at `span`, as `field_edit` does.

    None if the message has no content, or one of another kind.
    """
    _, content, _ = _object(text, span[0], "content", _scan)
    return None if content is None else _end_edit(text, content, addition, part_type)


def _end_edit(text: str, span: Span, addition: str, part_type: str) -> Edit | None:
    """Return the edit that puts an addition at the end of the content at `span`."""
    begin, end = span
    quoted = json.dumps(addition, ensure_ascii=False)
    if text[begin] == '"':
        gap = "" if end - begin == len('""') else "\\n\\n"
        return end - 1, end - 1, gap + quoted[1:-1]
    if text[begin] == "[":
        parts, _ = _list(text, begin)
        # Directly behind the last part, so that all bytes before it stay what they were.
        position = parts.spans[-1][1] if parts.spans else begin + 1
        return position, position, f'{"," if parts.spans else ""}{{"type":"{part_type}","text":{quoted}}}'
    return (begin, end, quoted) if text.startswith("null", begin) else None


def _content(text: str, message: Span) -> Span:
    """Return the span of the content of a message."""
    if text[message[0]] == '"':
        return message
    _, span, _ = _object(text, message[0], "content", _scan)
    if span is None:
        raise ValueError("the message has no content that can hold a note")
    return span


def _first_text(text: str, at: int, skip: Callable[[str], bool] | None) -> tuple[int, bool]:
    """Return where the first text part that is not skipped begins in the list at `at`, and whether the list has parts.

    Without such a part, return where the first part begins; in an empty list, where it ends.
    """
    parts, end = _list(text, at)
    if not parts.values:
        return end - 1, False
    texts = ((index, text_of(part)) for index, part in enumerate(parts.values))
    first = next((index for index, words in texts if words is not None and not (skip and skip(words))), 0)
    return parts.spans[first][0], True
