"""The scripted model itself: what the real clients make of it, without Engram in between."""

from __future__ import annotations

import json
import zlib

import anthropic
import httpx
import openai
import pytest

from tests.serve.conftest import wait_until
from tests.serve.upstream import RETRY_AFTER, Upstream

HELLO = [{"role": "user", "content": "Wie geht's, 世界?"}]


@pytest.fixture
def gpt(upstream: Upstream):
    with openai.OpenAI(base_url=upstream.url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(upstream: Upstream):
    with anthropic.Anthropic(base_url=upstream.root, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def http(upstream: Upstream):
    with httpx.Client(base_url=upstream.url, trust_env=False, timeout=30) as client:
        yield client


def streamed(client, script: str, messages=HELLO, **more) -> list:
    return list(client.chat.completions.create(model=script, messages=messages, stream=True, **more))


def said(chunks, index: int = 0) -> str:
    choices = (choice for chunk in chunks for choice in chunk.choices if choice.index == index)
    return "".join(choice.delta.content or "" for choice in choices)


def test_chat(gpt, upstream):
    reply = gpt.chat.completions.create(model="gpt-x", messages=HELLO)
    assert reply.choices[0].message.content == upstream.reply
    assert (reply.choices[0].finish_reason, reply.model) == ("stop", "gpt-x")
    assert reply.x_new == {"kept": [1.5]}
    asked = upstream.last
    assert asked.ended.wait(30)
    assert (asked.method, asked.path, asked.outcome) == ("POST", "/v1/chat/completions", "answered")
    assert asked.header("Authorization") == "Bearer k"
    assert asked.json == {"model": "gpt-x", "messages": HELLO}
    assert asked.last_user == HELLO[0]["content"]


@pytest.mark.parametrize(
    "how",
    ["plain", "bytes=1", "bytes=7+crlf", "cr", "lump", "crlf+noise", "gzip", "gzip+bytes=3", "rate=500", "slow=0.1"],
)
def test_a_stream_however_it_is_cut(gpt, upstream, how):
    chunks = streamed(gpt, how)
    assert said(chunks) == upstream.reply
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_scripted_texts(gpt, upstream):
    assert said(streamed(gpt, "echo")) == HELLO[0]["content"]
    assert said(streamed(gpt, "text=yes_sir")) == "yes sir"
    assert said(streamed(gpt, "tokens=3")) == "word0 word1 word2"
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    assert gpt.chat.completions.create(model="echo", messages=parts).choices[0].message.content == "ab"
    assert gpt.chat.completions.create(model="length", messages=HELLO).choices[0].finish_reason == "length"
    assert gpt.chat.completions.create(model="refusal", messages=HELLO).choices[0].message.refusal == upstream.reply


def test_a_header_goes_before_the_model(gpt, upstream):
    reply = gpt.chat.completions.create(model="gpt-x", messages=HELLO, extra_headers={"x-script": "text=other"})
    assert reply.choices[0].message.content == "other"


def test_choices(gpt, upstream):
    whole = gpt.chat.completions.create(model="plain", messages=HELLO, n=2)
    assert [choice.message.content for choice in whole.choices] == [upstream.reply, f"{upstream.reply} (1)"]
    chunks = streamed(gpt, "plain", n=2)
    assert [said(chunks, 0), said(chunks, 1)] == [upstream.reply, f"{upstream.reply} (1)"]


def test_usage_in_a_stream_where_it_is_asked_for(gpt):
    assert streamed(gpt, "plain", stream_options={"include_usage": True})[-1].usage.prompt_tokens == 7


def test_tools(gpt):
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    whole = gpt.chat.completions.create(model="tools", messages=HELLO, tools=tools).choices[0]
    assert whole.finish_reason == "tool_calls"
    assert [(call.function.name, json.loads(call.function.arguments)) for call in whole.message.tool_calls] == [
        ("weather", {"city": "Zürich"}),
        ("clock", {}),
    ]
    with gpt.chat.completions.stream(model="tools", messages=HELLO, tools=tools) as stream:
        final = stream.get_final_completion().choices[0].message
    assert [call.function.arguments for call in final.tool_calls] == ['{"city": "Zürich"}', "{}"]
    result = {"role": "tool", "tool_call_id": final.tool_calls[0].id, "content": "17 degrees"}
    again = [*HELLO, final.to_dict(), result]
    assert said(streamed(gpt, "tools+text=warm", again, tools=tools)) == "warm"


def test_failures(gpt, upstream):
    with pytest.raises(openai.RateLimitError) as refused:
        gpt.chat.completions.create(model="429", messages=HELLO)
    assert refused.value.response.headers["retry-after"] == RETRY_AFTER
    assert refused.value.code == "scripted_429"
    with pytest.raises(openai.InternalServerError):
        streamed(gpt, "500")
    with pytest.raises(openai.APIResponseValidationError):
        openai.OpenAI(base_url=upstream.url, api_key="k", _strict_response_validation=True).chat.completions.create(
            model="html", messages=HELLO
        )
    with pytest.raises(json.JSONDecodeError):
        gpt.chat.completions.create(model="garbled", messages=HELLO)
    with pytest.raises(json.JSONDecodeError):
        streamed(gpt, "garble=2")


@pytest.mark.parametrize("how", ["reset=3", "close=3"])
def test_a_stream_that_breaks(gpt, upstream, how):
    got = []
    with pytest.raises(openai.APIConnectionError):
        for chunk in gpt.chat.completions.create(model=how + "+rate=50", messages=HELLO, stream=True):
            got.append(chunk)  # noqa: PERF402
    assert said(got) == "Grüße from"
    assert upstream.last.ended.wait(30)
    assert upstream.last.outcome == "broken"


def test_a_stream_that_ends_without_its_end(gpt):
    assert said(streamed(gpt, "cut=3")) == "Grüße from"


@pytest.mark.parametrize("how", ["reset=1", "close=1", "cut=1"])
def test_a_whole_body_that_breaks(http, how):
    with pytest.raises(httpx.TransportError):
        http.post("/chat/completions", json={"model": how, "messages": HELLO})


def test_a_client_that_disconnects_within_a_stream(http, upstream):
    body = {"model": "tokens=1000+rate=20", "messages": HELLO, "stream": True}
    with http.stream("POST", "/chat/completions", json=body) as answer:
        next(answer.iter_raw())
    assert upstream.last.ended.wait(30)
    assert upstream.last.outcome == "gone"


def test_late(http, upstream):
    with pytest.raises(httpx.ReadTimeout):
        http.post("/chat/completions", json={"model": "late=30", "messages": HELLO}, timeout=0.2)
    wait_until(lambda: upstream.last.outcome == "gone")


def test_a_packed_body(http, upstream):
    with http.stream("POST", "/chat/completions", json={"model": "gzip", "messages": HELLO}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        body = zlib.decompress(b"".join(answer.iter_raw()), wbits=31)
    assert json.loads(body)["choices"][0]["message"]["content"] == upstream.reply


def test_a_body_of_unknown_length(http, upstream):
    body = json.dumps({"model": "echo", "messages": HELLO}).encode()
    answer = http.post("/chat/completions", content=iter([body[:9], body[9:]]))
    assert answer.json()["choices"][0]["message"]["content"] == HELLO[0]["content"]
    assert upstream.last.body == body


def test_other_paths(gpt, http, upstream):
    assert [model.id for model in gpt.models.list()] == ["plain", "echo"]
    assert gpt.models.retrieve("plain").id == "plain"
    for form in ({}, {"encoding_format": "float"}):
        made = gpt.embeddings.create(model="e", input=["abc", "de"], **form)
        assert [one.embedding for one in made.data] == [[3.0, 1.0], [2.0, 1.0]]
    echoed = http.put("/files/x?y=1", content=b"\x00\xff").json()
    assert (echoed["method"], echoed["path"], echoed["query"], echoed["body"]) == ("PUT", "/v1/files/x", "y=1", "AP8=")
    assert http.get(f"{upstream.root}/nowhere").status_code == 404
    assert [asked.path for asked in upstream.asked][-1] == "/nowhere"
    upstream.clear()
    assert upstream.asked == []


def test_anthropic(claude, upstream):
    reply = claude.messages.create(model="plain", max_tokens=9, messages=HELLO)
    assert (reply.content[0].text, reply.stop_reason) == (upstream.reply, "end_turn")
    assert upstream.last.path == "/v1/messages"
    assert upstream.last.header("anthropic-version")
    assert claude.messages.create(model="length", max_tokens=9, messages=HELLO).stop_reason == "max_tokens"


@pytest.mark.parametrize("how", ["plain", "bytes=1", "crlf", "lump+noise", "gzip"])
def test_anthropic_streams(claude, upstream, how):
    with claude.messages.stream(model=how, max_tokens=9, messages=HELLO) as stream:
        assert "".join(stream.text_stream) == upstream.reply
        final = stream.get_final_message()
    assert (final.stop_reason, final.content[0].text) == ("end_turn", upstream.reply)


def test_anthropic_tools_and_thinking(claude):
    tools = [{"name": "weather", "input_schema": {"type": "object"}}]
    whole = claude.messages.create(model="tools", max_tokens=9, messages=HELLO, tools=tools)
    assert [(block.type, block.name, block.input) for block in whole.content] == [
        ("tool_use", "weather", {"city": "Zürich"}),
        ("tool_use", "clock", {}),
    ]
    with claude.messages.stream(model="tools+thinking", max_tokens=9, messages=HELLO, tools=tools) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "tool_use", "tool_use"]
    assert (final.content[1].input, final.stop_reason) == ({"city": "Zürich"}, "tool_use")
    result = {"type": "tool_result", "tool_use_id": final.content[1].id, "content": "17 degrees"}
    called = {"role": "assistant", "content": final.to_dict()["content"]}
    again = [*HELLO, called, {"role": "user", "content": [result]}]
    reply = claude.messages.create(model="tools+text=warm", max_tokens=9, messages=again, tools=tools)
    assert reply.content[0].text == "warm"


def test_anthropic_failures(claude):
    with pytest.raises(anthropic.RateLimitError):
        claude.messages.create(model="429", max_tokens=9, messages=HELLO)
    with pytest.raises(anthropic.InternalServerError):
        claude.messages.create(model="500", max_tokens=9, messages=HELLO)
    with pytest.raises(Exception, match="reset by peer"):
        with claude.messages.stream(model="reset=4+rate=50", max_tokens=9, messages=HELLO) as stream:
            stream.get_final_message()


def test_responses(gpt, upstream):
    reply = gpt.responses.create(model="plain", input="Hello")
    assert (reply.output_text, reply.status) == (upstream.reply, "completed")
    assert upstream.last.last_user == "Hello"
    items = [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]
    assert gpt.responses.create(model="echo", input=items, previous_response_id=reply.id).output_text == "Hi"
    assert gpt.responses.create(model="length", input="Hello").incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("how", ["plain", "bytes=1", "crlf", "lump+noise", "gzip"])
def test_responses_stream(gpt, upstream, how):
    events = list(gpt.responses.create(model=how, input="Hello", stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == upstream.reply
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == upstream.reply
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_responses_tools(gpt):
    tools = [{"type": "function", "name": "weather", "parameters": {}, "strict": False}]
    with gpt.responses.stream(model="tools", input="Hello", tools=tools) as stream:
        list(stream)
        calls = stream.get_final_response().output
    assert [(call.name, call.arguments) for call in calls] == [("weather", '{"city": "Zürich"}'), ("clock", "{}")]
    result = {"type": "function_call_output", "call_id": calls[0].call_id, "output": "17 degrees"}
    given = [{"role": "user", "content": "Hello"}, *(call.to_dict() for call in calls), result]
    given = [{key: value for key, value in item.items() if key != "parsed_arguments"} for item in given]
    assert gpt.responses.create(model="tools+text=warm", input=given, tools=tools).output_text == "warm"


async def _asynchronous(url: str) -> str:
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
        stream = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


def test_async(upstream):
    import asyncio

    assert asyncio.run(_asynchronous(upstream.url)) == HELLO[0]["content"]
