"""REST: facts, profile, working memory and the reading of turns, over a real memory."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.reflection.knowledge import AT_ONCE
from engram.serve.http.limits import guarded
from engram.serve.http.zones import zoned

from .test_rest import RestClient, error_of

ORDER = "From now on always give me prices including tax."
OLD = "My phone number is 0171 220 4415."
NEW = "My number is 0160 99 7754 from today, the old phone drowned."
TRIP = "We are flying to Bergen on the 14th to see the fjords."
OTHER = "My phone number is 0151 22."
QUESTION = {"query": "What does the ticket to Bergen cost?"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[RestClient]:
    """What two users have told, shortly before midnight in UTC."""
    with ExitStack() as stack:
        client = RestClient(tmp_path, stack)
        for month, text in ((1, ORDER), (1, OLD), (4, NEW), (5, TRIP)):
            at = datetime(2026, month, 5, 23, 30, tzinfo=UTC)
            client.memory.remember(text, namespace="ana", session=text[:5], at=at)
        client.memory.remember(OTHER, namespace="ben")
        client.memory.flush()
        client.guarded = guarded(zoned(client.app, UTC), client.settings)
        yield client


def texts(facts: list[dict]) -> list[str]:
    return [fact["text"] for fact in facts]


def test_facts_are_listed_with_what_they_replaced(client: RestClient):
    body = client.get("/facts", params={"namespace": "ana", "slot": "phone"}).json()
    (fact,) = body["facts"]
    assert (fact["text"], fact["slot"], fact["own"], fact["until"]) == (NEW, "phone", True, None)
    (older,) = fact["history"]
    assert (older["text"], older["closed_by"]) == (OLD, fact["engram"])
    assert (body["namespace"], body["left_out"], body["complete"], body["unread"]) == ("ana", 0, True, 0)
    assert client.memory.get(fact["engram"]).text[slice(*fact["span"])] == NEW
    past = client.get("/facts", params={"namespace": "ana", "slot": "phone", "at": "2026-02-01T00:00:00Z"}).json()
    assert texts(past["facts"]) == [OLD]
    assert client.get("/facts", params={"namespace": "ana", "slot": "phone", "own": "false"}).json()["facts"] == []
    every = client.get("/facts", params={"namespace": "ana"}).json()["facts"]
    few = client.get("/facts", params={"namespace": "ana", "limit": 1}).json()
    assert (few["facts"], few["left_out"]) == (every[:1], len(every) - 1)


def test_a_profile_has_its_sections_and_the_days_of_the_caller(client: RestClient):
    body = client.get("/profile", namespace="ana").json()
    assert texts(body["standing"]) == [ORDER]
    assert texts(fact for fact in body["who"] if fact["slot"] == "phone") == [NEW]
    assert f"- [2026-04-05] {NEW}" in body["text"]
    oslo = client.get("/profile", namespace="ana", headers={"X-Engram-Timezone": "Europe/Oslo"})
    assert f"- [2026-04-06] {NEW}" in oslo.json()["text"]
    assert OTHER not in oslo.text
    past = client.get("/profile", namespace="ana", params={"at": "2026-02-01"}).json()
    assert OLD in past["text"]
    assert NEW not in past["text"]
    small = client.get("/profile", namespace="ana", params={"budget": 40}).json()
    assert len(small["text"]) < len(body["text"])
    assert client.get("/profile", namespace="nobody").json()["text"] == ""


def test_a_working_memory_has_its_parts(client: RestClient):
    body = client.post("/working", QUESTION, namespace="ana").json()
    assert [part["name"] for part in body["parts"]] == ["standing", "profile", "arcs", "recalled"]
    assert body["text"] == "\n\n".join(part["text"] for part in body["parts"])
    assert ORDER in body["text"]
    assert TRIP in body["text"]
    assert OTHER not in body["text"]
    assert 0 < client.post("/working", {**QUESTION, "budget": 150.0}, namespace="ana").json()["tokens"] <= 150
    assert client.post("/working", QUESTION, namespace="nobody").json()["parts"] == []


def test_a_working_memory_of_an_agent_begins_with_its_state(client: RestClient):
    client.memory.state("ana", "planner").set("plan", {"city": "Bergen"})
    client.memory.state("ben", "planner").set("plan", {"city": "Porto"})
    body = client.post("/working", {**QUESTION, "agent": "planner"}, namespace="ana").json()
    assert [part["name"] for part in body["parts"]] == ["state", "standing", "profile", "arcs", "recalled"]
    assert [part["documents"] for part in body["parts"]] == [["plan"], [], [], [], []]
    assert '"plan" (version 1): {"city":"Bergen"}' in body["text"]
    assert "Porto" not in body["text"]
    assert "Bergen" in client.post("/working", {"query": "x", "agent": "planner"}, namespace="ana").json()["text"]
    assert client.post("/working", {"query": "x", "agent": "critic"}, namespace="nobody").json()["parts"] == []


def test_a_summary_quotes_a_session_or_a_period(client: RestClient):
    body = client.get("/summary", namespace="ana", params={"session": TRIP[:5]}).json()
    (quote,) = body["quotes"]
    assert (quote["text"], quote["by"], quote["holds"], quote["session"]) == (TRIP, "user", True, TRIP[:5])
    assert client.memory.get(quote["engram"]).text[slice(*quote["span"])] == TRIP
    assert (body["namespace"], body["sessions"], body["turns"], body["complete"]) == ("ana", 1, 1, True)
    assert f"[2026-05-05]\n- user: {TRIP}" in body["text"]
    oslo = client.get("/summary", namespace="ana", headers={"X-Engram-Timezone": "Europe/Oslo"}).json()
    assert "[2026-05-06]" in oslo["text"]
    assert OTHER not in oslo["text"]
    past = client.get("/summary", namespace="ana", params={"period": "month", "until": "2026-01-06"}).json()
    assert (OLD in past["text"], TRIP in past["text"]) == (True, False)
    since = client.get("/summary", namespace="ana", params={"since": "2026-05-01", "budget": 60}).json()
    assert texts(since["quotes"]) == [TRIP]
    assert client.get("/summary", namespace="nobody").json()["quotes"] == []
    error_of(client.get("/summary", namespace="ana", params={"period": "week", "since": "2026-05-01"}), 422)
    error_of(client.get("/summary", namespace="ana", params={"since": "2026-05-01", "until": "2026-01-01"}), 422)


def test_turns_are_read_on_request(client: RestClient):
    assert client.post("/reflect", {}).json() == {"read": 5, "complete": True, "unread": 0}
    assert client.post("/reflect", {"seconds": 0}).json() == {"read": 0, "complete": True, "unread": 0}


def test_turns_that_were_not_read_are_counted_for_admin_keys_only(client: RestClient):
    client.memory.remember_many({"text": OTHER, "namespace": "ben"} for _ in range(AT_ONCE))
    _, bound = client.keys.create(namespace="ana")
    _, admin = client.keys.create(admin=True)
    asked = (
        ("GET", "/facts", None),
        ("GET", "/profile", None),
        ("GET", "/summary", None),
        ("POST", "/working", QUESTION),
    )
    for method, path, body in asked:
        for key, unread in ((bound, None), (admin, AT_ONCE + 5)):
            answer = client.ask(method, path, key=key, namespace="ana", **({} if body is None else {"json": body}))
            assert (answer.json()["complete"], answer.json()["unread"]) == (False, unread), path
    assert client.post("/reflect", {"seconds": 0}, key=bound).json() == {
        "read": None,
        "complete": False,
        "unread": None,
    }
    assert client.post("/reflect", {"seconds": 10}, key=admin).json()["read"] > 0


@pytest.mark.parametrize(
    ("rights", "readers", "reflect"),
    [({"read": True, "write": False}, 200, 403), ({"read": False, "write": True}, 403, 200)],
)
def test_reading_needs_read_and_reflecting_needs_write(
    client: RestClient, rights: dict[str, bool], readers: int, reflect: int
):
    _, key = client.keys.create(namespace="ana", **rights)
    assert client.get("/facts", key=key).status_code == readers
    assert client.get("/profile", key=key).status_code == readers
    assert client.get("/summary", key=key).status_code == readers
    assert client.post("/working", QUESTION, key=key).status_code == readers
    assert client.post("/reflect", {}, key=key).status_code == reflect


def test_a_bound_key_sees_its_own_namespace_only(client: RestClient):
    _, key = client.keys.create(namespace="ana")
    for answer in (
        client.get("/facts", key=key),
        client.get("/profile", key=key),
        client.post("/working", {"query": "What is my phone number?"}, key=key),
    ):
        assert answer.json()["namespace"] == "ana"
        assert NEW in answer.text
        assert OTHER not in answer.text
    error_of(client.get("/facts", key=key, params={"namespace": "ben"}), 403)
    error_of(client.get("/profile", key=key, namespace="ben"), 403)
    error_of(client.get("/summary", key=key, namespace="ben"), 403)
    error_of(client.post("/working", {**QUESTION, "namespace": "ben"}, key=key), 403)
    error_of(client.post("/working", {**QUESTION, "namespace": "ben", "agent": "planner"}, key=key), 403)
    error_of(client.post("/reflect", {}, key=key, namespace="ben"), 403)
    error_of(client.get("/facts", key="engram-nothing"), 401)


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/facts", {"slot": "shoe"}, "slot"),
        ("/facts", {"slot": "none"}, "slot"),
        ("/facts", {"at": "soon"}, "at"),
        ("/facts", {"own": "perhaps"}, "own"),
        ("/facts", {"limit": 1_001}, "limit"),
        ("/profile", {"at": ""}, "at"),
        ("/profile", {"budget": 0}, "budget"),
        ("/profile", {"budget": 100_001}, "budget"),
        ("/profile", {"slot": "home"}, "slot"),
        ("/summary", {"period": "decade"}, "period"),
        ("/summary", {"since": "soon"}, "since"),
        ("/summary", {"budget": 0}, "budget"),
    ],
)
def test_wrong_parameters_are_refused(client: RestClient, path: str, params: dict, field: str):
    assert error_of(client.get(path, params=params), 422)["param"] == field


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/working", {"query": ""}, "query"),
        ("/working", {"query": "x" * 32_769}, "query"),
        ("/working", {**QUESTION, "budget": 100_001}, "budget"),
        ("/working", {**QUESTION, "budget": "50"}, "budget"),
        ("/working", {**QUESTION, "agent": ""}, "agent"),
        ("/working", {**QUESTION, "agent": "x" * 513}, "agent"),
        ("/working", {**QUESTION, "agent": 5}, "agent"),
        ("/working", {}, "query"),
        ("/reflect", {"seconds": 11}, "seconds"),
        ("/reflect", {"seconds": -1}, "seconds"),
        ("/reflect", {"namespace": "ana"}, "namespace"),
    ],
)
def test_wrong_bodies_are_refused(client: RestClient, path: str, body: dict, field: str):
    assert error_of(client.post(path, body), 422)["param"] == field
