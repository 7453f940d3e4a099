"""What was said, on its way into the memory.

Owns the one thread that writes: whatever waits goes into one transaction of the ledger ("accepted"), one commit of the
memory, and one more of the ledger ("stored"), so that a server killed at any moment neither loses what it has called
stored nor doubles it when it is sent again. Knows nothing of requests and models.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from engram.engram import Engram, draft
from engram.errors import EngramError, InvalidEngram
from engram.ids import uuid7
from engram.memory import Memory
from engram.serve.conversations.log import ACCEPTED, REFUSED, STORED, Node, Receipt, ServerDatabase, State, Transaction
from engram.serve.conversations.matching import ConversationMatch, Hashes, next_node
from engram.serve.http.logs import log
from engram.serve.wire.base import ChatMessage, MessagePart, Reply

logger = logging.getLogger("engram.serve")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two tries to write."""

GROUP = 4_000
"""Turns that are written at a time, unless one request brings more."""

LINGER = 0.2
"""Seconds that what was asked may wait for its reply, or for others, to be written in one go with it."""

MOST_CHARACTERS = 256 << 20
"""Characters of text that may wait to be written."""

REFUSALS_KEPT = 10_000
"""Receipts of what found no room, until they can be written."""

NO_ROOM = "too much was waiting to be written; send it again later"
STOPPING = "the server was being stopped; send it again"
INTERRUPTED = "the server was stopped before this was written; it is when the conversation is sent again"

T = TypeVar("T")


@dataclass(slots=True)
class WriteResult:
    """A request's turns, or the reply: what can be told of them."""

    ids: tuple[str, ...]
    """Their engrams, as far as is known."""
    done: Future[None] = field(default_factory=Future)

    def __post_init__(self) -> None:
        # Nobody who stops waiting for it may cancel it.
        self.done.set_running_or_notify_cancel()


class WriteTicket:
    """One request's way into the memory, and that of the reply to it."""

    __slots__ = (
        "__weakref__",
        "accepted_at",
        "open",
        "parts",
        "reason",
        "receipt_id",
        "session",
        "source",
        "stored_at",
        "thread",
    )

    def __init__(self, thread: ConversationMatch, source: str) -> None:
        self.thread = thread
        self.source = source
        self.session = thread.session
        self.receipt_id = uuid7()
        """By this its receipt can be asked for."""
        self.accepted_at = datetime.now(UTC)
        self.stored_at: datetime | None = None
        self.reason: str | None = None
        self.parts: list[WriteResult] = []
        """The request and the reply, as far as they came and there was room for them."""
        self.open = 0
        """How many of them are still on their way."""

    def futures(self) -> list[Future[None]]:
        """What is not settled yet of: the request's turns, the reply. Each ends when they are durable, or refused."""
        return [part.done for part in self.parts if not part.done.done()]

    def as_receipt(self) -> Receipt:
        """What has become of it."""
        state: State = "accepted" if self.open else "refused" if self.reason is not None else "stored"
        return Receipt(
            id=self.receipt_id,
            namespace=self.thread.namespace,
            session=self.session,
            state=state,
            reason=self.reason,
            engrams=tuple(id for part in self.parts for id in part.ids),
            accepted_at=self.accepted_at,
            stored_at=None if self.open else self.stored_at,
        )


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """One message to be written."""

    node: Node
    said: ChatMessage
    at: datetime
    choice: int = 0
    complete: bool = True


@dataclass(slots=True)
class WriteJob:
    """What is written together: the new messages of one request, or the reply to one."""

    writing: WriteTicket
    turns: list[PendingMessage]
    notes: tuple[bytes, tuple[str, ...]] | None = None
    """A node, and the ids of the notes that went into it."""
    response: bytes | None = None
    is_reply: bool = False
    since: float = field(default_factory=time.monotonic)
    part: WriteResult = field(init=False)
    weight: int = field(init=False)
    characters: int = field(init=False)

    def __post_init__(self) -> None:
        pieces = [piece for turn in self.turns for piece in turn.said.parts]
        self.weight = max(1, len(pieces))
        self.characters = sum(len(piece.text) for piece in pieces)
        self.part = WriteResult(tuple(id for turn in self.turns for id in turn.node.engrams))


@dataclass(slots=True)
class ResolvedJob:
    """What one job comes to, now that it is known what others have written."""

    job: WriteJob
    engrams: dict[str, Engram] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)
    """Those of them that may have been written before."""
    nodes: list[bytes] = field(default_factory=list)
    """The nodes of which they are."""
    ids: dict[str, None] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    """Why pieces were refused, one each."""

    def take(self, ids: Iterable[str]) -> None:
        """These are its engrams."""
        self.ids.update(dict.fromkeys(ids))


class Stopped(Exception):
    """The recorder is closed, and what it tried last did not work."""


class Recorder:
    """Writes what it is given as soon as it can, in the order in which it was given. Safe to use from threads."""

    def __init__(
        self,
        memory: Memory,
        ledger: ServerDatabase,
        *,
        most_waiting: int = 10_000,
        on_event: Callable[[str], None],
        clean: Callable[[str], str] = str,
    ) -> None:
        """Begin to write.

        most_waiting: turns that may wait while the memory cannot be written. on_event: is told "stored", "refused" or
        "overflow" for each turn and "retry" for each try that did not work. clean: takes out of a text what is not to
        be kept of it.
        """
        self._memory = memory
        self._ledger = ledger
        self._most_waiting = most_waiting
        self._on_event = on_event
        self._clean = clean
        self._queue: deque[WriteJob] = deque()
        self._group: list[WriteJob] = []
        """What is being written."""
        self._refusals: deque[Receipt] = deque()
        self._urgent = False
        """Whether what waits is to be written at once."""
        self._waiting = 0
        self._characters = 0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        ledger.is_indexed = memory.is_indexed
        self._thread = threading.Thread(target=self._run, name="engram-recorder", daemon=True)
        self._thread.start()

    # What callers give: nothing here waits for a file.

    def accept(
        self,
        thread: ConversationMatch,
        messages: Sequence[ChatMessage],
        at: datetime,
        notes: Sequence[str] | None,
        source: str,
    ) -> WriteTicket:
        """Take a request's new messages, said at `at`, one microsecond after the other.

        notes: the ids of the notes that went into the last user message; None if none were looked for. source: what
        the engrams name as their source.
        """
        writing = WriteTicket(thread, source)
        turns = [
            PendingMessage(node, messages[place], at + timedelta(microseconds=after))
            for after, (place, node) in enumerate(zip(thread.new_indexes, thread.new_nodes, strict=True))
        ]
        put_in = None if notes is None or thread.user_node_id is None else (thread.user_node_id, tuple(notes))
        self._put(WriteJob(writing, turns, notes=put_in))
        return writing

    def reply(self, writing: WriteTicket, replies: Sequence[Reply], response_id: str | None) -> None:
        """Take the model's reply to a request, all choices of it."""
        thread, now = writing.thread, datetime.now(UTC)
        hashes = Hashes(self._ledger.secret, thread.namespace)
        place = hashes.place(thread.session)
        turns = []
        for reply in replies:
            marks = (*thread.last_fingerprints, hashes.mark(reply.message))[-3:]
            node = next_node(hashes, reply.message, thread.last_node, marks, thread.session, place)
            turns.append(PendingMessage(node, reply.message, now, reply.index, reply.complete))
        response = None if response_id is None or not turns else hashes.response(response_id)
        self._put(WriteJob(writing, turns, response=response, is_reply=True))

    def reply_failed(self, writing: WriteTicket) -> None:
        """The model gave no reply: the turn stays, and when it is sent again it is no new one."""
        with self._ledger.waiting.lock:
            self._land(writing)

    def unwritten(self) -> int:
        """Turns that are not written yet."""
        return self._waiting

    def drain(self, seconds: float) -> int:
        """Wait until all is written, at most `seconds`; returns how many turns are left."""
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting, seconds)
            return self._waiting

    def close(self) -> None:
        """Write what can be written at once, and end. Closing twice is allowed."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        self._thread.join()

    def _put(self, job: WriteJob) -> None:
        writing, waiting = job.writing, self._ledger.waiting
        with self._changed, waiting.lock:
            reason = self._no_room(job)
            if reason is None:
                self._take(job)
                self._waiting += job.weight
                self._characters += job.characters
                self._queue.append(job)
                # The end of an answer waits for its reply to be written; nobody waits for what was asked alone.
                self._urgent |= job.is_reply
                if self._urgent or len(self._queue) == 1:
                    self._changed.notify_all()
            else:
                self._land(writing)
                writing.reason = reason
                waiting.receipts[writing.receipt_id] = writing.as_receipt()
                if not writing.open:
                    self._refusals.append(waiting.receipts[writing.receipt_id])
                if len(self._refusals) > REFUSALS_KEPT:
                    waiting.receipts.pop(self._refusals.popleft().id, None)
        if reason is not None:
            self._count("overflow", job.weight)

    def _no_room(self, job: WriteJob) -> str | None:
        """Why a job cannot be taken; None if it can."""
        if self._stop.is_set():
            return STOPPING
        if job.is_reply and not job.writing.parts:
            return NO_ROOM
        full = self._waiting + job.weight > self._most_waiting or self._characters + job.characters > MOST_CHARACTERS
        return NO_ROOM if self._waiting and full else None

    def _take(self, job: WriteJob) -> None:
        """Let everybody see what waits."""
        writing, waiting = job.writing, self._ledger.waiting
        for turn in job.turns:
            if not turn.node.kept:
                waiting.add(turn.node)
        if job.is_reply:
            self._land(writing)
        elif writing.thread.last_node is not None:
            waiting.in_flight[writing.thread.last_node.id] = writing
        if job.notes is not None:
            asked, notes = job.notes
            own = next((turn.node for turn in job.turns if turn.node.id == asked and not turn.node.kept), None)
            if own is not None:
                own.notes = notes
            else:
                waiting.notes.setdefault(asked, notes)
        if job.response is not None:
            waiting.responses[job.response] = job.turns[0].node
        writing.parts.append(job.part)
        writing.open += 1
        waiting.receipts[writing.receipt_id] = writing.as_receipt()

    def _land(self, writing: WriteTicket) -> None:
        """A request is not in flight any more."""
        tip, flights = writing.thread.last_node, self._ledger.waiting.in_flight
        if tip is not None and flights.get(tip.id) is writing:
            del flights[tip.id]

    def _count(self, event: str, times: int = 1) -> None:
        for _ in range(times):
            self._on_event(event)

    # The thread that writes.

    def _run(self) -> None:
        try:
            self._insist(self._recover)
            while self._next_group():
                self._write_group()
        except Stopped as stopped:
            log(logger, logging.ERROR, "turns are left unwritten", turns=self._waiting, error=str(stopped))
        # Whoever waits for what is not written any more waits no longer.
        for job in [*self._group, *self._queue]:
            settle(job.part.done)

    def _write_group(self) -> None:
        try:
            self._write(self._group)
        except Stopped:
            raise
        except Exception as error:  # a worker's edge: the next group must still be written
            logger.exception("turns could not be written")
            self._give_up(self._group, f"it could not be written: {type(error).__name__}")
        # Nothing of it is held until the next group comes.
        self._group = []

    def _next_group(self) -> bool:
        """Take what waits, as much as is written at a time; False when it is over."""
        with self._changed:
            while not (self._stop.is_set() or (self._queue and (self._urgent or self._linger() <= 0))):
                self._changed.wait(self._linger() if self._queue else None)
            weight = 0
            while self._queue and (not weight or weight + self._queue[0].weight <= GROUP):
                weight += self._queue[0].weight
                self._group.append(self._queue.popleft())
            self._urgent = bool(self._queue)
            return bool(self._group)

    def _linger(self) -> float:
        """Seconds until the first in the queue must be written."""
        return self._queue[0].since + LINGER - time.monotonic()

    def _insist(self, step: Callable[[], T]) -> T:
        """What `step` gives, as soon as it works. Raises `Stopped` if it does not and the recorder is closed."""
        pause = FIRST_PAUSE
        while True:
            try:
                return step()
            except (EngramError, OSError) as error:
                if self._stop.is_set():
                    raise Stopped(str(error)) from error
                self._on_event("retry")
                log(logger, logging.WARNING, "memory cannot be written, what is new waits", error=str(error))
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _write(self, jobs: list[WriteJob]) -> None:
        plans = self._insist(lambda: self._accept_all(jobs))
        stored = self._insist(lambda: self._remember(plans))
        now = datetime.now(UTC)
        with self._ledger.waiting.lock:
            for plan in plans:
                writing = plan.job.writing
                writing.open -= 1
                plan.job.part.ids = tuple(plan.ids)
                if plan.reasons:
                    writing.reason = plan.reasons[0]
                else:
                    writing.stored_at = now
                # Whoever was waiting for it asks at once.
                self._ledger.waiting.receipts[writing.receipt_id] = writing.as_receipt()
        for plan in plans:
            settle(plan.job.part.done)
            self._count("refused", len(plan.reasons))
        self._count("stored", stored)
        refusals = list(self._refusals)
        self._insist(lambda: self._settle_all(plans, refusals))
        self._let_go(jobs, refusals)

    def _accept_all(self, jobs: list[WriteJob]) -> list[ResolvedJob]:
        """Write into the ledger what is about to be written into the memory."""
        plans = []
        with self._ledger.writing() as page:
            for job in jobs:
                plan = ResolvedJob(job)
                befores: dict[bytes, Node] = {}
                for turn in job.turns:
                    self._plan(page, plan, turn, befores)
                if job.notes is not None:
                    page.set_notes(*job.notes)
                if job.response is not None:
                    page.set_response(job.response, job.turns[0].node.id)
                with self._ledger.waiting.lock:
                    job.part.ids = tuple(plan.ids)
                    receipt = job.writing.as_receipt()
                page.set_receipt(receipt)
                plans.append(plan)
        return plans

    def _plan(self, page: Transaction, plan: ResolvedJob, turn: PendingMessage, befores: dict[bytes, Node]) -> None:
        """Write one message's node, unless somebody else has written it meanwhile.

        befores: the nodes that this job's messages follow, as they were before it.
        """
        node, thread = turn.node, plan.job.writing.thread
        before = None if node.parent is None else page.node(node.parent)
        if node.kept:
            there = page.node(node.id)
        elif before is not None:
            # What follows an opening's first node cannot be there; looking for it would find all its namesakes.
            there = None if before.leaf else page.twin(node.chain, before.id, None)
        elif plan.job.is_reply or thread.is_opening:
            there = None
        else:
            there = page.twin(node.chain, None, node.place if thread.session_named else None)
        if there is not None:
            if not node.kept:
                page.add_same(node.id, there)
            plan.job.writing.session = there.session
            if there.state == ACCEPTED:
                plan.again.update(there.engrams)
                self._draft(plan, turn, there)
                plan.nodes.append(there.id)
            else:
                plan.take(there.engrams)
            return
        if before is not None:
            first = befores.setdefault(before.id, before)
            branch = first.branch or not first.leaf
            new = replace(node, parent=before.id, place=before.place, session=before.session, branch=branch)
            plan.job.writing.session = before.session
        else:
            new = replace(node, parent=None)
        refused = len(plan.reasons)
        new.engrams = self._draft(plan, turn, new)
        new.state = ACCEPTED if new.engrams else REFUSED if len(plan.reasons) > refused else STORED
        page.add_node(new)
        plan.nodes.append(new.id)

    def _draft(self, plan: ResolvedJob, turn: PendingMessage, node: Node) -> tuple[str, ...]:
        """Make the engrams of a message; returns the ids of those that can be kept."""
        metadata: dict[str, object] = {}
        if node.branch:
            metadata["branch"] = True
        if turn.choice:
            metadata["choice"] = turn.choice
        if not turn.complete:
            metadata["broken_off"] = True
        kept: list[str] = []
        for piece, id in zip(turn.said.parts, node.engrams, strict=False):
            text = self._clean(piece.text)
            if not text:
                continue
            try:
                engram = draft(
                    text,
                    namespace=plan.job.writing.thread.namespace,
                    session=node.session,
                    role=piece.role,
                    speaker=turn.said.speaker if is_said(piece) else None,
                    at=turn.at,
                    source=plan.job.writing.source,
                    metadata=metadata,
                    id=id,
                )
            except InvalidEngram as error:
                plan.reasons.append(str(error))
            else:
                plan.engrams.setdefault(id, engram)
                kept.append(id)
        plan.take(kept)
        return tuple(kept)

    def _remember(self, plans: list[ResolvedJob]) -> int:
        """Write the engrams of all plans; returns how many."""
        wanted: dict[str, Engram] = {}
        for plan in plans:
            for id, engram in plan.engrams.items():
                wanted.setdefault(id, engram)
        again = [id for plan in plans for id in plan.again]
        there = self._memory.get_many(again) if again else {}
        new = [engram for id, engram in wanted.items() if id not in there]
        if not new:
            return 0
        try:
            return sum(self._memory.add(new))
        except InvalidEngram:
            return sum(self._remember_one(engram, plans) for engram in new)

    def _remember_one(self, engram: Engram, plans: list[ResolvedJob]) -> int:
        """Write one engram, or take it out of the plans."""
        try:
            return sum(self._memory.add([engram]))
        except InvalidEngram as error:
            for plan in plans:
                if engram.id in plan.engrams:
                    plan.reasons.append(str(error))
                    plan.ids.pop(engram.id, None)
            return 0

    def _settle_all(self, plans: list[ResolvedJob], refusals: list[Receipt]) -> None:
        """Write into the ledger what is now in the memory."""
        with self._ledger.writing() as page:
            for plan in plans:
                page.set_state(plan.nodes, STORED)
                with self._ledger.waiting.lock:
                    receipt = plan.job.writing.as_receipt()
                page.set_receipt(receipt)
            for refusal in refusals:
                page.set_receipt(refusal)

    def _let_go(self, jobs: list[WriteJob], refusals: Sequence[Receipt] = ()) -> None:
        """All of it is in the files."""
        waiting = self._ledger.waiting
        with self._changed, waiting.lock:
            for job in jobs:
                for turn in job.turns:
                    waiting.remove(turn.node)
                if job.notes is not None:
                    waiting.notes.pop(job.notes[0], None)
                if job.response is not None:
                    waiting.responses.pop(job.response, None)
                if job.writing.open:
                    waiting.receipts[job.writing.receipt_id] = job.writing.as_receipt()
                else:
                    waiting.receipts.pop(job.writing.receipt_id, None)
                self._waiting -= job.weight
                self._characters -= job.characters
            for refusal in refusals:
                # The oldest may have gone to make room.
                if self._refusals and self._refusals[0] is refusal:
                    self._refusals.popleft()
                    waiting.receipts.pop(refusal.id, None)
            self._changed.notify_all()

    def _give_up(self, jobs: list[WriteJob], reason: str) -> None:
        """Refuse what cannot be written for a reason that will not pass."""
        with self._ledger.waiting.lock:
            for job in jobs:
                if not job.part.done.done():
                    job.writing.open -= 1
                job.writing.reason = reason
        for job in jobs:
            settle(job.part.done)
            self._count("refused", job.weight)
        self._let_go(jobs)

    def _recover(self) -> None:
        """Settle what a server that was killed had accepted: what is in the memory is stored."""
        nodes, receipts = self._ledger.unfinished(), self._ledger.open_receipts()
        if not nodes and not receipts:
            return
        asked = {id for _, ids in nodes for id in ids} | {id for receipt in receipts for id in receipt.engrams}
        there = self._memory.get_many(sorted(asked))
        now = datetime.now(UTC)
        with self._ledger.writing() as page:
            page.set_state([node for node, ids in nodes if all(id in there for id in ids)], STORED)
            for receipt in receipts:
                kept = tuple(id for id in receipt.engrams if id in there)
                if kept == receipt.engrams and receipt.reason is None:
                    page.set_receipt(replace(receipt, state="stored", stored_at=now))
                else:
                    reason = receipt.reason or INTERRUPTED
                    page.set_receipt(replace(receipt, state="refused", reason=reason, engrams=kept))


def settle(future: Future[None]) -> None:
    """Let nobody wait for it any longer."""
    if not future.done():
        future.set_result(None)


def is_said(piece: MessagePart) -> bool:
    """Whether a piece is somebody's words, and not a tool's."""
    return piece.role in ("user", "assistant")
