"""Which keys the server accepts, and what they allow."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engram.errors import EngramError
from engram.serve.auth.access import Access, Gate
from engram.serve.auth.headers import engram_key, is_engram_key, requested_namespace
from engram.serve.auth.keys import KeyRow, KeyStore
from engram.serve.database import ServerDatabase
from engram.serve.http.errors import ServeError

ALL = Access(None, "default", read=True, write=True, erase=True, admin=False)
ADMIN = dataclasses.replace(ALL, admin=True)
TEAM = dataclasses.replace(ALL, prefix="team-")


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyStore]:
    with ServerDatabase(tmp_path / "memory.db.serve") as database:
        yield KeyStore(database)


def refused(call, *args) -> ServeError:
    with pytest.raises(ServeError) as caught:
        call(*args)
    return caught.value


def test_key_covers_its_namespace_a_prefix_or_all():
    assert ALL.allows("default")
    assert not ALL.allows("default2")
    assert ADMIN.allows("whatever")
    assert TEAM.allows("team-")
    assert TEAM.allows("team-a")
    assert not TEAM.allows("team")
    assert not TEAM.allows("default")
    assert not TEAM.allows("Team-a")


def test_namespace_is_the_requested_one_else_the_default_of_the_key():
    assert ALL.namespace(None) == "default"
    assert ALL.namespace("default") == "default"
    assert ADMIN.namespace("ana") == "ana"
    assert TEAM.namespace("team-a") == "team-a"
    assert refused(ALL.namespace, "ana").status == 403
    assert refused(TEAM.namespace, "default").status == 403
    missing = refused(TEAM.namespace, None)
    assert (missing.status, missing.code, missing.param) == (400, "namespace_missing", "namespace")
    assert "'team-'" in missing.message


@pytest.mark.parametrize("name", ["", "a\nb", "\x00", "\x7f", "a\x9f", "x" * 513, "\u00e9" * 257, "\ud800"])
def test_invalid_namespaces_are_refused(name: str):
    error = refused(ADMIN.namespace, name)
    assert (error.status, error.param) == (400, "namespace")
    assert refused(ALL.namespace, name).status == 400
    assert refused(dataclasses.replace(ALL, default=name).namespace, None).status == 400


@pytest.mark.parametrize("name", ["x" * 512, "\u00e9" * 256, "a b", "\U0001f436", "../etc", "a/b?c=d"])
def test_valid_namespaces_are_accepted(name: str):
    assert ADMIN.namespace(name) == name


def test_each_right_is_checked_separately():
    for right in ("read", "write", "erase"):
        ADMIN.need(right)
        error = refused(dataclasses.replace(ADMIN, **{right: False}).need, right)
        assert (error.status, right in error.message) == (403, True)


def test_engram_key_reads_three_headers_in_order():
    assert engram_key({"x-engram-key": " k "}) == "k"
    assert engram_key({"authorization": "Bearer engram_a_b"}) == "engram_a_b"
    assert engram_key({"authorization": "bearer   engram_a_b "}) == "engram_a_b"
    assert engram_key({"x-api-key": "engram_a_b"}) == "engram_a_b"
    assert engram_key({"x-engram-key": "k", "authorization": "Bearer engram_a_b"}) == "k"
    assert engram_key({"authorization": "Bearer sk-other", "x-api-key": "engram_a_b"}) == "engram_a_b"
    for other in (
        {},
        {"authorization": "Bearer sk-1"},
        {"x-api-key": "sk-1"},
        {"authorization": "engram_a_b"},
        {"authorization": "Basic engram_a_b"},
    ):
        assert engram_key(other) is None


def test_is_engram_key_recognises_keys_in_every_header():
    assert is_engram_key("x-engram-key", "whatever")
    for name in ("authorization", "x-api-key"):
        for value in ("engram_a_b", "Bearer engram_a_b", "bearer  engram_a_b", "Basic engram_a_b", "x,engram_a_b"):
            assert is_engram_key(name, value)
        for value in ("", "Bearer sk-1", "sk-engram_1", "Bearer my-engram_key"):
            assert not is_engram_key(name, value)
    assert not is_engram_key("x-other", "engram_a_b")


def test_namespace_header_is_decoded_as_utf_8():
    assert requested_namespace({}) is None
    assert requested_namespace({"x-engram-namespace": ""}) == ""
    assert requested_namespace({"x-engram-namespace": "ana"}) == "ana"
    for name in ("jos\u00e9", "\u5c0f\u660e", "\U0001f436"):
        assert requested_namespace({"x-engram-namespace": name.encode().decode("latin-1")}) == name
    assert requested_namespace({"x-engram-namespace": "jos\u00e9"}) == "jos\u00e9"


@pytest.mark.parametrize("name", ["{{USER_ID}}", "webui-{{USER_ID}}", "{{ chat_id }}", "${USER}", "{user}"])
def test_unfilled_placeholder_is_refused_as_namespace(name: str):
    with pytest.raises(ServeError, match="did not fill in") as raised:
        requested_namespace({"x-engram-namespace": name})
    assert (raised.value.status, raised.value.param) == (400, "x-engram-namespace")


def test_every_caller_is_admin_while_no_key_exists(keys: KeyStore):
    assert Gate(keys, "home").access({}) == Access(None, "home", read=True, write=True, erase=True, admin=True)
    assert Gate(keys).access({"x-engram-key": "engram_of_another"}).admin


def test_only_valid_keys_are_accepted_once_a_key_exists(keys: KeyStore):
    ana, key = keys.create(namespace="ana")
    _, team = keys.create(prefix="team-", write=False, erase=True)
    _, admin = keys.create(admin=True)
    gate = Gate(keys, "home")
    assert gate.access({"x-engram-key": key}) == Access(ana, "ana", read=True, write=True, erase=False, admin=False)
    access = gate.access({"authorization": f"Bearer {team}"})
    assert (access.prefix, access.read, access.write, access.erase) == ("team-", True, False, True)
    assert gate.access({"x-api-key": admin}).namespace(None) == "home"
    assert refused(gate.access, {}).code == "key_missing"
    for wrong in ("", "x", key[:-1], key + "x", key.upper(), "\ud800", key.replace(ana, "0" * 12)):
        error = refused(gate.access, {"x-engram-key": wrong})
        assert (error.status, error.code, error.message) == (401, "key_invalid", "this key is not valid")


def test_revoked_key_is_refused_within_a_second_like_an_unknown_key(keys: KeyStore):
    key_id, key = keys.create(namespace="ana")
    gate = Gate(keys)
    gate.access({"x-engram-key": key})
    keys.revoke(key_id)
    time.sleep(1.1)
    error, other = refused(gate.access, {"x-engram-key": key}), refused(gate.access, {"x-engram-key": key + "x"})
    assert (error.status, error.code, error.message) == (other.status, other.code, other.message)
    assert refused(gate.access, {}).status == 401, "revoking the last key opens nothing"
    assert refused(Gate(keys).access, {}).status == 401


def test_key_created_by_another_process_takes_effect_within_a_second(keys: KeyStore, tmp_path: Path):
    gate = Gate(keys)
    assert gate.access({}).admin
    with ServerDatabase(tmp_path / "memory.db.serve") as other:
        _, key = KeyStore(other).create(namespace="ana")
    time.sleep(1.1)
    assert refused(gate.access, {}).status == 401
    assert gate.access({"x-engram-key": key}).default == "ana"


class CountingKeys(KeyStore):
    """A key store that counts lookups, and can fail."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self.lookups = 0
        self.broken = False

    def _look_up(self, name, *args):
        self.lookups += 1
        if self.broken:
            raise EngramError("the disk failed")
        return getattr(self._keys, name)(*args)

    def any_created(self) -> bool:
        return self._look_up("any_created")

    def find(self, digest: bytes) -> KeyRow | None:
        return self._look_up("find", digest)


def test_lookups_are_cached(keys: KeyStore):
    _, key = keys.create(namespace="ana")
    counted = CountingKeys(keys)
    gate = Gate(counted)
    begun = time.monotonic()
    for _ in range(500):
        gate.access({"x-engram-key": key})
        refused(gate.access, {"x-engram-key": "wrong"})
    assert counted.lookups <= 1 + 2 * (1 + int(time.monotonic() - begun))


def test_cache_of_unknown_keys_is_bounded(keys: KeyStore, monkeypatch):
    monkeypatch.setattr("engram.serve.auth.access.MAX_CACHED_KEYS", 50)
    keys.create(namespace="ana")
    gate = Gate(keys)
    for number in range(200):
        refused(gate.access, {"x-engram-key": f"wrong {number}"})
    assert len(gate._cache) <= 50


def test_unreadable_keys_neither_grant_nor_remove_access(keys: KeyStore):
    counted = CountingKeys(keys)
    counted.broken = True
    assert refused(Gate(counted).access, {}).status == 503
    counted.broken = False
    _, key = keys.create(namespace="ana")
    gate = Gate(counted)
    assert gate.access({"x-engram-key": key}).default == "ana"
    counted.broken = True
    time.sleep(1.1)
    assert gate.access({"x-engram-key": key}).default == "ana"
    assert refused(gate.access, {"x-engram-key": "wrong"}).status == 401
