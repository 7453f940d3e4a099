"""`engram facts` and `engram reflect`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from engram.cli.options import (
    Json,
    MemoryPath,
    Namespace,
    Timezone,
    UsageError,
    given_time,
    open_memory,
    time_option,
)
from engram.cli.output import escape_line, print_json, print_note
from engram.engram import DEFAULT_NAMESPACE
from engram.formats.results import fact_record
from engram.notes.zones import MACHINE, local


def facts(
    namespace: Namespace = DEFAULT_NAMESPACE,
    slot: Annotated[
        str | None,
        typer.Option(help="Only what fills this attribute: home, job, phone, partner ...", show_default=False),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            parser=time_option,
            help="What held at this time, in ISO 8601; now by default.",
            show_default=False,
        ),
    ] = None,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Print what users said of lasting things, and what of it holds: the latest first.

    Each line is a sentence of a turn, with its day. Below it stands what it replaced.

    Example:
      engram facts --slot phone
      engram facts --at 2026-03-01 --json
    """
    with open_memory(path) as memory:
        try:
            found = memory.facts(namespace=namespace, slot=slot, at=given_time(at, timezone))
        except ValueError as error:
            raise UsageError(str(error)) from None
    if as_json:
        print_json({"facts": [fact_record(fact) for fact in found], "unread": found.unread})
    else:
        for fact in found:
            what = fact.kind if fact.slot is None else fact.slot
            typer.echo(escape_line(f"{local(fact.since, timezone):%Y-%m-%d}  {what:<12}  {fact.text}"))
            for older in fact.history:
                typer.echo(
                    escape_line(f"            before that, {local(older.since, timezone):%Y-%m-%d}: {older.text}")
                )
        if not found:
            print_note("nothing that was said here holds")
    if found.unread:
        print_note(f"{found.unread:,} turns were not read yet; run: engram reflect")


def reflect(path: MemoryPath = None, as_json: Json = False) -> None:
    """Read the turns that were not read yet for what they state, so that `engram facts` knows them.

    What was read is kept beside the index; a run that is broken off goes on where it stopped.

    Example:
      engram reflect
    """
    with open_memory(path) as memory:
        read = memory.reflect()
    if as_json:
        print_json({"read": read})
    else:
        print_note(f"{read:,} turns were read")
