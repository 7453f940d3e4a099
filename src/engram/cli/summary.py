"""`engram summary`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from engram.cli.facts import Budget, note_unread
from engram.cli.options import (
    Json,
    MemoryPath,
    Namespace,
    OnlySession,
    Timezone,
    UsageError,
    given_time,
    open_memory,
    time_option,
)
from engram.cli.output import escape, print_json, print_note
from engram.engram import DEFAULT_NAMESPACE
from engram.formats.results import summary_record
from engram.notes.zones import MACHINE, summary_in_zone

Since = Annotated[
    datetime | None,
    typer.Option(
        parser=time_option,
        metavar="TIME",
        help="Only what was said at this time or later (ISO 8601; see --timezone).",
        show_default=False,
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=time_option, metavar="TIME", help="Only what was said before this time.", show_default=False),
]
Period = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="day, week, month (30 days) or year (365 days), which ends at --until, by default now.",
        show_default=False,
    ),
]


def summary(
    namespace: Namespace = DEFAULT_NAMESPACE,
    session: OnlySession = None,
    since: Since = None,
    until: Until = None,
    period: Period = None,
    budget: Budget = 512,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Print what a session or a period was about, in sentences chosen from it, in the order of time.

    Each line is a sentence of a turn, word for word, below its day, with who said it. --json has the
    ids of the turns.

    Example:
      engram summary --session 2026-03-02
      engram summary --period year --budget 1000
    """
    with open_memory(path) as memory:
        try:
            found = memory.summary(
                namespace=namespace,
                session=session,
                since=given_time(since, timezone),
                until=given_time(until, timezone),
                period=period,
                budget=budget,
            )
        except ValueError as error:
            raise UsageError(str(error)) from None
    shown = summary_in_zone(found, timezone)
    if as_json:
        print_json(summary_record(shown) | {"unread": found.unread})
    elif shown.quotes:
        typer.echo(escape(shown.text))
    else:
        print_note("nothing that tells something was said there, or the budget is too small")
    note_unread(found.unread)
