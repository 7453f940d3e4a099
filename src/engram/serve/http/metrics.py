"""The server's metrics, in Prometheus' text format.

Owns the names of the metrics. Does not know who counts, or when.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from engram.errors import EngramError
from engram.memory import Stats
from engram.serve.wire.base import LeftOut

TIMES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the buckets of recall time, in seconds."""


class Metrics:
    """The metrics of one server. Thread-safe."""

    def __init__(self) -> None:
        # The creation time of each metric is of no use here and doubles the size of the page.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self.requests = Counter("engram_requests", "Requests answered.", ("face", "status"), registry=self._registry)
        """face: a name in `wire.table`, or passed, memory, mcp. status: 2xx, 4xx, 5xx; broken if incomplete."""
        self.recall_seconds = Histogram(
            "engram_recall_seconds", "Time of a recall in seconds.", buckets=TIMES, registry=self._registry
        )
        self.note_tokens = Counter(
            "engram_note_tokens", "Tokens of notes inserted into requests.", registry=self._registry
        )
        self.profile_tokens = Counter(
            "engram_profile_tokens", "Tokens of profiles inserted into requests.", registry=self._registry
        )
        self.turns = Counter("engram_turns", "Turns by outcome.", ("outcome",), registry=self._registry)
        """outcome: stored, refused, retry, overflow."""
        self.tool_calls = Counter(
            "engram_tool_calls", "Calls of Engram's tools by models.", ("tool", "outcome"), registry=self._registry
        )
        """tool: a name in `engram.tools`, or unknown. outcome: ok, error."""
        self.failures = Counter("engram_failures", "Failures by kind.", ("kind",), registry=self._registry)
        """kind: recall_deadline, recall_error, profile_deadline, profile_error, record_error, record_deadline,
        upstream_unreachable, upstream_broken, upstream_in_tools."""
        self._redacted = Gauge(
            "engram_redacted_turns", "Turns of which a part was not stored (--redact).", registry=self._registry
        )
        self.frontend_tasks = Counter(
            "engram_frontend_tasks",
            "Requests that front ends sent for themselves.",
            ("frontend",),
            registry=self._registry,
        )
        self._pieces = Counter(
            "engram_left_out_pieces", "Pieces that no user typed.", ("frontend",), registry=self._registry
        )
        self._characters = Counter(
            "engram_left_out_characters", "Characters of these pieces.", ("frontend",), registry=self._registry
        )
        self._trouble = Gauge(
            "engram_index_trouble", "1 if the index, or the memory, cannot be used.", registry=self._registry
        )
        self._stats: Callable[[], Stats] | None = None
        self._reading = threading.Lock()
        """Held while the state of the index is read."""
        self._unindexed = Gauge("engram_unindexed", "Turns that the index does not hold yet.", registry=self._registry)
        self._waiting = Gauge("engram_queue_length", "Turns waiting to be written.", registry=self._registry)

    def watch_queue(self, length: Callable[[], float]) -> None:
        """Read the queue length from `length` whenever the metrics are read."""
        self._waiting.set_function(length)

    def watch_redactions(self, count: Callable[[], float]) -> None:
        """Read the number of redacted turns from `count` whenever the metrics are read."""
        self._redacted.set_function(count)

    def watch_index(self, stats: Callable[[], Stats]) -> None:
        """Read the state of the index from `stats` when `read_index` is called. It reads the memory."""
        self._stats = stats

    def event(self, outcome: str) -> None:
        """Count the outcome of a turn."""
        self.turns.labels(outcome).inc()

    def leave_out(self, left_out: Iterable[LeftOut]) -> None:
        """Count what was left out of messages."""
        for one in left_out:
            self._pieces.labels(one.by).inc(one.pieces)
            self._characters.labels(one.by).inc(one.characters)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format. Does not read the memory: see `read_index`."""
        return generate_latest(self._registry)

    def read_index(self) -> None:
        """Read the state of the index for `text`. Takes as long as the memory needs to count its engrams.

        A call during another one returns at once, so that slow ones do not take all threads.
        """
        if self._stats is None or not self._reading.acquire(blocking=False):
            return
        try:
            state = self._stats()
        except EngramError:
            # The other metrics are needed most when the memory cannot be read.
            self.index_unknown()
        else:
            self._trouble.set(state.index_trouble is not None)
            self._unindexed.set(state.unindexed)
        finally:
            self._reading.release()

    def index_unknown(self) -> None:
        """Say in the metrics that the memory cannot be read."""
        self._trouble.set(1)
        self._unindexed.set(math.nan)


def status_class(status: int) -> str:
    """Return the class of a status for the metrics: 2xx, 4xx ..."""
    return f"{status // 100}xx"
