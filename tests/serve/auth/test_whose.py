"""Whose memory a request uses: headers that come twice, paths with names, fields and headers of front ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.serve.calling import keys
from tests.serve.conftest import StartLocal
from tests.serve.proxied import Caller, recalled, running, user

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
OWL = "My owl sleeps in the attic."


@pytest.fixture(scope="module", params=["fast", "plain"])
def relayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running(tmp_path_factory.mktemp(request.param), relay=request.param) as started:
        yield started


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running(tmp_path_factory.mktemp("shared")) as started:
        yield started


@pytest.fixture
def ana(shared: Any) -> Iterator[Caller]:
    with Caller(*shared) as caller:
        yield caller


def asking(text: str, path: str = CHAT, **fields: Any) -> dict[str, Any]:
    """Return a request to an API."""
    content: dict[str, Any] = {"input": text} if path.endswith("responses") else {"messages": [user(text)]}
    return {"model": "plain", "max_tokens": 9, **content, **fields}


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES, "/v1/models", "/memory/recall", "/mcp"])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("X-Engram-Namespace", ("east", "west")),
        ("X-Engram-Namespace", ("east", "east")),
        ("X-Engram-Session", ("one", "two")),
        ("X-Engram-Key", ("engram_a_b", "engram_c_d")),
        ("X-Engram", ("off", "read")),
        ("X-OpenWebUI-User-Id", ("u-1", "u-2")),
        ("X-OpenWebUI-Chat-Id", ("c-1", "c-1")),
        ("Authorization", ("Bearer sk-mine", "Bearer engram_c_d")),
    ],
)
def test_a_header_for_engram_that_comes_twice_is_refused(
    relayed: Any, path: str, name: str, values: tuple[str, str]
) -> None:
    server, upstream = relayed
    asked = len(upstream.asked)
    headers = [(name, values[0]), ("Content-Type", "application/json"), (name.upper(), values[1])]
    answer = server.http.post(path, json=asking(OWL, path), headers=headers)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert f"{name.lower()} came twice" in error["message"]
    assert error["type"] == "invalid_request_error"
    assert answer.json().get("type") == ("error" if path == MESSAGES else None)
    assert len(upstream.asked) == asked


def test_a_foreign_header_that_comes_twice_passes(relayed: Any) -> None:
    server, _ = relayed
    headers = [("X-Trace", "one"), ("X-Trace", "two"), ("X-Engram-Namespace", "traced")]
    assert server.http.post(CHAT, json=asking(OWL), headers=headers).status_code == 200


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("namespace", ["zoe", "team/zoe", "Zoë & Söhne", "100%", "v1", "session"])
def test_the_path_names_the_namespace_and_the_session(ana: Caller, path: str, namespace: str) -> None:
    namespace += ana.namespace
    prefix = f"/ns/{quote(namespace, safe='')}"
    answer = ana.server.http.post(prefix + path, json=asking(OWL, path))
    assert answer.status_code == 200, answer.text
    assert ana.last.path == path
    receipt = ana.server.settled(answer.headers["x-engram-receipt"])
    assert receipt["namespace"] == namespace
    answer = ana.server.http.post(
        f"{prefix}/session/{quote('first / walk', safe='')}{path}", json=asking("Where does my owl sleep?", path)
    )
    assert answer.headers["x-engram-session"] == "first / walk"
    assert recalled(answer.headers)
    assert ana.last.path == path
    answer = ana.server.http.get(f"{prefix}/v1/models?limit=3", headers={"X-Engram-Namespace": namespace.encode()})
    assert answer.status_code == 200
    assert (ana.last.path, ana.last.header("x-engram-namespace")) == ("/v1/models", None)


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/ns/ida/v1", {"X-Engram-Namespace": "ben"}, 400, "header_twice"),
        ("/ns/ida/session/a/v1", {"X-Engram-Session": "b"}, 400, "header_twice"),
        ("/ns//v1", {}, 400, "invalid_namespace"),
        ("/ns/" + "n" * 513 + "/v1", {}, 400, "invalid_namespace"),
        ("/ns/a%0Ab/v1", {}, 400, "invalid_namespace"),
        ("/ns/a%00b/v1", {}, 400, "invalid_namespace"),
        ("/ns/%7B%7BUSER_ID%7D%7D/v1", {}, 400, "placeholder"),
        ("/ns/ida/session/" + "s" * 513 + "/v1", {}, 400, "invalid_request"),
        ("/ns/ida/session/a%1Bb/v1", {}, 400, "invalid_request"),
        ("/ns/ida", {}, 404, "not_found"),
    ],
)
def test_a_path_with_a_wrong_name_is_refused(
    ana: Caller, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    asked = len(ana.upstream.asked)
    answer = ana.server.http.post(f"{path}/chat/completions", json=asking(OWL), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert len(ana.upstream.asked) == asked


def test_a_key_for_another_namespace_does_not_open_the_path(local: StartLocal, tmp_path: Path) -> None:
    created = keys(tmp_path / "memory.db", "create", "--namespace", "ida")
    server = local()
    headers = {"X-Engram-Key": created["key"]}
    for path in (CHAT, MESSAGES, RESPONSES):
        own = server.http.post("/ns/ida" + path, json=asking(OWL, path), headers=headers)
        assert own.status_code == 200
        other = server.http.post("/ns/ben" + path, json=asking(OWL, path), headers=headers)
        assert other.status_code == 403
        assert other.json().get("type") == ("error" if path == MESSAGES else None)
        assert server.http.post("/ns/ida" + path, json=asking(OWL, path)).status_code == 401


def test_an_error_below_a_named_path_has_the_form_of_its_api(ana: Caller) -> None:
    answer = ana.server.http.post("/ns/ida/v1/messages", content=b"{", headers={"Host": "elsewhere.example"})
    assert answer.status_code == 421
    assert answer.json()["type"] == "error"


@pytest.mark.parametrize(
    "path", [CHAT + "/", "/v1//chat/completions", "//v1/chat/completions//", "/ns/slash//v1/messages/"]
)
def test_a_slash_too_many_does_not_turn_memory_off(ana: Caller, path: str) -> None:
    path = path.replace("/ns/slash//", f"/ns/{ana.namespace}/")
    answer = ana.post(ana.server.url + path, asking(OWL, path))
    assert answer.status_code == 200, answer.text
    ana.settle()
    assert ana.said()[0] == ("user", OWL)
    assert ana.last.path in (CHAT, MESSAGES)


def used(ana: Caller, path: str = CHAT, headers: dict[str, str] | None = None, **fields: Any) -> tuple[str, str]:
    """Return the namespace and the session that a request without a namespace header used."""
    answer = ana.server.http.post(path, json=asking(OWL, path, **fields), headers=headers)
    assert answer.status_code == 200, answer.text
    receipt = ana.server.settled(answer.headers["x-engram-receipt"])
    return receipt["namespace"], answer.headers["x-engram-session"]


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_safety_identifier_names_the_namespace_where_user_is_missing(ana: Caller, path: str) -> None:
    assert used(ana, path, safety_identifier="ida")[0] == "ida"
    assert used(ana, path, safety_identifier="ida", user="")[0] == "ida"
    assert used(ana, path, safety_identifier="ida", user="ben")[0] == "ben"
    assert used(ana, path, {"X-Engram-Namespace": "kim"}, safety_identifier="ida")[0] == "kim"
    assert used(ana, path, prompt_cache_key="ida")[0] == "default"


def test_open_webuis_headers_count_where_nothing_else_names_anybody(ana: Caller) -> None:
    headers = {"X-OpenWebUI-User-Id": "u-17", "X-OpenWebUI-Chat-Id": "c-4"}
    assert used(ana, headers=headers) == ("u-17", "c-4")
    assert used(ana, headers=headers, user="ben") == ("ben", "c-4")
    explicit = {"X-Engram-Namespace": "kim", "X-Engram-Session": "s-kim"}
    assert used(ana, headers=headers | explicit) == ("kim", "s-kim")
    assert used(ana, "/ns/lea/session/lake" + CHAT, headers) == ("lea", "lake")


@pytest.mark.parametrize("value", ["n" * 600, "{{USER_ID}}", "a\tb"])
@pytest.mark.parametrize("name", ["X-OpenWebUI-User-Id", "X-OpenWebUI-Chat-Id"])
def test_a_wrong_name_in_open_webuis_headers_passes_without_memory(ana: Caller, name: str, value: str) -> None:
    answer = ana.server.http.post(CHAT, json=asking(OWL), headers={name: value})
    assert answer.status_code == 200
    assert name.lower() in answer.headers["x-engram-error"]
    assert "x-engram-receipt" not in answer.headers


PLACEHOLDERS = [
    "{{USER_ID}}",
    "team-{{ user.email }}",
    "${LOGNAME}",
    "app/${user.id}",
    "$USER",
    "%USERNAME%",
    "<your id>",
]


@pytest.mark.parametrize("value", PLACEHOLDERS)
@pytest.mark.parametrize(
    ("path", "field"),
    [(CHAT, "user"), (CHAT, "safety_identifier"), (RESPONSES, "user"), (MESSAGES, "metadata")],
)
def test_an_unfilled_placeholder_in_a_body_passes_without_memory(
    ana: Caller, path: str, field: str, value: str
) -> None:
    named = {field: {"user_id": value} if field == "metadata" else value}
    answer = ana.server.http.post(path, json=asking(OWL, path, **named))
    assert answer.status_code == 200, answer.text
    assert "placeholder" in answer.headers["x-engram-error"]
    assert "x-engram-receipt" not in answer.headers
    assert ana.last.json.items() >= named.items()
    assert used(ana, path, {"X-Engram-Namespace": "kim"}, **named)[0] == "kim"


@pytest.mark.parametrize("name", ["{ida}-1", "ida$ben", "100%-50%", "<ida> ben", "a{b}c"])
def test_a_name_with_signs_of_templates_is_a_name(ana: Caller, name: str) -> None:
    assert used(ana, user=name)[0] == name


WEBUI_TITLE = "### Task:\nGenerate a title.\n<chat_history>\nUSER: Hello\n</chat_history>"
NAMED = "Be kind. The user's name is {}."


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (({"Authorization": "Bearer sk-1"}, {}), ({"Authorization": "Bearer sk-2"}, {})),
        (({"X-Forwarded-User": "ida@example.org"}, {}), ({"X-Forwarded-User": "ben@example.org"}, {})),
        (
            ({}, {"messages": [{"role": "system", "content": NAMED.format("Ida")}, user("Hello")]}),
            ({}, {"messages": [{"role": "system", "content": NAMED.format("Ben")}, user("Hello")]}),
        ),
        (({}, {}), ({}, {"messages": [user(WEBUI_TITLE)]})),
    ],
    ids=["keys of the model", "a proxy's sign-in", "names in system messages", "Open WebUI"],
)
def test_the_log_warns_once_if_several_people_share_a_namespace(local: StartLocal, first: Any, second: Any) -> None:
    server = local(namespace="common")
    warned = "several people seem to share one memory"
    for headers, fields in (first, first, *[second] * 3):
        # Where the request names somebody, nothing is shared.
        named = asking("Hello", **{"user": "ida"} | fields)
        assert server.http.post(CHAT, json=named, headers=headers).status_code == 200
    assert server.logged(warned) == []
    for headers, fields in (first, first):
        server.http.post(CHAT, json=asking("Hello", **fields), headers=headers)
    assert server.logged(warned) == []
    for headers, fields in (second, first, second):
        server.http.post(CHAT, json=asking("Hello", **fields), headers=headers)
    (line,) = server.logged(warned)
    assert (line["level"], line["namespace"]) == ("warning", "common")
    assert "/ns/" in line["advice"]
    assert not any(secret in str(line) for secret in ("sk-1", "sk-2", "Ida", "Ben", "@example"))


def test_the_log_says_at_start_which_namespace_is_used_where_nothing_is_said(local: StartLocal) -> None:
    (line,) = local(namespace="common").logged("requests that name no namespace")
    assert line["namespace"] == "common"


@pytest.mark.parametrize(
    "path", ["/chat/completions", "/models", "/api/chat", "/openai/deployments/x/chat/completions"]
)
def test_a_base_url_without_v1_is_told_so(ana: Caller, path: str) -> None:
    answer = ana.server.http.post(path, json=asking(OWL))
    assert answer.status_code == 404
    assert "ends with /v1" in answer.json()["error"]["message"]


def test_a_base_url_with_v1_twice_is_told_so(ana: Caller) -> None:
    asked = len(ana.upstream.asked)
    answer = ana.server.http.post("/v1" + CHAT, json=asking(OWL))
    assert (answer.status_code, len(ana.upstream.asked)) == (404, asked)
    assert "/v1 twice" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/docs"])
def test_pages_without_a_key_answer_get_and_head(ana: Caller, path: str) -> None:
    assert ana.server.http.get(path).status_code == 200
    head = ana.server.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
