"""Thoughts in tags, in replies and in histories of each API."""

from __future__ import annotations

from typing import Any

import pytest

from engram.serve.wire.table import CHAT, MESSAGES, RESPONSES, Wire

from .forms import JSON, body, collected, pieces, stream

THOUGHT, ANSWER = "<think>\nPerhaps the boat is red.\n</think>\n\n", "I do not know its colour."


def chat(text: str) -> tuple[bytes, bytes]:
    cut = [text[at : at + 4] for at in range(0, len(text), 4)]
    events: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in cut]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return body(choices=[{"index": 0, "message": {"role": "assistant", "content": text}}]), stream(events)


def messages(text: str) -> tuple[bytes, bytes]:
    cut = [text[at : at + 4] for at in range(0, len(text), 4)]
    events: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": one}} for one in cut),
        {"type": "message_stop"},
    ]
    return body(type="message", content=[{"type": "text", "text": text}]), stream(events, named=True)


def responses(text: str) -> tuple[bytes, bytes]:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    cut = [text[at : at + 4] for at in range(0, len(text), 4)]
    events: list[dict[str, Any]] = [
        *({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": one} for one in cut),
        {"type": "response.completed", "response": {"id": "resp_1"}},
    ]
    return body(id="resp_1", output=[item]), stream(events, named=True)


@pytest.mark.parametrize(("wire", "written"), [(CHAT, chat), (MESSAGES, messages), (RESPONSES, responses)])
@pytest.mark.parametrize("text", [THOUGHT + ANSWER, THOUGHT.removeprefix("<think>") + ANSWER, THOUGHT * 2 + ANSWER])
def test_a_reply_has_no_thoughts_and_is_the_message_that_comes_back(wire: Wire, written: Any, text: str) -> None:
    whole, streamed = written(text)
    (reply,) = collected(wire, [whole], JSON)
    (same,) = collected(wire, pieces(streamed, range(0, len(streamed), 7)))
    assert reply.message == same.message
    assert [(part.role, part.text) for part in reply.message.parts] == [("assistant", ANSWER)]
    for resent in (text, ANSWER):
        request = wire.read(body(**{wire.messages_field: [{"role": "assistant", "content": resent}]}))
        assert request.messages[0].canonical == reply.message.canonical


@pytest.mark.parametrize(("wire", "written"), [(CHAT, chat), (MESSAGES, messages), (RESPONSES, responses)])
def test_a_reply_that_breaks_off_in_a_thought_has_no_words(wire: Wire, written: Any) -> None:
    for content, content_type in zip(written("<think>\nPerhaps"), (JSON, "text/event-stream"), strict=True):
        assert [reply.message.parts for reply in collected(wire, [content], content_type)] == [()]


@pytest.mark.parametrize("wire", [CHAT, MESSAGES, RESPONSES])
def test_a_user_s_text_with_such_tags_stays_verbatim(wire: Wire) -> None:
    text = f"{THOUGHT}{ANSWER} What does the tag mean?\n<thinking>"
    request = wire.read(body(**{wire.messages_field: [{"role": "user", "content": text}]}))
    assert [part.text for part in request.messages[0].parts] == [text]
