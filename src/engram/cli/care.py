"""`engram doctor` and `engram reindex`: when something is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engram import accel
from engram.cli.options import Json, MemoryPath, opened
from engram.cli.output import answer, note, one_line, size, table
from engram.errors import EngramError, MemoryDamaged
from engram.installation import RECOMPILE, conflicts

if TYPE_CHECKING:
    from engram.doctor import Report, Salvage


def doctor(
    memory: MemoryPath = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="NEW", help="Save all that can be read into this new file.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for damage, and save what can be saved. Never changes the memory it looks at.

    Names any other installed distribution that also installs a module `engram`.

    Exit code 0: nothing is wrong, or all was saved; 7: the database is damaged; 1: only the index
    is damaged, another distribution is in the way, or not all could be saved.

    Example:
      engram doctor
      engram doctor --memory broken.db --save rescued.db
    """
    from engram.doctor import examine, salvage
    from engram.memory import default_path

    others = conflicts()
    if not as_json:
        for other in others:
            note(other.advice)
    where = default_path() if memory is None else memory
    if save is None:
        report = examine(where)
        if as_json:
            extra = {"healthy": report.healthy, "compiled": accel.available}
            answer(dataclasses.asdict(report) | extra | {"conflicts": [other._asdict() for other in others]})
        else:
            _show_report(report)
        if others or not report.healthy:
            raise typer.Exit(MemoryDamaged.exit_code if report.problems else EngramError.exit_code)
        return
    outcome = salvage(where, save)
    if as_json:
        answer(dataclasses.asdict(outcome))
    else:
        _show_salvage(outcome)
    if outcome.lost != 0:
        raise typer.Exit(EngramError.exit_code)


def _show_report(report: Report) -> None:
    table(
        {
            "memory": report.path,
            "database": "damaged" if report.problems else "good",
            "readable": f"{report.readable:,} memories",
            "lost": "unknown" if report.lost is None else f"{report.lost:,}",
            "index": report.index + (f" ({report.unindexed:,} memories not in it)" if report.unindexed else ""),
            "size": f"{size(report.store_bytes)}, index {size(report.index_bytes)}",
            "recall": "compiled" if accel.available else f"in numpy, slower; with a C compiler, run: {RECOMPILE}",
        }
    )
    for problem in report.problems:
        typer.echo(f"- {one_line(problem)}")
    if report.problems and report.readable:
        typer.echo(f"save what can be read: engram doctor --memory {one_line(report.path)} --save NEW.db")
    elif report.index.startswith("damaged"):
        typer.echo("make the index again: engram reindex")


def _show_salvage(outcome: Salvage) -> None:
    typer.echo(f"{outcome.saved:,} memories saved to {one_line(outcome.target)}")
    if outcome.unnamed:
        typer.echo(f'{outcome.unnamed:,} had lost a name of theirs, which is now "recovered-<number>"')
    if outcome.lost is None:
        note("how many are lost is unknown: what lists them is damaged, too")
    elif outcome.lost:
        note(f"{outcome.lost:,} are lost; --json lists their ids")


def reindex(memory: MemoryPath = None, as_json: Json = False) -> None:
    """Make the index again from the memories.

    Never needed in good health: what is missing, damaged or behind makes itself.

    Example:
      engram reindex --memory assistant.db
    """
    with opened(memory) as kept:
        kept.reindex()
        found = kept.stats()
    if as_json:
        answer({"engrams": found.engrams, "unindexed": found.unindexed, "index_bytes": found.index_bytes})
    else:
        typer.echo(f"{found.engrams:,} memories indexed, {size(found.index_bytes)}")
