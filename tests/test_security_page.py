"""The tests that docs/security.md names for the controls of OWASP AISVS exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if re.match(r"\| 8\.\d\.\d ", line)]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_on_the_page_exists() -> None:
    named = TEST.findall(PAGE)
    assert len(named) >= 20
    assert [(path, name) for path, name in named if name not in functions_of(path)] == []


def test_every_control_that_is_met_names_a_test() -> None:
    assert [row[0].split()[0] for row in ROWS] == [
        *("8.1.1", "8.1.2", "8.1.3"),
        *("8.2.1", "8.2.2", "8.2.3", "8.2.4", "8.2.5"),
        *("8.3.1", "8.3.2", "8.3.3"),
    ]
    assert [row[0] for row in ROWS if row[1].strip().startswith("met") != bool(TEST.search(row[3]))] == []


def test_the_page_counts_its_controls() -> None:
    met = [row[1].strip() for row in ROWS if row[1].strip().startswith("met")]
    assert f"{len(met)} of {len(ROWS)} are met, two of them only with an option." in PAGE
    assert met.count("met with the option") == 2
