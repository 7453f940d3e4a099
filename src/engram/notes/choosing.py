"""Selects the hits of a recall that become notes.

Owns the rule. Does not know how notes are worded.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from functools import lru_cache

from engram.engram import Engram, Origin
from engram.notes.questions import mentions_more, states_more
from engram.notes.wording import PromptProfile
from engram.recall.recaller import STRENGTH
from engram.recall.result import Hit
from engram.strength.rule import first_without
from engram.text.markup import comparable, is_question
from engram.text.orders import may_steer

MOST_ASIDES = 2
"""Questions that become notes because they mention something: "Why does my 2014 Volvo stall?"."""

LEAST_TRUST: Origin = "agent"
"""The least trusted origin of notes by default: what a document or a tool said can come from anyone."""

SHARE_OF_BEST = 0.3
"""Share of the best hit's score that another note needs: beside a sure answer, what may be near is noise."""

SHORT = 2_000
"""Characters of a text that are judged before it is chosen; of a longer one also what a note shows of it
(`Wording.render`)."""


def may_be_quoted(engram: Engram, shown: str) -> bool:
    """Return whether `shown`, all or a part of an engram's text, may stand in a prompt.

    What the user did not type and may steer a model may not, nor one whose speaker's name may: it stays out of prompts,
    and recall still finds it.
    """
    return engram.origin == "user" or not (_may_steer(shown) or (engram.speaker and _may_steer(engram.speaker)))


@lru_cache(maxsize=4_096)
def _may_steer(text: str) -> bool:
    return may_steer(text)


def choose(
    hits: Iterable[Hit],
    profile: PromptProfile,
    *,
    query: str = "",
    held_ids: Collection[str],
    held_texts: Collection[str] = (),
    least_score: float = 0.0,
) -> list[Hit]:
    """Return the hits that become notes, best first, at most `profile.max_notes`.

    hits: best first. held_ids, held_texts: ids and texts (as `comparable` returns them) of the messages that the model
    sees anyway; they are skipped. least_score: nothing is returned if the best remaining hit scores below it; the hits
    after the best need half of it, and `SHARE_OF_BEST` of the best one's.

    Also skipped: repeated texts, texts that may steer the model (`may_be_quoted`), what repeats `query`, and questions,
    because a question answers none, unless it states something that `query` does not say. The user's questions that
    only mention something come last, at most `MOST_ASIDES`. Replies of a model are skipped unless the profile includes
    them: the guesses of a small model would come back as facts.
    """
    text_of: dict[str, str] = {}
    candidates = (hit for hit in hits if hit.engram.id not in held_ids and is_new(hit, held_texts, text_of))
    best = next(candidates, None)
    if best is None:
        return []
    sure = best.score
    if STRENGTH in best.why:
        # Strength changes the order alone: what suffices is decided by the hit that would be first without it.
        others = list(candidates)
        sure, candidates = first_without([best, *others]).score, (hit for hit in others)
    if sure < least_score:
        return []
    enough = max(least_score / 2, SHARE_OF_BEST * sure)
    confident = itertools.chain([best], (hit for hit in candidates if hit.score >= enough))
    chosen, asides = list[Hit](), list[Hit]()
    texts = {comparable(query)}
    for hit in confident:
        if len(chosen) >= profile.max_notes:
            break
        engram = hit.engram
        text = text_of[engram.id]
        if text in texts:
            continue
        group = chosen
        if is_question(engram.text) and not states_more(engram.text, query):
            if not query or engram.role != "user" or not mentions_more(engram.text, query):
                continue
            group = asides
        elif (engram.role == "assistant" and not profile.include_replies) or (
            chosen and hit.why["words"] < profile.min_word_share * chosen[0].why["words"]
        ):
            continue
        # Last, because it takes a hundred times as long as the other conditions.
        if may_be_quoted(engram, engram.text[:SHORT]):
            texts.add(text)
            group.append(hit)
    return chosen + asides[: min(MOST_ASIDES, profile.max_notes - len(chosen))]


def is_new(hit: Hit, held_texts: Collection[str], text_of: dict[str, str]) -> bool:
    """Return whether a hit's text is none of those that the model sees; note it by id, as `comparable` returns it."""
    text = text_of[hit.engram.id] = comparable(hit.engram.text)
    return text not in held_texts
