"""`engram forget` and `engram compact`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from engram.cli.options import Before, Json, MemoryPath, UsageError, opened
from engram.cli.output import answer, one_line, size
from engram.engram import DEFAULT_NAMESPACE
from engram.errors import NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from engram.memory import Memory


def forget(
    id: Annotated[str | None, typer.Option("--id", metavar="ID", help="This one.", show_default=False)] = None,
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
            help="All of this namespace; or the one that --session or --before is about (default: default).",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Forget memories: what all the given conditions mean, at once, for every recall.

    On a terminal it asks before it forgets more than one. What is forgotten stands in the files
    until engram compact takes it out.

    Example:
      engram forget --id 019c2f7e-5c1a-7d70-8a3b-0f5d7e9a1c22
      engram forget --namespace ana --session 2026-03-02
    """
    if id is None and session is None and before is None and namespace is None:
        raise UsageError("name what to forget: --id, --session, --before or --namespace")
    if id is None and namespace is None:
        namespace = DEFAULT_NAMESPACE
    with opened(memory) as kept:
        if id is None and not yes and sys.stdin.isatty():
            _ask(kept, namespace, session, before)
        count = kept.forget(id=id, namespace=namespace, session=session, before=before)
        if id is not None and not count:
            raise NotFound(f"no memory has the id {id}" + (" and meets the other conditions" if namespace else ""))
    if as_json:
        answer({"forgotten": count})
    else:
        typer.echo(f"forgot {count:,}" + ("; engram compact takes it out of the files" if count else ""))


def _ask(memory: Memory, namespace: str | None, session: str | None, before: datetime | None) -> None:
    count = sum(1 for _ in memory.engrams(namespace=namespace, session=session, before=before))
    if count > 1:
        place = f"the namespace {namespace}" + ("" if session is None else f", session {session}")
        typer.confirm(f"Forget {count:,} memories of {one_line(place)}?", abort=True, err=True)


def compact(memory: MemoryPath = None, as_json: Json = False) -> None:
    """Take what was forgotten out of every file of the memory.

    Rewrites the file and makes the index again: a matter of seconds for a hundred thousand memories.

    Example:
      engram forget --session 2026-03-02 --yes && engram compact
    """
    with opened(memory) as kept:
        before = _bytes(kept)
        kept.compact()
        after = _bytes(kept)
    if as_json:
        answer({"bytes_before": before, "bytes_after": after})
    else:
        typer.echo(f"{size(before)} before, {size(after)} after")


def _bytes(memory: Memory) -> int:
    found = memory.stats()
    return found.store_bytes + found.index_bytes
