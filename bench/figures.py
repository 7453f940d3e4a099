"""Data types of the results: figures with their bars and references, and tables.

Owns the bars. Does not know how a figure is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bar:
    """The value that a figure must reach, and the value that is its goal."""

    bar: float
    goal: float
    higher_is_better: bool = False

    def verdict(self, value: float, threshold: float) -> str:
        """Whether a value meets a threshold, which is `bar` or `goal`: "met" or "not reached"."""
        return "met" if (value >= threshold if self.higher_is_better else value <= threshold) else "not reached"


BARS = {
    "locomo-turn-recall-10": Bar(0.82, 0.85, True),
    "locomo-session-any-10": Bar(0.965, 0.98, True),
    "locomo-session-share-10": Bar(0.93, 0.96, True),
    "locomo-auc": Bar(0.96, 0.98, True),
    "lives-first-3": Bar(0.75, 0.9, True),
    "lives-first-10": Bar(0.88, 0.97, True),
    "lives-auc": Bar(0.90, 0.96, True),
    "lives-now": Bar(0.75, 0.9, True),
    "lives-then": Bar(0.7, 0.9, True),
    "lives-now-proposed": Bar(0.9, 0.95, True),
    "beam-updates": Bar(0.8, 0.9, True),
    "beam-preferences": Bar(0.6, 0.85, True),
    "beam-orders": Bar(0.5, 0.8, True),
    "beam-recall-10": Bar(0.55, 0.63, True),
    "beam-recall-10-contextual": Bar(0.60, 0.68, True),
    "memdaily-recall-10": Bar(0.86, 0.94, True),
    "memdaily-rejected": Bar(0.90, 0.97, True),
    "facts-same-language": Bar(0.92, 0.98, True),
    "facts-other-language": Bar(0.88, 0.95, True),
    "messages-around": Bar(0.95, 0.99, True),
    "messages-nothing": Bar(0.97, 0.995, True),
    "story-coherence": Bar(0.8, 0.95, True),
    "reflect-per-second": Bar(2_000, 10_000, True),
    "reflect-again": Bar(10, 10),
    "recall-reflected": Bar(1.3, 1.1),
    "locomo-lasting": Bar(0.75, 0.8, True),
    "recall-p95-10000": Bar(5, 3),
    "recall-p95-100000": Bar(9, 5),
    "recall-p95-1000000": Bar(25, 12),
    "recall-p95-1000000-spread": Bar(4, 2),
    "remember-ratio": Bar(4, 2),
    "many-per-second": Bar(8_000, 20_000, True),
    "meant-per-second": Bar(1_200, 5_000, True),
    "open-and-first-1000000": Bar(0.3, 0.1),
    "import": Bar(0.3, 0.15),
    "peak-1000000": Bar(450, 300),
    "bytes-per-engram": Bar(800, 550),
    "serve-first-token-alone": Bar(15, 8),
    "serve-first-token-together": Bar(60, 30),
    "serve-tokens": Bar(0.97, 0.99, True),
    "serve-lost": Bar(0, 0),
    "serve-growth": Bar(30, 10),
    "serve-prefix": Bar(0, 0),
    "serve-prefix-sticky": Bar(0, 0),
}


@dataclass(frozen=True, slots=True)
class Unit:
    """The format of a value: `digits` decimals, then `sign`."""

    sign: str
    digits: int

    def show(self, value: float) -> str:
        """The value as text; a dash for NaN."""
        return "—" if math.isnan(value) else f"{value:,.{self.digits}f}{self.sign}"


SHARE = Unit("", 3)
MILLISECONDS = Unit(" ms", 2)
SECONDS = Unit(" s", 3)
TIMES = Unit(" times", 2)
PER_SECOND = Unit(" /s", 0)
MEGABYTES = Unit(" MB", 0)
BYTES = Unit(" bytes", 0)
COUNT = Unit("", 0)


@dataclass(frozen=True, slots=True)
class Reference:
    """The same measurement of another system, in the same run."""

    name: str
    value: float
    unit: Unit

    def show(self) -> str:
        """Name and value as text."""
        return f"{self.name}: {self.unit.show(self.value)}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `key` is the key of its bar, if it has one."""

    key: str
    name: str
    value: float
    unit: Unit
    references: Sequence[Reference] = ()

    @property
    def bar(self) -> Bar | None:
        """The bar of the figure; None if it has none."""
        return BARS.get(self.key)


def compared(key: str, name: str, values: Mapping[str, float], unit: Unit) -> Figure:
    """The figure of the first of several systems, with the others as its references. `values`: by system."""
    (_, first), *others = values.items()
    return Figure(key, name, first, unit, [Reference(system, value, unit) for system, value in others])


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of several values; the first cell of a row is its name."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(slots=True)
class Part:
    """Results of one part of the benchmark; `notes` state what was not measured, and why."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Progress = Callable[[str], None]
"""A callback that receives the current step as text."""


def silent(_: str) -> None:
    """A `Progress` that discards its texts."""
