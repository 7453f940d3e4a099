"""The server's own book beside a memory: keys, how the messages of conversations follow each other, and receipts.

Owns the file PATH.serve and its SQL, and what is on its way into it (`PendingWrites`). Holds keyed hashes of messages,
never a word of them. Knows nothing of how a conversation is recognised (`threads`) nor when something is written
(`recorder`).
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal
from weakref import WeakValueDictionary

from engram.errors import EngramError, MemoryClosed, MemoryDamaged
from engram.ids import id_from_bytes, id_to_bytes, pack_ids, unpack_ids, uuid7
from engram.store.sqlite.connections import Database
from engram.times import from_microseconds, microseconds

APPLICATION_ID = 0x456E6773
"""Marks a SQLite file as a server's ledger ("Engs")."""

VERSION = 1

RECEIPTS_KEPT = 200_000
"""Receipts that can be asked about; older ones go."""

READ_WAIT = 0.1
"""Seconds that reading waits for others: they hardly ever keep it waiting, and an event loop may be what reads."""

IDLE_READERS = 8
"""Connections for reading that are kept open when nobody reads."""

ACCEPTED, STORED, REFUSED = 0, 1, 2
"""What has become of a message, or of all that a receipt is for."""

State = Literal["accepted", "stored", "indexed", "refused"]
STATES: tuple[State, State, State] = ("accepted", "stored", "refused")
Kind = Literal["chain", "pair", "triple"]

TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE keys ("
    " number INTEGER PRIMARY KEY, key_id TEXT NOT NULL UNIQUE, digest BLOB NOT NULL UNIQUE, name TEXT, namespace TEXT,"
    " prefix TEXT, admin INTEGER NOT NULL, read INTEGER NOT NULL, write INTEGER NOT NULL, erase INTEGER NOT NULL,"
    " created INTEGER NOT NULL, revoked INTEGER)",
    "CREATE TABLE sessions (place INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE TABLE nodes ("
    " id BLOB PRIMARY KEY,"  # the 16 bytes of a UUIDv7
    " parent BLOB,"  # the message before it
    " same BLOB,"  # the node that is the same message at the same place; this one then only leads there
    " place INTEGER NOT NULL,"  # the session
    " chain BLOB, pair BLOB, triple BLOB,"
    " leaf INTEGER NOT NULL,"  # 1: nothing follows
    " branch INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " notes BLOB,"  # the ids of the notes that went into it; NULL: not recorded
    " engrams BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX nodes_by_chain ON nodes (chain, place) WHERE chain IS NOT NULL",
    "CREATE INDEX leaves_by_chain ON nodes (chain) WHERE leaf = 1",
    "CREATE INDEX nodes_by_pair ON nodes (pair) WHERE pair IS NOT NULL",
    "CREATE INDEX nodes_by_triple ON nodes (triple) WHERE triple IS NOT NULL",
    "CREATE INDEX nodes_accepted ON nodes (state) WHERE state = 0",
    "CREATE TABLE responses (id BLOB PRIMARY KEY, node BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE receipts ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, namespace TEXT NOT NULL,"
    " session TEXT NOT NULL, state INTEGER NOT NULL, reason TEXT, engrams BLOB NOT NULL, accepted INTEGER NOT NULL,"
    " stored INTEGER)",
    "CREATE INDEX receipts_accepted ON receipts (state) WHERE state = 0",
)
"""Version 1. Times are microseconds since 1970, UTC; lists of ids are their 16 bytes one after the other."""

NODE = (
    "SELECT n.id, n.parent, n.place, s.name, n.chain, n.pair, n.triple, n.state, n.notes, n.engrams, n.leaf, n.branch"
    " FROM nodes n JOIN sessions s ON s.place = n.place"
)
KEY = "SELECT key_id, name, namespace, prefix, admin, read, write, erase, created, revoked FROM keys"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as it is kept: who it is for and what it may do."""

    key_id: str
    name: str | None
    namespace: str | None
    prefix: str | None
    admin: bool
    read: bool
    write: bool
    erase: bool
    created: datetime
    revoked: datetime | None
    """Since when it is not valid any more."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What has become of one request's turns, and of the reply to it as far as that has come."""

    id: str
    namespace: str
    session: str
    state: State
    """accepted: on its way. stored: durable. indexed: in the index, too. refused: see `reason`."""
    reason: str | None
    """Why it, or a part of it, was refused."""
    engrams: tuple[str, ...]
    """The ids of its engrams, in order; without those that were refused."""
    accepted_at: datetime
    stored_at: datetime | None


@dataclass(eq=False, slots=True)
class Node:
    """A message at its place in a conversation."""

    id: bytes
    parent: bytes | None
    place: int
    """The session, as a number."""
    session: str
    chain: bytes
    """Hash of it and all before it."""
    pair: bytes | None
    """Hash of it and the one before; None where these say too little, or there is none."""
    triple: bytes | None
    """Hash of it and the two before."""
    engrams: tuple[str, ...] = ()
    notes: tuple[str, ...] | None = None
    state: int = ACCEPTED
    leaf: bool = True
    branch: bool = False
    kept: bool = False
    """Whether the file has it."""


class PendingWrites:
    """What was accepted and does not stand in the file yet. Every method takes microseconds; use it under `lock`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.nodes: dict[bytes, Node] = {}
        self.children: dict[bytes, int] = {}
        """How many of `nodes` follow a node, which may be in the file."""
        self.notes: dict[bytes, tuple[str, ...]] = {}
        """Notes that were put in when a message was sent again."""
        self.responses: dict[bytes, Node] = {}
        self.receipts: dict[str, Receipt] = {}
        self.in_flight: WeakValueDictionary[bytes, object] = WeakValueDictionary()
        """Nodes whose reply is being made, each with what waits for it: nobody waits, nothing is in flight."""
        self._by_digest: dict[bytes, dict[bytes, Node]] = {}

    def add(self, node: Node) -> None:
        """Take in a node."""
        self.nodes[node.id] = node
        if node.parent is not None:
            self.children[node.parent] = self.children.get(node.parent, 0) + 1
        for digest in (node.chain, node.pair, node.triple):
            if digest is not None:
                self._by_digest.setdefault(digest, {})[node.id] = node

    def remove(self, node: Node) -> None:
        """The file has it now."""
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

    def has(self, digest: bytes, place: int | None) -> bool:
        """Whether a node has this chain, pair or triple, in the session `place` if it is given."""
        found = self._by_digest.get(digest)
        return found is not None and (place is None or any(node.place == place for node in found.values()))

    def having(self, digest: bytes, place: int | None) -> list[Node]:
        """The nodes that have it; the last one first."""
        found = self._by_digest.get(digest, {})
        return [node for node in reversed(found.values()) if place is None or node.place == place]

    def path_to(self, id: bytes | None, most: int) -> tuple[list[Node], bytes | None]:
        """A node and those before it as far as they are here, `most` at most, and the first that is not."""
        nodes: list[Node] = []
        while id is not None and len(nodes) < most and (node := self.nodes.get(id)) is not None:
            nodes.append(node)
            id = node.parent
        return nodes, id


def server_database_path(memory: str | Path) -> str:
    """Where the ledger of a memory lies: beside it."""
    return os.path.abspath(memory) + ".serve"


class ServerDatabaseFile(Database):
    """The file of a ledger, or what stands for it in RAM."""

    display_name = "ledger"
    not_ours_hint = "not the ledger of an Engram server; move it away, or give the memory another name"
    application_id = APPLICATION_ID
    version = VERSION
    idle_readers = IDLE_READERS

    def __init__(self, path: str, wait: float) -> None:
        super().__init__(path, wait=wait, read_wait=min(wait, READ_WAIT))
        self.secret = b""
        self.open()

    def open(self) -> None:
        """Nobody but the owner reads the file: SQLite gives its log the same rights."""
        if not self.in_memory:
            with self.translated("open"):
                os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        super().open()

    def ready(self, version: int) -> None:
        """Make the tables if there are none yet, and read the secret."""
        self.use_log()
        # After a power cut the last moments may be missing here, never in the memory: that one syncs every commit.
        self.writer.execute("PRAGMA synchronous=NORMAL")
        # Begun for a file that has its tables, too: whether it can be written shows now, and not at the first request.
        self.migrate(0, create_tables)
        row = self.writer.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
        if row is None or not isinstance(row[0], bytes) or len(row[0]) != 32:
            raise sqlite3.DatabaseError("its secret is missing")
        self.secret = row[0]

    def translate_error(self, error: sqlite3.Error | OSError, doing: str) -> EngramError:
        """A damaged ledger can be moved away: the doctor, who heals memories, is not for it."""
        told = super().translate_error(error, doing)
        if isinstance(told, MemoryClosed):
            # A server that ends; there is nothing for it to open again.
            return MemoryClosed(f"the ledger {self.path} was closed during a {doing}")
        if isinstance(told, MemoryDamaged) or type(error) is sqlite3.DatabaseError:
            return MemoryDamaged(
                f"{self.path} is no ledger of an Engram server, or damaged ({error}); move it away and a new one is"
                " made: the memory is not in it, but keys must be made again"
            )
        return told


def create_tables(db: sqlite3.Connection) -> None:
    """Version 1, with a secret of its own."""
    for table in TABLES:
        db.execute(table)
    db.execute("INSERT INTO meta VALUES ('secret', ?)", (secrets.token_bytes(32),))


class ServerDatabase:
    """The book of one server. Safe to use from threads; other processes may add keys meanwhile."""

    def __init__(self, path: str | Path, *, wait: float = 10.0) -> None:
        """Open, or make, the ledger at `path`; ":memory:" keeps it in RAM. `wait`: seconds to wait for others' writes.

        Raises an `EngramError` that names the file: it is damaged, no ledger, newer than this version, locked, not
        writable, or the disk is full.
        """
        self.path = str(path)
        self.waiting = PendingWrites()
        self.is_indexed: Callable[[Sequence[str]], bool] = lambda ids: False
        """Whether engrams are in the index; set by whoever has the memory."""
        self._file = ServerDatabaseFile(self.path, wait)
        self.secret = self._file.secret
        """32 bytes, made with the file: the key of every hash in it."""

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """One transaction: all that is written on the page comes into the file, or nothing."""
        with self._file.writing() as db:
            yield Transaction(db)

    def close(self) -> None:
        """Let go of the file. Closing twice is allowed."""
        self._file.close()

    def __enter__(self) -> ServerDatabase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Keys.

    def add_key(
        self,
        key_id: str,
        digest: bytes,
        name: str | None,
        namespace: str | None,
        prefix: str | None,
        admin: bool,
        read: bool,
        write: bool,
        erase: bool,
    ) -> None:
        """Keep a key by its digest. Raises `EngramError` if its id or digest is there already."""
        row = (key_id, digest, name, namespace, prefix, admin, read, write, erase, microseconds(datetime.now(UTC)))
        with self.writing() as page:
            page.add_key(row)

    def keys(self) -> list[KeyRow]:
        """All keys, the revoked ones too; the oldest first."""
        with self._file.reading() as db:
            return [key_row(row) for row in db.execute(f"{KEY} ORDER BY number").fetchall()]

    def has_keys(self) -> bool:
        """Whether a key was ever made."""
        with self._file.reading() as db:
            return db.execute("SELECT 1 FROM keys LIMIT 1").fetchone() is not None

    def find_key(self, digest: bytes) -> KeyRow | None:
        """The key with this digest, revoked or not."""
        with self._file.reading() as db:
            row = db.execute(f"{KEY} WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else key_row(row)

    def revoke_key(self, key_id: str) -> bool:
        """Mark a key as not valid any more; False if there is none with this id that is."""
        with self.writing() as page:
            return page.revoke_key(key_id, microseconds(datetime.now(UTC)))

    # Receipts.

    def receipt(self, id: str, namespaces: Callable[[str], bool]) -> Receipt | None:
        """The receipt with this id, if it is of one of the caller's `namespaces`; another's is as good as none."""
        with self.waiting.lock:
            found = self.waiting.receipts.get(id)
        row = None
        try:
            key = uuid.UUID(id).bytes
        except ValueError:
            key = bytes(16)
        with self._file.reading() as db:
            row = db.execute(
                "SELECT id, namespace, session, state, reason, engrams, accepted, stored FROM receipts WHERE id = ?",
                (key,),
            ).fetchone()
        if found is None and row is not None:
            found = receipt_of(row)
        allowed = namespaces(found.namespace if found is not None else "")
        if found is None or not allowed:
            return None
        if found.state == "stored" and self.is_indexed(found.engrams):
            return replace(found, state="indexed")
        return found

    # How messages follow each other.

    def present(self, kind: Kind, digests: Collection[bytes], place: int | None) -> set[bytes]:
        """Those of the digests (500 at most) that a node has as its `kind`, in the session `place` if it is given."""
        if not digests:
            return set()
        values = ", ".join(["(?)"] * len(digests))
        within = "" if place is None else " AND place = ?"
        query = f"WITH asked(d) AS (VALUES {values}) SELECT d FROM asked WHERE EXISTS"
        query += f" (SELECT 1 FROM nodes WHERE {kind} = d{within})"
        with self._file.reading() as db:
            rows = db.execute(query, (*digests, *([] if place is None else [place]))).fetchall()
        return {row[0] for row in rows}

    def newest(self, kind: Kind, digest: bytes, place: int | None) -> Node | None:
        """The newest node with this digest."""
        within = "" if place is None else " AND n.place = ?"
        query = f"{NODE} WHERE n.id = (SELECT max(id) FROM nodes n WHERE n.{kind} = ?{within})"
        with self._file.reading() as db:
            row = db.execute(query, (digest, *([] if place is None else [place]))).fetchone()
        return None if row is None else node_of(row)

    def newest_leaf(self, chain: bytes, place: int | None, passes: Callable[[bytes], bool]) -> Node | None:
        """The newest node with this chain that nothing follows and whose id `passes`."""
        within = "" if place is None else " AND place = ?"
        query = f"SELECT id FROM nodes WHERE chain = ? AND leaf = 1{within} ORDER BY id DESC"
        with self._file.reading() as db:
            rows = db.execute(query, (chain, *([] if place is None else [place])))
            id = next((row[0] for row in rows if passes(row[0])), None)
            rows.close()
            row = None if id is None else db.execute(f"{NODE} WHERE n.id = ?", (id,)).fetchone()
        return None if row is None else node_of(row)

    def path_to(self, id: bytes, most: int) -> list[Node]:
        """A node and those before it, the last one first; `most` at most."""
        query = (
            "WITH RECURSIVE path(id, parent) AS ("
            " SELECT id, parent FROM nodes WHERE id = (SELECT coalesce(same, id) FROM nodes WHERE id = ?)"
            " UNION ALL SELECT n.id, n.parent FROM path p JOIN nodes n ON n.id = p.parent LIMIT ?)"
            f" {NODE.replace('FROM nodes n', 'FROM path p CROSS JOIN nodes n ON n.id = p.id')}"
        )
        with self._file.reading() as db:
            return [node_of(row) for row in db.execute(query, (id, most)).fetchall()]

    def response(self, id: bytes) -> Node | None:
        """The node of the reply with this (hashed) response id."""
        query = f"{NODE} WHERE n.id = (SELECT coalesce(r.same, r.id) FROM responses JOIN nodes r ON r.id = node"
        with self._file.reading() as db:
            row = db.execute(f"{query} WHERE responses.id = ?)", (id,)).fetchone()
        return None if row is None else node_of(row)

    def unfinished(self) -> list[tuple[bytes, tuple[str, ...]]]:
        """Nodes that were accepted and are not known to be stored, with their engrams."""
        with self._file.reading() as db:
            rows = db.execute("SELECT id, engrams FROM nodes WHERE state = 0").fetchall()
        return [(row[0], unpack_ids(row[1])) for row in rows]

    def open_receipts(self) -> list[Receipt]:
        """Receipts for what was accepted and is not known to be stored."""
        query = "SELECT id, namespace, session, state, reason, engrams, accepted, stored FROM receipts WHERE state = 0"
        with self._file.reading() as db:
            return [receipt_of(row) for row in db.execute(query).fetchall()]


class Transaction:
    """What one transaction writes. Only to be used inside `ServerDatabase.writing`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add_key(self, row: tuple[object, ...]) -> None:
        """Keep a key."""
        try:
            self._db.execute(f"INSERT INTO keys VALUES (NULL, {', '.join('?' * len(row))}, NULL)", row)
        except sqlite3.IntegrityError as error:
            raise EngramError(f"the key {row[0]} is there already ({error})") from error

    def revoke_key(self, key_id: str, now: int) -> bool:
        """Mark a key; whether there was a valid one."""
        query = "UPDATE keys SET revoked = ? WHERE key_id = ? AND revoked IS NULL"
        return self._db.execute(query, (now, key_id)).rowcount == 1

    def node(self, id: bytes) -> Node | None:
        """A node as it stands now, or the one that it leads to."""
        row = self._db.execute(
            f"{NODE} WHERE n.id = (SELECT coalesce(same, id) FROM nodes WHERE id = ?)", (id,)
        ).fetchone()
        return None if row is None else node_of(row)

    def twin(self, chain: bytes, parent: bytes | None, place: int | None) -> Node | None:
        """The same message at the same place, if that was written meanwhile."""
        within = "" if place is None else " AND n.place = ?"
        row = self._db.execute(
            f"{NODE} WHERE n.chain = ? AND n.parent IS ?{within} LIMIT 1",
            (chain, parent, *([] if place is None else [place])),
        ).fetchone()
        return None if row is None else node_of(row)

    def add_node(self, node: Node) -> None:
        """Write a node; what it follows is no leaf any more."""
        self._db.execute("INSERT OR IGNORE INTO sessions VALUES (?, ?)", (node.place, node.session))
        # A thread that is accepted twice is written once.
        self._db.execute(
            "INSERT OR IGNORE INTO nodes VALUES (?, ?, NULL, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
            (
                node.id,
                node.parent,
                node.place,
                node.chain,
                node.pair,
                node.triple,
                node.branch,
                node.state,
                None if node.notes is None else pack_ids(node.notes),
                pack_ids(node.engrams),
            ),
        )
        if node.parent is not None:
            self._db.execute("UPDATE nodes SET leaf = 0 WHERE id = ? AND leaf = 1", (node.parent,))

    def add_same(self, id: bytes, same: Node) -> None:
        """Let the id of a node that need not be written lead to the one that is there."""
        self._db.execute(
            "INSERT OR IGNORE INTO nodes VALUES (?, NULL, ?, ?, NULL, NULL, NULL, 0, 0, ?, NULL, x'')",
            (id, same.id, same.place, STORED),
        )

    def set_state(self, ids: Iterable[bytes], state: int) -> None:
        """What has become of nodes that were accepted."""
        self._db.executemany("UPDATE nodes SET state = ? WHERE id = ? AND state = 0", ((state, id) for id in ids))

    def set_notes(self, id: bytes, notes: Sequence[str]) -> None:
        """Which notes went into a message, unless that is recorded already."""
        self._db.execute(
            "UPDATE nodes SET notes = ? WHERE id = (SELECT coalesce(same, id) FROM nodes WHERE id = ?)"
            " AND notes IS NULL",
            (pack_ids(notes), id),
        )

    def set_response(self, id: bytes, node: bytes) -> None:
        """By which (hashed) response id a request goes on from a node."""
        self._db.execute("INSERT OR REPLACE INTO responses VALUES (?, ?)", (id, node))

    def set_receipt(self, receipt: Receipt) -> None:
        """Write a receipt, in the place of what it was before; the oldest of very many goes."""
        place = self._db.execute(
            "INSERT INTO receipts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " session = excluded.session, state = excluded.state, reason = excluded.reason,"
            " engrams = excluded.engrams, stored = excluded.stored RETURNING number",
            (
                id_to_bytes(receipt.id),
                receipt.namespace,
                receipt.session,
                STATES.index(receipt.state),
                receipt.reason,
                pack_ids(receipt.engrams),
                microseconds(receipt.accepted_at),
                None if receipt.stored_at is None else microseconds(receipt.stored_at),
            ),
        ).fetchone()
        self._db.execute("DELETE FROM receipts WHERE number <= ?", (place[0] - RECEIPTS_KEPT,))


def new_id() -> bytes:
    """The id of a new node: later ones are larger."""
    return id_to_bytes(uuid7())


def node_of(row: tuple[bytes, bytes | None, int, str, bytes, bytes, bytes, int, bytes | None, bytes, int, int]) -> Node:
    """The node in a row of `NODE`."""
    id, parent, place, session, chain, pair, triple, state, notes, engrams, leaf, branch = row
    return Node(
        id=id,
        parent=parent,
        place=place,
        session=session,
        chain=chain,
        pair=pair,
        triple=triple,
        engrams=unpack_ids(engrams),
        notes=None if notes is None else unpack_ids(notes),
        state=state,
        leaf=bool(leaf),
        branch=bool(branch),
        kept=True,
    )


def key_row(row: tuple[str, str | None, str | None, str | None, int, int, int, int, int, int | None]) -> KeyRow:
    """The key in a row of `KEY`."""
    key_id, name, namespace, prefix, admin, read, write, erase, created, revoked = row
    return KeyRow(
        key_id=key_id,
        name=name,
        namespace=namespace,
        prefix=prefix,
        admin=bool(admin),
        read=bool(read),
        write=bool(write),
        erase=bool(erase),
        created=from_microseconds(created),
        revoked=None if revoked is None else from_microseconds(revoked),
    )


def receipt_of(row: tuple[bytes, str, str, int, str | None, bytes, int, int | None]) -> Receipt:
    """The receipt in a row."""
    id, namespace, session, state, reason, engrams, accepted, stored = row
    return Receipt(
        id=id_from_bytes(id),
        namespace=namespace,
        session=session,
        state=STATES[state],
        reason=reason,
        engrams=unpack_ids(engrams),
        accepted_at=from_microseconds(accepted),
        stored_at=None if stored is None else from_microseconds(stored),
    )
