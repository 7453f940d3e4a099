"""The command `python -m bench`. Owns its options and its output; `run` runs the measurements."""

from __future__ import annotations

import json
import shlex
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench import report as reports
from bench import serving
from bench.machine import describe
from bench.progress import show_progress
from bench.run import Paths, measure
from bench.speed import PLANS
from bench.systems import References

# The names of the plans, of `run.PARTS` and of `run.GROUPS`, so that the help lists them and other names are refused.
Scale = Literal["small", "full"]


class PartName(StrEnum):
    """The parts that can be measured separately, and the groups of parts."""

    LOCOMO = "locomo"
    CHATS = "chats"
    LIVES = "lives"
    FACTS = "facts"
    BEAM = "beam"
    MEMDAILY = "memdaily"
    MESSAGES = "messages"
    STORY = "story"
    LASTING = "lasting"
    REFLECT = "reflect"
    IMPORT = "import"
    REMEMBER = "remember"
    RECALL = "recall"
    SPREAD = "spread"
    SERVE = "serve"
    QUALITY = "quality"


def bench(
    locomo: Annotated[
        Path | None, typer.Option(help="LoCoMo's JSON.", envvar="ENGRAM_LOCOMO", exists=True, dir_okay=False)
    ] = None,
    beam: Annotated[
        Path | None, typer.Option(help="BEAM's transcripts.", envvar="ENGRAM_BEAM", exists=True, dir_okay=False)
    ] = None,
    memdaily: Annotated[
        Path | None,
        typer.Option(help="MemDaily's transcripts.", envvar="ENGRAM_MEMDAILY", exists=True, dir_okay=False),
    ] = None,
    scale: Annotated[Scale, typer.Option(help="small: 10 thousand engrams. full: up to a million.")] = "small",
    only: Annotated[list[PartName] | None, typer.Option(help="Measure only this part; repeatable.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a Markdown report here.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Create the databases in this folder, which selects the disk that is measured.")
    ] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here as JSON.")] = None,
    before: Annotated[
        str | None,
        typer.Option(help="The Python of another checkout, whose recall is one more reference.", metavar="PYTHON"),
    ] = None,
    references: Annotated[bool, typer.Option(help="Measure the references of quality, too.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of the generated text.", min=0)] = 0,
) -> None:
    """Measure quality and speed of Engram on this machine, and of references in the same run.

    Example: python -m bench --scale full --locomo locomo10.json --report BENCH.md
    """
    paths = Paths(locomo, beam, memdaily)
    when, started = datetime.now(UTC), time.perf_counter()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="engram-bench-", dir=folder) as temporary, show_progress() as progress:
        machine = describe(Path(temporary))
        plans = PLANS[scale], serving.PLANS[scale]
        parts = measure(
            *plans,
            Path(temporary),
            progress,
            paths=paths,
            only=only or (),
            references=References(before, references),
            seed=seed,
        )
    seconds = time.perf_counter() - started
    typer.echo(reports.summary(parts))
    for note in (note for part in parts for note in part.notes):
        typer.echo(f"left out: {note}", err=True)
    if report is not None:
        flags = [*(["--before", "PYTHON"] if before else []), *([] if references else ["--no-references"])]
        rerun = command(scale, only or (), paths, seed, report, flags)
        report.write_text(reports.markdown(parts, machine, when, rerun, seconds), encoding="utf-8")
        typer.echo(f"report: {report}", err=True)
    if json_path is not None:
        json_path.write_text(json.dumps(reports.as_json(parts, machine, when), indent=1) + "\n", encoding="utf-8")
        typer.echo(f"figures: {json_path}", err=True)


def command(scale: str, only: Sequence[str], paths: Paths, seed: int, report: Path, flags: Sequence[str] = ()) -> str:
    """The command that creates the same report. Paths are without their folders, which differ between machines."""
    words = ["python", "-m", "bench", "--scale", scale]
    for name in only:
        words += ["--only", str(name)]
    for field in fields(paths):
        path: Path | None = getattr(paths, field.name)
        if path is not None:
            words += [f"--{field.name}", path.name]
    if seed:
        words += ["--seed", str(seed)]
    return shlex.join([*words, *flags, "--report", report.name])
