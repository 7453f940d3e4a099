"""Names of forgotten namespaces and sessions: no file of the memory holds them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.cli import main
from engram.ids import uuid7
from engram.memory import Memory
from engram.opening import open_store
from engram.serve.auth.keys import KeyStore
from engram.serve.conversations.hashes import Hashes
from engram.serve.conversations.log import ConversationStore, new_node_id
from engram.serve.conversations.pending import ACCEPTED, STORED, Node, Receipt
from engram.serve.database import ServerDatabase
from engram.serve.erasure import erase_at_start, erase_namespace, session_names

OWNER, VISIT, OTHER = "member-ottilie-kern@example.net", "talk about the knee of ottilie", "choir"


def holding(folder: Path, name: str) -> list[str]:
    """Return the names of the files below a folder that hold the bytes of `name`."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if name.encode() in path.read_bytes()]


def talk(memory: Memory, database: ServerDatabase, namespace: str, session: str, state: int = STORED) -> bytes:
    """Store an engram with its node and receipt, as the recorder does; return the id of the node."""
    store = ConversationStore(database)
    engrams: tuple[str, ...] = ()
    if state == STORED:
        engrams = (memory.remember("The knee hurts on stairs.", namespace=namespace, session=session).id,)
    now = datetime.now(UTC)
    key = Hashes(database.secret, namespace).session_key(session)
    node = Node(new_node_id(), None, key, session, b"c" * 16, None, None, engrams, None, state)
    name = "stored" if state == STORED else "accepted"
    with database.writing() as transaction:
        store.add_node(transaction, node)
        store.receipts.save(transaction, Receipt(uuid7(), namespace, session, name, None, engrams, now, now))
    return node.id


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ServerDatabase]:
    with ServerDatabase(tmp_path / "memory.db.serve") as opened:
        yield opened


def test_forgotten_session_leaves_the_file_and_its_hashes_stay(
    tmp_path: Path, memory: Memory, database: ServerDatabase
) -> None:
    node = talk(memory, database, OWNER, VISIT)
    talk(memory, database, OWNER, OTHER)
    assert holding(tmp_path, VISIT)
    before = session_names(memory, OWNER)
    memory.forget(namespace=OWNER, session=VISIT)
    erase_namespace(memory, database, OWNER, before)
    assert not [name for name in holding(tmp_path, VISIT) if ".serve" in name]
    assert [name for name in holding(tmp_path, OTHER) if ".serve" in name]
    with database.writing() as transaction:
        found = ConversationStore(database).node(transaction, node)
    assert found is not None
    assert found.session == ""


def test_what_a_server_is_writing_keeps_its_names(memory: Memory, database: ServerDatabase) -> None:
    talk(memory, database, OWNER, VISIT, ACCEPTED)
    erase_namespace(memory, database, OWNER, set())
    with database.reading() as db:
        assert db.execute("SELECT name FROM sessions").fetchall() == [(VISIT,)]
        assert db.execute("SELECT session FROM receipts").fetchall() == [(VISIT,)]


def test_compact_removes_names_that_a_program_forgot_from_every_file(tmp_path: Path, memory: Memory) -> None:
    with ServerDatabase(tmp_path / "memory.db.serve") as database:
        for number in range(200):
            talk(memory, database, OWNER, f"{VISIT} {number}")
        talk(memory, database, "bea", OTHER)
        keys = KeyStore(database)
        keys.revoke(keys.create(namespace=OWNER, name=VISIT)[0])
    memory.forget(namespace=OWNER)
    memory.close()
    assert main(["compact", "--memory", str(tmp_path / "memory.db"), "--json"]) == 0
    assert holding(tmp_path, OWNER) == holding(tmp_path, VISIT) == []
    assert "memory.db.serve" in holding(tmp_path, OTHER)


def test_start_erases_what_was_forgotten_while_no_server_ran(tmp_path: Path, database: ServerDatabase) -> None:
    store = open_store(tmp_path / "memory.db")
    with Memory(store=store) as memory:
        erase_at_start(memory, store, database)
        talk(memory, database, OWNER, VISIT)
        talk(memory, database, "bea", OTHER)
        erase_at_start(memory, store, database)
        assert holding(tmp_path, VISIT)
        memory.forget(namespace=OWNER)
        erase_at_start(memory, store, database)
        assert not [name for name in (*holding(tmp_path, OWNER), *holding(tmp_path, VISIT)) if ".serve" in name]
        assert [name for name in holding(tmp_path, OTHER) if ".serve" in name]
