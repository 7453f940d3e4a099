"""The interface to a language model: messages in, a streamed reply out.

Owns the message and the interface. Does not know where a model runs, the memory, or how notes are worded.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, in the form that chat models take."""

    role: str
    """system, user or assistant."""
    content: str


class Model(Protocol):
    """A language model that replies to a conversation."""

    @property
    def name(self) -> str:
        """The name to show to a person."""

    @property
    def context(self) -> int:
        """Size of the context window in tokens, including the reply."""

    def reply(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> Generator[str, None, None]:
        """Yield the reply in pieces as the model generates it; closing the generator stops the model.

        The model chooses every setting that is not given. Raises `ModelUnavailable` if the model cannot be reached or
        breaks off its reply; the pieces yielded before stay valid.
        """

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of `text`; an upper estimate if the model's tokenizer is not available."""

    def close(self) -> None:
        """Release the model; closing twice is allowed."""
