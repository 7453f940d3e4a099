"""The time zone of a request: the header, the server's option, and where the day shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engram.errors import EngramError
from engram.serve.app import create_app
from tests.serve.conftest import LocalServer, Server
from tests.serve.proxied import Caller, running
from tests.serve.upstream import Upstream

NOON = "2026-05-09T15:30:00Z"
"""In Tokyo it is the 10th already."""

Place = tuple[LocalServer, Upstream]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("zones"), timezone=ZoneInfo("America/Lima")) as both:
        yield both


@pytest.fixture
def ana(place: Place) -> Iterator[Caller]:
    with Caller(*place) as caller:
        turn = {"text": "My canoe is called Driftwood.", "at": NOON, "namespace": caller.namespace}
        assert caller.server.http.post("/memory/remember", json=turn).status_code == 201
        yield caller


def noted(caller: Caller, **headers: str) -> str:
    """Return the message that upstream got for a question, with its notes."""
    assert caller.chat("What is my canoe called?", **headers).status_code == 200
    return str(caller.last.json["messages"][-1]["content"])


def test_notes_show_the_day_in_the_zone_of_the_header_else_of_the_option(ana: Caller) -> None:
    assert "[2026-05-09]" in noted(ana)
    assert "[2026-05-10]" in noted(ana, X_Engram_Timezone="Asia/Tokyo")
    assert "[2026-05-09]" in noted(ana, X_Engram_Timezone="")
    assert "x-engram-timezone" not in {name.lower() for name, _ in ana.last.headers}


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Asia", "../../etc/passwd", "Zürich", "{{TIMEZONE}}"])
def test_an_unknown_zone_is_refused_on_every_face(ana: Caller, zone: str) -> None:
    before = len(ana.upstream.asked)
    answers = [
        ana.chat("What is my canoe called?", X_Engram_Timezone=zone),
        ana.post("/memory/recall", {"query": "canoe"}, X_Engram_Timezone=zone),
        ana.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, X_Engram_Timezone=zone),
    ]
    for answer in answers:
        assert answer.status_code == 400, answer.text
        assert "timezone" in answer.json()["error"]["message"].lower()
    assert len(ana.upstream.asked) == before


def test_two_zones_are_refused(ana: Caller) -> None:
    twice = [("X-Engram-Timezone", "Asia/Tokyo"), ("X-Engram-Timezone", "Asia/Seoul")]
    assert ana.server.http.get("/memory/sessions", headers=twice).status_code == 400


def test_context_of_rest_shows_the_day_of_the_reader_and_records_stay_in_utc(ana: Caller) -> None:
    asked = {"query": "What is my canoe called?", "budget": 300}
    answer = ana.post("/memory/recall", asked, X_Engram_Timezone="Asia/Tokyo").json()
    assert "[2026-05-10]" in answer["context"]
    assert answer["hits"][0]["engram"]["at"].startswith("2026-05-09T15:30:00")


def test_mcp_shows_and_reads_times_in_the_zone_of_the_caller(ana: Caller) -> None:
    def listed(zone: str, **more: str) -> list[str]:
        call = {"name": "list", "arguments": {"namespace": ana.namespace, **more}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
        answer = ana.server.http.post("/mcp", json=body, headers={**headers, "X-Engram-Timezone": zone})
        return [memory["at"] for memory in answer.json()["result"]["structuredContent"]["memories"]]

    assert listed("Asia/Tokyo", after="2026-05-10") == ["2026-05-10T00:30:00+09:00"]
    assert listed("America/Lima", after="2026-05-10") == []


def test_a_question_for_a_day_alone_means_the_day_of_the_reader_on_every_face(ana: Caller) -> None:
    question = "What did I tell you on 10 May 2026?"

    def found(zone: str) -> list[bool]:
        assert ana.chat(question, X_Engram_Timezone=zone).status_code == 200
        hits = ana.post("/memory/recall", {"query": question}, X_Engram_Timezone=zone).json()["hits"]
        call = {"name": "recall", "arguments": {"namespace": ana.namespace, "query": question}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
        tool = ana.server.http.post("/mcp", json=body, headers={**headers, "X-Engram-Timezone": zone})
        return ["Driftwood" in answer for answer in (json.dumps(ana.last.json), json.dumps(hits), tool.text)]

    assert found("Asia/Tokyo") == [True] * 3
    assert found("America/Lima") == [False] * 3


def test_an_explanation_reads_days_in_the_zone_of_the_caller(ana: Caller) -> None:
    question = "What did I tell you on 10 May 2026?"
    (hit,) = ana.post("/memory/recall", {"query": question}, X_Engram_Timezone="Asia/Tokyo").json()["hits"]
    asked = {"query": question, "id": hit["engram"]["id"]}
    assert ana.post("/memory/why", asked, X_Engram_Timezone="Asia/Tokyo").json()["place"] == 1
    assert ana.post("/memory/why", asked, X_Engram_Timezone="America/Lima").json()["place"] is None


def test_a_server_process_reads_its_zone_from_the_environment(tmp_path: Path) -> None:
    with Upstream() as upstream:
        server = Server(tmp_path / "memory.db", upstream.url, "--deadline", "20000", ENGRAM_TIMEZONE="Asia/Tokyo")
        try:
            turn = {"text": "My canoe is called Driftwood.", "at": NOON}
            assert server.http.post("/memory/remember", json=turn).status_code == 201
            body = {"model": "plain", "messages": [{"role": "user", "content": "What is my canoe called?"}]}
            assert server.http.post("/v1/chat/completions", json=body).status_code == 200
            assert "[2026-05-10]" in json.dumps(upstream.last.json)
        finally:
            server.close()


def test_the_application_reads_its_zone_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAM_TIMEZONE", "Nowhere/Land")
    with pytest.raises(EngramError, match="ENGRAM_TIMEZONE.*Nowhere/Land"):
        create_app()
