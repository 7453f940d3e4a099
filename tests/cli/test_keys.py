import re
import stat
from pathlib import Path

import pytest

from engram.errors import InvalidEngram
from engram.serve.auth.access import Gate
from engram.serve.auth.keys import KeyStore
from engram.serve.database import ServerDatabase
from engram.serve.http.errors import ServeError

KEY = re.compile(r"engram_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


def test_a_key_is_printed_once_and_opens_its_namespace(run, path: Path):
    ran = run("keys", "create", "--namespace", "ana", "--name", "laptop")
    assert ran.code == 0
    key = ran.out.strip()
    assert KEY.fullmatch(key)
    assert "shown only now" in ran.err
    with ServerDatabase(f"{path}.serve") as database:
        access = Gate(KeyStore(database)).access({"authorization": f"Bearer {key}"})
        with pytest.raises(ServeError):
            Gate(KeyStore(database)).access({})
    assert (access.default, access.read, access.write, access.erase, access.admin) == ("ana", True, True, False, False)
    assert not path.exists(), "a key needs no memory"


def test_the_secret_is_not_stored_and_the_file_is_private(run, path: Path):
    secret = run("keys", "create", "--admin").out.strip().split("_", 2)[2]
    database = Path(f"{path}.serve")
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    for file in path.parent.iterdir():
        assert secret.encode() not in file.read_bytes()
    assert secret not in run("keys", "list").out


def test_keys_commands_print_json(run):
    created = run("keys", "create", "--prefix", "team-", "--no-write", "--erase", "--json").json
    assert KEY.fullmatch(created.pop("key"))[1] == created["id"]
    assert {name: created[name] for name in ("name", "namespace", "prefix", "admin", "read", "write", "erase")} == {
        "name": None,
        "namespace": None,
        "prefix": "team-",
        "admin": False,
        "read": True,
        "write": False,
        "erase": True,
    }
    assert run("keys", "list", "--json").lines == [created]
    assert run("keys", "revoke", created["id"], "--json").json == {"revoked": created["id"]}
    assert run("keys", "list", "--json").lines[0]["revoked"] is not None


def test_list_shows_rights_and_namespaces_of_each_key(run):
    assert run("keys", "list").out == ""
    assert "no keys" in run("keys", "list").err
    run("keys", "create", "--namespace", "ana\u202e", "--name", "a\nb")
    run("keys", "create", "--prefix", "team-", "--no-read")
    run("keys", "create", "--admin", "--erase")
    first, second, third = run("keys", "list").out.splitlines()
    assert first.endswith("read, write         the namespace ana\\u202e  (a\\nb)")
    assert second.endswith("write               the namespaces team-...")
    assert third.endswith("read, write, erase  all namespaces")
    assert run("keys", "revoke", first[:12]).out == f"revoked {first[:12]}\n"
    assert " revoked 2" in run("keys", "list").out.splitlines()[0]


def test_revoking_a_key_that_does_not_exist_fails(run, path: Path):
    assert run("keys", "revoke", "nope").code == 3
    assert not Path(f"{path}.serve").exists()
    created = run("keys", "create", "--admin", "--json").json["id"]
    assert run("keys", "revoke", created).code == 0
    ran = run("keys", "revoke", created)
    assert (ran.code, ran.err) == (3, f"engram: no valid key has the id {created}; engram keys list shows them\n")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--admin", "--namespace", "x"),
        ("--prefix", "x", "--namespace", "x"),
        ("--namespace", ""),
        ("--prefix", ""),
        ("--namespace", "a\nb"),
        ("--namespace", "x" * 513),
        ("--name", "", "--admin"),
        ("--admin", "--no-read", "--no-write"),
    ],
)
def test_contradictory_options_are_refused(run, options):
    ran = run("keys", "create", *options)
    assert (ran.code, ran.out) == (2, "")
    assert run("keys", "list").out == ""


def test_every_keys_command_has_a_help_with_an_example(run):
    assert "Example:" in run("keys").out
    assert (run("keys").code, run("keys").err) == (0, "")
    for command in ("create", "list", "revoke"):
        assert f"engram keys {command}" in run("keys", command, "--help").out.partition("Example:")[2]
    assert run("keys", "nonsense").code == 2


def test_key_store_creates_distinct_keys_and_refuses_contradictory_ones(tmp_path: Path):
    with ServerDatabase(tmp_path / "memory.db.serve") as database:
        keys = KeyStore(database)
        with pytest.raises(InvalidEngram):
            keys.create()
        with pytest.raises(InvalidEngram):
            keys.create(namespace="ana", admin=True)
        created = {keys.create(namespace="ana") for _ in range(20)}
        assert len(created) == 20
        assert {row.key_id for row in keys.list()} == {key_id for key_id, _ in created}
