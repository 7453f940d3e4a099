"""Errors of REST and MCP for odd values: about the caller's field, never about the library that checks it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from engram.errors import InvalidEngram
from engram.serve.api.tool import MemoryTool
from engram.serve.api.tools import TOOLS

from .test_rest import RestClient

INTERNALS = re.compile(
    r"function-|validator|pydantic|functools|partial\(|lambda|<class|<function|Value error|Traceback|tagged|one turn"
)
LONGEST = 300
"""Characters of a message."""
ODD: list[Any] = [
    None, "", 0, -1, 1.5, True, [], {}, "x", "0001-01-01T00:00:00+12:19", "9999-12-31T23:59:59-12:00", "2026-02-30",
    "x" * 600, "\0", ["\0"], [[]], [None], {"a": 1}, 10**30, "\ud800", "018f", "🐝" * 300, {"text": 5}, [{"text": ""}],
    [{"text": "x", "role": "boss", "metadata": []}],
]  # fmt: skip
TEXTS = [value for value in ODD if isinstance(value, str) and "\ud800" not in value]
ID = "018f1111-2222-7333-8444-555566667777"
BASES: dict[str, dict[str, Any]] = {
    "/memory/remember": {"text": "x"},
    "/memory/recall": {"query": "x"},
    "/memory/working": {"query": "x"},
    "/memory/reflect": {"seconds": 0},
    "/memory/why": {"query": "x", "id": ID},
    "/memory/forget": {"session": "s"},
    "/memory/policies": {"namespace": "n", "expire_after_seconds": 60},
    "/memory/state/rollback": {"name": "x", "version": 1},
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestClient]:
    with ExitStack() as stack:
        yield RestClient(tmp_path_factory.mktemp("odd"), stack)


def check(answer: httpx.Response) -> None:
    """Check that an answer is a success, or an error in words."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert not INTERNALS.search(f"{error['message']} {error['param']}"), error
        assert len(error["message"]) <= LONGEST


@pytest.mark.parametrize("path", BASES)
def test_odd_fields_of_rest(client: RestClient, path: str) -> None:
    document = client.app.openapi()
    fields = {name for schema in document["components"]["schemas"].values() for name in schema.get("properties", ())}
    assert {"text", "query", "limit", "before", "id"} <= fields
    for odd in ODD:
        bodies = [odd, *({**BASES[path], name: odd} for name in (*sorted(fields), "unknown"))]
        if path == "/memory/remember":
            bodies += [{"items": [{"text": "x", name: odd}]} for name in sorted(fields)]
        for body in bodies:
            content = json.dumps(body).encode()
            check(
                client.ask(
                    "POST", path.removeprefix("/memory"), content=content, headers={"Content-Type": "application/json"}
                )
            )


@pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_no_number_for_any_tool(tool: MemoryTool[Any], value: bool) -> None:
    properties = tool.input_schema()["properties"]
    for name, schema in properties.items():
        if schema.get("type") in ("integer", "number"):
            with pytest.raises(InvalidEngram, match=f"^{name} is a boolean; it must be a number$"):
                tool.read({name: value})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/recall", "limit"),
        ("/recall", "floor"),
        ("/recall", "budget"),
        ("/working", "budget"),
        ("/reflect", "seconds"),
        ("/policies", "expire_after_seconds"),
        ("/state/rollback", "version"),
        ("/arcs", "limit"),
        ("/profile", "budget"),
    ],
)
def test_a_boolean_is_no_number_for_rest(client: RestClient, path: str, name: str) -> None:
    base = BASES.get(f"/memory{path}")
    for value in (True, False):
        if base is None:
            answer = client.ask("GET", path, params={name: value})
        else:
            answer = client.ask("POST", path, json={**base, name: value})
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, name)


TWICE = [
    ("/remember", '{"text": "a", "text": "b"}', "text"),
    ("/remember", '{"items": [{"text": "a"}, {"text": "b", "role": "user", "role": "tool"}]}', "role"),
    ("/remember", '{"text": "a", "metadata": {"page": {"number": 1, "number": 2}}}', "number"),
    ("/remember", '{"items": [' + '{"text": "' + "x" * 300_000 + '"}, ' + '{"a": 1, "a": 2}]}', "a"),
    ("/forget", '{"session": "a", "session": "b"}', "session"),
    ("/recall", '{"query": "x", "\\u006cimit": 1, "limit": 2}', "limit"),
    ("/recall", '{"query": "x", "": 1, "": 2}', ""),
    ("/state/document?name=plan", '{"value": [{"\\ud800": 1, "\\ud800": 2}]}', "\\ud800"),
]


@pytest.mark.parametrize(("path", "body", "key"), TWICE)
def test_a_key_that_comes_twice_in_an_object_is_named_and_nothing_is_stored(
    client: RestClient, path: str, body: str, key: str
) -> None:
    before = client.memory.stats().engrams
    method = "PUT" if path.startswith("/state") else "POST"
    answer = client.ask(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", key)
    assert error["message"] == f"{key}: it came twice in one object; send it once"
    assert client.memory.stats().engrams == before
    assert client.memory.state("home").get("plan") is None


def test_a_key_may_come_in_two_objects(client: RestClient) -> None:
    body = '{"items": [{"text": "a", "metadata": {"a": {"a": 1}}}, {"text": "b", "metadata": {"a": 2}}]}'
    answer = client.ask("POST", "/remember", content=body, headers={"Content-Type": "application/json"})
    assert [engram["metadata"] for engram in answer.json()["engrams"]] == [{"a": {"a": 1}}, {"a": 2}]


def test_odd_parameters_of_rest(client: RestClient) -> None:
    for path, operations in client.app.openapi()["paths"].items():
        for method, operation in operations.items():
            place = path.removeprefix("/memory")
            for parameter in operation.get("parameters", ()):
                for odd in TEXTS:
                    if parameter["in"] == "query":
                        twice = [(parameter["name"], odd), (parameter["name"], "y")]
                        check(client.ask(method.upper(), place.replace("{id}", ID), params=twice[:1]))
                        check(client.ask(method.upper(), place.replace("{id}", ID), params=twice))
                    elif parameter["in"] == "path":
                        check(client.ask(method.upper(), place.replace("{id}", quote(odd, safe="") or "x")))


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_odd_arguments_of_mcp(tool: MemoryTool[Any]) -> None:
    needed = {"id": "x", "text": "x", "query": "x", "name": "x", "value": 1, "version": 1}
    fields = tool.arguments.model_fields.items()
    base = {name: needed[name] for name, field in fields if field.is_required()}
    messages = []
    for name in (*tool.arguments.model_fields, "unknown"):
        for odd in ODD:
            try:
                tool.read({**base, name: odd})
            except InvalidEngram as error:
                messages.append((name, str(error)))
    assert len(messages) > 20
    for name, message in messages:
        assert name in message or message.startswith("id is")
        assert not INTERNALS.search(message)
        assert len(message) <= LONGEST
