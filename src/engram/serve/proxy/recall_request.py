"""What a request gets from memory: the notes that go into it.

Owns the cue and the choice of messages that get notes. What a request asks (`asked`) is plain data, so that it can be
answered (`Recaller`) in another process. Knows nothing of where that is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engram.engram import Engram
from engram.memory import Memory
from engram.notes.injection import Wording
from engram.recall.context import estimated_tokens
from engram.serve.conversations.matching import ConversationMatch, last_user_index
from engram.serve.wire.base import ChatMessage
from engram.text.markup import as_said
from engram.text.tokenizer import words

SHORT = 6
"""Words up to which a message may mean what came before it: "and when was that?"."""

BEFORE = 240
"""Characters of the message before that are looked up with a short one: its end, where it asks or names something."""


class RecallRequest(NamedTuple):
    """What a request wants of memory."""

    namespace: str
    last: int
    """The place of the last message in the user's own words."""
    cue: str | None
    """What is looked up for it; None where it has had its notes already."""
    wanted: Mapping[int, tuple[str, ...]]
    """By the place of a message: the ids of the notes that it had, and gets again."""
    own: Mapping[int, str]
    """By place: the words of each message that may get notes."""
    held: frozenset[str]
    """The ids of the engrams that the request holds already."""
    said: Sequence[str]
    """The texts that it holds."""

    def parts(self) -> list[RecallRequest]:
        """The same in turn: what earlier messages get back, which is quick, and what is new."""
        if self.cue is None or not self.wanted:
            return [self]
        return [self._replace(cue=None, said=[]), self._replace(wanted={})]


class Notes(NamedTuple):
    """The notes for one request."""

    texts: Mapping[int, str]
    """By the place of the message that they go into."""
    recalled: tuple[str, ...]
    """The ids of the engrams that went into the last user message, best first."""
    tokens: int
    """What all of them take: an estimate."""

    def joined(self, more: Notes) -> Notes:
        """These and `more`, for other messages."""
        return Notes({**self.texts, **more.texts}, self.recalled + more.recalled, self.tokens + more.tokens)


NO_NOTES = Notes({}, (), 0)


def asked(thread: ConversationMatch, messages: Sequence[ChatMessage], *, sticky: bool) -> RecallRequest | None:
    """What a request's messages, which belong to `thread`, want of memory; None for nothing.

    sticky: whether earlier messages get back the notes that they had.
    """
    last = last_user_index(messages)
    if last is None:
        return None
    wanted = {place: ids for place, ids in thread.notes.items() if ids and (sticky or place == last)}
    # A message keeps the notes that it was given: while tools are called for it, and when it is asked again.
    new = last not in thread.notes
    if not new and not wanted:
        return None
    return RecallRequest(
        namespace=thread.namespace,
        last=last,
        cue=cue(messages, last) if new else None,
        wanted=wanted,
        own={place: messages[place].text for place in (*wanted, last)},
        # What earlier messages get back is in the request, too.
        held=thread.known_engrams.union(*wanted.values()),
        said=[piece.text for said in messages for piece in said.parts] if new else [],
    )


class Recaller:
    """Finds the notes for requests. Safe to call from several threads."""

    def __init__(self, memory: Memory, wording: Wording) -> None:
        self._memory = memory
        self._wording = wording

    def notes(self, asked: RecallRequest) -> Notes:
        """What is asked for. Raises as `Memory.recall`."""
        found: dict[str, Engram] = {}
        wanted = dict(asked.wanted)
        if asked.cue is not None:
            found = self._recalled(asked.cue, asked)
            wanted[asked.last] = tuple(found)
        texts, recalled = self._worded(asked, wanted, found)
        return Notes(texts, recalled.get(asked.last, ()), sum(map(estimated_tokens, texts.values())))

    def _recalled(self, cue: str, asked: RecallRequest) -> dict[str, Engram]:
        """What becomes a note for the last user message, by id, best first."""
        limit = self._wording.looked_at(len(asked.held))
        hits = self._memory.recall(cue, namespace=asked.namespace, limit=limit)
        chosen = self._wording.chosen(hits, asked.held, set(map(as_said, asked.said)))
        return {engram.id: engram for engram in chosen}

    def _worded(
        self, asked: RecallRequest, wanted: Mapping[int, tuple[str, ...]], there: Mapping[str, Engram]
    ) -> tuple[dict[int, str], dict[int, tuple[str, ...]]]:
        """The notes of each message as text, and the ids of those that are still there and fit.

        there: engrams that need not be looked for.
        """
        missing = [id for ids in wanted.values() for id in ids if id not in there]
        if missing:
            there = {**there, **self._memory.get_many(missing, namespace=asked.namespace)}
        texts: dict[int, str] = {}
        kept: dict[int, tuple[str, ...]] = {}
        for place, ids in wanted.items():
            engrams = [there[id] for id in ids if id in there]
            text, ids_in_it = self._wording.put(engrams, asked.own[place])
            if text:
                texts[place], kept[place] = text, ids_in_it
        return texts, kept


def cue(messages: Sequence[ChatMessage], last: int) -> str:
    """What is looked up: the user's words, and where these are few the end of what was said right before them."""
    own = messages[last].text
    if len(words(own)) > SHORT:
        return own
    before = next(
        (said.text for said in reversed(messages[:last]) if said.role in ("user", "assistant") and said.text), ""
    )
    return f"{before[-BEFORE:]}\n{own}" if before else own
