"""Engram's tools in the proxy: the model calls them, the server runs them, and the client sees one reply."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest

from engram.serve.settings import Settings
from engram.serve.tool_calls.granting import with_tools
from engram.serve.wire.table import CHAT
from engram.tools.functions import FUNCTIONS, definitions, definitions_json
from tests.serve.calling import keys
from tests.serve.conftest import StartLocal, StartServer, wait_until
from tests.serve.proxied import PATIENT, Caller, Json, assistant, unnumbered, user
from tests.serve.upstream import Asked, Planned, Upstream

ON = {"X-Engram-Tools": "on"}
DOG = "What is my dog called?"
SEARCH = ("engram_conversation_search", {"query": DOG})
KEEP = ("engram_archive_add", {"text": "Ships anchor east of the old harbour wall."})
NOTE = ("engram_core_append", {"block": "user", "text": "Ana has a dog."})
WEATHER = ("weather", {"city": "Porto"})
WEATHER_TOOL = {"name": "weather", "description": "The weather.", "parameters": {"type": "object", "properties": {}}}


class Reply:
    """What a client got, in whatever form."""

    def __init__(self, text: str, calls: list[tuple[str, Any]], end: str, used: int, raw: Any) -> None:
        self.text, self.calls, self.end, self.used, self.raw = text, calls, end, used, raw


Ask = Callable[..., Reply]


def chat_whole(caller: Caller, messages: list[Json], **more: Any) -> Reply:
    done = caller.openai().chat.completions.create(model="m", messages=messages, **chat_tools(more))  # type: ignore[call-overload]
    [choice] = done.choices
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or ()]
    return Reply(choice.message.content or "", calls, choice.finish_reason, done.usage.completion_tokens, done)


def chat_stream(caller: Caller, messages: list[Json], **more: Any) -> Reply:
    stream = caller.openai().chat.completions.create(
        model="m", messages=messages, stream=True, stream_options={"include_usage": True}, **chat_tools(more)
    )  # type: ignore[call-overload]
    text, calls, ends, used, chunks = "", dict[int, list[str]](), [], 0, []
    for chunk in stream:
        chunks.append(chunk)
        used = chunk.usage.completion_tokens if chunk.usage else used
        for choice in chunk.choices:
            text += choice.delta.content or ""
            ends += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or ():
                name, arguments = calls.setdefault(call.index, ["", ""])
                calls[call.index] = [name + (call.function.name or ""), arguments + (call.function.arguments or "")]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert sum(choice.delta.role is not None for chunk in chunks for choice in chunk.choices) == 1
    assert list(calls) == list(range(len(calls)))
    [end] = ends
    return Reply(text, [(name, json.loads(given)) for name, given in calls.values()], end, used, chunks)


def chat_tools(more: dict[str, Any]) -> dict[str, Any]:
    given = {**more}
    if given.pop("weather", False):
        given["tools"] = [{"type": "function", "function": WEATHER_TOOL}]
    return {"extra_headers": ON, **given}


def messages_tools(more: dict[str, Any]) -> dict[str, Any]:
    given = {**more}
    if given.pop("weather", False):
        tool = {name: value for name, value in WEATHER_TOOL.items() if name != "parameters"}
        given["tools"] = [{**tool, "input_schema": WEATHER_TOOL["parameters"]}]
    return {"extra_headers": ON, "max_tokens": 99, **given}


def messages_whole(caller: Caller, messages: list[Json], **more: Any) -> Reply:
    done = caller.anthropic().messages.create(model="m", messages=messages, **messages_tools(more))  # type: ignore[call-overload]
    return of_message(done)


def messages_stream(caller: Caller, messages: list[Json], **more: Any) -> Reply:
    with caller.anthropic().messages.stream(model="m", messages=messages, **messages_tools(more)) as stream:  # type: ignore[arg-type]
        kinds = [event.type for event in stream]
        done = stream.get_final_message()
    assert kinds.count("message_start") == kinds.count("message_stop") == kinds.count("message_delta") == 1
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(done.content)
    return of_message(done)


def of_message(done: Any) -> Reply:
    text = "".join(block.text for block in done.content if block.type == "text")
    calls = [(block.name, block.input) for block in done.content if block.type == "tool_use"]
    end = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}[done.stop_reason]
    return Reply(text, calls, end, done.usage.output_tokens, done)


def responses_tools(more: dict[str, Any]) -> dict[str, Any]:
    given = {**more}
    if given.pop("weather", False):
        given["tools"] = [{"type": "function", **WEATHER_TOOL, "strict": False}]
    return {"extra_headers": ON, **given}


def responses_whole(caller: Caller, messages: list[Json], **more: Any) -> Reply:
    return of_response(caller.openai().responses.create(model="m", input=messages, **responses_tools(more)))  # type: ignore[arg-type]


def responses_stream(caller: Caller, messages: list[Json], **more: Any) -> Reply:
    stream = caller.openai().responses.create(model="m", input=messages, stream=True, **responses_tools(more))  # type: ignore[arg-type]
    events = list(stream)
    kinds = [event.type for event in events]
    assert kinds.count("response.created") == 1
    assert kinds[-1] in ("response.completed", "response.incomplete")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    done = events[-1].response
    added = [event.output_index for event in events if event.type == "response.output_item.added"]
    assert added == list(range(len(done.output)))
    return of_response(done)


def of_response(done: Any) -> Reply:
    text = "\n\n".join(part.text for item in done.output if item.type == "message" for part in item.content)
    calls = [(item.name, json.loads(item.arguments)) for item in done.output if item.type == "function_call"]
    end = "tool_calls" if calls else {"completed": "stop", "incomplete": "length"}[done.status]
    return Reply(text, calls, end, done.usage.output_tokens, done)


ASKS: dict[str, Ask] = {
    "chat": chat_whole,
    "chat-stream": chat_stream,
    "messages": messages_whole,
    "messages-stream": messages_stream,
    "responses": responses_whole,
    "responses-stream": responses_stream,
}


@pytest.fixture(params=ASKS)
def ask(request: pytest.FixtureRequest) -> Ask:
    return ASKS[request.param]


@pytest.fixture
def chat(places: Any) -> Iterator[Caller]:
    with Caller(*places["fast"]) as caller:
        yield caller


def tools_of(asked: Asked) -> list[str]:
    """Return the names of the tools in a request, as upstream received it."""
    return [tool.get("function", tool)["name"] for tool in asked.json.get("tools", [])]


def results_in(asked: Asked) -> list[Json]:
    """Return the results of Engram's tools in a request, as upstream received it."""
    found = []
    for message in asked.messages:
        if message.get("role") == "tool":
            found.append(message["content"])
        elif message.get("type") == "function_call_output":
            found.append(message["output"])
        elif isinstance(message.get("content"), list):
            found += [part["content"] for part in message["content"] if part.get("type") == "tool_result"]
    return [json.loads(text) for text in found]


def blocks_of(caller: Caller) -> Any:
    given = {"namespace": caller.namespace, "name": "core/user"}
    return caller.server.http.get("/memory/state/document", params=given).json().get("value")


# The loop.


def test_the_model_calls_a_tool_and_the_client_gets_one_reply(relayed: Caller, ask: Ask) -> None:
    relayed.remember("My dog is called Biscuit.")
    relayed.upstream.clear()
    relayed.upstream.plan(Planned("Let me see.", (SEARCH,)), Planned("It is Biscuit."))
    reply = ask(relayed, [user("Do you know the name of my dog?")])
    assert (reply.text, reply.calls, reply.end) == ("Let me see.\n\nIt is Biscuit.", [], "stop")
    first, second = relayed.upstream.asked
    assert tools_of(first) == tools_of(second) == list(FUNCTIONS)
    [result] = results_in(second)
    assert [passage["text"] for passage in result["passages"]] == ["My dog is called Biscuit."]
    # What the second request holds begins with the first, byte for byte: the prompt cache of the provider holds.
    assert second.body.startswith(first.body[: first.body.rindex(b"}]")])
    assert relayed.answer["x-engram-tools"] == "on"
    relayed.settle()
    said = [one for one in relayed.kept() if one["session"] != "long ago"]
    # A response has an item for each text, and each is an engram.
    texts = [text for one in said[1:] for text in one["text"].split("\n\n")]
    assert texts == ["Let me see.", "It is Biscuit."]
    assert [one["role"] for one in said] == ["user", *["assistant"] * (len(said) - 1)]
    assert not any(one["metadata"].get("broken_off") for one in said)


def test_the_use_of_all_rounds_is_added_up(chat: Caller, ask: Ask) -> None:
    chat.upstream.plan(Planned("one two", (NOTE,)), Planned("three", (NOTE,)), Planned("four five six"))
    reply = ask(chat, [user("Hello.")])
    # Responses count five for each of three rounds.
    assert reply.used == (15 if "esponse" in type(reply.raw).__name__ else 6)


def test_a_conversation_goes_on_after_tools(chat: Caller, ask: Ask) -> None:
    chat.upstream.plan(Planned("", (NOTE,)), Planned("Noted."))
    first = ask(chat, [user("I have a dog.")])
    chat.settle()
    chat.upstream.plan(Planned("Yes."))
    ask(chat, [user("I have a dog."), assistant(first.text), user("Did you note it?")])
    chat.settle()
    assert chat.said() == [
        ("user", "I have a dog."),
        ("assistant", "Noted."),
        ("user", "Did you note it?"),
        ("assistant", "Yes."),
    ]
    assert len(chat.sessions()) == 1
    assert blocks_of(chat) == {"text": "Ana has a dog."}


def test_several_calls_in_a_round_are_answered_in_their_order(chat: Caller, ask: Ask) -> None:
    chat.upstream.clear()
    chat.upstream.plan(Planned("", (NOTE, KEEP, ("engram_core_read", {}))), Planned("Done."))
    assert ask(chat, [user("Note it.")]).text == "Done."
    noted, kept, read = results_in(chat.last)
    assert noted["version"] == 1
    assert kept["kept"] is True
    assert read["blocks"][0]["text"] == "Ana has a dog."
    chat.settle()
    archived = next(one for one in chat.kept() if one["kind"] == "archive")
    assert (archived["origin"], archived["role"]) == ("agent", "assistant")
    assert archived["session"] == chat.answer["x-engram-session"]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("engram_core_append", "{not json", "JSON"),
        ("engram_core_append", {"block": "user"}, "text is missing"),
        ("engram_core_append", {"block": "user", "text": "a\0b"}, "NUL"),
        ("engram_archive_add", {"text": "x", "origin": "user"}, "no argument 'origin'"),
        ("engram_forget_all", {}, "does not exist"),
    ],
)
def test_a_wrong_call_is_answered_with_an_error_and_the_reply_goes_on(
    chat: Caller, ask: Ask, name: str, arguments: Any, says: str
) -> None:
    if arguments == "{not json" and ask in (messages_whole,):
        arguments = {}
        says = "block is missing"
    chat.upstream.plan(Planned("", ((name, arguments),)), Planned("Sorry."))
    assert ask(chat, [user("Note it.")]).text == "Sorry."
    [result] = results_in(chat.last)
    if not (arguments == "{not json" and ask is messages_stream):
        assert says in result["error"]


# The client's tools.


def test_a_call_of_the_clients_tool_goes_to_the_client(chat: Caller, ask: Ask) -> None:
    chat.upstream.clear()
    chat.upstream.plan(Planned("I ask.", (WEATHER,)))
    reply = ask(chat, [user("How is the weather in Porto?")], weather=True)
    assert (reply.text, reply.calls, reply.end) == ("I ask.", [WEATHER], "tool_calls")
    assert tools_of(chat.last) == [*FUNCTIONS, "weather"]
    assert len(chat.upstream.asked) == 1


def test_of_mixed_calls_the_client_gets_its_own_and_engrams_are_run(chat: Caller, ask: Ask) -> None:
    chat.upstream.clear()
    chat.upstream.plan(Planned("I ask.", (NOTE, WEATHER, KEEP, ("weather", {"city": "Graz"}))))
    reply = ask(chat, [user("How is the weather in Porto?")], weather=True)
    assert (reply.text, reply.calls, reply.end) == ("I ask.", [WEATHER, ("weather", {"city": "Graz"})], "tool_calls")
    assert "engram_" not in str(reply.raw)
    assert len(chat.upstream.asked) == 1
    assert blocks_of(chat) == {"text": "Ana has a dog."}


def test_a_client_answers_its_call_and_the_history_is_valid(chat: Caller) -> None:
    chat.upstream.plan(Planned("", (NOTE, WEATHER)))
    reply = chat_stream(chat, [user("The weather?")], weather=True)
    chat.settle()
    call = {"id": "call_x", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Porto"}'}}
    history = [
        user("The weather?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_x", "content": "Rain."},
    ]
    chat.upstream.plan(Planned("", (SEARCH,)), Planned("It rains."))
    assert chat_stream(chat, history, weather=True).text == "It rains."
    assert reply.calls == [WEATHER]
    answered = {one["tool_call_id"] for one in chat.last.messages if one["role"] == "tool"}
    asked = {one["id"] for said in chat.last.messages for one in said.get("tool_calls") or ()}
    assert answered == asked
    chat.settle()
    assert len(chat.sessions()) == 1
    assert [text for _, text in chat.said()] == ["The weather?", 'weather({"city": "Porto"})', "Rain.", "It rains."]


def test_a_hidden_round_may_be_followed_by_a_call_of_the_client(chat: Caller, ask: Ask) -> None:
    chat.upstream.plan(Planned("", (SEARCH,)), Planned("", (WEATHER,)))
    reply = ask(chat, [user("The weather where I live?")], weather=True)
    assert (reply.calls, reply.end) == ([WEATHER], "tool_calls")


# What the client asks for.


def test_tool_choice_stays_as_the_client_set_it(chat: Caller) -> None:
    choice = {"type": "function", "function": {"name": "weather"}}
    chat.upstream.plan(Planned("", (WEATHER,)))
    chat_whole(chat, [user("The weather?")], weather=True, tool_choice=choice)
    assert chat.last.json["tool_choice"] == choice
    chat.upstream.plan(Planned("", (SEARCH,)), Planned("", (WEATHER,)))
    chat_whole(chat, [user("The weather?")], weather=True, tool_choice="required")
    assert chat.last.json["tool_choice"] == "required"
    chat.upstream.plan(Planned("No tools."))
    chat_whole(chat, [user("The weather?")], tool_choice="none")
    assert chat.last.json["tool_choice"] == "none"


def test_a_choice_of_one_of_engrams_tools_holds_for_the_first_round(chat: Caller) -> None:
    chat.upstream.clear()
    chat.upstream.plan(Planned("", (SEARCH,)), Planned("Done."))
    choice = {"type": "function", "function": {"name": SEARCH[0]}}
    assert chat_whole(chat, [user("Search.")], tool_choice=choice).text == "Done."
    first, second = chat.upstream.asked
    assert (first.json["tool_choice"], second.json["tool_choice"]) == (choice, "auto")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"n": 2}, "several replies"),
        ({"functions": [WEATHER_TOOL]}, "functions"),
        ({"response_format": {"type": "json_object"}}, "structured output"),
        ({"tool_choice": "required"}, "has none"),
        ({"tools": {}}, "no list"),
        ({"tools": [{"type": "function", "function": {"name": "engram_core_read"}}]}, "a tool engram_core_read of its"),
    ],
)
def test_a_request_that_takes_no_tools_passes_as_it_came(chat: Caller, fields: Json, why: str) -> None:
    body = json.dumps({"model": "plain", "messages": [user("Hello.")], **fields}).encode()
    answer = chat.post("/v1/chat/completions", body, **{"X-Engram-Tools": "on"})
    assert answer.status_code == 200
    assert answer.headers["x-engram-tools"].startswith("off; ")
    assert why in answer.headers["x-engram-tools"]
    assert chat.last.body == body


def test_the_beginning_of_a_reply_takes_no_tools(chat: Caller) -> None:
    answer = chat.chat([user("Hello."), assistant("Dear")], **{"X-Engram-Tools": "on"})
    assert "beginning of the reply" in answer.headers["x-engram-tools"]


def test_without_the_header_a_request_passes_byte_for_byte(chat: Caller) -> None:
    body = b'{"model":"plain", "x": 1.50,"messages":[ {"role":"user","content":"Hello."}]}'
    for header in ({}, {"X-Engram-Tools": "off"}):
        answer = chat.post("/v1/chat/completions", body, **header)
        assert chat.last.body == body
        assert b"1.5" in answer.content
        assert "x-engram-tools" not in answer.headers


def test_another_value_of_the_header_is_refused(chat: Caller) -> None:
    answer = chat.chat("Hello.", **{"X-Engram-Tools": "maybe"})
    assert answer.status_code == 400
    assert "it can be on or off" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        '{"model": "plain", "messages": [{"role": "user", "content": "Hello."}]%s}',
        '{"model": "plain", "tools": null, "messages": [{"role": "user", "content": "Hello."}]%s}',
        '{"model": "plain", "tools": [ ], "messages": [{"role": "user", "content": "Hello."} ]%s}',
    ],
)
def test_the_definitions_are_the_same_bytes_in_every_request(chat: Caller, body: str) -> None:
    expected = definitions_json("openai", writes=True).encode()
    for more in ("", ', "temperature": 0.10'):
        chat.post("/v1/chat/completions", (body % more).encode(), **{"X-Engram-Tools": "on"})
        assert chat.last.body.count(expected) == 1
        assert chat.last.json["tools"] == definitions("openai")
        assert more.encode() in chat.last.body


def test_a_reply_without_a_call_comes_byte_for_byte(relayed: Caller) -> None:
    for path, stream in (("/v1/chat/completions", False), ("/v1/chat/completions", True), ("/v1/messages", True)):
        body = {"model": "plain", "max_tokens": 9, "stream": stream, "messages": [user("Hello.")]}
        with_tools = relayed.post(path, body, **{"X-Engram-Tools": "on"}).content
        without = relayed.post(path, body).content
        assert unnumbered(with_tools) == unnumbered(without)


# Limits and failures.


def test_the_rounds_of_a_reply_are_limited(chat: Caller, ask: Ask) -> None:
    chat.upstream.clear()
    chat.upstream.plan(*[Planned("", (("engram_core_read", {}),))] * 12)
    reply = ask(chat, [user("Hello.")])
    assert (reply.text, reply.calls, reply.end) == ("", [], "length")
    assert len(chat.upstream.asked) == 8
    assert chat.last.json["tool_choice"] in ("none", {"type": "none"})
    assert "tool_choice" not in chat.upstream.asked[-2].json
    assert chat.server.logged("the model still called Engram's tools after 8 rounds; the reply ends here")
    chat.upstream.plan()


def test_a_reply_that_is_cut_off_runs_no_tool(chat: Caller, ask: Ask) -> None:
    chat.upstream.plan(Planned("I was going to", (NOTE,), "length"))
    reply = ask(chat, [user("Hello.")])
    assert (reply.text, reply.calls, reply.end) == ("I was going to", [], "length")
    assert blocks_of(chat) is None


@pytest.mark.parametrize("script", ["500", "429"])
def test_upstream_refuses_the_second_round_of_a_reply_that_comes_whole(chat: Caller, script: str) -> None:
    chat.upstream.plan(Planned("", (NOTE,)), Planned(script=script))
    with pytest.raises(openai.APIStatusError, match="as scripted") as raised:
        chat_whole(chat, [user("Hello.")])
    assert raised.value.status_code == int(script)
    chat.upstream.plan(Planned("", (NOTE,)), Planned(script=script))
    with pytest.raises(anthropic.APIStatusError, match="as scripted"):
        messages_whole(chat, [user("Hello.")])
    assert chat.server.logged("upstream failed during tools")
    chat.settle()
    assert ("user", "Hello.") in chat.said()


@pytest.mark.parametrize("script", ["garbled", "close"])
def test_upstream_breaks_off_the_second_round_of_a_reply_that_comes_whole(chat: Caller, script: str) -> None:
    chat.upstream.plan(Planned("", (NOTE,)), Planned("It is", script=script))
    answer = chat.chat("Hello.", **{"X-Engram-Tools": "on"})
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_broken"


@pytest.mark.parametrize("script", ["500", "reset=2", "close=1", "garbled"])
def test_upstream_fails_in_the_second_round_of_a_stream(relayed: Caller, script: str) -> None:
    relayed.upstream.plan(Planned("One moment.", (NOTE,)), Planned("It is", script=script))
    with pytest.raises(openai.APIError):
        chat_stream(relayed, [user("Hello.")])
    relayed.upstream.plan(Planned("One moment.", (NOTE,)), Planned("It is", script=script))
    with pytest.raises(anthropic.APIError):
        messages_stream(relayed, [user("Hello.")])
    relayed.upstream.plan(Planned("One moment.", (NOTE,)), Planned("It is", script=script))
    events = list(
        relayed.openai().responses.create(model="m", input=[user("Hello.")], stream=True, extra_headers=ON)  # type: ignore[arg-type]
    )
    assert [event.type for event in events].count("error") == 1
    assert events[-1].type == "error"
    assert relayed.server.logged("upstream failed during tools")
    wait_until(lambda: sum(role == "assistant" for role, _ in relayed.said()) == 3, "three replies")
    for engram in relayed.kept():
        if engram["role"] == "assistant":
            assert engram["text"].startswith("One moment.")
            assert engram["metadata"]["broken_off"] is True


def test_a_stream_that_fails_has_one_end(chat: Caller) -> None:
    chat.upstream.plan(Planned("One moment.", (NOTE,)), Planned(script="429"))
    body = {"model": "m", "stream": True, "messages": [user("Hello.")]}
    answer = chat.post("/v1/chat/completions", body, **{"X-Engram-Tools": "on"})
    assert answer.content.count(b"data: [DONE]") == 1
    assert b'"as scripted"' in answer.content
    assert b'"finish_reason": "tool_calls"' not in answer.content


def test_a_first_round_that_fails_is_answered_as_without_tools(chat: Caller, ask: Ask) -> None:
    chat.upstream.plan(Planned(script="401"))
    with pytest.raises((openai.AuthenticationError, anthropic.AuthenticationError)):
        ask(chat, [user("Hello.")])
    chat.settle()
    assert chat.said() == []


def test_a_client_that_leaves_in_a_hidden_round_ends_the_call_of_upstream(relayed: Caller) -> None:
    relayed.upstream.clear()
    relayed.upstream.plan(Planned("One moment.", (KEEP,)), Planned("Never.", script="slow=30"))
    stream = relayed.openai().chat.completions.create(
        model="m", messages=[user("Hello.")], stream=True, extra_headers=ON
    )  # type: ignore[call-overload]
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    wait_until(lambda: len(relayed.upstream.asked) == 2, "the second round")
    stream.close()
    assert relayed.last.ended.wait(30)
    assert relayed.last.outcome == "gone"
    kept = relayed.keeps(3)
    assert {one["kind"] for one in kept} == {"turn", "archive"}


def test_calls_beyond_the_most_of_a_round_are_answered_with_an_error(chat: Caller) -> None:
    calls = tuple(("engram_archive_add", {"text": f"Passage {number}."}) for number in range(18))
    chat.upstream.plan(Planned("", calls), Planned("Done."))
    assert chat_whole(chat, [user("Keep all.")]).text == "Done."
    results = results_in(chat.last)
    assert ["error" in result for result in results] == [False] * 16 + [True] * 2


def test_calls_are_counted(chat: Caller) -> None:
    chat.upstream.plan(Planned("", (("engram_core_read", {}), ("engram_nothing", {}))), Planned("Done."))
    chat_whole(chat, [user("Hello.")])
    metrics = chat.server.http.get("/metrics").text
    assert 'engram_tool_calls_total{outcome="ok",tool="engram_core_read"}' in metrics
    assert 'engram_tool_calls_total{outcome="error",tool="unknown"}' in metrics


# Rights and settings.


def test_a_request_that_may_only_read_gets_the_tools_that_read(chat: Caller) -> None:
    chat.upstream.plan(Planned("", (NOTE,)), Planned("Done."))
    answer = chat.chat("Hello.", **{"X-Engram-Tools": "on", "X-Engram": "read"})
    assert answer.headers["x-engram-tools"] == "read"
    assert answer.json()["choices"][0]["message"]["content"] == "Done."
    assert tools_of(chat.last) == [name for name, one in FUNCTIONS.items() if not one.writes]
    assert "may not be called" in results_in(chat.last)[0]["error"]
    assert blocks_of(chat) is None
    assert chat.said() == []
    for mode in ("write", "off"):
        answer = chat.chat("Hello.", **{"X-Engram-Tools": "on", "X-Engram": mode})
        assert answer.headers["x-engram-tools"].startswith("off; ")
        assert "tools" not in chat.last.json


def test_a_key_without_the_right_to_write_gets_no_tool_that_writes(local: StartLocal, upstream: Upstream) -> None:
    server = local()
    key = keys(server.memory, "create", "--namespace", "ana", "--no-write")["key"]
    upstream.plan(Planned("", (NOTE,)), Planned("Done."))
    wait_until(lambda: server.http.get("/memory/sessions").status_code == 401, "the key counts")
    headers = {"X-Engram-Key": key, **ON}
    answer = server.http.post(
        "/v1/chat/completions", json={"model": "m", "messages": [user("Hello.")]}, headers=headers
    )
    assert answer.headers["x-engram-tools"] == "read"
    assert tools_of(upstream.last) == [name for name, one in FUNCTIONS.items() if not one.writes]


def test_a_server_can_allow_no_tools_or_give_them_to_all(local: StartLocal, upstream: Upstream) -> None:
    body = {"model": "plain", "messages": [user("Hello.")]}
    off = local(tools="off")
    answer = off.http.post("/v1/chat/completions", json=body, headers=ON)
    assert "allows no tools" in answer.headers["x-engram-tools"]
    assert "tools" not in upstream.last.json
    off.stop()
    on = local(tools="on")
    assert on.http.post("/v1/chat/completions", json=body).headers["x-engram-tools"] == "on"
    assert tools_of(upstream.last) == list(FUNCTIONS)
    on.http.post("/v1/chat/completions", json=body, headers={"X-Engram-Tools": "off"})
    assert "tools" not in upstream.last.json


@pytest.mark.slow
def test_what_a_tool_kept_outlives_a_kill_in_the_next_round(server: StartServer, upstream: Upstream) -> None:
    first = server(*PATIENT)
    upstream.plan(Planned("", (KEEP, NOTE)), Planned("Never.", script="late=30"))
    body = {"model": "m", "stream": True, "messages": [user("Keep it.")]}
    with first.http.stream("POST", "/v1/chat/completions", json=body, headers=ON) as answer:
        assert answer.status_code == 200
        wait_until(lambda: len(upstream.asked) == 2, "the second round")
        first.kill()
    second = server(*PATIENT)
    upstream.plan(
        Planned("", (("engram_core_read", {}), ("engram_archive_search", {"query": "Where do ships anchor?"}))),
        Planned("Done."),
    )
    second.http.post("/v1/chat/completions", json={"model": "m", "messages": [user("And?")]}, headers=ON)
    read, found = results_in(upstream.last)
    assert read["blocks"][0]["text"] == "Ana has a dog."
    assert [passage["text"] for passage in found["passages"]] == [KEEP[1]["text"]]


def test_the_embedded_model_gets_no_tools() -> None:
    body = json.dumps({"messages": [user("Hello.")]}).encode()
    settings = Settings(memory="memory.db", upstream=None)
    given, said = with_tools(CHAT, CHAT.read(body), body, settings, reads=True, writes=True)
    assert given is None
    assert "embedded model" in said
