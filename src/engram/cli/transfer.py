"""`engram import` and `engram export`."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from engram.cli.options import After, AnyNamespace, Before, Json, Kinds, MemoryPath, Namespace, OnlySession, opened
from engram.cli.output import answer, note, one_line
from engram.errors import EngramError

if TYPE_CHECKING:
    from engram.formats.items import Item
    from engram.formats.loading import Outcome
    from engram.formats.reading import Reading
    from engram.memory import Memory

SHOWN_PROBLEMS = 50
"""Problems that are named on a terminal; --json names all."""


def import_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="The files; - is stdin.", show_default=False)],
    namespace: Namespace = "default",
    branches: Annotated[
        bool,
        typer.Option(help="Keep a ChatGPT conversation's other branches too (replies made again, reworded questions)."),
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read; write nothing.")] = False,
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Import conversations: JSON Lines, a ChatGPT or Claude export, LoCoMo's JSON.

    The format is told by what is in the file, which may be a .zip as the service sends it, or gzip.
    Importing twice doubles nothing, and a newer export adds what is new. What cannot be read is
    named with its place, the rest is kept, and the exit code is 1. The namespace is for what
    names none itself.

    Example:
      engram import chatgpt-export.zip --namespace ana
      engram import notes.jsonl --dry-run
    """
    with nullcontext(None) if dry_run else opened(memory, make=True) as kept:
        total, formats = _import(files, namespace, branches, kept, quiet=as_json)
        if kept is not None and total.remembered:
            _index(kept)
    if as_json:
        answer(_summary(total, formats, dry_run))
    else:
        _report(total, dry_run)
    if total.problems:
        raise typer.Exit(EngramError.exit_code)


def _import(
    files: list[str], namespace: str, branches: bool, kept: Memory | None, *, quiet: bool
) -> tuple[Outcome, Counter[str]]:
    from engram.formats.items import Settings
    from engram.formats.loading import Outcome, load
    from engram.formats.reading import Reading

    settings = Settings(datetime.now(UTC), namespace, branches)
    total, formats = Outcome(), Counter[str]()
    for file in files:
        reading = Reading(file, settings, sys.stdin.buffer if file == "-" else None)
        with _progress(reading, quiet) as items:
            outcome = load(items, kept)
        total.read += outcome.read
        total.remembered += outcome.remembered
        total.already_there += outcome.already_there
        total.left_out += outcome.left_out
        total.problems += outcome.problems
        formats += reading.formats
    return total, formats


@contextmanager
def _progress(reading: Reading, quiet: bool) -> Iterator[Iterable[Item]]:
    """The items of a file, with a bar on stderr as they are taken, if somebody looks."""
    if quiet or not sys.stderr.isatty():
        yield reading
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]:,} read"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(one_line(reading.path), total=1.0, count=0)

        def watched() -> Iterator[Item]:
            for count, item in enumerate(reading, start=1):
                if count % 100 == 0:
                    progress.update(task, completed=reading.done, count=count)
                yield item

        yield watched()


def _index(memory: Memory) -> None:
    """Wait for the index, so that the next command need not make it."""
    try:
        memory.flush()
    except EngramError as error:
        # All is kept and can be recalled without it.
        note(f"engram: the index could not be written: {error}")


def _summary(total: Outcome, formats: Counter[str], dry_run: bool) -> dict[str, object]:
    problems = [
        {"file": p.place.file, "line": p.place.line, "path": p.place.path or None, "why": p.why} for p in total.problems
    ]
    return {
        "read": total.read,
        "remembered": total.remembered,
        "already_there": total.already_there,
        "left_out": dict(total.left_out),
        "problems": problems,
        "formats": dict(formats),
        "dry_run": dry_run,
    }


def _report(total: Outcome, dry_run: bool) -> None:
    for problem in total.problems[:SHOWN_PROBLEMS]:
        note(str(problem))
    if len(total.problems) > SHOWN_PROBLEMS:
        note(f"... and {len(total.problems) - SHOWN_PROBLEMS:,} more problems; --json names all")
    done = (
        "nothing written (dry run)"
        if dry_run
        else f"{total.remembered:,} remembered, {total.already_there:,} already there"
    )
    plural = "" if len(total.problems) == 1 else "s"
    typer.echo(f"{total.read:,} read: {done}, {len(total.problems):,} problem{plural}")
    for why, count in total.left_out.most_common():
        typer.echo(f"{count:,} left out: {one_line(why)}")


def export_file(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; - is stdout.")] = "-",
    namespace: AnyNamespace = None,
    session: OnlySession = None,
    before: Before = None,
    after: After = None,
    kind: Kinds = None,
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Write memories as JSON Lines, which engram import reads back without loss.

    One engram a line, in the order in which they were remembered. The file appears when it is
    whole, readable by you only.

    Example:
      engram export backup.jsonl
      engram export - --namespace ana | gzip > ana.jsonl.gz
    """
    from engram.formats.writing import export, write

    with opened(memory) as kept:
        engrams = kept.engrams(namespace=namespace, session=session, before=before, after=after, kinds=kind)
        if file == "-":
            # UTF-8 whatever the terminal speaks, so that it can be read back.
            stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n")
            write(engrams, stream)
            stream.detach()
            return
        count = export(engrams, file)
    if as_json:
        answer({"exported": count, "path": file})
    else:
        typer.echo(f"{count:,} written to {one_line(file)}")
