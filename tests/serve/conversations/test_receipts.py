"""Receipts in the server database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.ids import uuid7
from engram.serve.conversations import receipts
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.pending import Receipt
from engram.serve.database import ServerDatabase


def anyone(namespace: str) -> bool:
    return True


def never_indexed(ids: Sequence[str]) -> bool:
    return False


def receipt(**changed: object) -> Receipt:
    at = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
    unchanged = Receipt(uuid7(), "ana", "s1", "stored", None, (uuid7(), uuid7()), at, at)
    return replace(unchanged, **changed)  # type: ignore[arg-type]


class Receipts:
    """The receipts of a database file."""

    def __init__(self, database: ServerDatabase) -> None:
        self.database = database
        self.store = ConversationStore(database).receipts

    def save(self, *receipts: Receipt) -> None:
        with self.database.writing() as transaction:
            for one in receipts:
                self.store.save(transaction, one)

    def find(self, id: str) -> Receipt | None:
        return self.store.find(id, anyone, never_indexed)


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[Receipts]:
    with ServerDatabase(tmp_path / "memory.db.serve") as database:
        yield Receipts(database)


def test_receipt_is_returned_as_saved_and_updated_in_place(saved: Receipts) -> None:
    first = receipt(state="accepted", stored_at=None)
    saved.save(first)
    assert saved.find(first.id) == first
    assert [one.id for one in saved.store.unfinished()] == [first.id]
    later = replace(first, state="refused", reason="text is too long", engrams=first.engrams[:1])
    saved.save(later)
    assert saved.find(first.id) == later
    assert saved.store.unfinished() == []


def test_receipt_of_another_namespace_is_treated_like_a_missing_one(saved: Receipts) -> None:
    mine = receipt()
    saved.save(mine)
    checked: list[str] = []

    def another_namespace(namespace: str) -> bool:
        checked.append(namespace)
        return False

    assert saved.store.find(mine.id, another_namespace, never_indexed) is None
    assert saved.store.find(uuid7(), another_namespace, never_indexed) is None
    assert saved.store.find("no id at all", another_namespace, never_indexed) is None
    assert checked == ["ana", "", ""]
    assert saved.find(uuid7()) is None


def test_stored_receipt_is_reported_as_indexed_when_its_engrams_are(saved: Receipts) -> None:
    mine, refused = receipt(), receipt(state="refused", reason="no")
    saved.save(mine, refused)

    def is_indexed(ids: Sequence[str]) -> bool:
        return tuple(ids) == mine.engrams

    assert saved.store.find(mine.id, anyone, is_indexed) == replace(mine, state="indexed")
    assert saved.find(mine.id) == mine
    assert saved.store.find(refused.id, anyone, lambda ids: True) == refused


def test_only_the_newest_receipts_are_kept(saved: Receipts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "MAX_RECEIPTS", 3)
    saved_receipts = [receipt() for _ in range(5)]
    for one in saved_receipts:
        saved.save(one)
    assert [saved.find(one.id) for one in saved_receipts] == [None, None, *saved_receipts[2:]]


def test_transaction_is_rolled_back_on_an_exception(saved: Receipts) -> None:
    one = receipt()
    with pytest.raises(RuntimeError), saved.database.writing() as transaction:
        saved.store.save(transaction, one)
        raise RuntimeError
    assert saved.find(one.id) is None
