"""A conversation that remembers: recall, keep what was said, let the model reply, keep the reply.

Owns the order of those steps, which of the memories found become notes, and what of the conversation the model still
sees. Knows nothing of terminals or networks, nor of how memories are found.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

from engram.engram import Engram
from engram.memory import Memory
from engram.models.base import Message, Model
from engram.notes.choosing import choose
from engram.notes.wording import Prompt, note_line, with_notes
from engram.recall.result import Hit

SOURCE = "chat"
"""What remembered turns of a conversation name as their source."""

_LOOKED_AT = 30
"""Hits asked of a recall: enough that a few remain when questions and what is still in sight are left out."""

_PER_MESSAGE = 8
"""Tokens that a chat template puts around a message, at most."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message in sight of the model, and the memory of it."""

    id: str
    message: Message
    tokens: int


class Conversation:
    """A session of a namespace, held with a model.

    A turn is durable in memory before the model begins its reply. Not safe to use from several threads at once.
    """

    def __init__(
        self,
        memory: Memory,
        model: Model,
        *,
        namespace: str,
        session: str,
        prompt: Prompt,
    ) -> None:
        """Go on with the session if it has turns already."""
        self.memory = memory
        self.model = model
        self.namespace = namespace
        self.session = session
        self.prompt = prompt
        self.used: tuple[Hit, ...] = ()
        """The memories that went to the model with the last message, best first."""
        self._turns: list[Turn] = []
        for engram in memory.engrams(namespace=namespace, session=session):
            if engram.role in ("user", "assistant"):
                self._see(engram)
                self._drop_oldest(self._history_room())

    def say(self, text: str) -> Generator[str, None, None]:
        """The model's reply to `text`, in pieces. Closing the generator stops the model; what came is kept.

        Raises `InvalidEngram` if `text` cannot be kept, and `ModelUnavailable`; `text` is then kept, and so are the
        pieces that came before.
        """
        # Recall comes first, or the best match for a text would be the text itself.
        found = self.memory.recall(text, namespace=self.namespace, limit=_LOOKED_AT)
        self.used = self._within_budget(choose(found, {turn.id for turn in self._turns}, self.prompt))
        said = self._keep(text, "user", complete=True)
        messages = self._messages(text)
        self._see(said)
        pieces: list[str] = []
        complete = False
        try:
            for piece in self.model.reply(messages):
                pieces.append(piece)
                yield piece
            complete = True
        finally:
            reply = "".join(pieces).strip()
            if reply:
                self._see(self._keep(reply, "assistant", complete=complete))

    def last_exchange(self) -> list[str]:
        """The ids of the user's last turn in sight and of the reply to it."""
        starts = [i for i, turn in enumerate(self._turns) if turn.message.role == "user"]
        return [turn.id for turn in self._turns[starts[-1] :]] if starts else []

    def forget(self, ids: Iterable[str]) -> int:
        """Forget these memories, also out of the model's sight; returns how many there were."""
        gone = set(ids)
        self._turns = [turn for turn in self._turns if turn.id not in gone]
        self.used = tuple(hit for hit in self.used if hit.engram.id not in gone)
        return sum(self.memory.forget(id=id) for id in gone)

    def _keep(self, text: str, role: str, *, complete: bool) -> Engram:
        return self.memory.remember(
            text,
            namespace=self.namespace,
            session=self.session,
            role=role,
            source=SOURCE,
            metadata=None if complete else {"broken_off": True},
        )

    def _see(self, engram: Engram) -> None:
        message = Message(engram.role, engram.text)
        self._turns.append(Turn(engram.id, message, self.model.count_tokens(engram.text) + _PER_MESSAGE))

    def _within_budget(self, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """The first of `hits` whose notes fit in the prompt's budget."""
        kept: list[Hit] = []
        left = min(self.prompt.budget, self._room() // 2)
        for hit in hits:
            left -= self.model.count_tokens(note_line(hit.engram, self.prompt)) + 1
            if left < 0:
                break
            kept.append(hit)
        return tuple(kept)

    def _messages(self, text: str) -> list[Message]:
        """What the model is given: the system prompt, the turns in sight, and `text` with its notes in front."""

        def last(words: str) -> Message:
            return with_notes([Message("user", words)], [hit.engram for hit in self.used], self.prompt)[0]

        room = self._room()
        message = last(text)
        tokens = self.model.count_tokens(message.content)
        if tokens > room:
            # It is remembered whole; the model is shown as much of its beginning as it can hold.
            message = last(beginning(text, lambda words: self.model.count_tokens(last(words).content) <= room))
            tokens = room
        self._drop_oldest(min(self._history_room(), room - tokens))
        system = [Message("system", self.prompt.system)] if self.prompt.system else []
        return [*system, *(turn.message for turn in self._turns), message]

    def _room(self) -> int:
        """Tokens for everything but the system prompt and the reply."""
        reply = min(self.model.context // 4, 1024)
        return self.model.context - reply - self.model.count_tokens(self.prompt.system) - 3 * _PER_MESSAGE

    def _history_room(self) -> int:
        return min(self.prompt.history, self._room())

    def _drop_oldest(self, room: int) -> None:
        """Let the oldest turns out of sight until the rest fit in `room` tokens.

        When they do not fit, more go than must: the model has read what stays, and a start that moves with every
        turn would have to be read again with every turn.
        """
        if sum(turn.tokens for turn in self._turns) <= room:
            return
        while self._turns and sum(turn.tokens for turn in self._turns) > room // 2:
            del self._turns[0]
        while self._turns and self._turns[0].message.role != "user":
            del self._turns[0]


def beginning(text: str, fits: Callable[[str], bool]) -> str:
    """The longest beginning of `text` that `fits`."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(text[:middle]) else (low, middle - 1)
    return text[:low]
