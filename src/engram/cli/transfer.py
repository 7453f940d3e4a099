"""`engram import` and `engram export`."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engram.cli.options import (
    After,
    AnyNamespace,
    Before,
    EncoderName,
    Json,
    Kinds,
    MemoryPath,
    Namespace,
    OnlySession,
    Redact,
    Timezone,
    given_time,
    open_memory,
    time_option,
)
from engram.cli.output import escape_line, print_json, print_note
from engram.engram import DEFAULT_NAMESPACE, check_name
from engram.errors import EngramError
from engram.formats import MAX_UNPACKED
from engram.formats.documents import DocumentFormat
from engram.notes.zones import MACHINE

if TYPE_CHECKING:
    from engram.formats.items import ImportSettings, Item
    from engram.formats.loading import ImportResult
    from engram.formats.reading import ImportFile
    from engram.memory import Memory

MAX_PRINTED_PROBLEMS = 50
"""Problems that are printed on a terminal; --json lists more."""


Branches = Annotated[
    bool, typer.Option(help="Import the other branches of a ChatGPT conversation too (regenerated replies, edits).")
]
MaxUnpacked = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="MIB",
        envvar="ENGRAM_MAX_UNPACKED",
        help="Maximum size in MiB that a compressed file may unpack to.",
    ),
]
OfDocuments = Annotated[
    DocumentFormat | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="What the files are, if neither name nor content says so: markdown, text, html or pdf.",
        show_default=False,
    ),
]
SessionOfDocuments = Annotated[
    str | None,
    typer.Option(
        "--session",
        "-s",
        metavar="NAME",
        help="The session of the documents. Default: the name of each file.",
        show_default=False,
    ),
]
TimeOfDocuments = Annotated[
    datetime | None,
    typer.Option(
        parser=time_option,
        metavar="TIME",
        help="The time of the documents (ISO 8601; see --timezone). Default: the date that Markdown states in its "
        "front matter, else the time of the file.",
        show_default=False,
    ),
]


def import_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="The files; - is stdin.", show_default=False)],
    namespace: Namespace = DEFAULT_NAMESPACE,
    branches: Branches = True,
    max_unpacked: MaxUnpacked = MAX_UNPACKED >> 20,
    document: OfDocuments = None,
    session: SessionOfDocuments = None,
    at: TimeOfDocuments = None,
    timezone: Timezone = MACHINE,
    redact: Redact = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read; write nothing.")] = False,
    path: MemoryPath = None,
    encoder: EncoderName = None,
    as_json: Json = False,
) -> None:
    """Import conversations and documents.

    Conversations: JSON Lines, a ChatGPT or Claude export, LoCoMo's JSON. Documents: Markdown, text,
    HTML and PDF, cut into passages with their headings, of the kind document; PDF needs the extra
    documents. The format is recognised by the content and the name of the file, which can be the
    .zip of an export or compressed with gzip. Importing a file twice adds nothing, and a newer
    export or an edited document adds only what is new. What cannot be read is reported with its
    location, the rest is imported, and the exit code is 1. --namespace is for what names no
    namespace itself.

    Example:
      engram import chatgpt-export.zip --namespace ana
      engram import notes.md report.pdf page.html --namespace ana
      engram import notes.jsonl --dry-run
    """
    from engram.formats.items import ImportSettings

    if session is not None:
        check_name("session", session)
    settings = ImportSettings(
        datetime.now(UTC),
        namespace,
        branches,
        max_unpacked << 20,
        format=document,
        session=session,
        at=given_time(at, timezone),
        zone=timezone,
    )
    with nullcontext(None) if dry_run else open_memory(path, create=True, redact=redact) as memory:
        before = 0 if memory is None else memory.stats().quarantined
        total, formats = _import(files, settings, memory, redact, quiet=as_json)
        held = 0 if memory is None else memory.stats().quarantined - before
        if memory is not None and total.remembered:
            _flush_index(memory)
    if as_json:
        print_json(_summary(total, formats, dry_run) | {"quarantined": held})
    else:
        _print_result(total, dry_run)
        if held:
            print_note(f"{held:,} of them are in quarantine; engram quarantine lists them")
    if total.problems:
        raise typer.Exit(EngramError.exit_code)


def _import(
    files: list[str], settings: ImportSettings, memory: Memory | None, redact: str, *, quiet: bool
) -> tuple[ImportResult, Counter[str]]:
    """Import files; return the total of their results, and the number of objects of each format."""
    from engram.formats.items import Remark, SourceLocation
    from engram.formats.loading import ImportResult, load
    from engram.formats.reading import ImportFile
    from engram.text.redaction import open_redactor, redaction_kinds

    total, formats = ImportResult(), Counter[str]()
    sessions: dict[str, str] = {}
    for name in files:
        file = ImportFile(name, settings, sys.stdin.buffer if name == "-" else None)
        with _progress_bar(file, quiet) as items:
            total.add(load(items, memory, open_redactor(redaction_kinds(redact))))
        formats += file.formats
        if file.document is not None and settings.session is None:
            other = sessions.setdefault(file.document, name)
            if other != name:
                why = f"shares the session {file.document} with {other}; --session gives it one of its own"
                total.add_remark(Remark(SourceLocation(name), why))
    return total, formats


@contextmanager
def _progress_bar(file: ImportFile, quiet: bool) -> Iterator[Iterable[Item]]:
    """Yield the items of a file; show their progress on stderr if it is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield file
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
        task = progress.add_task(escape_line(file.path), total=1.0, count=0)

        def counted() -> Iterator[Item]:
            for count, item in enumerate(file, start=1):
                if count % 100 == 0:
                    progress.update(task, completed=file.progress, count=count)
                yield item

        yield counted()


def _flush_index(memory: Memory) -> None:
    """Wait for the index, so that the next command need not build it."""
    try:
        memory.flush()
    except EngramError as error:
        # Everything is stored, and recall works without the index.
        print_note(f"engram: the index could not be written: {error}")


def _summary(total: ImportResult, formats: Counter[str], dry_run: bool) -> dict[str, object]:
    problems = [
        {
            "file": problem.location.file,
            "line": problem.location.line,
            "path": problem.location.path or None,
            "why": problem.why,
        }
        for problem in total.problems
    ]
    return {
        "read": total.read,
        "remembered": total.remembered,
        "already_there": total.already_there,
        "left_out": dict(total.left_out),
        "redacted": total.redacted,
        "problems": problems,
        "more_problems": total.more_problems,
        "remarks": [{"file": remark.location.file, "why": remark.why} for remark in total.remarks],
        "formats": dict(formats),
        "dry_run": dry_run,
    }


def _print_result(total: ImportResult, dry_run: bool) -> None:
    from engram.formats.loading import MOST_PROBLEMS

    for remark in total.remarks[:MAX_PRINTED_PROBLEMS]:
        print_note(str(remark))
    for problem in total.problems[:MAX_PRINTED_PROBLEMS]:
        print_note(str(problem))
    problems = len(total.problems) + total.more_problems
    if problems > MAX_PRINTED_PROBLEMS:
        print_note(
            f"... and {problems - MAX_PRINTED_PROBLEMS:,} more problems; --json lists the first {MOST_PROBLEMS:,}"
        )
    outcome = (
        "nothing written (dry run)"
        if dry_run
        else f"{total.remembered:,} remembered, {total.already_there:,} already there"
    )
    plural = "" if problems == 1 else "s"
    typer.echo(f"{total.read:,} read: {outcome}, {problems:,} problem{plural}")
    if total.redacted:
        typer.echo(f"{total.redacted:,} stored without secrets or personal data; their metadata say which")
    for why, count in total.left_out.most_common():
        typer.echo(f"{count:,} left out: {escape_line(why)}")


def export_file(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write; - is stdout.")] = "-",
    namespace: AnyNamespace = None,
    session: OnlySession = None,
    before: Before = None,
    after: After = None,
    kind: Kinds = None,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Write memories as JSON Lines, which engram import reads without loss.

    One engram per line, in the order in which they were remembered, and then those in quarantine,
    which an import keeps there. Documents of agents (engram state) are not written: engram backup
    copies them too. The file appears when it is complete, readable by its owner only.

    Example:
      engram export backup.jsonl
      engram export - --namespace ana | gzip > ana.jsonl.gz
    """
    from engram.formats.writing import export, write

    with open_memory(path) as memory:
        filters: dict[str, Any] = {
            "namespace": namespace,
            "session": session,
            "before": given_time(before, timezone),
            "after": given_time(after, timezone),
            "kinds": kind,
        }
        engrams = chain(memory.engrams(**filters), memory.quarantined(**filters))
        if file == "-":
            # UTF-8 whatever the encoding of the terminal, so that `engram import` can read it.
            stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n")
            write(engrams, stream)
            stream.detach()
            return
        count = export(engrams, file)
    if as_json:
        print_json({"exported": count, "path": file})
    else:
        typer.echo(f"{count:,} written to {escape_line(file)}")
