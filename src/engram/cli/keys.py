"""`engram keys`: creates, lists and revokes the keys of the server.

Owns the options of the commands and their output. The form and the storage of a key belong to `engram.serve.auth.keys`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engram.cli.options import Json, MemoryPath, Timezone, UsageError, help_of
from engram.cli.output import escape_line, print_json, print_note
from engram.errors import NotFound
from engram.notes.zones import MACHINE, local

if TYPE_CHECKING:
    from engram.serve.auth.keys import KeyRow, KeyStore


def create(
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", metavar="NAME", help="Cover this namespace.", show_default=False)
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            "--prefix", metavar="PREFIX", help="Cover the namespaces that begin with this.", show_default=False
        ),
    ] = None,
    admin: Annotated[
        bool, typer.Option("--admin", help="Cover all namespaces, and allow reading the server's metrics.")
    ] = False,
    read: Annotated[bool, typer.Option(help="Allow recall, list and export.")] = True,
    write: Annotated[bool, typer.Option(help="Allow remember.")] = True,
    erase: Annotated[bool, typer.Option(help="Allow forget and erase.")] = False,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="A name that tells you what the key is for.", show_default=False),
    ] = None,
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it. It is shown once: only a hash of the key is stored.

    Callers send the key as X-Engram-Key, or as Authorization: Bearer. As soon as a key exists,
    the server refuses callers without one; a running server notices within a second.

    Example:
      engram keys create --namespace ana --name laptop
      engram keys create --prefix team- --erase
    """
    if [namespace is not None, prefix is not None, admin].count(True) != 1:
        raise UsageError("say which namespaces the key covers: --namespace, --prefix or --admin")
    with opened(memory) as store:
        key_id, key = store.create(
            name=name, namespace=namespace, prefix=prefix, admin=admin, read=read, write=write, erase=erase
        )
        row = next(row for row in store.list() if row.key_id == key_id)
    if as_json:
        print_json(record(row) | {"key": key})
    else:
        typer.echo(key)
        print_note(f"key {key_id} covers {covers(row)} and allows {rights(row)}; it is shown only now")


def list_keys(timezone: Timezone = MACHINE, memory: MemoryPath = None, as_json: Json = False) -> None:
    """List all keys, revoked ones too: their ids and rights, never the keys themselves.

    With --json, print one object on each line.

    Example:
      engram keys list --memory assistant.db
    """
    rows: Sequence[KeyRow] = []
    if os.path.exists(database_path(memory)):
        with opened(memory) as store:
            rows = store.list()
    if as_json:
        for row in rows:
            print_json(record(row))
        return
    for row in rows:
        state = "" if row.revoked is None else f"  revoked {local(row.revoked, timezone):%Y-%m-%d %H:%M}"
        created = local(row.created, timezone)
        name = "" if row.name is None else f"  ({row.name})"
        line = f"{row.key_id}  {created:%Y-%m-%d %H:%M}  {rights(row):<18}  {covers(row)}{name}{state}"
        typer.echo(escape_line(line))
    if not rows:
        print_note("no keys: the server accepts connections from this machine only, from every user of it")


def revoke(
    id: Annotated[str, typer.Argument(help="The id of the key, from engram keys list.", show_default=False)],
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Revoke a key. A running server refuses it within a second.

    Revoking the last key does not open the server: callers then need a new key.

    Example:
      engram keys revoke 3f9c0a1b2d4e
    """
    if not os.path.exists(database_path(memory)):
        raise NotFound(f"there are no keys at {database_path(memory)}; engram keys create creates one")
    with opened(memory) as store:
        store.revoke(id)
    if as_json:
        print_json({"revoked": id})
    else:
        typer.echo(f"revoked {escape_line(id)}")


@contextmanager
def opened(memory: Path | None) -> Iterator[KeyStore]:
    """Open the keys of a memory; create the file that holds them if it is missing."""
    from engram.serve.auth.keys import KeyStore
    from engram.serve.database import ServerDatabase

    with ServerDatabase(database_path(memory)) as database:
        yield KeyStore(database)


def database_path(memory: Path | None) -> str:
    """Return the path of the server database that holds the keys of a memory."""
    from engram.opening import default_path
    from engram.serve.database import server_database_path

    return server_database_path(default_path() if memory is None else memory)


def record(row: KeyRow) -> dict[str, object]:
    """Return a key as JSON values."""
    return {
        "id": row.key_id,
        "name": row.name,
        "namespace": row.namespace,
        "prefix": row.prefix,
        "admin": row.admin,
        "read": row.read,
        "write": row.write,
        "erase": row.erase,
        "created": row.created.isoformat(),
        "revoked": None if row.revoked is None else row.revoked.isoformat(),
    }


def covers(row: KeyRow) -> str:
    """Return which namespaces a key covers, in words."""
    if row.admin:
        return "all namespaces"
    return f"the namespace {row.namespace}" if row.prefix is None else f"the namespaces {row.prefix}..."


def rights(row: KeyRow) -> str:
    """Return which rights a key has, in words."""
    return ", ".join(right for right in ("read", "write", "erase") if getattr(row, right))


def keys(context: typer.Context) -> None:
    """Create, list and revoke the keys of the server.

    They are stored next to the memory, in the file PATH.serve.

    Example:
      engram keys create --namespace ana
      engram keys list
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


keys_app = typer.Typer(add_completion=False)
keys_app.callback(invoke_without_command=True, help=help_of(keys))(keys)
for command_name, command in (("create", create), ("list", list_keys), ("revoke", revoke)):
    keys_app.command(command_name, help=help_of(command))(command)
