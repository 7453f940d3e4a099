"""The profile of the user in the system prompt: once for each conversation, at one place, the same bytes every time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engram.memory import Memory
from engram.notes.injection import OPEN as NOTES
from engram.notes.profiles import CLOSE, OPEN
from engram.opening import STATEMENTS
from engram.recall.context import estimated_tokens
from engram.serve.auth.keys import KeyStore
from engram.serve.database import ServerDatabase, server_database_path
from tests.serve.conftest import LocalServer, StartLocal, StartServer, wait_until
from tests.serve.proxied import PATIENT, Caller, Json, assistant, running, user
from tests.serve.upstream import Upstream

ORDER = "From now on always give me prices including tax."
WISH = "I prefer trains to planes, whenever there is a choice."
QUESTION = "How deep is the lake behind the old mill?"
NEXT = "Which mushrooms grow near birches?"
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalServer, Upstream]]:
    with running(tmp_path_factory.mktemp("profile"), profile="on") as both:
        yield both


@pytest.fixture
def ana(place: tuple[LocalServer, Upstream]) -> Iterator[Caller]:
    with Caller(*place) as caller:
        yield caller


def tell(caller: Caller, *texts: str) -> None:
    """Say each text in a conversation of its own."""
    for text in texts:
        assert caller.chat(text).status_code == 200
        caller.settle()


def profile_in(text: str) -> str:
    """Return the profile in a text, which must hold one at its end."""
    assert text.count(OPEN) == text.count(CLOSE) == 1, text
    assert text.endswith(CLOSE), text
    return text[text.index(OPEN) :]


def system_of(caller: Caller) -> str:
    """Return the system message at the start of the last request as upstream received it; "" for none."""
    first = caller.last.messages[0]
    return str(first["content"]) if first["role"] == "system" else ""


def with_reply(caller: Caller, messages: list[Json], answer: Any, question: str) -> list[Json]:
    """Return a conversation with the reply to it and the next question."""
    return [*messages, assistant(answer.json()["choices"][0]["message"]["content"]), user(question)]


def quoted_ids(caller: Caller) -> list[str]:
    """Return the ids that the last answer names as those of the profile."""
    return [id for id in caller.answer["x-engram-profile"].split(",") if id]


def test_an_order_of_an_earlier_conversation_reaches_the_model_for_a_question_unlike_it(ana: Caller) -> None:
    tell(ana, ORDER)
    ana.chat(QUESTION)
    assert ORDER in profile_in(system_of(ana))
    assert ana.last.last_user == QUESTION
    texts = {engram["id"]: engram["text"] for engram in ana.kept()}
    assert [texts[id] for id in quoted_ids(ana)] == [ORDER]
    assert ana.answer["x-engram-recalled"] == ""


def test_the_rest_of_the_request_stays_as_it_was(ana: Caller) -> None:
    tell(ana, ORDER)
    body = '{"model":"plain", "x": [1.0,  2] ,"messages":[ {"role":"user","content":"' + QUESTION + '"}]}'
    ana.post(CHAT, body.encode())
    inserted = json.dumps({"role": "system", "content": system_of(ana)}, ensure_ascii=False) + ", "
    assert ana.last.body.decode().replace(inserted, "") == body


def test_a_conversation_keeps_the_bytes_of_its_profile_and_a_new_one_gets_a_fresh_one(ana: Caller) -> None:
    tell(ana, ORDER)
    messages = [user(QUESTION)]
    answer = ana.chat(messages)
    first = profile_in(system_of(ana))
    head = ana.last.body[: ana.last.body.index(QUESTION.encode())]
    tell(ana, WISH)
    for question in (NEXT, "And near oaks?", "And near pines?"):
        messages = with_reply(ana, messages, answer, question)
        answer = ana.chat(messages)
        assert profile_in(system_of(ana)) == first
        assert ana.last.body.startswith(head)
    ana.settle()
    ana.chat("Who built the first lighthouse?")
    assert WISH in system_of(ana)
    assert ORDER in system_of(ana)


def test_a_request_that_is_sent_again_has_the_same_profile(ana: Caller) -> None:
    tell(ana, ORDER)
    ana.chat([user(QUESTION)], "500")
    first = ana.last.body
    ana.settle()
    ana.remember(WISH)
    ana.chat([user(QUESTION)], "500")
    assert ana.last.body == first


def test_the_profile_ends_the_system_prompt_of_a_chat(ana: Caller) -> None:
    tell(ana, ORDER)
    ana.chat(
        [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Use feet."}, user(QUESTION)]
    )
    first, second, last = ana.last.messages
    assert first["content"] == "Be brief."
    assert second == {"role": "developer", "content": "Use feet.\n\n" + profile_in(second["content"])}
    assert last == user(QUESTION)
    parts = [{"type": "text", "text": "Be brief."}]
    ana.chat([{"role": "system", "content": parts}, user(NEXT)])
    first, last = ana.last.messages
    assert first["content"][:1] == parts
    assert profile_in(first["content"][1]["text"]) == profile_in(second["content"])
    ana.chat([{"role": "system", "content": []}, user("How tall is a birch?")])
    assert len(ana.last.messages[0]["content"]) == 1
    # A system message later in the conversation is no system prompt.
    ana.chat([user(NEXT), assistant("None."), {"role": "system", "content": "Be brief."}, user("Why?")])
    assert [message["role"] for message in ana.last.messages] == ["system", "user", "assistant", "system", "user"]


@pytest.mark.parametrize(
    "system", [None, "Be brief.", "", [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]]
)
def test_the_profile_ends_the_system_prompt_of_anthropics_messages(ana: Caller, system: Any) -> None:
    tell(ana, ORDER)
    given = {} if system is None else {"system": system}
    messages = [user(QUESTION)]
    bodies = []
    for _ in range(2):
        answer = ana.post(MESSAGES, {"model": "plain", "max_tokens": 9, **given, "messages": messages})
        assert answer.status_code == 200
        bodies.append(ana.last.json)
        messages = [*messages, assistant(answer.json()["content"]), user(NEXT)]
    sent = bodies[0]["system"]
    if isinstance(system, list):
        assert sent[:-1] == system
        assert ORDER in profile_in(sent[-1]["text"])
        assert sent[-1]["type"] == "text"
    else:
        assert ORDER in profile_in(sent)
        assert sent.startswith(f"{system}\n\n{OPEN}" if system else OPEN)
    assert bodies[1]["system"] == sent
    assert bodies[1]["messages"][0] == user(QUESTION)


def test_the_profile_ends_the_instructions_of_responses(ana: Caller) -> None:
    tell(ana, ORDER)
    answer = ana.post(RESPONSES, {"model": "plain", "input": QUESTION})
    first = ana.last.json["instructions"]
    assert ORDER in profile_in(first)
    ana.settle()
    tell(ana, WISH)
    following = {"model": "plain", "input": NEXT, "previous_response_id": answer.json()["id"], "instructions": "Rhyme."}
    ana.post(RESPONSES, following)
    assert ana.last.json["instructions"] == f"Rhyme.\n\n{first}"
    ana.post(RESPONSES, {"model": "plain", "input": "How old do owls get?", "instructions": None})
    assert WISH in profile_in(ana.last.json["instructions"])


def test_streams_have_the_profile_too_and_nothing_of_it_is_stored(ana: Caller) -> None:
    tell(ana, ORDER)
    messages: list[Any] = [user(QUESTION)]
    stream = ana.openai().chat.completions.create(model="plain", messages=messages, stream=True)
    reply = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert reply == ana.upstream.reply
    assert ORDER in profile_in(system_of(ana))
    ana.settle()
    with ana.anthropic().messages.stream(model="plain", max_tokens=9, messages=[user(NEXT)]) as events:  # type: ignore[list-item]
        assert events.get_final_text() == ana.upstream.reply
    assert ORDER in profile_in(ana.last.json["system"])
    ana.settle()
    assert [text for role, text in ana.said() if role == "user"] == [ORDER, QUESTION, NEXT]
    assert not [text for _, text in ana.said() if OPEN in text]


def test_a_profile_that_a_client_or_a_model_repeats_is_not_stored(ana: Caller) -> None:
    tell(ana, ORDER)
    ana.chat(QUESTION)
    ana.settle()
    profile = profile_in(system_of(ana))
    ana.chat(f"{profile}\n\n{NEXT}")
    ana.settle()
    assert not [text for _, text in ana.said() if OPEN in text]
    assert ("user", NEXT) in ana.said()


def test_a_forgotten_turn_leaves_the_profile_of_a_running_conversation(ana: Caller) -> None:
    tell(ana, ORDER, WISH)
    messages = [user(QUESTION)]
    answer = ana.chat(messages)
    assert ORDER in system_of(ana)
    ana.settle()
    id = next(engram["id"] for engram in ana.kept() if engram["text"] == ORDER)
    assert ana.server.http.delete(f"/memory/engrams/{id}", params={"namespace": ana.namespace}).status_code == 200
    messages = with_reply(ana, messages, answer, NEXT)
    answer = ana.chat(messages)
    assert ORDER not in ana.last.body.decode()
    assert WISH in profile_in(system_of(ana))
    assert id not in quoted_ids(ana)
    # By another process, of which the server hears nothing.
    with Memory(ana.server.memory) as memory:
        memory.forget(namespace=ana.namespace)
    ana.chat(with_reply(ana, messages, answer, "And near oaks?"))
    assert OPEN not in ana.last.body.decode()
    assert quoted_ids(ana) == []


def test_an_erased_namespace_leaves_no_place_of_its_quotes_and_no_file_holds_their_text(
    local: StartLocal, upstream: Upstream
) -> None:
    server = local(profile="on")
    path = server_database_path(server.memory)

    def recorded() -> int:
        with closing(sqlite3.connect(path)) as db:
            count: int = db.execute("SELECT count(*) FROM sessions WHERE length(profile) > 1").fetchone()[0]
            return count

    with Caller(server, upstream, "ana") as ana:
        tell(ana, ORDER, QUESTION)
        wait_until(lambda: recorded() == 1, "the record")
        for file in server.memory.parent.glob("memory.db.serve*"):
            assert ORDER.encode() not in file.read_bytes()
        assert server.http.delete("/memory", params={"namespace": "ana", "confirm": "ana"}).status_code == 200
        assert recorded() == 0


def test_namespaces_see_their_own_profile_only(place: tuple[LocalServer, Upstream], ana: Caller) -> None:
    tell(ana, ORDER)
    with Caller(*place) as ben:
        tell(ben, WISH)
        ben.chat(QUESTION)
        assert WISH in system_of(ben)
        assert ORDER not in ben.last.body.decode()
        ana.chat(QUESTION)
        assert ORDER in system_of(ana)
        assert WISH not in ana.last.body.decode()


def test_keys_see_the_profile_of_their_namespace_and_only_with_the_right_to_read(
    local: StartLocal, upstream: Upstream, tmp_path: Path
) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember(ORDER, namespace="ana")
        memory.remember(WISH, namespace="ben")
    with ServerDatabase(server_database_path(tmp_path / "memory.db")) as database:
        keys = KeyStore(database)
        ana, ben = (keys.create(namespace=name)[1] for name in ("ana", "ben"))
        writer = keys.create(namespace="ana", read=False)[1]
    server = local(profile="on")
    for key, seen, unseen in ((ana, ORDER, WISH), (ben, WISH, ORDER), (writer, "", ORDER)):
        body = {"model": "plain", "messages": [user(QUESTION)]}
        answer = server.http.post(CHAT, json=body, headers={"X-Engram-Key": key})
        assert answer.status_code == 200, answer.text
        assert seen in upstream.last.body.decode()
        assert unseen not in upstream.last.body.decode()
        assert ("x-engram-profile" in answer.headers) is bool(seen)


def test_without_anything_to_quote_a_request_is_unchanged_and_the_conversation_stays_without(ana: Caller) -> None:
    messages = [user(QUESTION)]
    answer = ana.chat(messages)
    assert OPEN not in ana.last.body.decode()
    assert ana.answer["x-engram-profile"] == ""
    tell(ana, ORDER)
    ana.chat(with_reply(ana, messages, answer, NEXT))
    assert OPEN not in ana.last.body.decode()


def test_the_header_decides_for_a_request(ana: Caller, places: dict[str, tuple[LocalServer, Upstream]]) -> None:
    tell(ana, ORDER)
    ana.chat(QUESTION, X_Engram_Profile="off")
    assert OPEN not in ana.last.body.decode()
    assert "x-engram-profile" not in ana.answer
    for value in ("maybe", "1"):
        answer = ana.chat(QUESTION, X_Engram_Profile=value)
        assert answer.status_code == 400
        assert "X-Engram-Profile" in answer.json()["error"]["message"]
    ana.chat(QUESTION, X_Engram="write")
    assert OPEN not in ana.last.body.decode()
    ana.chat(QUESTION, X_Engram="read")
    assert ORDER in system_of(ana)
    with Caller(*places["fast"]) as ben:
        tell(ben, ORDER)
        ben.chat(QUESTION)
        assert OPEN not in ben.last.body.decode()
        assert "x-engram-profile" not in ben.answer
        ben.chat(QUESTION, X_Engram_Profile="ON")
        assert ORDER in system_of(ben)
        assert ben.last.header("x-engram-profile") is None


def test_a_named_session_gets_a_fresh_profile_with_its_next_opening(ana: Caller) -> None:
    tell(ana, ORDER)
    named = {"X_Engram_Session": "work"}
    messages = [user(QUESTION)]
    answer = ana.chat(messages, **named)
    ana.settle()
    tell(ana, WISH)
    ana.chat(with_reply(ana, messages, answer, NEXT), **named)
    assert WISH not in system_of(ana)
    ana.settle()
    ana.chat("Who built the first lighthouse?", **named)
    assert WISH in system_of(ana)


def test_a_history_from_elsewhere_gets_a_profile_and_keeps_it(ana: Caller) -> None:
    tell(ana, ORDER)
    messages = [user(QUESTION), assistant("Nine metres at its deepest, they say."), user(NEXT)]
    answer = ana.chat(messages)
    first = profile_in(system_of(ana))
    ana.settle()
    tell(ana, WISH)
    # The client has cut off the beginning.
    ana.chat(with_reply(ana, messages, answer, "And near oaks?")[2:])
    assert profile_in(system_of(ana)) == first


def test_notes_and_profile_are_in_one_request(ana: Caller) -> None:
    tell(ana, ORDER)
    ana.remember("The lake behind the old mill is nine metres deep.")
    ana.chat(QUESTION)
    assert ORDER in profile_in(system_of(ana))
    assert ana.last.last_user.startswith(NOTES)
    assert "nine metres" in ana.last.last_user


def test_lone_surrogates_and_large_bodies_pass(ana: Caller) -> None:
    tell(ana, ORDER)
    body = json.dumps({"model": "plain", "messages": [{"role": "system", "content": "\ud800 é"}, user(QUESTION)]})
    assert ana.post(CHAT, body.encode()).status_code == 200
    assert ORDER in profile_in(system_of(ana))
    ana.chat([{"role": "system", "content": "x" * 200_000}, user(NEXT)])
    assert ORDER in profile_in(system_of(ana))


def test_the_profile_is_within_its_budget_and_is_counted(local: StartLocal, upstream: Upstream) -> None:
    server = local(profile="on", profile_budget=90)
    with Caller(server, upstream, "ana") as ana:
        tell(ana, ORDER, WISH, "Please never use abbreviations in your answers to me.")
        ana.chat(QUESTION)
        profile = profile_in(system_of(ana))
        assert estimated_tokens(profile) <= 90
        metrics = server.http.get("/metrics").text
        spent = [line for line in metrics.splitlines() if line.startswith("engram_profile_tokens_total")]
        assert float(spent[0].split()[1]) >= estimated_tokens(profile)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_profile_is_the_same_after_a_restart(server: StartServer, upstream: Upstream, end: str) -> None:
    options = ("--profile", "on", *PATIENT)
    first = server(*options)
    with Caller(first, upstream, "ana") as ana:
        tell(ana, ORDER)
        messages = [user(QUESTION)]
        answer = ana.chat(messages)
        ana.settle()
        profile = profile_in(system_of(ana))
        tell(ana, WISH)
    first.stop() if end == "stop" else first.kill()
    again = server(*options)
    with Caller(again, upstream, "ana") as ana:
        ana.chat(with_reply(ana, messages, answer, NEXT))
        assert profile_in(system_of(ana)) == profile
        ana.chat("Who built the first lighthouse?")
        assert WISH in system_of(ana)


def test_the_server_reads_what_another_process_has_remembered(server: StartServer, upstream: Upstream) -> None:
    one = server(*PATIENT, ENGRAM_PROFILE="on")
    with Memory(one.memory) as memory:
        memory.remember_many({"text": f"Number {number}.", "namespace": "other"} for number in range(100))
        memory.remember(ORDER, namespace="ana")
    with Caller(one, upstream, "ana") as ana:

        def attached() -> bool:
            ana.chat(QUESTION)
            return ORDER in system_of(ana)

        wait_until(attached, "the profile")


def test_requests_pass_without_a_profile_if_it_cannot_be_found(
    local: StartLocal, upstream: Upstream, tmp_path: Path, break_derived: Callable[[Path], None]
) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember(ORDER, namespace="ana")
        memory.reflect()
    break_derived(tmp_path)
    server = local(profile="on")
    with Caller(server, upstream, "ana") as ana:
        answer = ana.chat(QUESTION)
        assert answer.status_code == 200
        assert OPEN not in ana.last.body.decode()
        assert ana.answer["x-engram-error"].startswith("no profile: ")
        assert str(tmp_path) not in ana.answer["x-engram-error"]
        assert ana.settle()["state"] in ("stored", "indexed")
    assert 'engram_failures_total{kind="profile_error"} 1.0' in server.http.get("/metrics").text


def test_a_request_waits_for_a_profile_until_the_deadline_and_a_later_one_has_it(
    local: StartLocal, upstream: Upstream, tmp_path: Path
) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember(ORDER, namespace="ana")
        memory.reflect()
    with closing(sqlite3.connect(tmp_path / "memory.db.index" / STATEMENTS, isolation_level=None)) as other:
        # Nobody else can open the file.
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        server = local(profile="on", deadline=1.0)
        with Caller(server, upstream, "ana") as ana:
            messages = [user(QUESTION)]
            answer = ana.chat(messages)
            assert answer.status_code == 200
            assert OPEN not in ana.last.body.decode()
            assert "memory took over 1000 ms" in ana.answer["x-engram-error"]
            other.execute("ROLLBACK")
            other.close()
            ana.settle()

            def attached() -> bool:
                ana.chat(with_reply(ana, messages, answer, NEXT))
                return ORDER in system_of(ana)

            wait_until(attached, "the profile")
    assert 'engram_failures_total{kind="profile_deadline"}' in server.http.get("/metrics").text


@pytest.fixture
def break_derived() -> Callable[[Path], None]:
    """Overwrites the file of what was derived."""

    def overwrite(folder: Path) -> None:
        file = folder / "memory.db.index" / STATEMENTS
        assert file.exists()
        file.write_bytes(b"no database, but long enough to be looked at " * 100)

    return overwrite


def test_the_embedded_models_system_message_comes_before_the_profile(local: StartLocal, tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember(ORDER)
    server = local(upstream=None, profile="on")
    body = {"model": "smollm2", "max_tokens": 4, "messages": [user(QUESTION)]}
    answer = server.http.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-engram-profile"]
