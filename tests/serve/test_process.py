"""`engram serve` as a process: start, streams of every API, limits, SIGTERM and SIGKILL."""

from __future__ import annotations

from typing import Any

import pytest

from engram.memory import Memory
from tests.serve.conftest import StartServer
from tests.serve.proxied import unnumbered
from tests.serve.upstream import Upstream

HELLO: dict[str, Any] = {"model": "plain", "messages": [{"role": "user", "content": "My dog is called Biscuit."}]}

STREAMS = {
    "/v1/chat/completions": HELLO | {"stream": True},
    "/v1/messages": HELLO | {"stream": True, "max_tokens": 9},
    "/v1/responses": {"model": "plain", "input": "My dog is called Biscuit.", "stream": True},
}


@pytest.mark.parametrize("mode", ["auto", "plain"])
def test_a_process_starts_relays_streams_enforces_limits_and_stops(
    server: StartServer, upstream: Upstream, mode: str
) -> None:
    running = server("--relay", mode, "--max-body", "1")
    (listening,) = running.logged("listening")
    assert listening["url"] == running.url
    assert listening["relay"] == {"auto": "fast", "plain": "plain"}[mode]
    assert running.http.get("/healthz").text == "ok\n"
    for path, body in STREAMS.items():
        straight = running.http.post(upstream.root + path, json=body)
        answer = running.http.post(path, json=body)
        assert answer.status_code == 200
        assert unnumbered(answer.content) == unnumbered(straight.content)
        assert running.settled(answer.headers["x-engram-receipt"])["state"] in ("stored", "indexed")
    for status, options in (
        (413, {"content": b"x" * (1 << 20) + b"x"}),
        (431, {"content": b"{}", "headers": {"x": "y" * (64 << 10)}}),
        (421, {"content": b"{}", "headers": {"Host": "evil.example"}}),
    ):
        assert running.http.post("/v1/chat/completions", **options).status_code == status
    assert running.stop() == 0
    assert running.logged("stopped")


def test_what_a_receipt_calls_stored_survives_a_kill(server: StartServer, upstream: Upstream) -> None:
    running = server()
    answer = running.http.post("/v1/chat/completions", json=HELLO)
    assert answer.json()["choices"][0]["message"]["content"] == upstream.reply
    receipt = running.settled(answer.headers["x-engram-receipt"])
    assert receipt["state"] in ("stored", "indexed")
    running.kill()
    with Memory(running.memory) as memory:
        texts = [engram.text for engram in map(memory.get, receipt["engrams"]) if engram is not None]
    assert texts == [HELLO["messages"][0]["content"], upstream.reply]
