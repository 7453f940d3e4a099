"""Which of the hits of a recall become notes.

Owns the rule. Knows nothing of how notes are worded.
"""

from __future__ import annotations

from collections.abc import Iterable

from engram.notes.wording import Prompt
from engram.recall.result import Hit
from engram.text.markup import as_said, is_question


def choose(hits: Iterable[Hit], in_sight: set[str], prompt: Prompt) -> list[Hit]:
    """Which hits become notes, best first, at most `prompt.notes`.

    Left out is what the model sees anyway, what was said twice, and questions: a question answers none. What a model
    once said goes in only where the prompt says so; a small model's guesses would come back as facts.
    """
    chosen: list[Hit] = []
    texts: set[str] = set()
    for hit in hits:
        if len(chosen) >= prompt.notes:
            break
        engram = hit.engram
        text = as_said(engram.text)
        if engram.id in in_sight or text in texts or is_question(engram.text):
            continue
        if engram.role == "assistant" and not prompt.replies:
            continue
        if chosen and hit.why["words"] < prompt.own_words * chosen[0].why["words"]:
            continue
        texts.add(text)
        chosen.append(hit)
    return chosen
