from collections.abc import Generator, Iterator, Sequence

import pytest

from engram.chat import Conversation
from engram.errors import InvalidEngram, ModelUnavailable
from engram.memory import Memory
from engram.models.base import Message
from engram.notes.wording import LARGE, SMALL, Prompt


class Parrot:
    """A model that obeys the interface: it gives the replies it was told to, word by word, and keeps what it was given.

    A reply of None breaks off in the middle.
    """

    name = "parrot"

    def __init__(self, *replies: str | None, context: int = 1000) -> None:
        self.replies = list(replies)
        self.context = context
        self.given: list[list[Message]] = []
        self.stopped = 0

    def reply(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> Generator[str, None, None]:
        self.given.append(list(messages))
        said = self.replies.pop(0) if self.replies else "Yes."
        try:
            for word in (said or "Half a").split():
                yield word + " "
        except GeneratorExit:
            self.stopped += 1
            raise
        if said is None:
            raise ModelUnavailable("the parrot flew away")

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def close(self) -> None:
        pass


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(":memory:") as memory:
        yield memory


def conversation(memory: Memory, model: Parrot, session: str = "today", prompt: Prompt = SMALL) -> Conversation:
    return Conversation(memory, model, namespace="ana", session=session, prompt=prompt)


def say(talk: Conversation, text: str) -> str:
    return "".join(talk.say(text)).strip()


def told(memory: Memory, *texts: str, role: str = "user") -> None:
    for text in texts:
        memory.remember(text, namespace="ana", session="yesterday", role=role)


def last_given(model: Parrot) -> str:
    return model.given[-1][-1].content


def test_what_was_told_yesterday_is_in_front_of_the_question(memory: Memory):
    told(memory, "My dog is called Biscuit.", "The museum project is due in November.")
    model = Parrot("Biscuit.")
    talk = conversation(memory, model)
    assert say(talk, "What is my dog called?") == "Biscuit."
    assert talk.used[0].engram.text == "My dog is called Biscuit."
    assert "- My dog is called Biscuit.\n" in last_given(model)
    assert last_given(model).endswith(" What is my dog called?")


def test_both_sides_are_kept_in_order(memory: Memory):
    say(conversation(memory, Parrot("Nice to meet you.")), "I am Ana.")
    kept = [(e.role, e.text, e.session, e.source) for e in memory.engrams(namespace="ana")]
    assert kept == [("user", "I am Ana.", "today", "chat"), ("assistant", "Nice to meet you.", "today", "chat")]


def test_the_turn_is_kept_before_the_reply_begins(memory: Memory):
    pieces = conversation(memory, Parrot("One two three.")).say("Count.")
    next(pieces)
    assert [e.text for e in memory.engrams(namespace="ana")] == ["Count."]
    pieces.close()


def test_a_reply_that_is_broken_off_is_kept_as_far_as_it_came(memory: Memory):
    model = Parrot("One two three.", None)
    talk = conversation(memory, model)
    pieces = talk.say("Count.")
    assert next(pieces) == "One "
    pieces.close()
    assert model.stopped == 1
    with pytest.raises(ModelUnavailable):
        say(talk, "Go on.")
    replies = [(e.text, dict(e.metadata)) for e in memory.engrams(namespace="ana") if e.role == "assistant"]
    assert replies == [("One", {"broken_off": True}), ("Half a", {"broken_off": True})]


def test_what_the_model_still_sees_is_no_note(memory: Memory):
    model = Parrot("Hello Biscuit.")
    talk = conversation(memory, model)
    say(talk, "My dog is called Biscuit.")
    say(talk, "What is my dog called?")
    assert talk.used == ()
    assert [m.content for m in model.given[-1][1:]] == [
        "My dog is called Biscuit.",
        "Hello Biscuit.",
        "What is my dog called?",
    ]


def test_what_went_out_of_sight_is_found_again(memory: Memory):
    model = Parrot()
    talk = conversation(memory, model, prompt=Prompt(history=40))
    say(talk, "My dog is called Biscuit.")
    for number in range(6):
        say(talk, f"Let us talk about the weather of day {number} for a while now.")
    say(talk, "What is my dog called?")
    assert [hit.engram.text for hit in talk.used][:1] == ["My dog is called Biscuit."]


def test_questions_and_repetitions_are_no_notes(memory: Memory):
    told(memory, "What is my dog called?", "my dog is called  biscuit.", "My dog is called Biscuit.")
    talk = conversation(memory, Parrot())
    say(talk, "What is my dog called?")
    assert len(talk.used) == 1
    assert "biscuit" in talk.used[0].engram.text.casefold()


def test_what_a_small_model_once_said_is_no_note(memory: Memory):
    told(memory, "Your dog is called Max, I guess.", role="assistant")
    for prompt, used in ((SMALL, 0), (LARGE, 1)):
        talk = conversation(memory, Parrot(), prompt=prompt)
        say(talk, "What is my dog called?")
        assert len(talk.used) == used
        memory.forget(session="today")


def test_another_namespace_is_never_asked(memory: Memory):
    memory.remember("My dog is called Rex.", namespace="ben")
    talk = conversation(memory, Parrot())
    say(talk, "What is my dog called?")
    assert talk.used == ()


def test_notes_keep_to_their_number_and_budget(memory: Memory):
    told(memory, *(f"My dog likes toy number {n}." for n in range(20)))
    talk = conversation(memory, Parrot(), prompt=Prompt(notes=4))
    say(talk, "Which toy does my dog like?")
    assert len(talk.used) == 4
    talk = conversation(memory, Parrot(), session="b", prompt=Prompt(notes=4, budget=17))
    say(talk, "Which toy does my dog like?")
    assert len(talk.used) == 2
    talk = conversation(memory, Parrot(), session="c", prompt=Prompt(notes=0))
    say(talk, "Which toy does my dog like?")
    assert talk.used == ()


def test_everything_fits_in_the_models_context(memory: Memory):
    model = Parrot(*["word " * 50] * 30, context=200)
    talk = conversation(memory, model)
    for number in range(30):
        say(talk, f"This is message number {number} about my dog.")
        assert sum(len(m.content.split()) + 8 for m in model.given[-1]) <= 150
        assert model.given[-1][1].role == "user"


def test_a_text_longer_than_the_context_is_kept_whole_and_shown_in_part(memory: Memory):
    model = Parrot(context=200)
    text = "start " + "word " * 5000 + "end"
    say(conversation(memory, model), text)
    assert next(iter(memory.engrams(namespace="ana"))).text == text
    assert last_given(model).startswith("start word")
    assert len(last_given(model).split()) < 150


def test_the_start_of_what_the_model_sees_stays_put_for_several_turns(memory: Memory):
    model = Parrot()
    talk = conversation(memory, model, prompt=Prompt(history=200))
    for number in range(30):
        say(talk, f"This is message number {number}.")
    starts = [given[1] for given in model.given]
    assert len(set(starts)) < len(starts) / 3


def test_a_session_is_gone_on_with(memory: Memory):
    say(conversation(memory, Parrot("Hello Ana.")), "I am Ana.")
    model = Parrot()
    say(conversation(memory, model), "Still there?")
    assert model.given[0][1:3] == [Message("user", "I am Ana."), Message("assistant", "Hello Ana.")]


def test_what_is_forgotten_is_out_of_sight_at_once(memory: Memory):
    model = Parrot("Hello Biscuit.")
    talk = conversation(memory, model)
    say(talk, "My dog is called Biscuit.")
    assert talk.forget(talk.last_exchange()) == 2
    assert list(memory.engrams(namespace="ana")) == []
    say(talk, "What is my dog called?")
    assert len(model.given[-1]) == 2
    assert talk.used == ()


def test_nothing_that_cannot_be_kept_goes_to_the_model(memory: Memory):
    model = Parrot()
    with pytest.raises(InvalidEngram):
        say(conversation(memory, model), "x" * (1 << 20) + "x")
    assert model.given == []
