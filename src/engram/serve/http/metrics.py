"""What the server counts, in the form that Prometheus reads.

Owns the names of the metrics. Knows nothing of who counts, nor when.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

TIMES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
"""Upper ends of the buckets of recall's time, in seconds."""


class Metrics:
    """The figures of one server. Safe to count in from threads."""

    def __init__(self) -> None:
        # When each figure began is of no use to anybody, and doubles the page.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self.requests = Counter("engram_requests", "Requests answered.", ("face", "status"), registry=self._registry)
        """face: a name in `engram.serve.wire.table`, or passed, memory, mcp.

        status: 2xx, 4xx, 5xx; broken for a reply cut off.
        """
        self.recall_seconds = Histogram(
            "engram_recall_seconds", "Time that recall took.", buckets=TIMES, registry=self._registry
        )
        self.note_tokens = Counter("engram_note_tokens", "Tokens of notes put in.", registry=self._registry)
        self.turns = Counter("engram_turns", "Turns by what became of them.", ("outcome",), registry=self._registry)
        """outcome: stored, refused, retry, overflow."""
        self.failures = Counter("engram_failures", "What did not work.", ("kind",), registry=self._registry)
        """kind: recall_deadline, recall_error, record_error, record_deadline, upstream_unreachable, upstream_broken."""
        self._waiting = Gauge("engram_queue_length", "Turns that wait to be written.", registry=self._registry)

    def watch_queue(self, length: Callable[[], float]) -> None:
        """Have the length of the queue asked whenever the figures are read."""
        self._waiting.set_function(length)

    def event(self, outcome: str) -> None:
        """Count what became of a turn."""
        self.turns.labels(outcome).inc()

    def text(self) -> bytes:
        """All figures, in Prometheus' text format."""
        return generate_latest(self._registry)


def status_class(status: int) -> str:
    """A status as metrics tell it apart: 2xx, 4xx ..."""
    return f"{status // 100}xx"
