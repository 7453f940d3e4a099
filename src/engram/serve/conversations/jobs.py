"""What the recorder writes: a ticket for each request, and jobs for its messages and for the reply.

Data only. Does not know queues, threads or files.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engram.engram import Engram
from engram.ids import uuid7
from engram.serve.conversations.matching import ConversationMatch
from engram.serve.conversations.pending import Node, Receipt, State
from engram.serve.wire.base import ChatMessage, LeftOut


@dataclass(slots=True)
class WriteResult:
    """The outcome of one job: of the messages of a request, or of the reply."""

    ids: tuple[str, ...]
    """The ids of its engrams; provisional until the job is written."""
    done: Future[None] = field(default_factory=Future)
    """Resolves once the engrams are durable or refused."""

    def __post_init__(self) -> None:
        # Mark the future running so that a caller's timeout cannot cancel it.
        self.done.set_running_or_notify_cancel()


class WriteTicket:
    """The writes of one request: its messages, and the reply to it.

    The ticket is the weakly referenced value of `PendingWrites.in_flight`: if the request drops it, the reply is no
    longer in flight.
    """

    __slots__ = (
        "__weakref__",
        "accepted_at",
        "left_out",
        "match",
        "open",
        "prefill",
        "reason",
        "receipt_id",
        "results",
        "session",
        "source",
        "stored_at",
        "withdrawn",
        "written",
    )

    def __init__(self, match: ConversationMatch, source: str, left_out: tuple[LeftOut, ...] = ()) -> None:
        self.match = match
        self.left_out = left_out
        """What was left out of the new messages."""
        self.prefill: ChatMessage | None = None
        """The beginning of the reply, if the request gave it."""
        self.source = source
        self.session = match.session
        self.receipt_id = uuid7()
        self.accepted_at = datetime.now(UTC)
        self.stored_at: datetime | None = None
        self.reason: str | None = None
        """Why the messages, or some of them, were refused."""
        self.results: list[WriteResult] = []
        """Results of the messages and of the reply, if they were accepted."""
        self.withdrawn = False
        self.written: list[tuple[bytes, tuple[str, ...]]] = []
        """The nodes whose engrams were new, with the ids of these engrams. The writer thread's."""
        self.open = 0
        """How many of the results are not final."""

    def futures(self) -> list[Future[None]]:
        """Return the unresolved futures of the results, in the order in which they will resolve."""
        return [result.done for result in self.results if not result.done.done()]

    def as_receipt(self) -> Receipt:
        """Return the current state as a receipt."""
        state: State = "accepted" if self.open else "refused" if self.reason is not None else "stored"
        return Receipt(
            id=self.receipt_id,
            namespace=self.match.namespace,
            session=self.session,
            state=state,
            reason=self.reason,
            engrams=() if self.withdrawn else tuple(id for result in self.results for id in result.ids),
            accepted_at=self.accepted_at,
            stored_at=None if self.open else self.stored_at,
            left_out=self.left_out,
        )


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A message to write."""

    node: Node
    message: ChatMessage
    at: datetime
    choice: int = 0
    """The index of the choice, for a reply."""
    complete: bool = True
    """Whether a reply came to its end."""


@dataclass(slots=True)
class WriteJob:
    """An item of the queue: the new messages of one request, or the reply to one. It is written as a whole."""

    ticket: WriteTicket
    messages: list[PendingMessage]
    notes: tuple[bytes, tuple[str, ...]] | None = None
    """The id of a node, and references to the notes put into its message (`engram.ids.reference`)."""
    profile: tuple[int, bytes] | None = None
    """The key of a session, and the quotes of its profile (`engram.notes.profiles.pack_quotes`)."""
    responses: Mapping[bytes, Node] = field(default_factory=dict)
    """The nodes of a reply by the keys under which later requests look for them."""
    is_reply: bool = False
    withdraws: bool = False
    """Whether the job takes back what the ticket has written."""
    queued_at: float = field(default_factory=time.monotonic)
    result: WriteResult = field(init=False)
    weight: int = field(init=False)
    """Number of engrams, at least 1."""
    characters: int = field(init=False)

    def __post_init__(self) -> None:
        parts = [part for pending in self.messages for part in pending.message.parts]
        self.weight = max(1, len(parts))
        self.characters = sum(len(part.text) for part in parts)
        self.result = WriteResult(tuple(id for pending in self.messages for id in pending.node.engrams))


@dataclass(slots=True)
class ResolvedJob:
    """A job after it was compared with the file: which engrams and nodes its messages become."""

    job: WriteJob
    engrams: dict[str, Engram] = field(default_factory=dict)
    """The engrams to write, by id."""
    maybe_written: set[str] = field(default_factory=set)
    """Ids in `engrams` that an interrupted server may have written."""
    nodes: list[bytes] = field(default_factory=list)
    """The ids of the nodes whose engrams these are."""
    ids: dict[str, None] = field(default_factory=dict)
    """The ids of the engrams of all messages, in order, written now or before."""
    outdated: list[str] = field(default_factory=list)
    """The ids of engrams that hold a template around the user's words, and are replaced by the words."""
    reasons: list[str] = field(default_factory=list)
    """Why message parts were refused, one reason for each."""

    def add_ids(self, ids: Iterable[str]) -> None:
        """Add ids of engrams of the job's messages."""
        self.ids.update(dict.fromkeys(ids))


def resolve_future(future: Future[None]) -> None:
    """Resolve a future unless it is resolved already."""
    if not future.done():
        future.set_result(None)
