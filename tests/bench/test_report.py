"""The report: it shows the measured values with their verdicts."""

import json
import math
from datetime import UTC, datetime

import pytest

from bench import report
from bench.figures import BARS, MILLISECONDS, PER_SECOND, SHARE, Bar, Figure, Part, Reference, Table

WHEN = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
PARTS = [
    Part(
        "recall",
        [
            Figure("recall-p95-10000", "recall, p95", 3.456, MILLISECONDS, [Reference("FTS5", 9.0, MILLISECONDS)]),
            Figure("many-per-second", "remember_many", 25_000.4, PER_SECOND),
            Figure("nothing-known", "no bar", 0.5, SHARE),
        ],
        [Table("More", ["", "a|b"], [["x", "1"]], "A note.")],
        ["dense: not installed"],
    )
]


def test_verdict_compares_the_value_with_a_threshold():
    low, high = Bar(5, 2), Bar(8, 20, higher_is_better=True)
    assert [low.verdict(value, low.bar) for value in (4, 5, 5.1)] == ["met", "met", "not reached"]
    assert [high.verdict(value, high.goal) for value in (19, 20, 21)] == ["not reached", "met", "met"]
    for bar in BARS.values():
        assert (bar.goal > bar.bar) == bar.higher_is_better


def test_a_row_shows_value_verdicts_and_references():
    first, second, third = map(report.figure_row, PARTS[0].figures)
    assert first == ["recall, p95", "3.46 ms", "5: met", "3: not reached", "FTS5: 9.00 ms"]
    assert second == ["remember_many", "25,000 /s", "8,000: met", "20,000: met", ""]
    assert third == ["no bar", "0.500", "", "", ""]


def test_a_missing_value_has_no_verdict():
    row = report.figure_row(Figure("locomo-auc", "AUC", math.nan, SHARE))
    assert row == ["AUC", "—", "", "", ""]


def test_markdown_contains_every_part():
    text = report.markdown(PARTS, [("cores", "2")], WHEN, "python -m bench --scale full", 90)
    assert "Measured on 2026-03-04 (05:06 UTC) in 1.5 minutes" in text
    assert "    python -m bench --scale full" in text
    assert "- cores: 2" in text
    assert "| recall, p95   | 3.46 ms   | 5: met" in text
    assert "## More" in text
    assert "a\\|b" in text
    assert "A note." in text
    assert "- dense: not installed" in text


def test_tables_are_rectangular():
    lines = report.summary(PARTS).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 2 + 3


def test_json_contains_values_bars_and_verdicts():
    value = json.loads(json.dumps(report.as_json(PARTS, [("cores", "2")], WHEN), allow_nan=False))
    assert value["machine"] == {"cores": "2"}
    first = value["figures"][0]
    assert first["value"] == pytest.approx(3.456)
    assert (first["bar"], first["goal"], first["verdicts"]) == (5, 3, ["met", "not reached"])
    assert value["figures"][2]["bar"] is None
    assert value["tables"][0]["rows"] == [["x", "1"]]
