"""`engram quarantine`: list what is in quarantine, release it or forget it."""

from __future__ import annotations

from typing import Annotated

import typer

from engram.cli.options import AnyNamespace, Json, MemoryPath, OnlySession, UsageError, open_memory
from engram.cli.output import escape_line, print_engram, print_json, print_note
from engram.errors import NotFound
from engram.records import to_record


def quarantine(
    namespace: AnyNamespace = None,
    session: OnlySession = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="Maximum number of memories.")] = 20,
    after_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Only those that came after this one.", show_default=False)
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Release this one: recall finds it from now on.", show_default=False),
    ] = None,
    forget: Annotated[str | None, typer.Option(metavar="ID", help="Forget this one.", show_default=False)] = None,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """List the memories in quarantine with the reasons, oldest first, or release or forget one of them.

    A text that reads as an instruction to a model, and that the user did not type, is kept here. No
    recall and no other list returns it until it is released. A released memory is recalled, and still
    kept out of prompts if it may steer a model. With --json, one object per line.

    Example:
      engram quarantine --namespace ana
      engram quarantine --release 019c2f7e-5c1a-7d70-8a3b-0f5d7e9a1c22
    """
    if release is not None and forget is not None:
        raise UsageError("give either --release or --forget")
    with open_memory(path) as memory:
        if release is not None:
            engram = memory.release(release)
            if as_json:
                print_json(to_record(engram))
            else:
                typer.echo(f"released {escape_line(engram.id)}")
            return
        if forget is not None:
            if next(memory.quarantined(id=forget), None) is None:
                raise NotFound(f"no memory in quarantine has the id {forget}; engram quarantine lists them")
            count = memory.forget(id=forget)
            if as_json:
                print_json({"forgotten": count})
            else:
                typer.echo(f"forgot {count:,}; engram compact removes the text from the files")
            return
        found = list(memory.quarantined(namespace=namespace, session=session, limit=limit, after_id=after_id))
    for engram in found:
        if as_json:
            print_json(to_record(engram))
        else:
            print_engram(engram, prefix=f"{engram.quarantined}: ", namespace=namespace is None)
    if not found:
        print_note("nothing is in quarantine")
