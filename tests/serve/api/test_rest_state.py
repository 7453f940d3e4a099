"""REST under /memory/state, over a real memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .test_rest import RestClient, error_of

DOCUMENT = "/state/document"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[RestClient]:
    with ExitStack() as stack:
        yield RestClient(tmp_path, stack)


def put(client: RestClient, value: object, name: str = "plan", agent: str = "planner", headers=None, **more):
    params = {"name": name, "agent": agent, **more.pop("params", {})}
    return client.ask("PUT", DOCUMENT, json={"value": value}, params=params, headers=headers or {}, **more)


def get(client: RestClient, name: str = "plan", agent: str = "planner", headers=None, key=None, **params):
    params = {"name": name, "agent": agent, **params}
    return client.get(DOCUMENT, params=params, headers=headers or {}, key=key)


def test_a_document_is_written_read_rolled_back_and_deleted(client: RestClient):
    written = put(client, {"b": [1, None], "a": "\u00e9"})
    assert (written.status_code, written.headers["etag"]) == (200, '"1"')
    info = written.json()
    assert info == {"namespace": "home", "agent": "planner", "name": "plan", "version": 1, "at": info["at"]}
    answer = get(client)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
    assert answer.json() == {**info, "value": {"a": "\u00e9", "b": [1, None]}}
    for number in (2, 3):
        assert put(client, number).json()["version"] == number
    assert get(client, version=2).json()["value"] == 2
    assert get(client, version=2).headers["etag"] == '"2"'
    page = client.get("/state/history", params={"name": "plan", "agent": "planner", "limit": 2}).json()
    assert ([one["value"] for one in page["versions"]], page["next"]) == ([3, 2], 2)
    page = client.get("/state/history", params={"name": "plan", "agent": "planner", "before": 2}).json()
    assert ([one["version"] for one in page["versions"]], page["next"]) == ([1], None)
    back = client.post("/state/rollback", {"name": "plan", "agent": "planner", "version": 1})
    assert (back.status_code, back.headers["etag"], "value" in back.json()) == (200, '"4"', False)
    assert get(client).json()["value"] == {"a": "\u00e9", "b": [1, None]}
    deleted = client.delete(DOCUMENT, params={"name": "plan", "agent": "planner"})
    assert (deleted.status_code, deleted.json()) == (200, {"deleted": 4})
    error_of(get(client), 404)
    assert client.memory.stats().state_documents == 0


@pytest.mark.parametrize("value", [None, False, 0, -1.5, "", [], {}, "x" * 1_000_000, [[]]])
def test_every_json_value_is_kept(client: RestClient, value: object):
    assert put(client, value).status_code == 200
    assert get(client).json()["value"] == value


@pytest.mark.parametrize("name", ["a/b", "..", "?x=1&y", "#", "%2F", " ", "\u05e9\U0001f98a", "x" * 512])
def test_every_name_can_be_used(client: RestClient, name: str):
    assert put(client, 1, name=name, agent=name).json()["name"] == name
    assert get(client, name=name, agent=name).json()["agent"] == name
    assert client.delete(DOCUMENT, params={"name": name, "agent": name}).status_code == 200


# Compare-and-set.


def test_a_write_with_another_version_in_if_match_is_refused(client: RestClient):
    for sent in ('"1"', '"7"'):
        answer = put(client, 1, headers={"If-Match": sent})
        assert error_of(answer, 412)["code"] == "state_conflict"
        assert "etag" not in answer.headers
    assert put(client, 1, headers={"If-None-Match": "*"}).headers["etag"] == '"1"'
    assert put(client, 2, headers={"If-Match": '"1"'}).headers["etag"] == '"2"'
    where = {"name": "plan", "agent": "planner"}
    for headers in ({"If-Match": '"1"'}, {"If-Match": '"3"'}, {"If-None-Match": "*"}):
        for answer in (
            put(client, 3, headers=headers),
            client.post("/state/rollback", {**where, "version": 1}, headers=headers),
            client.delete(DOCUMENT, params=where, headers=headers),
        ):
            error = error_of(answer, 412)
            assert (error["code"], error["param"], answer.headers["etag"]) == ("state_conflict", "If-Match", '"2"')
            assert "is at version 2" in error["message"]
    assert [d.value for d in client.memory.state("home", "planner").history("plan")] == [2, 1]
    rolled = client.post("/state/rollback", {**where, "version": 1}, headers={"If-Match": '"2"'})
    assert rolled.headers["etag"] == '"3"'
    assert client.delete(DOCUMENT, params=where, headers={"If-Match": '"3"'}).json() == {"deleted": 3}


@pytest.mark.parametrize(
    ("headers", "status", "param"),
    [
        ({"If-Match": "1"}, 422, "If-Match"),
        ({"If-Match": "*"}, 422, "If-Match"),
        ({"If-Match": ""}, 422, "If-Match"),
        ({"If-Match": 'W/"1"'}, 422, "If-Match"),
        ({"If-Match": '"1", "2"'}, 422, "If-Match"),
        ({"If-Match": '"0"'}, 422, "If-Match"),
        ({"If-Match": '"-1"'}, 422, "If-Match"),
        ({"If-Match": '"9999999999999999999"'}, 422, "If-Match"),
        ({"If-Match": '"' + "9" * 5000 + '"'}, 422, "If-Match"),
        ({"If-None-Match": '"1"'}, 422, "If-None-Match"),
        ({"If-None-Match": '*, "1"'}, 422, "If-None-Match"),
        ([("If-Match", '"1"'), ("If-Match", '"2"')], 422, "If-Match"),
        ([("If-None-Match", "*"), ("If-None-Match", "*")], 422, "If-None-Match"),
        ({"If-Match": '"1"', "If-None-Match": "*"}, 409, "If-Match"),
    ],
)
def test_a_condition_that_cannot_be_read_writes_nothing(client: RestClient, headers, status: int, param: str):
    put(client, 1)
    where = {"name": "plan", "agent": "planner"}
    sent = list(headers.items()) if isinstance(headers, dict) else headers
    for method, path, more in (
        ("PUT", DOCUMENT, {"json": {"value": 2}, "params": where}),
        ("DELETE", DOCUMENT, {"params": where}),
        ("POST", "/state/rollback", {"json": {**where, "version": 1}}),
    ):
        answer = ask_with(client, method, path, sent, **more)
        assert error_of(answer, status)["param"] == param, method
    assert [d.value for d in client.memory.state("home", "planner").history("plan")] == [1]


def ask_with(client: RestClient, method: str, path: str, headers: list[tuple[str, str]], **more):
    """Send a request whose headers may come twice."""
    import asyncio

    import httpx

    async def one():
        transport = httpx.ASGITransport(client.guarded, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8100") as http:
            return await http.request(method, f"/memory{path}", headers=headers, **more)

    return asyncio.run(one())


def test_a_copy_that_is_current_is_not_sent_again(client: RestClient):
    put(client, 1)
    put(client, 2)
    for sent in ('"2"', 'W/"2"', '"1", "2"', "*"):
        answer = get(client, headers={"If-None-Match": sent})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"2"')
    for sent in ('"1"', "2", '"x"', ""):
        assert get(client, headers={"If-None-Match": sent}).json()["value"] == 2
    assert get(client, version=1, headers={"If-None-Match": '"1"'}).status_code == 304
    error_of(get(client, name="none", headers={"If-None-Match": '"1"'}), 404)


# Lists.


def test_documents_and_agents_are_listed_a_page_at_a_time(client: RestClient):
    for number in range(5):
        client.memory.state("home", "planner").set(f"x{number}", number)
    client.memory.state("home", "critic").set("y", 1)
    client.memory.state("other", "planner").set("z", 1)
    listed, after = [], {}
    for _ in range(3):
        page = client.get("/state", params={"agent": "planner", "limit": 2} | after).json()
        assert (page["namespace"], page["agent"]) == ("home", "planner")
        listed += [one["name"] for one in page["documents"]]
        after = {"after": page["next"]}
    assert (listed, page["next"]) == ([f"x{number}" for number in range(5)], None)
    assert "value" not in page["documents"][0]
    assert client.get("/state?agent=planner&prefix=x3").json()["documents"][0]["name"] == "x3"
    assert client.get("/state").json()["documents"] == []
    first = client.get("/state/agents?limit=1").json()
    assert first == {"namespace": "home", "agents": [{"agent": "critic", "documents": 1}], "next": "critic"}
    assert client.get("/state/agents?after=critic").json()["agents"] == [{"agent": "planner", "documents": 5}]


# Wrong requests.


def test_what_does_not_exist_is_not_found(client: RestClient):
    put(client, 1)
    assert error_of(get(client, name="other"), 404)["param"] == "name"
    assert error_of(get(client, agent="other"), 404)["param"] == "name"
    assert error_of(get(client, version=2), 404)["param"] == "version"
    error_of(client.get("/state/history?name=other"), 404)
    error_of(client.delete(DOCUMENT, params={"name": "other"}), 404)
    error_of(client.post("/state/rollback", {"name": "plan", "agent": "planner", "version": 9}), 404)
    error_of(client.post("/state/rollback", {"name": "other", "version": 1}), 404)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{}", 422),
        (b"[]", 422),
        (b"1", 422),
        (b"{", 400),
        (b"\xff", 400),
        (b'{"value": NaN}', 422),
        (b'{"value": [1e999]}', 422),
        (b'{"value": "\\ud800"}', 422),
        (b'{"value": {"\\u0000": 1}}', 422),
        (b'{"value": 1, "expect": 3}', 422),
        (b'{"value": 1, "namespace": "home"}', 422),
        (b'{"value": ' + b"9" * 5_000 + b"}", 400),
        (b'{"value": ' + b"[" * 101 + b"]" * 101 + b"}", 422),
        (b'{"value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"value": "' + b"x" * (1 << 20) + b'"}', 422),
    ],
)
def test_wrong_bodies_are_refused_with_their_status(client: RestClient, content: bytes, status: int):
    headers = {"Content-Type": "application/json"}
    answer = client.ask("PUT", DOCUMENT, content=content, headers=headers, params={"name": "x"})
    error_of(answer, status)
    assert client.memory.stats().state_documents == 0


def test_wrong_parameters_and_types_are_refused(client: RestClient):
    put(client, 1)
    error_of(client.ask("PUT", DOCUMENT, content=b'{"value": 1}', params={"name": "x"}), 415)
    for query, param in (
        ("", "name"),
        ("name=", "name"),
        ("name=" + "x" * 513, "name"),
        ("name=%00", None),
        ("name=x&agent=", "agent"),
        ("name=x&version=0", "version"),
        ("name=x&version=x", "version"),
        ("name=x&version=99999999999999999999", "version"),
        ("name=x&expect=1", "expect"),
    ):
        error = error_of(client.get(f"{DOCUMENT}?{query}"), 422)
        assert param is None or error["param"] == param
    for query, param in (("limit=0", "limit"), ("limit=21", "limit"), ("before=0", "before")):
        assert error_of(client.get(f"/state/history?name=x&{query}"), 422)["param"] == param
    error_of(client.post(DOCUMENT, {"value": 1}), 405)


# Keys and namespaces.


def test_a_key_sees_its_namespace_only(client: RestClient):
    client.memory.state("bo", "planner").set("plan", "theirs")
    client.memory.state("bo", "planner").set("plan", "theirs too")
    client.memory.state("ana", "planner").set("mine", 1)
    _, key = client.keys.create(namespace="ana", erase=True)
    where = {"agent": "planner"}
    for method, path, body in (
        ("GET", f"{DOCUMENT}?name={{}}", None),
        ("GET", f"{DOCUMENT}?name={{}}&version=1", None),
        ("GET", "/state/history?name={}", None),
        ("DELETE", f"{DOCUMENT}?name={{}}", None),
        ("POST", "/state/rollback", {"name": "{}", "version": 1, "agent": "planner"}),
    ):
        answers = []
        for name in ("plan", "none"):
            sent = None if body is None else {**body, "name": name}
            target = path.format(name) + ("&agent=planner" if "?" in path else "")
            answers.append(client.ask(method, target, json=sent, key=key))
        error_of(answers[0], 404)
        assert answers[0].content == answers[1].content
        assert dict(answers[0].headers) == dict(answers[1].headers)
    listed = client.get("/state", params=where, key=key).json()
    assert [one["name"] for one in listed["documents"]] == ["mine"]
    assert client.get("/state/agents", key=key).json()["agents"] == [{"agent": "planner", "documents": 1}]
    # The same name in the other namespace is another document, with versions of its own.
    assert put(client, "mine", key=key, headers={"If-None-Match": "*"}).headers["etag"] == '"1"'
    for header, params in (("bo", {}), (None, {"namespace": "bo"})):
        answer = put(client, 1, key=key, namespace=header, params=params)
        assert error_of(answer, 403)["code"] == "namespace_forbidden"
    assert [d.value for d in client.memory.state("bo", "planner").history("plan")] == ["theirs too", "theirs"]


def test_a_key_that_can_only_read_writes_nothing(client: RestClient):
    client.memory.state("ana", "planner").set("plan", 1)
    _, reader = client.keys.create(namespace="ana", write=False)
    assert get(client, key=reader).json()["value"] == 1
    for answer in (
        put(client, 2, key=reader),
        client.post("/state/rollback", {"name": "plan", "agent": "planner", "version": 1}, key=reader),
        client.delete(DOCUMENT, params={"name": "plan", "agent": "planner"}, key=reader),
    ):
        assert error_of(answer, 403)["code"] == "right_missing"
    assert [d.value for d in client.memory.state("ana", "planner").history("plan")] == [1]


def test_a_key_that_can_only_write_reads_no_value(client: RestClient):
    client.memory.state("ana", "planner").set("plan", "a secret")
    client.memory.state("ana", "planner").set("plan", "another")
    _, writer = client.keys.create(namespace="ana", read=False)
    body = {"name": "plan", "agent": "planner", "version": 1}
    for answer in (
        put(client, "mine", key=writer),
        put(client, "mine", key=writer, headers={"If-Match": '"1"'}),
        client.post("/state/rollback", body, key=writer),
    ):
        assert "secret" not in answer.text
    error_of(client.delete(DOCUMENT, params={"name": "plan", "agent": "planner"}, key=writer), 403)
    assert get(client, key=client.keys.create(namespace="ana")[1]).json()["value"] == "a secret"


def test_the_erasure_of_a_namespace_reaches_its_documents(client: RestClient):
    client.memory.remember("My dog is called Biscuit.", namespace="home", session="s")
    for namespace in ("home", "other"):
        client.memory.state(namespace, "planner").set("plan", 1)
    assert client.post("/forget", {"session": "s"}).json() == {"forgotten": 1}
    assert client.post("/forget", {"before": "9999-01-01T00:00:00Z"}).json() == {"forgotten": 0}
    assert get(client).status_code == 200
    assert client.delete("?confirm=home").json() == {"forgotten": 1}
    error_of(get(client), 404)
    assert [info.namespace for info in client.memory.state_documents()] == ["other"]
    assert client.get("/stats", key=None).json()["state_documents"] == 1


def test_parameters_of_which_a_part_would_be_lost_are_refused_on_every_path(client: RestClient):
    queries = {
        "name=a&name=b": "name: it came twice; send it once",
        "namespace=home&namespace=other": "namespace: it came twice",
        "name=&name=": "name: it came twice",
        "name=%ff": "not UTF-8",
        "agent=%ED%A0%80&name=a": "not UTF-8",
    }
    for path in (DOCUMENT, "/state", "/state/history", "/state/agents", "/facts", "/profile", "/engrams", "/sessions"):
        for query, message in queries.items():
            assert message in error_of(client.get(f"{path}?{query}"), 400)["message"]


def test_no_document_is_written_or_erased_by_a_name_that_is_not_sure(client: RestClient):
    for name in ("a", "b", "\ufffd"):
        assert put(client, 1, name).status_code == 200
    for query in ("name=a&name=b", "name=%ff", "name=%fe"):
        address = f"{DOCUMENT}?agent=planner&{query}"
        error_of(client.ask("PUT", address, json={"value": 2}), 400)
        error_of(client.delete(address), 400)
    assert [get(client, name).json()["version"] for name in ("a", "b", "\ufffd")] == [1, 1, 1]


def test_a_parameter_that_is_a_list_can_come_several_times(client: RestClient):
    assert client.get("/engrams?kinds=turn&kinds=document").status_code == 200
