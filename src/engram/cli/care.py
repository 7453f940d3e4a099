"""`engram doctor` and `engram reindex`: check and repair a memory."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engram import accel
from engram.cli.options import EncoderName, Json, MemoryPath, open_memory
from engram.cli.output import escape_line, format_bytes, print_json, print_note, print_table
from engram.errors import EngramError, MemoryDamaged
from engram.installation import conflicts

if TYPE_CHECKING:
    from engram.doctor import Report, Salvage
    from engram.store.sqlite.checking import SideFile


def doctor(
    path: MemoryPath = None,
    encoder: EncoderName = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="NEW", help="Save everything that can be read into this new file.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for damage, and save what can be saved. Never changes the memory that it checks.

    Names any other installed distribution that also installs a module `engram`.

    Exit code 0: there is no damage, or everything was saved; 7: the database is damaged; 1: only
    the index, a file beside it or the encoder's data are damaged, another distribution conflicts,
    or not everything could be saved; 8: the file needs a newer version of Engram.

    Example:
      engram doctor
      engram doctor --memory broken.db --save rescued.db
    """
    from engram.doctor import examine, examine_encoder, salvage
    from engram.meaning.sentences import default_encoder
    from engram.opening import default_path

    others = conflicts()
    if not as_json:
        for other in others:
            print_note(other.advice)
    where = default_path() if path is None else path
    if save is None:
        report, encoder = examine(where, [_server_file(where)]), examine_encoder(default_encoder())
        if as_json:
            extra = {"healthy": report.healthy, "compiled": accel.available, "encoder": encoder}
            files = {"side_files": [file._asdict() for file in report.side_files]}
            conflicting = {"conflicts": [other._asdict() for other in others]}
            print_json(dataclasses.asdict(report) | extra | files | conflicting)
        else:
            _print_report(report, encoder)
        if others or not report.healthy or encoder.startswith("damaged"):
            raise typer.Exit(MemoryDamaged.exit_code if report.problems else EngramError.exit_code)
        return
    result = salvage(where, save)
    if as_json:
        print_json(dataclasses.asdict(result))
    else:
        _print_salvage(result)
    if not result.is_complete:
        raise typer.Exit(EngramError.exit_code)


def _server_file(path: Path) -> SideFile:
    """Return the file of a server of the memory at `path`."""
    from engram.opening import file_of
    from engram.serve.database import ServerDatabaseFile, server_database_path
    from engram.store.sqlite.checking import SideFile

    lost = "the server makes a new one; no memory is lost, but keys must be created again"
    names = ("meta", "keys", "sessions", "nodes", "responses", "receipts")
    return SideFile(server_database_path(file_of(path)), ServerDatabaseFile, names, lost, deleted=False)


def _print_report(report: Report, encoder: str) -> None:
    print_table(
        {
            "memory": report.path,
            "database": "damaged" if report.problems else "good",
            "readable": f"{report.readable:,} memories",
            "lost": "unknown" if report.lost is None else f"{report.lost:,}",
            **_documents(report),
            "index": report.index + _missing(report),
            **{file.name: file.state for file in report.side_files if file.state != "missing"},
            "size": f"{format_bytes(report.store_bytes)}, index {format_bytes(report.index_bytes)}",
            "recall": accel.status,
            "encoder": encoder,
        }
    )
    for problem in report.problems:
        typer.echo(f"- {escape_line(problem)}")
    for file in report.side_files:
        if not file.healthy:
            typer.echo(escape_line(f"- {file.path}: {file.problem}; {file.cure}"))
    for warning in report.warnings:
        typer.echo(f"warning: {escape_line(warning)}")
    if report.problems and (report.readable or report.state_documents):
        typer.echo(
            f"save what can be read: engram doctor --memory {escape_line(shlex.quote(report.path))} --save NEW.db"
        )
    elif report.index.startswith("damaged"):
        typer.echo("rebuild the index: engram reindex")


def _documents(report: Report) -> dict[str, str]:
    """The row about state documents; none if the memory has none."""
    lost = "an unknown number" if report.lost_state_documents is None else f"{report.lost_state_documents:,}"
    if not report.state_documents and report.lost_state_documents == 0:
        return {}
    return {"state documents": f"{report.state_documents:,} versions, {lost} lost"}


def _missing(report: Report) -> str:
    """What an index does not hold yet, in brackets; "" if it is complete."""
    parts = []
    if report.unindexed:
        parts.append(f"{report.unindexed:,} memories not in it")
    if report.unencoded:
        parts.append(f"{report.unencoded:,} passages without a vector")
    return f" ({', '.join(parts)})" if parts else ""


def _print_salvage(result: Salvage) -> None:
    typer.echo(f"{result.saved:,} memories saved to {escape_line(result.target)}")
    if result.state_documents:
        typer.echo(f"{result.state_documents:,} versions of state documents saved")
    if result.unnamed:
        typer.echo(f'{result.unnamed:,} of them had lost a name, which is now "recovered-<number>"')
    if result.lost is None:
        print_note("the number of lost memories is unknown: the list of memories is damaged, too")
    elif result.lost:
        print_note(f"{result.lost:,} are lost; --json lists their ids")
    if result.policies_lost:
        print_note("policies are lost, so that expired memories may be back: set them again with engram policy set")
    if result.lost_state_documents is None:
        print_note("the number of lost versions of state documents is unknown: their list is damaged, too")
    elif result.lost_state_documents:
        print_note(f"{len(result.lost_state_documents):,} versions of state documents are lost; --json lists them")


def reindex(path: MemoryPath = None, encoder: EncoderName = None, as_json: Json = False) -> None:
    """Rebuild the index from the stored memories.

    Not needed in normal operation: an index that is missing, damaged or behind is rebuilt
    automatically.

    Example:
      engram reindex --memory assistant.db
    """
    with open_memory(path) as memory:
        memory.reindex()
        stats = memory.stats()
    if as_json:
        print_json(
            {
                "engrams": stats.engrams,
                "unindexed": stats.unindexed,
                "unencoded": stats.unencoded,
                "index_bytes": stats.index_bytes,
            }
        )
    else:
        typer.echo(f"{stats.engrams:,} memories indexed, {format_bytes(stats.index_bytes)}")
