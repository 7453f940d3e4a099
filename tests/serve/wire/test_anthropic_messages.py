"""Anthropic's messages, in the forms that its Python package sends and accepts."""

from __future__ import annotations

import json
from typing import Any

import anthropic.types as anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from engram.serve.frontends.reading import is_front_ends
from engram.serve.frontends.request import read_request
from engram.serve.frontends.strip import Strip
from engram.serve.http.errors import ServeError
from engram.serve.wire.base import ChatMessage, MessagePart
from engram.serve.wire.table import MESSAGES

from .forms import JSON, OBJECTS, TEXT, body, collected, stream

EVENT = TypeAdapter(anthropic.RawMessageStreamEvent)
USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Kyoto"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "rain"}]}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
HEAD = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
USAGE = {"input_tokens": 1, "output_tokens": 1}


def message(content: list[dict[str, Any]]) -> Any:
    """Return a whole reply, validated by the anthropic package."""
    return anthropic.Message.model_validate(HEAD | {"content": content, "stop_reason": "end_turn", "usage": USAGE})


def events(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events of a stream with the same content, validated by the anthropic package."""
    stream: list[dict[str, Any]] = [
        {"type": "message_start", "message": HEAD | {"content": [], "stop_reason": None, "usage": USAGE}},
        {"type": "ping"},
    ]
    for index, block in enumerate(content):
        if block["type"] == "text":
            start, value, delta = block | {"text": ""}, block["text"], ("text_delta", "text")
        elif block["type"] == "thinking":
            start, value, delta = (
                block | {"thinking": "", "signature": ""},
                block["thinking"],
                ("thinking_delta", "thinking"),
            )
        else:
            start, value, delta = (
                block | {"input": {}},
                json.dumps(block["input"]),
                ("input_json_delta", "partial_json"),
            )
        stream.append({"type": "content_block_start", "index": index, "content_block": start})
        stream += [
            {"type": "content_block_delta", "index": index, "delta": {"type": delta[0], delta[1]: part}}
            for part in ("", value[:3], value[3:])
        ]
        stream.append({"type": "content_block_stop", "index": index})
    stream.append(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE}
    )
    stream.append({"type": "message_stop"})
    for event in stream:
        if event["type"] != "ping":
            EVENT.validate_python(event)
    return stream


def test_request_is_parsed() -> None:
    request = MESSAGES.read(
        body(
            model="m",
            max_tokens=9,
            stream=True,
            system="Be brief.",
            metadata={"user_id": "ana"},
            messages=[
                {"role": "user", "content": "Will it rain?"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "s"},
                        {"type": "text", "text": "I look."},
                        USE,
                    ],
                },
                {"role": "user", "content": [RESULT]},
                {"role": "assistant", "content": "It will."},
                {
                    "role": "user",
                    "content": [
                        RESULT,
                        IMAGE,
                        {"type": "text", "text": "And now?", "cache_control": {"type": "ephemeral"}},
                    ],
                },
                {"role": "system", "content": "Be kind."},
            ],
        )
    )
    assert (request.model, request.user, request.stream, request.previous_response_id) == ("m", "ana", True, None)
    assert [(one.role, one.parts, one.text) for one in request.messages] == [
        ("user", (MessagePart("user", "Will it rain?"),), "Will it rain?"),
        (
            "assistant",
            (MessagePart("assistant", "I look."), MessagePart("tool", 'weather({"city": "Kyoto"})')),
            "I look.",
        ),
        ("tool", (MessagePart("tool", "rain"),), ""),
        ("assistant", (MessagePart("assistant", "It will."),), "It will."),
        ("user", (MessagePart("tool", "rain"), MessagePart("user", "And now?")), "And now?"),
        ("system", (), ""),
    ]


def test_notes_are_inserted_after_tool_results() -> None:
    content = [RESULT, {"type": "text", "text": "And now?"}]
    request = MESSAGES.read(body(messages=[{"role": "user", "content": content}]))
    sent = json.loads(MESSAGES.with_notes(request, {0: "notes\n"}))
    assert sent["messages"][0]["content"] == [RESULT, {"type": "text", "text": "notes\n"}, content[1]]


def test_system_reminders_are_not_the_users_words() -> None:
    reminder = {"type": "text", "text": "<system-reminder>\nUse tabs.\n</system-reminder>\n"}
    other = {"type": "text", "text": "<system-reminder>Today is Monday.</system-reminder>"}
    words = {"type": "text", "text": "My ocelot is called Wigglesworth."}

    def read(*content: dict[str, Any]) -> ChatMessage:
        request = read_request(MESSAGES, body(messages=[{"role": "user", "content": list(content)}]), Strip())
        return request.messages[0]

    plain = read(words)
    assert [part.text for part in plain.parts] == [words["text"]]
    for one in (read(reminder, words), read(words, other), read(reminder, other, words)):
        # Reminders do not change how the message is recognised.
        assert (one.parts, one.text, one.canonical) == (plain.parts, plain.text, plain.canonical)
    assert read(RESULT, reminder).role == "tool"
    assert (read(reminder).text, read(reminder).parts) == ("", ())
    # A text that quotes a reminder is the user's.
    quoted = {"type": "text", "text": "What is <system-reminder>x</system-reminder> for?"}
    assert read(quoted).text == quoted["text"]
    request = MESSAGES.read(body(messages=[{"role": "user", "content": [reminder, words]}]))
    sent = json.loads(MESSAGES.with_notes(request, {0: "notes\n"}, is_front_ends))
    assert sent["messages"][0]["content"] == [reminder, {"type": "text", "text": "notes\n"}, words]


def test_cache_control_does_not_change_the_canonical_form() -> None:
    def keys(mark: dict[str, Any]) -> list[str]:
        contents = [[IMAGE | mark], [RESULT | mark], [{"type": "text", "text": "hi"} | mark]]
        return [
            one.canonical
            for one in MESSAGES.read(body(messages=[{"role": "user", "content": c} for c in contents])).messages
        ]

    assert keys({}) == keys({"cache_control": {"type": "ephemeral"}})
    assert len(set(keys({}))) == 3


@pytest.mark.parametrize(
    ("fields", "error_text"),
    [
        ({}, "messages is missing"),
        ({"messages": "hi"}, "messages is a string"),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "messages[0].role is 'tool'; it must be one of user, assistant",
        ),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content is a number"),
        ({"messages": [], "metadata": {"user_id": "\\"}}, ""),
    ],
)
def test_invalid_request_names_the_field(fields: dict[str, Any], error_text: str) -> None:
    if not error_text:
        assert MESSAGES.read(body(**fields)).user == "\\"
        return
    with pytest.raises(ServeError) as caught:
        MESSAGES.read(body(**fields))
    assert caught.value.message.startswith(error_text)
    error = json.loads(MESSAGES.error(caught.value))
    assert error == {"type": "error", "error": {"type": "invalid_request_error", "message": caught.value.message}}


@pytest.mark.parametrize(
    ("status", "error_type"),
    [(401, "authentication_error"), (404, "not_found_error"), (413, "request_too_large"), (502, "api_error")],
)
def test_errors_have_the_types_of_anthropic(status: int, error_type: str) -> None:
    assert json.loads(MESSAGES.error(ServeError(status, "no", "code")))["error"]["type"] == error_type


BLOCK = (
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})
    | st.fixed_dictionaries({"type": st.just("thinking"), "thinking": TEXT, "signature": st.just("s")})
    | st.fixed_dictionaries(
        {
            "type": st.just("tool_use"),
            "id": st.just("toolu_1"),
            "name": st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
            "input": OBJECTS,
        }
    )
)


@given(content=st.lists(BLOCK, max_size=4), named=st.booleans())
def test_reply_sent_back_has_the_same_canonical_form(content: list[dict[str, Any]], named: bool) -> None:
    whole = message(content)
    [streamed] = collected(MESSAGES, [stream(events(content), named=named)])
    [plain] = collected(MESSAGES, [whole.model_dump_json().encode()], JSON)
    assert streamed == plain
    assert streamed.complete
    sent_back = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in whole.content]}
    assert MESSAGES.read(body(messages=[sent_back])).messages[0].canonical == streamed.message.canonical


def test_successive_text_blocks_are_joined() -> None:
    blocks = [{"type": "text", "text": text} for text in ("It was ", "founded in 1869", ".")]
    [reply] = collected(MESSAGES, [stream(events(blocks))])
    assert reply.message.text == "It was founded in 1869."


def test_incomplete_stream_gives_an_incomplete_reply() -> None:
    whole = events([{"type": "text", "text": "I look."}, USE])
    replies = collected(MESSAGES, [stream(whole[:-4], named=True)])
    assert [(reply.complete, reply.message.text) for reply in replies] == [(False, "I look.")]
    [reply] = collected(MESSAGES, [stream(whole[:9], named=True)])
    assert [part.text for part in reply.message.parts] == ["I look.", "weather({})"]
    [reply] = collected(MESSAGES, [stream(whole[:10], named=True)])
    assert [part.text for part in reply.message.parts] == ["I look.", 'weather({"c)']


def test_error_gives_no_reply() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert collected(MESSAGES, [stream([*events([])[:2], error], named=True)]) == []
    assert collected(MESSAGES, [json.dumps(error).encode()], JSON) == []


def test_tool_call_without_input() -> None:
    began = {"type": "content_block_start", "index": 0, "content_block": USE | {"input": {}}}
    [reply] = collected(MESSAGES, [stream([began, {"type": "message_stop"}])])
    assert reply.message.parts == (MessagePart("tool", "weather({})"),)


@pytest.mark.parametrize(
    ("user_id", "user"),
    [
        ("ana", "ana"),
        ("user_1f_account_2b_session_0198c0de-0000-7000-8000-000000000000", "user_1f_account_2b"),
        ('{"device_id": "d1", "account_uuid": "a1", "session_id": "s1"}', "a1"),
        ('{"device_id": "d1", "account_uuid": "", "session_id": "s1"}', "d1"),
        ('{"session_id": "s1"}', '{"session_id": "s1"}'),
        ("{ana", "{ana"),
    ],
)
def test_session_of_claude_code_is_removed_from_the_user(user_id: str, user: str) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "metadata": {"user_id": user_id}})
    assert MESSAGES.read(body.encode()).user == user
