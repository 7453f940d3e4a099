"""A client's conversations, as the proxy hands them to `threads` and the recorder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

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
"""Seconds that anything may take on a busy machine before a test fails."""


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for `condition`; fails after a long time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def said(role: str, text: str, speaker: str | None = None) -> ChatMessage:
    """A message as `wire` reads it."""
    pieces = (MessagePart(role, text),) if text and role != "system" else ()
    return ChatMessage(role, pieces, " ".join(text.split()), text, None, speaker)


def user(text: str) -> ChatMessage:
    return said("user", text)


def assistant(text: str) -> ChatMessage:
    return said("assistant", text)


def reply(text: str, *, complete: bool = True, index: int = 0) -> Reply:
    return Reply(assistant(text), complete, index)


@dataclass
class Client:
    """Somebody who talks to a model in one namespace."""

    memory: Memory
    store: ConversationStore
    recorder: Recorder
    namespace: str = "ana"

    def find(
        self, *messages: ChatMessage, session: str | None = None, previous: str | None = None
    ) -> ConversationMatch:
        """Where the messages belong."""
        return matching.match_conversation(self.store, self.namespace, messages, session, previous)

    def ask(
        self,
        *messages: ChatMessage,
        session: str | None = None,
        previous: str | None = None,
        notes: Sequence[str] | None = None,
    ) -> WriteTicket:
        """Send a request; the model has not replied yet."""
        thread = self.find(*messages, session=session, previous=previous)
        return self.recorder.accept(thread, messages, datetime.now(UTC), notes, "serve")

    def answer(
        self, writing: WriteTicket, *texts: str, complete: bool = True, response: str | None = None
    ) -> WriteTicket:
        """Let the model reply with so many choices."""
        replies = [reply(text, complete=complete, index=index) for index, text in enumerate(texts)]
        self.recorder.reply(writing, replies, response)
        return writing

    def turn(
        self, *messages: ChatMessage, to: str, session: str | None = None, previous: str | None = None
    ) -> tuple[WriteTicket, list[ChatMessage]]:
        """Send a request, have it answered by `to`, and wait until all is written; the history that the client has."""
        writing = self.answer(self.ask(*messages, session=session, previous=previous), to)
        self.settle()
        return writing, [*messages, assistant(to)]

    def settle(self) -> None:
        """Wait until all is written."""
        assert self.recorder.drain(PATIENCE) == 0

    def kept(self, session: str | None = None) -> list[Engram]:
        """What is remembered, in order."""
        return list(self.memory.engrams(namespace=self.namespace, session=session))

    def texts(self, session: str | None = None) -> list[str]:
        """The texts of that."""
        return [engram.text for engram in self.kept(session)]

    def receipt(self, writing: WriteTicket) -> Receipt:
        """What has become of a request."""
        receipt = self.find_receipt(writing, self.namespace)
        assert receipt is not None
        return receipt

    def find_receipt(self, ticket: WriteTicket, namespace: str) -> Receipt | None:
        """Return the receipt as a caller who may use one namespace sees it."""
        return self.store.receipts.find(ticket.receipt_id, namespace.__eq__, self.memory.is_indexed)
