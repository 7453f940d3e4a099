"""`engram state`: lists, reads and writes the documents of agents' states."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from engram.cli.options import (
    AnyNamespace,
    Json,
    MemoryPath,
    Namespace,
    Redact,
    Timezone,
    UsageError,
    help_of,
    open_memory,
)
from engram.cli.output import escape_line, print_json, print_note
from engram.cli.remember import stdin_text
from engram.documents import DEFAULT_AGENT, KEPT_VERSIONS, shown
from engram.engram import DEFAULT_NAMESPACE
from engram.errors import NotFound
from engram.formats.results import document_record, info_record
from engram.notes.zones import MACHINE, local
from engram.records import RepeatedKey, from_json, to_json

if TYPE_CHECKING:
    from engram.documents import Document

LONGEST_VALUE = 120
"""Characters of a value in a line of the history."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the document.", show_default=False)]
Agent = Annotated[str, typer.Option("--agent", "-a", metavar="NAME", help="The agent.")]
Expect = Annotated[
    int | None,
    typer.Option(
        metavar="VERSION",
        min=0,
        help="Write only if this is the current version; 0: only if there is no such document.",
        show_default=False,
    ),
]


def list_documents(
    namespace: AnyNamespace = None,
    agent: Annotated[
        str | None,
        typer.Option("--agent", "-a", metavar="NAME", help="Only this agent. Default: all.", show_default=False),
    ] = None,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """List the documents with their versions, by namespace, agent and name.

    With --json, one object per line.

    Example:
      engram state list --namespace ana
    """
    found = False
    with open_memory(path) as memory:
        for info in memory.state_documents(namespace=namespace, agent=agent):
            found = True
            if as_json:
                print_json(info_record(info))
            else:
                where = f"{info.namespace} / {info.agent} / {info.name}"
                typer.echo(escape_line(f"{info.version:>6}  {local(info.at, timezone):%Y-%m-%d %H:%M}  {where}"))
    if not found:
        print_note("no state documents")


def get(
    name: Name,
    version: Annotated[
        int | None, typer.Option(metavar="VERSION", help="This version. Default: the current one.", show_default=False)
    ] = None,
    agent: Agent = DEFAULT_AGENT,
    namespace: Namespace = DEFAULT_NAMESPACE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Print the value of a document as JSON.

    With --json, print one object with the version, the time and the value.

    Example:
      engram state get plan --agent planner
    """
    with open_memory(path) as memory:
        document = memory.state(namespace, agent).get(name, version)
    if document is None:
        raise NotFound(_missing(name, agent, namespace, version))
    if as_json:
        print_json(document_record(document))
    else:
        typer.echo(to_json(document.value, indent=2))


def set_document(
    name: Name,
    value: Annotated[str, typer.Argument(metavar="[JSON]", help="The value; - reads it from stdin.")] = "-",
    expect: Expect = None,
    keep: Annotated[
        int, typer.Option(metavar="N", min=1, help="Keep this many versions of the document, the newest ones.")
    ] = KEPT_VERSIONS,
    agent: Agent = DEFAULT_AGENT,
    namespace: Namespace = DEFAULT_NAMESPACE,
    redact: Redact = "",
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Write a new version of a document, and print its number. When the command ends, it is durable.

    The value is any JSON: an object, a list, a text in quotes, a number, true, false or null.

    Example:
      engram state set plan '{"step": 3}' --agent planner --expect 2
      jq .plan run.json | engram state set plan --agent planner
    """
    parsed = json_value(stdin_text() if value == "-" else value)
    with open_memory(path, create=True, redact=redact) as memory:
        _print_written(memory.state(namespace, agent, keep=keep).set(name, parsed, expect), as_json)


def history(
    name: Name,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="Maximum number of versions.")] = 20,
    before: Annotated[
        int | None,
        typer.Option(metavar="VERSION", min=1, help="Only versions before this one.", show_default=False),
    ] = None,
    agent: Agent = DEFAULT_AGENT,
    namespace: Namespace = DEFAULT_NAMESPACE,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """List the versions of a document, the newest first.

    With --json, one object per line, with the value.

    Example:
      engram state history plan --agent planner
    """
    with open_memory(path) as memory:
        documents = memory.state(namespace, agent).history(name, limit, before=before)
    for document in documents:
        if as_json:
            print_json(document_record(document))
        else:
            text = to_json(document.value)
            text = text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"
            moment = local(document.at, timezone)
            typer.echo(escape_line(f"{document.version:>6}  {moment:%Y-%m-%d %H:%M:%S}  {text}"))
    if not documents:
        print_note("no such versions" if before else "there is no such document")


def rollback(
    name: Name,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="The version to go back to.", show_default=False)],
    expect: Expect = None,
    agent: Agent = DEFAULT_AGENT,
    namespace: Namespace = DEFAULT_NAMESPACE,
    redact: Redact = "",
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Write the value of an old version again, as a new version, and print its number.

    Example:
      engram state rollback plan 2 --agent planner
    """
    with open_memory(path, redact=redact) as memory:
        _print_written(memory.state(namespace, agent).rollback(name, version, expect), as_json)


def delete(
    name: Name,
    expect: Expect = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    agent: Agent = DEFAULT_AGENT,
    namespace: Namespace = DEFAULT_NAMESPACE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Erase a document with all of its versions.

    On a terminal it asks before. The text stays in the files until engram compact removes it.

    Example:
      engram state delete plan --agent planner
    """
    with open_memory(path) as memory:
        state = memory.state(namespace, agent)
        if not yes and sys.stdin.isatty() and state.get(name) is not None:
            typer.confirm(f"Erase all versions of {escape_line(name)}?", abort=True, err=True)
        count = state.delete(name, expect)
    if not count:
        raise NotFound(_missing(name, agent, namespace))
    if as_json:
        print_json({"deleted": count})
    else:
        typer.echo(f"erased {count:,} versions; engram compact removes the text from the files")


def json_value(text: str) -> Any:
    """Return the value of a JSON text. Raises `UsageError` if it is none."""
    try:
        return from_json(text, _no_number)
    except RepeatedKey as error:
        raise UsageError(f"the value has a key twice: {error}") from None
    except (ValueError, RecursionError) as error:
        reason = "too many levels" if isinstance(error, RecursionError) else error
        raise UsageError(
            f"the value is not JSON: {reason}; a text needs quotes inside the shell's: '\"text\"'"
        ) from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _print_written(document: Document, as_json: bool) -> None:
    if as_json:
        print_json(document_record(document))
    else:
        typer.echo(str(document.version))


def _missing(name: str, agent: str, namespace: str, version: int | None = None) -> str:
    what = "" if version is None else f"version {version} of "
    where = f"the agent {shown(agent)} in the namespace {shown(namespace)}"
    return f"there is no {what}document {shown(name)} of {where}; engram state list shows all documents"


def state(context: typer.Context) -> None:
    """Read and write the state of agents: JSON documents with versions.

    A document belongs to an agent in a namespace. Every write is a new version; an old one can be
    read and brought back. --expect refuses a write if another one came first.

    Example:
      engram state set plan '{"step": 1}' --agent planner
      engram state get plan --agent planner
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


state_app = typer.Typer(add_completion=False)
state_app.callback(invoke_without_command=True, help=help_of(state))(state)
for command_name, command in (
    ("list", list_documents),
    ("get", get),
    ("set", set_document),
    ("history", history),
    ("rollback", rollback),
    ("delete", delete),
):
    state_app.command(command_name, help=help_of(command))(command)
