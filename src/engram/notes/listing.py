"""Memories as a numbered list for a model that called a tool, in the results of the MCP tools.

Owns how an engram, a fact and a quote are shown and cut, and the text of the list. Does not know the protocol or the
tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from engram.engram import Engram
from engram.notes.injection import CLOSE, OPEN
from engram.notes.zones import local
from engram.recall.context import HEADING, estimated_tokens, shortened
from engram.reflection.facts import Fact
from engram.reflection.slots import SLOT_OF
from engram.reflection.summary import Quote
from engram.text.markup import neutral, one_line

LIST_TOKENS = 16_000
"""Approximate maximum tokens of one list; in a long list each memory is cut to its share."""

NOTE_TOKENS = 1_000
"""Maximum tokens of one memory that was not requested by its id."""


@dataclass(frozen=True, slots=True)
class ShownNote:
    """An engram as a model sees it: harmless text, possibly cut."""

    id: str
    text: str
    at: str
    """ISO 8601."""
    speaker: str | None
    role: str
    origin: str
    """By which way the text came in, one of `engram.ORIGINS`."""
    session: str
    cut: bool
    """Whether `text` is only a part of the engram's text."""
    score: float | None = None
    """Confidence that the engram answers the query, 0..1; None without a query."""


def share_of(count: int) -> int:
    """Return the maximum tokens of each memory in a list of `count`."""
    return min(NOTE_TOKENS, LIST_TOKENS // max(1, count))


def shown_note(
    engram: Engram,
    max_tokens: int | None = None,
    *,
    query: str | None = None,
    score: float | None = None,
    zone: tzinfo = UTC,
) -> ShownNote:
    """Return `engram` as it is shown, its text cut to `max_tokens`: to the best part for `query`, if one is given.

    zone: the reader's time zone.
    """
    text, cut = engram.text, False
    if max_tokens is not None:
        text, cut = shortened(text, query, max_tokens, estimated_tokens, max_characters=8 * max_tokens)
    return ShownNote(
        id=engram.id,
        text=neutral(text),
        at=local(engram.at, zone).isoformat(),
        speaker=None if engram.speaker is None else shown_name(engram.speaker),
        role=engram.role,
        origin=engram.origin,
        session=shown_name(engram.session),
        cut=cut,
        score=score,
    )


def shown_name(name: str) -> str:
    """Return a namespace, session or speaker, which any caller may have chosen, on one line and harmless."""
    return one_line(neutral(name))


def numbered(notes: Sequence[ShownNote]) -> str:
    """Return notes as numbered, dated text between the marks by which Engram recognises its notes."""
    lines = [OPEN, HEADING]
    for number, note in enumerate(notes, start=1):
        score = "" if note.score is None else f", score {note.score:.2f}"
        part = ", a part of it" if note.cut else ""
        who = note.speaker or note.role
        # The origin before the names, which anyone may have chosen.
        head = f"{number}. {note.at} [{note.origin}] {who}"
        lines.append(f"{head} (id {note.id}, session {note.session}{score}{part}):")
        # Indented, so that a line of a memory's text never looks like the first line of another memory.
        lines += [f"   {line}" for line in note.text.splitlines() or [""]]
    return "\n".join([*lines, CLOSE])


def marked(text: str) -> str:
    """Return text that is harmless already as notes, between the marks by which Engram recognises its notes."""
    return "\n".join([OPEN, HEADING, text, CLOSE])


def shown_fact(fact: Fact, max_tokens: int, zone: tzinfo) -> dict[str, object]:
    """Return a fact as a model sees it, without what it replaced: on one line, harmless, cut to `max_tokens`."""
    text, _ = shortened(fact.text, None, max_tokens, estimated_tokens, max_characters=8 * max_tokens)
    when = local(fact.since, zone).isoformat()
    # The name of another slot was written by a model.
    slot = fact.slot if fact.slot in SLOT_OF else None
    return {"id": fact.engram.id, "text": one_line(neutral(text)), "at": when, "slot": slot}


def shown_quote(quote: Quote, zone: tzinfo) -> dict[str, object]:
    """Return a quote of a summary as a model sees it: on one line, harmless."""
    when = local(quote.engram.at, zone).isoformat()
    return {"id": quote.engram.id, "text": one_line(neutral(quote.text)), "at": when, "by": shown_name(quote.by)}
