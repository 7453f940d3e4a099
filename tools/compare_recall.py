"""Compare recall of two checkouts: the order of hits and the time, over the same memories and questions.

    python tools/compare_recall.py --before OTHER_CHECKOUT/.venv/bin/python
    python tools/compare_recall.py --before OTHER_CHECKOUT/.venv/bin/python --locomo locomo10.json

It builds the same memory with each of the two interpreters, with explicit ids. Then it asks both the same questions, in
small blocks that alternate, in several rounds; only one process works at a time. It prints how many questions give the
same hits in the same order, and the ratio (after / before) of the median and of the 95th percentile of their times: in
wall time and in CPU time, which a busy machine disturbs less. The time of a question is its median over the rounds.
`--sizes` are those of generated memories; `--locomo` adds the LoCoMo conversations.

Two indexes of the same engrams can differ: their division into segments depends on time, and decides which of equally
good candidates are among the best hundred. `--after` with the Python of `--before` shows how many hits this changes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

BLOCK = 25
"""Number of questions that one process answers before the other one continues."""
LIMIT = 10
NOW = "2026-01-01T00:00:00+00:00"


def work() -> None:
    """Run in one checkout: read commands as JSON lines, and answer each with a JSON line. Uses the public API only."""
    from datetime import datetime

    from engram import Memory

    memory, now = Memory(sys.argv[2]), datetime.fromisoformat(NOW)
    for line in sys.stdin:
        command = json.loads(line)
        answer: Any = None
        if "build" in command:
            with open(command["build"], encoding="utf-8") as file:
                items = [json.loads(row) for row in file]
            for item in items:
                item["at"] = datetime.fromisoformat(item["at"])
            memory.remember_many(items)
            # Rebuilt, so that the division into segments depends on sizes and not on the time of the writes.
            memory.flush()
            memory.reindex()
            memory.close()
            memory = Memory(sys.argv[2])
        else:
            answer = []
            for text, namespace in command["ask"]:
                started, cpu_started = time.perf_counter(), time.process_time()
                hits = memory.recall(text, namespace=namespace, limit=LIMIT, now=now)
                seconds = time.perf_counter() - started, time.process_time() - cpu_started
                answer.append([seconds, [hit.engram.id for hit in hits], [hit.score for hit in hits]])
        print(json.dumps(answer), flush=True)
    memory.close()


class Checkout:
    """A process of one checkout, with its memory."""

    def __init__(self, python: str, path: Path) -> None:
        self._process = subprocess.Popen(
            [python, __file__, "work", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, command: dict[str, Any]) -> Any:
        """Send one command and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def generated(size: int, count: int) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Return `size` generated turns and `count` questions about them, with their namespaces."""
    from bench.generate import questions, turns

    items = list(turns(size))
    return [turn._asdict() for turn in items], [(q.text, q.namespace) for q in questions(items, count)]


def locomo(path: Path, count: int) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Return the turns of LoCoMo, a namespace for each conversation, and `count` questions, taken evenly from all."""
    from bench.datasets import read_locomo

    conversations = read_locomo(path)
    items = [
        {
            "text": turn.text,
            "namespace": conversation.name,
            "session": turn.session,
            "speaker": turn.speaker or None,
            "role": turn.role,
            "at": turn.at,
        }
        for conversation in conversations
        for turn in conversation.turns
    ]
    queries = [
        (question.text, conversation.name) for conversation in conversations for question in conversation.questions
    ]
    # A stride, so that the questions come from every conversation.
    return items, queries[:: max(1, len(queries) // count)][:count]


def write(items: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the items as JSON lines, each with an id that is the same in both memories."""
    with open(path, "w", encoding="utf-8") as file:
        for number, item in enumerate(items):
            fields = {**item, "at": item["at"].isoformat(), "id": str(uuid.UUID(int=(7 << 76) | (2 << 62) | number))}
            file.write(json.dumps(fields) + "\n")


def blocks(queries: Sequence[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield the questions in blocks, each with the number of its first question."""
    for start in range(0, len(queries), BLOCK):
        yield start, queries[start : start + BLOCK]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of `values` do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def compare(
    label: str, items: list[dict[str, Any]], queries: list[tuple[str, str]], options: argparse.Namespace
) -> None:
    """Build, ask in rounds, and print the figures of one memory."""
    with tempfile.TemporaryDirectory() as folder:
        write(items, Path(folder) / "items.jsonl")
        pair = [
            Checkout(python, Path(folder) / f"{name}.db")
            for name, python in (("before", options.before), ("after", options.after))
        ]
        for checkout in pair:
            checkout.call({"build": str(Path(folder) / "items.jsonl")})
        seconds: list[list[list[tuple[float, float]]]] = [[[] for _ in queries] for _ in pair]
        hits: list[list[Any]] = [[None] * len(queries) for _ in pair]
        for round in range(options.rounds):
            for start, block in blocks(queries):
                order = (0, 1) if (round + start // BLOCK) % 2 else (1, 0)
                for side in order:
                    for number, (times, ids, scores) in enumerate(pair[side].call({"ask": block}), start):
                        seconds[side][number].append(times)
                        hits[side][number] = (ids, scores)
        for checkout in pair:
            checkout.close()
    report(label, seconds, hits)


def report(label: str, seconds: list[list[list[tuple[float, float]]]], hits: list[list[Any]]) -> None:
    """Print one memory's figures."""
    pairs = list(zip(*hits, strict=True))
    same = sum(a[0] == b[0] for a, b in pairs)
    differing = [(a, b) for a, b in pairs if a[0] != b[0]]
    ties = sum(is_tie(a, b) for a, b in differing)
    difference = max(
        (abs(x - y) for a, b in pairs if a[0] == b[0] for x, y in zip(a[1], b[1], strict=True)), default=0.0
    )
    print(f"{label}: same hits in the same order {same:,} of {len(pairs):,}", end="")
    print(f" ({ties} of the others differ only among equal scores)" if differing else "", end="")
    print(f"; scores differ by at most {difference:.1e}")
    for clock, name in enumerate(("wall", "CPU")):
        times = [[percentile([pair[clock] for pair in rounds], 0.5) * 1000 for rounds in side] for side in seconds]
        for measure, share in (("median", 0.5), ("p95", 0.95)):
            before, after = (percentile(side, share) for side in times)
            ratio = f"ratio {after / before:.3f}"
            print(f"  {name:5} {measure:6}  before {before:.3f} ms  after {after:.3f} ms  {ratio}", flush=True)


def is_tie(one: Any, other: Any) -> bool:
    """Whether both lists have the same scores to 1e-5: only turns with equal scores changed their order."""
    return len(one[1]) == len(other[1]) and all(abs(a - b) < 1e-5 for a, b in zip(one[1], other[1], strict=True))


def main() -> None:
    """Read the options and compare each memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="the Python of the other checkout's environment")
    parser.add_argument("--after", default=sys.executable, help="the Python of this checkout's environment")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000], help="engrams of generated text")
    parser.add_argument("--locomo", type=Path, help="LoCoMo's JSON, to compare over its conversations too")
    parser.add_argument("--questions", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1]))
    for size in options.sizes:
        compare(f"{size:,} engrams", *generated(size, options.questions), options)
    if options.locomo:
        compare("LoCoMo", *locomo(options.locomo, options.questions), options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        work()
    else:
        main()
