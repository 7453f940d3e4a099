"""Options that several commands share, and how their values are read.

Owns their names and help, and where the memory lies: --memory, else ENGRAM_MEMORY (read by the option, when a command
runs), else the user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engram.errors import InvalidEngram, NotFound

if TYPE_CHECKING:
    from engram.memory import Memory


class UsageError(typer.TyperException):
    """The options do not go together, or one of them cannot be understood."""

    exit_code = 2


def parse_time(text: str | datetime) -> datetime:
    """A time from ISO 8601; one without a zone is taken as UTC."""
    from engram.times import as_utc, parse_time

    if isinstance(text, datetime):
        return text
    try:
        return as_utc("the time", parse_time("the time", text))
    except InvalidEngram as error:
        raise typer.BadParameter(str(error)) from None


MemoryPath = Annotated[
    Path | None,
    typer.Option(
        "--memory",
        "-m",
        envvar="ENGRAM_MEMORY",
        metavar="PATH",
        help="The memory's file. Default: your own.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout, also for errors.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace.")]
AnyNamespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="Only this namespace. Default: all.", show_default=False),
]
OnlySession = Annotated[
    str | None, typer.Option("--session", "-s", metavar="NAME", help="Only this session.", show_default=False)
]
Before = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_time,
        metavar="TIME",
        help="Only what was said before this time (ISO 8601, UTC if it names no zone).",
        show_default=False,
    ),
]
After = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_time, metavar="TIME", help="Only what was said at this time or after it.", show_default=False
    ),
]
Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind", metavar="KIND", help="Only this kind (turn, fact, ...); may be given again.", show_default=False
    ),
]


def help_of(function: Callable[..., object]) -> str:
    """A command's help from its docstring: the lines of its example stay lines."""
    return cleandoc(function.__doc__ or "").replace("\n\nExample:\n", "\n\n\b\nExample:\n")


@contextmanager
def opened(path: Path | None, *, make: bool = False) -> Iterator[Memory]:
    """The memory, closed in the end. Unless `make`, one that is not there is an error: a typing error, most likely."""
    from engram.memory import Memory
    from engram.opening import default_path

    where = default_path() if path is None else path
    if not make and str(where) != ":memory:" and not where.exists():
        raise NotFound(f"there is no memory at {where}; engram remember or engram import makes one")
    with Memory(where) as memory:
        yield memory
