"""`engram arcs` and `engram arc`."""

from __future__ import annotations

from typing import Annotated

import typer

from engram.cli.facts import At, note_unread
from engram.cli.options import Json, MemoryPath, Namespace, Timezone, given_time, open_memory
from engram.cli.output import escape_line, print_json, print_note
from engram.engram import DEFAULT_NAMESPACE
from engram.formats.arcs import arc_record, view_record
from engram.notes.arcs import arc_line, view_lines
from engram.notes.zones import MACHINE


def arcs(
    namespace: Namespace = DEFAULT_NAMESPACE,
    at: At = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of arcs.")] = 50,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Print the chains of turns that share a person, a place or a thing.

    Those of the most sessions come first. A title is what the turns share, in their own words.

    Example:
      engram arcs --namespace ana
      engram arcs --at 2026-03-01 --json
    """
    with open_memory(path) as memory:
        found = memory.arcs(namespace=namespace, at=given_time(at, timezone), limit=limit)
    if as_json:
        print_json({"arcs": list(map(arc_record, found)), "unread": found.unread})
    else:
        for arc in found:
            typer.echo(escape_line(arc_line(arc, timezone)))
        if not found:
            print_note(f"no person, place or thing comes back in the turns of the namespace {namespace}")
    note_unread(found.unread)


def arc(
    id: Annotated[str, typer.Argument(metavar="id", help="The id of an arc, or a name that turns share.")],
    namespace: Namespace = DEFAULT_NAMESPACE,
    at: At = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of its last turns are read.")] = 200,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Print one arc: what was last said of each person or thing in it, what is open, and its turns.

    Each line is a part of a turn, word for word, with its day, who said it, and the id of the turn.

    Example:
      engram arc lisbon --namespace ana
      engram arc "Heron Lock" --at 2026-03-01 --json
    """
    with open_memory(path) as memory:
        found = memory.arc(id, namespace=namespace, at=given_time(at, timezone), limit=limit)
    if as_json:
        print_json(view_record(found) | {"unread": found.unread})
    else:
        for line in view_lines(found, timezone):
            typer.echo(escape_line(line))
    note_unread(found.unread)
