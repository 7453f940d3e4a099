"""A long text that has no vectors yet, beside others that have theirs."""

from __future__ import annotations

from engram.memory import Memory

TOLD = ["My daughter plays the oboe.", "We fly to Bergen in May.", "The rent is 900 euros.", "I drive an old van."]
LONG = "The oboe is a woodwind instrument that a daughter may play. " * 8_000


def test_a_long_text_without_vectors_leaves_the_others_theirs(memory: Memory) -> None:
    memory.remember_many({"text": text} for text in TOLD)
    (before,) = (hit for hit in memory.recall("What does my daughter play?", floor=0) if hit.engram.text == TOLD[0])
    memory.remember(LONG, session="long")
    hits = memory.recall("What does my daughter play?", floor=0)
    (after,) = (hit for hit in hits if hit.engram.text == TOLD[0])
    assert after.why["meaning"] > 0.9 * before.why["meaning"]
    assert any(hit.engram.text == LONG for hit in hits)
