"""Compares a job with the file: which node each message becomes, and which engrams are written for it.

Runs inside the transaction that accepts the job, because another request may have written the same messages since the
job was matched. Owns the rules for duplicates, branches and refused parts.
"""

from __future__ import annotations

from dataclasses import replace

from engram.engram import Engram, draft
from engram.errors import InvalidEngram
from engram.ids import uuid7
from engram.serve.conversations.jobs import PendingMessage, ResolvedJob, WriteJob
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.pending import ACCEPTED, REFUSED, STORED, Node
from engram.serve.database import Transaction

SPEAKING_ROLES = ("user", "assistant")
"""Roles whose parts are words of a speaker; tool calls and results have no speaker."""


class Resolver:
    """Resolves one job in a transaction: adds its nodes to the file and drafts its engrams."""

    def __init__(self, store: ConversationStore, transaction: Transaction, job: WriteJob) -> None:
        self._store = store
        self._transaction = transaction
        self._job = job
        self._resolved = ResolvedJob(job)
        self._parents: dict[bytes, Node] = {}
        """The parents of the job's messages as they were before the job, by id."""

    def resolve(self) -> ResolvedJob:
        """Write the nodes, notes and the response id of the job; return the resolved job."""
        job, transaction = self._job, self._transaction
        for message in job.messages:
            self._resolve_message(message)
        if job.notes is not None:
            self._store.set_notes(transaction, *job.notes)
        if job.profile is not None:
            self._store.set_profile(transaction, *job.profile)
        for key, node in job.responses.items():
            self._store.set_response(transaction, key, node.id)
        if not job.is_reply:
            for id, engram in job.ticket.match.rewordings:
                self._reword(id, engram)
        return self._resolved

    def _reword(self, id: bytes, engram: Engram) -> None:
        """Replace an engram of a node by the user's words in it, unless another request has done so."""
        node = self._store.node(self._transaction, id)
        if node is None or engram.id not in node.engrams:
            return
        reworded = replace(engram, id=uuid7())
        engrams = tuple(reworded.id if one == engram.id else one for one in node.engrams)
        self._store.set_engrams(self._transaction, node.id, engrams)
        self._resolved.engrams[reworded.id] = reworded
        self._resolved.outdated.append(engram.id)
        self._resolved.nodes.append(node.id)

    def _resolve_message(self, message: PendingMessage) -> None:
        """Write the node of a message, unless another request has written the same message in the meantime."""
        node = message.node
        parent = None if node.parent is None else self._store.node(self._transaction, node.parent)
        existing = self._existing(node, parent)
        if existing is None:
            self._add_node(message, parent)
            return
        if not node.in_file:
            self._store.add_alias(self._transaction, node.id, existing)
        if existing.session:
            self._job.ticket.session = existing.session
        if existing.state == ACCEPTED:
            # A server was stopped before it wrote these engrams, or after.
            self._resolved.maybe_written.update(existing.engrams)
            self._draft(message, existing)
            self._resolved.nodes.append(existing.id)
        else:
            self._resolved.add_ids(existing.engrams)

    def _existing(self, node: Node, parent: Node | None) -> Node | None:
        """Return the node of the same message in the same position; None if there is none."""
        if node.in_file:
            return self._store.node(self._transaction, node.id)
        if parent is not None:
            # A leaf has no children. The search would compare every node with the same chain.
            return None if parent.leaf else self._store.find_by_chain(self._transaction, node.chain, parent.id, None)
        match = self._job.ticket.match
        if self._job.is_reply or match.is_opening:
            return None
        return self._store.find_by_chain(
            self._transaction, node.chain, None, node.session_key if match.session_named else None
        )

    def _add_node(self, message: PendingMessage, parent: Node | None) -> None:
        """Write a new node under `parent`."""
        if parent is None:
            node = replace(message.node, parent=None)
        else:
            # Several choices of a reply follow one parent: the first makes the others no branch.
            before = self._parents.setdefault(parent.id, parent)
            node = replace(message.node, parent=parent.id, branch=before.branch or not before.leaf)
            if parent.session:
                node = replace(node, session_key=parent.session_key, session=parent.session)
            self._job.ticket.session = node.session
        refused = len(self._resolved.reasons)
        node.engrams = self._draft(message, node)
        if node.engrams:
            node.state = ACCEPTED
        else:
            node.state = REFUSED if len(self._resolved.reasons) > refused else STORED
        self._store.add_node(self._transaction, node)
        self._resolved.nodes.append(node.id)

    def _draft(self, message: PendingMessage, node: Node) -> tuple[str, ...]:
        """Draft the engrams of a message; return the ids of those that are valid."""
        valid: list[str] = []
        for part, id in zip(message.message.parts, node.engrams, strict=False):
            try:
                engram = draft(
                    part.text,
                    namespace=self._job.ticket.match.namespace,
                    session=node.session,
                    role=part.role,
                    speaker=message.message.speaker if part.role in SPEAKING_ROLES else None,
                    at=message.at,
                    source=self._job.ticket.source,
                    metadata=metadata_of(message, node),
                    id=id,
                )
            except InvalidEngram as error:
                self._resolved.reasons.append(str(error))
            else:
                self._resolved.engrams.setdefault(id, engram)
                valid.append(id)
        self._resolved.add_ids(valid)
        return tuple(valid)


def metadata_of(message: PendingMessage, node: Node) -> dict[str, object]:
    """Return the metadata of a message's engrams."""
    metadata: dict[str, object] = {}
    if node.branch:
        metadata["branch"] = True
    if message.choice:
        metadata["choice"] = message.choice
    if not message.complete:
        metadata["broken_off"] = True
    return metadata
