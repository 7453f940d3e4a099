"""REST: arcs, over a real memory."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.serve.http.limits import guarded
from engram.serve.http.zones import zoned

from .test_rest import RestClient, error_of

TURNS = (
    "We took the boat to Valdemora with Irina.",
    "In Valdemora the bakery is shut.",
    "Does the boat to Valdemora go in winter?",
)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[RestClient]:
    """A trip of one user over three days."""
    with ExitStack() as stack:
        client = RestClient(tmp_path, stack)
        for day, text in enumerate(TURNS, 1):
            role = "assistant" if day == 2 else "user"
            at = datetime(2026, 3, day, 12, tzinfo=UTC)
            client.memory.remember(text, namespace="ana", session=f"s{day}", role=role, at=at)
        client.guarded = guarded(zoned(client.app, UTC), client.settings)
        yield client


def test_arcs_are_listed(client: RestClient):
    body = client.get("/arcs", params={"namespace": "ana"}).json()
    assert next((arc["id"], arc["turns"], arc["sessions"]) for arc in body["arcs"]) == ("valdemora", 3, 3)
    assert (body["namespace"], body["complete"], body["unread"]) == ("ana", True, 0)
    past = client.get("/arcs", params={"namespace": "ana", "at": "2026-03-01T13:00:00Z"}).json()
    assert past["arcs"] == []
    assert client.get("/arcs", params={"namespace": "ben"}).json()["arcs"] == []


def test_one_arc_has_quotes_things_and_open_ends(client: RestClient):
    body = client.get("/arcs/valdemora", params={"namespace": "ana"}).json()
    assert [quote["text"] for quote in body["quotes"]] == list(TURNS)
    assert [quote["role"] for quote in body["quotes"]] == ["user", "assistant", "user"]
    assert body["things"][0]["name"] == "Valdemora"
    assert [(end["kind"], end["text"]) for end in body["open_ends"]] == [("question", TURNS[2])]
    assert client.memory.get(body["quotes"][0]["engram"]).text == TURNS[0]
    few = client.get("/arcs/Valdemora", params={"namespace": "ana", "limit": 1}).json()
    assert (len(few["quotes"]), few["left_out"], few["turns"]) == (1, 2, 3)


@pytest.mark.parametrize("id", ["nobody", "%00", "%ED%A0%80", "..%2f..", "%F0%9F%98%80", "-"])
def test_an_arc_that_is_not_there_is_404_or_422(client: RestClient, id: str):
    response = client.get(f"/arcs/{id}", params={"namespace": "ana"})
    assert response.status_code in (404, 422)
    assert error_of(response, response.status_code)["message"]


def test_bad_parameters_are_422(client: RestClient):
    for params in ({"limit": 0}, {"limit": "many"}, {"at": "soon"}, {"unknown": 1}):
        assert client.get("/arcs", params={"namespace": "ana", **params}).status_code == 422
        assert client.get("/arcs/valdemora", params={"namespace": "ana", **params}).status_code == 422


def test_a_working_memory_is_as_it_was_at_a_time(client: RestClient):
    body = {"query": "How is Valdemora?", "namespace": "ana", "at": "2026-03-01T13:00:00Z"}
    parts = client.post("/working", json=body).json()["parts"]
    assert [part["name"] for part in parts if "Valdemora" in part["text"]] == ["arcs"]
    assert "bakery" not in str(parts)
