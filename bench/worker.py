"""One measurement in a separate process: `python -m bench.worker TASK ARGUMENTS`; ARGUMENTS are a JSON object.

Owns the timing. A new process starts without any cache of Engram (the files may be in the system's page cache), and its
peak memory is that of the measurement alone. Prints one JSON object.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bench.baselines import HITS, Bare, Fts5, Tantivy, batches
from bench.generate import GeneratedQuestion, Turn, questions, turns
from engram.memory import Memory

MEMORY, FTS5, TANTIVY, BARE, QUESTIONS = "memory", "fts5.db", "tantivy", "bare.db", "questions.json"
"""Names of the files of one size, in its folder."""
TURNS_PER_CALL = 50_000
"""Number of turns in one call of `remember_many`."""
MAX_QUESTIONS = 2_000
PROGRESS_PREFIX = "@"
"""Prefix of a line of standard error that reports progress; any other line is a warning or a failure."""

Result = dict[str, Any]


class Searcher(Protocol):
    """A system that is queried and timed."""

    def search(self, question: GeneratedQuestion) -> list[str]:
        """The texts of the best ten, best first."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...


class MemorySearcher:
    """Engram with its defaults."""

    def __init__(self, path: Path) -> None:
        self._memory = Memory(path)

    def search(self, question: GeneratedQuestion) -> list[str]:
        """The texts of the hits of `recall`."""
        hits = self._memory.recall(question.text, namespace=question.namespace, limit=HITS)
        return [hit.engram.text for hit in hits]

    def close(self) -> None:
        """Close the files."""
        self._memory.close()


def build(folder: Path, count: int, namespaces: int, seed: int) -> Result:
    """Build the files of one size; time each from text in RAM until its text can be searched."""
    folder.mkdir(parents=True)
    report_progress("generating the text")
    started = time.perf_counter()
    generated = list(turns(count, seed, namespaces))
    selected = questions(generated, min(MAX_QUESTIONS, count), seed)
    (folder / QUESTIONS).write_text(json.dumps(selected))
    seconds = {"generate": time.perf_counter() - started}
    report_progress("bare SQLite")
    seconds["bare"] = timed(lambda: build_bare(folder / BARE, generated))
    seconds |= build_memory(folder / MEMORY, generated)
    report_progress("Tantivy alone")
    seconds["tantivy"] = timed(lambda: build_search(Tantivy(folder / TANTIVY), generated))
    report_progress("SQLite FTS5")
    seconds["fts5"] = timed(lambda: build_search(Fts5(folder / FTS5), generated))
    return {
        "seconds": seconds,
        "text_bytes": sum(len(turn.text.encode()) for turn in generated),
        "bytes": {name: bytes_of(folder / name) for name in (BARE, MEMORY, TANTIVY, FTS5)},
    }


def fill(folder: Path, count: int, question_count: int, seed: int) -> Result:
    """Build a memory of one namespace, and write questions about it as plain texts."""
    folder.mkdir(parents=True)
    report_progress("generating the text")
    generated = list(turns(count, seed))
    selected = questions(generated, question_count, seed)
    (folder / QUESTIONS).write_text(json.dumps([question.text for question in selected]))
    return {"seconds": build_memory(folder / MEMORY, generated)["closed"], "namespace": generated[0].namespace}


def build_bare(path: Path, generated: Sequence[Turn]) -> None:
    """Insert the texts into a bare table, durably."""
    bare = Bare(path)
    bare.insert_many(turn.text for turn in generated)
    bare.close()


def build_memory(folder: Path, generated: Sequence[Turn]) -> dict[str, float]:
    """Remember every turn; returns the seconds until acknowledged, found by words, found by meaning, and closed."""
    folder.mkdir()
    seconds = {}
    started = time.perf_counter()
    memory = Memory(folder / "memory.db")
    done = 0
    for batch in batches(generated, TURNS_PER_CALL):
        report_progress(f"Engram: remembered {done:,}")
        memory.remember_many(turn._asdict() for turn in batch)
        done += len(batch)
    seconds["acknowledged"] = time.perf_counter() - started
    report_progress(f"Engram: remembered {done:,}, waiting for the index")
    memory.flush(vectors=False)
    seconds["memory"] = time.perf_counter() - started
    report_progress(f"Engram: remembered {done:,}, waiting for the vectors")
    memory.flush()
    seconds["meant"] = time.perf_counter() - started
    memory.close()
    seconds["closed"] = time.perf_counter() - started
    return seconds


def build_search(search: Fts5 | Tantivy, generated: Sequence[Turn]) -> None:
    """Build one of the references."""
    search.build(generated)
    search.close()


def recall(folder: Path, system: str, spread: bool, warm: int, count: int, max_seconds: float) -> Result:
    """Open the files, answer `warm` + 1 questions, then time up to `count` others for at most `max_seconds`."""
    questions = [GeneratedQuestion(*fields) for fields in json.loads((folder / QUESTIONS).read_text())]
    systems: dict[str, Callable[[], Searcher]] = {
        "memory": lambda: MemorySearcher(folder / MEMORY / "memory.db"),
        "fts5": lambda: Fts5(folder / FTS5, spread),
        "tantivy": lambda: Tantivy(folder / TANTIVY, spread),
    }
    started = time.perf_counter()
    search = systems[system]()
    opened = time.perf_counter()
    search.search(questions[0])
    answered = time.perf_counter()
    for question in questions[1 : warm + 1]:
        search.search(question)
    milliseconds, cpu_milliseconds, found = [], [], []
    deadline = time.perf_counter() + max_seconds
    for question in questions[warm + 1 : warm + 1 + count]:
        before, cpu_before = time.perf_counter(), time.process_time()
        texts = search.search(question)
        after = time.perf_counter()
        milliseconds.append((after - before) * 1000)
        cpu_milliseconds.append((time.process_time() - cpu_before) * 1000)
        found.append(float(question.target in texts))
        if after > deadline:
            break
    peak = peak_bytes()
    search.close()
    return {
        "open_seconds": opened - started,
        "open_and_first_seconds": answered - started,
        "milliseconds": milliseconds,
        "cpu_milliseconds": cpu_milliseconds,
        "found_share": sum(found) / len(found),
        "peak_bytes": peak,
    }


def remember(folder: Path, count: int, warm: int, seed: int) -> Result:
    """Write the same texts one at a time to a new memory and to a bare table; each is first for half of the texts.

    The first `warm` texts are not counted: a commit costs more while SQLite's log still grows than after it has wrapped
    around and is overwritten, and the log of the bare table wraps later.
    """
    folder.mkdir(parents=True)
    memory, bare = Memory(folder / "memory.db"), Bare(folder / BARE)
    milliseconds: dict[str, list[float]] = {"memory": [], "bare": []}
    for number, turn in enumerate(turns(warm + count, seed)):
        fields = turn._asdict()
        writes: list[tuple[str, Callable[[], object]]] = [
            ("memory", lambda fields=fields: memory.remember(**fields)),  # type: ignore[misc]
            ("bare", lambda text=turn.text: bare.insert(text)),  # type: ignore[misc]
        ]
        for name, write in writes if number % 2 else writes[::-1]:
            seconds = timed(write)
            if number >= warm:
                milliseconds[name].append(seconds * 1000)
    memory.close()
    bare.close()
    return milliseconds


def report_progress(text: str) -> None:
    """Report progress to the parent process."""
    sys.stderr.write(f"{PROGRESS_PREFIX}{text}\n")
    sys.stderr.flush()


def timed(work: Callable[[], object]) -> float:
    """The seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bytes_of(path: Path) -> int:
    """Size in bytes of a file with its SQLite log, or of a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))


def peak_bytes() -> int:
    """Peak resident memory of this process, in bytes; includes the mapped pages that it touched."""
    # getrusage includes the memory of the parent at the time of the fork; VmHWM covers this process alone.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


TASKS: Mapping[str, Callable[..., Result]] = {
    "build": build,
    "fill": fill,
    "recall": recall,
    "remember": remember,
}


def main(task: str, arguments: str) -> None:
    """Run one task and print its result."""
    values = json.loads(arguments)
    values["folder"] = Path(values["folder"])
    sys.stdout.write(json.dumps(TASKS[task](**values)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
