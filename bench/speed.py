"""Speed and size: remember, recall, open, import, memory and disk, each with references.

Owns the plan of what is measured how often, and turns what the worker processes measured into figures. The text is
`generate`'s; every recall is timed in a process that has just opened the files.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import (
    BYTES,
    MEGABYTES,
    MILLISECONDS,
    PER_SECOND,
    SECONDS,
    SHARE,
    TIMES,
    Figure,
    Part,
    Reference,
    Table,
    Tell,
)
from bench.metrics import median, percentile
from bench.processes import run_python, run_task
from bench.worker import BARE, FTS5, MEMORY, TANTIVY

SYSTEMS = {"memory": "Engram", "tantivy": "Tantivy alone, OR query", "fts5": "SQLite FTS5, OR query"}
FILES = {"memory": MEMORY, "tantivy": TANTIVY, "fts5": FTS5}
MEGABYTE = 1e6

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured, and how often."""

    sizes: Sequence[int]
    """Engrams in one namespace, the smallest first."""
    spread: tuple[int, int]
    """Number of engrams, and of namespaces that they are spread over."""
    warm: int
    """Questions answered before the timed ones; each question is asked once."""
    timed: int
    opens: int
    """Number of processes that open the memory and answer one question."""
    singles: int
    """Engrams remembered one at a time, and timed."""
    singles_warm: int
    """Engrams remembered before those, not timed: enough for the bare table to reuse SQLite's log file."""
    imports: int
    reference_seconds: float
    """Seconds for which a reference is timed at most."""


PLANS = {
    "small": Plan((10_000,), (10_000, 100), 50, 300, 3, 300, 1_500, 5, 3),
    "full": Plan((10_000, 100_000, 1_000_000), (1_000_000, 10_000), 50, 1_000, 5, 1_000, 1_500, 11, 15),
}


def measure_import(plan: Plan, tell: Tell) -> Part:
    """Time `import engram` and `import numpy`, alternating, in new interpreters."""
    taken: dict[str, list[float]] = {"engram": [], "numpy": []}
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    # The first round loads the files into the page cache and is not counted.
    for number in range(plan.imports + 1):
        tell(f"import: {number} of {plan.imports}")
        for name, seconds in taken.items():
            second = float(run_python(["-c", code.format(name)], tell, f"import {name}"))
            if number:
                seconds.append(second)
    alone = Reference("import numpy alone", median(taken["numpy"]), SECONDS)
    name = f"`import engram`, median of {plan.imports} fresh processes"
    return Part("import", [Figure("import", name, median(taken["engram"]), SECONDS, [alone])])


def measure_remember(plan: Plan, folder: Path, seed: int, tell: Tell) -> Part:
    """Time `remember`, durable, and a bare insert of the same text."""
    tell(f"remember: {plan.singles:,} one at a time")
    arguments = {"folder": folder / "singles", "count": plan.singles, "warm": plan.singles_warm, "seed": seed}
    taken = run_task("remember", tell, "remember", **arguments)
    ours, bare = taken["memory"], taken["bare"]
    rows = [
        [name, *(MILLISECONDS.show(percentile(some, p)) for p in (50, 95, 99))]
        for name, some in (("`remember`", ours), ("bare SQLite insert", bare))
    ]
    figure = Figure(
        "remember-ratio",
        f"remember, one at a time, durable: median of {plan.singles:,}, in times a bare SQLite insert",
        median(ours) / median(bare),
        TIMES,
        [Reference("remember", median(ours), MILLISECONDS), Reference("bare insert", median(bare), MILLISECONDS)],
    )
    note = f"WAL, synchronous=FULL, the same texts by turns in one process, after {plan.singles_warm:,} to warm up."
    return Part("remember", [figure], [Table("Remembering one at a time", ["", "median", "p95", "p99"], rows, note)])


def measure_recall(plan: Plan, folder: Path, seed: int, tell: Tell) -> Part:
    """All measurements of memories with one namespace, by size."""
    part = Part("recall")
    latency, bulk, disk = [], [], []
    for size in plan.sizes:
        at = folder / f"one-{size}"
        about = f"{size:,} engrams in one namespace"
        built = run_task("build", tell, about, folder=at, count=size, namespaces=1, seed=seed)
        runs = recalls(plan, at, False, about, tell)
        part.figures.append(recall_figure(f"recall-p95-{size}", about, runs))
        latency += latency_rows(f"{size:,}", runs)
        bulk.append(bulk_row(size, built))
        disk.append(disk_row(size, built))
        if size == plan.sizes[-1]:
            part.figures += [many_figure(size, built), disk_figure(size, built), peak_figure(size, runs)]
            part.figures.append(open_figure(plan, at, size, about, tell))
        shutil.rmtree(at)
    part.tables = [
        latency_table("Recall, one namespace", latency),
        Table(
            "Remembering many, engrams a second",
            ["engrams", "acknowledged", "searchable by index", "bare SQLite", "Tantivy alone", "SQLite FTS5"],
            bulk,
            "From text in RAM. Engram and bare SQLite commit a thousand at a time, durable; the others once.",
        ),
        Table(
            "Disk, bytes an engram",
            ["engrams", "Engram, all files", "its text", "bare SQLite", "Tantivy alone", "SQLite FTS5"],
            disk,
        ),
    ]
    return part


def measure_spread(plan: Plan, folder: Path, seed: int, tell: Tell) -> Part:
    """Time recall with the engrams spread over many namespaces."""
    size, namespaces = plan.spread
    at = folder / "spread"
    about = f"{size:,} engrams over {namespaces:,} namespaces"
    run_task("build", tell, about, folder=at, count=size, namespaces=namespaces, seed=seed)
    runs = recalls(plan, at, True, about, tell)
    shutil.rmtree(at)
    figure = recall_figure(f"recall-p95-{size}-spread", about, runs)
    return Part("spread", [figure], [latency_table("Recall, many namespaces", latency_rows(about, runs))])


def recalls(plan: Plan, at: Path, spread: bool, about: str, tell: Tell) -> dict[str, Result]:
    """Ask each system the same questions, each in a new process."""
    runs = {}
    for system, name in SYSTEMS.items():
        tell(f"{about}: asking {name}")
        seconds = 600.0 if system == "memory" else plan.reference_seconds
        runs[system] = ask(at, system, spread, plan.warm if system == "memory" else 5, plan.timed, seconds, about, tell)
    return runs


def ask(at: Path, system: str, spread: bool, warm: int, count: int, seconds: float, about: str, tell: Tell) -> Result:
    """Run one process that opens the files of a system and queries it."""
    return run_task(
        "recall", tell, about, folder=at, system=system, spread=spread, warm=warm, count=count, most_seconds=seconds
    )


def recall_figure(key: str, about: str, runs: dict[str, Result]) -> Figure:
    """The 95th percentile, with that of the references."""
    p95 = {system: percentile(run["milliseconds"], 95) for system, run in runs.items()}
    references = [Reference(SYSTEMS[s], value, MILLISECONDS) for s, value in p95.items() if s != "memory"]
    return Figure(key, f"recall, p95, {about}", p95["memory"], MILLISECONDS, references)


def latency_rows(size: str, runs: dict[str, Result]) -> list[list[str]]:
    """One row per system."""
    rows = []
    for system, run in runs.items():
        times = run["milliseconds"]
        shown = [MILLISECONDS.show(percentile(times, p)) for p in (50, 95, 99)]
        shown.append(MILLISECONDS.show(median(run["cpu_milliseconds"])))
        peak = MEGABYTES.show(run["peak_bytes"] / MEGABYTE)
        rows.append([SYSTEMS[system], size, f"{len(times):,}", *shown, SHARE.show(run["found"]), peak])
    return rows


def latency_table(title: str, rows: Sequence[Sequence[str]]) -> Table:
    """The table with rows of `latency_rows`."""
    return Table(
        title,
        ["", "engrams", "questions", "median", "p95", "p99", "median CPU", "target in first ten", "peak memory"],
        rows,
        "Each in a fresh process after opening and warming up with other questions; every question is asked once. The"
        " target is the turn that a question was made from. Where the median is well over its CPU time, the machine was"
        " busy with something else.",
    )


def many_figure(size: int, built: Result) -> Figure:
    """The rate of `remember_many`."""
    seconds = built["seconds"]
    references = [
        Reference("bare SQLite", size / seconds["bare"], PER_SECOND),
        Reference("Tantivy alone", size / seconds["tantivy"], PER_SECOND),
    ]
    name = f"remember_many, until searchable by index, {size:,} engrams"
    return Figure("many-per-second", name, size / seconds["memory"], PER_SECOND, references)


def bulk_row(size: int, built: Result) -> list[str]:
    """Engrams per second, for each system."""
    names = ("acknowledged", "memory", "bare", "tantivy", "fts5")
    return [f"{size:,}", *(f"{size / built['seconds'][name]:,.0f}" for name in names)]


def disk_row(size: int, built: Result) -> list[str]:
    """Bytes per engram, for each system."""
    files = built["bytes"]
    sizes = (files[MEMORY], built["text_bytes"], files[BARE], files[TANTIVY], files[FTS5])
    return [f"{size:,}", *(f"{count / size:,.0f}" for count in sizes)]


def disk_figure(size: int, built: Result) -> Figure:
    """Bytes per engram."""
    references = [
        Reference("its text", built["text_bytes"] / size, BYTES),
        Reference("bare SQLite", built["bytes"][BARE] / size, BYTES),
    ]
    name = f"disk per engram, all files, {size:,} engrams"
    return Figure("bytes-per-engram", name, built["bytes"][MEMORY] / size, BYTES, references)


def peak_figure(size: int, runs: dict[str, Result]) -> Figure:
    """Peak memory of the process that recalled."""
    peaks = {system: run["peak_bytes"] / MEGABYTE for system, run in runs.items()}
    references = [Reference(SYSTEMS[s], value, MEGABYTES) for s, value in peaks.items() if s != "memory"]
    asked = len(runs["memory"]["milliseconds"])
    name = f"peak memory with {size:,} engrams, after {asked:,} recalls"
    return Figure(f"peak-{size}", name, peaks["memory"], MEGABYTES, references)


def open_figure(plan: Plan, at: Path, size: int, about: str, tell: Tell) -> Figure:
    """Time the opening with the first answer, in new processes; the systems alternate."""
    taken: dict[str, list[float]] = {system: [] for system in SYSTEMS}
    for number in range(plan.opens):
        tell(f"{about}: opening, {number + 1} of {plan.opens}")
        for system, seconds in taken.items():
            seconds.append(ask(at, system, False, 0, 1, 60.0, about, tell)["open_and_first_seconds"])
    references = [Reference(SYSTEMS[s], median(some), SECONDS) for s, some in taken.items() if s != "memory"]
    name = f"open a memory of {size:,} and answer the first recall, median of {plan.opens} fresh processes"
    return Figure(f"open-and-first-{size}", name, median(taken["memory"]), SECONDS, references)
