"""Keys on every face of one server: what each of them opens, and that nothing of another's is seen, counted or told."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.calling import call, keys
from tests.serve.conftest import PATIENCE, Server, wait_until
from tests.serve.proxied import PATIENT
from tests.serve.upstream import Upstream

ANA, BOB = "The safe of the bakery opens with 4711.", "The safe of the brewery opens with 9302."
QUESTION = "What does the safe open with?"
NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"
"""An id that nothing has."""

KEYS = {
    "ana": ("--namespace", "ana"),
    "ana all": ("--namespace", "ana", "--erase"),
    "bob": ("--namespace", "bob", "--erase"),
    "reader": ("--namespace", "ana", "--no-write"),
    "writer": ("--namespace", "ana", "--no-read"),
    "team": ("--prefix", "team-"),
    "admin": ("--admin", "--erase"),
    "leaver": ("--namespace", "ana"),
}


@dataclass
class House:
    """One server with keys, in which two namespaces each know something of a safe."""

    server: Server
    upstream: Upstream
    made: Mapping[str, Mapping[str, Any]]
    """The keys, as `engram keys create` answers."""
    turns: dict[str, httpx.Headers]
    """The headers of the answer to what each namespace said."""

    def key(self, name: str) -> str:
        return str(self.made[name]["key"])

    def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        """A request with a key, by name."""
        headers = {} if key is None else {"X-Engram-Key": self.key(key)}
        headers |= options.pop("headers", {})
        return self.server.http.request(method, path, headers=headers, **options)

    def chat(self, key: str | None, text: str, headers: Mapping[str, str] = {}, **fields: Any) -> httpx.Response:
        """A chat completion."""
        body = {"model": "plain", "messages": [{"role": "user", "content": text}], **fields}
        return self.ask("POST", "/v1/chat/completions", key, json=body, headers=dict(headers))

    def tool(self, key: str, name: str, **arguments: object) -> tuple[bool, str, dict[str, Any]]:
        """A call of a tool."""
        return call(self.server, name, self.key(key), **arguments)

    def ids(self, namespace: str) -> set[str]:
        """All that a namespace holds."""
        answer = self.ask("GET", "/memory/engrams", "admin", params={"namespace": namespace, "limit": 1000})
        return {engram["id"] for engram in answer.json()["engrams"]}

    def receipt(self, namespace: str) -> str:
        """The receipt of what a namespace said."""
        return str(self.turns[namespace]["x-engram-receipt"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("keys")
    path = folder / "memory.db"
    made = {name: keys(path, "create", "--name", name, *options) for name, options in KEYS.items()}
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        server = Server(path, upstream.url, *PATIENT, HOME=str(folder))
        stack.callback(server.close)
        house = House(server, upstream, made, {})
        for name, text in (("ana", ANA), ("bob", BOB)):
            house.turns[name] = house.chat(name, text).headers
            server.settled(house.receipt(name), **{"X-Engram-Key": house.key(name)})
        for namespace in ("team-a", "team-b"):
            item = {"text": f"The safe of {namespace} opens with 5.", "namespace": namespace}
            assert house.ask("POST", "/memory/remember", "team", json=item).status_code == 201
        yield house


# Who has none.

FACES = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("POST", "/v1/responses"),
    ("GET", "/v1/models"),
    ("POST", "/v1/embeddings"),
    ("POST", "/memory/remember"),
    ("POST", "/memory/recall"),
    ("GET", "/memory/engrams"),
    ("GET", "/memory/namespaces"),
    ("DELETE", "/memory"),
    ("GET", f"/memory/receipts/{NOBODY}"),
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), FACES)
def test_nothing_without_a_key(house: House, method: str, path: str):
    body = {"model": "plain", "messages": [{"role": "user", "content": QUESTION}], "input": QUESTION, "query": QUESTION}
    before = len(house.upstream.asked)
    sound = house.key("ana")
    for headers in (
        {},
        {"Authorization": "Bearer sk-somebody"},
        {"X-Engram-Key": ""},
        {"X-Engram-Key": sound[:-1]},
        {"X-Engram-Key": sound.upper()},
        {"Authorization": f"Bearer {sound}x"},
        {"x-api-key": f"engram_{uuid.uuid4().hex[:12]}_{'x' * 43}"},
    ):
        answer = house.ask(method, path, json=body, headers=headers)
        assert answer.status_code == 401, answer.text
        error = answer.json()
        if path.startswith("/v1/messages"):
            assert error["type"] == "error"
            assert error["error"]["type"] == "authentication_error"
        else:
            assert error["error"]["code"] in ("key_missing", "key_invalid")
        assert "key" in error["error"]["message"]
        assert not any(value and value in answer.text for value in headers.values())
    assert len(house.upstream.asked) == before


def test_what_needs_none_tells_nothing(house: House):
    assert house.ask("GET", "/healthz").text == "ok\n"
    assert house.ask("GET", "/readyz").json() == {"ready": True}
    for path in ("/docs", "/openapi.json"):
        answer = house.ask("GET", path)
        assert answer.status_code == 200
        assert not any(word in answer.text for word in ("bakery", "brewery", "team-"))


def test_figures_are_for_admins(house: House):
    for name in KEYS:
        if name != "leaver":
            answer = house.ask("GET", "/metrics", name)
            assert answer.status_code == (200 if name == "admin" else 403), name
            assert ("engram_requests" in answer.text) == (name == "admin")


# The key itself.


@pytest.mark.parametrize(
    "sent",
    [
        {"X-Engram-Key": "{}"},
        {"Authorization": "Bearer {}"},
        {"authorization": "bearer {}"},
        {"x-api-key": "{}"},
        {"X-Engram-Key": "{}", "Authorization": "Bearer {}", "x-api-key": "{}"},
        {"X-Engram-Key": "{}", "Authorization": "{}"},
    ],
)
def test_the_key_stays_here(house: House, sent: Mapping[str, str]):
    headers = {name: value.format(house.key("ana")) for name, value in sent.items()}
    said = [{"role": "user", "content": f"Hello, {uuid.uuid4()}."}]
    for path, body in (
        ("/v1/chat/completions", {"model": "plain", "messages": said}),
        ("/v1/messages", {"model": "plain", "max_tokens": 9, "messages": said}),
        ("/v1/responses", {"model": "plain", "input": said}),
        ("/v1/embeddings", {"model": "plain", "input": "x"}),
        ("/v1/models", None),
    ):
        before = len(house.upstream.asked)
        answer = house.ask("POST" if body else "GET", path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert len(house.upstream.asked) == before + 1
        last = house.upstream.last
        assert "engram_" not in repr(last.headers) + last.query
        assert not any(name.startswith("x-engram") for name, _ in last.headers)
        assert house.key("ana").encode() not in last.body
    assert house.key("ana") not in "\n".join(house.server.said)


def test_the_callers_own_key_goes_upstream_beside_it(house: House):
    house.chat("ana", "Hello.", {"Authorization": "Bearer sk-caller"})
    assert house.upstream.last.header("authorization") == "Bearer sk-caller"
    # Anthropic's clients send both: a token for one, a key for the other.
    both = {"Authorization": f"Bearer {house.key('ana')}", "x-api-key": "sk-ant"}
    said = {"model": "plain", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello."}]}
    assert house.ask("POST", "/v1/messages", json=said, headers=both).status_code == 200
    assert house.upstream.last.header("x-api-key") == "sk-ant"
    assert house.upstream.last.header("authorization") is None


# Whose memory, through the model's API.


def test_a_model_gets_notes_of_the_keys_namespace_only(house: House):
    for name, own, other in (("ana", ANA, BOB), ("bob", BOB, ANA)):
        answer = house.chat(name, f"{QUESTION} {uuid.uuid4().hex}")
        assert answer.status_code == 200
        sent = house.upstream.last.body.decode()
        assert own in sent
        assert other not in sent
        assert set(answer.headers["x-engram-recalled"].split(",")) <= house.ids(name)
        house.server.settled(answer.headers["x-engram-receipt"], **{"X-Engram-Key": house.key(name)})


def test_another_namespace_cannot_be_asked_for(house: House):
    before, held = len(house.upstream.asked), house.ids("bob")
    for namespace in ("bob", "nobody", "ana-2", "Ana", "team-a"):
        answer = house.chat("ana", QUESTION, {"X-Engram-Namespace": namespace})
        assert answer.status_code == 403, namespace
        # The same of one that is there as of one that is not.
        assert answer.json()["error"]["message"] == "this key does not cover that namespace"
    assert len(house.upstream.asked) == before
    # `user` is a wish: where it cannot be met, it is the key's own namespace.
    answer = house.chat("ana", f"{QUESTION} Once more.", user="bob")
    assert answer.status_code == 200
    assert BOB not in house.upstream.last.body.decode()
    settled = house.server.settled(answer.headers["x-engram-receipt"], **{"X-Engram-Key": house.key("ana")})
    assert settled["namespace"] == "ana"
    assert house.ids("bob") == held


def test_a_session_of_another_is_none(house: House):
    session = house.turns["bob"]["x-engram-session"]
    before, held = len(house.upstream.asked), house.ids("ana") | house.ids("bob")
    answer = house.chat("ana", "Go on.", {"X-Engram-Session": session})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "session_not_found"
    made_up = session[:-1] + ("0" if session[-1] != "0" else "1")
    other = house.chat("ana", "Go on.", {"X-Engram-Session": made_up})
    assert (other.status_code, other.text.replace(made_up, session)) == (400, answer.text)
    assert len(house.upstream.asked) == before
    assert house.ids("ana") | house.ids("bob") == held


def test_a_session_of_the_same_name_is_another(house: House):
    """What anybody may call a session is no secret, and opens nothing."""
    for name, text in (("ana", "I like rye."), ("bob", "I like hops.")):
        answer = house.chat(name, text, {"X-Engram-Session": "likes"})
        house.server.settled(answer.headers["x-engram-receipt"], **{"X-Engram-Key": house.key(name)})
    answer = house.ask("GET", "/memory/engrams", "ana", params={"session": "likes"})
    assert "rye" in answer.text
    assert "hops" not in answer.text


def test_a_response_of_another_is_not_gone_on_with(house: House):
    def respond(name: str, text: str, **fields: object) -> httpx.Response:
        return house.ask("POST", "/v1/responses", name, json={"model": "plain", "input": text, **fields})

    first = respond("bob", "My horse is called Hektor.")
    house.server.settled(first.headers["x-engram-receipt"], **{"X-Engram-Key": house.key("bob")})
    id, session = first.json()["id"], first.headers["x-engram-session"]
    assert respond("bob", "And my cat Mia.", previous_response_id=id).headers["x-engram-session"] == session
    assert respond("ana", "And my cow Olga.", previous_response_id=id).headers["x-engram-session"] != session


def test_the_same_words_of_two_stay_apart(house: House):
    said = f"Good morning, {uuid.uuid4()}."
    first, second = house.chat("ana", said), house.chat("bob", said)
    assert first.headers["x-engram-session"] != second.headers["x-engram-session"]
    assert first.headers["x-engram-receipt"] != second.headers["x-engram-receipt"]
    for name, answer in (("ana", first), ("bob", second)):
        headers = {"X-Engram-Key": house.key(name)}
        assert len(house.server.settled(answer.headers["x-engram-receipt"], **headers)["engrams"]) == 2


# By REST.


def test_not_anothers_is_not_there(house: House):
    """By id, receipt or reason: the same answer for what is another's as for what is nobody's."""
    (theirs, *_), held = sorted(house.ids("bob")), house.ids("bob")

    def told(id: str, receipt: str) -> list[tuple[int, str]]:
        asked = [
            house.ask("GET", f"/memory/engrams/{id}", "ana all"),
            house.ask("DELETE", f"/memory/engrams/{id}", "ana all"),
            house.ask("GET", "/memory/engrams", "ana all", params={"after_id": id}),
            house.ask("POST", "/memory/forget", "ana all", json={"id": id}),
            house.ask("POST", "/memory/why", "ana all", json={"query": QUESTION, "id": id}),
            house.ask("GET", f"/memory/receipts/{receipt}", "ana all"),
        ]
        return [(answer.status_code, answer.text) for answer in asked]

    answers = told(theirs, house.receipt("bob"))
    assert answers == told(NOBODY, NOBODY)
    assert [status for status, _ in answers] == [404] * 6
    session = house.turns["bob"]["x-engram-session"]
    of_them = house.ask("POST", "/memory/forget", "ana all", json={"session": session})
    of_none = house.ask("POST", "/memory/forget", "ana all", json={"session": "there is none"})
    assert (of_them.status_code, of_them.text) == (of_none.status_code, of_none.text) == (404, of_them.text)
    assert house.ids("bob") == held
    assert house.server.receipt(house.receipt("bob"), **{"X-Engram-Key": house.key("bob")})["state"] != "refused"


def test_only_ones_own_is_listed_and_counted(house: House):
    own = house.ids("ana")
    listed = house.ask("GET", "/memory/engrams", "ana", params={"limit": 1000}).json()["engrams"]
    assert {engram["id"] for engram in listed} == own
    exported = house.ask("GET", "/memory/export", "ana").text.splitlines()
    assert {json.loads(line)["id"] for line in exported} == own
    assert house.ask("GET", "/memory/namespaces", "ana").json()["namespaces"] == [
        {"namespace": "ana", "engrams": len(own)}
    ]
    sessions = house.ask("GET", "/memory/sessions", "ana").json()["sessions"]
    assert sum(one["engrams"] for one in sessions) == len(own)
    assert house.turns["bob"]["x-engram-session"] not in [one["session"] for one in sessions]
    stats = house.ask("GET", "/memory/stats", "ana").json()
    assert stats == {"namespace": "ana", "engrams": len(own), "sessions": len(sessions)}
    hits = house.ask("POST", "/memory/recall", "ana", json={"query": QUESTION, "limit": 100}).json()
    assert {hit["engram"]["id"] for hit in hits["hits"]} <= own
    assert "brewery" not in json.dumps(hits)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/memory/remember", {"text": "x"}),
        ("POST", "/memory/recall", {"query": QUESTION}),
        ("POST", "/memory/why", {"query": QUESTION, "id": NOBODY}),
        ("POST", "/memory/forget", {"session": "x"}),
        ("GET", "/memory/engrams", None),
        ("GET", f"/memory/engrams/{NOBODY}", None),
        ("GET", "/memory/sessions", None),
        ("GET", "/memory/namespaces", None),
        ("GET", "/memory/export", None),
        ("GET", "/memory/stats", None),
        ("GET", f"/memory/receipts/{NOBODY}", None),
        ("DELETE", "/memory", None),
    ],
)
def test_rest_for_another_namespace_is_refused(house: House, method: str, path: str, body: Mapping[str, Any] | None):
    held = house.ids("bob")
    params = {"confirm": "bob"} if method == "DELETE" else {}
    answers = {
        (answer.status_code, answer.text)
        for namespace in ("bob", "nobody")
        for answer in [
            house.ask(method, path, "ana all", json=body, params=params, headers={"X-Engram-Namespace": namespace})
        ]
    }
    assert len(answers) == 1, answers
    ((status, text),) = answers
    assert status == 403, text
    assert house.ids("bob") == held


# By tools.


def test_tools_see_ones_own_only(house: House):
    theirs = sorted(house.ids("bob"))[0]
    done, text, found = house.tool("ana", "recall", query=QUESTION, limit=50)
    assert done
    assert ANA in text
    assert "brewery" not in text
    assert {passage["id"] for passage in found["passages"]} <= house.ids("ana")
    for tool, given in (("list", {"ids": ["{}"]}), ("list", {"after_id": "{}"}), ("forget", {"ids": ["{}"]})):
        answers = []
        for id in (theirs, NOBODY):
            filled = {name: [id] if isinstance(value, list) else id for name, value in given.items()}
            done, text, _ = house.tool("ana all", tool, **filled)
            assert not done
            answers.append(text.replace(id, "ID"))
        assert answers[0] == answers[1]
    assert theirs in house.ids("bob")
    for tool, arguments in (("recall", {"query": QUESTION}), ("remember", {"text": "x"}), ("list", {})):
        done, text, _ = house.tool("ana", tool, namespace="bob", **arguments)
        assert not done
        assert "does not cover that namespace" in text


# Other kinds of keys.


def test_a_key_for_a_prefix(house: House):
    for namespace in ("team-a", "team-b"):
        answer = house.chat("team", QUESTION, {"X-Engram-Namespace": namespace})
        assert answer.status_code == 200
        sent = house.upstream.last.body.decode()
        assert f"The safe of {namespace} opens" in sent
        assert not any(word in sent for word in ("bakery", "brewery"))
        assert set(answer.headers["x-engram-recalled"].split(",")) <= house.ids(namespace)
    for namespace in ("ana", "team", "teams", "Team-a"):
        assert house.chat("team", QUESTION, {"X-Engram-Namespace": namespace}).status_code == 403
    answer = house.chat("team", QUESTION)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "namespace_missing"
    # Who calls may be told by the request itself.
    assert house.chat("team", QUESTION, user="team-a").status_code == 200
    found = house.ask("GET", "/memory/namespaces", "team").json()["namespaces"]
    assert {one["namespace"] for one in found} == {"team-a", "team-b"}
    done, text, _ = house.tool("team", "recall", query=QUESTION, namespace="team-b")
    assert done
    assert "The safe of team-b" in text
    assert "The safe of team-a" not in text
    done, text, _ = house.tool("team", "recall", query=QUESTION)
    assert not done
    assert "team-" in text


def test_a_key_that_reads_only(house: House):
    held = house.ids("ana")
    answer = house.chat("reader", f"{QUESTION} I only read.")
    assert answer.status_code == 200
    assert ANA in house.upstream.last.body.decode()
    assert "x-engram-receipt" not in answer.headers
    # To ask for more than the key may is no error here: an application need not know its key's rights.
    answer = house.chat("reader", "I write: nothing.", {"X-Engram": "write"})
    assert answer.status_code == 200
    assert "x-engram-receipt" not in answer.headers
    assert house.ask("POST", "/memory/recall", "reader", json={"query": QUESTION}).json()["hits"]
    refused = house.ask("POST", "/memory/remember", "reader", json={"text": "No."})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "right_missing")
    assert house.tool("reader", "recall", query=QUESTION)[0]
    done, text, _ = house.tool("reader", "remember", text="No.")
    assert not done
    assert "no right to write" in text
    # Neither it nor the one that writes too may forget.
    for name in ("reader", "ana"):
        refused = house.ask("DELETE", f"/memory/engrams/{sorted(held)[0]}", name)
        assert refused.status_code == 403
        assert house.ask("DELETE", "/memory", name, params={"confirm": "ana"}).status_code == 403
        assert not house.tool(name, "forget", ids=[sorted(held)[0]])[0]
    assert house.ids("ana") == held


def test_a_key_that_writes_only(house: House):
    own = f"Written by one who does not read, {uuid.uuid4()}."
    answer = house.chat("writer", own)
    assert answer.status_code == 200
    assert house.upstream.last.messages[-1]["content"] == own
    assert "x-engram-recalled" not in answer.headers
    answer = house.chat("writer", QUESTION, {"X-Engram": "read"})
    assert "bakery" not in house.upstream.last.body.decode()
    assert "x-engram-recalled" not in answer.headers
    receipt = house.chat("writer", own + " Twice.").headers["x-engram-receipt"]
    settled = house.server.settled(receipt, **{"X-Engram-Key": house.key("writer")})
    assert set(settled["engrams"]) <= house.ids("ana")
    assert house.ask("POST", "/memory/remember", "writer", json={"text": "By REST."}).status_code == 201
    assert house.tool("writer", "remember", text="By a tool.")[0]
    for method, path, body in (
        ("POST", "/memory/recall", {"query": QUESTION}),
        ("GET", "/memory/engrams", None),
        ("GET", "/memory/sessions", None),
        ("GET", "/memory/namespaces", None),
        ("GET", "/memory/export", None),
        ("GET", "/memory/stats", None),
    ):
        refused = house.ask(method, path, "writer", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "right_missing"), path
    for tool, arguments in (("recall", {"query": QUESTION}), ("list", {})):
        done, text, _ = house.tool("writer", tool, **arguments)
        assert not done
        assert "no right to read" in text


def test_an_admins_key(house: House):
    found = {one["namespace"] for one in house.ask("GET", "/memory/namespaces", "admin").json()["namespaces"]}
    assert found >= {"ana", "bob", "team-a", "team-b"}
    assert house.ask("GET", "/memory/stats", "admin").json()["engrams"] >= 6
    house.chat("admin", QUESTION, {"X-Engram-Namespace": "bob"})
    assert BOB in house.upstream.last.body.decode()
    # Without a name it is the server's own default, and not everybody's.
    house.chat("admin", QUESTION)
    assert "opens with" not in house.upstream.last.body.decode()
    assert house.server.receipt(house.receipt("bob"), **{"X-Engram-Key": house.key("admin")})["namespace"] == "bob"


def test_a_revoked_key_ends_on_every_face(house: House):
    assert house.chat("leaver", "I am leaving.").status_code == 200
    keys(house.server.memory, "revoke", str(house.made["leaver"]["id"]))
    wait_until(lambda: house.chat("leaver", "Am I gone?").status_code == 401, "a key that is not valid", 10)
    for method, path in FACES:
        assert house.ask(method, path, "leaver", json={}).status_code == 401, path
    # A key on an upstream's credential form is revoked just the same.
    bearer = {"Authorization": f"Bearer {house.key('leaver')}"}
    assert house.ask("GET", "/v1/models", headers=bearer).status_code == 401
    assert house.chat("ana", "I stay.").status_code == 200


# Addresses of others.


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """`engram serve` that is to end by itself."""
    command = [sys.executable, "-m", "engram", "serve", "--port", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_without_keys_it_serves_this_machine_only(tmp_path: Path, host: str):
    done = run("--host", host, "--memory", str(tmp_path / "memory.db"), "--upstream", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert host in done.stderr
    assert "engram keys create" in done.stderr


def test_with_a_key_it_serves_others_and_the_last_one_revoked_opens_nothing(tmp_path: Path):
    memory = tmp_path / "memory.db"
    made = keys(memory, "create", "--namespace", "ana")
    with Upstream() as upstream:
        server = Server(memory, upstream.url, "--host", "0.0.0.0")
        try:
            assert server.http.get("/v1/models").status_code == 401
            assert server.http.get("/v1/models", headers={"X-Engram-Key": made["key"]}).status_code == 200
            keys(memory, "revoke", made["id"])
            wait_until(
                lambda: server.http.get("/v1/models", headers={"X-Engram-Key": made["key"]}).status_code == 401,
                "a key that is not valid",
                10,
            )
            assert server.http.get("/v1/models").status_code == 401
        finally:
            server.close()
