"""The proxy for Anthropic's messages, called by the `anthropic` package."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest

from engram.notes.injection import OPEN
from tests.serve.conftest import PATIENCE
from tests.serve.proxied import (
    KEY,
    Caller,
    Json,
    assistant,
    note_of,
    quoted,
    recalled,
    unnumbered,
    user,
    without,
)

from .test_chat import BAD, CALLED, DISLIKED, DOG, QUESTION, passes_without_memory

PATH = "/v1/messages"
TOOL = {"name": "weather", "input_schema": {"type": "object"}}


def test_a_request_and_its_reply_are_forwarded_unchanged_and_stored(ana: Caller) -> None:
    client = ana.anthropic()
    reply = client.messages.create(
        model="thinking",
        max_tokens=9,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[user(DOG)],
        extra_body={"not_invented_yet": [1.5]},
        extra_headers={"anthropic-beta": "new-2030"},
    )
    assert [block.type for block in reply.content] == ["thinking", "text"]
    assert ana.last.body == ana.sent[-1]
    # Versions of the `anthropic` package use different headers for the key.
    assert KEY in (ana.last.header("x-api-key") or ana.last.header("authorization") or "").split()
    assert ana.last.header("anthropic-beta") == "new-2030"
    assert ana.last.header("anthropic-version")
    ana.settle()
    # Thinking is not stored.
    assert ana.said() == [("user", DOG), ("assistant", ana.upstream.reply)]
    client.messages.create(model="plain", max_tokens=9, messages=[user(QUESTION)])
    note = note_of(ana.last.last_user, QUESTION)
    assert DOG in note
    assert without(ana.last.body, quoted(note)) == ana.sent[-1]
    assert recalled(ana.answer)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("script", ["plain", "bytes=3+crlf", "noise+lump", "gzip", "thinking", "tools", "length"])
def test_a_reply_is_relayed_byte_for_byte(relayed: Caller, script: str, stream: bool) -> None:
    body = {"model": script, "max_tokens": 9, "messages": [user("Hello")], "stream": stream}
    straight = Caller(relayed.server, relayed.upstream).server.http.post(relayed.upstream.root + PATH, json=body)
    answer = relayed.post(PATH, body)
    assert answer.headers["content-type"] == straight.headers["content-type"]
    assert unnumbered(answer.content) == unnumbered(straight.content)
    relayed.settle()
    calls = [("tool", text) for _, text in CALLED]
    assert relayed.said() == [
        ("user", "Hello"),
        *(calls if script == "tools" else [("assistant", relayed.upstream.reply)]),
    ]
    assert not any(engram["metadata"] for engram in relayed.kept())


def test_streamed(relayed: Caller) -> None:
    with relayed.anthropic().messages.stream(model="bytes=1", max_tokens=9, messages=[user(DOG)]) as stream:
        assert "".join(stream.text_stream) == relayed.upstream.reply
        assert stream.get_final_message().stop_reason == "end_turn"
    assert relayed.last.body == relayed.sent[-1]
    # The reply was durable before its end was sent.
    assert relayed.server.receipt(relayed.answer["x-engram-receipt"])["state"] in ("stored", "indexed")
    assert relayed.said() == [("user", DOG), ("assistant", relayed.upstream.reply)]


def test_async_clients_at_once(relayed: Caller) -> None:
    async def talk() -> list[str]:
        async with (
            anthropic.DefaultAsyncHttpxClient(trust_env=False, timeout=PATIENCE) as http,
            anthropic.AsyncAnthropic(
                base_url=relayed.server.url,
                api_key=KEY,
                max_retries=0,
                default_headers=relayed.headers,
                http_client=http,
            ) as client,
        ):

            async def plain(number: int) -> str:
                messages: Any = [user(f"Fact number {number}.")]
                reply = await client.messages.create(model="plain", max_tokens=9, messages=messages)
                return str(getattr(reply.content[0], "text", ""))

            async def streamed(number: int) -> str:
                messages: Any = [user(f"Fact number {number}.")]
                async with client.messages.stream(model="tokens=9", max_tokens=9, messages=messages) as stream:
                    return "".join([text async for text in stream.text_stream])

            return await asyncio.gather(*(plain(n) for n in range(4)), *(streamed(n) for n in range(4, 8)))

    words = " ".join(f"word{number}" for number in range(9))
    assert asyncio.run(talk()) == [relayed.upstream.reply] * 4 + [words] * 4
    relayed.keeps(16)
    assert len(relayed.sessions()) == 8


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_keeps_its_notes_and_is_stored_once(relayed: Caller, stream: bool) -> None:
    relayed.remember("Ana is in Zürich this week and hates rain.")
    client = relayed.anthropic()
    asked = "Does Ana in Zürich need an umbrella this week?"
    messages: list[Any] = [user([{"type": "text", "text": asked}])]
    given: Any = {"model": "tools+thinking", "max_tokens": 9, "tools": [TOOL]}
    for _ in range(2):
        if stream:
            with client.messages.stream(messages=messages, **given) as events:
                reply = events.get_final_message()
        else:
            reply = client.messages.create(messages=messages, **given)
        messages.append(assistant([block.model_dump(exclude_none=True) for block in reply.content]))
        results: list[Json] = [
            {
                "type": "tool_result",
                "tool_use_id": block.id,
                "content": [{"type": "text", "text": f"{block.name}: wet"}],
            }
            for block in reply.content
            if block.type == "tool_use"
        ]
        messages += [user(results)] if results else []
    assert reply.stop_reason == "end_turn"
    first, second = relayed.upstream.asked[-2:]
    note = first.messages[0]["content"][0]["text"]
    assert note_of(first.last_user, asked) == note
    assert second.messages[0] == first.messages[0]
    assert without(first.body, f'{{"type":"text","text":"{quoted(note)}"}},') == relayed.sent[-2]
    relayed.settle()
    calls = [("tool", text) for _, text in CALLED]
    wet = [("tool", f"{name}: wet") for name, _ in CALLED]
    assert relayed.said()[1:] == [("user", asked), *calls, *wet, ("assistant", relayed.upstream.reply)]


def test_a_conversation_and_its_branches_are_stored_once(ana: Caller) -> None:
    client = ana.anthropic()
    messages: list[Any] = []
    for turn in ("One is a fact.", "Two is a fact."):
        messages.append(user(turn))
        reply = client.messages.create(model="plain", max_tokens=9, messages=messages)
        messages.append(assistant([block.model_dump(exclude_none=True) for block in reply.content]))
        ana.settle()
    assert len(ana.kept()) == 4
    client.messages.create(model="text=Another.", max_tokens=9, messages=messages[:-1])
    ana.settle()
    assert ana.said()[4:] == [("assistant", "Another.")]
    assert ana.kept()[4]["metadata"] == {"branch": True}
    assert len(ana.sessions()) == 1


def test_notes_that_the_model_repeats_are_not_stored(relayed: Caller) -> None:
    relayed.remember(DOG)
    client = relayed.anthropic()
    with client.messages.stream(model="echo", max_tokens=9, messages=[user(QUESTION)]) as stream:
        repeated = "".join(stream.text_stream)
    assert DOG in note_of(repeated, QUESTION)
    relayed.settle()
    messages: Any = [user(repeated), assistant(repeated), user("Thank you.")]
    client.messages.create(model="plain", max_tokens=9, messages=messages)
    relayed.settle()
    assert [text for _, text in relayed.said()] == [DOG, QUESTION, QUESTION, "Thank you.", relayed.upstream.reply]
    assert not any(OPEN in text for _, text in relayed.said())


def test_the_namespace_of_a_request(ana: Caller) -> None:
    person = f"{ana.namespace}-person"
    client = ana.anthropic(default_headers={})
    client.messages.create(
        model="plain",
        max_tokens=9,
        messages=[user(DOG)],
        metadata={"user_id": person},
    )
    ana.server.settled(ana.answer["x-engram-receipt"])
    assert Caller(ana.server, ana.upstream, person).said()[0] == ("user", DOG)


def test_other_paths_and_errors_pass(ana: Caller) -> None:
    client = ana.anthropic()
    answer = ana.post(f"{PATH}/count_tokens", {"model": "plain", "messages": [user(DOG)]})
    assert answer.json()["path"] == f"{PATH}/count_tokens"
    with pytest.raises(anthropic.RateLimitError) as limited:
        client.messages.create(model="429", max_tokens=9, messages=[user(DOG)])
    assert limited.value.response.headers["retry-after"] == "7"
    assert limited.value.response.headers["x-request-id"] == "req_1"
    with pytest.raises(anthropic.InternalServerError):
        client.messages.create(model="500", max_tokens=9, messages=[user(DOG)], stream=True)
    client.messages.create(model="plain", max_tokens=9, messages=[user(DOG)])
    ana.settle()
    assert ana.said() == [("user", DOG), ("assistant", ana.upstream.reply)]


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_bad_bodies_are_refused(ana: Caller, body: bytes) -> None:
    asked = len(ana.upstream.asked)
    answer = ana.post(PATH, body)
    assert answer.status_code == 400, answer.text
    refused = answer.json()
    assert refused["type"] == "error"
    assert refused["error"]["type"] == "invalid_request_error"
    assert len(refused["error"]["message"]) > 10
    assert len(ana.upstream.asked) == asked
    assert ana.kept() == []


@pytest.mark.parametrize("body", DISLIKED.values(), ids=DISLIKED.keys())
def test_what_only_memory_dislikes_passes_without_memory(ana: Caller, body: bytes) -> None:
    passes_without_memory(ana, PATH, body)


def test_invalid_names_are_refused(ana: Caller) -> None:
    body = {"messages": [user("Hello")]}
    foreign = "s-20260302-101500-0000-00000000"
    for status, of, headers in (
        (400, "invalid_request_error", {"X-Engram-Session": foreign}),
        (400, "invalid_request_error", {"X-Engram-Namespace": "a\tb"}),
        (400, "invalid_request_error", {"X-Engram": "maybe"}),
        (431, "invalid_request_error", {"X-Whatever": "n" * (64 << 10)}),
    ):
        answer = ana.post(PATH, body, **headers)
        assert answer.status_code == status
        assert answer.json()["type"] == "error", headers
        assert answer.json()["error"]["type"] == of
    answer = ana.post(PATH, b" " * (33 << 20))
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")
    assert ana.kept() == []
