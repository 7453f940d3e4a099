"""Bodies are parsed as by the json module, and notes change only the content into which they are inserted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.serve.http.errors import ServeError
from engram.serve.wire.spans import Items, read_body
from engram.serve.wire.table import CHAT, MESSAGES, RESPONSES, Wire

from .forms import OBJECTS, TEXT, VALUES, body

PART = st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}) | st.fixed_dictionaries(
    {"type": st.just("image_url"), "image_url": OBJECTS}
)
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "system", "assistant"]),
        "content": TEXT | st.none() | st.lists(PART, max_size=3),
    },
    optional={"name": TEXT, "extra": VALUES},
)
REQUEST = st.fixed_dictionaries({"messages": st.lists(MESSAGE, min_size=1, max_size=4)}, optional={"x": VALUES})
WRITTEN = st.fixed_dictionaries(
    {"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 0, 1, "\t"])},
    optional={"separators": st.sampled_from([(",", ":"), (" ,\r\n", "\t: ")])},
)


def noted(content: Any, note: str, part: str = "text") -> Any:
    """Return a content with a note inserted, computed on parsed values."""
    if not isinstance(content, list):
        return note + (content or "")
    texts = [index for index, one in enumerate(content) if one["type"] == part]
    at = texts[0] if texts else 0
    return [*content[:at], {"type": part, "text": note}, *content[at:]]


@given(request=REQUEST, written=WRITTEN, note=TEXT, data=st.data())
def test_notes_change_only_their_message(
    request: dict[str, Any], written: dict[str, Any], note: str, data: Any
) -> None:
    whole = json.dumps(request, **written).encode()
    read = CHAT.read(whole)
    index = data.draw(st.integers(0, len(request["messages"]) - 1))
    given_content = request["messages"][index]["content"]
    request["messages"][index]["content"] = noted(given_content, note)
    sent = CHAT.with_notes(read, {index: note})

    assert json.loads(sent) == request
    # Only one range of bytes changes.
    if given_content is not None:
        begin = next((i for i, (a, b) in enumerate(zip(sent, whole, strict=False)) if a != b), len(whole))
        assert sent.endswith(whole[begin:])
    assert CHAT.with_notes(read, {index: note}) == sent
    assert CHAT.with_notes(read, {}) == whole


@given(
    value=VALUES,
    written=WRITTEN,
    cut=st.integers(0, 200),
    inserted=st.sampled_from(["", "]", "}", ",", " ", '"', "1", "\\"]),
)
def test_invalid_json_is_refused(value: Any, written: dict[str, Any], cut: int, inserted: str) -> None:
    text = json.dumps({"messages": [value, {"content": value}], "x": value}, **written)
    text = text[:cut] + inserted + text[cut + 1 :]
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    if not isinstance(expected, dict):
        with pytest.raises(ServeError):
            read_body(text.encode(), "messages")
        return
    fields = read_body(text.encode(), "messages").fields
    assert {n: v.values if isinstance(v, Items) else v for n, v in fields.items()} == expected


@pytest.mark.parametrize(
    ("whole", "error_text"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b'{"messages": []} x', "the body is not JSON: Extra data"),
        (b"{'messages': []}", "the body is not JSON: Expecting property name"),
        (b'{"messages": [}', "the body is not JSON"),
        (b"[]", "the body is a list; it must be an object"),
        (b"null", "the body is null"),
        (b'{"messages": "\xff"}', "the body is not UTF-8: byte 14"),
        ('{"messages": []}'.encode("utf-16"), "the body is not UTF-8: it is UTF-16, which"),
        (b"\xef\xbb\xbf{}", "the body begins with a byte order mark, which memory"),
        (b'{"x": ' + b"[" * 100_000, "the body is nested too deeply"),
        (b'{"messages": ' + b"[" * 100_000, "the body is nested too deeply"),
        (b"[" * 100_000, "the body is nested too deeply"),
    ],
)
@pytest.mark.parametrize("wire", [CHAT, MESSAGES, RESPONSES], ids=lambda wire: wire.name)
def test_invalid_body_is_refused_with_the_reason(wire: Wire, whole: bytes, error_text: str) -> None:
    with pytest.raises(ServeError) as caught:
        wire.read(whole)
    assert caught.value.status == 400
    if b"messages" not in whole or b"[" * 1000 not in whole:
        assert error_text in caught.value.message


def test_last_value_of_a_repeated_field_counts() -> None:
    whole = b'{"messages": 1, "messages": [{"content": "no", "role": "x", "role": "user", "content": "yes"}]}'
    read = CHAT.read(whole)
    assert [one.text for one in read.messages] == ["yes"]
    assert CHAT.with_notes(read, {0: "N "}) == whole.replace(b'"yes"', b'"N yes"')


def test_unusual_json_forms_are_preserved() -> None:
    whole = (
        b'{"n":1.50e+3,"big":' + b"9" * 5000 + b',"huge":1e999,"s":"\\ud83d\\u00e9\\/","messages":'
        b'[ {"role":"user","content":"\\ud800 \\u0041"} ] }\n'
    )
    read = CHAT.read(whole)
    assert CHAT.with_notes(read, {0: 'a "é"\n'}) == whole.replace(
        b'"\\ud800', 'a \\"é\\"\\n\\ud800'.encode().join([b'"', b""])
    )
    assert read.messages[0].parts[0].text == "\ufffd A"


def test_note_is_inserted_in_front_of_the_first_text_part() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    whole = body(messages=[{"role": "user", "content": [image, "plain"]}, {"role": "user", "content": []}])
    sent = json.loads(CHAT.with_notes(CHAT.read(whole), {1: "two", 0: "one"}))
    assert sent["messages"][0]["content"] == [image, {"type": "text", "text": "one"}, "plain"]
    assert sent["messages"][1]["content"] == [{"type": "text", "text": "two"}]


def test_message_without_content_refuses_a_note() -> None:
    with pytest.raises(ValueError, match="no content"):
        CHAT.with_notes(CHAT.read(body(messages=[{"role": "assistant"}])), {0: "note"})


def test_body_of_ten_thousand_messages() -> None:
    turns = [{"role": ("user", "assistant")[i % 2], "content": f"turn {i}"} for i in range(10_000)]
    read = CHAT.read(body(messages=turns))
    assert read.messages[9_999].text == "turn 9999"
    turns[9_998]["content"] = "note turn 9998"
    assert CHAT.with_notes(read, {9_998: "note "}) == body(messages=turns)


# Additions to the system prompt.


def added(content: Any, addition: str) -> Any:
    """Return a content with an addition at its end, computed on parsed values."""
    if isinstance(content, list):
        return [*content, {"type": "text", "text": addition}]
    return f"{content}\n\n{addition}" if content else addition


@given(request=REQUEST, written=WRITTEN, addition=TEXT.filter(bool))
def test_an_addition_to_the_system_prompt_changes_nothing_else(
    request: dict[str, Any], written: dict[str, Any], addition: str
) -> None:
    whole = json.dumps(request, **written).encode()
    sent = json.loads(CHAT.with_notes(CHAT.read(whole), {}, system=addition))
    messages = request["messages"]
    count = next((index for index, one in enumerate(messages) if one["role"] != "system"), len(messages))
    if count:
        messages[count - 1]["content"] = added(messages[count - 1]["content"], addition)
    else:
        messages.insert(0, {"role": "system", "content": addition})
    assert sent == request


@given(content=st.none() | TEXT | st.lists(PART, max_size=3), written=WRITTEN)
def test_an_addition_to_a_field_with_the_system_prompt_changes_nothing_else(
    content: Any, written: dict[str, Any]
) -> None:
    request = {"max_tokens": 1, "system": content, "messages": [{"role": "user", "content": "hi"}]}
    read = MESSAGES.read(json.dumps(request, **written).encode())
    sent = json.loads(MESSAGES.with_notes(read, {}, system='a "é"\n'))
    assert sent == {**request, "system": added(content, 'a "é"\n')}
    del request["system"]
    read = MESSAGES.read(json.dumps(request, **written).encode())
    sent = json.loads(MESSAGES.with_notes(read, {0: "note "}, system="more"))
    assert sent == {**request, "system": "more", "messages": [{"role": "user", "content": "note hi"}]}


@pytest.mark.parametrize("system", [7, True, {"text": "Be brief."}])
def test_a_system_prompt_of_another_kind_stays_as_it_is(system: Any) -> None:
    whole = body(max_tokens=1, system=system, messages=[{"role": "user", "content": "hi"}])
    assert MESSAGES.with_notes(MESSAGES.read(whole), {}, system="more") == whole
