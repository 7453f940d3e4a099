"""Keys on every API of one server: what each allows, and that nothing of another namespace is shown or counted."""

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
"""The id of no engram."""

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
class SharedServer:
    """One server with keys, whose two namespaces each hold a fact about a safe."""

    server: Server
    upstream: Upstream
    created: Mapping[str, Mapping[str, Any]]
    """The keys, as `engram keys create` prints them."""
    turns: dict[str, httpx.Headers]
    """The headers of the response to the first message in each namespace."""

    def key(self, name: str) -> str:
        return str(self.created[name]["key"])

    def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        """Send a request with a key, by its name."""
        headers = {} if key is None else {"X-Engram-Key": self.key(key)}
        headers |= options.pop("headers", {})
        return self.server.http.request(method, path, headers=headers, **options)

    def chat(self, key: str | None, text: str, headers: Mapping[str, str] = {}, **fields: Any) -> httpx.Response:
        """Send a chat completion."""
        body = {"model": "plain", "messages": [{"role": "user", "content": text}], **fields}
        return self.ask("POST", "/v1/chat/completions", key, json=body, headers=dict(headers))

    def tool(self, key: str, name: str, **arguments: object) -> tuple[bool, str, dict[str, Any]]:
        """Call a tool."""
        return call(self.server, name, self.key(key), **arguments)

    def ids(self, namespace: str) -> set[str]:
        """Return the ids of all engrams of a namespace."""
        answer = self.ask("GET", "/memory/engrams", "admin", params={"namespace": namespace, "limit": 1000})
        return {engram["id"] for engram in answer.json()["engrams"]}

    def receipt(self, namespace: str) -> str:
        """Return the receipt id of the first message in a namespace."""
        return str(self.turns[namespace]["x-engram-receipt"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServer]:
    folder = tmp_path_factory.mktemp("keys")
    path = folder / "memory.db"
    created = {name: keys(path, "create", "--name", name, *options) for name, options in KEYS.items()}
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        server = Server(path, upstream.url, *PATIENT, HOME=str(folder))
        stack.callback(server.close)
        shared = SharedServer(server, upstream, created, {})
        for name, text in (("ana", ANA), ("bob", BOB)):
            shared.turns[name] = shared.chat(name, text).headers
            server.settled(shared.receipt(name), **{"X-Engram-Key": shared.key(name)})
        for namespace in ("team-a", "team-b"):
            item = {"text": f"The safe of {namespace} opens with 5.", "namespace": namespace}
            assert shared.ask("POST", "/memory/remember", "team", json=item).status_code == 201
        yield shared


# Without a key.

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
def test_every_api_refuses_requests_without_a_valid_key(shared: SharedServer, method: str, path: str):
    body = {"model": "plain", "messages": [{"role": "user", "content": QUESTION}], "input": QUESTION, "query": QUESTION}
    before = len(shared.upstream.asked)
    sound = shared.key("ana")
    for headers in (
        {},
        {"Authorization": "Bearer sk-somebody"},
        {"X-Engram-Key": ""},
        {"X-Engram-Key": sound[:-1]},
        {"X-Engram-Key": sound.upper()},
        {"Authorization": f"Bearer {sound}x"},
        {"x-api-key": f"engram_{uuid.uuid4().hex[:12]}_{'x' * 43}"},
    ):
        answer = shared.ask(method, path, json=body, headers=headers)
        assert answer.status_code == 401, answer.text
        error = answer.json()
        if path.startswith("/v1/messages"):
            assert error["type"] == "error"
            assert error["error"]["type"] == "authentication_error"
        else:
            assert error["error"]["code"] in ("key_missing", "key_invalid")
        assert "key" in error["error"]["message"]
        assert not any(value and value in answer.text for value in headers.values())
    assert len(shared.upstream.asked) == before


def test_pages_without_keys_reveal_nothing(shared: SharedServer):
    assert shared.ask("GET", "/healthz").text == "ok\n"
    assert shared.ask("GET", "/readyz").json() == {"ready": True}
    for path in ("/docs", "/openapi.json"):
        answer = shared.ask("GET", path)
        assert answer.status_code == 200
        assert not any(word in answer.text for word in ("bakery", "brewery", "team-"))


def test_metrics_are_for_admin_keys_only(shared: SharedServer):
    for name in KEYS:
        if name != "leaver":
            answer = shared.ask("GET", "/metrics", name)
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
def test_engram_key_is_never_sent_upstream(shared: SharedServer, sent: Mapping[str, str]):
    headers = {name: value.format(shared.key("ana")) for name, value in sent.items()}
    messages = [{"role": "user", "content": f"Hello, {uuid.uuid4()}."}]
    for path, body in (
        ("/v1/chat/completions", {"model": "plain", "messages": messages}),
        ("/v1/messages", {"model": "plain", "max_tokens": 9, "messages": messages}),
        ("/v1/responses", {"model": "plain", "input": messages}),
        ("/v1/embeddings", {"model": "plain", "input": "x"}),
        ("/v1/models", None),
    ):
        before = len(shared.upstream.asked)
        answer = shared.ask("POST" if body else "GET", path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert len(shared.upstream.asked) == before + 1
        last = shared.upstream.last
        assert "engram_" not in repr(last.headers) + last.query
        assert not any(name.startswith("x-engram") for name, _ in last.headers)
        assert shared.key("ana").encode() not in last.body
    assert shared.key("ana") not in "\n".join(shared.server.said)


def test_upstream_key_of_the_caller_is_forwarded(shared: SharedServer):
    shared.chat("ana", "Hello.", {"Authorization": "Bearer sk-caller"})
    assert shared.upstream.last.header("authorization") == "Bearer sk-caller"
    # Anthropic's clients send both headers: one with our key, one with the key for upstream.
    both = {"Authorization": f"Bearer {shared.key('ana')}", "x-api-key": "sk-ant"}
    body = {"model": "plain", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello."}]}
    assert shared.ask("POST", "/v1/messages", json=body, headers=both).status_code == 200
    assert shared.upstream.last.header("x-api-key") == "sk-ant"
    assert shared.upstream.last.header("authorization") is None


# Namespaces, through the model APIs.


def test_notes_come_from_the_namespace_of_the_key_only(shared: SharedServer):
    for name, fact, other in (("ana", ANA, BOB), ("bob", BOB, ANA)):
        answer = shared.chat(name, f"{QUESTION} {uuid.uuid4().hex}")
        assert answer.status_code == 200
        sent = shared.upstream.last.body.decode()
        assert fact in sent
        assert other not in sent
        assert set(answer.headers["x-engram-recalled"].split(",")) <= shared.ids(name)
        shared.server.settled(answer.headers["x-engram-receipt"], **{"X-Engram-Key": shared.key(name)})


def test_namespace_outside_the_key_is_refused(shared: SharedServer):
    before, stored = len(shared.upstream.asked), shared.ids("bob")
    for namespace in ("bob", "nobody", "ana-2", "Ana", "team-a"):
        answer = shared.chat("ana", QUESTION, {"X-Engram-Namespace": namespace})
        assert answer.status_code == 403, namespace
        # The same error for an existing namespace and for a missing one.
        assert answer.json()["error"]["message"] == "this key does not cover that namespace"
    assert len(shared.upstream.asked) == before
    # `user` is a preference: if the key does not cover it, the default of the key applies.
    answer = shared.chat("ana", f"{QUESTION} Once more.", user="bob")
    assert answer.status_code == 200
    assert BOB not in shared.upstream.last.body.decode()
    settled = shared.server.settled(answer.headers["x-engram-receipt"], **{"X-Engram-Key": shared.key("ana")})
    assert settled["namespace"] == "ana"
    assert shared.ids("bob") == stored


def test_generated_session_of_another_namespace_is_refused_like_a_made_up_one(shared: SharedServer):
    session = shared.turns["bob"]["x-engram-session"]
    before, stored = len(shared.upstream.asked), shared.ids("ana") | shared.ids("bob")
    answer = shared.chat("ana", "Go on.", {"X-Engram-Session": session})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "session_not_found"
    made_up = session[:-1] + ("0" if session[-1] != "0" else "1")
    other = shared.chat("ana", "Go on.", {"X-Engram-Session": made_up})
    assert (other.status_code, other.text.replace(made_up, session)) == (400, answer.text)
    assert len(shared.upstream.asked) == before
    assert shared.ids("ana") | shared.ids("bob") == stored


def test_sessions_of_the_same_name_in_two_namespaces_are_separate(shared: SharedServer):
    for name, text in (("ana", "I like rye."), ("bob", "I like hops.")):
        answer = shared.chat(name, text, {"X-Engram-Session": "likes"})
        shared.server.settled(answer.headers["x-engram-receipt"], **{"X-Engram-Key": shared.key(name)})
    answer = shared.ask("GET", "/memory/engrams", "ana", params={"session": "likes"})
    assert "rye" in answer.text
    assert "hops" not in answer.text


def test_response_of_another_namespace_is_not_continued(shared: SharedServer):
    def respond(name: str, text: str, **fields: object) -> httpx.Response:
        return shared.ask("POST", "/v1/responses", name, json={"model": "plain", "input": text, **fields})

    first = respond("bob", "My horse is called Hektor.")
    shared.server.settled(first.headers["x-engram-receipt"], **{"X-Engram-Key": shared.key("bob")})
    id, session = first.json()["id"], first.headers["x-engram-session"]
    assert respond("bob", "And my cat Mia.", previous_response_id=id).headers["x-engram-session"] == session
    assert respond("ana", "And my cow Olga.", previous_response_id=id).headers["x-engram-session"] != session


def test_same_message_in_two_namespaces_gives_two_sessions(shared: SharedServer):
    greeting = f"Good morning, {uuid.uuid4()}."
    first, second = shared.chat("ana", greeting), shared.chat("bob", greeting)
    assert first.headers["x-engram-session"] != second.headers["x-engram-session"]
    assert first.headers["x-engram-receipt"] != second.headers["x-engram-receipt"]
    for name, answer in (("ana", first), ("bob", second)):
        headers = {"X-Engram-Key": shared.key(name)}
        assert len(shared.server.settled(answer.headers["x-engram-receipt"], **headers)["engrams"]) == 2


# Through REST.


def test_engram_of_another_namespace_is_answered_like_a_missing_one(shared: SharedServer):
    """By id, receipt or explanation: the same response for an engram of another namespace as for a missing one."""
    (theirs, *_), stored = sorted(shared.ids("bob")), shared.ids("bob")

    def responses(id: str, receipt: str) -> list[tuple[int, str]]:
        answers = [
            shared.ask("GET", f"/memory/engrams/{id}", "ana all"),
            shared.ask("DELETE", f"/memory/engrams/{id}", "ana all"),
            shared.ask("GET", "/memory/engrams", "ana all", params={"after_id": id}),
            shared.ask("POST", "/memory/forget", "ana all", json={"id": id}),
            shared.ask("POST", "/memory/why", "ana all", json={"query": QUESTION, "id": id}),
            shared.ask("GET", f"/memory/receipts/{receipt}", "ana all"),
        ]
        return [(answer.status_code, answer.text) for answer in answers]

    answers = responses(theirs, shared.receipt("bob"))
    assert answers == responses(NOBODY, NOBODY)
    assert [status for status, _ in answers] == [404] * 6
    session = shared.turns["bob"]["x-engram-session"]
    of_them = shared.ask("POST", "/memory/forget", "ana all", json={"session": session})
    of_none = shared.ask("POST", "/memory/forget", "ana all", json={"session": "there is none"})
    assert (of_them.status_code, of_them.text) == (of_none.status_code, of_none.text) == (404, of_them.text)
    assert shared.ids("bob") == stored
    assert shared.server.receipt(shared.receipt("bob"), **{"X-Engram-Key": shared.key("bob")})["state"] != "refused"


def test_lists_and_counts_cover_the_namespace_of_the_key_only(shared: SharedServer):
    ids = shared.ids("ana")
    listed = shared.ask("GET", "/memory/engrams", "ana", params={"limit": 1000}).json()["engrams"]
    assert {engram["id"] for engram in listed} == ids
    exported = shared.ask("GET", "/memory/export", "ana").text.splitlines()
    assert {json.loads(line)["id"] for line in exported} == ids
    assert shared.ask("GET", "/memory/namespaces", "ana").json()["namespaces"] == [
        {"namespace": "ana", "engrams": len(ids)}
    ]
    sessions = shared.ask("GET", "/memory/sessions", "ana").json()["sessions"]
    assert sum(one["engrams"] for one in sessions) == len(ids)
    assert shared.turns["bob"]["x-engram-session"] not in [one["session"] for one in sessions]
    stats = shared.ask("GET", "/memory/stats", "ana").json()
    assert stats == {"namespace": "ana", "engrams": len(ids), "sessions": len(sessions)}
    hits = shared.ask("POST", "/memory/recall", "ana", json={"query": QUESTION, "limit": 100}).json()
    assert {hit["engram"]["id"] for hit in hits["hits"]} <= ids
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
        ("GET", "/memory/state", None),
        ("GET", "/memory/state/agents", None),
        ("GET", "/memory/state/document?name=plan", None),
        ("PUT", "/memory/state/document?name=plan", {"value": 1}),
        ("DELETE", "/memory/state/document?name=plan", None),
        ("GET", "/memory/state/history?name=plan", None),
        ("POST", "/memory/state/rollback", {"name": "plan", "version": 1}),
        ("DELETE", "/memory", None),
    ],
)
def test_rest_refuses_a_namespace_outside_the_key(
    shared: SharedServer, method: str, path: str, body: Mapping[str, Any] | None
):
    stored = shared.ids("bob")
    path += "?confirm=bob" if path == "/memory" else ""
    answers = {
        (answer.status_code, answer.text)
        for namespace in ("bob", "nobody")
        for answer in [shared.ask(method, path, "ana all", json=body, headers={"X-Engram-Namespace": namespace})]
    }
    assert len(answers) == 1, answers
    ((status, text),) = answers
    assert status == 403, text
    assert shared.ids("bob") == stored


# Through MCP tools.


def test_tools_cover_the_namespace_of_the_key_only(shared: SharedServer):
    theirs = sorted(shared.ids("bob"))[0]
    done, text, result = shared.tool("ana", "recall", query=QUESTION, limit=50)
    assert done
    assert ANA in text
    assert "brewery" not in text
    assert {passage["id"] for passage in result["passages"]} <= shared.ids("ana")
    for tool, arguments in (("list", {"ids": ["{}"]}), ("list", {"after_id": "{}"}), ("forget", {"ids": ["{}"]})):
        answers = []
        for id in (theirs, NOBODY):
            filled = {name: [id] if isinstance(value, list) else id for name, value in arguments.items()}
            done, text, _ = shared.tool("ana all", tool, **filled)
            assert not done
            answers.append(text.replace(id, "ID"))
        assert answers[0] == answers[1]
    assert theirs in shared.ids("bob")
    for tool, arguments in (("recall", {"query": QUESTION}), ("remember", {"text": "x"}), ("list", {})):
        done, text, _ = shared.tool("ana", tool, namespace="bob", **arguments)
        assert not done
        assert "does not cover that namespace" in text


# Other kinds of keys.


def test_prefix_key_covers_namespaces_with_the_prefix(shared: SharedServer):
    for namespace in ("team-a", "team-b"):
        answer = shared.chat("team", QUESTION, {"X-Engram-Namespace": namespace})
        assert answer.status_code == 200
        sent = shared.upstream.last.body.decode()
        assert f"The safe of {namespace} opens" in sent
        assert not any(word in sent for word in ("bakery", "brewery"))
        assert set(answer.headers["x-engram-recalled"].split(",")) <= shared.ids(namespace)
    for namespace in ("ana", "team", "teams", "Team-a"):
        assert shared.chat("team", QUESTION, {"X-Engram-Namespace": namespace}).status_code == 403
    answer = shared.chat("team", QUESTION)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "namespace_missing"
    # The request body can name the namespace.
    assert shared.chat("team", QUESTION, user="team-a").status_code == 200
    namespaces = shared.ask("GET", "/memory/namespaces", "team").json()["namespaces"]
    assert {one["namespace"] for one in namespaces} == {"team-a", "team-b"}
    done, text, _ = shared.tool("team", "recall", query=QUESTION, namespace="team-b")
    assert done
    assert "The safe of team-b" in text
    assert "The safe of team-a" not in text
    done, text, _ = shared.tool("team", "recall", query=QUESTION)
    assert not done
    assert "team-" in text


def test_read_only_key_recalls_and_stores_nothing(shared: SharedServer):
    stored = shared.ids("ana")
    answer = shared.chat("reader", f"{QUESTION} I only read.")
    assert answer.status_code == 200
    assert ANA in shared.upstream.last.body.decode()
    assert "x-engram-receipt" not in answer.headers
    # Requesting more than the key allows is no error here: an application need not know the rights of its key.
    answer = shared.chat("reader", "I write: nothing.", {"X-Engram": "write"})
    assert answer.status_code == 200
    assert "x-engram-receipt" not in answer.headers
    assert shared.ask("POST", "/memory/recall", "reader", json={"query": QUESTION}).json()["hits"]
    refused = shared.ask("POST", "/memory/remember", "reader", json={"text": "No."})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "right_missing")
    assert shared.tool("reader", "recall", query=QUESTION)[0]
    done, text, _ = shared.tool("reader", "remember", text="No.")
    assert not done
    assert "no right to write" in text
    # Neither this key nor one that may also write allows forgetting.
    for name in ("reader", "ana"):
        refused = shared.ask("DELETE", f"/memory/engrams/{sorted(stored)[0]}", name)
        assert refused.status_code == 403
        assert shared.ask("DELETE", "/memory", name, params={"confirm": "ana"}).status_code == 403
        assert not shared.tool(name, "forget", ids=[sorted(stored)[0]])[0]
    assert shared.ids("ana") == stored


def test_write_only_key_stores_and_recalls_nothing(shared: SharedServer):
    message = f"Written by one who does not read, {uuid.uuid4()}."
    answer = shared.chat("writer", message)
    assert answer.status_code == 200
    assert shared.upstream.last.messages[-1]["content"] == message
    assert "x-engram-recalled" not in answer.headers
    answer = shared.chat("writer", QUESTION, {"X-Engram": "read"})
    assert "bakery" not in shared.upstream.last.body.decode()
    assert "x-engram-recalled" not in answer.headers
    receipt = shared.chat("writer", message + " Twice.").headers["x-engram-receipt"]
    settled = shared.server.settled(receipt, **{"X-Engram-Key": shared.key("writer")})
    assert set(settled["engrams"]) <= shared.ids("ana")
    assert shared.ask("POST", "/memory/remember", "writer", json={"text": "By REST."}).status_code == 201
    assert shared.tool("writer", "remember", text="By a tool.")[0]
    for method, path, body in (
        ("POST", "/memory/recall", {"query": QUESTION}),
        ("GET", "/memory/engrams", None),
        ("GET", "/memory/sessions", None),
        ("GET", "/memory/namespaces", None),
        ("GET", "/memory/export", None),
        ("GET", "/memory/stats", None),
    ):
        refused = shared.ask(method, path, "writer", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "right_missing"), path
    for tool, arguments in (("recall", {"query": QUESTION}), ("list", {})):
        done, text, _ = shared.tool("writer", tool, **arguments)
        assert not done
        assert "no right to read" in text


def test_admin_key_covers_all_namespaces(shared: SharedServer):
    namespaces = {one["namespace"] for one in shared.ask("GET", "/memory/namespaces", "admin").json()["namespaces"]}
    assert namespaces >= {"ana", "bob", "team-a", "team-b"}
    assert shared.ask("GET", "/memory/stats", "admin").json()["engrams"] >= 6
    shared.chat("admin", QUESTION, {"X-Engram-Namespace": "bob"})
    assert BOB in shared.upstream.last.body.decode()
    # Without a namespace an admin key uses the default namespace of the server, not all.
    shared.chat("admin", QUESTION)
    assert "opens with" not in shared.upstream.last.body.decode()
    assert shared.server.receipt(shared.receipt("bob"), **{"X-Engram-Key": shared.key("admin")})["namespace"] == "bob"


def test_revoked_key_is_refused_by_every_api(shared: SharedServer):
    assert shared.chat("leaver", "I am leaving.").status_code == 200
    keys(shared.server.memory, "revoke", str(shared.created["leaver"]["id"]))
    wait_until(lambda: shared.chat("leaver", "Am I gone?").status_code == 401, "a key that is not valid", 10)
    for method, path in FACES:
        assert shared.ask(method, path, "leaver", json={}).status_code == 401, path
    # The revoked key is refused in the Authorization header, too.
    bearer = {"Authorization": f"Bearer {shared.key('leaver')}"}
    assert shared.ask("GET", "/v1/models", headers=bearer).status_code == 401
    assert shared.chat("ana", "I stay.").status_code == 200


# Addresses other than loopback.


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """Run `engram serve` with options that make it exit."""
    command = [sys.executable, "-m", "engram", "serve", "--port", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_server_without_keys_refuses_to_listen_beyond_loopback(tmp_path: Path, host: str):
    done = run("--host", host, "--memory", str(tmp_path / "memory.db"), "--upstream", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert host in done.stderr
    assert "engram keys create" in done.stderr
    assert not (tmp_path / "memory.db").exists()


def test_server_with_keys_listens_beyond_loopback_and_stays_closed_after_revocation(tmp_path: Path):
    memory = tmp_path / "memory.db"
    created = keys(memory, "create", "--namespace", "ana")
    with Upstream() as upstream:
        server = Server(memory, upstream.url, "--host", "0.0.0.0")
        try:
            assert server.http.get("/v1/models").status_code == 401
            assert server.http.get("/v1/models", headers={"X-Engram-Key": created["key"]}).status_code == 200
            keys(memory, "revoke", created["id"])
            wait_until(
                lambda: server.http.get("/v1/models", headers={"X-Engram-Key": created["key"]}).status_code == 401,
                "a key that is not valid",
                10,
            )
            assert server.http.get("/v1/models").status_code == 401
        finally:
            server.close()
