"""Selects the hits of a recall that become notes.

Owns the rule. Does not know how notes are worded.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable

from engram.notes.wording import PromptProfile
from engram.recall.result import Hit
from engram.text.markup import comparable, is_question
from engram.text.tokenizer import words

EXAMINED_CHARACTERS = 2_000
"""Characters of a question, from its beginning, in which a statement is looked for."""

LEAST_STATEMENT = 3
"""Words of a clause that says something: "I'm pregnant" has three, "I forgot" two."""

_SUBJECT = r"(?:i|we|he|she|it|they|there|my|our|his|her|their|the)\b"
_BE = r"(?:is|are|was|were|am|has|have|had|do|does|did|can|could|will|would|should)"
_STATEMENT = re.compile(
    rf"^\s*{_SUBJECT}"  # "I weigh 82 kg, what should I eat?"
    r"|\b(?:because|although|though|since)\s"
    rf"|(?<!\bis )(?<!\bwas )(?<!\bdoes )(?<!\bdid )\bthat\s(?!\s*{_BE}\b)",  # "remember that the bin day is Tuesday"
    re.IGNORECASE,
)
_ASKS = re.compile(r"\b(?:who|whom|whose|what|which|where|when|why|how|if|whether)\b", re.IGNORECASE)
_BARE_STATEMENT = re.compile(
    rf"(?<!\w)(?!{_BE}\b)\w+\s+(?:i|we|he|she|they|(?:my|our)\s(?:\w+\s){{1,3}}{_BE})\b", re.IGNORECASE
)  # "Did you know I play the bassoon?"


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
    after the best need half of it.

    Also skipped: repeated texts, what repeats `query`, and questions, because a question answers none, unless it states
    something that `query` does not say. Replies of a model are skipped unless the profile includes them: the guesses of
    a small model would come back as facts.
    """
    candidates = (
        hit for hit in hits if hit.engram.id not in held_ids and comparable(hit.engram.text) not in held_texts
    )
    best = next(candidates, None)
    if best is None or best.score < least_score:
        return []
    confident = itertools.chain([best], (hit for hit in candidates if hit.score >= least_score / 2))
    chosen: list[Hit] = []
    texts = {comparable(query)}
    for hit in confident:
        if len(chosen) >= profile.max_notes:
            break
        engram = hit.engram
        text = comparable(engram.text)
        if text in texts or (is_question(engram.text) and not states_more(engram.text, query)):
            continue
        if engram.role == "assistant" and not profile.include_replies:
            continue
        if chosen and hit.why["words"] < profile.min_word_share * chosen[0].why["words"]:
            continue
        texts.add(text)
        chosen.append(hit)
    return chosen


def states_more(question: str, query: str) -> bool:
    """Return whether an English question also states something, with a word that `query` lacks.

    "Can you remember that my locker is number 212?" does; "What number is the locker that I rent?" does not.
    """
    known = set(words(query))
    for clause in re.split(r"[,;:.!?\n]", question[:EXAMINED_CHARACTERS]):
        found = statement_in(clause)
        said = words(found.replace("'", " ").replace("\u2019", " "))
        if len(said) >= LEAST_STATEMENT and not known.issuperset(said):
            return True
    return False


def statement_in(clause: str) -> str:
    """Return the part of a clause that states something; "" if there is none."""
    match = _STATEMENT.search(clause)
    if match is not None:
        start = match.end() if match[0].rstrip().casefold().endswith(("that", "because", "though", "since")) else 0
        return clause[start:]
    bare = _BARE_STATEMENT.search(clause)
    if bare is None or _ASKS.search(clause[: bare.end()]):
        return ""
    return clause[bare.start() :].partition(" ")[2]
