"""What a language model is to Engram: messages in, a reply in pieces out.

Owns the message and the interface. Knows nothing of where a model runs, of memory, or of how notes are worded.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as chat models take them."""

    role: str
    """system, user or assistant."""
    content: str


class Model(Protocol):
    """A language model that replies to a conversation."""

    @property
    def name(self) -> str:
        """What to call it in front of a person."""

    @property
    def context(self) -> int:
        """How many tokens it can hold, the reply included."""

    def reply(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> Generator[str, None, None]:
        """The reply, piece by piece as it is made; closing the generator stops the model.

        What is left out is the model's own choice. Raises `ModelUnavailable` when the model cannot be reached or
        breaks off; the pieces that came before are good.
        """

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` takes; an upper estimate where the model's tokenizer is out of reach."""

    def close(self) -> None:
        """Let go of the model; closing twice is harmless."""
