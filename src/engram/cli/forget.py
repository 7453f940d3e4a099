"""`engram forget` and `engram compact`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from engram.cli.options import Before, Json, MemoryPath, Timezone, UsageError, given_time, open_memory
from engram.cli.output import escape_line, format_bytes, print_json
from engram.engram import DEFAULT_NAMESPACE
from engram.errors import NotFound
from engram.notes.zones import MACHINE

if TYPE_CHECKING:
    from datetime import datetime

    from engram.memory import Memory


def forget(
    id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The memory with this id.", show_default=False)
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", "-s", metavar="NAME", help="This session.", show_default=False)
    ] = None,
    before: Before = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NAME",
            help="This whole namespace; with --session or --before, the namespace of these (default: default).",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Forget the memories that meet all given conditions. No later recall returns them.

    A whole namespace is forgotten with the documents of its agents (engram state), which count as
    one each. On a terminal it asks before it forgets more than one memory. Forgotten text stays in
    the files until engram compact removes it.

    Example:
      engram forget --id 019c2f7e-5c1a-7d70-8a3b-0f5d7e9a1c22
      engram forget --namespace ana --session 2026-03-02
    """
    if id is None and session is None and before is None and namespace is None:
        raise UsageError("name what to forget: --id, --session, --before or --namespace")
    if id is None and namespace is None:
        namespace = DEFAULT_NAMESPACE
    before = given_time(before, timezone)
    with open_memory(path) as memory:
        if id is None and not yes and sys.stdin.isatty():
            _confirm(memory, namespace, session, before)
        count = memory.forget(id=id, namespace=namespace, session=session, before=before)
        if id is not None and not count:
            raise NotFound(f"no memory has the id {id}" + (" and meets the other conditions" if namespace else ""))
    if as_json:
        print_json({"forgotten": count})
    else:
        typer.echo(f"forgot {count:,}" + ("; engram compact removes the text from the files" if count else ""))


def _confirm(memory: Memory, namespace: str | None, session: str | None, before: datetime | None) -> None:
    """Ask before more than one memory is forgotten. Raises `typer.Abort` if the answer is no."""
    parts = (memory.engrams, memory.quarantined)
    count = sum(1 for part in parts for _ in part(namespace=namespace, session=session, before=before))
    whole = session is None and before is None
    documents = sum(1 for _ in memory.state_documents(namespace=namespace)) if whole else 0
    if count + documents > 1:
        where = f"the namespace {namespace}" + ("" if session is None else f", session {session}")
        what = f"{count:,} memories" + (f" and {documents:,} state documents" if documents else "")
        typer.confirm(f"Forget {what} of {escape_line(where)}?", abort=True, err=True)


def compact(path: MemoryPath = None, as_json: Json = False) -> None:
    """Remove the text of forgotten and expired memories from every file of the memory.

    Rewrites the file and rebuilds the index: a few seconds for a hundred thousand memories. Also
    removes the names of forgotten namespaces and sessions from the file of engram serve.

    Example:
      engram forget --session 2026-03-02 --yes && engram compact
    """
    from engram.serve.erasure import erase_beside

    with open_memory(path) as memory:
        before = _bytes(memory)
        expired = memory.forget_expired()
        memory.compact()
        erase_beside(memory)
        after = _bytes(memory)
    if as_json:
        print_json({"bytes_before": before, "bytes_after": after, "expired": expired})
    else:
        if expired:
            typer.echo(f"forgot {expired:,} that had expired")
        typer.echo(f"{format_bytes(before)} before, {format_bytes(after)} after")


def _bytes(memory: Memory) -> int:
    stats = memory.stats()
    return stats.store_bytes + stats.index_bytes
