"""`engram remember`."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Annotated

import typer

from engram.cli.options import Json, MemoryPath, Namespace, UsageError, opened, parse_time
from engram.cli.output import answer, one_line
from engram.errors import InvalidEngram
from engram.records import to_record


def remember(
    text: Annotated[str, typer.Argument(help="What was said; - reads it from stdin.", show_default=False)],
    namespace: Namespace = "default",
    session: Annotated[str, typer.Option("--session", "-s", metavar="NAME", help="The conversation.")] = "default",
    role: Annotated[str, typer.Option(help="user, assistant, system or tool.")] = "user",
    speaker: Annotated[str | None, typer.Option(metavar="NAME", help="Who said it.", show_default=False)] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_time,
            metavar="TIME",
            help="When it was said (ISO 8601, UTC if it names no zone). Default: now.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[str, typer.Option(help="turn, fact, summary, ...")] = "turn",
    source: Annotated[str | None, typer.Option(help="Where it came from.", show_default=False)] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="JSON", help="A JSON object to keep with it.", show_default=False)
    ] = None,
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Keep something that was said. When the command ends, it is durable.

    Prints its id. Of a text from stdin, one newline at the end is left out.

    Example:
      engram remember "My dog is called Biscuit." --speaker Ana
      pbpaste | engram remember - --session 2026-03-02
    """
    said = stdin_text() if text == "-" else text
    with opened(memory, make=True) as kept:
        engram = kept.remember(
            said,
            namespace=namespace,
            session=session,
            role=role,
            speaker=speaker,
            at=at,
            kind=kind,
            source=source,
            metadata=None if metadata is None else json_object(metadata),
        )
    if as_json:
        answer(to_record(engram))
    else:
        typer.echo(one_line(engram.id))


def stdin_text() -> str:
    """What stdin holds, as UTF-8, without one newline at its end."""
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InvalidEngram(f"stdin is not UTF-8: {error.reason} at byte {error.start + 1}") from None
    return text.removesuffix("\n").removesuffix("\r")


def json_object(text: str) -> dict[str, object]:
    """The JSON object in an option's value."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--metadata is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"--metadata is {type(value).__name__}; it must be a JSON object")
    return value
