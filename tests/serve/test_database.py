"""The file of the server database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from engram.errors import MemoryClosed, MemoryDamaged, MemoryTooNew
from engram.ids import id_to_bytes, uuid7
from engram.serve.auth.keys import KeyStore
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.pending import PendingWrites
from engram.serve.conversations.receipts import ReceiptStore
from engram.serve.database import APPLICATION_ID, ServerDatabase, add_left_out, create_tables


def test_secret_is_kept_and_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "memory.db.serve"
    with ServerDatabase(path) as database:
        secret = database.secret
    assert len(secret) == 32
    assert path.stat().st_mode & 0o077 == 0
    with ServerDatabase(path) as database:
        assert database.secret == secret
    with ServerDatabase(":memory:") as other:
        assert other.secret != secret


def garbage(path: Path) -> None:
    path.write_bytes(b"no database, but long enough to be looked at " * 100)


def other_database(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE mine (x)")
    db.commit()
    db.close()


def without_secret(path: Path) -> None:
    ServerDatabase(path).close()
    db = sqlite3.connect(path)
    db.execute("DELETE FROM meta")
    db.commit()
    db.close()


@pytest.mark.parametrize("spoil", [garbage, other_database, without_secret])
def test_foreign_or_damaged_file_is_named_and_left_unchanged(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "memory.db.serve"
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(MemoryDamaged, match=r"memory\.db\.serve"):
        ServerDatabase(path)
    assert path.read_bytes() == before


def test_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "memory.db.serve"
    ServerDatabase(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(MemoryTooNew, match="format 99"):
        ServerDatabase(path)


def test_a_file_of_format_1_keeps_its_receipts(tmp_path: Path) -> None:
    path = tmp_path / "memory.db.serve"
    id = uuid7()
    with sqlite3.connect(path, isolation_level=None) as db:
        create_tables(db)
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute("PRAGMA user_version=1")
        row = (id_to_bytes(id), "ana", "s", 1, None, b"", 1_000_000, 2_000_000)
        db.execute("INSERT INTO receipts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.close()
    for _ in range(2):
        with ServerDatabase(path) as database:
            store = ReceiptStore(database, PendingWrites())
            receipt = store.find(id, lambda namespace: True, lambda ids: False)
            assert receipt is not None
            assert (receipt.state, receipt.namespace, receipt.left_out) == ("stored", "ana", ())
            with database.writing() as transaction:
                store.save(transaction, receipt)


def test_a_file_of_format_2_keeps_its_sessions_which_have_no_profile(tmp_path: Path) -> None:
    path = tmp_path / "memory.db.serve"
    with sqlite3.connect(path, isolation_level=None) as db:
        create_tables(db)
        add_left_out(db)
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute("PRAGMA user_version=2")
        db.execute("INSERT INTO sessions VALUES (7, 'monday')")
    db.close()
    for recorded in (None, b"quotes"):
        with ServerDatabase(path) as database:
            store = ConversationStore(database)
            assert store.profile_of(7) == recorded
            with database.writing() as transaction:
                store.set_profile(transaction, 7, b"quotes")
                store.set_profile(transaction, 8, b"quotes")
            assert store.profile_of(8) is None
            with database.reading() as reading:
                assert reading.execute("SELECT name FROM sessions").fetchall() == [("monday",)]


def test_use_after_close_raises_memory_closed(tmp_path: Path) -> None:
    database = ServerDatabase(tmp_path / "memory.db.serve")
    database.close()
    database.close()
    with pytest.raises(MemoryClosed):
        KeyStore(database).list()
