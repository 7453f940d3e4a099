"""`engram facts`, `engram profile`, `engram working` and `engram reflect`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from engram.cli.options import (
    EncoderName,
    Json,
    MemoryPath,
    ModelPrices,
    MoneyPerDay,
    Namespace,
    Timezone,
    TokensPerDay,
    UsageError,
    given_time,
    open_memory,
    time_option,
)
from engram.cli.output import escape, escape_line, print_json, print_note
from engram.cli.recall import QueryArgument
from engram.engram import DEFAULT_NAMESPACE
from engram.formats.results import fact_record, profile_record, working_record
from engram.notes.zones import MACHINE, local, profile_in_zone
from engram.reflection.proposals.asking import TOKENS_PER_DAY, Asking

if TYPE_CHECKING:
    from engram.reflection.proposals.proposer import Asked

At = Annotated[
    datetime | None,
    typer.Option(
        metavar="TIME",
        parser=time_option,
        help="What held at this time, in ISO 8601; now by default.",
        show_default=False,
    ),
]
Budget = Annotated[int, typer.Option(min=1, metavar="TOKENS", help="Maximum tokens of the text.")]


def facts(
    namespace: Namespace = DEFAULT_NAMESPACE,
    slot: Annotated[
        str | None,
        typer.Option(help="Only what fills this attribute: home, job, phone, partner ...", show_default=False),
    ] = None,
    at: At = None,
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
                by = "" if older.closed_by_model is None else f" (closed by the model {older.closed_by_model})"
                when = f"{local(older.since, timezone):%Y-%m-%d}"
                typer.echo(escape_line(f"            before that, {when}: {older.text}{by}"))
        if not found:
            print_note("nothing that was said here holds")
    note_unread(found.unread)


def profile(
    namespace: Namespace = DEFAULT_NAMESPACE,
    at: At = None,
    budget: Budget = 512,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Print who a user is now, what they always want, and what they are about, in dated quotes.

    Each line is a part of a turn, word for word. What does not fit into the budget is left out.

    Example:
      engram profile --namespace ana
      engram profile --at 2026-03-01 --budget 200 --json
    """
    with open_memory(path) as memory:
        found = memory.profile(namespace=namespace, at=given_time(at, timezone), budget=budget)
    if as_json:
        print_json(profile_record(profile_in_zone(found, timezone)) | {"unread": found.unread})
    elif found.text:
        typer.echo(escape(profile_in_zone(found, timezone).text))
    else:
        print_note("nothing that was said here goes into a profile, or the budget is too small")
    note_unread(found.unread)


def working(
    query: QueryArgument,
    namespace: Namespace = DEFAULT_NAMESPACE,
    budget: Budget = 2_000,
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent", "-a", metavar="NAME", help="Begin with the state documents of this agent.", show_default=False
        ),
    ] = None,
    at: At = None,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    encoder: EncoderName = None,
    as_json: Json = False,
) -> None:
    """Print what a model should have before it answers a message, within a budget.

    First what the user has said that they want, then who they are, then what was last said of the
    people, places and things that the message names, then the passages that recall finds; with
    --agent before these where that agent stopped (engram state).

    Example:
      engram working "What does the ticket to Bergen cost?" --namespace ana
      engram working "Book me a table." --budget 500 --json
      engram working "Where were we?" --agent planner
    """
    with open_memory(path) as memory:
        moment, now = given_time(at, timezone), datetime.now(timezone)
        found = memory.working(query, namespace=namespace, budget=budget, now=now, at=moment, agent=agent)
    if as_json:
        print_json(working_record(found) | {"unread": found.unread})
    elif found.parts:
        typer.echo(escape(found.text))
    else:
        print_note(f"nothing in the namespace {namespace} bears on this, or the budget is too small")
    note_unread(found.unread)


def note_unread(count: int) -> None:
    """Print a remark on stderr if turns were not read yet."""
    if count:
        print_note(f"{count:,} turns were not read yet; run: engram reflect")


def reflect(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            envvar="ENGRAM_REFLECT_MODEL",
            help="A model that is then asked what replaced what: URL#NAME, smollm2, or a .gguf file. Its key is"
            " ENGRAM_MODEL_KEY. Default: none.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        float, typer.Option(min=0, metavar="MINUTES", help="Minutes that a session must have had no new turn.")
    ] = 0.0,
    tokens: TokensPerDay = TOKENS_PER_DAY,
    money: MoneyPerDay = None,
    prices: ModelPrices = None,
    drop_proposals: Annotated[
        bool,
        typer.Option("--drop-proposals", help="Delete what the model with the name --model proposed, or all models."),
    ] = False,
    ask_again: Annotated[
        bool, typer.Option("--ask-again", help="With --drop-proposals: ask about all sessions again the next time.")
    ] = False,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Read the turns that were not read yet for what they state, so that `engram facts` knows them.

    What was read is kept beside the index; a run that is broken off goes on where it stopped. With --model a
    language model is asked then, one call for each session with something new (see docs/facts.md).

    Example:
      engram reflect
      engram reflect --model https://api.deepseek.com/v1#deepseek-chat --prices 0.27:1.10 --money 0.50
      engram reflect --drop-proposals --model deepseek-chat
    """
    if ask_again and not drop_proposals:
        raise UsageError("--ask-again is for --drop-proposals")
    try:
        asking = Asking(quiet=quiet * 60, tokens_per_day=tokens, money_per_day=money, prices=prices)
    except ValueError as error:
        raise UsageError(str(error)) from None
    with open_memory(path) as memory:
        if drop_proposals:
            print_dropped(memory.drop_proposals(name_of(model), ask_again=ask_again), as_json)
            return
        read = memory.reflect()
        asked = None if model is None else memory.propose(model, asking=asking)
    if as_json:
        print_json({"read": read} | ({} if asked is None else {"asked": asked._asdict()}))
        return
    print_note(f"{read:,} turns were read")
    if asked is not None:
        print_asked(asked)


def name_of(model: str | None) -> str | None:
    """Return the name of the model that a value of --model names: that after the # of a URL."""
    return None if model is None else model.rpartition("#")[2]


def print_dropped(count: int, as_json: bool) -> None:
    """Print how many proposals were deleted."""
    if as_json:
        print_json({"dropped": count})
    else:
        print_note(f"{count:,} proposals were deleted")


def print_asked(asked: Asked) -> None:
    """Print what came of the calls of a model."""
    print_note(
        f"the model answered about {asked.sessions:,} sessions: {asked.accepted:,} proposals were kept,"
        f" {asked.dropped:,} dropped"
    )
    if asked.failed:
        print_note(f"{asked.failed:,} calls failed; these sessions are asked about again later (engram stats)")
    if asked.over_budget:
        print_note("the budget of this day is used up; the next run goes on (engram stats)")
