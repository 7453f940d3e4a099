"""Streams to clients of HTTP/1.0: no chunks, whatever server and relay run."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from tests.serve.conftest import PATIENCE, RunningServer, StartLocal
from tests.serve.upstream import Upstream

CHAT = "/v1/chat/completions"
SERVERS: list[dict[str, Any]] = [{"relay": "fast"}, {"relay": "plain"}, {"http": "httptools"}, {"http": "h11"}]


def exchanged(
    server: RunningServer, method: str, path: str, body: bytes = b"", version: str = "1.0"
) -> tuple[str, bytes]:
    """Send a request and read until the server closes; return the head, in lower case, and the body."""
    head = f"{method} {path} HTTP/{version}\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), PATIENCE) as line:
        line.sendall(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        received = bytearray()
        while part := line.recv(1 << 16):
            received += part
    first, _, rest = bytes(received).partition(b"\r\n\r\n")
    return first.decode("latin-1").lower(), rest


def stream(script: str) -> bytes:
    messages = [{"role": "user", "content": "My kite is called Gust."}]
    return json.dumps({"model": script, "stream": True, "messages": messages}).encode()


@pytest.mark.parametrize("options", SERVERS, ids=str)
def test_streams_come_without_chunks(local: StartLocal, upstream: Upstream, options: dict[str, Any]) -> None:
    server = local(**options)
    for script in ("bytes=7", "tokens=3000", "plain"):
        head, body = exchanged(server, "POST", CHAT, stream(script))
        assert head.startswith("http/1.1 200")
        assert "transfer-encoding" not in head
        assert body.startswith(b"data: {")
        assert body.endswith(b"data: [DONE]\n\n")
    head, body = exchanged(server, "GET", "/memory/export")
    assert "transfer-encoding" not in head
    assert [json.loads(line)["role"] for line in body.splitlines()][:2] == ["user", "assistant"]


@pytest.mark.parametrize("options", SERVERS, ids=str)
def test_responses_with_a_length_and_without_a_body_stay(local: StartLocal, options: dict[str, Any]) -> None:
    server = local(**options)
    head, body = exchanged(server, "GET", "/healthz")
    assert "content-length: 3" in head
    assert body == b"ok\n"
    head, body = exchanged(server, "HEAD", "/healthz")
    assert (head.split("\r\n")[0], body) == ("http/1.1 200 ok", b"")
    head, body = exchanged(server, "POST", CHAT, b"{")
    assert head.startswith("http/1.1 400")
    assert json.loads(body)["error"]["code"] == "invalid_body"


@pytest.mark.parametrize("options", SERVERS, ids=str)
def test_a_stream_that_breaks_off_ends_the_connection(
    local: StartLocal, upstream: Upstream, options: dict[str, Any]
) -> None:
    head, body = exchanged(local(**options), "POST", CHAT, stream("tokens=50+close=20"))
    assert "transfer-encoding" not in head
    assert b"[DONE]" not in body


def test_other_clients_still_get_chunks(local: StartLocal, upstream: Upstream) -> None:
    head, body = exchanged(local(), "POST", CHAT, stream("bytes=7"), version="1.1")
    assert "transfer-encoding: chunked" in head
    assert body.endswith(b"0\r\n\r\n")
