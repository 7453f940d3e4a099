"""Requests that no client sends by accident: they neither break nor stall the server, in REST, MCP and the proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import LocalServer, Server
from .proxied import running
from .upstream import Upstream

DEEP = 100_000
JSON = {"content-type": "application/json"}
MCP = {**JSON, "accept": "application/json, text/event-stream"}
PATHS = ("/memory/remember", "/memory/recall")
MODELS = ("/v1/chat/completions", "/v1/messages", "/v1/responses")

VALUES = {
    "nested lists": "[" * DEEP + "]" * DEEP,
    "nested objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "open lists": "[" * DEEP,
    "open objects": '{"a":' * DEEP,
    "huge exponent": "1e999999",
    "huge negative exponent": "-1e999999",
    "many digits": "9" * 5_000,
    "a million digits": "7" * 1_000_000,
    "many decimals": "0." + "3" * 100_000,
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "lone surrogate": '"\\ud800"',
    "low surrogate first": '"\\udc00\\ud800"',
    "NUL": '"a\\u0000b"',
    "open string": '"' + "a" * 100_000,
    "many escapes": '"' + "\\\\" * 100_000 + '"',
    "bytes that are no text": "\udcff\udcfe",
    "repeated names": "{" + ",".join(f'"a": {number}' for number in range(20_000)) + "}",
    "many names": "{" + ",".join(f'"a{number}": 0' for number in range(20_000)) + "}",
    "many empty lists": "[" + ",".join(["[]"] * 100_000) + "]",
}
FIELDS = ("text", "query", "items", "metadata", "limit", "messages", "user", "model")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalServer, Upstream]]:
    with running(tmp_path_factory.mktemp("hostile")) as both:
        yield both


def bodies(value: str) -> Iterator[bytes]:
    """Yield a value as a body, as every field of a body, and twice as the same field."""
    yield value.encode(errors="surrogateescape")
    for field in FIELDS:
        yield f'{{"text": "x", "query": "x", "{field}": {value}}}'.encode(errors="surrogateescape")
    yield f'{{"messages": {value}, "messages": [{{"role": "user", "content": {value}}}]}}'.encode(
        errors="surrogateescape"
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_rest_answers_hostile_json_with_its_fault(served: tuple[LocalServer, Upstream], path: str, value: str) -> None:
    for body in bodies(value):
        answer = served[0].http.post(path, content=body, headers=JSON)
        assert answer.status_code < 500, (body[:80], answer.text)
        assert answer.is_success or answer.json()["error"]["message"]


@pytest.mark.parametrize("path", MODELS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_hostile_json_to_a_model_is_refused_or_passed_on(
    served: tuple[LocalServer, Upstream], path: str, value: str
) -> None:
    server, upstream = served
    for body in bodies(value):
        asked = len(upstream.asked)
        answer = server.http.post(path, content=body, headers=JSON)
        passed = len(upstream.asked) > asked
        assert answer.status_code == 400 or passed, (body[:80], answer.text)
        assert not passed or upstream.asked[-1].body == body
        assert not server.logged("recall failed")


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_mcp_answers_hostile_json_with_its_fault(served: tuple[LocalServer, Upstream], value: str) -> None:
    for name in ("recall", "remember", "list"):
        for field in ("query", "text", "ids", "limit"):
            arguments = f'{{"query": "x", "text": "x", "{field}": {value}}}'
            call = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {{"name": "{name}", "arguments": '
            body = f"{call}{arguments}}}}}".encode(errors="surrogateescape")
            answer = served[0].http.post("/mcp", content=body, headers=MCP)
            assert answer.status_code < 500, (body[:120], answer.text)


# One long text of each suspicious kind through a real server.

MIB = 1 << 20
SUSPICIOUS = (
    "<|",
    "< ",
    "a\u0300\u0316",
    "\u0f73\u0316",
    "&amp;",
    "\ufdfa",
    "\u200d",
    " \n",
    "who ",
    "</think>",
    "9 may ",
)


def long_text(piece: str) -> str:
    return piece * (MIB // len(piece.encode()))


def post(server: Server, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    # The client's time limit is what a stalled server breaks.
    answer = server.http.post(path, json=body, headers=headers)
    assert answer.is_success, answer.text
    return answer


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("long")
    with Upstream() as upstream:
        server = Server(folder / "memory.db", upstream.url, "--deadline", "20000", HOME=str(folder))
        try:
            yield server
        finally:
            server.close()


@pytest.mark.parametrize("piece", SUSPICIOUS)
def test_a_long_hostile_text_stalls_nothing(process: Server, piece: str) -> None:
    text = long_text(piece)
    home = {"X-Engram-Namespace": f"of {SUSPICIOUS.index(piece)}"}
    kept = post(process, "/memory/remember", {"text": text}, **home).json()["engrams"][0]
    post(process, "/memory/remember", {"text": "The ferry to Porto leaves at 7:45."}, **home)
    hits = post(process, "/memory/recall", {"query": "When does the ferry leave?", "budget": 500}, **home).json()[
        "hits"
    ]
    assert hits[0]["engram"]["text"].startswith("The ferry")
    post(process, "/memory/recall", {"query": text[:32_768], "budget": 500}, **home)
    said = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": text},
        {"role": "user", "content": "And?"},
    ]
    answer = post(process, "/v1/chat/completions", {"model": "text=Fine", "messages": said}, **home)
    assert process.settled(answer.headers["x-engram-receipt"], **home)["state"] in ("stored", "indexed")
    for name, arguments in (("recall", {"query": "ferry"}), ("list", {"ids": [kept["id"]]}), ("list", {})):
        params = {"name": name, "arguments": arguments}
        called = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        result = post(process, "/mcp", called, **home, accept=MCP["accept"])
        assert not json.loads(result.text.removeprefix("event: message\r\ndata: "))["result"].get("isError")
    assert process.http.get("/healthz").is_success
