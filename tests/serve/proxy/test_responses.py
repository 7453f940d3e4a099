"""The proxy for OpenAI's Responses API."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import pytest

from engram.notes.injection import OPEN
from tests.serve.conftest import PATIENCE
from tests.serve.proxied import KEY, Caller, note_of, quoted, recalled, unnumbered, user, without

from .test_chat import CALLED, DOG, PNG, QUESTION, passes_without_memory

PATH = "/v1/responses"
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}


def test_a_request_and_its_reply_are_forwarded_unchanged_and_stored(ana: Caller) -> None:
    client = ana.openai()
    reply = client.responses.create(
        model="plain", input=DOG, instructions="Be brief.", extra_body={"not_invented_yet": [1.5]}
    )
    assert reply.output_text == ana.upstream.reply
    assert ana.last.body == ana.sent[-1]
    ana.settle()
    assert ana.said() == [("user", DOG), ("assistant", ana.upstream.reply)]
    # Another conversation recalls it, whether the input is a string or a list.
    for given in (QUESTION, [user(QUESTION)]):
        client.responses.create(model="plain", input=given)
        note = note_of(ana.last.last_user, QUESTION)
        assert DOG in note
        assert without(ana.last.body, quoted(note)) == ana.sent[-1]
        assert recalled(ana.answer)


def test_notes_are_inserted_before_the_first_text_part(ana: Caller) -> None:
    ana.remember(DOG)
    parts = [{"type": "input_image", "image_url": PNG}, {"type": "input_text", "text": QUESTION}]
    given: Any = [{"type": "message", "role": "user", "content": parts}]
    ana.openai().responses.create(model="plain", input=given)
    put_in = ana.last.messages[0]["content"]
    assert [put_in[0], put_in[2]] == parts
    assert put_in[1]["type"] == "input_text"
    assert DOG in put_in[1]["text"]
    inserted = f'{{"type":"input_text","text":"{quoted(put_in[1]["text"])}"}},'
    assert without(ana.last.body, inserted) == ana.sent[-1]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("script", ["plain", "bytes=3+crlf", "noise+lump", "gzip", "tools", "length"])
def test_a_reply_is_relayed_byte_for_byte(relayed: Caller, script: str, stream: bool) -> None:
    body = {"model": script, "input": "Hello", "stream": stream}
    straight = relayed.server.http.post(relayed.upstream.root + PATH, json=body)
    answer = relayed.post(PATH, body)
    assert answer.headers["content-type"] == straight.headers["content-type"]
    assert unnumbered(answer.content) == unnumbered(straight.content)
    relayed.settle()
    calls = [("tool", text) for _, text in CALLED]
    assert relayed.said() == [
        ("user", "Hello"),
        *(calls if script == "tools" else [("assistant", relayed.upstream.reply)]),
    ]


def test_streamed(relayed: Caller) -> None:
    with relayed.openai().responses.stream(model="bytes=2", input=DOG) as stream:
        final = stream.get_final_response()
    assert final.output_text == relayed.upstream.reply
    assert relayed.last.body == relayed.sent[-1]
    # The reply was durable before its end was sent.
    assert relayed.server.receipt(relayed.answer["x-engram-receipt"])["state"] in ("stored", "indexed")
    assert relayed.said() == [("user", DOG), ("assistant", relayed.upstream.reply)]


def test_async_streams_at_once(relayed: Caller) -> None:
    async def talk() -> list[str]:
        async with (
            httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http,
            openai.AsyncOpenAI(
                base_url=relayed.server.base,
                api_key=KEY,
                max_retries=0,
                default_headers=relayed.headers,
                http_client=http,
            ) as client,
        ):

            async def streamed(number: int) -> str:
                async with client.responses.stream(model="tokens=9", input=f"Fact number {number}.") as stream:
                    return (await stream.get_final_response()).output_text

            return await asyncio.gather(*map(streamed, range(6)))

    assert asyncio.run(talk()) == [" ".join(f"word{number}" for number in range(9))] * 6
    relayed.keeps(12)
    assert len(relayed.sessions()) == 6


@pytest.mark.parametrize("stream", [False, True])
def test_going_on_from_a_response_stays_in_its_session(relayed: Caller, stream: bool) -> None:
    client = relayed.openai()
    previous: str | None = None
    for turn in ("One is a fact.", "Two is a fact.", "And three?"):
        given: Any = {"model": "plain", "input": turn} | (
            {} if previous is None else {"previous_response_id": previous}
        )
        if stream:
            with client.responses.stream(**given) as events:
                previous = events.get_final_response().id
        else:
            previous = client.responses.create(**given).id
        # Texts that the model sees through the response's id are not inserted.
        assert relayed.last.body == relayed.sent[-1]
        relayed.settle()
    assert len(relayed.sessions()) == 1
    assert len(relayed.kept()) == 6


def test_a_resent_history_is_stored_once(ana: Caller) -> None:
    client = ana.openai()
    items: list[Any] = []
    for turn in ("One is a fact.", "Two is a fact.", "Three is a fact."):
        items.append(user(turn))
        reply = client.responses.create(model="plain", input=items)
        items += [item.model_dump(exclude_none=True) for item in reply.output]
        ana.settle()
    assert [role for role, _ in ana.said()] == ["user", "assistant"] * 3
    assert len(ana.sessions()) == 1


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_is_stored_once(relayed: Caller, stream: bool, by_id: bool) -> None:
    relayed.remember("Ana is in Zürich this week and hates rain.")
    client = relayed.openai()
    asked = "Does Ana in Zürich need an umbrella this week?"
    items: list[Any] = [user(asked)]
    given: Any = {"model": "tools", "tools": [TOOL]}
    for _ in range(2):
        if stream:
            with client.responses.stream(input=items, **given) as events:
                reply = events.get_final_response()
        else:
            reply = client.responses.create(input=items, **given)
        results = [
            {"type": "function_call_output", "call_id": item.call_id, "output": f"{item.name}: wet"}
            for item in reply.output
            if item.type == "function_call"
        ]
        if by_id:
            items, given = results, given | {"previous_response_id": reply.id}
        else:
            items += [*(item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in reply.output)]
            items += results
    assert reply.output_text == relayed.upstream.reply
    first, second = relayed.upstream.asked[-2:]
    assert "hates rain" in note_of(first.last_user, asked)
    if by_id:
        assert second.body == relayed.sent[-1]
    else:
        assert second.messages[0] == first.messages[0]
    relayed.settle()
    calls = [("tool", text) for _, text in CALLED]
    wet = [("tool", f"{name}: wet") for name, _ in CALLED]
    assert relayed.said()[1:] == [("user", asked), *calls, *wet, ("assistant", relayed.upstream.reply)]
    assert len(relayed.sessions()) == 2


def test_notes_that_the_model_repeats_are_not_stored(relayed: Caller) -> None:
    relayed.remember(DOG)
    with relayed.openai().responses.stream(model="echo", input=QUESTION) as stream:
        assert DOG in note_of(stream.get_final_response().output_text, QUESTION)
    relayed.settle()
    assert [text for _, text in relayed.said()] == [DOG, QUESTION, QUESTION]
    assert not any(OPEN in text for _, text in relayed.said())


def test_errors_and_other_paths_pass(ana: Caller) -> None:
    client = ana.openai()
    with pytest.raises(openai.RateLimitError) as limited:
        client.responses.create(model="429", input=DOG)
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model="500", input=DOG)
    passed = ana.server.http.request("DELETE", f"{PATH}/resp_1").json()
    assert (passed["method"], passed["path"]) == ("DELETE", f"{PATH}/resp_1")
    client.responses.create(model="plain", input=DOG)
    ana.settle()
    assert ana.said() == [("user", DOG), ("assistant", ana.upstream.reply)]


@pytest.mark.parametrize("body", [b"{", b"[]"], ids=["not JSON", "a list"])
def test_bad_bodies_are_refused(ana: Caller, body: bytes) -> None:
    asked = len(ana.upstream.asked)
    answer = ana.post(PATH, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert len(ana.upstream.asked) == asked
    assert ana.kept() == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "plain"}',
        b'{"input": ["x"]}',
        b'{"input": [{"role": "wizard", "content": "x"}]}',
        b'{"input": [' + b",".join([b'{"role": "user", "content": "x"}'] * 10_000) + b"]}",
        b'{"input": "a\\u0000b"}',
    ],
    ids=["no input", "no item", "an unknown role", "10,000 messages", "a NUL"],
)
def test_what_only_memory_dislikes_passes_without_memory(ana: Caller, body: bytes) -> None:
    passes_without_memory(ana, PATH, body)


@pytest.mark.parametrize("body", [b'{"input": 7}', b'{"input": "x", "previous_response_id": "\\ud800"}'])
def test_odd_fields_pass_without_memory(ana: Caller, body: bytes) -> None:
    passes_without_memory(ana, PATH, body, 418)
