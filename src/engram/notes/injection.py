"""Puts notes into a request's messages, and takes them out again.

Owns the marks around notes, and the profile and limits that one kind of model gets. The text of an engram cannot close
the marks, imitate another role or contain a model's markup, and text between the marks is never remembered as if a
person had written it. Does not know the format of a request.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from types import MappingProxyType

from engram.engram import Engram, in_zone
from engram.memory import Memory
from engram.notes import profiles
from engram.notes.choosing import LEAST_TRUST, SHORT, may_be_quoted
from engram.notes.finding import FoundNotes, find_notes
from engram.notes.wording import LARGE, SMALL, PromptProfile, lines_within, note_list, text_within_line
from engram.recall.context import HEADING, estimated_tokens, fitted, part_shown, passage_shown, window
from engram.text.markup import neutral

SPARE_HITS, MAX_SPARE_HELD = 6, 20
"""Hits requested from a recall beyond the maximum number of notes: some hits are repeats or questions (6), and some are
in the request already (at most 20)."""

NO_PASSAGES: Mapping[str, int] = MappingProxyType({})
OPEN, CLOSE = "<engram-notes>", "</engram-notes>"

_LIST = re.compile(rf"{re.escape(SMALL.opening)}\n(?:- .*\n)++\n{re.escape(SMALL.closing)} ?")
_BLOCKS = (
    (f"{OPEN}\n{HEADING}\n", CLOSE),
    (f"{profiles.OPEN}\n{profiles.FIRST_LINE}\n", profiles.CLOSE),
)
"""How what Engram inserts between marks begins, and the mark that ends it."""
_GAP = 3
"""Line breaks after a block: two that are written with it, and one where the texts of parts are joined."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How notes are chosen and worded for one kind of model."""

    profile: PromptProfile
    """Its `max_notes` and `budget` (tokens, with the marks) are the limits."""
    least_score: float
    """Minimum score of the best hit (0..1); without such a hit there are no notes. The other hits need half of it."""
    tagged: bool
    """Whether notes are passages between marks; otherwise a plain list, which a small model uses better."""
    least_trust: str = LEAST_TRUST
    """The least trusted origin (of `engram.ORIGINS`) from which an engram becomes a note."""

    def find(
        self,
        memory: Memory,
        namespace: str,
        query: str,
        held_ids: Collection[str],
        held_texts: Collection[str],
        zone: tzinfo = UTC,
    ) -> FoundNotes:
        """Return the hits that become notes for `query`; see `find_notes`."""
        return find_notes(
            memory,
            query,
            self.profile,
            namespace=namespace,
            limit=self.profile.max_notes + SPARE_HITS + min(len(held_ids), MAX_SPARE_HELD),
            held_ids=held_ids,
            held_texts=held_texts,
            least_score=self.least_score,
            zone=zone,
            trust=self.least_trust,
        )

    def render(
        self,
        engrams: Sequence[Engram],
        query: str,
        zone: tzinfo = UTC,
        passages: Mapping[str, int] = NO_PASSAGES,
    ) -> tuple[str, tuple[str, ...]]:
        """Return the notes as text to put before the user's message `query`, and the ids of the engrams in them.

        zone: the reader's, whose days the notes show. passages: by id, the number of the passage that a note shows of a
        text with several; by default what holds the words of `query` is shown. Ids are best first. The text is "" if no
        engram fits the budget. The same arguments always give the same text, and the engrams that fitted give it again
        on their own: a provider's prompt cache depends on that.
        """
        # A long text is cut first: the cost of the rest depends on the budget, and not on what is remembered.
        safe = []
        for engram in engrams:
            number = passages.get(engram.id)
            shown = window(engram.text, query) if number is None else passage_shown(engram.text, number, query)
            part = in_zone(engram, zone)
            if shown != engram.text:
                part = replace(part, text=shown)
            harmless = make_harmless(part)
            # `choose` has judged the whole of a short text.
            if len(engram.text) <= SHORT or self._may_be_quoted(part, harmless, query):
                safe.append(harmless)
        return self._passages(safe, query) if self.tagged else self._list(safe)

    def _may_be_quoted(self, part: Engram, harmless: Engram, query: str) -> bool:
        """Whether what is shown of a long text may stand in a prompt, as it was written and as it is shown."""
        return all(may_be_quoted(part, self._shown(text, query)) for text in dict.fromkeys((harmless.text, part.text)))

    def _shown(self, text: str, query: str) -> str:
        """Return what a note shows of a part of a text."""
        if not self.tagged:
            return text_within_line(text)
        return part_shown(text, query, self._room) if self._room > 0 else ""

    @property
    def _room(self) -> int:
        """The tokens that the notes may have between their marks."""
        return self.profile.budget - estimated_tokens(marked(""))

    def _passages(self, engrams: Sequence[Engram], query: str) -> tuple[str, tuple[str, ...]]:
        order = {id: index for index, id in enumerate(sorted(engram.id for engram in engrams))}
        room = self._room
        if room <= 0:
            return "", ()
        passages, text = fitted([(order[engram.id], engram) for engram in engrams], query, room)
        return marked(text) if passages else "", tuple(engram.id for _, engram, _ in passages)

    def _list(self, engrams: Sequence[Engram]) -> tuple[str, tuple[str, ...]]:
        budget = self.profile.budget - estimated_tokens(note_list([], self.profile))
        lines = lines_within(budget, engrams, self.profile, estimated_tokens)
        text = note_list(lines, self.profile) if lines else ""
        return text, tuple(engram.id for engram in engrams[: len(lines)])


def wording_for(
    *, embedded: bool, budget: int, notes: int, least_score: float, least_trust: str = LEAST_TRUST
) -> Wording:
    """Return the wording for the embedded small model, or for any other model.

    budget: maximum tokens of all notes. notes: maximum number of notes. The small model's limits are never exceeded.
    """
    if embedded:
        budget, notes = min(budget, SMALL.budget), min(notes, SMALL.max_notes)
    profile = replace(SMALL if embedded else LARGE, budget=budget, max_notes=notes)
    return Wording(profile, least_score, tagged=not embedded, least_trust=least_trust)


def marked(notes: str) -> str:
    """Return notes between their marks, to be put before the user's message."""
    return f"{OPEN}\n{notes}\n{CLOSE}\n\n"


def make_harmless(engram: Engram) -> Engram:
    """Return `engram` with harmless text and speaker."""
    text, speaker = neutral(engram.text), engram.speaker and neutral(engram.speaker)
    if text == engram.text and speaker == engram.speaker:
        return engram
    return replace(engram, text=text, speaker=speaker)


def without_notes(text: str) -> str:
    """Return `text` without the notes, or the profile, at its front; "" if nothing else remains.

    Notes are recognised as a whole, as `Wording.render` and the MCP tools write them: opening, heading, and closing. So
    is the profile. All other text stays verbatim, also text that mentions the marks.
    """
    for beginning, close in _BLOCKS:
        if text.startswith(beginning):
            # Nothing inside can contain the closing mark, so the first one belongs to the opening.
            end = text.find(f"\n{close}")
            rest = text[end + 1 + len(close) :]
            return text if end < 0 else rest[:_GAP].lstrip("\n") + rest[_GAP:]
    notes = _LIST.match(text)
    return text if notes is None else text[notes.end() :]
