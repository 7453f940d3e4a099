"""The stored keys."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.errors import EngramError, NotFound
from engram.serve.auth.keys import KeyRow, KeyStore
from engram.serve.database import ServerDatabase


def row(key_id: str, name: str | None, namespace: str | None, prefix: str | None, *rights: str) -> KeyRow:
    allowed = {right: right in rights for right in ("admin", "read", "write", "erase")}
    return KeyRow(key_id, name, namespace, prefix, **allowed, created=datetime.now(UTC), revoked=None)


def test_keys_are_found_by_their_digest_and_revoked_once(tmp_path: Path) -> None:
    path = tmp_path / "memory.db.serve"
    with ServerDatabase(path) as database:
        keys = KeyStore(database)
        assert not keys.any_created()
        assert keys.find(b"d1") is None
        keys.add(row("k1", "laptop", "ana", None, "read", "write"), b"d1")
        keys.add(row("k2", None, None, "team/", "read", "erase"), b"d2")
        with pytest.raises(EngramError, match="k1"):
            keys.add(row("k1", None, None, None, "admin", "read", "write", "erase"), b"d3")
    with ServerDatabase(path) as database:
        keys = KeyStore(database)
        assert keys.any_created()
        one, two = keys.list()
        assert (one.key_id, one.name, one.namespace, one.prefix) == ("k1", "laptop", "ana", None)
        assert (one.admin, one.read, one.write, one.erase, one.revoked) == (False, True, True, False, None)
        assert (two.prefix, two.write, two.erase) == ("team/", False, True)
        assert keys.find(b"d2") == two
        keys.revoke("k1")
        with pytest.raises(NotFound):
            keys.revoke("k1")
        with pytest.raises(NotFound):
            keys.revoke("nobody")
        revoked = keys.find(b"d1")
        assert revoked is not None
        assert revoked.revoked is not None
        assert keys.any_created()
