"""Memories as a numbered list for a model."""

from __future__ import annotations

from datetime import UTC, datetime

from engram.engram import Engram, draft
from engram.notes.injection import CLOSE, OPEN, without_notes
from engram.notes.listing import LIST_TOKENS, NOTE_TOKENS, numbered, share_of, shown_note
from engram.recall.context import HEADING, estimated_tokens

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def engram(text: str, speaker: str | None = "Ana") -> Engram:
    return draft(text, id=ID, session="monday", speaker=speaker, at=datetime(2026, 3, 2, tzinfo=UTC))


def test_a_list_has_one_numbered_head_and_indented_lines_per_memory() -> None:
    notes = [shown_note(engram("One.\nTwo."), score=0.917), shown_note(engram("Three.", speaker=None))]
    assert numbered(notes).splitlines() == [
        OPEN,
        HEADING,
        f"1. 2026-03-02T00:00:00+00:00 [user] Ana (id {ID}, session monday, score 0.92):",
        "   One.",
        "   Two.",
        f"2. 2026-03-02T00:00:00+00:00 [user] user (id {ID}, session monday):",
        "   Three.",
        CLOSE,
    ]
    assert without_notes(numbered(notes)) == ""


def test_a_long_text_is_cut_to_its_best_part_or_its_beginning() -> None:
    filler = "It rained all day in the valley. " * 100
    long = engram(f"{filler}The keeper is called Onofre. {filler}")
    best, beginning = shown_note(long, 100, query="Who is the keeper?"), shown_note(long, 100)
    assert "Onofre" in best.text
    assert beginning.text.startswith("It rained")
    for note in (best, beginning):
        assert note.cut
        assert estimated_tokens(note.text) <= 100
        assert ", a part of it):" in numbered([note])
    assert (shown_note(long).text, shown_note(long).cut) == (long.text, False)


def test_the_share_of_a_memory_shrinks_with_the_list() -> None:
    assert share_of(0) == share_of(1) == NOTE_TOKENS
    assert share_of(100) == LIST_TOKENS // 100
