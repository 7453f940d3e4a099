"""JSON whose text is kept: where in a body a message stands, and text put in there with all else left as it is.

Values are parsed by the json module; only the braces around messages are walked here. Knows of an API's form only that
a list of messages stands in an object, and that a message has a content.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engram.serve.http.errors import bad_request

Span = tuple[int, int]
Scan = Callable[[str, int], tuple[object, int]]

LONGEST_INT = 4000
"""Digits up to which Python makes an int of a number."""

TEXT_FIELDS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
"""The parts of a content that are text, and the field that holds it."""


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < LONGEST_INT else float(digits)


def _number(digits: str) -> int | float:
    # JavaScript sends 1.0 back as 1: they are one number here.
    number = float(digits)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_number)
_scan: Scan = _DECODER.raw_decode

# What stands between values, with the white space around it.
_SPACE = r"[ \t\n\r]*"
_space = re.compile(_SPACE).match
_colon = re.compile(f"{_SPACE}:{_SPACE}").match
_next = re.compile(rf"{_SPACE}([,\]}}]){_SPACE}").match
_ends = re.compile(rf"{_SPACE}\Z").match


def loads(text: str) -> object:
    """The value of a JSON text. Raises `ValueError`, or `RecursionError` where it is nested too deeply."""
    value: object = _DECODER.decode(text)
    return value


def kind(value: object) -> str:
    """What a value is, as JSON calls it."""
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "a boolean"),
        (str, "a string"),
        ((int, float), "a number"),
        (dict, "an object"),
        ((list, Items), "a list"),
    )
    return next((name for of, name in names if isinstance(value, of)), "null")


def text_of(part: object) -> str | None:
    """The text of a part of a content, None if it is of another kind."""
    if isinstance(part, dict):
        part_type = part.get("type")
        part = part.get(TEXT_FIELDS.get(part_type, "")) if isinstance(part_type, str) else None
    return part if isinstance(part, str) else None


_ASIDE = re.compile(r"\s*<system-reminder>.*</system-reminder>\s*", re.DOTALL)


def is_aside(text: str) -> bool:
    """Whether a part of a user's message is not the user's: Claude Code puts what it reminds the model of in such."""
    return _ASIDE.fullmatch(text) is not None


# Reading.


@dataclass(frozen=True, slots=True)
class Items:
    """The elements of a list."""

    values: list[object]
    spans: list[Span]
    """Where each stands."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body."""

    text: str
    fields: dict[str, object]
    """Its values by their names; that of the messages is `Items` if it is a list."""
    span: Span | None
    """Where the value of its messages stands."""


def read_body(body: bytes, messages: str) -> Body:
    """The object in a body, and where each element stands of the list under the name `messages`.

    Where a name comes twice the last one counts. Raises `ServeError` (400).
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise bad_request(f"the body is not UTF-8: byte {error.start} cannot stand there") from None
    try:
        begin = _past_space(text, 0)
        if text[begin : begin + 1] != "{":
            raise bad_request(f"the body is {kind(loads(text))}; it must be an object")
        fields, span, end = _object(text, begin, messages, _items)
        if not _ends(text, end):
            raise json.JSONDecodeError("Extra data", text, end)
    except json.JSONDecodeError as error:
        raise bad_request(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise bad_request("the body is nested too deeply") from None
    return Body(text, fields, span)


def _past_space(text: str, at: int) -> int:
    space = _space(text, at)
    return space.end() if space else at


def _object(text: str, at: int, name: str, scan: Scan) -> tuple[dict[str, object], Span | None, int]:
    """The object at `at`, where the value of `name` stands in it, and where it ends; that value is read by `scan`."""
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
    """The value at `at`, as `Items` if it is a list, and where it ends."""
    return _list(text, at) if text[at : at + 1] == "[" else _scan(text, at)


def _list(text: str, at: int) -> tuple[Items, int]:
    """The list at `at`, and where it ends."""
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


# Putting in.


def spliced(text: str, notes: Iterable[tuple[Span, str]], part_type: str) -> bytes:
    """`text` with each note in front of the words of the message at its span; all else as it is, in UTF-8.

    A message is an object with a content, or a string. `part_type` is the type of the part that is put into a list of
    parts. Raises `ValueError` for a message without content.
    """
    done: list[str] = []
    at = 0
    for span, note in sorted(notes):
        begin, end = _content(text, span)
        quoted = json.dumps(note, ensure_ascii=False)
        if text[begin] == '"':
            place, inserted, rest = begin + 1, quoted[1:-1], begin + 1
        elif text[begin] == "[":
            place, follows = _first_text(text, begin)
            inserted, rest = f'{{"type":"{part_type}","text":{quoted}}}{"," if follows else ""}', place
        else:
            place, inserted, rest = begin, quoted, end
        done += text[at:place], inserted
        at = rest
    done.append(text[at:])
    return "".join(done).encode()


def _content(text: str, message: Span) -> Span:
    if text[message[0]] == '"':
        return message
    _, span, _ = _object(text, message[0], "content", _scan)
    if span is None:
        raise ValueError("the message has no content that notes could go into")
    return span


def _first_text(text: str, at: int) -> tuple[int, bool]:
    """Where the first part in somebody's words begins in the list at `at`, else the first; and whether there is one."""
    parts, end = _list(text, at)
    if not parts.values:
        return end - 1, False
    texts = ((place, text_of(part)) for place, part in enumerate(parts.values))
    first = next((place for place, text in texts if text is not None and not is_aside(text)), 0)
    return parts.spans[first][0], True
