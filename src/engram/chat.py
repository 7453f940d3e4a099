"""A conversation with a model that remembers: recall, store the message, stream the reply, store the reply.

Owns the order of those steps, and how much of the conversation the model still sees. Does not know terminals or
networks, nor how memories are found.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from engram.engram import Engram, is_trusted
from engram.memory import Memory
from engram.models.base import Message, Model
from engram.notes.choosing import LEAST_TRUST
from engram.notes.finding import find_notes
from engram.notes.wording import PromptProfile, lines_within, with_notes
from engram.notes.zones import MACHINE
from engram.recall.context import longest_prefix
from engram.recall.result import Hit
from engram.text.courtesy import is_assent, is_courtesy
from engram.text.thoughts import without_thoughts

SOURCE = "chat"
"""The `source` of the engrams of a conversation."""

_RECALL_LIMIT = 30
"""Hits requested from a recall at first: usually a few remain after questions and visible messages are skipped."""

_TOKENS_PER_MESSAGE = 8
"""Maximum tokens that a chat template adds to a message."""


@dataclass(frozen=True, slots=True)
class VisibleMessage:
    """A message that the model still sees, and the engram that stores it."""

    id: str
    message: Message
    tokens: int


class Conversation:
    """A session of a namespace, held with a model.

    A message is durable before the model begins its reply. Not safe to use from several threads at once.
    """

    def __init__(
        self,
        memory: Memory,
        model: Model,
        *,
        namespace: str,
        session: str,
        profile: PromptProfile,
        zone: tzinfo = MACHINE,
        least_trust: str = LEAST_TRUST,
    ) -> None:
        """Continue the session if it has turns already.

        zone: the user's time zone. least_trust: the least trusted origin, of `ORIGINS`, from which an engram becomes a
        note.
        """
        self.memory = memory
        self.model = model
        self.namespace = namespace
        self.session = session
        self.profile = profile
        self.zone = zone
        self.least_trust = least_trust
        self.used: tuple[Hit, ...] = ()
        """The hits that went to the model as notes with the last message, best first; their times are in `zone`."""
        self._visible: list[VisibleMessage] = []
        for engram in memory.engrams(namespace=namespace, session=session):
            # What an agent, a document or a tool said is no message of the conversation, whatever its role.
            if engram.role in ("user", "assistant") and is_trusted(engram.origin, "assistant"):
                self._show(engram)
                self._drop_oldest(self._history_room())

    def say(self, text: str) -> Generator[str, None, None]:
        """Yield the model's reply to `text` in pieces. Closing the generator stops the model; what came is stored.

        Raises `InvalidEngram` if `text` cannot be stored, and `ModelUnavailable`; `text` is then stored, and so are the
        pieces that came before the error.
        """
        # Recall runs before the text is stored, or the best hit for a text would be the text itself.
        self.used = self._within_budget(self._notes(text))
        self.memory.strengthen(hit.engram.id for hit in self.used)
        stored = self._store(text, "user", complete=True)
        messages = self._messages(text)
        self._show(stored)
        pieces: list[str] = []
        complete = False
        try:
            for piece in self.model.reply(messages):
                pieces.append(piece)
                yield piece
            complete = True
        finally:
            reply = without_thoughts("".join(pieces)).strip()
            if reply:
                self._show(self._store(reply, "assistant", complete=complete))

    def _notes(self, text: str) -> list[Hit]:
        """Return the hits that become notes of `text`; none for a courtesy, which asks for nothing."""
        if is_courtesy(text) or is_assent(text):
            return []
        held = {visible.id for visible in self._visible}
        return find_notes(
            self.memory,
            text,
            self.profile,
            namespace=self.namespace,
            limit=_RECALL_LIMIT,
            held_ids=held,
            zone=self.zone,
            trust=self.least_trust,
        ).hits

    def last_exchange(self) -> list[str]:
        """Return the ids of the user's last visible message and of the reply to it."""
        starts = [i for i, visible in enumerate(self._visible) if visible.message.role == "user"]
        return [visible.id for visible in self._visible[starts[-1] :]] if starts else []

    def forget(self, ids: Iterable[str]) -> int:
        """Forget engrams and hide them from the model; return how many existed."""
        forgotten = set(ids)
        self._visible = [visible for visible in self._visible if visible.id not in forgotten]
        self.used = tuple(hit for hit in self.used if hit.engram.id not in forgotten)
        return sum(self.memory.forget(id=id) for id in forgotten)

    def _store(self, text: str, role: str, *, complete: bool) -> Engram:
        return self.memory.remember(
            text,
            namespace=self.namespace,
            session=self.session,
            role=role,
            source=SOURCE,
            metadata=None if complete else {"broken_off": True},
        )

    def _show(self, engram: Engram) -> None:
        tokens = self.model.count_tokens(engram.text) + _TOKENS_PER_MESSAGE
        self._visible.append(VisibleMessage(engram.id, Message(engram.role, engram.text), tokens))

    def _within_budget(self, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """Return the first of `hits` whose notes fit into the profile's budget and half of the model's context."""
        budget = min(self.profile.budget, self._room() // 2)
        lines = lines_within(budget, (hit.engram for hit in hits), self.profile, self.model.count_tokens)
        return tuple(hits[: len(lines)])

    def _messages(self, text: str) -> list[Message]:
        """Return the messages for the model: system prompt, visible messages, and `text` after its notes."""

        def with_used_notes(words: str) -> Message:
            return with_notes([Message("user", words)], [hit.engram for hit in self.used], self.profile)[0]

        room = self._room()
        message = with_used_notes(text)
        tokens = self.model.count_tokens(message.content)
        if tokens > room:
            # The text is stored in full; the model gets as much of its beginning as fits.
            length = longest_prefix(
                len(text), lambda n: self.model.count_tokens(with_used_notes(text[:n]).content) <= room
            )
            message, tokens = with_used_notes(text[:length]), room
        self._drop_oldest(min(self._history_room(), room - tokens))
        system = [Message("system", self.profile.system)] if self.profile.system else []
        return [*system, *(visible.message for visible in self._visible), message]

    def _room(self) -> int:
        """Return the tokens available for everything except the system prompt and the reply."""
        reply = min(self.model.context // 4, 1024)
        return self.model.context - reply - self.model.count_tokens(self.profile.system) - 3 * _TOKENS_PER_MESSAGE

    def _history_room(self) -> int:
        return min(self.profile.history_budget, self._room())

    def _drop_oldest(self, room: int) -> None:
        """Hide the oldest messages until the rest fit into `room` tokens.

        If they do not fit, messages are dropped down to half of `room`: the model's prompt cache keeps the prefix that
        stays, and a prefix that changes with every message would have to be processed again every time.
        """
        if sum(visible.tokens for visible in self._visible) <= room:
            return
        while self._visible and sum(visible.tokens for visible in self._visible) > room // 2:
            del self._visible[0]
        while self._visible and self._visible[0].message.role != "user":
            del self._visible[0]
