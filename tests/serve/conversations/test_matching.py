"""Which conversation a request matches, and which of its messages are new."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime

import pytest

from engram.ids import uuid7
from engram.serve.http.errors import ServeError
from engram.serve.wire.base import ChatMessage, MessagePart

from .talking import Client, assistant, message, user, wait_until

SYSTEM = message("system", "You are kind.")


def other(client: Client, namespace: str) -> Client:
    return Client(client.memory, client.store, client.recorder, namespace)


# New messages only.


def test_growing_history_is_stored_once_in_order_in_one_session(client: Client) -> None:
    first, history = client.turn(SYSTEM, user("My dog is called Biscuit."), to="What a name!")
    second, history = client.turn(*history, user("He is four."), to="A good age.")
    third, history = client.turn(*history, user("He likes cheese."), to="Who does not?")
    assert client.texts() == [one.text for one in history if one.role != "system"]
    assert {engram.session for engram in client.engrams()} == {first.session}
    assert first.session == second.session == third.session
    ats = [engram.at for engram in client.engrams()]
    assert ats == sorted(ats)
    ids = [engram.id for engram in client.engrams()]
    assert ids == sorted(ids)
    assert all(engram.source == "serve" and engram.metadata == {} for engram in client.engrams())


def test_match_lists_new_messages_and_known_engrams(client: Client) -> None:
    _, history = client.turn(SYSTEM, user("one"), to="two")
    match = client.find(*history, user("three"))
    assert match.new_indexes == (3,)
    assert match.known_engrams == {engram.id for engram in client.engrams()}
    assert (match.namespace, match.session) == ("ana", client.engrams()[0].session)


def test_changed_system_message_does_not_affect_the_match(client: Client) -> None:
    _, history = client.turn(SYSTEM, user("one"), to="two")
    changed = [message("system", "It is Tuesday."), *history[1:], message("system", "Be brief."), user("three")]
    assert client.find(*changed).new_indexes == (4,)


def test_pending_messages_are_matched(client: Client) -> None:
    with client.store.database.writing():  # blocks the writer
        ticket = client.answer(client.ask(user("one")), "two")
        match = client.find(user("one"), assistant("two"), user("three"))
        assert match.new_indexes == (2,)
        assert match.session == ticket.session
        assert match.known_engrams == set(client.receipt(ticket).engrams)
        client.answer(client.ask(user("one"), assistant("two"), user("three")), "four")
    client.settle()
    assert client.texts() == ["one", "two", "three", "four"]


def test_request_with_only_a_system_message_gets_a_session(client: Client) -> None:
    ticket = client.answer(client.ask(SYSTEM), "Hello?")
    client.settle()
    assert client.texts(ticket.session) == ["Hello?"]
    assert client.find(SYSTEM, assistant("Hello?"), user("Hi.")).new_indexes == (2,)


def test_message_without_engrams_is_recognised(client: Client) -> None:
    image = message("user", "")
    _, history = client.turn(image, to="A dog.")
    assert client.find(*history, user("Whose?")).new_indexes == (2,)
    assert client.texts() == ["A dog."]


def test_conversation_of_another_namespace_is_not_matched(client: Client) -> None:
    first, history = client.turn(user("one"), to="two")
    bob = other(client, "bob")
    match = bob.find(*history, user("three"))
    assert match.new_indexes == (0, 1, 2)
    assert match.known_engrams == frozenset()
    assert match.session != first.session


# Openings.


def test_identical_openings_give_two_sessions(client: Client) -> None:
    first, one = client.turn(user("Hello"), to="Hi!")
    second, two = client.turn(user("Hello"), to="Hi!")
    assert first.session != second.session
    assert client.texts() == ["Hello", "Hi!"] * 2
    # Both continue. A request matches the newest leaf.
    third, _ = client.turn(*two, user("A"), to="a")
    fourth, _ = client.turn(*one, user("B"), to="b")
    assert {third.session, fourth.session} == {first.session, second.session}
    assert client.texts() == ["Hello", "Hi!", "Hello", "Hi!", "A", "a", "B", "b"]


def test_unanswered_opening_sent_again_stays_in_its_session(client: Client) -> None:
    first = client.ask(user("Hello"))
    client.recorder.reply_failed(first)
    second, _ = client.turn(user("Hello"), to="Hi!")
    assert second.session == first.session
    assert client.texts() == ["Hello", "Hi!"]


def test_identical_openings_in_flight_give_two_sessions(client: Client) -> None:
    first, second = client.ask(user("Hello")), client.ask(user("Hello"))
    assert first.session != second.session
    client.answer(second, "Hi!")
    client.answer(first, "Good day!")
    client.settle()
    assert client.texts(first.session) == ["Hello", "Good day!"]
    assert client.texts(second.session) == ["Hello", "Hi!"]


def test_request_whose_ticket_was_dropped_is_not_in_flight(client: Client) -> None:
    session = client.ask(user("Hello")).session
    client.settle()
    wait_until(lambda: client.find(user("Hello")).session == session)


def test_opening_matched_twice_before_it_is_accepted_is_stored_twice(client: Client) -> None:
    messages = [user("Hello")]
    matches = [client.find(*messages), client.find(*messages)]
    for match in matches:
        client.recorder.accept(match, messages, datetime.now(UTC), None, "serve")
    client.settle()
    assert client.texts() == ["Hello", "Hello"]


# Branches.


def test_regenerated_reply_is_a_branch_and_the_question_is_stored_once(client: Client) -> None:
    first, _ = client.turn(user("one"), to="two")
    _, history = client.turn(user("one"), assistant("two"), user("three"), to="four")
    again, _ = client.turn(*history[:-1], to="another four")
    client.turn(*history[:-1], to="four")
    assert again.session == first.session
    assert client.texts() == ["one", "two", "three", "four", "another four"]
    assert [engram.metadata for engram in client.engrams()] == [{}, {}, {}, {}, {"branch": True}]


def test_edited_message_is_a_branch_of_the_same_session(client: Client) -> None:
    first, history = client.turn(user("one"), to="two")
    _, history = client.turn(*history, user("three"), to="four")
    edited, branch = client.turn(*history[:2], user("three, but better"), to="five")
    _, _ = client.turn(*branch, user("six"), to="seven")
    assert edited.session == first.session
    assert client.texts() == ["one", "two", "three", "four", "three, but better", "five", "six", "seven"]
    assert [bool(engram.metadata.get("branch")) for engram in client.engrams()] == [False] * 4 + [True] * 4
    # The old branch can still be continued.
    assert client.find(*history, user("eight")).new_indexes == (4,)


def test_all_choices_are_stored_and_each_can_be_continued(client: Client) -> None:
    client.answer(client.ask(user("Name one.")), "Anna", "Berta", "Clara", "Anna")
    client.settle()
    assert client.texts() == ["Name one.", "Anna", "Berta", "Clara"]
    assert [engram.metadata for engram in client.engrams()[1:]] == [{}, {"choice": 1}, {"choice": 2}]
    match = client.find(user("Name one."), assistant("Berta"), user("Why?"))
    assert match.new_indexes == (2,)
    client.turn(user("Name one."), assistant("Berta"), user("Why?"), to="Because.")
    assert client.engrams()[-1].metadata == {}


def test_retry_in_a_conversation_adds_no_message(client: Client) -> None:
    _, history = client.turn(user("one"), to="two")
    client.recorder.reply_failed(client.ask(*history, user("three")))
    client.turn(*history, user("three"), to="four")
    assert client.texts() == ["one", "two", "three", "four"]


# Histories from elsewhere, and histories whose beginning is cut off.


def test_history_from_elsewhere_is_stored_once_as_a_whole(client: Client) -> None:
    brought = [user("one"), assistant("two"), user("three"), assistant("four"), user("five")]
    first, history = client.turn(*brought, to="six")
    assert client.texts(first.session) == ["one", "two", "three", "four", "five", "six"]
    ats = [engram.at for engram in client.engrams()]
    assert [(b - a).microseconds for a, b in itertools.pairwise(ats[:5])] == [1] * 4
    client.turn(*history, user("seven"), to="eight")
    assert client.texts(first.session) == ["one", "two", "three", "four", "five", "six", "seven", "eight"]


def conversation(turns: int) -> list[str]:
    return [f"message number {number} of a long conversation" for number in range(turns)]


def long_talk(client: Client, texts: list[str]) -> list[ChatMessage]:
    history: list[ChatMessage] = []
    for question, reply in zip(texts[::2], texts[1::2], strict=True):
        _, history = client.turn(*history, user(question), to=reply)
    return history


def test_sliding_window_of_messages_stores_each_once(client: Client) -> None:
    texts = conversation(24)
    history: list[ChatMessage] = []
    sessions = set()
    for question, reply in zip(texts[::2], texts[1::2], strict=True):
        ticket, history = client.turn(SYSTEM, *history[-6:], user(question), to=reply)
        history = [one for one in history if one.role != "system"]
        sessions.add(ticket.session)
    assert client.texts() == texts
    assert len(sessions) == 1


def test_summary_before_known_messages_is_not_stored(client: Client) -> None:
    history = long_talk(client, conversation(10))
    cut = [user("Summary: we talked."), *history[-4:], user("next")]
    match = client.find(*cut)
    assert match.new_indexes == (5,)
    assert match.session == client.engrams()[0].session
    assert match.known_engrams == {engram.id for engram in client.engrams()[-4:]}


def test_two_messages_identify_a_conversation_if_one_is_long(client: Client) -> None:
    history = long_talk(client, conversation(8))
    assert client.find(*history[-2:], user("next")).new_indexes == (2,)
    _, short = client.turn(user("a"), to="b")
    _, short = client.turn(*short, user("c"), to="d")
    assert client.find(*short[-2:], user("next")).new_indexes == (0, 1, 2)


def test_cut_history_that_begins_like_another_conversation_is_matched(client: Client) -> None:
    texts = conversation(10)
    texts[4] = "Hello"
    history = long_talk(client, texts)
    client.turn(user("Hello"), to="Hi!")
    cut = [*history[4:], user("next")]
    match = client.find(*cut)
    assert match.new_indexes == (len(cut) - 1,)
    assert match.session == client.engrams()[0].session


def test_very_long_history_is_matched(client: Client) -> None:
    texts = conversation(3_001)
    messages = [message("user" if at % 2 == 0 else "assistant", text) for at, text in enumerate(texts)]
    client.recorder.reply_failed(client.ask(*messages))
    client.settle()
    match = client.find(*messages, assistant("reply"), user("next"))
    assert match.new_indexes == (3_001, 3_002)
    assert len(match.known_engrams) == 3_001
    assert client.find(*messages[1_000:], assistant("reply"), user("next")).new_indexes == (2_001, 2_002)


# Sessions.


def test_generated_session_name_is_refused_in_another_namespace(client: Client) -> None:
    session = client.ask(user("one")).session
    assert re.fullmatch(r"s-\d{8}-\d{6}-[0-9a-f]{4}-[0-9a-f]{8}", session)
    assert client.find(user("two"), session=session).session == session
    with pytest.raises(ServeError) as refused:
        other(client, "bob").find(user("two"), session=session)
    assert (refused.value.status, refused.value.code) == (400, "session_not_found")
    # The form of the name decides, whether the session exists or not.
    invented = re.sub(r"-[0-9a-f]{8}$", "-00000000", session)
    with pytest.raises(ServeError, match="there is no session"):
        client.find(user("two"), session=invented)


def test_sessions_that_begin_at_once_get_different_names(client: Client) -> None:
    assert len({client.find(user("one")).session for _ in range(2_000)}) == 2_000


@pytest.mark.parametrize("session", ["", "é" * 257, "a\nb", "a\x7fb", "a\x85b", "a\ud800b"])
def test_invalid_session_names_are_refused(client: Client, session: str) -> None:
    with pytest.raises(ServeError) as refused:
        client.find(user("one"), session=session)
    assert refused.value.status == 400


def test_named_session_stores_every_message_of_a_client_that_sends_only_new_ones(client: Client) -> None:
    for text in ("Shall I?", "yes", "yes", "Shall I?"):
        client.turn(user(text), to="OK", session="work")
    assert client.texts("work") == ["Shall I?", "OK", "yes", "OK", "yes", "OK", "Shall I?", "OK"]
    client.recorder.reply_failed(client.ask(user("last"), session="work"))
    client.turn(user("last"), to="OK", session="work")
    assert client.texts("work")[8:] == ["last", "OK"]


def test_named_session_is_matched_alone(client: Client) -> None:
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


def test_request_continues_from_a_response_id(client: Client) -> None:
    first = client.answer(client.ask(user("one")), "two", response="resp_1")
    early = client.find(user("three"), previous="resp_1")  # once before the reply is written, once after
    client.settle()
    for match in (early, client.find(user("three"), previous="resp_1")):
        assert (match.new_indexes, match.session) == ((0,), first.session)
        assert match.known_engrams == {engram.id for engram in client.engrams()}
    client.answer(client.ask(user("three"), previous="resp_1"), "four", response="resp_2")
    client.settle()
    client.turn(user("one"), to="five", previous="resp_2")
    assert client.texts(first.session) == ["one", "two", "three", "four", "one", "five"]
    assert all(engram.metadata == {} for engram in client.engrams())
    # The same conversation, sent as a whole.
    whole = [user("one"), assistant("two"), user("three"), assistant("four"), user("six")]
    assert client.find(*whole).new_indexes == (4,)


def test_request_sent_twice_from_a_response_is_stored_once(client: Client) -> None:
    client.answer(client.ask(user("one")), "two", response="resp_1")
    client.recorder.reply_failed(client.ask(user("three"), previous="resp_1"))
    client.turn(user("three"), to="four", previous="resp_1")
    client.turn(user("three"), to="five", previous="resp_1")
    assert client.texts() == ["one", "two", "three", "four", "five"]


def test_unknown_response_id_begins_a_session(client: Client) -> None:
    client.answer(client.ask(user("one")), "two", response="resp_1")
    client.settle()
    assert client.find(user("three"), previous="resp_9").session != client.engrams()[0].session
    stranger = other(client, "bob").find(user("three"), previous="resp_1")
    assert (stranger.new_indexes, stranger.known_engrams) == ((0,), frozenset())
    assert client.find(user("three"), previous="resp_1", session="work").session == "work"


# Notes, and forgotten messages.


def test_recorded_notes_are_returned_by_message(client: Client) -> None:
    ids = (uuid7(), uuid7())
    one = client.ask(user("one"), notes=ids)
    assert client.find(user("one"), assistant("two"), user("three")).notes == {0: ids}
    client.answer(one, "two")
    client.answer(client.ask(user("one"), assistant("two"), user("three"), notes=None), "four")
    client.settle()
    history = [user("one"), assistant("two"), user("three"), assistant("four"), user("five")]
    assert client.find(*history).notes == {0: ids}
    client.ask(*history, notes=())
    tool_turn = [*history, assistant("looks it up"), message("tool", "found")]
    assert client.find(*tool_turn).notes == {0: ids, 4: ()}
    client.settle()
    client.ask(*tool_turn, notes=[uuid7()])  # the notes of the message are recorded already
    client.settle()
    assert client.find(*tool_turn).notes == {0: ids, 4: ()}


def test_notes_of_a_retry_are_recorded_if_the_first_request_recorded_none(client: Client) -> None:
    note = uuid7()
    client.recorder.reply_failed(client.ask(user("one"), notes=None))
    assert client.find(user("one")).notes == {}
    client.recorder.reply_failed(client.ask(user("one"), notes=[note]))
    client.settle()
    assert client.find(user("one")).notes == {0: (note,)}


def test_forgotten_message_is_not_stored_again(client: Client) -> None:
    _, history = client.turn(user("My PIN is 1234."), to="Noted.")
    client.memory.forget(id=client.engrams()[0].id)
    client.turn(*history, user("What is it?"), to="I do not know.")
    assert client.texts() == ["Noted.", "What is it?", "I do not know."]


def test_tool_parts_and_speakers_are_stored(client: Client) -> None:
    call = ChatMessage(
        "assistant",
        (MessagePart("assistant", "I look."), MessagePart("tool", 'weather({"city": "Bern"})')),
        "I look.\nweather",
        "I look.",
        None,
    )
    client.turn(message("user", "Rain?", speaker="Ana"), call, message("tool", "yes"), to="It rains.")
    stored = [(engram.role, engram.speaker, engram.text) for engram in client.engrams()]
    assert stored == [
        ("user", "Ana", "Rain?"),
        ("assistant", None, "I look."),
        ("tool", None, 'weather({"city": "Bern"})'),
        ("tool", None, "yes"),
        ("assistant", None, "It rains."),
    ]
