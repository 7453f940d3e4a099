"""The conversation tree: one node for each message, and the response ids of replies.

Owns the tables sessions, nodes and responses, and the rule for reading them: pending writes first, the file second, so
that an entry that moves from one to the other in between is seen in at least one. Does not know how a conversation
is matched (`matching`) nor of when a node is written (`recorder`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from engram.ids import id_to_bytes, pack_ids, pack_references, unpack_ids, unpack_references, uuid7
from engram.serve.conversations.pending import ACCEPTED, STORED, Kind, Node, PendingWrites
from engram.serve.conversations.receipts import ReceiptStore
from engram.serve.database import ServerDatabase, Transaction

SELECT = (
    "SELECT n.id, n.parent, n.place, coalesce(s.name, ''), n.chain, n.pair, n.triple, n.state, n.notes, n.engrams,"
    " n.leaf, n.branch"
    " FROM nodes n LEFT JOIN sessions s ON s.place = n.place"
)
"""The columns of a node. The column `place` holds the session key. An erased session has no name: ""."""

UNALIASED = "(SELECT coalesce(same, id) FROM nodes WHERE id = ?)"
"""The id of a node, or of the node for which it is an alias."""


class ConversationStore:
    """The messages of all conversations of one server, pending or in the file. Safe to use from threads."""

    def __init__(self, database: ServerDatabase) -> None:
        self.database = database
        self.secret = database.secret
        self.pending = PendingWrites()
        self.receipts = ReceiptStore(database, self.pending)

    # Reads: pending writes first, the file second.

    def known_digests(self, kind: Kind, digests: Collection[bytes], session_key: int | None) -> set[bytes]:
        """Return those of at most 500 `digests` that a node has as its `kind`.

        session_key: consider this session only; None for all.
        """
        with self.pending.lock:
            known = {digest for digest in digests if self.pending.has(digest, session_key)}
        return known | self._digests_in_file(kind, [one for one in digests if one not in known], session_key)

    def latest(self, kind: Kind, digest: bytes, session_key: int | None) -> Node | None:
        """Return the newest node that has `digest` as its `kind`."""
        with self.pending.lock:
            pending = self.pending.by_digest(digest, session_key)
        return newer(pending[0] if pending else None, self._latest_in_file(kind, digest, session_key))

    def latest_leaf(self, chain: bytes, session_key: int | None, *, skip_in_flight: bool) -> Node | None:
        """Return the newest node with this chain that no node follows.

        skip_in_flight: also skip nodes whose reply is still streaming.
        """
        with self.pending.lock:
            nodes = self.pending.by_digest(chain, session_key)
            followed = set(self.pending.children)
            if skip_in_flight:
                followed |= set(self.pending.in_flight.keys())
        leaf = next((node for node in nodes if node.id not in followed), None)
        return newer(leaf, self._latest_leaf_in_file(chain, session_key, lambda id: id not in followed))

    def path_to(self, node: Node, limit: int) -> list[Node]:
        """Return a node and its ancestors, the node first, at most `limit` in all."""
        with self.pending.lock:
            path, next_id = self.pending.path_to(node.id, limit)
        if next_id is not None and len(path) < limit:
            path += self._path_in_file(next_id, limit - len(path))
        return path

    def by_response(self, response: bytes) -> Node | None:
        """Return the node of the reply with this key: its (hashed) response id, or the hash of its text."""
        with self.pending.lock:
            node = self.pending.responses.get(response)
        return node if node is not None else self._by_response_in_file(response)

    def pending_notes(self) -> dict[bytes, tuple[str, ...]]:
        """Return a copy of the pending notes. Call this before reading nodes from the file."""
        with self.pending.lock:
            return dict(self.pending.notes)

    def pending_withdrawals(self) -> set[bytes]:
        """Return the ids of the nodes that queued jobs take back. Call this before reading nodes from the file."""
        with self.pending.lock:
            return set(self.pending.withdrawn)

    def profile_of(self, session_key: int) -> bytes | None:
        """Return the quotes of a session's profile as they were recorded; None if none were."""
        with self.pending.lock:
            pending = self.pending.profiles.get(session_key)
        if pending is not None:
            return pending
        with self.database.reading() as db:
            row = db.execute("SELECT profile FROM sessions WHERE place = ?", (session_key,)).fetchone()
        return None if row is None else row[0]

    def was_interrupted(self, node: Node) -> bool:
        """Return whether a server accepted `node` and stopped before it wrote the engrams."""
        return node.in_file and node.state == ACCEPTED and node.id not in self.pending.nodes

    # Reads of the file.

    def _digests_in_file(self, kind: Kind, digests: Sequence[bytes], session_key: int | None) -> set[bytes]:
        if not digests:
            return set()
        values = ", ".join(["(?)"] * len(digests))
        within, session = session_filter("place", session_key)
        query = f"WITH wanted(d) AS (VALUES {values}) SELECT d FROM wanted WHERE EXISTS"
        query += f" (SELECT 1 FROM nodes WHERE {kind} = d{within})"
        with self.database.reading() as db:
            rows = db.execute(query, (*digests, *session)).fetchall()
        return {row[0] for row in rows}

    def _latest_in_file(self, kind: Kind, digest: bytes, session_key: int | None) -> Node | None:
        within, session = session_filter("n.place", session_key)
        query = f"{SELECT} WHERE n.id = (SELECT max(id) FROM nodes n WHERE n.{kind} = ?{within})"
        with self.database.reading() as db:
            return optional_node(db.execute(query, (digest, *session)).fetchone())

    def _latest_leaf_in_file(
        self, chain: bytes, session_key: int | None, accepts: Callable[[bytes], bool]
    ) -> Node | None:
        within, session = session_filter("place", session_key)
        query = f"SELECT id FROM nodes WHERE chain = ? AND leaf = 1{within} ORDER BY id DESC"
        with self.database.reading() as db:
            rows = db.execute(query, (chain, *session))
            id = next((row[0] for row in rows if accepts(row[0])), None)
            rows.close()
            return None if id is None else optional_node(db.execute(f"{SELECT} WHERE n.id = ?", (id,)).fetchone())

    def _path_in_file(self, id: bytes, limit: int) -> list[Node]:
        query = (
            "WITH RECURSIVE path(id, parent) AS ("
            f" SELECT id, parent FROM nodes WHERE id = {UNALIASED}"
            " UNION ALL SELECT n.id, n.parent FROM path p JOIN nodes n ON n.id = p.parent LIMIT ?)"
            f" {SELECT.replace('FROM nodes n', 'FROM path p CROSS JOIN nodes n ON n.id = p.id')}"
        )
        with self.database.reading() as db:
            return [node_from_row(row) for row in db.execute(query, (id, limit)).fetchall()]

    def _by_response_in_file(self, response: bytes) -> Node | None:
        query = f"{SELECT} WHERE n.id = (SELECT coalesce(r.same, r.id) FROM responses JOIN nodes r ON r.id = node"
        with self.database.reading() as db:
            return optional_node(db.execute(f"{query} WHERE responses.id = ?)", (response,)).fetchone())

    def unfinished(self) -> list[tuple[bytes, tuple[str, ...]]]:
        """Return the id and the engram ids of each node in the file that is still "accepted"."""
        with self.database.reading() as db:
            rows = db.execute("SELECT id, engrams FROM nodes WHERE state = 0").fetchall()
        return [(row[0], unpack_ids(row[1])) for row in rows]

    # Writes, and the reads that belong to the same transaction.

    def node(self, transaction: Transaction, id: bytes) -> Node | None:
        """Return the node with this id, or the node for which the id is an alias."""
        return optional_node(transaction.execute(f"{SELECT} WHERE n.id = {UNALIASED}", (id,)).fetchone())

    def find_by_chain(
        self, transaction: Transaction, chain: bytes, parent: bytes | None, session_key: int | None
    ) -> Node | None:
        """Return a node with this chain and this parent: the same message in the same position."""
        within, session = session_filter("n.place", session_key)
        query = f"{SELECT} WHERE n.chain = ? AND n.parent IS ?{within} LIMIT 1"
        return optional_node(transaction.execute(query, (chain, parent, *session)).fetchone())

    def add_node(self, transaction: Transaction, node: Node) -> None:
        """Insert a node, and mark its parent as no leaf. A node that was accepted twice is inserted once."""
        session = (node.session_key, node.session)
        transaction.execute("INSERT OR IGNORE INTO sessions (place, name) VALUES (?, ?)", session)
        transaction.execute(
            "INSERT OR IGNORE INTO nodes VALUES (?, ?, NULL, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
            (
                node.id,
                node.parent,
                node.session_key,
                node.chain,
                node.pair,
                node.triple,
                node.branch,
                node.state,
                None if node.notes is None else pack_references(node.notes),
                pack_ids(node.engrams),
            ),
        )
        if node.parent is not None:
            transaction.execute("UPDATE nodes SET leaf = 0 WHERE id = ? AND leaf = 1", (node.parent,))

    def add_alias(self, transaction: Transaction, id: bytes, node: Node) -> None:
        """Make `id` an alias of a node that is in the file."""
        transaction.execute(
            "INSERT OR IGNORE INTO nodes VALUES (?, NULL, ?, ?, NULL, NULL, NULL, 0, 0, ?, NULL, x'')",
            (id, node.id, node.session_key, STORED),
        )

    def mark_stored(self, transaction: Transaction, ids: Iterable[bytes]) -> None:
        """Set the state of those nodes that are "accepted" to "stored"."""
        query = "UPDATE nodes SET state = ? WHERE id = ? AND state = 0"
        transaction.executemany(query, ((STORED, id) for id in ids))

    def set_notes(self, transaction: Transaction, id: bytes, notes: Sequence[str]) -> None:
        """Record which notes were put into a message, unless that is recorded already."""
        query = f"UPDATE nodes SET notes = ? WHERE id = {UNALIASED} AND notes IS NULL"
        transaction.execute(query, (pack_references(notes), id))

    def set_profile(self, transaction: Transaction, session_key: int, quotes: bytes) -> None:
        """Record the quotes of a session's profile; nothing if the file does not hold the session."""
        transaction.execute("UPDATE sessions SET profile = ? WHERE place = ?", (quotes, session_key))

    def set_engrams(self, transaction: Transaction, id: bytes, engrams: Sequence[str]) -> None:
        """Replace the engrams of a node, which is "accepted" until they are written."""
        query = "UPDATE nodes SET engrams = ?, state = ? WHERE id = ?"
        transaction.execute(query, (pack_ids(engrams), ACCEPTED, id))

    def set_response(self, transaction: Transaction, response: bytes, node: bytes) -> None:
        """Record a key of the reply at a node: its (hashed) response id, or the hash of its text."""
        transaction.execute("INSERT OR REPLACE INTO responses VALUES (?, ?)", (response, node))


def new_node_id() -> bytes:
    """Return the id of a new node; later ids are larger."""
    return id_to_bytes(uuid7())


def newer(one: Node | None, other: Node | None) -> Node | None:
    """Return the later of two nodes."""
    if one is None or other is None:
        return other if one is None else one
    return one if one.id >= other.id else other


def session_filter(column: str, session_key: int | None) -> tuple[str, tuple[int, ...]]:
    """Return the SQL condition that limits a query to a session, and its parameter; both empty for all sessions."""
    return ("", ()) if session_key is None else (f" AND {column} = ?", (session_key,))


NodeRow = tuple[bytes, bytes | None, int, str, bytes, bytes, bytes, int, bytes | None, bytes, int, int]


def optional_node(row: NodeRow | None) -> Node | None:
    """Return the node in a row of `SELECT`; None for no row."""
    return None if row is None else node_from_row(row)


def node_from_row(row: NodeRow) -> Node:
    """Return the node in a row of `SELECT`."""
    id, parent, session_key, session, chain, pair, triple, state, notes, engrams, leaf, branch = row
    return Node(
        id=id,
        parent=parent,
        session_key=session_key,
        session=session,
        chain=chain,
        pair=pair,
        triple=triple,
        engrams=unpack_ids(engrams),
        notes=None if notes is None else unpack_references(notes),
        state=state,
        leaf=bool(leaf),
        branch=bool(branch),
        in_file=True,
    )
