"""The notes for a proxied request.

Owns the query for memory and the choice of messages that get notes. A `RecallRequest` is plain data, so that a
`NoteFinder` in another process can answer it. Does not know where the finder runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import NamedTuple

from engram.engram import Engram, is_trusted
from engram.ids import read_reference, reference
from engram.memory import Memory
from engram.notes.finding import FoundNotes
from engram.notes.injection import Wording
from engram.recall.context import estimated_tokens
from engram.serve.conversations.matching import ConversationMatch, last_user_index
from engram.serve.frontends.framing import question_of
from engram.serve.wire.base import ChatMessage
from engram.text.courtesy import is_assent, is_courtesy
from engram.text.markup import comparable
from engram.text.passages import passage_at
from engram.text.tokenizer import words

SHORT_MESSAGE = 6
"""Words up to which a message may refer to one before it: "and when was that?"."""

PREVIOUS_CHARACTERS = 240
"""Characters from the end of an earlier message that are added to the query for a short message."""


class RecallRequest(NamedTuple):
    """What a request needs from memory. Messages are named by their index in the request."""

    namespace: str
    last: int
    """Index of the last message of the user."""
    query: str | None
    """Recall query for the last message; None if the message has its notes already."""
    earlier_notes: Mapping[int, tuple[str, ...]]
    """By message index: references to the notes that the message had in an earlier request and gets again."""
    texts: Mapping[int, str]
    """By message index: the text of each message that may get notes."""
    held_ids: frozenset[str]
    """Ids of the engrams that the request contains already."""
    held_texts: Sequence[str]
    """Texts of the messages in the request."""
    zone: tzinfo = UTC
    """The time zone of the user."""

    def parts(self) -> list[RecallRequest]:
        """Return the request in two parts: first the notes of earlier messages, which is fast, then the new notes.

        One part is returned if the request has only one of the two.
        """
        if self.query is None or not self.earlier_notes:
            return [self]
        return [self._replace(query=None, held_texts=[]), self._replace(earlier_notes={})]


class Notes(NamedTuple):
    """The notes for one request."""

    texts: Mapping[int, str]
    """By message index: the notes for the message, as text."""
    recalled: tuple[str, ...]
    """References to the engrams in the notes of the last user message, best first; see `engram.ids.reference`."""
    tokens: int
    """Estimated tokens of all notes."""
    unsearched: int = 0
    """Engrams that could not be searched for them."""

    def joined(self, more: Notes) -> Notes:
        """Return these notes together with `more`, which are for other messages."""
        unsearched = max(self.unsearched, more.unsearched)
        return Notes({**self.texts, **more.texts}, self.recalled + more.recalled, self.tokens + more.tokens, unsearched)


NO_NOTES = Notes({}, (), 0)


def build_recall_request(
    match: ConversationMatch, messages: Sequence[ChatMessage], *, sticky: bool, zone: tzinfo = UTC
) -> RecallRequest | None:
    """Return what the messages of a request need from memory; None if they need nothing.

    match: the stored conversation that the messages belong to. sticky: whether earlier messages get their notes again.
    zone: the time zone of the user.
    """
    last = last_user_index(messages)
    if last is None:
        return None
    earlier = {index: ids for index, ids in match.notes.items() if ids and (sticky or index == last)}
    # A message keeps its notes while tools are called for it, and when it is sent again.
    new = last not in match.notes
    if not new and not earlier:
        return None
    return RecallRequest(
        namespace=match.namespace,
        last=last,
        query=recall_query(messages, last) if new else None,
        earlier_notes=earlier,
        texts={index: messages[index].text for index in (*earlier, last)},
        # The request will also contain the notes of earlier messages.
        held_ids=match.known_engrams.union(read_reference(one)[0] for notes in earlier.values() for one in notes),
        held_texts=[part.text for message in messages for part in message.parts] if new else [],
        zone=zone,
    )


class NoteFinder:
    """Finds the notes for requests. Safe to call from several threads."""

    def __init__(self, memory: Memory, wording: Wording) -> None:
        self._memory = memory
        self._wording = wording

    def notes(self, request: RecallRequest) -> Notes:
        """Return the notes for a request. Raises as `Memory.recall`."""
        recalled: dict[str, Engram] = {}
        unsearched = 0
        by_message = dict(request.earlier_notes)
        if request.query is not None:
            hits, unsearched = self._recall(request.query, request)
            recalled = {hit.engram.id: hit.engram for hit in hits}
            by_message[request.last] = tuple(
                reference(hit.engram.id, passage_at(hit.engram.text, hit.passage[0])) for hit in hits
            )
        texts, used = self._render(request, by_message, recalled)
        return Notes(texts, used.get(request.last, ()), sum(map(estimated_tokens, texts.values())), unsearched)

    def _recall(self, query: str, request: RecallRequest) -> FoundNotes:
        """Return the hits that become notes of the last message."""
        held_texts = set(map(comparable, request.held_texts))
        return self._wording.find(
            self._memory, request.namespace, query, request.held_ids, held_texts, zone=request.zone
        )

    def _render(
        self, request: RecallRequest, by_message: Mapping[int, tuple[str, ...]], engrams: Mapping[str, Engram]
    ) -> tuple[dict[int, str], dict[int, tuple[str, ...]]]:
        """Return the notes of each message as text, and references to the engrams that still exist and fit.

        by_message: references. engrams: engrams that need not be read from the memory.
        """
        passages = {index: dict(map(read_reference, references)) for index, references in by_message.items()}
        missing = [id for ids in passages.values() for id in ids if id not in engrams]
        if missing:
            engrams = {**engrams, **self._memory.get_many(missing, namespace=request.namespace)}
        least, texts = self._wording.least_trust, dict[int, str]()
        used: dict[int, tuple[str, ...]] = {}
        for index, ids in passages.items():
            # An earlier request may have been answered with another limit of trust.
            existing = [engrams[id] for id in ids if id in engrams and is_trusted(engrams[id].origin, least)]
            text, ids_in_text = self._wording.render(existing, request.texts[index], request.zone, ids)
            if text:
                texts[index], used[index] = text, tuple(reference(id, ids[id]) for id in ids_in_text)
        return texts, used


def recall_query(messages: Sequence[ChatMessage], last: int) -> str | None:
    """Return the query for a user message: its text, after an earlier message (its end) if the text is short.

    That is the user's message before, which names what a follow-up is about; or the reply before, if there is no such
    message, and alone if the text only agrees to it. For a long message the query is the question in the message; for
    a greeting or thanks, None.
    """
    text = messages[last].text
    if is_courtesy(text):
        return None
    if len(text) > PREVIOUS_CHARACTERS or len(words(text)) > SHORT_MESSAGE:
        return question_of(text)
    before = [one for one in messages[:last] if one.role in ("user", "assistant") and one.text]
    previous = before[-1].text if before else ""
    if is_assent(text):
        return previous[-PREVIOUS_CHARACTERS:] or None
    asked = (one.text for one in reversed(before) if one.role == "user" and not is_courtesy(one.text))
    previous = next(asked, previous)
    return f"{previous[-PREVIOUS_CHARACTERS:]}\n{text}" if previous else text
