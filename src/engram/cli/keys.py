"""`engram keys`: who may call the server, and for which namespaces.

Owns the commands' options and what they print. What a key is, and how it is kept, is `engram.serve.access`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engram.cli.options import Json, MemoryPath, UsageError, help_of
from engram.cli.output import escape_line, print_json, print_note
from engram.errors import NotFound

if TYPE_CHECKING:
    from engram.serve.auth.access import Keys
    from engram.serve.conversations.log import KeyRow


def create(
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", metavar="NAME", help="For this namespace.", show_default=False)
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", metavar="PREFIX", help="For the namespaces that begin so.", show_default=False),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="For all namespaces, and the figures of the server.")] = False,
    read: Annotated[bool, typer.Option(help="May recall, list and export.")] = True,
    write: Annotated[bool, typer.Option(help="May remember.")] = True,
    erase: Annotated[bool, typer.Option(help="May forget and erase.")] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What it is for, to know it by.", show_default=False)
    ] = None,
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Make a key, and print it: once, because only a hash of it is kept.

    Callers send it as X-Engram-Key, or as Authorization: Bearer. As soon as there is a key, the
    server answers nobody without one, also one that runs already.

    Example:
      engram keys create --namespace ana --name laptop
      engram keys create --prefix team- --erase
    """
    if [namespace is not None, prefix is not None, admin].count(True) != 1:
        raise UsageError("name what the key is for: --namespace, --prefix or --admin")
    with opened(memory) as book:
        key_id, key = book.create(
            name=name, namespace=namespace, prefix=prefix, admin=admin, read=read, write=write, erase=erase
        )
        row = next(row for row in book.list() if row.key_id == key_id)
    if as_json:
        print_json(record(row) | {"key": key})
    else:
        typer.echo(key)
        print_note(f"key {key_id}, for {covers(row)}, may {rights(row)}; it is shown only now")


def list_keys(memory: MemoryPath = None, as_json: Json = False) -> None:
    """List the keys, those that were revoked too; the keys themselves are not kept.

    With --json, one object a line.

    Example:
      engram keys list --memory assistant.db
    """
    rows: Sequence[KeyRow] = []
    if os.path.exists(book_path(memory)):
        with opened(memory) as book:
            rows = book.list()
    if as_json:
        for row in rows:
            print_json(record(row))
        return
    for row in rows:
        state = "" if row.revoked is None else f"  revoked {row.revoked:%Y-%m-%d %H:%M}"
        called = "" if row.name is None else f"  ({row.name})"
        line = f"{row.key_id}  {row.created:%Y-%m-%d %H:%M}  {rights(row):<18}  {covers(row)}{called}{state}"
        typer.echo(escape_line(line))
    if not rows:
        print_note("no keys: the server serves this machine only, and everybody on it")


def revoke(
    id: Annotated[str, typer.Argument(help="The id of the key, as list shows it.", show_default=False)],
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Let a key be valid no longer; a running server knows it within a second.

    Revoking the last key does not open the server: who calls then needs a new one.

    Example:
      engram keys revoke 3f9c0a1b2d4e
    """
    if not os.path.exists(book_path(memory)):
        raise NotFound(f"there are no keys at {book_path(memory)}; engram keys create makes one")
    with opened(memory) as book:
        book.revoke(id)
    if as_json:
        print_json({"revoked": id})
    else:
        typer.echo(f"revoked {escape_line(id)}")


@contextmanager
def opened(memory: Path | None) -> Iterator[Keys]:
    """The keys of a memory; the file that holds them is made if it is not there."""
    from engram.serve.auth.access import Keys
    from engram.serve.conversations.log import ServerDatabase

    with ServerDatabase(book_path(memory)) as ledger:
        yield Keys(ledger)


def book_path(memory: Path | None) -> str:
    """Where the keys of a memory lie."""
    from engram.memory import default_path
    from engram.serve.conversations.log import server_database_path

    return server_database_path(default_path() if memory is None else memory)


def record(row: KeyRow) -> dict[str, object]:
    """A key as JSON values."""
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
    """What a key is for."""
    if row.admin:
        return "all namespaces"
    return f"the namespace {row.namespace}" if row.prefix is None else f"the namespaces {row.prefix}..."


def rights(row: KeyRow) -> str:
    """What a key may do."""
    return ", ".join(right for right in ("read", "write", "erase") if getattr(row, right))


def keys(context: typer.Context) -> None:
    """Make, list and revoke the keys of the server.

    They lie beside the memory, in the file PATH.serve.

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
