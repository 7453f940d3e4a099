"""The server's metrics, in Prometheus' text format.

Owns the names of the metrics. Does not know who counts, or when.
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
        self.turns = Counter("engram_turns", "Turns by outcome.", ("outcome",), registry=self._registry)
        """outcome: stored, refused, retry, overflow."""
        self.failures = Counter("engram_failures", "Failures by kind.", ("kind",), registry=self._registry)
        """kind: recall_deadline, recall_error, record_error, record_deadline, upstream_unreachable, upstream_broken."""
        self._redacted = Gauge(
            "engram_redacted_turns", "Turns of which a part was not stored (--redact).", registry=self._registry
        )
        self._waiting = Gauge("engram_queue_length", "Turns waiting to be written.", registry=self._registry)

    def watch(self, queue_length: Callable[[], float], redactions: Callable[[], float]) -> None:
        """Call `queue_length` and `redactions` for their values whenever the metrics are read."""
        self._waiting.set_function(queue_length)
        self._redacted.set_function(redactions)

    def event(self, outcome: str) -> None:
        """Count the outcome of a turn."""
        self.turns.labels(outcome).inc()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


def status_class(status: int) -> str:
    """Return the class of a status for the metrics: 2xx, 4xx ..."""
    return f"{status // 100}xx"
