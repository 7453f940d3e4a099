"""Options that several commands share, and the parsing of their values.

Owns their names and help, and the location of the memory: --memory, else ENGRAM_MEMORY (read by the option when a
command runs), else the default path of the user.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engram.engram import Origin
from engram.errors import EngramError, InvalidEngram, NotFound
from engram.notes.zones import with_zone, zone_named
from engram.reflection.proposals.asking import Prices, prices_of
from engram.text.redaction import open_redactor, redaction_kinds
from engram.times import as_utc, parse_time

if TYPE_CHECKING:
    from engram.memory import Memory


class UsageError(typer.TyperException):
    """Options that contradict each other, or a value that cannot be parsed."""

    exit_code = 2


def time_option(text: str | datetime) -> datetime:
    """Return the time in ISO 8601 text, naive if it names no zone (see `given_time`).

    Raises `typer.BadParameter` if it is no such text.
    """
    if isinstance(text, datetime):
        return text
    try:
        moment = parse_time("the time", text)
        as_utc("the time", moment)
    except InvalidEngram as error:
        raise typer.BadParameter(str(error)) from None
    return moment


def given_time(moment: datetime | None, zone: tzinfo) -> datetime | None:
    """Return the time of an option: without a zone of its own it is a time in `zone`, the value of --timezone."""
    return None if moment is None else with_zone(moment, zone)


def zone_option(name: str | tzinfo) -> tzinfo:
    """Return the time zone with an IANA name. Raises `typer.BadParameter` if it cannot be found."""
    if isinstance(name, tzinfo):
        return name
    try:
        return zone_named(name)
    except EngramError as error:
        raise typer.BadParameter(str(error)) from None


def memory_path(path: Path | None) -> Path | None:
    """Return the path of --memory with the home folder in place of "~". Raises `EngramError` for a URL."""
    if path is None:
        return None
    from engram.opening import file_of

    return Path(file_of(path))


def encoder_option(name: str | None) -> str | None:
    """Name the encoder for this process and those that it starts. Raises `typer.BadParameter` for another name."""
    if name:
        from engram.meaning.encoders import VARIABLE, check_encoder

        try:
            check_encoder(name)
        except EngramError as error:
            raise typer.BadParameter(str(error)) from None
        os.environ[VARIABLE] = name
    return name


def redact_option(text: str) -> str:
    """Return the value of --redact. Raises `typer.BadParameter` if it names what cannot be taken out."""
    try:
        open_redactor(redaction_kinds(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def prices_option(text: str | Prices) -> Prices:
    """Return the prices in a text such as 0.27:1.10. Raises `typer.BadParameter` if it is no such text."""
    if isinstance(text, Prices):
        return text
    try:
        return prices_of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


MemoryPath = Annotated[
    Path | None,
    typer.Option(
        "--memory",
        "-m",
        envvar="ENGRAM_MEMORY",
        metavar="PATH",
        callback=memory_path,
        help="The file of the memory. Default: the user's memory.",
        show_default=False,
    ),
]
EncoderName = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        envvar="ENGRAM_ENCODER",
        metavar="NAME",
        callback=encoder_option,
        help="What makes vectors of texts: use (16 languages), contextual (the same, and English finds more, but at"
        " nine times the cost) or minilm (English; an extra). Default: use.",
        show_default=False,
    ),
]
"""The callback applies it, so a command only has the parameter."""
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
        parser=time_option,
        metavar="TIME",
        help="Only memories before this time (ISO 8601; see --timezone).",
        show_default=False,
    ),
]
After = Annotated[
    datetime | None,
    typer.Option(parser=time_option, metavar="TIME", help="Only memories at this time or later.", show_default=False),
]
Timezone = Annotated[
    tzinfo,
    typer.Option(
        "--timezone",
        envvar="ENGRAM_TIMEZONE",
        parser=zone_option,
        metavar="ZONE",
        help="The time zone of days and times, such as Europe/Oslo. Default: the machine's.",
        show_default=False,
    ),
]
Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind", metavar="KIND", help="Only this kind (turn, fact, ...). Can be repeated.", show_default=False
    ),
]
TRUST_HELP = "From most to least trusted: user, program, import, assistant, agent, document, tool."
Trust = Annotated[
    Origin | None,
    typer.Option(
        "--trust",
        metavar="ORIGIN",
        help=f"Only what came in by this way or by a more trusted one. {TRUST_HELP}",
        show_default=False,
    ),
]
Redact = Annotated[
    str,
    typer.Option(
        "--redact",
        metavar="WHAT",
        envvar="ENGRAM_REDACT",
        callback=redact_option,
        help="Take out before storing: secrets (keys, tokens, passwords), pii (e-mail addresses, numbers of phones, "
        "accounts and cards), or secrets,pii.",
        show_default=False,
    ),
]
LeastTrust = Annotated[
    Origin,
    typer.Option(
        "--least-trust",
        metavar="ORIGIN",
        envvar="ENGRAM_LEAST_TRUST",
        help=f"Which memories become notes: those that came in by this way or by a more trusted one. {TRUST_HELP}",
    ),
]
# What a model for reflection may cost. A command's parameter gives each its name: --money, --reflect-money.
TokensPerDay = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="TOKENS",
        envvar="ENGRAM_REFLECT_TOKENS",
        help="Maximum tokens, in a day in UTC, of the model for reflection.",
    ),
]
MoneyPerDay = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="MONEY",
        envvar="ENGRAM_REFLECT_MONEY",
        help="What that model may cost in a day, by its prices.",
        show_default=False,
    ),
]
ModelPrices = Annotated[
    Prices | None,
    typer.Option(
        parser=prices_option,
        metavar="IN:OUT",
        envvar="ENGRAM_REFLECT_PRICES",
        help="What a million tokens of that model cost, read and written, such as 0.27:1.10.",
        show_default=False,
    ),
]


def help_of(function: Callable[..., object]) -> str:
    """Return the help of a command from its docstring; the lines of its example are not joined."""
    return cleandoc(function.__doc__ or "").replace("\n\nExample:\n", "\n\n\b\nExample:\n")


@contextmanager
def open_memory(path: Path | None, *, create: bool = False, redact: str = "") -> Iterator[Memory]:
    """Open the memory at `path` (None: the user's memory) and close it at the end.

    redact: the value of --redact. Raises `NotFound` if the memory does not exist, unless `create`: a missing memory is
    usually a typing error.
    """
    from engram.memory import Memory
    from engram.opening import default_path

    where = default_path() if path is None else path
    if not create and str(where) != ":memory:" and not where.exists():
        raise NotFound(f"there is no memory at {where}; engram remember or engram import creates one")
    with Memory(where, redact=redaction_kinds(redact)) as memory:
        yield memory
