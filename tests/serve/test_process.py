"""The process: it says where it listens, answers, ends when told to, and nothing is lost if it is not told."""

from __future__ import annotations

import httpx

from engram.memory import Memory

from .conftest import wait_until

HELLO = {"model": "plain", "messages": [{"role": "user", "content": "My dog is called Biscuit."}]}


def test_start_and_stop(server):
    running = server()
    assert running.http.get("/healthz").status_code == 200
    assert running.logged("listening")[0]["url"] == running.url
    assert running.stop() == 0
    assert running.logged("stopped")


def test_a_turn_and_its_receipt(server, upstream):
    running = server()
    answer = running.http.post("/v1/chat/completions", json=HELLO)
    assert answer.json()["choices"][0]["message"]["content"] == upstream.reply
    receipt = running.settled(answer.headers["x-engram-receipt"])
    assert receipt["state"] in ("stored", "indexed")
    running.kill()
    with Memory(running.memory) as memory:
        assert [memory.get(id).text for id in receipt["engrams"]] == [
            HELLO["messages"][0]["content"],
            upstream.reply,
        ]


def test_a_stream_that_runs_is_finished(server, upstream):
    running = server()
    body = HELLO | {"model": "tokens=60+rate=20", "stream": True}
    with running.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        pieces = answer.iter_raw()
        got = next(pieces)
        running.terminate()
        wait_until(lambda: refused(running.url), "a server that takes nobody any more")
        assert running.process.poll() is None
        got += b"".join(pieces)
    assert got.endswith(b"data: [DONE]\n\n")
    assert running.stop() == 0
    with Memory(running.memory) as memory:
        assert [engram.text for engram in memory.engrams()][1].endswith("word59")


def refused(url: str) -> bool:
    """Whether nobody listens there."""
    try:
        httpx.get(url + "/healthz", trust_env=False, timeout=1)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return False
    return False
