"""`engram memories` and `engram stats`: list the contents of a memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Annotated

import typer

from engram.cli.options import (
    After,
    AnyNamespace,
    Before,
    EncoderName,
    Json,
    Kinds,
    MemoryPath,
    OnlySession,
    Timezone,
    given_time,
    open_memory,
)
from engram.cli.output import escape_line, format_bytes, print_engram, print_json, print_note, print_table
from engram.engram import DEFAULT_NAMESPACE
from engram.notes.zones import MACHINE
from engram.records import to_record
from engram.reflection.proposals.asking import ProposalStats

PAGE = 1_000
"""Namespaces or sessions that are read at a time."""


def memories(
    namespace: AnyNamespace = None,
    session: OnlySession = None,
    before: Before = None,
    after: After = None,
    kind: Kinds = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="Maximum number of memories.")] = 20,
    after_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The first ones after this one, instead of the last ones.", show_default=False),
    ] = None,
    namespaces: Annotated[bool, typer.Option("--namespaces", help="List the namespaces instead.")] = False,
    sessions: Annotated[bool, typer.Option("--sessions", help="List the sessions of the namespace instead.")] = False,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """List the last memories, in the order in which they were remembered.

    With --json, one object per line.

    Example:
      engram memories --namespace ana --limit 50
      engram memories --sessions --namespace ana
    """
    with open_memory(path) as memory:
        if namespaces or sessions:
            of = (
                partial(memory.namespaces, "")
                if namespaces
                else partial(memory.sessions, namespace or DEFAULT_NAMESPACE)
            )
            print_counts("namespace" if namespaces else "session", paged(of), as_json)
            return
        newest = after_id is None
        engrams = list(
            memory.engrams(
                namespace=namespace,
                session=session,
                before=given_time(before, timezone),
                after=given_time(after, timezone),
                kinds=kind,
                limit=limit,
                after_id=after_id,
                newest=newest,
            )
        )
        if newest:
            engrams.reverse()
    for engram in engrams:
        if as_json:
            print_json(to_record(engram))
        else:
            print_engram(engram, namespace=namespace is None, zone=timezone)
    if not engrams:
        print_note("no memories")


def paged(of: Callable[..., list[tuple[str, int]]]) -> Iterator[tuple[str, int]]:
    """Yield the names that `of` lists with their numbers of memories, read `PAGE` at a time."""
    page = of(limit=PAGE)
    while page:
        yield from page
        page = of(limit=PAGE, after=page[-1][0])


def print_counts(label: str, counts: Iterable[tuple[str, int]], as_json: bool) -> None:
    """Print names (of `label`s: namespaces or sessions) with their number of memories."""
    for name, count in counts:
        if as_json:
            print_json({label: name, "engrams": count})
        else:
            typer.echo(f"{count:>9,}  {escape_line(name)}")


def print_proposals(figures: ProposalStats) -> None:
    """Print what models were asked about statements, if one was."""
    if not figures.calls:
        return

    def counts(reasons: Mapping[str, int]) -> str:
        return ", ".join(f"{count:,} {reason}" for reason, count in reasons.items()) or "none"

    print_table(
        {
            "calls of a model": f"{figures.calls:,}",
            "calls that failed": counts(figures.failures),
            "tokens read, written": f"{figures.tokens_in:,}, {figures.tokens_out:,}",
            "tokens of this day": f"{figures.tokens_today:,}",
            "money, this day": f"{figures.money:.4f}, {figures.money_today:.4f}",
            "proposals kept": counts(figures.accepted),
            "proposals dropped": counts(figures.dropped),
            "sessions to ask about": f"{figures.waiting:,}",
        }
    )


def stats(path: MemoryPath = None, encoder: EncoderName = None, as_json: Json = False) -> None:
    """Show the figures of the memory.

    Example:
      engram stats --memory assistant.db
    """
    with open_memory(path) as memory:
        figures = memory.stats()
    if as_json:
        print_json(dataclasses.asdict(figures))
        return
    print_table(
        {
            "memory": figures.path,
            "memories": f"{figures.engrams:,}",
            "namespaces": f"{figures.namespaces:,}",
            "sessions": f"{figures.sessions:,}",
            "in quarantine": f"{figures.quarantined:,}",
            "state documents": f"{figures.state_documents:,}",
            "not indexed yet": f"{figures.unindexed:,}",
            "not encoded yet": f"{figures.unencoded:,}",
            "store": format_bytes(figures.store_bytes),
            "index": format_bytes(figures.index_bytes),
        }
    )
    print_proposals(figures.proposals)
    if figures.index_trouble:
        print_note(f"the index cannot be used: {figures.index_trouble}; engram reindex rebuilds it")
