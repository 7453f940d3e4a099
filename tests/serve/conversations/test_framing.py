"""Messages that a front end sends inside a template, and later without it."""

from __future__ import annotations

import time

import pytest

from engram.serve.frontends.framing import is_framed, question_of, typed

from .talking import Client, assistant, user

RULES = "Answer from the documents alone.\nDocument 1: Sheds need a permit above ten square metres.\n"
Q1, A1 = "Do I need a permit for my shed?", "Only if it is larger than ten square metres."
Q2, A2 = "And for a pond?", "The documents do not say anything about ponds."
Q3, A3 = "Who decides that?", "The office for buildings decides."


def labelled(question: str) -> str:
    return f"{RULES}\nQuestion: {question}"


def tagged(question: str) -> str:
    return f"{RULES}<ask>{question}</ask>\nReply in English."


def before(question: str) -> str:
    return f"{question}\n\n{RULES}"


@pytest.mark.parametrize("session", [None, "garden"])
@pytest.mark.parametrize("template", [labelled, tagged, before])
def test_a_template_around_the_last_message_keeps_one_conversation_and_nothing_twice(
    client: Client, session: str | None, template: object
) -> None:
    assert callable(template)
    client.turn(user(template(Q1)), to=A1, session=session)
    client.turn(user(Q1), assistant(A1), user(template(Q2)), to=A2, session=session)
    client.turn(user(Q1), assistant(A1), user(Q2), assistant(A2), user(template(Q3)), to=A3, session=session)
    history = [user(Q1), assistant(A1), user(Q2), assistant(A2), user(Q3), assistant(A3)]
    client.turn(*history, user("Thanks a lot for that."), to="You are welcome, as always.", session=session)
    assert sorted(client.texts()) == sorted(
        [Q1, A1, Q2, A2, Q3, A3, "Thanks a lot for that.", "You are welcome, as always."]
    )
    assert len({engram.session for engram in client.engrams()}) == 1
    # The words have the time of the message that held them.
    by_text = {engram.text: engram.at for engram in client.engrams()}
    assert sorted(by_text, key=lambda text: by_text[text])[:6] == [Q1, A1, Q2, A2, Q3, A3]


def test_a_retry_of_a_framed_message_is_the_same_message(client: Client) -> None:
    client.turn(user(labelled(Q1)), to=A1)
    client.ask(user(Q1), assistant(A1), user(labelled(Q2)))
    client.settle()
    client.turn(user(Q1), assistant(A1), user(labelled(Q2)), to=A2)
    assert sorted(client.texts()) == sorted([Q1, A1, labelled(Q2), A2])


def test_a_message_that_is_sent_again_inside_a_template_is_the_same_message(client: Client) -> None:
    client.turn(user(Q1), to=A1)
    client.turn(user(labelled(Q1)), assistant(A1), user(Q2), to=A2)
    assert client.texts() == [Q1, A1, Q2, A2]


def test_another_question_with_the_same_reply_is_another_conversation(client: Client) -> None:
    client.turn(user("Is the library open on Sundays?"), to="I am afraid I cannot tell you that.")
    client.turn(user("What does it cost?"), assistant("I am afraid I cannot tell you that."), user(Q2), to=A2)
    assert len(client.texts()) == 6
    assert len({engram.session for engram in client.engrams()}) == 2


def test_a_long_message_that_a_client_cuts_short_stays_whole(client: Client) -> None:
    story = "We drove north until the road ended, and then we walked to the hut, where we stayed for three nights."
    client.turn(user(story), to=A1, session="trip")
    client.turn(user(story[: story.index(" walked")]), assistant(A1), user(Q2), to=A2, session="trip")
    assert client.texts() == [story, A1, Q2, A2]


def test_typed_returns_the_words_inside_a_template_only() -> None:
    assert typed(labelled(Q1), Q1) == typed(tagged(Q1), f" {Q1}\n") == typed(before(Q1), Q1) == Q1
    assert typed(Q1, labelled(Q1)) is None
    assert typed(Q1, Q1) is None
    assert typed("permits for sheds", "permit") is None
    assert typed(labelled(Q1), "") is None


def test_a_message_is_framed_by_whole_words() -> None:
    assert is_framed("Question:  are\nyou there?", "are you there?")
    assert is_framed("are you there?", "Question: are you there?")
    assert not is_framed("software", "are")
    assert not is_framed("software", "")


PARAGRAPH = "The pump stands in the cellar and feeds the tanks on both floors. It was built in Ghent. " * 4


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (f"{PARAGRAPH}\n\nQuestion: Who built the pump?", "Who built the pump?"),
        (f"{PARAGRAPH}\nWho built the pump?\n\n{PARAGRAPH}", "Who built the pump?"),
        (f"{PARAGRAPH}\nFrage: Wer hat die Pumpe gebaut?\nAnswer:", "Wer hat die Pumpe gebaut?"),
        (f"{PARAGRAPH}\nRight?", f"{PARAGRAPH}\nRight?"),
        (f"{PARAGRAPH}\nI wrote this.", f"{PARAGRAPH}\nI wrote this."),
        ("One.\nTwo?", "One.\nTwo?"),
    ],
)
def test_the_question_in_a_long_message(text: str, question: str) -> None:
    assert question_of(text) == question


@pytest.mark.parametrize(("long", "short"), [("a", "a"), ("ab", "ba"), ("a ", "a a"), ("?\n", "?")])
def test_the_time_of_a_comparison_grows_with_the_length_only(long: str, short: str) -> None:
    def best(length: int) -> float:
        sent, bare, times = long * (length // len(long)), short * (length // len(short) // 2) + "x", []
        for _ in range(3):
            begun = time.perf_counter()
            is_framed(sent, bare)
            typed(sent, bare)
            question_of(sent)
            times.append(time.perf_counter() - begun)
        return min(times)

    assert best(800_000) < 40 * best(100_000)


def other(question: str) -> str:
    return f"You know the rules of the town.\n\nPonds need no permit.\n\nWhat I ask: {question}\n\nReply in one line."


@pytest.mark.parametrize("session", [None, "garden"])
def test_a_template_that_changes_between_requests_keeps_one_conversation_and_nothing_twice(
    client: Client, session: str | None
) -> None:
    client.turn(user(labelled(Q1)), to=A1, session=session)
    client.turn(user(other(Q1)), assistant(A1), user(labelled(Q2)), to=A2, session=session)
    client.turn(user(tagged(Q1)), assistant(A1), user(other(Q2)), assistant(A2), user(Q3), to=A3, session=session)
    assert len(client.texts()) == 6
    assert len({engram.session for engram in client.engrams()}) == 1


def test_in_a_named_session_a_long_reply_is_kept_once_whatever_stands_before_it(client: Client) -> None:
    client.turn(user("Documents: one, two.\nShed, permit, ten square metres"), to=A1, session="garden")
    client.turn(user("Shed and permit"), assistant(A1), user(Q2), to=A2, session="garden")
    assert [text for text in client.texts() if text == A1] == [A1]
    assert client.texts()[-2:] == [Q2, A2]


def test_in_a_named_session_a_short_reply_to_another_question_is_kept(client: Client) -> None:
    client.turn(user("Is the shed permitted?"), to="No.", session="garden")
    client.turn(user("May I dig a pond?"), assistant("No."), user(Q2), to=A2, session="garden")
    assert client.texts() == ["Is the shed permitted?", "No.", "May I dig a pond?", "No.", Q2, A2]
