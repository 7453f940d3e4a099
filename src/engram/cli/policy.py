"""`engram policy`: after which age memories expire.

Owns the options of the commands and their output. What a policy does belongs to `Memory.set_policy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from engram.cli.options import AnyNamespace, Json, MemoryPath, UsageError, help_of, open_memory
from engram.cli.output import escape_line, print_json, print_note
from engram.errors import InvalidEngram, NotFound
from engram.times import duration_in_words, parse_duration

if TYPE_CHECKING:
    from engram.memory import Memory
    from engram.store.policy import Policy

PAGE = 1_000
"""Policies that are read at a time."""


def duration_option(text: str | timedelta) -> timedelta:
    """Return the duration in the value of an option. Raises `typer.BadParameter` if it is none."""
    if isinstance(text, timedelta):
        return text
    try:
        return parse_duration("the age", text)
    except InvalidEngram as error:
        raise typer.BadParameter(str(error)) from None


OneNamespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="The policy of this namespace.", show_default=False),
]
All = Annotated[bool, typer.Option("--all", help="The default, for all namespaces without a policy of their own.")]


def show(namespace: AnyNamespace = None, path: MemoryPath = None, as_json: Json = False) -> None:
    """Print the policies: the default, and those of namespaces by name.

    With --namespace, print the policy that applies to it. With --json, print one object per line;
    the namespace of the default is null.

    Example:
      engram policy show
      engram policy show --namespace ana --json
    """
    from engram.formats.results import policy_record

    with open_memory(path) as memory:
        policies = list(_set(memory)) if namespace is None else [memory.policy(namespace)]
    for policy in policies:
        if as_json:
            print_json(policy_record(policy))
        elif namespace is None:
            typer.echo(escape_line(in_words(policy, policy.namespace)))
        else:
            inherited = " (the default)" if policy.namespace is None else ""
            typer.echo(escape_line(in_words(policy, namespace) + inherited))


def _set(memory: Memory) -> Iterator[Policy]:
    """Yield the default and the policies of namespaces."""
    yield memory.policy(None)
    after = ""
    while page := memory.policies(limit=PAGE, after=after):
        yield from page
        after = page[-1].namespace or ""


def set_policy(
    namespace: OneNamespace = None,
    everywhere: All = False,
    expire_after: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration_option,
            metavar="AGE",
            help="Memories expire at this age: 90 days, 12 h, 2 weeks, P90D (ISO 8601), ...; at most 36,500 days.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Memories never expire, whatever the default says.")] = False,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Set the age at which the memories of a namespace expire, or that they are kept.

    The age is that of the turn (its time, not when it was stored). It applies at once, to running
    servers too: an expired memory is neither recalled, listed nor counted. engram compact, or a
    running server within an hour, erases it for good; until then a longer age brings it back.

    Example:
      engram policy set --namespace ana --expire-after "90 days"
      engram policy set --all --expire-after P1D
      engram policy set --namespace archive --keep
    """
    _check_place(namespace, everywhere)
    if (expire_after is None) != keep:
        raise UsageError("say how long memories are kept: --expire-after AGE or --keep")
    with open_memory(path) as memory:
        before = _count(memory)
        policy = memory.set_policy(namespace, expire_after=expire_after)
        _print_change(policy, before, _count(memory), as_json)


def clear(
    namespace: OneNamespace = None,
    everywhere: All = False,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Remove the policy of a namespace, so that the default applies to it, or the default.

    What had expired by it and was not erased yet is back. Prints the policy that applies now.

    Example:
      engram policy clear --namespace ana
    """
    _check_place(namespace, everywhere)
    with open_memory(path) as memory:
        before = _count(memory)
        if not memory.clear_policy(namespace):
            whose = "there is no default policy" if namespace is None else f"no policy is set for {namespace!r}"
            raise NotFound(f"{whose}; engram policy show lists them")
        _print_change(memory.policy(namespace), before, _count(memory), as_json)


def _check_place(namespace: str | None, everywhere: bool) -> None:
    if (namespace is None) != everywhere:
        raise UsageError("say whose policy it is: --namespace NAME, or --all for the default")


def _count(memory: Memory) -> int:
    stats = memory.stats()
    return stats.engrams + stats.quarantined


def _print_change(policy: Policy, before: int, after: int, as_json: bool) -> None:
    """Print the policy that applies now, and how many memories its change has let expire or brought back."""
    from engram.formats.results import policy_record

    expired, back = max(0, before - after), max(0, after - before)
    if as_json:
        print_json(policy_record(policy) | {"expired": expired, "back": back})
        return
    typer.echo(escape_line(in_words(policy, policy.namespace)))
    if expired:
        print_note(f"{expired:,} expired; engram compact erases what has expired for good")
    if back:
        print_note(f"{back:,} brought back")


def in_words(policy: Policy, namespace: str | None) -> str:
    """Return what a policy says of a namespace, or with None of every namespace without one of its own."""
    after = policy.expire_after
    says = "keep" if after is None else f"expire after {duration_in_words(after)}"
    return f"{'every other namespace' if namespace is None else namespace}: {says}"


def policy(context: typer.Context) -> None:
    """Show, set and clear policies: the age at which the memories of a namespace expire.

    A namespace without a policy of its own follows the default, which is to keep.

    Example:
      engram policy set --namespace ana --expire-after "90 days"
      engram policy show
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


policy_app = typer.Typer(add_completion=False)
policy_app.callback(invoke_without_command=True, help=help_of(policy))(policy)
for command_name, command in (("show", show), ("set", set_policy), ("clear", clear)):
    policy_app.command(command_name, help=help_of(command))(command)
