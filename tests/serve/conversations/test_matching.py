"""Which conversation a request goes on with, and what of it is new."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.ids import uuid7
from engram.memory import Memory
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.recorder import Recorder
from engram.serve.database import ServerDatabase
from engram.serve.http.errors import ServeError
from engram.serve.wire.base import ChatMessage, MessagePart

from .talking import Client, assistant, said, user, wait_until

SYSTEM = said("system", "You are kind.")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of a memory in a file, with its ledger."""
    with ExitStack() as stack:
        memory = stack.enter_context(Memory(tmp_path / "memory.db"))
        store = ConversationStore(stack.enter_context(ServerDatabase(tmp_path / "memory.db.serve")))
        recorder = Recorder(memory, store, on_event=lambda event: None)
        stack.callback(recorder.close)
        yield Client(memory, store, recorder)


def other(client: Client, namespace: str) -> Client:
    return Client(client.memory, client.store, client.recorder, namespace)


# Only what is new.


def test_a_growing_history_is_remembered_once_in_order_in_one_session(client: Client) -> None:
    first, history = client.turn(SYSTEM, user("My dog is called Biscuit."), to="What a name!")
    second, history = client.turn(*history, user("He is four."), to="A good age.")
    third, history = client.turn(*history, user("He likes cheese."), to="Who does not?")
    assert client.texts() == [one.text for one in history if one.role != "system"]
    assert {engram.session for engram in client.kept()} == {first.session}
    assert first.session == second.session == third.session
    ats = [engram.at for engram in client.kept()]
    assert ats == sorted(ats)
    ids = [engram.id for engram in client.kept()]
    assert ids == sorted(ids)
    assert all(engram.source == "serve" and engram.metadata == {} for engram in client.kept())


def test_a_thread_says_what_is_new_and_what_is_held(client: Client) -> None:
    _, history = client.turn(SYSTEM, user("one"), to="two")
    thread = client.find(*history, user("three"))
    assert thread.new_indexes == (3,)
    assert thread.known_engrams == {engram.id for engram in client.kept()}
    assert (thread.namespace, thread.session) == ("ana", client.kept()[0].session)


def test_a_changed_system_message_changes_nothing(client: Client) -> None:
    _, history = client.turn(SYSTEM, user("one"), to="two")
    changed = [said("system", "It is Tuesday."), *history[1:], said("system", "Be brief."), user("three")]
    assert client.find(*changed).new_indexes == (4,)


def test_what_has_not_been_written_yet_is_known(client: Client) -> None:
    with client.store.database.writing():  # the writer cannot go on
        writing = client.answer(client.ask(user("one")), "two")
        thread = client.find(user("one"), assistant("two"), user("three"))
        assert thread.new_indexes == (2,)
        assert thread.session == writing.session
        assert thread.known_engrams == set(client.receipt(writing).engrams)
        client.answer(client.ask(user("one"), assistant("two"), user("three")), "four")
    client.settle()
    assert client.texts() == ["one", "two", "three", "four"]


def test_a_request_without_anything_said_has_a_thread(client: Client) -> None:
    writing = client.answer(client.ask(SYSTEM), "Hello?")
    client.settle()
    assert client.texts(writing.session) == ["Hello?"]
    assert client.find(SYSTEM, assistant("Hello?"), user("Hi.")).new_indexes == (2,)


def test_a_message_of_which_nothing_is_kept_is_known_again(client: Client) -> None:
    image = said("user", "")
    _, history = client.turn(image, to="A dog.")
    assert client.find(*history, user("Whose?")).new_indexes == (2,)
    assert client.texts() == ["A dog."]


def test_a_namespace_knows_nothing_of_anothers_conversations(client: Client) -> None:
    first, history = client.turn(user("one"), to="two")
    bob = other(client, "bob")
    thread = bob.find(*history, user("three"))
    assert thread.new_indexes == (0, 1, 2)
    assert thread.known_engrams == frozenset()
    assert thread.session != first.session


# Openings.


def test_identical_openings_in_two_conversations_stay_two(client: Client) -> None:
    first, one = client.turn(user("Hello"), to="Hi!")
    second, two = client.turn(user("Hello"), to="Hi!")
    assert first.session != second.session
    assert client.texts() == ["Hello", "Hi!"] * 2
    # Both go on: the one that nobody has gone on with is taken, of two such the newer.
    third, _ = client.turn(*two, user("A"), to="a")
    fourth, _ = client.turn(*one, user("B"), to="b")
    assert {third.session, fourth.session} == {first.session, second.session}
    assert client.texts() == ["Hello", "Hi!", "Hello", "Hi!", "A", "a", "B", "b"]


def test_an_opening_that_was_not_answered_is_asked_again(client: Client) -> None:
    first = client.ask(user("Hello"))
    client.recorder.reply_failed(first)
    second, _ = client.turn(user("Hello"), to="Hi!")
    assert second.session == first.session
    assert client.texts() == ["Hello", "Hi!"]


def test_openings_in_flight_are_two_conversations(client: Client) -> None:
    first, second = client.ask(user("Hello")), client.ask(user("Hello"))
    assert first.session != second.session
    client.answer(second, "Hi!")
    client.answer(first, "Good day!")
    client.settle()
    assert client.texts(first.session) == ["Hello", "Good day!"]
    assert client.texts(second.session) == ["Hello", "Hi!"]


def test_a_request_that_nobody_waits_for_any_more_is_not_in_flight(client: Client) -> None:
    session = client.ask(user("Hello")).session
    client.settle()
    wait_until(lambda: client.find(user("Hello")).session == session)


def test_an_opening_found_twice_before_it_is_accepted_is_two(client: Client) -> None:
    messages = [user("Hello")]
    found = [client.find(*messages), client.find(*messages)]
    for thread in found:
        client.recorder.accept(thread, messages, datetime.now(UTC), None, "serve")
    client.settle()
    assert client.texts() == ["Hello", "Hello"]


# Branches.


def test_a_regenerated_reply_is_a_branch_and_the_question_is_not_doubled(client: Client) -> None:
    first, _ = client.turn(user("one"), to="two")
    _, history = client.turn(user("one"), assistant("two"), user("three"), to="four")
    again, _ = client.turn(*history[:-1], to="another four")
    client.turn(*history[:-1], to="four")
    assert again.session == first.session
    assert client.texts() == ["one", "two", "three", "four", "another four"]
    assert [engram.metadata for engram in client.kept()] == [{}, {}, {}, {}, {"branch": True}]


def test_an_edited_message_is_a_branch_of_the_same_session(client: Client) -> None:
    first, history = client.turn(user("one"), to="two")
    _, history = client.turn(*history, user("three"), to="four")
    edited, branch = client.turn(*history[:2], user("three, but better"), to="five")
    _, _ = client.turn(*branch, user("six"), to="seven")
    assert edited.session == first.session
    assert client.texts() == ["one", "two", "three", "four", "three, but better", "five", "six", "seven"]
    assert [bool(engram.metadata.get("branch")) for engram in client.kept()] == [False] * 4 + [True] * 4
    # The old branch can still be gone on with.
    assert client.find(*history, user("eight")).new_indexes == (4,)


def test_every_choice_is_kept_and_any_can_be_gone_on_with(client: Client) -> None:
    client.answer(client.ask(user("Name one.")), "Anna", "Berta", "Clara", "Anna")
    client.settle()
    assert client.texts() == ["Name one.", "Anna", "Berta", "Clara"]
    assert [engram.metadata for engram in client.kept()[1:]] == [{}, {"choice": 1}, {"choice": 2}]
    thread = client.find(user("Name one."), assistant("Berta"), user("Why?"))
    assert thread.new_indexes == (2,)
    client.turn(user("Name one."), assistant("Berta"), user("Why?"), to="Because.")
    assert client.kept()[-1].metadata == {}


def test_a_retry_deep_in_a_conversation_is_no_new_turn(client: Client) -> None:
    _, history = client.turn(user("one"), to="two")
    client.recorder.reply_failed(client.ask(*history, user("three")))
    client.turn(*history, user("three"), to="four")
    assert client.texts() == ["one", "two", "three", "four"]


# Histories from elsewhere, and such that are cut off.


def test_a_history_brought_along_is_remembered_whole_once(client: Client) -> None:
    brought = [user("one"), assistant("two"), user("three"), assistant("four"), user("five")]
    first, history = client.turn(*brought, to="six")
    assert client.texts(first.session) == ["one", "two", "three", "four", "five", "six"]
    ats = [engram.at for engram in client.kept()]
    assert [(b - a).microseconds for a, b in itertools.pairwise(ats[:5])] == [1] * 4
    client.turn(*history, user("seven"), to="eight")
    assert client.texts(first.session) == ["one", "two", "three", "four", "five", "six", "seven", "eight"]


def conversation(turns: int) -> list[str]:
    return [f"message number {number} of a long conversation" for number in range(turns)]


def long_talk(client: Client, texts: list[str]) -> list[ChatMessage]:
    history: list[ChatMessage] = []
    for asked, answered in zip(texts[::2], texts[1::2], strict=True):
        _, history = client.turn(*history, user(asked), to=answered)
    return history


def test_a_window_that_slides_over_a_conversation_doubles_nothing(client: Client) -> None:
    texts = conversation(24)
    history: list[ChatMessage] = []
    sessions = set()
    for asked, answered in zip(texts[::2], texts[1::2], strict=True):
        writing, history = client.turn(SYSTEM, *history[-6:], user(asked), to=answered)
        history = [one for one in history if one.role != "system"]
        sessions.add(writing.session)
    assert client.texts() == texts
    assert len(sessions) == 1


def test_a_window_behind_a_summary_is_known_and_the_summary_is_no_turn(client: Client) -> None:
    history = long_talk(client, conversation(10))
    cut = [user("Summary: we talked."), *history[-4:], user("next")]
    thread = client.find(*cut)
    assert thread.new_indexes == (5,)
    assert thread.session == client.kept()[0].session
    assert thread.known_engrams == {engram.id for engram in client.kept()[-4:]}


def test_two_messages_are_enough_if_one_of_them_is_long(client: Client) -> None:
    history = long_talk(client, conversation(8))
    assert client.find(*history[-2:], user("next")).new_indexes == (2,)
    _, short = client.turn(user("a"), to="b")
    _, short = client.turn(*short, user("c"), to="d")
    assert client.find(*short[-2:], user("next")).new_indexes == (0, 1, 2)


def test_a_cut_history_that_begins_like_another_conversation_is_known(client: Client) -> None:
    texts = conversation(10)
    texts[4] = "Hello"
    history = long_talk(client, texts)
    client.turn(user("Hello"), to="Hi!")
    cut = [*history[4:], user("next")]
    thread = client.find(*cut)
    assert thread.new_indexes == (len(cut) - 1,)
    assert thread.session == client.kept()[0].session


def test_a_very_long_history_is_found(client: Client) -> None:
    texts = conversation(3_001)
    messages = [said("user" if at % 2 == 0 else "assistant", text) for at, text in enumerate(texts)]
    client.recorder.reply_failed(client.ask(*messages))
    client.settle()
    thread = client.find(*messages, assistant("reply"), user("next"))
    assert thread.new_indexes == (3_001, 3_002)
    assert len(thread.known_engrams) == 3_001
    assert client.find(*messages[1_000:], assistant("reply"), user("next")).new_indexes == (2_001, 2_002)


# Sessions.


def test_a_generated_session_tells_when_it_began_and_whose_it_is(client: Client) -> None:
    session = client.ask(user("one")).session
    assert re.fullmatch(r"s-\d{8}-\d{6}-[0-9a-f]{4}-[0-9a-f]{8}", session)
    assert client.find(user("two"), session=session).session == session
    with pytest.raises(ServeError) as refused:
        other(client, "bob").find(user("two"), session=session)
    assert (refused.value.status, refused.value.code) == (400, "session_not_found")
    # Told by its form alone, whether there is such a session or not.
    invented = re.sub(r"-[0-9a-f]{8}$", "-00000000", session)
    with pytest.raises(ServeError, match="there is no session"):
        client.find(user("two"), session=invented)


def test_many_sessions_that_begin_at_once_have_different_names(client: Client) -> None:
    assert len({client.find(user("one")).session for _ in range(2_000)}) == 2_000


@pytest.mark.parametrize("session", ["", "é" * 257, "a\nb", "a\x7fb", "a\x85b", "a\ud800b"])
def test_a_name_that_no_session_can_have_is_refused(client: Client, session: str) -> None:
    with pytest.raises(ServeError) as refused:
        client.find(user("one"), session=session)
    assert refused.value.status == 400


def test_a_named_session_loses_nothing_of_a_client_that_sends_only_what_is_new(client: Client) -> None:
    for text in ("Shall I?", "yes", "yes", "Shall I?"):
        client.turn(user(text), to="OK", session="work")
    assert client.texts("work") == ["Shall I?", "OK", "yes", "OK", "yes", "OK", "Shall I?", "OK"]
    client.recorder.reply_failed(client.ask(user("last"), session="work"))
    client.turn(user("last"), to="OK", session="work")
    assert client.texts("work")[8:] == ["last", "OK"]


def test_a_named_session_is_looked_at_alone(client: Client) -> None:
    _, history = client.turn(user("one"), to="two", session="work")
    client.turn(user("one"), to="two", session="home")
    assert client.texts("work") == client.texts("home") == ["one", "two"]
    assert client.find(*history, user("three"), session="home").new_indexes == (2,)
    assert client.find(*history, user("three"), session="third").new_indexes == (0, 1, 2)
    assert client.find(*history, user("three")).session == "home"
    # Another namespace may have a session of the same name.
    other(client, "bob").turn(user("one"), to="two", session="work")
    assert client.texts("work") == ["one", "two"]


# Responses.


def test_a_request_goes_on_from_a_response(client: Client) -> None:
    first = client.answer(client.ask(user("one")), "two", response="resp_1")
    early = client.find(user("three"), previous="resp_1")  # before it is written, and after
    client.settle()
    for thread in (early, client.find(user("three"), previous="resp_1")):
        assert (thread.new_indexes, thread.session) == ((0,), first.session)
        assert thread.known_engrams == {engram.id for engram in client.kept()}
    client.answer(client.ask(user("three"), previous="resp_1"), "four", response="resp_2")
    client.settle()
    client.turn(user("one"), to="five", previous="resp_2")
    assert client.texts(first.session) == ["one", "two", "three", "four", "one", "five"]
    assert all(engram.metadata == {} for engram in client.kept())
    # The same conversation, sent whole.
    whole = [user("one"), assistant("two"), user("three"), assistant("four"), user("six")]
    assert client.find(*whole).new_indexes == (4,)


def test_a_request_sent_twice_from_a_response_is_one_turn(client: Client) -> None:
    client.answer(client.ask(user("one")), "two", response="resp_1")
    client.recorder.reply_failed(client.ask(user("three"), previous="resp_1"))
    client.turn(user("three"), to="four", previous="resp_1")
    client.turn(user("three"), to="five", previous="resp_1")
    assert client.texts() == ["one", "two", "three", "four", "five"]


def test_a_response_that_is_not_known_begins_a_session(client: Client) -> None:
    client.answer(client.ask(user("one")), "two", response="resp_1")
    client.settle()
    assert client.find(user("three"), previous="resp_9").session != client.kept()[0].session
    stranger = other(client, "bob").find(user("three"), previous="resp_1")
    assert (stranger.new_indexes, stranger.known_engrams) == ((0,), frozenset())
    assert client.find(user("three"), previous="resp_1", session="work").session == "work"


# Notes, and what was forgotten.


def test_the_notes_of_each_message_are_known_where_they_were_recorded(client: Client) -> None:
    ids = (uuid7(), uuid7())
    one = client.ask(user("one"), notes=ids)
    assert client.find(user("one"), assistant("two"), user("three")).notes == {0: ids}
    client.answer(one, "two")
    client.answer(client.ask(user("one"), assistant("two"), user("three"), notes=None), "four")
    client.settle()
    asked = [user("one"), assistant("two"), user("three"), assistant("four"), user("five")]
    assert client.find(*asked).notes == {0: ids}
    client.ask(*asked, notes=())
    called = [*asked, assistant("looks it up"), said("tool", "found")]
    assert client.find(*called).notes == {0: ids, 4: ()}
    client.settle()
    client.ask(*called, notes=[uuid7()])  # the message has its notes already
    client.settle()
    assert client.find(*called).notes == {0: ids, 4: ()}


def test_notes_that_were_not_looked_for_the_first_time_are_recorded_the_second(client: Client) -> None:
    note = uuid7()
    client.recorder.reply_failed(client.ask(user("one"), notes=None))
    assert client.find(user("one")).notes == {}
    client.recorder.reply_failed(client.ask(user("one"), notes=[note]))
    client.settle()
    assert client.find(user("one")).notes == {0: (note,)}


def test_what_was_forgotten_stays_forgotten_when_it_is_sent_again(client: Client) -> None:
    _, history = client.turn(user("My PIN is 1234."), to="Noted.")
    client.memory.forget(id=client.kept()[0].id)
    client.turn(*history, user("What is it?"), to="I do not know.")
    assert client.texts() == ["Noted.", "What is it?", "I do not know."]


def test_tools_and_speakers_are_kept_as_such(client: Client) -> None:
    call = ChatMessage(
        "assistant",
        (MessagePart("assistant", "I look."), MessagePart("tool", 'weather({"city": "Bern"})')),
        "I look.\nweather",
        "I look.",
        None,
    )
    client.turn(said("user", "Rain?", speaker="Ana"), call, said("tool", "yes"), to="It rains.")
    kept = [(engram.role, engram.speaker, engram.text) for engram in client.kept()]
    assert kept == [
        ("user", "Ana", "Rain?"),
        ("assistant", None, "I look."),
        ("tool", None, 'weather({"city": "Bern"})'),
        ("tool", None, "yes"),
        ("assistant", None, "It rains."),
    ]
