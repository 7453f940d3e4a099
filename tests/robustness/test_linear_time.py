"""No text stalls a process: every pattern and text function takes time in proportion to the length of a hostile text.

The patterns are found in the source, and the hostile texts are made from them; see `tools/patterns.py` and
`tools/hostile.py`. Only the growth is asserted, in processor time. `python -m tools.linear_time` prints times.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from tools import linear_time
from tools.hostile import hostile_to
from tools.linear_time import MOST_GROWTH, Measured, Worker, all_measured, functions, seconds, subjects
from tools.patterns import Unresolved, patterns_of

SIZES = (1_500, 15_000)
NO_GROWTH = 0.1
"""Seconds of processor time: a text of 15 KB that takes less is not hostile, whatever it takes at a tenth of the size.
Quadratic time would be more."""


def faults(names: list[str]) -> list[Measured]:
    """Return the texts whose time grows faster than their length, or that had to be killed."""
    return [
        measured
        for results in all_measured(names, SIZES, workers=2)
        for measured in results
        if measured.killed or measured.growth(NO_GROWTH) > MOST_GROWTH
    ]


def test_every_pattern_takes_linear_time() -> None:
    names = [name for name in subjects() if name not in functions()]
    assert len(names) > 80
    assert faults(names) == []


def test_every_text_function_takes_linear_time() -> None:
    assert faults(list(functions())) == []


# The search for patterns.


def package(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Write and import a package with one module."""
    name = f"example_{abs(hash(source))}"
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("import re\n" + textwrap.dedent(source))
    monkeypatch.syspath_prepend(folder)
    imported: ModuleType = __import__(name)
    return imported


@pytest.mark.parametrize(
    ("source", "found", "uses"),
    [
        ("A = re.compile('a+')\ndef f(t): return A.match(t)", "a+", {"match"}),
        ("TABLE = {'x': [(re.compile('b+'), 1)]}", "b+", {"match", "search", "finditer"}),
        ("find = re.compile('c+').search", "c+", {"search"}),
        ("def f(t): return re.sub('d+', '', t)", "d+", {"sub"}),
        ("class C:\n def f(self, t): return re.compile(rf'{1 + 1}e').split(t)", "2e", {"split"}),
        ("def make(p): return re.compile(p)\nLATE = ['f+']\ndef g(t): return [make(x) for x in LATE]", "f+", None),
        ("def make(p): return re.compile(p)\nG = 'g+'\ndef h(t): return make(G).fullmatch(t)", "g+", {"fullmatch"}),
        (
            "WORDS = [['i', 'j']]\nALL = {w[0]: re.compile('|'.join(w)) for w in WORDS}",
            "i|j",
            {"match", "search", "finditer"},
        ),
        ("ALL = (re.compile('h+'),)\ndef f(t):\n for p in ALL: p.findall(t)", "h+", {"findall"}),
    ],
)
def test_patterns_are_found_wherever_they_are_compiled(
    source: str, found: str, uses: set[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patterns = {item.pattern.pattern: item.uses for item in patterns_of(package(tmp_path, source, monkeypatch))}
    assert set(patterns) == {found}
    assert uses is None or patterns[found] == uses


@pytest.mark.parametrize(
    "source",
    [
        "def f(t, n): return re.search('a' * len(n), t)",
        "from re import compile\nA = compile('a')",
        "def make(p): return re.compile(p)\ndef f(n): return make(n + 'b')",
    ],
)
def test_a_pattern_that_cannot_be_computed_is_an_error(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unresolved, match="example_"):
        patterns_of(package(tmp_path, source, monkeypatch))


# The hostile texts.


@pytest.mark.parametrize(
    "careless",
    [
        r"\s+$",
        r"<\|.*?\|>",
        r"<\s*/?\s*name>",
        r"\w+@\w+",
        r"[^:]{0,30000}:",
        r"x *\n* *y",
        r"(?:ab?)*c",
    ],
)
def test_a_careless_pattern_is_slow_for_a_text_that_is_made_from_it(careless: str) -> None:
    pattern = re.compile(careless)
    pairs = [[seconds(pattern.search, hostile.text(size)) for size in (800, 8_000)] for hostile in hostile_to(pattern)]
    assert max(large / max(small, 1e-4) for small, large in pairs) > MOST_GROWTH


def test_a_call_that_does_not_end_is_killed_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without time to start, the first call is over its limit.
    monkeypatch.setattr(linear_time, "START_SECONDS", 0.0)
    with Worker(SIZES, limit=0.0) as worker:
        assert [measured.killed for measured in worker.measured("words")] == [True]
