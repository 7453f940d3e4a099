"""Streams of several rounds, in forms that the scripted model does not send."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engram.serve.http.errors import ServeError
from engram.serve.tool_calls.base import RoundReply, added
from engram.serve.tool_calls.chat import ChatReply, accumulate
from engram.serve.tool_calls.messages import MessagesReply
from engram.serve.tool_calls.request import ToolRequest
from engram.serve.tool_calls.responses import ResponsesReply
from engram.serve.wire.table import CHAT, MESSAGES, RESPONSES, Wire
from engram.text.sse import Event, read_events

Json = dict[str, Any]


def ours(name: str) -> bool:
    return name.startswith("engram_")


def fed(reply: RoundReply, events: Iterable[Json | str]) -> list[Json | str]:
    """Begin a round, and return the events that the client gets of it now."""
    reply.begin()
    parts = []
    for event in events:
        kind = event.get("type") if isinstance(event, dict) else ""
        data = event if isinstance(event, str) else json.dumps(event)
        parts += reply.event(Event(kind if isinstance(kind, str) else "", data.encode()))
    return values(parts)


def values(parts: Iterable[bytes]) -> list[Any]:
    return [event.data.decode() if event.data == b"[DONE]" else json.loads(event.data) for event in read_events(parts)]


def chunk(delta: Json, reason: str | None = None, **more: Any) -> Json:
    return {"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


def call(name: str, arguments: str = "{}", **more: Any) -> Json:
    return {"id": f"id-{name}", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def test_calls_without_indexes_in_the_chunk_that_ends_the_round() -> None:
    reply = ChatReply(ours)
    calls = [call("engram_a", '{"x": 1}'), call("weather")]
    now = fed(reply, [chunk({"role": "assistant", "content": "Hm.", "tool_calls": calls}, "tool_calls"), "[DONE]"])
    assert [(one.name, one.arguments) for one in reply.calls] == [("engram_a", '{"x": 1}')]
    assert reply.for_client
    [first] = now
    assert isinstance(first, dict)
    shown = first["choices"][0]["delta"]
    assert shown["content"] == "Hm."
    assert [(one["index"], one["function"]["name"]) for one in shown["tool_calls"]] == [(0, "weather")]
    *_, end, done = values(reply.release(cut=False))
    assert end["choices"][0]["finish_reason"] == "tool_calls"
    assert done == "[DONE]"


def test_a_name_that_comes_late_or_in_pieces_of_a_call() -> None:
    reply = ChatReply(ours)
    now = fed(
        reply,
        [
            chunk({"role": "assistant", "content": None}),
            chunk({"tool_calls": [{"index": 3, "id": "x", "function": {"arguments": ""}}]}),
            chunk({"tool_calls": [{"index": 3, "function": {"name": "weather", "arguments": "{"}}]}),
            chunk({"tool_calls": [{"index": 3, "function": {"arguments": "}"}}]}),
            chunk({}, "tool_calls"),
        ],
    )
    whole: Json = {}
    for one in now[1:-1]:
        assert isinstance(one, dict)
        [part] = one["choices"][0]["delta"]["tool_calls"]
        assert part.pop("index") == 0
        accumulate(whole, part)
    assert whole == {"id": "x", "function": {"name": "weather", "arguments": "{}"}}
    assert reply.calls == []


def test_text_after_a_call_of_a_hidden_round_reaches_the_client_once() -> None:
    reply = ChatReply(ours)
    now = fed(
        reply,
        [chunk({"role": "assistant", "tool_calls": [call("engram_a", index=0)]}), chunk({"content": "A"}, "stop")],
    )
    assert [one["choices"][0]["delta"].get("content") for one in now if isinstance(one, dict)] == [None, "A"]
    assert reply.runnable
    [message, result] = reply.following(['{"ok": 1}'], {})
    assert message == {"role": "assistant", "content": "A", "tool_calls": [call("engram_a")]}
    assert result == {"role": "tool", "tool_call_id": "id-engram_a", "content": '{"ok": 1}'}
    then = fed(
        reply, [chunk({"role": "assistant", "content": ""}), chunk({"content": "B"}), chunk({}, "stop"), "[DONE]"]
    )
    assert [one if isinstance(one, str) else one["choices"][0]["delta"] for one in then] == [
        {"content": "\n\nB"},
        {},
        "[DONE]",
    ]


def test_what_a_provider_adds_to_a_message_goes_into_the_next_round() -> None:
    reply = ChatReply(ours)
    details = [{"index": 0, "type": "r", "text": "th"}, {"index": 0, "text": "ink"}]
    fed(
        reply,
        [
            *(
                chunk({"reasoning_content": text, "reasoning_details": [one]})
                for text, one in zip("ab", details, strict=True)
            ),
            chunk({"tool_calls": [call("engram_a", index=0, extra_content={"sig": "s"})]}),
            chunk({}, "tool_calls"),
        ],
    )
    message, _ = reply.following(["{}"], {})
    assert message["reasoning_content"] == "ab"
    assert message["reasoning_details"] == [{"index": 0, "type": "r", "text": "think"}]
    assert message["tool_calls"] == [call("engram_a", extra_content={"sig": "s"})]


def test_a_chunk_that_is_no_object_and_an_error_pass_as_they_came() -> None:
    reply = ChatReply(ours)
    assert fed(reply, [{"error": {"message": "no"}}]) == [{"error": {"message": "no"}}]
    assert reply.failed
    assert b"not json" in b"".join(reply.event(Event("", b"not json")))


def test_thinking_and_its_signature_go_into_the_next_round() -> None:
    reply = MessagesReply(ours)
    now = fed(
        reply,
        [
            {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "thinking", "thinking": "", "signature": ""},
            },
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
            {"type": "content_block_stop", "index": 0},
            {
                "type": "content_block_start",
                "index": 1,
                "content_block": {"type": "tool_use", "id": "t1", "name": "engram_a", "input": {}},
            },
            {
                "type": "content_block_delta",
                "index": 1,
                "delta": {"type": "input_json_delta", "partial_json": '{"x": 1'},
            },
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "}"}},
            {"type": "content_block_stop", "index": 1},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
            {"type": "message_stop"},
        ],
    )
    assert [one["type"] for one in now if isinstance(one, dict)][-1] == "content_block_stop"
    said, results = reply.following(["{}"], {})
    assert said["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "tool_use", "id": "t1", "name": "engram_a", "input": {"x": 1}},
    ]
    assert results["content"] == [{"type": "tool_result", "tool_use_id": "t1", "content": "{}"}]
    then = fed(
        reply,
        [
            {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
            {"type": "message_stop"},
        ],
    )
    assert [one["type"] for one in then if isinstance(one, dict)] == [
        "content_block_start",
        "message_delta",
        "message_stop",
    ]
    assert isinstance(then[0], dict)
    assert isinstance(then[1], dict)
    assert then[0]["index"] == 1
    assert then[1]["usage"] == {"input_tokens": 12, "output_tokens": 12}


def test_a_call_whose_input_is_no_json_is_sent_back_as_an_empty_one() -> None:
    reply = MessagesReply(ours)
    block = {"type": "tool_use", "id": "t1", "name": "engram_a", "input": {}}
    fed(
        reply,
        [
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{oops"}},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        ],
    )
    assert reply.calls[0].arguments == "{oops"
    assert reply.following(["{}"], {})[0]["content"] == [block]


def test_of_a_response_that_upstream_does_not_store_no_item_has_an_id() -> None:
    reply = ResponsesReply(ours)
    items = [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "e"},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "engram_a", "arguments": "{}"},
    ]
    reply.begin()
    reply.take({"id": "resp_1", "status": "completed", "output": items})
    assert reply.following(["r"], {"store": False}) == [
        {"type": "reasoning", "summary": [], "encrypted_content": "e"},
        {"type": "function_call", "call_id": "c1", "name": "engram_a", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "r"},
    ]
    assert reply.following(["r"], {})[:3] == items


def test_the_answer_of_a_hosted_tool_is_no_call_for_the_client() -> None:
    reply = ResponsesReply(ours)
    reply.begin()
    call = {"type": "function_call", "call_id": "c1", "name": "engram_a", "arguments": "{}"}
    reply.take({"output": [{"type": "web_search_call", "id": "ws_1"}, call]})
    assert not reply.for_client
    assert reply.runnable


def test_counts_are_added_and_the_rest_is_that_of_the_last_round() -> None:
    first = {"a": 1, "b": {"c": 2.5}, "tier": "x", "none": None, "flag": True}
    assert added(first, {"a": 2, "b": {"c": 1, "d": 4}, "tier": "y", "none": 3, "flag": True}) == {
        "a": 3, "b": {"c": 3.5, "d": 4}, "tier": "y", "none": 3, "flag": True
    }  # fmt: skip


HELLO = {"role": "user", "content": 'Hi "you"]'}
RESULT = {"role": "tool"}


@pytest.mark.parametrize(
    ("wire", "body", "expected"),
    [
        (CHAT, '{"messages": []}', [RESULT]),
        (CHAT, f'{{"messages": [{json.dumps(HELLO)} ]}}', [HELLO, RESULT]),
        (MESSAGES, f'{{"messages":[{json.dumps(HELLO)}],"x":[1]}}', [HELLO, RESULT]),
        (RESPONSES, json.dumps({"input": HELLO["content"]}), [HELLO, RESULT]),
        (RESPONSES, '{"input": null, "previous_response_id": "r"}', [RESULT]),
        (RESPONSES, '{"previous_response_id": "r"}', [RESULT]),
        (RESPONSES, f'{{"input": [{json.dumps(HELLO)}]}}', [HELLO, RESULT]),
    ],
)
def test_messages_are_added_behind_those_of_the_request(wire: Wire, body: str, expected: list[Json]) -> None:
    request = ToolRequest.of(wire, body.encode(), writes=True)
    first = json.loads(request.body(last=False))
    request.follow([RESULT])
    for last in (False, True):
        after = json.loads(request.body(last=last))
        assert after.pop(wire.messages_field) == expected
        choice = after.pop("tool_choice", None)
        assert choice == (None if not last else {"type": "none"} if wire is MESSAGES else "none")
        assert after == {name: value for name, value in first.items() if name != wire.messages_field}


@pytest.mark.parametrize("body", ["{}", '{ "messages" : [ ] , "tools" : [ {"name": "b"} ] }'])
def test_functions_come_in_front_of_the_clients(body: str) -> None:
    request = ToolRequest.of(MESSAGES, body.encode() if body != "{}" else b'{"messages": []}', writes=False)
    names = [tool["name"] for tool in json.loads(request.body(last=False))["tools"]]
    assert names[:3] == ["engram_core_read", "engram_conversation_search", "engram_archive_search"]
    assert names[3:] == sorted(request.client_tools)


NAMES = st.sampled_from(
    "type index delta content_block choices finish_reason tool_calls function name arguments id usage content role text"
    " item output response output_index call_id message stop_reason input error sequence_number tools status".split()
)
WORDS = st.sampled_from(
    "engram_a weather tool_use text function_call tool_calls stop content_block_start content_block_delta message_start"
    " message_delta input_json_delta response.output_item.added response.output_item.done response.completed".split()
)
LEAVES = st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=3) | WORDS
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=14
)


@settings(max_examples=60, deadline=None)
@given(rounds=st.lists(st.lists(st.dictionaries(NAMES, ANYTHING, max_size=5), max_size=4), min_size=1, max_size=3))
def test_no_response_of_upstream_raises(rounds: list[list[Json]]) -> None:
    for kind in (ChatReply, MessagesReply, ResponsesReply):
        streamed, whole = kind(ours), kind(ours)
        for events in rounds:
            fed(streamed, events)
            streamed.following(["{}"] * len(streamed.calls), {})
            whole.begin()
            whole.take(dict(events[0]) if events else {})
            whole.following(["{}"] * len(whole.calls), {"store": False})
        streamed.release(cut=True)
        json.dumps(whole.whole(cut=True))


def test_errors_of_upstream_are_said_in_the_form_of_each_stream() -> None:
    error = ServeError(502, "gone", "upstream_broken")
    for reply, kind in ((ChatReply(ours), ""), (MessagesReply(ours), "error"), (ResponsesReply(ours), "error")):
        reply.begin()
        for body, says in (
            (b"", "gone"),
            (b'{"error": {"message": "busy", "type": "x"}}', "busy"),
            (b"<html>", "gone"),
        ):
            event = next(iter(read_events([reply.error(error, body)])))
            assert event.type == kind
            assert says in event.data.decode()
