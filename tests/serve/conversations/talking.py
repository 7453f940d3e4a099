"""Conversations of a client, passed to matching and to the recorder as the proxy does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from engram.engram import Engram
from engram.memory import Memory
from engram.serve.conversations import matching
from engram.serve.conversations.jobs import WriteTicket
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.matching import ConversationMatch
from engram.serve.conversations.pending import Receipt
from engram.serve.conversations.recorder import Recorder
from engram.serve.wire.base import ChatMessage, MessagePart, Reply

PATIENCE = 60.0
"""Seconds that a step may take on a busy machine before a test fails."""


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until `condition` is true. Raises `AssertionError` after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.01)


def message(role: str, text: str, speaker: str | None = None) -> ChatMessage:
    """Return a message as a wire format parses it."""
    parts = (MessagePart(role, text),) if text and role != "system" else ()
    return ChatMessage(role, parts, " ".join(text.split()), text, None, speaker)


def user(text: str) -> ChatMessage:
    return message("user", text)


def assistant(text: str) -> ChatMessage:
    return message("assistant", text)


def reply(text: str, *, complete: bool = True, index: int = 0) -> Reply:
    return Reply(assistant(text), complete, index)


@dataclass
class Client:
    """A client that talks to a model in one namespace."""

    memory: Memory
    store: ConversationStore
    recorder: Recorder
    namespace: str = "ana"

    def find(
        self, *messages: ChatMessage, session: str | None = None, previous: str | None = None
    ) -> ConversationMatch:
        """Return the conversation that the messages match."""
        read = partial(self.memory.get_many, namespace=self.namespace)
        return matching.match_conversation(self.store, self.namespace, messages, session, previous, read)

    def ask(
        self,
        *messages: ChatMessage,
        session: str | None = None,
        previous: str | None = None,
        notes: Sequence[str] | None = None,
    ) -> WriteTicket:
        """Send a request; the model has not replied yet."""
        match = self.find(*messages, session=session, previous=previous)
        return self.recorder.accept(match, messages, datetime.now(UTC), notes, "serve")

    def answer(
        self, ticket: WriteTicket, *texts: str, complete: bool = True, response: str | None = None
    ) -> WriteTicket:
        """Let the model reply, with one choice for each text."""
        replies = [reply(text, complete=complete, index=index) for index, text in enumerate(texts)]
        self.recorder.reply(ticket, replies, response)
        return ticket

    def turn(
        self, *messages: ChatMessage, to: str, session: str | None = None, previous: str | None = None
    ) -> tuple[WriteTicket, list[ChatMessage]]:
        """Send a request, let the model reply `to`, wait for the writes; return the ticket and the new history."""
        ticket = self.answer(self.ask(*messages, session=session, previous=previous), to)
        self.settle()
        return ticket, [*messages, assistant(to)]

    def settle(self) -> None:
        """Wait until all pending writes are written."""
        assert self.recorder.drain(PATIENCE) == 0

    def engrams(self, session: str | None = None) -> list[Engram]:
        """Return the stored engrams, in order."""
        return list(self.memory.engrams(namespace=self.namespace, session=session))

    def texts(self, session: str | None = None) -> list[str]:
        """Return the texts of the stored engrams, in order."""
        return [engram.text for engram in self.engrams(session)]

    def receipt(self, ticket: WriteTicket) -> Receipt:
        """Return the receipt of a request."""
        receipt = self.find_receipt(ticket, self.namespace)
        assert receipt is not None
        return receipt

    def find_receipt(self, ticket: WriteTicket, namespace: str) -> Receipt | None:
        """Return the receipt as a caller with one namespace sees it."""
        return self.store.receipts.find(ticket.receipt_id, namespace.__eq__, self.memory.is_indexed)
