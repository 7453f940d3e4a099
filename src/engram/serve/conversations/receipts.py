"""Receipts: what became of the messages of a request.

Owns the receipts table. A receipt is looked up among the pending writes first, then in the file.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from engram.ids import id_from_bytes, id_to_bytes, pack_ids, unpack_ids
from engram.serve.conversations.pending import STATES, PendingWrites, Receipt
from engram.serve.database import ServerDatabase, Transaction
from engram.serve.wire.base import LeftOut
from engram.times import from_microseconds, microseconds

MAX_RECEIPTS = 200_000
"""Receipts kept in the file; the oldest are deleted."""

SELECT = "SELECT id, namespace, session, state, reason, engrams, accepted, stored, left_out FROM receipts"


class ReceiptStore:
    """The receipts of one server. Safe to use from threads."""

    def __init__(self, database: ServerDatabase, pending: PendingWrites) -> None:
        self._database = database
        self._pending = pending

    def find(
        self, id: str, allowed: Callable[[str], bool], is_indexed: Callable[[Sequence[str]], bool]
    ) -> Receipt | None:
        """Return the receipt with this id; None if there is none or its namespace is not `allowed`.

        is_indexed: returns whether all engrams with these ids are in the index. A stored receipt for which it is true
        is returned as "indexed". Unknown receipts and receipts of other namespaces take the same steps, so that timing
        does not tell them apart.
        """
        with self._pending.lock:
            receipt = self._pending.receipts.get(id)
        try:
            key = uuid.UUID(id).bytes
        except ValueError:
            key = bytes(16)
        with self._database.reading() as db:
            row = db.execute(f"{SELECT} WHERE id = ?", (key,)).fetchone()
        if receipt is None and row is not None:
            receipt = receipt_from_row(row)
        permitted = allowed(receipt.namespace if receipt is not None else "")
        if receipt is None or not permitted:
            return None
        if receipt.state == "stored" and is_indexed(receipt.engrams):
            return replace(receipt, state="indexed")
        return receipt

    def unfinished(self) -> list[Receipt]:
        """Return the receipts in the file that are still "accepted"."""
        with self._database.reading() as db:
            return [receipt_from_row(row) for row in db.execute(f"{SELECT} WHERE state = 0").fetchall()]

    def save(self, transaction: Transaction, receipt: Receipt) -> None:
        """Insert or update a receipt, and delete the oldest ones above `MAX_RECEIPTS`."""
        number = transaction.execute(
            "INSERT INTO receipts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
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
                json.dumps([(one.by, one.pieces, one.characters) for one in receipt.left_out]),
            ),
        ).fetchone()[0]
        transaction.execute("DELETE FROM receipts WHERE number <= ?", (number - MAX_RECEIPTS,))


def receipt_from_row(row: tuple[bytes, str, str, int, str | None, bytes, int, int | None, str | None]) -> Receipt:
    """Return the receipt in a row of `SELECT`."""
    id, namespace, session, state, reason, engrams, accepted, stored, left_out = row
    return Receipt(
        id=id_from_bytes(id),
        namespace=namespace,
        session=session,
        state=STATES[state],
        reason=reason,
        engrams=unpack_ids(engrams),
        accepted_at=from_microseconds(accepted),
        stored_at=None if stored is None else from_microseconds(stored),
        left_out=tuple(LeftOut(*one) for one in json.loads(left_out or "[]")),
    )
