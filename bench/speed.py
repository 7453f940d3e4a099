"""Speed and size: remember, recall, open, import, memory and disk, each with references.

Owns the plan and the figures, which it computes from the results of the worker processes. `generate` makes the text.
Each recall is timed in a process that has just opened the files.
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
    Progress,
    Reference,
    Table,
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
    """Engrams remembered before the timed ones: enough for the bare table to reuse SQLite's log file."""
    imports: int
    reference_seconds: float
    """Maximum of the seconds for which a reference is timed."""


PLANS = {
    "small": Plan((10_000,), (10_000, 100), 50, 300, 3, 300, 1_500, 5, 3),
    "full": Plan((10_000, 100_000, 1_000_000), (1_000_000, 10_000), 50, 1_000, 5, 1_000, 1_500, 11, 15),
}


def measure_import(plan: Plan, progress: Progress) -> Part:
    """Time `import engram` and `import numpy`, alternating, in new interpreters."""
    seconds_of: dict[str, list[float]] = {"engram": [], "numpy": []}
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    # The first round loads the files into the page cache and is not counted.
    for number in range(plan.imports + 1):
        progress(f"import: {number} of {plan.imports}")
        for name, seconds in seconds_of.items():
            elapsed = float(run_python(["-c", code.format(name)], progress, f"import {name}"))
            if number:
                seconds.append(elapsed)
    numpy_alone = Reference("import numpy alone", median(seconds_of["numpy"]), SECONDS)
    name = f"`import engram`, median of {plan.imports} fresh processes"
    return Part("import", [Figure("import", name, median(seconds_of["engram"]), SECONDS, [numpy_alone])])


def measure_remember(plan: Plan, folder: Path, seed: int, progress: Progress) -> Part:
    """Time `remember`, and a bare insert of the same text, both durable."""
    progress(f"remember: {plan.singles:,} one at a time")
    arguments = {"folder": folder / "singles", "count": plan.singles, "warm": plan.singles_warm, "seed": seed}
    milliseconds = run_task("remember", progress, "remember", **arguments)
    engram, bare = milliseconds["memory"], milliseconds["bare"]
    rows = [
        [name, *(MILLISECONDS.show(percentile(times, p)) for p in (50, 95, 99))]
        for name, times in (("`remember`", engram), ("bare SQLite insert", bare))
    ]
    figure = Figure(
        "remember-ratio",
        f"remember, one at a time, durable: median of {plan.singles:,}, relative to a bare SQLite insert",
        median(engram) / median(bare),
        TIMES,
        [Reference("remember", median(engram), MILLISECONDS), Reference("bare insert", median(bare), MILLISECONDS)],
    )
    note = f"WAL, synchronous=FULL, the same texts by turns in one process, after {plan.singles_warm:,} to warm up."
    return Part("remember", [figure], [Table("Remembering one at a time", ["", "median", "p95", "p99"], rows, note)])


def measure_recall(plan: Plan, folder: Path, seed: int, progress: Progress) -> Part:
    """Run all measurements of memories with one namespace, by size."""
    part = Part("recall")
    latency, bulk, disk = [], [], []
    for size in plan.sizes:
        subfolder = folder / f"one-{size}"
        label = f"{size:,} engrams in one namespace"
        built = run_task("build", progress, label, folder=subfolder, count=size, namespaces=1, seed=seed)
        runs = run_recalls(plan, subfolder, False, label, progress)
        part.figures.append(recall_figure(f"recall-p95-{size}", label, runs))
        latency += latency_rows(f"{size:,}", runs)
        bulk.append(bulk_row(size, built))
        disk.append(disk_row(size, built))
        if size == plan.sizes[-1]:
            part.figures += [*many_figures(size, built), disk_figure(size, built), peak_figure(size, runs)]
            part.figures.append(open_figure(plan, subfolder, size, label, progress))
        shutil.rmtree(subfolder)
    part.tables = [
        latency_table("Recall, one namespace", latency),
        Table(
            "Remembering many, engrams a second",
            ["engrams", "acknowledged", "found by words", "by meaning", "bare SQLite", "Tantivy alone", "SQLite FTS5"],
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


def measure_spread(plan: Plan, folder: Path, seed: int, progress: Progress) -> Part:
    """Time recall with the engrams spread over many namespaces."""
    size, namespaces = plan.spread
    subfolder = folder / "spread"
    label = f"{size:,} engrams over {namespaces:,} namespaces"
    run_task("build", progress, label, folder=subfolder, count=size, namespaces=namespaces, seed=seed)
    runs = run_recalls(plan, subfolder, True, label, progress)
    shutil.rmtree(subfolder)
    figure = recall_figure(f"recall-p95-{size}-spread", label, runs)
    return Part("spread", [figure], [latency_table("Recall, many namespaces", latency_rows(label, runs))])


def run_recalls(plan: Plan, folder: Path, spread: bool, label: str, progress: Progress) -> dict[str, Result]:
    """Ask each system the same questions, each in a new process."""
    runs = {}
    for system, name in SYSTEMS.items():
        progress(f"{label}: asking {name}")
        seconds = 600.0 if system == "memory" else plan.reference_seconds
        warm = plan.warm if system == "memory" else 5
        runs[system] = run_recall(folder, system, spread, warm, plan.timed, seconds, label, progress)
    return runs


def run_recall(
    folder: Path, system: str, spread: bool, warm: int, count: int, seconds: float, label: str, progress: Progress
) -> Result:
    """Run one process that opens the files of a system and queries it."""
    return run_task(
        "recall",
        progress,
        label,
        folder=folder,
        system=system,
        spread=spread,
        warm=warm,
        count=count,
        max_seconds=seconds,
    )


def recall_figure(key: str, label: str, runs: dict[str, Result]) -> Figure:
    """The 95th percentile of the times of recall, with those of the references."""
    p95 = {system: percentile(run["milliseconds"], 95) for system, run in runs.items()}
    references = [Reference(SYSTEMS[s], value, MILLISECONDS) for s, value in p95.items() if s != "memory"]
    return Figure(key, f"recall, p95, {label}", p95["memory"], MILLISECONDS, references)


def latency_rows(size: str, runs: dict[str, Result]) -> list[list[str]]:
    """One row per system."""
    rows = []
    for system, run in runs.items():
        times = run["milliseconds"]
        shown = [MILLISECONDS.show(percentile(times, p)) for p in (50, 95, 99)]
        shown.append(MILLISECONDS.show(median(run["cpu_milliseconds"])))
        peak = MEGABYTES.show(run["peak_bytes"] / MEGABYTE)
        rows.append([SYSTEMS[system], size, f"{len(times):,}", *shown, SHARE.show(run["found_share"]), peak])
    return rows


def latency_table(title: str, rows: Sequence[Sequence[str]]) -> Table:
    """A table of the rows that `latency_rows` returns."""
    return Table(
        title,
        ["", "engrams", "questions", "median", "p95", "p99", "median CPU", "target in first ten", "peak memory"],
        rows,
        "Each in a fresh process after opening and warming up with other questions; every question is asked once. The"
        " target is the turn that a question was made from. Where the median is well over its CPU time, the machine was"
        " busy with something else.",
    )


def many_figures(size: int, built: Result) -> list[Figure]:
    """The rates of `remember_many`: until the index finds the engrams by their words, and by what they mean."""
    seconds = built["seconds"]
    references = [
        Reference("bare SQLite", size / seconds["bare"], PER_SECOND),
        Reference("Tantivy alone", size / seconds["tantivy"], PER_SECOND),
    ]
    name = f"remember_many, until found by {{}}, {size:,} engrams"
    return [
        Figure("many-per-second", name.format("words"), size / seconds["memory"], PER_SECOND, references),
        Figure("meant-per-second", name.format("meaning"), size / seconds["meant"], PER_SECOND),
    ]


def bulk_row(size: int, built: Result) -> list[str]:
    """Engrams per second, for each system."""
    names = ("acknowledged", "memory", "meant", "bare", "tantivy", "fts5")
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
    recalls = len(runs["memory"]["milliseconds"])
    name = f"peak memory with {size:,} engrams, after {recalls:,} recalls"
    return Figure(f"peak-{size}", name, peaks["memory"], MEGABYTES, references)


def open_figure(plan: Plan, folder: Path, size: int, label: str, progress: Progress) -> Figure:
    """Time the opening and the first answer together, in new processes; the systems alternate."""
    seconds_of: dict[str, list[float]] = {system: [] for system in SYSTEMS}
    for number in range(plan.opens):
        progress(f"{label}: opening, {number + 1} of {plan.opens}")
        for system, seconds in seconds_of.items():
            run = run_recall(folder, system, False, 0, 1, 60.0, label, progress)
            seconds.append(run["open_and_first_seconds"])
    references = [Reference(SYSTEMS[s], median(seconds), SECONDS) for s, seconds in seconds_of.items() if s != "memory"]
    name = f"open a memory of {size:,} and answer the first recall, median of {plan.opens} fresh processes"
    return Figure(f"open-and-first-{size}", name, median(seconds_of["memory"]), SECONDS, references)
