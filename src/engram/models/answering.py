"""One whole reply in JSON, within limits of time, size and tokens.

Owns the limits, and how a model that only streams is asked for a whole reply. Does not know what the reply means.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from engram.errors import ModelUnavailable
from engram.models.base import Message, Model

Schema = Mapping[str, object]
"""A JSON schema."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may take."""

    tokens: int
    """Maximum tokens of the reply."""
    seconds: float
    """Seconds until the reply must be complete."""
    most_bytes: int
    """Maximum bytes of the response."""


class Answer(NamedTuple):
    """A whole reply, with the tokens that the endpoint counts, or estimates of them."""

    text: str
    tokens_in: int
    tokens_out: int


class NotAnswered(ModelUnavailable):
    """The request did not reach the model, or was refused: it has cost nothing."""


@runtime_checkable
class AnsweringModel(Protocol):
    """A model that can be held to a schema."""

    def answer(self, messages: Sequence[Message], schema: Schema, limits: Limits) -> Answer:
        """Return a whole reply, in JSON as far as the model can be held to it. Raises `ModelUnavailable`."""
        ...


def answer_of(model: Model, messages: Sequence[Message], schema: Schema, limits: Limits) -> Answer:
    """Return the whole reply of any model. Raises `ModelUnavailable` if it fails or exceeds the limits."""
    if isinstance(model, AnsweringModel):
        return model.answer(messages, schema, limits)
    deadline, pieces, size = time.monotonic() + limits.seconds, list[str](), 0
    stream = model.reply(messages, max_tokens=limits.tokens, temperature=0.0)
    try:
        for piece in stream:
            pieces.append(piece)
            size += len(piece.encode(errors="replace"))
            check_limits(model.name, size, deadline, limits)
    finally:
        stream.close()
    text = "".join(pieces)
    asked = sum(model.count_tokens(message.content) for message in messages)
    return Answer(text, asked, model.count_tokens(text))


def check_limits(name: str, size: int, deadline: float, limits: Limits) -> None:
    """Raise `ModelUnavailable` if a response has too many bytes, or is not complete at `deadline` (monotonic)."""
    if size > limits.most_bytes:
        raise ModelUnavailable(f"{name} sent over {limits.most_bytes:,} bytes; the response was dropped")
    if time.monotonic() > deadline:
        raise ModelUnavailable(f"{name} did not finish its reply in {limits.seconds:g} s; the reply was dropped")
