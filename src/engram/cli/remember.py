"""`engram remember`."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer

from engram.cli.options import (
    EncoderName,
    Json,
    MemoryPath,
    Namespace,
    Redact,
    Timezone,
    UsageError,
    given_time,
    open_memory,
    time_option,
)
from engram.cli.output import escape_line, print_json, print_note
from engram.engram import DEFAULT_NAMESPACE, DEFAULT_SESSION
from engram.errors import InvalidEngram
from engram.notes.zones import MACHINE
from engram.records import RepeatedKey, from_json, to_record

MOST_STDIN = 16 << 20
"""Bytes of stdin that are read: JSON can write a value of 1 MiB in six times as many, and more with spaces."""


def remember(
    text: Annotated[str, typer.Argument(help="The text; - reads it from stdin.", show_default=False)],
    namespace: Namespace = DEFAULT_NAMESPACE,
    session: Annotated[str, typer.Option("--session", "-s", metavar="NAME", help="The session.")] = DEFAULT_SESSION,
    role: Annotated[str, typer.Option(help="user, assistant, system or tool.")] = "user",
    speaker: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of the speaker.", show_default=False)
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=time_option,
            metavar="TIME",
            help="The time of the turn (ISO 8601; see --timezone). Default: now.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[str, typer.Option(help="turn, fact, summary, ...")] = "turn",
    source: Annotated[str | None, typer.Option(help="The origin of the text.", show_default=False)] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="JSON", help="A JSON object to store with it.", show_default=False)
    ] = None,
    redact: Redact = "",
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    encoder: EncoderName = None,
    as_json: Json = False,
) -> None:
    """Store a text verbatim. When the command ends, the text is durable.

    Prints the id of the new memory. One newline at the end of a text from stdin is removed.

    Example:
      engram remember "My dog is called Biscuit." --speaker Ana
      pbpaste | engram remember - --session 2026-03-02
    """
    with open_memory(path, create=True, redact=redact) as memory:
        engram = memory.remember(
            stdin_text() if text == "-" else text,
            namespace=namespace,
            session=session,
            role=role,
            speaker=speaker,
            at=given_time(at, timezone),
            kind=kind,
            source=source,
            metadata=None if metadata is None else json_object(metadata),
        )
        expired = engram.quarantined is None and not memory.get_many([engram.id])
    if as_json:
        print_json(to_record(engram))
    else:
        typer.echo(escape_line(engram.id))
    if expired:
        print_note("it has expired already, by the policy of its namespace: see engram policy show")
    if engram.quarantined is not None:
        print_note(f"it is in quarantine: {engram.quarantined}; to release it: engram quarantine --release {engram.id}")


def stdin_text() -> str:
    """Return stdin as UTF-8 text, without one newline at its end.

    Raises `InvalidEngram` if it is not UTF-8, or over `MOST_STDIN`.
    """
    content = sys.stdin.buffer.read(MOST_STDIN + 1)
    if len(content) > MOST_STDIN:
        raise InvalidEngram(f"stdin holds over {MOST_STDIN >> 20} MiB; a text or a value is at most 1 MiB")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InvalidEngram(f"stdin is not UTF-8: {error.reason} at byte {error.start + 1}") from None
    return text.removesuffix("\n").removesuffix("\r")


def json_object(text: str) -> dict[str, object]:
    """Return the JSON object in the value of an option. Raises `UsageError` if it is not a JSON object."""
    try:
        value = from_json(text)
    except RepeatedKey as error:
        raise UsageError(f"--metadata has a key twice: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--metadata is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"--metadata is {type(value).__name__}; it must be a JSON object")
    return value
