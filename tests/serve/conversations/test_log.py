"""The ledger: its file, keys and receipts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.errors import EngramError, MemoryClosed, MemoryDamaged, MemoryTooNew
from engram.ids import uuid7
from engram.serve.conversations import log as ledgers
from engram.serve.conversations.log import Receipt, ServerDatabase


def anyone(namespace: str) -> bool:
    return True


def receipt(**changed: object) -> Receipt:
    at = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
    made = Receipt(uuid7(), "ana", "s1", "stored", None, (uuid7(), uuid7()), at, at)
    return replace(made, **changed)  # type: ignore[arg-type]


def keep(ledger: ServerDatabase, *receipts: Receipt) -> None:
    with ledger.writing() as page:
        for one in receipts:
            page.set_receipt(one)


def test_a_ledger_keeps_its_secret_and_lets_nobody_else_read(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "memory.db.serve"
    with ServerDatabase(path) as ledger:
        secret = ledger.secret
    assert len(secret) == 32
    assert path.stat().st_mode & 0o077 == 0
    with ServerDatabase(path) as ledger:
        assert ledger.secret == secret
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
def test_what_is_no_ledger_is_named_and_left_alone(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "memory.db.serve"
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(MemoryDamaged, match=r"memory\.db\.serve"):
        ServerDatabase(path)
    assert path.read_bytes() == before


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "memory.db.serve"
    ServerDatabase(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(MemoryTooNew, match="format 99"):
        ServerDatabase(path)


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    ledger = ServerDatabase(tmp_path / "l")
    ledger.close()
    ledger.close()
    with pytest.raises(MemoryClosed):
        ledger.keys()


def test_keys_are_found_by_their_digest_and_revoked_once(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with ServerDatabase(path) as ledger:
        assert not ledger.has_keys()
        assert ledger.find_key(b"d1") is None
        ledger.add_key("k1", b"d1", "laptop", "ana", None, False, True, True, False)
        ledger.add_key("k2", b"d2", None, None, "team/", False, True, False, True)
        with pytest.raises(EngramError, match="k1"):
            ledger.add_key("k1", b"d3", None, None, None, True, True, True, True)
    with ServerDatabase(path) as ledger:
        assert ledger.has_keys()
        one, two = ledger.keys()
        assert (one.key_id, one.name, one.namespace, one.prefix) == ("k1", "laptop", "ana", None)
        assert (one.admin, one.read, one.write, one.erase, one.revoked) == (False, True, True, False, None)
        assert (two.prefix, two.write, two.erase) == ("team/", False, True)
        assert ledger.find_key(b"d2") == two
        assert ledger.revoke_key("k1")
        assert not ledger.revoke_key("k1")
        assert not ledger.revoke_key("nobody")
        revoked = ledger.find_key(b"d1")
        assert revoked is not None
        assert revoked.revoked is not None
        assert ledger.has_keys()


def test_a_receipt_comes_back_as_it_was_and_changes_in_its_place(tmp_path: Path) -> None:
    with ServerDatabase(tmp_path / "l") as ledger:
        first = receipt(state="accepted", stored_at=None)
        keep(ledger, first)
        assert ledger.receipt(first.id, anyone) == first
        assert [one.id for one in ledger.open_receipts()] == [first.id]
        later = replace(first, state="refused", reason="text is too long", engrams=first.engrams[:1])
        keep(ledger, later)
        assert ledger.receipt(first.id, anyone) == later
        assert ledger.open_receipts() == []


def test_another_namespaces_receipt_is_as_good_as_none(tmp_path: Path) -> None:
    with ServerDatabase(tmp_path / "l") as ledger:
        mine = receipt()
        keep(ledger, mine)
        asked: list[str] = []

        def not_mine(namespace: str) -> bool:
            asked.append(namespace)
            return False

        assert ledger.receipt(mine.id, not_mine) is None
        assert ledger.receipt(uuid7(), not_mine) is None
        assert ledger.receipt("no id at all", not_mine) is None
        assert asked == ["ana", "", ""]
        assert ledger.receipt(uuid7(), anyone) is None


def test_indexed_is_asked_when_a_receipt_is_looked_at(tmp_path: Path) -> None:
    with ServerDatabase(tmp_path / "l") as ledger:
        mine, refused = receipt(), receipt(state="refused", reason="no")
        keep(ledger, mine, refused)
        ledger.is_indexed = lambda ids: tuple(ids) == mine.engrams
        found = ledger.receipt(mine.id, anyone)
        assert found == replace(mine, state="indexed")
        assert ledger.receipt(refused.id, anyone) == refused


def test_only_the_newest_receipts_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "RECEIPTS_KEPT", 3)
    with ServerDatabase(tmp_path / "l") as ledger:
        made = [receipt() for _ in range(5)]
        for one in made:
            keep(ledger, one)
        assert [ledger.receipt(one.id, anyone) for one in made] == [None, None, *made[2:]]


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with ServerDatabase(tmp_path / "l") as ledger:
        one = receipt()
        with pytest.raises(RuntimeError), ledger.writing() as page:
            page.set_receipt(one)
            raise RuntimeError
        assert ledger.receipt(one.id, anyone) is None
