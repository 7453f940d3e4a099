"""What a request gets from memory: its thread, and the notes that go into it.

Owns the cue and the choice of messages that get notes. Runs in a thread of its own; the deadline is its caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engram.encode import words
from engram.engram import Engram
from engram.memory import Memory
from engram.models.prompt import as_said
from engram.recall.context import estimated_tokens
from engram.recall.result import Hit
from engram.serve.notes import Wording
from engram.serve.threads import Thread, last_user
from engram.serve.wire import Said

SHORT = 6
"""Words up to which a message may mean what came before it: "and when was that?"."""

BEFORE = 240
"""Characters of the message before that are looked up with a short one: its end, where it asks or names something."""


Recall = Callable[[str, str, int], Sequence[Hit]]
"""From a query, a namespace and a limit to hits."""


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes for one request."""

    texts: Mapping[int, str]
    """By the place of the message that they go into."""
    recalled: tuple[str, ...]
    """The ids of the engrams that went into the last user message, best first."""
    tokens: int
    """What all of them take: an estimate."""


NO_NOTES = Notes({}, (), 0)


class Recaller:
    """Finds the notes for requests. Safe to call from several threads."""

    def __init__(self, memory: Memory, recall: Recall, wording: Wording, *, sticky: bool) -> None:
        """`recall`: as `Memory.recall`, wherever it runs."""
        self._memory = memory
        self._recall = recall
        self._wording = wording
        self._sticky = sticky

    def notes(self, thread: Thread, messages: Sequence[Said]) -> Notes:
        """The notes for a request's messages, which belong to `thread`."""
        last = last_user(messages)
        if last is None:
            return NO_NOTES
        found: dict[str, Engram] = {}
        wanted = {place: ids for place, ids in thread.notes.items() if ids and (self._sticky or place == last)}
        # A message keeps the notes that it was given: while tools are called for it, and when it is asked again.
        if last not in thread.notes:
            # What earlier messages get back is in the request, too.
            held = thread.held.union(*wanted.values())
            found = self._recalled(thread.namespace, messages, last, held)
            wanted[last] = tuple(found)
        texts, recalled = self._worded(thread.namespace, messages, wanted, found)
        return Notes(texts, recalled.get(last, ()), sum(map(estimated_tokens, texts.values())))

    def _recalled(self, namespace: str, messages: Sequence[Said], last: int, held: frozenset[str]) -> dict[str, Engram]:
        """What becomes a note for the last user message, by id, best first."""
        hits = self._recall(cue(messages, last), namespace, self._wording.looked_at(len(held)))
        texts = {as_said(piece.text) for said in messages for piece in said.pieces}
        return {engram.id: engram for engram in self._wording.chosen(hits, held, texts)}

    def _worded(
        self,
        namespace: str,
        messages: Sequence[Said],
        wanted: Mapping[int, tuple[str, ...]],
        there: Mapping[str, Engram],
    ) -> tuple[dict[int, str], dict[int, tuple[str, ...]]]:
        """The notes of each message as text, and the ids of those that are still there and fit.

        there: engrams that need not be looked for.
        """
        missing = [id for ids in wanted.values() for id in ids if id not in there]
        if missing:
            there = {**there, **self._memory.get_many(missing, namespace=namespace)}
        texts: dict[int, str] = {}
        kept: dict[int, tuple[str, ...]] = {}
        for place, ids in wanted.items():
            engrams = [there[id] for id in ids if id in there]
            text, ids_in_it = self._wording.put(engrams, messages[place].text)
            if text:
                texts[place], kept[place] = text, ids_in_it
        return texts, kept


def cue(messages: Sequence[Said], last: int) -> str:
    """What is looked up: the user's words, and where these are few the end of what was said right before them."""
    own = messages[last].text
    if len(words(own)) > SHORT:
        return own
    before = next(
        (said.text for said in reversed(messages[:last]) if said.role in ("user", "assistant") and said.text), ""
    )
    return f"{before[-BEFORE:]}\n{own}" if before else own
