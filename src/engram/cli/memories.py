"""`engram memories` and `engram stats`: what is there."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from engram.cli.options import After, AnyNamespace, Before, Json, Kinds, MemoryPath, OnlySession, opened
from engram.cli.output import answer, note, one_line, show, size, table
from engram.engram import DEFAULT_NAMESPACE
from engram.records import to_record


def memories(
    namespace: AnyNamespace = None,
    session: OnlySession = None,
    before: Before = None,
    after: After = None,
    kind: Kinds = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="How many at most.")] = 20,
    after_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="The first ones after this one, instead of the last ones there are.", show_default=False
        ),
    ] = None,
    namespaces: Annotated[bool, typer.Option("--namespaces", help="List the namespaces instead.")] = False,
    sessions: Annotated[bool, typer.Option("--sessions", help="List the sessions of the namespace instead.")] = False,
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """List memories, the last ones, in the order in which they were remembered.

    With --json, one object a line.

    Example:
      engram memories --namespace ana --limit 50
      engram memories --sessions --namespace ana
    """
    with opened(memory) as kept:
        if namespaces or sessions:
            named = kept.namespaces() if namespaces else kept.sessions(namespace or DEFAULT_NAMESPACE)
            counts("namespace" if namespaces else "session", named, as_json)
            return
        newest = after_id is None
        shown = list(
            kept.engrams(
                namespace=namespace,
                session=session,
                before=before,
                after=after,
                kinds=kind,
                limit=limit,
                after_id=after_id,
                newest=newest,
            )
        )
        if newest:
            shown.reverse()
    for engram in shown:
        if as_json:
            answer(to_record(engram))
        else:
            show(engram, namespace=namespace is None)
    if not shown:
        note("no memories")


def counts(what: str, named: list[tuple[str, int]], as_json: bool) -> None:
    """Names with how many memories they hold."""
    for name, count in named:
        if as_json:
            answer({what: name, "engrams": count})
        else:
            typer.echo(f"{count:>9,}  {one_line(name)}")


def stats(memory: MemoryPath = None, as_json: Json = False) -> None:
    """Show the memory in numbers.

    Example:
      engram stats --memory assistant.db
    """
    with opened(memory) as kept:
        found = kept.stats()
    if as_json:
        answer(dataclasses.asdict(found))
        return
    table(
        {
            "memory": found.path,
            "memories": f"{found.engrams:,}",
            "namespaces": f"{found.namespaces:,}",
            "sessions": f"{found.sessions:,}",
            "not indexed yet": f"{found.unindexed:,}",
            "store": size(found.store_bytes),
            "index": size(found.index_bytes),
        }
    )
    if found.index_trouble:
        note(f"the index cannot be used: {found.index_trouble}; engram reindex makes it again")
