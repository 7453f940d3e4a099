"""Collected responses: streams and JSON of all wire formats, for any division into chunks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.serve.wire.collector import parse_object, parse_object_fast
from engram.serve.wire.table import CHAT, MESSAGES, RESPONSES, Wire

from .forms import JSON, STREAM, VALUES, collected, end_detected_at, pieces, stream

WORDS = ["Grüße", " an", " den 🐕", " [DONE]", "\n", "event: message_stop", ' "response.completed"']

CHAT_STREAM = stream([*({"choices": [{"delta": {"content": word}}]} for word in WORDS), "[DONE]"])
MESSAGES_STREAM = stream(
    [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in WORDS),
        {"type": "message_stop"},
    ],
    named=True,
)
RESPONSES_STREAM = stream(
    [
        *({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": w} for w in WORDS),
        {"type": "response.completed", "response": {"id": "resp_1"}},
    ],
    named=True,
)
STREAMS = [(CHAT, CHAT_STREAM), (MESSAGES, MESSAGES_STREAM), (RESPONSES, RESPONSES_STREAM)]


@pytest.mark.parametrize(
    "data",
    [b'{"choices": [{"index": 0}]}', b'{"a": "\xc3"}', b'{"a": "\\ud83d"}', b"[" * 5000, b"[1]", b"", b"{"],
)
def test_fast_parser_agrees_with_the_exact_one(data: bytes) -> None:
    assert parse_object_fast(data) == parse_object(data)


@pytest.mark.parametrize(("wire", "whole"), STREAMS, ids=["chat", "messages", "responses"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@given(borders=st.lists(st.integers(0, 10_000), max_size=30))
def test_reply_and_end_do_not_depend_on_where_the_stream_is_cut(
    wire: Wire, whole: bytes, line_end: bytes, borders: list[int]
) -> None:
    whole = whole.replace(b"\n", line_end)
    chunks = pieces(whole, borders)
    [reply] = collected(wire, chunks)
    assert reply.message.text == "".join(WORDS)
    # The end is detected in the chunk that completes the mark, never in a model's words.
    end = end_detected_at(wire, chunks)
    assert end is not None
    assert b"".join(chunks[: end + 1]).startswith(whole[: whole.index(b'"response.completed\\"')])


@pytest.mark.parametrize(("wire", "whole"), STREAMS, ids=["chat", "messages", "responses"])
def test_stream_of_single_bytes(wire: Wire, whole: bytes) -> None:
    chunks = [bytes([byte]) for byte in whole]
    assert collected(wire, chunks) == collected(wire, [whole])
    assert end_detected_at(wire, chunks) is not None
    assert wire.ends(whole)


@pytest.mark.parametrize(("wire", "whole"), STREAMS[1:], ids=["messages", "responses"])
@given(borders=st.lists(st.integers(0, 10_000), max_size=30))
def test_reply_is_complete_once_its_end_is_detected(wire: Wire, whole: bytes, borders: list[int]) -> None:
    chunks = pieces(whole, borders)
    end = end_detected_at(wire, chunks)
    assert end is not None
    [reply] = collected(wire, chunks[: end + 1])
    assert reply.complete
    assert reply.message.text == "".join(WORDS)


@pytest.mark.parametrize("wire", [CHAT, MESSAGES, RESPONSES], ids=lambda wire: wire.name)
@given(cut=st.integers(0, 1000), broken=st.binary(max_size=30))
def test_broken_stream_gives_the_text_so_far(wire: Wire, cut: int, broken: bytes) -> None:
    whole = {of.name: whole for of, whole in STREAMS}[wire.name]
    for reply in collected(wire, [whole[:cut], broken]):
        assert reply.message.text
        assert "".join(WORDS).startswith(reply.message.text)


@pytest.mark.parametrize("wire", [CHAT, MESSAGES, RESPONSES], ids=lambda wire: wire.name)
@pytest.mark.parametrize("content_type", [STREAM, JSON])
@given(whole=st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(wire: Wire, content_type: str, whole: bytes) -> None:
    collected(wire, [whole], content_type)


NAMES = (
    "type index delta content content_block text partial_json input name choices message tool_calls function arguments "
    "output item response id output_index content_index finish_reason refusal function_call custom status"
).split()
KINDS = (
    "content_block_start content_block_delta text tool_use message message_stop response.output_item.done "
    "response.output_text.delta response.completed function_call output_text response.function_call_arguments.delta"
).split()
ODD = st.recursive(
    st.sampled_from(KINDS) | VALUES | st.integers(0, 2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize("wire", [CHAT, MESSAGES, RESPONSES], ids=lambda wire: wire.name)
@given(odd=st.lists(st.dictionaries(st.sampled_from(NAMES), ODD, max_size=6), max_size=4))
def test_replies_of_any_shape_never_raise(wire: Wire, odd: list[Any]) -> None:
    collected(wire, [stream([json.dumps(event) for event in odd])])
    for whole in odd:
        collected(wire, [json.dumps(whole).encode()], JSON)


@pytest.mark.parametrize("wire", [CHAT, MESSAGES, RESPONSES], ids=lambda wire: wire.name)
def test_deeply_nested_response_gives_no_reply(wire: Wire) -> None:
    deep = b'{"output":' + b"[" * 100_000
    assert collected(wire, [deep], JSON) == []
    assert collected(wire, [b"data: " + deep + b"\n\n"]) == []


@pytest.mark.parametrize("wire", [CHAT, MESSAGES, RESPONSES], ids=lambda wire: wire.name)
@pytest.mark.parametrize("content_type", [STREAM, JSON, ""])
def test_empty_body_gives_no_reply(wire: Wire, content_type: str) -> None:
    assert collected(wire, [], content_type) == []
    assert wire.collector(content_type).response_id is None
