"""API keys of Engram: their form, how they are created, and the table that stores them.

A key is "engram_<id>_<secret>". The table stores its SHA-256 digest, never the key. Does not know headers
(`headers`) nor of what a request may do (`access`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from engram.engram import check_name
from engram.errors import EngramError, InvalidEngram, NotFound
from engram.serve.database import ServerDatabase
from engram.times import from_microseconds, microseconds

KEY_PREFIX = "engram_"
"""The prefix of every key."""

SELECT = "SELECT key_id, name, namespace, prefix, admin, read, write, erase, created, revoked FROM keys"

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A stored key: the namespaces it covers, and its rights."""

    key_id: str
    name: str | None
    namespace: str | None
    """The one namespace it covers; None if it covers a prefix or, as an admin key, all."""
    prefix: str | None
    """It covers the namespaces that begin with this."""
    admin: bool
    read: bool
    write: bool
    erase: bool
    created: datetime
    revoked: datetime | None
    """When it was revoked; None while it is valid."""


class KeyStore:
    """Creates, lists, finds and revokes keys. Safe to use from threads and from several processes."""

    def __init__(self, database: ServerDatabase) -> None:
        self._database = database

    def create(
        self,
        *,
        name: str | None = None,
        namespace: str | None = None,
        prefix: str | None = None,
        admin: bool = False,
        read: bool = True,
        write: bool = True,
        erase: bool = False,
    ) -> tuple[str, str]:
        """Create a key for one namespace, for the namespaces that begin with `prefix`, or (`admin`) for all.

        Returns its id and the key, which is not stored. Raises `InvalidEngram` unless exactly one of the three is
        given, if a name is outside its limits, or if the key would allow nothing.
        """
        if [namespace is not None, prefix is not None, admin].count(True) != 1:
            raise InvalidEngram("a key covers one namespace, one prefix, or all namespaces (admin): give exactly one")
        if not (read or write or erase):
            raise InvalidEngram("a key without read, write and erase allows nothing; give it at least one of them")
        for value in (namespace, prefix):
            if value is not None:
                check_namespace(value)
        if name is not None:
            check_name("name", name)
        key_id = secrets.token_hex(6)
        key = f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
        row = KeyRow(key_id, name, namespace, prefix, admin, read, write, erase, datetime.now(UTC), None)
        self.add(row, key_digest(key))
        return key_id, key

    def add(self, row: KeyRow, digest: bytes) -> None:
        """Store a key by its digest. Raises `EngramError` if its id or digest is stored already."""
        values = (row.key_id, digest, row.name, row.namespace, row.prefix, row.admin, row.read, row.write, row.erase)
        with self._database.writing() as transaction:
            try:
                transaction.execute(
                    "INSERT INTO keys VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                    (*values, microseconds(row.created)),
                )
            except sqlite3.IntegrityError as error:
                raise EngramError(f"the key {row.key_id} exists already ({error})") from error

    def list(self) -> Sequence[KeyRow]:
        """Return all keys, also revoked ones, the oldest first."""
        with self._database.reading() as db:
            return [key_from_row(row) for row in db.execute(f"{SELECT} ORDER BY number").fetchall()]

    def any_created(self) -> bool:
        """Return whether a key was ever created, revoked or not."""
        with self._database.reading() as db:
            return db.execute("SELECT 1 FROM keys LIMIT 1").fetchone() is not None

    def find(self, digest: bytes) -> KeyRow | None:
        """Return the key with this digest, revoked or not; None if there is none."""
        with self._database.reading() as db:
            row = db.execute(f"{SELECT} WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else key_from_row(row)

    def revoke(self, key_id: str) -> None:
        """Revoke a key. Raises `NotFound` if no key has this id, or it is revoked already."""
        query = "UPDATE keys SET revoked = ? WHERE key_id = ? AND revoked IS NULL"
        with self._database.writing() as transaction:
            revoked = transaction.execute(query, (microseconds(datetime.now(UTC)), key_id)).rowcount
        if not revoked:
            raise NotFound(f"no valid key has the id {key_id}; engram keys list shows them")


def key_digest(key: str) -> bytes:
    """Return the digest by which a key is stored. A key holds 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def check_namespace(name: str) -> None:
    """Raise `InvalidEngram` unless `name` is a valid namespace for callers: 1 to 512 bytes, no control characters."""
    check_name("namespace", name)
    if found := CONTROLS.search(name):
        raise InvalidEngram(f"namespace holds the control character {found[0]!r} at character {found.start()}")


def key_from_row(row: tuple[str, str | None, str | None, str | None, int, int, int, int, int, int | None]) -> KeyRow:
    """Return the key in a row of `SELECT`."""
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
