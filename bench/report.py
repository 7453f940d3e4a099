"""The report: figures with their bars and references, as Markdown that is readable on a terminal too.

Owns the layout. Every value comes from the run; verdicts are computed from the values and the bars.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from bench.figures import Figure, Part, Table

HEAD = ("measured", "value", "bar", "goal", "reference, in the same run")


def summary(parts: Iterable[Part]) -> str:
    """The table of all figures."""
    rows = [figure_row(figure) for part in parts for figure in part.figures]
    return markdown_table(HEAD, rows)


def figure_row(figure: Figure) -> list[str]:
    """The cells of one figure: name, value, the two verdicts, and references."""
    cells = [f"{threshold}: {verdict}" for threshold, verdict in verdicts(figure)] or ["", ""]
    references = "; ".join(reference.show() for reference in figure.references)
    return [figure.name, figure.unit.show(figure.value), *cells, references]


def verdicts(figure: Figure) -> list[tuple[str, str]]:
    """The bar and the goal, each with the verdict on the value; empty if the figure has no bar or no value."""
    bar = figure.bar
    if bar is None or math.isnan(figure.value):
        return []
    return [(plain(threshold), bar.verdict(figure.value, threshold)) for threshold in (bar.bar, bar.goal)]


def plain(value: float) -> str:
    """A number in its shortest form."""
    return f"{value:,g}" if value < 1000 else f"{value:,.0f}"


def markdown(
    parts: Sequence[Part], machine: Sequence[tuple[str, str]], when: datetime, command: str, seconds: float
) -> str:
    """The whole report. `command`: the command that creates it. `seconds`: the duration of this run."""
    lines = [
        "# Benchmark",
        "",
        f"Measured on {when:%Y-%m-%d} ({when:%H:%M} {when:%Z}) in {seconds / 60:.1f} minutes; to measure again:",
        "",
        f"    {command}",
        "",
        *(f"- {name}: {value}" for name, value in machine),
        "",
        "How each figure is measured is in docs/bench.md. Files just written stand in the system's page cache.",
        "",
        "## Figures with their bars and goals",
        "",
        summary(parts),
    ]
    for part in parts:
        for table in part.tables:
            lines += ["", f"## {table.title}", "", markdown_table(table.columns, table.rows)]
            lines += ["", table.note] if table.note else []
    notes = [f"- {note}" for part in parts for note in part.notes]
    if notes:
        lines += ["", "## Left out", "", *notes]
    return "\n".join(lines) + "\n"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the cells of a column are padded to the same width."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (columns, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    head, *body = (f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |" for row in cells)
    return "\n".join([head, f"|{'|'.join('-' * (w + 2) for w in widths)}|", *body])


def as_json(parts: Iterable[Part], machine: Sequence[tuple[str, str]], when: datetime) -> dict[str, Any]:
    """The report as JSON. `unit` names the unit of each value; NaN becomes null."""
    return {
        "when": when.isoformat(),
        "machine": dict(machine),
        "figures": [figure_json(figure) for part in parts for figure in part.figures],
        "tables": [table_json(table) for part in parts for table in part.tables],
        "left_out": [note for part in parts for note in part.notes],
    }


def figure_json(figure: Figure) -> dict[str, Any]:
    """One figure."""
    bar = figure.bar
    return {
        "key": figure.key,
        "name": figure.name,
        "value": number(figure.value),
        "unit": figure.unit.sign.strip(),
        "bar": None if bar is None else bar.bar,
        "goal": None if bar is None else bar.goal,
        "verdicts": [verdict for _, verdict in verdicts(figure)],
        "references": [
            {"name": r.name, "value": number(r.value), "unit": r.unit.sign.strip()} for r in figure.references
        ],
    }


def table_json(table: Table) -> dict[str, Any]:
    """One table; its cells are the texts of the Markdown report."""
    return {"title": table.title, "columns": list(table.columns), "rows": [list(row) for row in table.rows]}


def number(value: float) -> float | None:
    """The value, or None for NaN, which JSON does not have."""
    return None if math.isnan(value) else value
