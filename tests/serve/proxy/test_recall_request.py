"""What a request asks of memory, and what it gets."""

from __future__ import annotations

from engram.memory import Memory
from engram.notes.injection import wording_for
from engram.serve.proxy.recall_request import NO_NOTES, Recaller, RecallRequest

WORDING = wording_for(embedded=False, budget=512, notes=5, least_score=0.0)


def test_in_parts_it_is_the_same_and_what_is_quick_comes_first() -> None:
    with Memory(":memory:") as memory:
        dog = memory.remember("My dog is called Biscuit.", namespace="ana")
        memory.remember("My cat is called Plum.", namespace="ana")
        recaller = Recaller(memory, WORDING)
        whole = RecallRequest(
            namespace="ana",
            last=2,
            cue="What is my cat called?",
            wanted={0: (dog.id,)},
            own={0: "What is my dog called?", 2: "What is my cat called?"},
            held=frozenset([dog.id]),
            said=["What is my dog called?", "Biscuit.", "What is my cat called?"],
        )
        first, second = whole.parts()
        early, new = recaller.notes(first), recaller.notes(second)
        assert ("Biscuit" in early.texts[0], early.recalled) == (True, ())
        assert "Plum" in new.texts[2]
        assert NO_NOTES.joined(early).joined(new) == recaller.notes(whole)
        assert len(new.recalled) == 1
        # With nothing to get back, or nothing new, there is one part.
        assert second.parts() == [second]
        assert first.parts() == [first]
