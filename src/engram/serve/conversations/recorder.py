"""Writes the messages of conversations into the memory, in the background.

Owns the queue and the one thread that writes. The thread writes jobs in groups, in three steps: a transaction of the
server database ("accepted"), a commit of the memory, and a second transaction of the server database ("stored"). A
server killed at any moment therefore loses nothing that it reported as stored, and writes nothing twice if the client
sends it again. Does not know requests or models. For locks and their order see `pending`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from engram.engram import Engram
from engram.errors import EngramError, InvalidEngram, MemoryReplaced
from engram.memory import Memory
from engram.serve.conversations.hashes import Hashes
from engram.serve.conversations.jobs import PendingMessage, ResolvedJob, WriteJob, WriteTicket, resolve_future
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.matching import ConversationMatch, next_node
from engram.serve.conversations.pending import Receipt
from engram.serve.conversations.resolve import Resolver
from engram.serve.frontends.messages import newly_left_out
from engram.serve.http.anonymous import without_paths
from engram.serve.http.logs import log
from engram.serve.waiting import WaitingRoom
from engram.serve.wire.base import ChatMessage, Reply
from engram.serve.wire.reading import continued, in_pieces

logger = logging.getLogger("engram.serve")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two attempts to write."""

MAX_GROUP = 4_000
"""Engrams written in one group; a larger job is a group by itself."""

LINGER = 0.2
"""Seconds that a request's messages wait for their reply, or for other jobs, to be written in the same group."""

MAX_REFUSALS = 10_000
"""Receipts of refused jobs that are held until they can be written."""

QUEUE_FULL = "too many messages are waiting to be written; send it again later"
STOPPING = "the server is stopping; send it again"
REFUSED_UPSTREAM = "upstream refused the request, so no model has seen this; send it again"
INTERRUPTED = "the server stopped before this was written; it is written when the conversation is sent again"

T = TypeVar("T")


class Stopped(Exception):
    """The recorder was closed, and the last attempt to write failed."""


class Recorder:
    """Writes jobs in the order in which they were accepted. Safe to use from threads."""

    def __init__(
        self,
        memory: Memory,
        store: ConversationStore,
        *,
        most_waiting: int = 10_000,
        on_event: Callable[[str], None],
        first: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the writer thread.

        most_waiting: engrams of one namespace that may wait (`WaitingRoom`). on_event: called with "stored",
        "refused" or "overflow" for each engram, and with "retry" for each failed attempt. first: called by the
        writer thread before it writes, after it has settled what a killed server left; called again if it raises an
        `EngramError`.
        """
        self._memory = memory
        self._store = store
        self._pending = store.pending
        self._most_waiting = most_waiting
        self._room = WaitingRoom(most_waiting)
        self._failing = False
        """Whether the last attempt to write failed."""
        self._on_event = on_event
        self._first = first
        self._queue: deque[WriteJob] = deque()
        self._group: list[WriteJob] = []
        """The jobs that are being written."""
        self._refusals: deque[Receipt] = deque()
        """Receipts of jobs that were refused before they were queued, and are not in the file yet."""
        self._urgent = False
        """Whether the queue must be written without lingering."""
        self._weight = 0
        """Engrams queued or being written."""
        self.broken: str | None = None
        """Why nothing can be written any more; None if it can."""
        self._changed = threading.Condition(self._pending.lock)
        """Guards the queue and the pending writes with one lock: both change together."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engram-recorder", daemon=True)
        self._thread.start()

    # Called by requests. Nothing here waits for a file.

    def accept(
        self,
        match: ConversationMatch,
        messages: Sequence[ChatMessage],
        at: datetime,
        notes: Sequence[str] | None,
        source: str,
        profile: bytes | None = None,
    ) -> WriteTicket:
        """Queue the new messages of a request, dated `at` and each one microsecond later than the one before.

        notes: references to the notes put into the last user message; None if none were looked up. source: the source
        field of the engrams. profile: the quotes of the profile that the conversation has from now on; None to keep it.
        """
        ticket = WriteTicket(match, source, newly_left_out(messages, match.new_indexes))
        pending = [
            PendingMessage(node, messages[index], at + timedelta(microseconds=position))
            for position, (index, node) in enumerate(zip(match.new_indexes, match.new_nodes, strict=True))
        ]
        recorded = None if notes is None or match.user_node_id is None else (match.user_node_id, tuple(notes))
        attached = None
        if profile is not None:
            attached = Hashes(self._store.secret, match.namespace).session_key(match.session), profile
        self._put(WriteJob(ticket, pending, notes=recorded, profile=attached))
        return ticket

    def reply(self, ticket: WriteTicket, replies: Sequence[Reply], response_id: str | None) -> None:
        """Queue the model's reply to a request, with all its choices."""
        match, now = ticket.match, datetime.now(UTC)
        hashes = Hashes(self._store.secret, match.namespace)
        session_key = hashes.session_key(match.session)
        pending, responses = [], {}
        if (prefill := ticket.prefill) is not None:
            replies = [replace(reply, message=in_pieces(continued(prefill, reply.message))) for reply in replies]
        for reply in replies:
            fingerprint = hashes.fingerprint(reply.message)
            fingerprints = (*match.last_fingerprints, fingerprint)[-3:]
            node = next_node(hashes, reply.message, match.last_node, fingerprints, match.session, session_key)
            pending.append(PendingMessage(node, reply.message, now, reply.index, reply.complete))
            responses[hashes.reply(fingerprint, None)] = responses[hashes.reply(fingerprint, session_key)] = node
        if response_id is not None and pending:
            responses[hashes.response(response_id)] = pending[0].node
        self._put(WriteJob(ticket, pending, responses=responses, is_reply=True))

    def reply_failed(self, ticket: WriteTicket) -> None:
        """Record that the model gave no reply: the messages stay, and the same request sent again matches them."""
        with self._pending.lock:
            self._end_flight(ticket)

    def withdraw(self, ticket: WriteTicket) -> None:
        """Take back the new messages of a request that upstream refused before a model saw them.

        Sent again, they are stored as if for the first time.
        """
        self._put(WriteJob(ticket, [], is_reply=True, withdraws=True))

    def unwritten(self) -> int:
        """Return the number of engrams that are queued or being written."""
        return self._weight

    def is_full(self) -> bool:
        """Return whether turns are refused: of all namespaces, or because writing fails while many wait."""
        return self._room.is_full() or (self._failing and self._weight >= self._most_waiting)

    def drain(self, seconds: float) -> int:
        """Wait at most `seconds` until all is written; return the number of engrams that are left."""
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._weight, seconds)
            return self._weight

    def close(self) -> None:
        """Write what can be written without waiting, and stop the thread. Closing twice is allowed."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        self._thread.join()

    def _put(self, job: WriteJob) -> None:
        """Queue a job, or refuse it if there is no room."""
        with self._changed:
            reason = self._no_room(job)
            if reason is None:
                self._enqueue(job)
            else:
                self._refuse(job.ticket, reason)
        if reason is not None:
            self._count("overflow", job.weight)

    def _no_room(self, job: WriteJob) -> str | None:
        """Return why a job cannot be queued; None if it can. Called under the lock, as are the four that follow."""
        if self.broken is not None or self._stop.is_set():
            return self.broken or STOPPING
        if job.is_reply and not job.ticket.results:
            # The request's messages were refused.
            return QUEUE_FULL
        return None if self._room.has_room(job.ticket.match.namespace, job) else QUEUE_FULL

    def _enqueue(self, job: WriteJob) -> None:
        self._add_pending(job)
        self._weight += job.weight
        self._room.enter(job.ticket.match.namespace, job)
        self._queue.append(job)
        # The end of a response stream waits until the reply is written; nothing waits for the request's messages.
        self._urgent |= job.is_reply
        if self._urgent or len(self._queue) == 1:
            self._changed.notify_all()

    def _refuse(self, ticket: WriteTicket, reason: str) -> None:
        self._end_flight(ticket)
        ticket.reason = reason
        receipt = self._pending.receipts[ticket.receipt_id] = ticket.as_receipt()
        if not ticket.open:
            self._refusals.append(receipt)
        if len(self._refusals) > MAX_REFUSALS:
            self._pending.receipts.pop(self._refusals.popleft().id, None)

    def _add_pending(self, job: WriteJob) -> None:
        """Make the job visible to matching and to receipts."""
        ticket, pending = job.ticket, self._pending
        for message in job.messages:
            if not message.node.in_file:
                pending.add(message.node)
        if job.is_reply:
            self._end_flight(ticket)
        elif ticket.match.last_node is not None:
            pending.in_flight[ticket.match.last_node.id] = ticket
        if job.notes is not None:
            node_id, notes = job.notes
            new = next((one.node for one in job.messages if one.node.id == node_id and not one.node.in_file), None)
            if new is not None:
                new.notes = notes
            else:
                pending.notes.setdefault(node_id, notes)
        if job.profile is not None:
            pending.profiles[job.profile[0]] = job.profile[1]
        pending.responses.update(job.responses)
        if job.withdraws:
            pending.withdrawn.update(node.id for node in ticket.match.new_nodes)
        ticket.results.append(job.result)
        ticket.open += 1
        pending.receipts[ticket.receipt_id] = ticket.as_receipt()

    def _end_flight(self, ticket: WriteTicket) -> None:
        """Remove a request from those whose reply is streaming."""
        node, in_flight = ticket.match.last_node, self._pending.in_flight
        if node is not None and in_flight.get(node.id) is ticket:
            del in_flight[node.id]

    def _count(self, event: str, times: int = 1) -> None:
        for _ in range(times):
            self._on_event(event)

    # The writer thread.

    def _run(self) -> None:
        try:
            self._retry(self._recover)
            self._retry(self._first)
            while self._next_group():
                self._write_group()
        except MemoryReplaced as error:
            self._break(without_paths(error, self._memory.path))
        except Stopped as stopped:
            log(logger, logging.ERROR, "messages are left unwritten", turns=self._weight, error=str(stopped))
        # On shutdown, resolve the futures of jobs that will not be written.
        for job in [*self._group, *self._queue]:
            resolve_future(job.result.done)

    def _next_group(self) -> bool:
        """Wait for jobs and move at most `MAX_GROUP` engrams of them into the group; False at the end."""
        with self._changed:
            while not (self._stop.is_set() or (self._queue and (self._urgent or self._linger() <= 0))):
                self._changed.wait(self._linger() if self._queue else None)
            weight = 0
            while self._queue and (not weight or weight + self._queue[0].weight <= MAX_GROUP):
                weight += self._queue[0].weight
                self._group.append(self._queue.popleft())
                if self._group[-1].withdraws:
                    # The same messages sent again are compared with the file after they are taken back.
                    break
            self._urgent = bool(self._queue)
            return bool(self._group)

    def _linger(self) -> float:
        """Return the seconds until the first job of the queue must be written."""
        return self._queue[0].queued_at + LINGER - time.monotonic()

    def _write_group(self) -> None:
        try:
            self._write(self._group)
        except (Stopped, MemoryReplaced):
            raise
        except Exception as error:  # the thread's edge: the next group must still be written
            logger.exception("messages could not be written")
            self._give_up(self._group, f"it could not be written: {type(error).__name__}")
        # Do not keep the texts alive until the next group comes.
        self._group = []

    def _retry(self, step: Callable[[], T]) -> T:
        """Call `step` until it succeeds and return its result. Raises `Stopped` if it fails on a closed recorder."""
        pause = FIRST_PAUSE
        while True:
            try:
                result = step()
            except MemoryReplaced:
                raise
            except (EngramError, OSError) as error:
                self._failing = True
                if self._stop.is_set():
                    raise Stopped(str(error)) from error
                self._on_event("retry")
                log(logger, logging.WARNING, "a write failed, new messages wait", error=str(error))
            else:
                self._failing = False
                return result
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _write(self, jobs: list[WriteJob]) -> None:
        resolved = self._retry(lambda: self._mark_accepted(jobs))
        stored = self._retry(lambda: self._write_engrams(resolved))
        self._retry(lambda: self._forget_outdated(resolved))
        self._retry(lambda: self._forget_withdrawn(resolved))
        self._finish(resolved)
        self._count("stored", stored)
        with self._pending.lock:
            refusals = list(self._refusals)
        self._retry(lambda: self._mark_stored(resolved, refusals))
        self._retry(lambda: self._mark_withdrawn(resolved))
        self._remove_pending(jobs, refusals)

    def _mark_accepted(self, jobs: list[WriteJob]) -> list[ResolvedJob]:
        """Write nodes and receipts into the server database, before the engrams go into the memory."""
        all_resolved = []
        with self._store.database.writing() as transaction:
            for job in jobs:
                resolved = Resolver(self._store, transaction, job).resolve()
                with self._pending.lock:
                    job.result.ids = tuple(resolved.ids)
                    receipt = job.ticket.as_receipt()
                self._store.receipts.save(transaction, receipt)
                all_resolved.append(resolved)
        return all_resolved

    def _write_engrams(self, all_resolved: list[ResolvedJob]) -> int:
        """Write the engrams of all jobs into the memory; return how many are new."""
        engrams: dict[str, Engram] = {}
        for resolved in all_resolved:
            for id, engram in resolved.engrams.items():
                engrams.setdefault(id, engram)
        maybe_written = [id for resolved in all_resolved for id in resolved.maybe_written]
        written = self._written(maybe_written) if maybe_written else set()
        new = [engram for id, engram in engrams.items() if id not in written]
        if not new:
            return 0
        self._note_written(all_resolved, {engram.id for engram in new})
        try:
            return sum(self._memory.add(new))
        except InvalidEngram:
            return sum(self._write_engram(engram, all_resolved) for engram in new)

    def _written(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that the memory holds, also in quarantine."""
        known = self._memory.get_many(ids)
        return {id for id in ids if id in known or next(self._memory.quarantined(id=id), None) is not None}

    def _note_written(self, all_resolved: list[ResolvedJob], new: set[str]) -> None:
        """Note in each ticket which of its nodes get new engrams. A retry of the write notes nothing twice."""
        for resolved in all_resolved:
            for message in resolved.job.messages:
                ids = tuple(id for id in message.node.engrams if id in resolved.engrams)
                pair = (message.node.id, ids)
                if ids and new.issuperset(ids) and pair not in resolved.job.ticket.written:
                    resolved.job.ticket.written.append(pair)

    def _forget_withdrawn(self, all_resolved: list[ResolvedJob]) -> None:
        """Delete the engrams of the tickets that are withdrawn; their receipts say why."""
        for ticket in (resolved.job.ticket for resolved in all_resolved if resolved.job.withdraws):
            for id in (id for _, ids in ticket.written for id in ids):
                self._memory.forget(id=id, namespace=ticket.match.namespace)
            with self._pending.lock:
                ticket.reason, ticket.withdrawn = REFUSED_UPSTREAM, True

    def _mark_withdrawn(self, all_resolved: list[ResolvedJob]) -> None:
        """Set withdrawn nodes back to accepted: sent again, the same messages are written."""
        withdrawn = [resolved.job.ticket for resolved in all_resolved if resolved.job.withdraws]
        if withdrawn:
            with self._store.database.writing() as transaction:
                for id, engrams in (pair for ticket in withdrawn for pair in ticket.written):
                    self._store.set_engrams(transaction, id, engrams)

    def _write_engram(self, engram: Engram, all_resolved: list[ResolvedJob]) -> int:
        """Write one engram, or remove it from the jobs if the memory refuses it; return how many are new."""
        try:
            return sum(self._memory.add([engram]))
        except InvalidEngram as error:
            for resolved in all_resolved:
                if engram.id in resolved.engrams:
                    resolved.reasons.append(str(error))
                    resolved.ids.pop(engram.id, None)
            return 0

    def _forget_outdated(self, all_resolved: list[ResolvedJob]) -> None:
        """Delete the engrams whose words are stored without the template around them now."""
        for resolved in all_resolved:
            for id in resolved.outdated:
                self._memory.forget(id=id, namespace=resolved.job.ticket.match.namespace)

    def _finish(self, all_resolved: list[ResolvedJob]) -> None:
        """Publish the final state of each job, and resolve its future: the engrams are durable."""
        now = datetime.now(UTC)
        with self._pending.lock:
            for resolved in all_resolved:
                ticket = resolved.job.ticket
                ticket.open -= 1
                resolved.job.result.ids = tuple(resolved.ids)
                if resolved.reasons:
                    ticket.reason = resolved.reasons[0]
                else:
                    ticket.stored_at = now
                # Before the future resolves: a caller that waits for the future then reads the receipt.
                self._pending.receipts[ticket.receipt_id] = ticket.as_receipt()
        for resolved in all_resolved:
            resolve_future(resolved.job.result.done)
            self._count("refused", len(resolved.reasons))

    def _mark_stored(self, all_resolved: list[ResolvedJob], refusals: list[Receipt]) -> None:
        """Mark nodes and receipts as stored in the server database: their engrams are in the memory."""
        with self._store.database.writing() as transaction:
            for resolved in all_resolved:
                self._store.mark_stored(transaction, resolved.nodes)
                with self._pending.lock:
                    receipt = resolved.job.ticket.as_receipt()
                self._store.receipts.save(transaction, receipt)
            for refusal in refusals:
                self._store.receipts.save(transaction, refusal)

    def _remove_pending(self, jobs: list[WriteJob], refusals: Sequence[Receipt] = ()) -> None:
        """Remove jobs from the pending writes: all of them is in the files."""
        pending = self._pending
        with self._changed:
            for job in jobs:
                for message in job.messages:
                    pending.remove(message.node)
                if job.notes is not None:
                    pending.notes.pop(job.notes[0], None)
                if job.profile is not None and pending.profiles.get(job.profile[0]) is job.profile[1]:
                    del pending.profiles[job.profile[0]]
                for key in job.responses:
                    pending.responses.pop(key, None)
                if job.withdraws:
                    # Subtraction drops what falls to zero.
                    pending.withdrawn -= Counter(node.id for node in job.ticket.match.new_nodes)
                if job.ticket.open:
                    pending.receipts[job.ticket.receipt_id] = job.ticket.as_receipt()
                else:
                    pending.receipts.pop(job.ticket.receipt_id, None)
                self._weight -= job.weight
                self._room.leave(job.ticket.match.namespace, job)
            for refusal in refusals:
                # `_refuse` may have dropped the oldest ones.
                if self._refusals and self._refusals[0] is refusal:
                    self._refusals.popleft()
                    pending.receipts.pop(refusal.id, None)
            self._changed.notify_all()

    def _give_up(self, jobs: list[WriteJob], reason: str) -> None:
        """Refuse jobs that cannot be written for a reason that a retry does not change."""
        with self._pending.lock:
            for job in jobs:
                if not job.result.done.done():
                    job.ticket.open -= 1
                    job.ticket.reason = reason
                    job.result.ids = ()
        for job in jobs:
            resolve_future(job.result.done)
            self._count("refused", job.weight)
        self._remove_pending(jobs)

    def _break(self, reason: str) -> None:
        """Refuse all jobs, those to come too: nothing can be written until the server is started again."""
        log(logger, logging.ERROR, "nothing is remembered any more", error=reason)
        with self._changed:
            self.broken = reason
            jobs = [*self._group, *self._queue]
            self._group = []
            self._queue.clear()
            self._give_up(jobs, reason)
            # The receipts stay here, because they cannot be written either.
            for ticket in {job.ticket for job in jobs if job.ticket.reason is not None}:
                self._refuse(ticket, reason)

    def _recover(self) -> None:
        """Settle the accepted nodes and receipts of a killed server: stored if their engrams are in the memory."""
        nodes, receipts = self._store.unfinished(), self._store.receipts.unfinished()
        if not nodes and not receipts:
            return
        wanted = {id for _, ids in nodes for id in ids} | {id for receipt in receipts for id in receipt.engrams}
        written = self._written(sorted(wanted))
        now = datetime.now(UTC)
        with self._store.database.writing() as transaction:
            self._store.mark_stored(transaction, [node for node, ids in nodes if all(id in written for id in ids)])
            for receipt in receipts:
                engrams = tuple(id for id in receipt.engrams if id in written)
                if engrams == receipt.engrams and receipt.reason is None:
                    settled = replace(receipt, state="stored", stored_at=now)
                else:
                    settled = replace(receipt, state="refused", reason=receipt.reason or INTERRUPTED, engrams=engrams)
                self._store.receipts.save(transaction, settled)
