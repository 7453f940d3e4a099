"""`engram backup` and `engram restore`."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engram.cli.options import Json, MemoryPath
from engram.cli.output import escape_line, format_bytes, print_json

if TYPE_CHECKING:
    from engram.backup import Copy

Force = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]


def backup(
    target: Annotated[Path, typer.Argument(metavar="MEMORY_OUT", help="The file of the backup.", show_default=False)],
    path: MemoryPath = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Copy a memory, while a server may be writing to it.

    The backup is one file, with MEMORY_OUT.serve beside it if a server uses the memory (its keys).
    It holds all that was stored before, and nothing that was forgotten. It is checked, and appears
    when it is whole.

    Example:
      engram backup /mnt/backups/monday.db
      engram backup monday.db --memory assistant.db --force
    """
    from engram.backup import back_up
    from engram.opening import default_path

    copy = back_up(default_path() if path is None else path, target, overwrite=force)
    _print(copy, "backed up to", as_json)
    if not as_json:
        command = f"engram restore {shlex.quote(copy.target)} --memory {shlex.quote(copy.source)}"
        typer.echo(f"restore it with: {escape_line(command)}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="The file of the backup.", show_default=False)],
    path: MemoryPath = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Put a backup in the place of a memory.

    Stop the server and end every program that uses the memory first; else nothing is changed and
    the exit code is 4. The backup is checked before. The index is built anew when the memory is next
    opened. A server's file that is there stays, so that revoked keys stay revoked; else the backup's
    is used.

    Example:
      engram restore /mnt/backups/monday.db --force
    """
    from engram.backup import restore as put_back
    from engram.opening import default_path

    copy = put_back(source, default_path() if path is None else path, overwrite=force)
    _print(copy, "restored to", as_json)
    if not as_json:
        typer.echo("start the server again; the index is built when the memory is opened")


def _print(copy: Copy, done: str, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(copy))
        return
    size = format_bytes(copy.bytes)
    documents = f" and {copy.state_documents:,} state documents" if copy.state_documents else ""
    typer.echo(f"{copy.engrams:,} memories{documents} {done} {escape_line(copy.target)} ({size}), and checked")
    if copy.server:
        typer.echo(f"with the server's file: {escape_line(copy.target)}.serve")
