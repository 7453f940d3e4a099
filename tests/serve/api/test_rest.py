"""REST over a real memory and a real server database, by HTTP in this process."""

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastapi
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)

from engram.engram import ORIGINS, Engram, draft
from engram.errors import MemoryDamaged, MemoryFull, MemoryLocked
from engram.formats.writing import write
from engram.memory import Memory
from engram.serve import pages, routes
from engram.serve.api import rest, rest_errors
from engram.serve.auth.access import Gate
from engram.serve.auth.keys import KeyStore
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.pending import Receipt
from engram.serve.conversations.recorder import Recorder
from engram.serve.database import ServerDatabase
from engram.serve.http import limits
from engram.serve.http.metrics import Metrics
from engram.serve.services import Services
from engram.serve.settings import Settings
from engram.serve.wire.base import LeftOut

ERROR_FIELDS = {"message", "type", "param", "code"}
UNKNOWN_ID = "019c2f7e-5c1a-7d70-8a3b-0f5d7e9a1c22"
NOW = datetime(2026, 3, 2, 14, 5, tzinfo=UTC)


def orders(engram: Engram) -> str | None:
    """A detector that finds what begins with "Obey"."""
    return "gives an order" if engram.text.startswith("Obey") else None


class RestClient:
    """A client of the routes over a memory."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.memory = stack.enter_context(Memory(folder / "memory.db", detector=orders))
        self.database = stack.enter_context(ServerDatabase(folder / "memory.db.serve"))
        self.conversations = ConversationStore(self.database)
        self.keys = KeyStore(self.database)
        self.metrics = Metrics()
        self.settings = Settings(memory=str(folder / "memory.db"), namespace="home")
        recorder = Recorder(self.memory, self.conversations, on_event=lambda _: None)
        stack.callback(recorder.close)
        threads = ThreadPoolExecutor(2)
        stack.callback(threads.shutdown)
        services = Services(
            settings=self.settings,
            memory=self.memory,
            conversations=self.conversations,
            recorder=recorder,
            gate=Gate(self.keys, self.settings.namespace),
            metrics=self.metrics,
            threads=threads,
        )
        self.app = fastapi.FastAPI()
        self.app.include_router(rest.router(services))
        rest_errors.add_error_handlers(self.app)
        self.guarded = limits.guarded(self.app, self.settings)

    def ask(self, method: str, path: str, *, key: str | None = None, namespace: str | None = None, **more):
        headers = dict(more.pop("headers", {}))
        if key is not None:
            headers["X-Engram-Key"] = key
        if namespace is not None:
            headers["X-Engram-Namespace"] = namespace.encode()

        async def one():
            # Starlette answers an internal error and then raises it again for the log of the server.
            transport = httpx.ASGITransport(self.guarded, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8100") as client:
                return await client.request(method, f"/memory{path}", headers=headers, **more)

        return asyncio.run(one())

    def get(self, path: str, **more):
        return self.ask("GET", path, **more)

    def post(self, path: str, json=None, **more):
        return self.ask("POST", path, json=json, **more)

    def delete(self, path: str, **more):
        return self.ask("DELETE", path, **more)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[RestClient]:
    with ExitStack() as stack:
        yield RestClient(tmp_path, stack)


def error_of(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == ERROR_FIELDS
    assert error["message"]
    return error


# Remember and recall.


def test_remember_one_and_recall_it(client: RestClient):
    answer = client.post(
        "/remember",
        {
            "text": "My dog is called Biscuit.",
            "session": "walk",
            "speaker": "Ana",
            "at": "2026-03-02T15:05:00+01:00",
            "source": "test",
            "metadata": {"page": 3},
        },
    )
    assert answer.status_code == 201
    (engram,) = answer.json()["engrams"]
    stored = client.memory.get(engram["id"])
    assert (stored.namespace, stored.session, stored.speaker, stored.at) == ("home", "walk", "Ana", NOW)
    assert (engram["at"], engram["metadata"]) == ("2026-03-02T14:05:00+00:00", {"page": 3})
    result = client.post("/recall", {"query": "What is my dog called?"}).json()
    assert [hit["engram"] for hit in result["hits"]] == [engram]
    assert 0 < result["hits"][0]["score"] <= 1
    assert result["context"] is None
    assert (result["namespace"], result["unsearched"]) == ("home", 0)
    assert "Biscuit" in client.post("/recall", {"query": "dog", "budget": 200}).json()["context"]


def test_recall_shows_what_is_under_the_floor_if_asked_to(client: RestClient):
    client.post("/remember", {"text": "The heron stood in the reeds all morning."})
    asked = {"query": "Which insurance covers a broken windscreen?"}
    assert client.post("/recall", asked).json()["hits"] == []
    (hit,) = client.post("/recall", {**asked, "floor": 0}).json()["hits"]
    assert hit["score"] < 0.15
    assert client.post("/recall", {**asked, "floor": 1.5}).status_code == 422


def test_remember_many_is_one_commit_or_nothing(client: RestClient):
    items = [{"text": f"Number {number}", "session": "count", "at": NOW.isoformat()} for number in range(1_000)]
    answer = client.post("/remember", {"items": items})
    assert answer.status_code == 201
    assert [engram["text"] for engram in answer.json()["engrams"]] == [item["text"] for item in items]
    assert client.memory.stats().engrams == 1_000
    for wrong, param in (
        ({"text": ""}, "items[1].text"),
        ({"text": "x" * (1 << 20) + "x"}, "items[1].text"),
        ({"text": "\u00e9" * (1 << 20)}, "items[1].text"),
        ({"text": "x", "role": "boss"}, "items[1].role"),
        ({"text": "x", "at": "yesterday"}, "items[1].at"),
        ({"text": "x", "at": 7}, "items[1].at"),
        ({"text": "x", "session": "\u00e9" * 512}, "items[1].session"),
        ({"text": "x", "metadata": {"x": "y" * 70_000}}, "items[1].metadata"),
        ({"text": "x", "id": UNKNOWN_ID}, "items[1].id"),
        ({"text": 5}, "items[1].text"),
    ):
        assert error_of(client.post("/remember", {"items": [{"text": "fine"}, wrong]}), 422)["param"] == param
    assert error_of(client.post("/remember", {"items": []}), 422)["param"] == "items"
    assert error_of(client.post("/remember", {"items": items + items}), 422)["param"] == "items"
    assert client.memory.stats().engrams == 1_000


def test_recall_applies_its_filters(client: RestClient):
    for days, session, kind in ((0, "a", "turn"), (1, "b", "turn"), (2, "a", "fact")):
        client.memory.remember(
            f"tea number {days}", namespace="home", session=session, kind=kind, at=NOW + timedelta(days=days)
        )

    def recalled(**filters) -> set[str]:
        hits = client.post("/recall", {"query": "tea"} | filters).json()["hits"]
        return {hit["engram"]["text"][-1] for hit in hits}

    assert recalled() == {"0", "1", "2"}
    assert recalled(session="a") == {"0", "2"}
    assert recalled(kinds=["fact"]) == {"2"}
    assert recalled(before="2026-03-03T14:05:00Z") == {"0"}
    assert recalled(after="2026-03-03T14:05:00Z") == {"1", "2"}
    assert recalled(namespace="other") == set()
    assert recalled(session=None, before=None, kinds=None) == {"0", "1", "2"}
    assert len(client.post("/recall", {"query": "tea", "limit": 1}).json()["hits"]) == 1


def test_why_explains_the_rank_of_an_engram(client: RestClient):
    engram = client.memory.remember("My dog is called Biscuit.", namespace="home")
    result = client.post("/why", {"query": "dog", "id": engram.id}).json()
    assert (result["place"], result["engram"]["id"], result["winner"]["engram"]["id"]) == (1, engram.id, engram.id)
    assert client.post("/why", {"query": "zebra", "id": engram.id}).json()["reason"]


# List and read.


def test_engrams_are_listed_page_by_page(client: RestClient):
    engrams = [client.memory.remember(f"n {n}", namespace="home", session="s" if n % 2 else "t") for n in range(7)]
    client.memory.remember("elsewhere", namespace="other")
    listed, after = [], {}
    for _ in range(3):
        page = client.get("/engrams", params={"limit": 3} | after).json()
        listed += [engram["id"] for engram in page["engrams"]]
        after = {"after_id": page["next"]}
    assert page["next"] is None
    assert listed == [engram.id for engram in engrams]
    assert [e["text"] for e in client.get("/engrams?session=s").json()["engrams"]] == ["n 1", "n 3", "n 5"]
    assert client.get("/engrams?session=nobody").json() == {"engrams": [], "next": None}
    assert client.get(f"/engrams/{engrams[2].id}").json()["text"] == "n 2"
    assert client.get("/sessions").json() == {
        "namespace": "home",
        "sessions": [{"session": "t", "engrams": 4}, {"session": "s", "engrams": 3}],
        "next": None,
    }


@pytest.mark.parametrize(("path", "label"), [("/sessions", "session"), ("/namespaces", "namespace")])
def test_names_are_listed_a_page_at_a_time(client: RestClient, path: str, label: str):
    client.memory.remember_many({"text": "x", "namespace": "home", "session": f"s{i % 7}"} for i in range(14))
    client.memory.remember_many({"text": "x", "namespace": f"n{i}"} for i in range(6))
    listed, sizes, after = [], [], {}
    while True:
        page = client.get(path, params={"limit": 3} | after).json()
        sizes.append(len(page[f"{label}s"]))
        listed += [(one[label], one["engrams"]) for one in page[f"{label}s"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert sizes == [3, 3, 1]
    assert listed == (client.memory.sessions("home") if label == "session" else client.memory.namespaces())
    error_of(client.get("/sessions?after=nobody"), 404)
    error_of(client.get(path, params={"limit": 1_001}), 422)


def test_a_page_of_long_texts_ends_early(client: RestClient):
    client.memory.remember_many({"text": "x" * 1_000_000, "namespace": "home"} for _ in range(9))
    sizes, after = [], {}
    while True:
        page = client.get("/engrams", params=after).json()
        sizes.append(len(page["engrams"]))
        if page["next"] is None:
            break
        after = {"after_id": page["next"]}
    assert sizes == [5, 4]


def test_export_returns_the_same_bytes_as_the_command_line(client: RestClient):
    items = ({"text": f"line {n}\n\u2028 \U0001f436", "namespace": "home", "session": str(n % 3)} for n in range(2_000))
    client.memory.remember_many(items)
    client.memory.remember("elsewhere", namespace="other")
    expected = io.StringIO()
    write(client.memory.engrams(namespace="home"), expected)
    answer = client.get("/export")
    assert answer.content == expected.getvalue().encode()
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert len(client.get("/export?session=1").content.splitlines()) == 667
    assert client.get("/export?namespace=nobody").content == b""


def test_export_is_streamed_in_chunks(client: RestClient, monkeypatch):
    monkeypatch.setattr(pages, "EXPORT_CHUNK_BYTES", 1)
    client.memory.remember_many({"text": str(number), "namespace": "home"} for number in range(5))
    assert len(client.get("/export").content.splitlines()) == 5


def test_stats_of_the_memory_and_of_a_namespace(client: RestClient):
    client.memory.remember("one", namespace="home")
    client.memory.remember("two", namespace="other")
    whole = client.get("/stats").json()
    assert (whole["engrams"], whole["namespaces"], whole["index_trouble"]) == (2, 2, None)
    assert client.get("/stats", namespace="other").json() == {"namespace": "other", "engrams": 1, "sessions": 1}
    assert client.get("/stats?namespace=nobody").json() == {"namespace": "nobody", "engrams": 0, "sessions": 0}


# Forget.


def test_forget_by_id_session_and_time(client: RestClient):
    first, second = (client.memory.remember(text, namespace="home", session="s").id for text in ("one", "two"))
    client.memory.remember("old", namespace="home", session="old", at=NOW)
    client.memory.remember("other", namespace="other", session="s")
    assert client.delete(f"/engrams/{first}").json() == {"forgotten": 1}
    error_of(client.delete(f"/engrams/{first}"), 404)
    error_of(client.get(f"/engrams/{first}"), 404)
    assert error_of(client.post("/forget", {"id": second, "session": "t"}), 404)["param"] == "id"
    assert client.post("/forget", {"before": "2026-04-01T00:00:00Z"}).json() == {"forgotten": 1}
    assert client.post("/forget", {"before": "2026-04-01T00:00:00Z"}).json() == {"forgotten": 0}
    assert client.post("/forget", {"session": "s"}).json() == {"forgotten": 1}
    assert error_of(client.post("/forget", {"session": "s"}), 404)["param"] == "session"
    assert [engram.text for engram in client.memory.engrams()] == ["other"]


def test_a_wrong_forget_request_forgets_nothing(client: RestClient):
    client.memory.remember("one", namespace="home")
    for body in ({}, {"namespace": "home"}, {"id": None}, {"sesion": "x"}, {"id": "x"}, {"before": "soon"}, []):
        error_of(client.post("/forget", body), 422)
    error_of(client.delete(""), 422)
    for confirm in ("Home", "default", "home "):
        assert error_of(client.delete("", params={"confirm": confirm}), 409)["param"] == "confirm"
    error_of(client.delete("", params={"confirm": "home"}, namespace="other"), 409)
    error_of(client.delete("", params={"confirm": "home", "nmespace": "other"}), 422)
    assert client.memory.stats().engrams == 1


def test_erase_forgets_one_namespace(client: RestClient):
    client.memory.remember_many({"text": str(number), "namespace": "home"} for number in range(5))
    client.memory.remember("other", namespace="other")
    assert client.delete("?confirm=home").json() == {"forgotten": 5}
    assert client.delete("?confirm=home").json() == {"forgotten": 0}
    assert client.delete("?confirm=other&namespace=other").json() == {"forgotten": 1}


# Namespaces and keys.


def test_header_and_body_select_the_namespace(client: RestClient):
    for field, header, status in (("ana", None, 201), (None, "bo", 201), ("cy", "cy", 201), ("ana", "bo", 409)):
        answer = client.post("/remember", {"text": "x", "namespace": field}, namespace=header)
        assert answer.status_code == status
    assert (
        client.post("/remember", {"text": "x"}, namespace="jos\u00e9").json()["engrams"][0]["namespace"] == "jos\u00e9"
    )
    assert [name for name, _ in client.memory.namespaces()] == ["ana", "bo", "cy", "jos\u00e9"]
    for wrong in ("a\x01b", "", "x" * 513):
        error_of(client.post("/remember", {"text": "x", "namespace": wrong}), 400 if wrong == "a\x01b" else 422)
        assert client.get("/sessions", params={"namespace": wrong}).status_code in (400, 422)
        if "\x01" not in wrong:
            assert client.get("/sessions", namespace=wrong).status_code in (400, 422)
    assert client.memory.stats().engrams == 4


EVERYTHING: list[tuple[str, str, object, str]] = [
    ("POST", "/remember", {"text": "x"}, "write"),
    ("POST", "/recall", {"query": "x"}, "read"),
    ("POST", "/why", {"query": "x", "id": UNKNOWN_ID}, "read"),
    ("POST", "/forget", {"session": "x"}, "erase"),
    ("GET", "/engrams", None, "read"),
    ("GET", f"/engrams/{UNKNOWN_ID}", None, "read"),
    ("DELETE", f"/engrams/{UNKNOWN_ID}", None, "erase"),
    ("GET", "/sessions", None, "read"),
    ("GET", "/namespaces", None, "read"),
    ("GET", "/export", None, "read"),
    ("DELETE", "?confirm=ana", None, "erase"),
    ("GET", "/stats", None, "read"),
    ("GET", "/state", None, "read"),
    ("GET", "/state/agents", None, "read"),
    ("GET", "/state/document?name=plan", None, "read"),
    ("PUT", "/state/document?name=plan", {"value": 1}, "write"),
    ("GET", "/state/history?name=plan", None, "read"),
    ("POST", "/state/rollback", {"name": "plan", "version": 1}, "write"),
    ("DELETE", "/state/document?name=plan", None, "erase"),
]


@pytest.mark.parametrize(("method", "path", "body", "right"), EVERYTHING)
def test_every_path_needs_a_key_its_right_and_its_namespace(client: RestClient, method, path, body, right):
    def ask(**rights):
        _, key = client.keys.create(namespace="ana", **{"read": False, "write": False, "erase": False} | rights)
        return client.ask(method, path, json=body, key=key)

    allowed = ask(**{right: True})
    assert allowed.status_code in (200, 201, 404), allowed.text
    others = {"read": True, "write": True, "erase": True} | {right: False}
    assert error_of(ask(**others), 403)["code"] == "right_missing"
    missing = client.ask(method, path, json=body)
    error_of(missing, 401)
    assert missing.headers["www-authenticate"].startswith("Bearer")
    _, key = client.keys.create(namespace="ana", erase=True)
    assert error_of(client.ask(method, path, json=body, key=key, namespace="bo"), 403)["code"] == "namespace_forbidden"
    _, key = client.keys.create(prefix="ana-", erase=True)
    if path != "/namespaces":
        assert error_of(client.ask(method, path, json=body, key=key), 400)["code"] == "namespace_missing"
    error_of(client.ask(method, path, json=body, key=key, namespace="ana"), 403)
    error_of(client.ask(method, path, json=body, key="engram_wrong"), 401)


def test_a_missing_key_is_reported_before_the_body_is_parsed(client: RestClient):
    client.keys.create(admin=True)
    error_of(client.ask("POST", "/remember", content=b"{", headers={"Content-Type": "application/json"}), 401)
    error_of(client.ask("POST", "/remember", content=b"x"), 401)


def test_another_namespace_looks_like_one_that_does_not_exist(client: RestClient):
    theirs = client.memory.remember("theirs", namespace="bo", session="secret").id
    client.memory.remember("mine", namespace="ana")
    _, key = client.keys.create(namespace="ana", erase=True)
    receipt = Receipt(theirs, "bo", "secret", "stored", None, (theirs,), NOW, NOW)
    with client.database.writing() as transaction:
        client.conversations.receipts.save(transaction, receipt)
    for method, path, body in (
        ("GET", "/engrams/{}", None),
        ("DELETE", "/engrams/{}", None),
        ("GET", "/engrams?after_id={}", None),
        ("GET", "/receipts/{}", None),
        ("POST", "/why", {"query": "theirs", "id": "{}"}),
        ("POST", "/forget", {"id": "{}"}),
    ):
        answers = []
        for id in (theirs, UNKNOWN_ID):
            sent = None if body is None else json.loads(json.dumps(body).replace("{}", id))
            answers.append(client.ask(method, path.format(id), json=sent, key=key))
        error_of(answers[0], 404)
        assert answers[0].content == answers[1].content
        assert dict(answers[0].headers) == dict(answers[1].headers)
    same = [client.post("/forget", {"session": name}, key=key) for name in ("secret", "nobody's")]
    error_of(same[0], 404)
    assert same[0].content == same[1].content
    for path in ("/engrams?session=secret", "/export?session=secret"):
        assert b"theirs" not in client.get(path, key=key).content
    assert client.get("/namespaces", key=key).json() == {
        "namespaces": [{"namespace": "ana", "engrams": 1}],
        "next": None,
    }
    assert client.get("/stats", key=key).json() == {"namespace": "ana", "engrams": 1, "sessions": 1}
    assert client.memory.get(theirs).text == "theirs"
    _, admin = client.keys.create(admin=True)
    assert client.get(f"/receipts/{theirs}", key=admin).json()["namespace"] == "bo"
    error_of(client.get(f"/receipts/{theirs}", key=admin, namespace="ana"), 404)


def test_a_prefix_key_sees_its_namespaces_only(client: RestClient):
    for name in ("team-a", "team-b", "teams", "ana"):
        client.memory.remember("x", namespace=name)
    _, key = client.keys.create(prefix="team-")
    names = [one["namespace"] for one in client.get("/namespaces", key=key).json()["namespaces"]]
    assert names == ["team-a", "team-b"]
    assert client.get("/stats", key=key, namespace="team-a").json()["engrams"] == 1
    _, admin = client.keys.create(admin=True)
    assert len(client.get("/namespaces", key=admin).json()["namespaces"]) == 4
    assert client.get("/stats", key=admin).json()["namespaces"] == 4


def test_a_receipt_is_returned_in_full(client: RestClient):
    receipt = Receipt(UNKNOWN_ID, "ana", "s", "refused", "too long", (), NOW, None, (LeftOut("Goose", 2, 81),))
    with client.database.writing() as transaction:
        client.conversations.receipts.save(transaction, receipt)
    assert client.get(f"/receipts/{UNKNOWN_ID}").json() == {
        "id": UNKNOWN_ID,
        "namespace": "ana",
        "session": "s",
        "state": "refused",
        "reason": "too long",
        "engrams": [],
        "accepted_at": "2026-03-02T14:05:00+00:00",
        "stored_at": None,
        "quarantined": {},
        "left_out": [{"by": "Goose", "pieces": 2, "characters": 81}],
    }


def test_a_receipt_needs_the_right_to_read_or_write(client: RestClient):
    with client.database.writing() as transaction:
        client.conversations.receipts.save(transaction, Receipt(UNKNOWN_ID, "ana", "s", "stored", None, (), NOW, NOW))
    for rights, status in (({"write": False}, 200), ({"read": False}, 200), ({"read": False, "write": False}, 403)):
        _, key = client.keys.create(namespace="ana", erase=True, **rights)
        assert client.get(f"/receipts/{UNKNOWN_ID}", key=key).status_code == status


# Wrong requests.


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b'{"query": ' + b"9" * 5_000 + b"}", 400),
        (b"", 422),
        (b"null", 422),
        (b"[]", 422),
        (b'"x"', 422),
        (b"{}", 422),
        (b'{"query": "x", "limt": 1}', 422),
        (b'{"query": "\\ud800"}', 422),
        (b'{"query": "x", "\\ud800": 1}', 422),
        (b'{"query": "x", "limit": "1"}', 422),
        (b'{"query": "x", "limit": true}', 422),
        (b'{"query": "x", "limit": NaN}', 422),
        (b'{"query": "x", "before": "0001-01-01T00:00:00+23:00"}', 422),
        (b'{"query": "x", "limit": 10.0}', 200),
        (b'{"query": "\\u0000 \xf0\x9f\x90\xb6"}', 200),
    ],
)
def test_wrong_bodies_are_refused_with_their_status(client: RestClient, content: bytes, status: int):
    answer = client.ask("POST", "/recall", content=content, headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status_code == status, answer.text
    if status != 200:
        error_of(answer, status)


def test_a_body_needs_a_json_content_type(client: RestClient):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"):
        error_of(client.ask("POST", "/remember", content=b'{"text": "x"}', headers={"Content-Type": kind}), 415)
    error_of(client.ask("POST", "/remember", content=b'{"text": "x"}'), 415)
    assert client.memory.stats().engrams == 0
    answer = client.ask(
        "POST", "/remember", content=b'{"text": "x"}', headers={"Content-Type": "application/vnd.x+json"}
    )
    assert answer.status_code == 201


def test_a_large_body_is_parsed_in_a_thread(client: RestClient, monkeypatch):
    thread_names = []
    loads = json.loads

    def recording_loads(text, **options):
        if isinstance(text, bytes):
            thread_names.append(threading.current_thread().name)
        return loads(text, **options)

    monkeypatch.setattr("json.loads", recording_loads)
    client.post("/remember", {"text": "x" * (routes.LARGE_BODY + 1)})
    client.post("/remember", {"text": "x"})
    assert thread_names[0].startswith("ThreadPoolExecutor")
    assert not thread_names[1].startswith("ThreadPoolExecutor")


def test_the_memory_is_never_called_on_the_event_loop(client: RestClient, monkeypatch):
    loop_calls = []
    for name in ("add", "recall", "get", "explain", "engrams", "sessions", "namespaces", "stats", "forget"):
        method = getattr(client.memory, name)

        def recorded(*args, method=method, name=name, **options):
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return method(*args, **options)
            loop_calls.append(name)
            return method(*args, **options)

        monkeypatch.setattr(client.memory, name, recorded)
    for method, path, body, _ in EVERYTHING:
        client.ask(method, path, json=body)
    assert loop_calls == []


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (MemoryLocked("{} is locked"), 503, "memory_locked"),
        (MemoryFull("no room for {}"), 507, "memory_full"),
        (MemoryDamaged("{} is damaged"), 500, "memory_damaged"),
        (ZeroDivisionError("oh, {}"), 500, "internal_error"),
    ],
)
def test_errors_of_the_memory_keep_their_status_and_hide_the_path(
    client: RestClient, monkeypatch, raised, status, code
):
    raised.args = (str(raised).format(client.memory.path),)

    def broken(*_, **__):
        raise raised

    for name in ("remember_many", "engrams"):
        monkeypatch.setattr(client.memory, name, broken)
    for answer in (client.post("/remember", {"text": "x"}), client.get("/export"), client.get("/engrams")):
        error = error_of(answer, status)
        assert error["code"] == code
        assert client.memory.path not in error["message"]
    if status == 503:
        assert answer.headers["retry-after"] == "1"


def test_unknown_paths_methods_and_parameters_are_refused(client: RestClient):
    error_of(client.get("/nothing"), 404)
    error_of(client.get("/engrams/x/y"), 404)
    for method, path, allowed in (
        ("PUT", f"/engrams/{UNKNOWN_ID}", "DELETE, GET"),
        ("GET", "/recall", "POST"),
        ("GET", "", "DELETE"),
        ("HEAD", "/stats", "GET"),
    ):
        answer = client.ask(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    error_of(client.get("/engrams/not-an-id"), 422)
    for query, param in (
        ("before=soon", "before"),
        ("session=", "session"),
        ("kinds=", "kinds[0]"),
        ("after_id=x", "after_id"),
    ):
        assert error_of(client.get(f"/engrams?{query}"), 422)["param"] == param
    assert error_of(client.get("/engrams?limit=1001"), 422)["param"] == "limit"
    assert error_of(client.get("/engrams?kind=turn"), 422)["param"] == "kind"


def test_requests_are_counted_by_status(client: RestClient):
    client.get("/stats")
    client.get(f"/engrams/{UNKNOWN_ID}")
    client.post("/recall", {})
    counted = client.metrics.text().decode()
    assert 'engram_requests_total{face="memory",status="2xx"} 1.0' in counted
    assert 'engram_requests_total{face="memory",status="4xx"} 2.0' in counted


# Trust.


@pytest.mark.parametrize(
    ("role", "stated", "origin"),
    [
        ("user", None, "program"),
        ("system", None, "program"),
        ("assistant", None, "assistant"),
        ("tool", None, "tool"),
        ("user", "program", "program"),
        ("user", "document", "document"),
        ("assistant", "program", "assistant"),
        ("tool", "agent", "tool"),
        ("assistant", "tool", "tool"),
    ],
)
def test_a_caller_can_lower_the_origin_and_not_raise_it(client: RestClient, role: str, stated: str | None, origin: str):
    body = {"text": "The wombat sleeps.", "role": role, "source": "chat"} | ({"origin": stated} if stated else {})
    (engram,) = client.post("/remember", body).json()["engrams"]
    assert engram["origin"] == client.memory.get(engram["id"]).origin == origin
    assert client.get(f"/engrams/{engram['id']}").json()["origin"] == origin


@pytest.mark.parametrize("stated", ["user", "root", ""])
def test_a_caller_cannot_say_that_the_user_typed_a_text(client: RestClient, stated: str):
    error = error_of(client.post("/remember", {"text": "x", "origin": stated}), 422)
    assert error["param"] == "origin"
    assert "'program', 'import', 'assistant', 'agent', 'document' or 'tool'" in error["message"]
    many = {"items": [{"text": "good"}, {"text": "x", "origin": stated}]}
    assert error_of(client.post("/remember", many), 422)["param"] == "items[1].origin"
    assert client.memory.stats().engrams == 0


def test_recall_by_trust(client: RestClient):
    for origin in ORIGINS:
        client.memory.remember(f"The {origin} wombat sleeps.", namespace="home", origin=origin)

    def found(**fields) -> set[str]:
        hits = client.post("/recall", {"query": "wombat", **fields}).json()["hits"]
        return {hit["engram"]["origin"] for hit in hits}

    assert found() == set(ORIGINS)
    for number, least in enumerate(ORIGINS, start=1):
        assert found(trust=least) == set(ORIGINS[:number])
    assert error_of(client.post("/recall", {"query": "x", "trust": "nobody"}), 422)["param"] == "trust"


def test_quarantine_is_listed_released_and_forgotten(client: RestClient):
    items = [{"text": f"Obey order {number}.", "session": "web"} for number in range(5)]
    engrams = client.post("/remember", {"items": [*items, {"text": "The wombat sleeps."}]}).json()["engrams"]
    assert [engram["quarantined"] for engram in engrams] == ["gives an order"] * 5 + [None]
    ids = [engram["id"] for engram in engrams]
    other = client.memory.remember("Obey elsewhere.", namespace="other", role="tool")
    assert client.get("/stats", namespace="home").json()["engrams"] == 1
    assert client.get("/stats").json()["quarantined"] == 6
    assert error_of(client.get(f"/engrams/{ids[0]}"), 404)
    first = client.get("/quarantine?limit=2").json()
    assert first == {"engrams": engrams[:2], "next": ids[1]}
    rest_of_it = client.get(f"/quarantine?after_id={ids[1]}&session=web").json()
    assert rest_of_it == {"engrams": engrams[2:5], "next": None}
    assert client.get("/quarantine?session=none").json()["engrams"] == []
    assert error_of(client.get(f"/quarantine?after_id={other.id}"), 404)
    released = client.post("/release", {"id": ids[0]}).json()
    assert released == engrams[0] | {"quarantined": None}
    assert client.post("/recall", {"query": "order 0"}).json()["hits"][0]["engram"] == released
    for unknown in (ids[0], other.id, UNKNOWN_ID):
        assert error_of(client.post("/release", {"id": unknown}), 404)
    assert client.delete(f"/engrams/{ids[1]}").json() == {"forgotten": 1}
    doubted = client.post("/quarantine", {"id": ids[5], "why": "a doubt"}).json()
    assert doubted == engrams[5] | {"quarantined": "a doubt"}
    assert client.post("/recall", {"query": "wombat"}).json()["hits"] == []
    for wrong, status in (({"id": other.id, "why": "x"}, 404), ({"id": ids[0], "why": ""}, 422), ({"id": ids[0]}, 422)):
        assert error_of(client.post("/quarantine", wrong), status)
    assert [e.id for e in client.memory.quarantined(namespace="home")] == [ids[2], ids[3], ids[4], ids[5]]
    lines = [json.loads(line) for line in client.get("/export").text.splitlines()]
    assert [line["id"] for line in lines] == [ids[0], *ids[2:6]]


def test_what_can_only_write_cannot_release_what_it_wrote(client: RestClient):
    _, writer = client.keys.create(namespace="home", write=True, erase=False)
    (held,) = client.post("/remember", {"text": "Obey."}, key=writer).json()["engrams"]
    for path, body in (("/release", {"id": held["id"]}), ("/quarantine", {"id": held["id"], "why": "x"})):
        assert error_of(client.post(path, body, key=writer), 403)["code"] == "right_missing"
    assert [e.id for e in client.memory.quarantined()] == [held["id"]]
    assert client.get("/quarantine", key=writer).json()["engrams"] == [held]


def test_a_receipt_says_what_is_in_quarantine(client: RestClient):
    held, kept = (draft(text, namespace="ana", role="tool") for text in ("Obey.", "Fine."))
    client.memory.add([held, kept])
    receipt = Receipt(UNKNOWN_ID, "ana", "s", "stored", None, (held.id, kept.id), NOW, NOW)
    with client.database.writing() as transaction:
        client.conversations.receipts.save(transaction, receipt)
    answer = client.get(f"/receipts/{UNKNOWN_ID}").json()
    assert answer["engrams"] == [held.id, kept.id]
    assert answer["quarantined"] == {held.id: "gives an order"}


# Policies.


def test_policies_are_set_listed_and_cleared(client: RestClient):
    old = datetime.now(UTC) - timedelta(days=100)
    client.memory.remember("The boat is called Kittiwake.", namespace="ana", session="old", at=old)
    client.memory.remember("The goat is called Petunia.", namespace="ana", session="new")
    assert client.get("/policies").json() == {
        "default": {"namespace": None, "expire_after_seconds": None},
        "policies": [],
        "next": None,
    }
    own = {"namespace": "ana", "expire_after_seconds": 90 * 86_400}
    answer = client.post("/policies", own)
    assert (answer.status_code, answer.json()) == (200, own)
    for path in ("/engrams?namespace=ana", "/export?namespace=ana", "/sessions?namespace=ana", "/namespaces"):
        answer = client.get(path)
        assert "Kittiwake" not in answer.text, path
        assert "old" not in answer.text, path
    assert client.get("/stats?namespace=ana").json()["engrams"] == 1
    assert client.get("/stats").json()["engrams"] == 1
    for query in ("boat", "goat"):
        answer = client.post("/recall", {"query": query, "namespace": "ana", "floor": 0})
        assert "Kittiwake" not in answer.text
    default = {"namespace": None, "expire_after_seconds": 60}
    assert client.post("/policies", default).json() == default
    keep = {"namespace": "é/b?c", "expire_after_seconds": None}
    assert client.post("/policies", keep).json() == keep
    assert client.get("/policies").json() == {"default": default, "policies": [own, keep], "next": None}
    assert client.get("/policies?limit=1").json() == {"default": default, "policies": [own], "next": "ana"}
    assert client.get("/policies?limit=1&after=ana").json()["policies"] == [keep]
    assert client.delete("/policies", params={"namespace": "é/b?c"}).json() == default
    assert client.delete("/policies").json() == {"namespace": None, "expire_after_seconds": None}
    error_of(client.delete("/policies"), 404)
    assert client.delete("/policies?namespace=ana").status_code == 200
    error = error_of(client.delete("/policies?namespace=ana"), 404)
    assert error["param"] == "namespace"
    assert client.get("/stats?namespace=ana").json()["engrams"] == 2


def test_policies_are_for_admin_keys(client: RestClient):
    _, ana = client.keys.create(namespace="ana", erase=True)
    _, team = client.keys.create(prefix="a", erase=True)
    _, admin = client.keys.create(admin=True)
    _, eraser = client.keys.create(admin=True, read=False, erase=True)
    own = {"namespace": "ana", "expire_after_seconds": 60}
    calls = (("GET", "/policies", None), ("POST", "/policies", own), ("DELETE", "/policies?namespace=ana", None))
    for method, path, body in calls:
        for key in (ana, team):
            assert error_of(client.ask(method, path, json=body, key=key), 403)["code"] == "right_missing"
        error_of(client.ask(method, path, json=body), 401)
    assert client.get("/policies", key=admin).status_code == 200
    for method, path, body in calls[1:]:
        error_of(client.ask(method, path, json=body, key=admin), 403)
        assert client.ask(method, path, json=body, key=eraser).status_code == 200
    error_of(client.get("/policies", key=eraser), 403)
    assert client.memory.policies() == []


@pytest.mark.parametrize("seconds", [0, -1, 1.5, 3_153_600_001, 10**30, True, "60", "P90D", [], {}])
def test_wrong_ages_are_refused(client: RestClient, seconds):
    error = error_of(client.post("/policies", {"namespace": "ana", "expire_after_seconds": seconds}), 422)
    assert error["param"] == "expire_after_seconds"
    assert client.memory.policies() == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_ages_that_are_no_numbers_are_refused(client: RestClient, number: str):
    content = f'{{"namespace": "ana", "expire_after_seconds": {number}}}'.encode()
    error_of(client.ask("POST", "/policies", content=content, headers={"Content-Type": "application/json"}), 422)


def test_both_fields_of_a_policy_are_needed(client: RestClient):
    for body in ({"namespace": "ana"}, {"expire_after_seconds": 60}, {}, {"namespace": "ana", "expire_after": 60}):
        error_of(client.post("/policies", body), 422)
    assert client.memory.policies() == []


def test_a_policy_is_for_the_namespace_in_the_request_only(client: RestClient):
    own, default = ({"namespace": name, "expire_after_seconds": 60} for name in ("ana", None))
    for body in (own, default):
        assert error_of(client.post("/policies", body, namespace="bo"), 409)["code"] == "namespace_conflict"
    assert client.post("/policies", own, namespace="ana").status_code == 200
    for path in ("/policies", "/policies?namespace=bo"):
        assert error_of(client.delete(path, namespace="ana"), 409)["code"] == "namespace_conflict"
    assert client.delete("/policies?namespace=ana", namespace="ana").status_code == 200
    for name in ("a\nb", "\x7f", "x" * 600, "\U0001f41d" * 300, ""):
        answer = client.post("/policies", {"namespace": name, "expire_after_seconds": 60})
        assert answer.status_code in (400, 422), answer.text
    assert client.memory.policies() == []


def test_an_expired_engram_looks_like_one_that_does_not_exist(client: RestClient):
    old = client.memory.remember("old", namespace="ana", at=datetime.now(UTC) - timedelta(days=9)).id
    client.post("/policies", {"namespace": "ana", "expire_after_seconds": 86_400})
    for method, path, body in (
        ("GET", "/engrams/{}?namespace=ana", None),
        ("GET", "/engrams?after_id={}&namespace=ana", None),
        ("GET", "/quarantine?after_id={}&namespace=ana", None),
        ("POST", "/why", {"query": "old", "id": "{}", "namespace": "ana"}),
        ("POST", "/quarantine", {"id": "{}", "why": "x", "namespace": "ana"}),
        ("POST", "/release", {"id": "{}", "namespace": "ana"}),
    ):
        answers = []
        for id in (old, UNKNOWN_ID):
            sent = None if body is None else json.loads(json.dumps(body).replace("{}", id))
            answers.append(client.ask(method, path.format(id), json=sent))
        error_of(answers[0], 404)
        assert answers[0].content == answers[1].content
    # To forget it erases it, whatever a later policy says.
    assert client.delete(f"/engrams/{old}?namespace=ana").json() == {"forgotten": 1}


# The OpenAPI document.


def test_the_openapi_document_is_complete(client: RestClient):
    document = client.app.openapi()
    paths = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert len(paths) == 33
    for method, path in paths:
        operation = document["paths"][path][method]
        assert operation["summary"]
        assert not operation["summary"].endswith(".")
        assert operation["description"]
        assert {"400", "401", "403", "422", "431", "500", "503"} <= set(operation["responses"])
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                schema = response["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Failure"}
        assert {} in operation["security"]
        assert {"EngramKey": []} in operation["security"]
    ids = [document["paths"][path][method]["operationId"] for method, path in paths]
    assert len(set(ids)) == len(ids)


def test_links_lead_from_a_response_to_its_engram(client: RestClient):
    document = client.app.openapi()
    operations = {one["operationId"]: one for methods in document["paths"].values() for one in methods.values()}
    answers = {
        ("/memory/remember", "post", "201"): client.post("/remember", {"text": "Hens lay.", "namespace": "farm"}),
        ("/memory/engrams", "get", "200"): client.get("/engrams?namespace=farm"),
        ("/memory/recall", "post", "200"): client.post("/recall", {"query": "hens", "namespace": "farm"}),
    }
    for (path, method, status), answer in answers.items():
        for name, link in document["paths"][path][method]["responses"][status]["links"].items():
            assert name == link["operationId"]
            assert {"id", "namespace"} <= {one["name"] for one in operations[name]["parameters"]}
            given = {key: pointed(answer.json(), value) for key, value in link["parameters"].items()}
            found = client.get(f"/engrams/{given['id']}?namespace={given['query.namespace']}")
            assert found.json()["text"] == "Hens lay."


def pointed(body, expression: str):
    """Return the value that a runtime expression of OpenAPI finds in the body of a response."""
    for step in expression.removeprefix("$response.body#/").split("/"):
        body = body[int(step) if step.isdigit() else step]
    return body


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_responses_match_the_openapi_document(client: RestClient, mode):
    """Every request that the document admits is answered as documented; every other request is refused."""
    client.memory.remember("My dog is called Biscuit.", namespace="home")
    # NUL is refused anywhere in the metadata too, which a schema cannot express.
    # A valid If-Match names a version that the document may not have.
    accepted = PositiveDataAcceptanceConfig(expected_statuses=["2xx", "3xx", "404", "409", "412"])
    generation = ProjectConfig(
        generation=GenerationConfig(allow_x00=False), checks=ChecksConfig(positive_data_acceptance=accepted)
    )
    config = SchemathesisConfig(projects=ProjectsConfig(default=generation))
    document = schemathesis.openapi.from_asgi("/openapi.json", client.app, config=config)
    tried = 0
    for result in document.get_all_operations():
        requests = result.ok().as_strategy(generation_mode=mode)

        @settings(
            max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=requests)
        def check(case) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate()

        check()
    assert tried >= 13
