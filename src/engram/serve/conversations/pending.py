"""Accepted writes that are not in the server database yet, as nodes, notes, responses and receipts.

Owns the states of a message and the node type. `PendingWrites` is the first of two places where a node, a response or
a receipt can be found; the file is the second. Readers look here first and in the file second: an entry leaves this
place only after its transaction has committed, so a reader sees each entry in at least one of the two.

Locks, in the order in which they may be nested:

1. the write lock of `ServerDatabase` (held by `ServerDatabase.writing`, and by every read of a ":memory:" database);
2. `PendingWrites.lock`, which also guards the queue of the `Recorder` (the recorder's condition uses this lock).

No code opens a transaction or waits for a file while it holds `PendingWrites.lock`: the lock is held for microseconds,
also on the event loop.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from weakref import WeakValueDictionary

from engram.serve.wire.base import LeftOut

ACCEPTED, STORED, REFUSED = 0, 1, 2
"""States of a message and of a receipt, as the file stores them."""

State = Literal["accepted", "stored", "indexed", "refused"]
STATES: tuple[State, State, State] = ("accepted", "stored", "refused")
Kind = Literal["chain", "pair", "triple"]
"""The digests by which a node can be looked up; each is a column of the nodes table."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The state of one request's messages, and of the reply to it if one has come."""

    id: str
    namespace: str
    session: str
    state: State
    """accepted: queued. stored: durable. indexed: also in the index. refused: see `reason`."""
    reason: str | None
    """Why the messages, or some of them, were refused."""
    engrams: tuple[str, ...]
    """The ids of the engrams, in order, without refused ones."""
    accepted_at: datetime
    stored_at: datetime | None
    left_out: tuple[LeftOut, ...] = ()
    """What was left out of the messages, for each front end that wrote it."""


@dataclass(eq=False, slots=True)
class Node:
    """A message at its position in a conversation."""

    id: bytes
    parent: bytes | None
    session_key: int
    session: str
    """The name of the session; "" if it was erased. The engrams of later messages go into another session."""
    chain: bytes
    """Hash of this message and all messages before it."""
    pair: bytes | None
    """Hash of this message and the one before; None if they are too short to identify, or there is only one."""
    triple: bytes | None
    """Hash of this message and the two before; None if there are fewer."""
    engrams: tuple[str, ...] = ()
    notes: tuple[str, ...] | None = None
    """References to the notes put into the message; None if that was not recorded."""
    state: int = ACCEPTED
    leaf: bool = True
    branch: bool = False
    in_file: bool = False
    """Whether the node was read from the file."""


class PendingWrites:
    """Accepted entries that are not in the file yet. Call every method under `lock`; each needs microseconds."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.nodes: dict[bytes, Node] = {}
        self.children: dict[bytes, int] = {}
        """Number of pending children by the id of their parent, which may be in the file."""
        self.notes: dict[bytes, tuple[str, ...]] = {}
        """Notes put into a message that had a node already, by the id of that node."""
        self.profiles: dict[int, bytes] = {}
        """The quotes of the profile of a session, by its key."""
        self.responses: dict[bytes, Node] = {}
        """The node of a reply by its keys: the hash of its response id, the hashes of its text."""
        self.receipts: dict[str, Receipt] = {}
        self.withdrawn: Counter[bytes] = Counter()
        """The nodes that queued jobs take back, by id, with the number of these jobs."""
        self.in_flight: WeakValueDictionary[bytes, object] = WeakValueDictionary()
        """Nodes whose reply is still streaming. Weak values: an entry disappears with its `WriteTicket`."""
        self._by_digest: dict[bytes, dict[bytes, Node]] = {}

    def add(self, node: Node) -> None:
        """Add a node."""
        self.nodes[node.id] = node
        if node.parent is not None:
            self.children[node.parent] = self.children.get(node.parent, 0) + 1
        for digest in (node.chain, node.pair, node.triple):
            if digest is not None:
                self._by_digest.setdefault(digest, {})[node.id] = node

    def remove(self, node: Node) -> None:
        """Remove a node if it is pending: the file has it now."""
        if self.nodes.pop(node.id, None) is None:
            return
        if node.parent is not None:
            self.children[node.parent] -= 1
            if not self.children[node.parent]:
                del self.children[node.parent]
        for digest in (node.chain, node.pair, node.triple):
            if digest is not None:
                del self._by_digest[digest][node.id]
                if not self._by_digest[digest]:
                    del self._by_digest[digest]

    def has(self, digest: bytes, session_key: int | None) -> bool:
        """Return whether a node has this chain, pair or triple; only in one session if `session_key` is given."""
        nodes = self._by_digest.get(digest)
        if nodes is None or session_key is None:
            return nodes is not None
        return any(node.session_key == session_key for node in nodes.values())

    def by_digest(self, digest: bytes, session_key: int | None) -> list[Node]:
        """Return the nodes with this chain, pair or triple, the last added first."""
        nodes = self._by_digest.get(digest, {})
        return [node for node in reversed(nodes.values()) if session_key in (None, node.session_key)]

    def path_to(self, id: bytes | None, limit: int) -> tuple[list[Node], bytes | None]:
        """Return at most `limit` pending nodes from `id` towards the root, and the id of the next, None at the root."""
        nodes: list[Node] = []
        while id is not None and len(nodes) < limit and (node := self.nodes.get(id)) is not None:
            nodes.append(node)
            id = node.parent
        return nodes, id
