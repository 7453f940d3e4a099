"""What goes into a request: which of the engrams found become notes, how they are worded, and how they are known again.

Owns the marks around the notes: text of a memory cannot close them, pose as another role or speak a model's markup,
and what stands between them is never remembered as if it had been said. Knows nothing of the form of a request.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from engram.engram import Engram
from engram.notes.choosing import choose
from engram.notes.wording import LARGE, SMALL, Prompt, framed, note_line
from engram.recall.context import estimated_tokens, packed, rendered
from engram.recall.result import Hit
from engram.text.markup import as_said, neutral

SPARE, MOST_SPARE = 6, 20
"""Hits asked of a recall beyond the notes that there may be: some say the same or only ask, others are in sight."""

OPEN, CLOSE = "<engram-notes>", "</engram-notes>"

_MARK = re.compile(r"<(?=\s*/?\s*engram-notes)", re.IGNORECASE)
_BLOCK = re.compile(rf"{OPEN}.*?(?:{CLOSE}|\Z)\s*", re.DOTALL | re.IGNORECASE)
_LIST = re.compile(
    rf"{re.escape(SMALL.opening)}[ \t]*\n(?:- .*(?:\n|\Z))+\s*(?:{re.escape(SMALL.closing)})?\s*",
)


@dataclass(frozen=True, slots=True)
class Wording:
    """How notes are chosen and put for one kind of model."""

    prompt: Prompt
    budget: int
    """Tokens of all notes with their marks, at most."""
    count: int
    """Notes at most."""
    least_score: float
    """The score that the best hit must have for anything to be put in; of the others, half of it is asked."""
    tagged: bool
    """Whether the notes stand between marks, as passages; else in a plain list, which a small model uses better."""

    def looked_at(self, held: int) -> int:
        """How many hits to ask of a recall for a request of which `held` engrams are in sight."""
        return self.count + SPARE + min(held, MOST_SPARE)

    def chosen(self, hits: Iterable[Hit], held: Collection[str], texts: Collection[str]) -> list[Engram]:
        """The engrams that become notes, best first.

        Never what the request holds already: `held` are the ids of its messages, `texts` what they say (`as_said`).
        """
        new = (hit for hit in hits if hit.engram.id not in held and as_said(hit.engram.text) not in texts)
        best = next(new, None)
        if best is None or best.score < self.least_score:
            return []
        sure = itertools.chain([best], (hit for hit in new if hit.score >= self.least_score / 2))
        return [hit.engram for hit in choose(sure, set(held), replace(self.prompt, notes=self.count))]

    def put(self, engrams: Sequence[Engram], query: str) -> tuple[str, tuple[str, ...]]:
        """The notes as they stand in front of the user's words `query`, and the ids of the engrams in them, best first.

        "" if none fits the budget. The same for the same engrams and words, at any time, and for those of them alone
        that fitted: a provider's prompt cache goes by it.
        """
        safe = [made_harmless(engram) for engram in engrams]
        return self._passages(safe, query) if self.tagged else self._list(safe)

    def _passages(self, engrams: Sequence[Engram], query: str) -> tuple[str, tuple[str, ...]]:
        order = {id: place for place, id in enumerate(sorted(engram.id for engram in engrams))}
        room = self.budget - estimated_tokens(marked(""))
        passages = packed([(order[engram.id], engram) for engram in engrams], query, room) if room > 0 else []
        return marked(rendered(passages)) if passages else "", tuple(engram.id for _, engram, _ in passages)

    def _list(self, engrams: Sequence[Engram]) -> tuple[str, tuple[str, ...]]:
        lines: list[str] = []
        left = self.budget - estimated_tokens(framed([], self.prompt))
        for engram in engrams:
            line = note_line(engram, self.prompt)
            left -= estimated_tokens(line) + 1
            if left < 0:
                break
            lines.append(line)
        # The best stands last, beside the question (models.prompt).
        text = framed(lines[::-1], self.prompt) if lines else ""
        return text, tuple(engram.id for engram in engrams[: len(lines)])


def wording_for(*, embedded: bool, budget: int, notes: int, least_score: float) -> Wording:
    """The wording for the embedded small model, or for any other."""
    if embedded:
        return Wording(SMALL, min(budget, SMALL.budget), min(notes, SMALL.notes), least_score, tagged=False)
    return Wording(LARGE, budget, notes, least_score, tagged=True)


def marked(notes: str) -> str:
    """Notes between their marks, as they stand in front of the user's words."""
    return f"{OPEN}\n{notes}\n{CLOSE}\n\n"


def harmless(text: str) -> str:
    """`text` in which neither the marks of notes nor those of a chat template stand, readable as before."""
    return _MARK.sub("‹", neutral(text))


def made_harmless(engram: Engram) -> Engram:
    """`engram` with harmless words."""
    text, speaker = harmless(engram.text), engram.speaker and harmless(engram.speaker)
    if text == engram.text and speaker == engram.speaker:
        return engram
    return replace(engram, text=text, speaker=speaker)


def without_notes(text: str) -> str:
    """`text` without the notes that Engram had put into it; "" if nothing else is left."""
    if OPEN not in text.lower() and SMALL.opening not in text:
        return text
    return _LIST.sub("", _BLOCK.sub("", text)).strip()
