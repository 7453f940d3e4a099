"""Chat completions, in the forms that the openai package sends and accepts."""

from __future__ import annotations

import json
from typing import Any

import openai.types.chat as openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.serve.http.errors import ServeError
from engram.serve.wire.base import MessagePart
from engram.serve.wire.table import CHAT

from .forms import JSON, OBJECTS, TEXT, body, collected, stream

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Kyoto", "days": 2}'},
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def completion(*messages: dict[str, Any], **fields: Any) -> Any:
    """Return a whole reply, validated by the openai package."""
    return openai.ChatCompletion.model_validate(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {"index": i, "message": {"role": "assistant", "content": None, **m}, "finish_reason": "stop"} | fields
                for i, m in enumerate(messages)
            ],
        }
    )


def chunk(delta: dict[str, Any], index: int = 0, finish_reason: str | None = None) -> dict[str, Any]:
    """Return an event of a stream, validated by the openai package."""
    event = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}],
    }
    openai.ChatCompletionChunk.model_validate(event)
    return event


def sent_back(message: Any) -> str:
    """Return the canonical form of a reply when a client sends it back."""
    request = CHAT.read(body(messages=[{"role": "user", "content": "x"}, message.model_dump(exclude_none=True)]))
    return request.messages[1].canonical


def test_request_is_parsed() -> None:
    request = CHAT.read(
        body(
            model="m",
            user="ana",
            stream=True,
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
                {
                    "role": "user",
                    "name": "Ana",
                    "content": [{"type": "text", "text": "What"}, IMAGE, {"type": "text", "text": "now?"}],
                },
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "rain\n"},
                {"role": "assistant", "content": "Take an umbrella."},
                {"role": "user", "content": [IMAGE]},
                {"role": "function", "name": "old", "content": "42"},
            ],
        )
    )
    assert (request.model, request.user, request.stream, request.previous_response_id) == ("m", "ana", True, None)
    assert [(one.role, one.parts) for one in request.messages] == [
        ("system", ()),
        ("system", ()),
        ("user", (MessagePart("user", "What\nnow?"),)),
        ("assistant", (MessagePart("tool", 'weather({"city": "Kyoto", "days": 2})'),)),
        ("tool", (MessagePart("tool", "rain\n"),)),
        ("assistant", (MessagePart("assistant", "Take an umbrella."),)),
        ("user", ()),
        ("tool", (MessagePart("tool", "42"),)),
    ]
    assert [one.text for one in request.messages] == ["", "", "What\nnow?", "", "", "Take an umbrella.", "", ""]
    assert request.messages[2].speaker == "Ana"


def canonical(message: dict[str, Any]) -> str:
    return CHAT.read(body(messages=[message])).messages[0].canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"content": "a  b\n"}, {"content": [{"type": "text", "text": "a b"}]}),
        ({"content": "a b"}, {"content": ["a", {"type": "text", "text": "b"}]}),
        (
            {"content": [IMAGE | {"cache_control": {"type": "ephemeral"}}]},
            {"content": [dict(reversed(IMAGE.items()))]},
        ),
    ],
)
def test_equivalent_messages_have_the_same_canonical_form(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert canonical({"role": "user", **one}) == canonical({"role": "user", **other})


def test_different_messages_have_different_canonical_forms() -> None:
    other_image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}}
    contents = ["", "a", "b", [IMAGE], [other_image], ["a", IMAGE], ["a", IMAGE, IMAGE]]
    forms = [canonical({"role": "user", "content": content}) for content in contents]
    forms += [canonical({"role": "user", "content": "a", "name": name}) for name in ("Ana", "Ben")]
    forms += [canonical({"role": "tool", "content": "a"}), canonical({"role": "assistant", "tool_calls": [CALL]})]
    forms.append(canonical({"role": "assistant", "tool_calls": [{"function": {"name": "weather", "arguments": "{}"}}]}))
    assert len(set(forms)) == len(forms)


def test_canonical_form_of_a_tool_call_depends_on_name_and_arguments() -> None:
    def called(arguments: str, id: str = "call_1") -> str:
        return canonical(
            {"role": "assistant", "tool_calls": [{"id": id, "function": {"name": "f", "arguments": arguments}}]}
        )

    assert called('{"a": 1, "b": 1.0}') == called(' {"b":1,"a":1}', id="call_2")
    assert called("") == called("{}")
    assert called('{"a": ') != called("{}")
    assert canonical({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}) == called("{}")


@pytest.mark.parametrize(
    ("fields", "error_text"),
    [
        ({}, "messages is missing; it must be a list"),
        ({"messages": None}, "messages is null"),
        ({"messages": {"role": "user"}}, "messages is an object"),
        ({"messages": ["hello"]}, "messages[0] is a string; it must be an object"),
        (
            {"messages": [{"role": "user"}, {"role": "wizard"}]},
            "messages[1].role is 'wizard'; it must be one of system,",
        ),
        ({"messages": [{"content": "x"}]}, "messages[0].role is missing"),
        ({"messages": [{"role": ["user"]}]}, "messages[0].role is a list"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content is a number; it must be a string or"),
        ({"messages": [{"role": "user", "content": {"text": "x"}}]}, "messages[0].content is an object"),
        ({"messages": [{"role": "user", "content": [True]}]}, "messages[0].content[0] is a boolean"),
    ],
)
def test_invalid_request_names_the_field(fields: dict[str, Any], error_text: str) -> None:
    with pytest.raises(ServeError) as caught:
        CHAT.read(body(**fields))
    assert caught.value.status == 400
    assert caught.value.message.startswith(error_text)
    error = json.loads(CHAT.error(caught.value))["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"] == caught.value.message
    assert error["param"]
    assert error["code"] == "invalid_request"


def test_invalid_user_is_ignored_or_refused() -> None:
    assert CHAT.read(body(messages=[], user=7)).user is None
    with pytest.raises(ServeError, match="user holds a lone surrogate"):
        CHAT.read(b'{"messages": [], "user": "\\ud800"}')


def test_unknown_parts_and_fields_are_accepted() -> None:
    request = CHAT.read(
        body(
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "hologram", "x": 1}, {"type": ["odd"]}, {"type": "text", "text": 7}],
                },
                {"role": "assistant", "content": None, "tool_calls": "odd", "audio": {"id": "a"}, "name": ""},
            ],
            response_format={"type": "json_schema"},
            stream=1,
        )
    )
    assert [one.parts for one in request.messages] == [(), ()]
    assert request.messages[1].speaker is None
    assert not request.stream


def test_stream_with_several_choices_and_tool_calls() -> None:
    called = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    events = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"role": "assistant", "content": "Hel"}, index=1),
        chunk({"tool_calls": [called]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Kyo'}}]}),
        chunk({"tool_calls": [called | {"index": 1, "id": "call_2"}]}),
        chunk({"content": "lo"}, index=1),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": 'to", "days": 2}'}}]}),
        chunk({}, finish_reason="tool_calls"),
        chunk({}, index=1, finish_reason="length"),
        chunk({"content": "I ca"}, index=2),
        {"choices": [], "usage": {"total_tokens": 3}},
    ]
    replies = collected(CHAT, [stream([*events[:3], "{broken", *events[3:], "[DONE]"])])
    assert [(reply.index, reply.complete, reply.message.parts) for reply in replies] == [
        (0, True, (MessagePart("tool", 'weather({"city": "Kyoto", "days": 2})'), MessagePart("tool", "weather({})"))),
        (1, True, (MessagePart("assistant", "Hello"),)),
        (2, False, (MessagePart("assistant", "I ca"),)),
    ]
    second = CALL | {"id": "other", "function": {"name": "weather", "arguments": "{}"}}
    assert replies[0].message.canonical == sent_back(completion({"tool_calls": [CALL, second]}).choices[0].message)


def test_tool_calls_without_index_are_separate() -> None:
    calls = [{"id": f"call_{n}", "function": {"name": "f", "arguments": f'{{"n": {n}}}'}} for n in (1, 2)]
    [reply] = collected(CHAT, [stream([{"choices": [{"delta": {"tool_calls": [call]}}]} for call in calls])])
    assert [part.text for part in reply.message.parts] == ['f({"n": 1})', 'f({"n": 2})']


def test_surrogate_pair_split_between_events_is_joined() -> None:
    halves = [json.dumps({"choices": [{"delta": {"content": half}}]}) for half in ("\ud83d", "\ude00")]
    [reply] = collected(CHAT, [stream(halves)])
    assert reply.message.text == "😀"


@given(
    words=st.lists(TEXT, max_size=4),
    refused=st.lists(TEXT, max_size=2),
    calls=st.lists(st.tuples(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), OBJECTS, st.booleans()), max_size=3),
)
def test_reply_sent_back_has_the_same_canonical_form(
    words: list[str], refused: list[str], calls: list[tuple[str, dict[str, Any], bool]]
) -> None:
    arguments = [json.dumps(given, ensure_ascii=escaped) for _, given, escaped in calls]
    events = [chunk({"content": word}) for word in words] + [chunk({"refusal": word}) for word in refused]
    for index, (name, _, _) in enumerate(calls):
        half = len(arguments[index]) // 2
        parts = ({"name": name, "arguments": arguments[index][:half]}, {"arguments": arguments[index][half:]})
        events += [chunk({"tool_calls": [{"index": index, "function": part}]}) for part in parts]
    message: dict[str, Any] = {"content": "".join(words), "refusal": "".join(refused) or None}
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments[index]}}
            for index, (name, _, _) in enumerate(calls)
        ]
    whole = completion(message)
    [streamed] = collected(CHAT, [stream([*events, chunk({}, finish_reason="stop"), "[DONE]"])])
    [plain] = collected(CHAT, [whole.model_dump_json().encode()], JSON)
    assert streamed == plain
    assert streamed.message.canonical == sent_back(whole.choices[0].message)


def test_empty_reply_counts_if_it_is_complete() -> None:
    [reply] = collected(CHAT, [stream([chunk({"role": "assistant"}), chunk({}, finish_reason="stop")])])
    assert reply.complete
    assert reply.message.parts == ()
    assert collected(CHAT, [stream([chunk({"role": "assistant"})])]) == []
    assert collected(CHAT, [b'{"error": {"message": "no"}}'], JSON) == []


def test_custom_tools() -> None:
    call = {"id": "call_1", "type": "custom", "custom": {"name": "shell", "input": "ls  -l"}}
    delta = {"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "shell", "input": "ls "}}
    rest = {"index": 0, "custom": {"input": " -l"}}
    [reply] = collected(CHAT, [stream([{"choices": [{"delta": {"tool_calls": [part]}}]} for part in (delta, rest)])])
    assert reply.message.parts == (MessagePart("tool", "shell(ls  -l)"),)
    assert reply.message.canonical == sent_back(completion({"tool_calls": [call]}).choices[0].message)


@pytest.mark.parametrize(
    ("status", "error_type"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"), (502, "server_error")],
)
def test_errors_have_the_types_of_openai(status: int, error_type: str) -> None:
    error = json.loads(CHAT.error(ServeError(status, "it \ud800 broke", "code")))["error"]
    assert error == {"message": "it \ud800 broke", "type": error_type, "param": None, "code": "code"}
