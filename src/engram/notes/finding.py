"""Finds the notes for a message: recall, choice, and the question to an answer that says little by itself.

Owns how far it looks. Which hits become notes is `choosing`, how they are worded is `wording` and `injection`. Counts
no use: that is for who puts the notes into a prompt.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from engram.engram import Engram, in_zone, is_trusted
from engram.errors import NotFound
from engram.memory import Memory
from engram.notes.choosing import LEAST_TRUST, SHORT, choose, may_be_quoted
from engram.notes.wording import PromptProfile
from engram.recall.result import Hit
from engram.text.markup import comparable

ENOUGH = 3
"""Notes with which the search ends, although more hits could follow."""
WIDER = 4
"""Factor by which more hits are requested if questions and copies leave too few."""
MOST_HITS = 256
"""Hits after which the search ends."""


class FoundNotes(NamedTuple):
    """The hits that become notes of one message."""

    hits: list[Hit]
    """Best first, at most `profile.max_notes`."""
    unsearched: int
    """As in `Recall`."""


def find_notes(
    memory: Memory,
    query: str,
    profile: PromptProfile,
    *,
    namespace: str,
    limit: int,
    held_ids: Collection[str],
    held_texts: Collection[str] = (),
    least_score: float = 0.0,
    zone: tzinfo = UTC,
    trust: str = LEAST_TRUST,
) -> FoundNotes:
    """Find the hits that become notes.

    limit: hits to request first; more are requested if the hits are mostly questions and copies. zone: the reader's,
    which the times of the hits are in. The other arguments are those of `choose`. An answer that fits only by the turn
    before it, such as "yes", is followed by that turn, or left out if that turn is gone. Raises as `Memory.recall`.
    """
    while True:
        now = datetime.now(zone)
        # Only what reaches a prompt is used: the caller counts it.
        found = memory.recall(query, namespace=namespace, limit=limit, now=now, trust=trust, strengthen=False)
        chosen = choose(found, profile, query=query, held_ids=held_ids, held_texts=held_texts, least_score=least_score)
        more = len(found) == limit and found[-1].score >= least_score / 2
        if len(chosen) >= min(ENOUGH, profile.max_notes) or limit >= MOST_HITS or not more:
            notes = with_questions(memory, chosen, held_ids, {*held_texts, comparable(query)}, profile.max_notes, trust)
            # Only these: most hits become no note.
            shown = [Hit(in_zone(hit.engram, zone), hit.score, hit.why, hit.seq, hit.passage) for hit in notes]
            return FoundNotes(shown, found.unsearched)
        limit *= WIDER


def with_questions(
    memory: Memory,
    hits: Sequence[Hit],
    held_ids: Collection[str],
    held_texts: Collection[str],
    most: int,
    trust: str,
) -> list[Hit]:
    """Return the first `most` of `hits`, where each answer that needs its question is followed by it.

    A question that the model sees anyway (`held_ids`, `held_texts` as in `choose`) does not follow again.

    The question has the answer's score. A pair is left out if only one of the two would fit, or if
    the question is less trusted than `trust` or may steer the model.
    """
    result: list[Hit] = []
    known = set(held_ids)
    for hit in hits:
        added = [hit]
        if hit.why["previous"] > hit.why["words"] + hit.why["meaning"]:
            question = previous_turn(memory, hit.engram)
            if question is None or not is_trusted(question.origin, trust):
                continue
            if not may_be_quoted(question, question.text[:SHORT]):
                continue
            if comparable(question.text) not in held_texts:
                added.append(replace(hit, engram=question, passage=(0, len(question.text))))
        added = [one for one in added if one.engram.id not in known]
        if len(result) + len(added) <= most:
            result += added
            known.update(one.engram.id for one in added)
    return result


def previous_turn(memory: Memory, engram: Engram) -> Engram | None:
    """Return the turn before an engram in its session; None if the engram was forgotten or is the first."""
    before = memory.engrams(
        namespace=engram.namespace, session=engram.session, after_id=engram.id, newest=True, limit=1
    )
    try:
        return next(before, None)
    except NotFound:
        return None
