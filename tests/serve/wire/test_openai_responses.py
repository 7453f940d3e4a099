"""OpenAI's responses, in the forms that its Python package sends and accepts."""

from __future__ import annotations

import json
from typing import Any

import openai.types.responses as openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from engram.serve.http.errors import ServeError
from engram.serve.wire.base import MessagePart
from engram.serve.wire.table import RESPONSES

from .forms import JSON, OBJECTS, STREAM, TEXT, body, collected, stream

EVENT = TypeAdapter(openai.ResponseStreamEvent)
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city":"Kyoto"}',
    "status": "completed",
}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}


def words(text: str, id: str = "msg_1") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": id, "role": "assistant", "status": "completed", "content": [part]}


def response(output: list[dict[str, Any]], status: str = "completed") -> Any:
    """Return a whole response, validated by the openai package."""
    return openai.Response.model_validate(
        {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": "m",
            "status": status,
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
    )


def events(output: list[dict[str, Any]], end: str = "completed", *, output_at_end: bool = True) -> list[dict[str, Any]]:
    """Return the events of a stream with the same output, validated by the openai package."""
    stream: list[dict[str, Any]] = [
        {"type": "response.created", "response": response([], "in_progress").model_dump(mode="json")}
    ]
    for index, item in enumerate(output):
        at = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            begun = item | {"content": [], "status": "in_progress"}
            deltas = [
                at | {"type": "response.output_text.delta", "content_index": index, "delta": text, "logprobs": []}
                for index, part in enumerate(item["content"])
                for text in (part["text"][:2], part["text"][2:])
            ]
        elif item["type"] == "function_call":
            begun = item | {"arguments": "", "status": "in_progress"}
            deltas = [
                at | {"type": "response.function_call_arguments.delta", "delta": text}
                for text in (item["arguments"][:5], item["arguments"][5:])
            ]
        else:
            begun, deltas = item, []
        stream += [
            {"type": "response.output_item.added", "output_index": index, "item": begun},
            *deltas,
            {"type": "response.output_item.done", "output_index": index, "item": item},
        ]
    last = response(output if output_at_end else [], end)
    stream.append({"type": f"response.{end}", "response": last.model_dump(mode="json")})
    for number, event in enumerate(stream):
        EVENT.validate_python(event | {"sequence_number": number})
    return stream


def test_request_is_parsed() -> None:
    request = RESPONSES.read(
        body(
            model="m",
            user="ana",
            instructions="Be brief.",
            previous_response_id="resp_0",
            input=[
                {"role": "developer", "content": "Be kind."},
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Rain?"},
                        {"type": "input_image", "image_url": "data:,"},
                    ],
                },
                REASONING,
                words("I look."),
                CALL,
                {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
                {"type": "item_reference", "id": "msg_9"},
                {"role": "assistant", "content": "It will."},
                {"type": "additional_tools", "role": "developer", "tools": []},
                {"type": "custom_tool_call", "call_id": "call_2", "name": "shell", "input": "ls -l"},
                {
                    "type": "custom_tool_call_output",
                    "call_id": "call_2",
                    "output": [{"type": "input_text", "text": "a.txt"}],
                },
                {"role": "user", "content": "Thanks."},
            ],
        )
    )
    assert (request.model, request.user, request.stream, request.previous_response_id) == ("m", "ana", False, "resp_0")
    assert [(one.role, [part.text for part in one.parts]) for one in request.messages] == [
        ("system", []),
        ("user", ["Rain?"]),
        ("assistant", ["I look.", 'weather({"city": "Kyoto"})']),
        ("tool", ["rain"]),
        ("assistant", ["It will.", "shell(ls -l)"]),
        ("tool", ["a.txt"]),
        ("user", ["Thanks."]),
    ]
    sent = json.loads(RESPONSES.with_notes(request, {1: "one ", 6: "two "}))
    assert sent["input"][1]["content"][0] == {"type": "input_text", "text": "one "}
    assert sent["input"][11]["content"] == "two Thanks."


def test_input_that_is_a_string() -> None:
    whole = b'{"input" : "Will it \\"rain\\"?", "model": "m"}'
    request = RESPONSES.read(whole)
    assert request.messages[0].parts == (MessagePart("user", 'Will it "rain"?'),)
    assert RESPONSES.with_notes(request, {0: "notes\n"}) == whole.replace(b'"Will', b'"notes\\nWill')
    listed = RESPONSES.read(body(input=[{"role": "user", "content": 'Will it "rain"?'}]))
    assert listed.messages[0].canonical == request.messages[0].canonical


def test_request_without_input_has_no_messages() -> None:
    assert RESPONSES.read(body(prompt={"id": "pmpt_1"})).messages == ()
    with pytest.raises(ValueError, match="cannot hold a note"):
        RESPONSES.with_notes(RESPONSES.read(body(input=[CALL])), {0: "notes"})


@pytest.mark.parametrize(
    ("fields", "error_text"),
    [
        ({}, "input is missing; it must be a string or a list of items"),
        ({"input": 5}, "input is a number"),
        ({"input": ["hi"]}, "input[0] is a string; it must be an object"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role is 'tool'"),
        ({"input": [{"type": "message", "content": "x"}]}, "input[0].role is missing"),
        ({"input": [{"role": "user", "content": False}]}, "input[0].content is a boolean"),
    ],
)
def test_invalid_request_names_the_field(fields: dict[str, Any], error_text: str) -> None:
    with pytest.raises(ServeError) as caught:
        RESPONSES.read(body(**fields))
    assert caught.value.message.startswith(error_text)
    assert json.loads(RESPONSES.error(caught.value))["error"]["message"] == caught.value.message


ITEM = (
    st.builds(words, TEXT)
    | st.builds(lambda given: CALL | {"arguments": json.dumps(given)}, OBJECTS)
    | st.just(REASONING)
)


@given(output=st.lists(ITEM, max_size=4), named=st.booleans(), output_at_end=st.booleans())
def test_reply_sent_back_has_the_same_canonical_form(output: list[Any], named: bool, output_at_end: bool) -> None:
    whole = response(output)
    [streamed] = collected(RESPONSES, [stream(events(output, output_at_end=output_at_end), named=named)])
    [plain] = collected(RESPONSES, [whole.model_dump_json().encode()], JSON)
    assert streamed == plain
    assert streamed.complete
    sent_back = [item.model_dump(mode="json", exclude_none=True) for item in whole.output]
    request = RESPONSES.read(body(input=[{"role": "user", "content": "x"}, *sent_back]))
    if any(item["type"] != "reasoning" for item in output):
        assert request.messages[1].canonical == streamed.message.canonical
        assert request.messages[1].parts == streamed.message.parts


@pytest.mark.parametrize(("end", "complete"), [("completed", True), ("incomplete", True), ("failed", False)])
def test_reply_is_complete_unless_the_response_failed(end: str, complete: bool) -> None:
    [reply] = collected(RESPONSES, [stream(events([words("Hello")], end))])
    assert (reply.complete, reply.message.text) == (complete, "Hello")
    [reply] = collected(RESPONSES, [response([words("Hello")], end).model_dump_json().encode()], JSON)
    assert (reply.complete, reply.message.text) == (complete, "Hello")


def test_incomplete_stream_gives_an_incomplete_reply() -> None:
    whole = events([words("Hello"), CALL])
    texts = []
    for length in range(len(whole)):
        replies = collected(RESPONSES, [stream(whole[:length], named=True)])
        assert not any(reply.complete for reply in replies)
        texts.append([piece.text for reply in replies for piece in reply.message.parts])
    done = ["Hello", 'weather({"city": "Kyoto"})']
    assert texts == [
        [],
        [],
        [],
        ["He"],
        ["Hello"],
        ["Hello"],
        ["Hello", "weather({})"],
        ["Hello", 'weather({"cit)'],
        done,
        done,
    ]


def test_refusal_is_text() -> None:
    deltas = [
        {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": d} for d in ("I ", "won't.")
    ]
    [reply] = collected(RESPONSES, [stream(deltas)])
    assert reply.message.text == "I won't."
    sent = {"role": "assistant", "type": "message", "content": [{"type": "refusal", "refusal": "I won't."}]}
    assert RESPONSES.read(body(input=[sent])).messages[0].canonical == reply.message.canonical


@pytest.mark.parametrize("content_type", [STREAM, JSON])
def test_response_id_is_collected(content_type: str) -> None:
    collector = RESPONSES.collector(content_type)
    output = [words("Hello")]
    collector.feed(stream(events(output)) if content_type == STREAM else response(output).model_dump_json().encode())
    collector.replies()
    assert collector.response_id == "resp_1"
