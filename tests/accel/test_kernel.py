"""The kernel against the numpy functions that define it, damage noticed alike, and recall the same with and without."""

from __future__ import annotations

import dataclasses
import logging
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engram import accel
from engram.memory import Memory
from engram.recall.compiled import Compiled
from engram.recall.dates.parse import periods
from engram.recall.query import ParsedQuery
from engram.recall.rank import InNumpy
from engram.recall.score import PARTS
from engram.recall.weights import DEFAULT, Weights
from engram.search.base import GONE, ROW, IndexDamaged, Turns
from engram.search.local.forward import FACTORS, TOKEN_FACTOR, ForwardIndex, checksums, gathered
from engram.text.analyzer import Analyzer
from engram.text.vectors import default_table

REPOSITORY = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler on this machine"
)
needs_kernel = pytest.mark.skipif(not accel.available, reason="the kernel was not compiled: python hatch_build.py")


@cache
def encoder() -> Analyzer:
    return Analyzer(default_table())


def turns_of(chance: np.random.Generator, n: int, token_type: type = np.uint16, longest: int = 40) -> Turns:
    """n turns of a few sessions, each beside others, far from some of them in time, and some beside none."""
    seqs = np.sort(chance.choice(np.arange(1, 3 * n + 2), n, replace=False)).astype(np.int64)
    rows = np.zeros(n, ROW)
    lengths = chance.integers(0, longest + 1, n)
    tokens = chance.choice([*range(400), 60_000, 65_535], lengths.sum()).astype(token_type)
    for field, top in (("session", max(1, n // 4)), ("speaker", 4), ("role", 4), ("marks", 8)):
        rows[field] = chance.integers(0, top, n)
    rows["previous"] = chance.choice([0, *seqs, 10**6], n)
    rows["at"] = NOW.timestamp() * 10**6 + chance.integers(-(10**6), 10**6, n) * 20_000
    rows["centroid"] = chance.integers(-127, 128, rows["centroid"].shape)
    rows["length"], rows["start"] = lengths, lengths.cumsum() - lengths
    rows["check"] = checksums(rows, tokens, lengths)
    return Turns(seqs, rows, tokens, lengths)


def cue_of(chance: np.random.Generator, q: int, when: str = "") -> ParsedQuery:
    ids = chance.choice([*range(400), 60_000, 65_535], q, replace=False).tolist()
    return ParsedQuery(
        ids=tuple(ids),
        terms=tuple(map(str, ids)),
        probabilities=encoder().probabilities(ids),
        names=chance.random(q) < 0.2,
        asked=frozenset(chance.choice(4, chance.integers(0, 3), replace=False).tolist()),
        roles=frozenset(chance.choice(4, chance.integers(0, 3), replace=False).tolist()),
        asks_when=bool(chance.integers(0, 2)),
        periods=tuple(periods(when, NOW)),
    )


def alike(one: Any, other: Any) -> None:
    """Whether two dataclasses hold the same arrays: floats to 1e-5, all else exactly, types included."""
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, dict):
            assert list(a) == list(b) == list(PARTS)
            a, b = np.array(list(a.values())), np.array(list(b.values()))
        if isinstance(a, np.ndarray):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), field.name
            np.testing.assert_allclose(a, b, 1e-5 if a.dtype.kind == "f" else 0, 1e-6, err_msg=field.name)


def compare(turns: Turns, cue: ParsedQuery, chance: np.random.Generator, weights: Weights = DEFAULT) -> None:
    one, other = (kind(turns, cue, encoder()) for kind in (Compiled, InNumpy))
    alike(one.pool, other.pool)
    alike(one.beside, other.beside)
    session_tokens = chance.integers(1, 2_000, len(other.beside.sessions))
    weight = chance.random(len(cue.ids)) * 8
    (scores, sure), (expected, expected_sure) = (w.scored(session_tokens, weight, weights) for w in (one, other))
    alike(scores, expected)
    np.testing.assert_allclose(sure, expected_sure, 1e-5, 1e-6)


@needs_compiler
def test_it_is_there_where_a_compiler_is() -> None:
    assert accel.available


@needs_kernel
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("q", [1, 5, 16, 17, 32])
def test_it_scores_as_numpy_does(seed: int, q: int) -> None:
    chance = np.random.default_rng(seed)
    n = int(chance.integers(1, 200))
    when = ("", "in December", "on 3 March 2025")[seed % 3]
    compare(turns_of(chance, n, (np.uint16, np.uint32)[seed % 2]), cue_of(chance, q, when), chance)


@needs_kernel
@pytest.mark.parametrize("seed", range(5))
def test_it_heeds_every_weight(seed: int) -> None:
    chance = np.random.default_rng(seed)
    changed = {f.name: getattr(DEFAULT, f.name) * chance.uniform(0.6, 1.1) for f in dataclasses.fields(Weights)}
    compare(turns_of(chance, 90), cue_of(chance, 8, "last week"), chance, Weights(**changed))


@needs_kernel
@pytest.mark.parametrize("seed", range(5))
def test_small_and_strange_pools(seed: int) -> None:
    chance = np.random.default_rng(seed)
    for n, longest in ((1, 0), (1, 30), (2, 0), (2, 3), (65, 1), (64, 700)):
        compare(turns_of(chance, n, longest=longest), cue_of(chance, 3), chance)


@needs_kernel
def test_turns_that_are_equal_keep_their_order() -> None:
    chance = np.random.default_rng(0)
    turns = turns_of(chance, 1)
    many = Turns(np.arange(1, 101), turns.columns.repeat(100), np.tile(turns.tokens, 100), turns.lengths.repeat(100))
    many.columns["previous"] = 0
    compare(many, cue_of(chance, 4), chance)


@needs_kernel
def test_no_turns_at_all() -> None:
    chance = np.random.default_rng(0)
    work = Compiled(turns_of(chance, 0), cue_of(chance, 3), encoder())
    scores, sure = work.scored(np.empty(0, np.int64), np.ones(3))
    assert (len(work.beside.sessions), len(scores.total), len(sure)) == (0, 0, 0)


@needs_kernel
def test_arrays_that_do_not_fit_are_refused() -> None:
    chance = np.random.default_rng(0)
    turns, cue = turns_of(chance, 9), cue_of(chance, 3)
    for wrong in (
        dataclasses.replace(turns, lengths=turns.lengths.astype(np.int32)),
        dataclasses.replace(turns, tokens=turns.tokens[::2]),
        dataclasses.replace(turns, columns=turns.columns["at"]),
        dataclasses.replace(turns, lengths=turns.lengths + 1),
        dataclasses.replace(turns, rows=turns.rows[1:]),
    ):
        with pytest.raises(ValueError):
            Compiled(wrong, cue, encoder())
    with pytest.raises(ValueError):
        Compiled(turns, cue, encoder()).scored(np.ones(99, np.int64), np.ones(3))


# What is read from files.


def both(rows: Any, tokens: Any, seqs: Any, first: int = 1) -> str:
    """What the kernel says is wrong, the same as numpy says, and with the same turns where nothing is."""
    one, other = (take(rows, tokens, seqs, first, FACTORS, TOKEN_FACTOR) for take in (accel.gathered, gathered))
    assert one[-1] == other[-1]
    if not other[-1]:
        for a, b in zip(one[:-1], other[:-1], strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)
    return other[-1]


@needs_kernel
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("token_type", [np.uint16, np.uint32])
def test_it_gathers_as_numpy_does(seed: int, token_type: type) -> None:
    chance = np.random.default_rng(seed)
    turns = turns_of(chance, 120, token_type)
    turns.columns["length"][chance.integers(0, 120, 20)] = GONE
    seqs = chance.integers(-20, 200, 300)
    assert both(turns.columns, turns.tokens, seqs) == ""
    assert both(turns.columns, turns.tokens, seqs[:0]) == ""
    assert both(turns.columns[:0], turns.tokens[:0], seqs) == ""
    assert both(turns.columns, turns.tokens, np.array([-(2**63), 2**63 - 1, 5]), -(2**40)) == ""


@needs_kernel
@pytest.mark.parametrize("seed", range(200))
def test_damage_is_noticed_as_numpy_notices_it(seed: int) -> None:
    chance = np.random.default_rng(seed)
    turns = turns_of(chance, 30)
    rows, tokens = turns.columns.copy(), turns.tokens.copy()
    damaged = (rows if seed % 2 else tokens).view(np.uint8)
    at = int(chance.integers(0, len(damaged)))
    damaged[at : at + int(chance.choice([1, 8, 4_000]))] = chance.integers(0, 256)
    both(rows, tokens, np.arange(1, 31))


@needs_kernel
@pytest.mark.parametrize(
    ("field", "value"),
    [("start", -1), ("start", 2**63 - 1), ("start", -(2**63)), ("length", -2), ("length", 2**31 - 1)],
)
def test_rows_that_lead_out_of_the_tokens(field: str, value: int) -> None:
    turns = turns_of(np.random.default_rng(1), 10)
    turns.columns[field][4] = value
    assert both(turns.columns, turns.tokens, np.arange(1, 11)) == accel.UNFIT


@pytest.mark.parametrize("available", [pytest.param(True, marks=needs_kernel), False])
@pytest.mark.parametrize("file", ["rows", "tokens"])
def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, available: bool, file: str) -> None:
    monkeypatch.setattr(accel, "available", available)
    turns = turns_of(np.random.default_rng(2), 50)
    for name, values in (("rows", turns.columns), ("tokens", turns.tokens)):
        (tmp_path / name).write_bytes(values.tobytes())
    path = tmp_path / file
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))
    columns = ForwardIndex(1, np.uint16, tmp_path)
    columns.truncate(50, len(turns.tokens))
    with pytest.raises(IndexDamaged, match=r"rows (does not fit|or) .*tokens"):
        columns.take(np.arange(1, 51))


# A whole recall.

SAID = [
    ("Ana", "user", "We are thinking of moving to a house near the harbour."),
    ("Bo", "assistant", "When would you move, and how many rooms do you need?"),
    ("Ana", "user", "In May, I hope. Three rooms, and a garden for my dog Biscuit."),
    ("Bo", "assistant", "Biscuit will like the beach there."),
    ("Ana", "user", "My sister plays the cello in the harbour orchestra on Fridays."),
    ("Bo", "assistant", "Did you hear her play last week?"),
    ("Ana", "user", "I did. The concert was wonderful, and the puppy slept through it."),
    ("Bo", "assistant", "The ferry timetable changes in autumn."),
]
ASKED = [
    "When does Ana want to move?",
    "What is my dog called?",
    "harbour",
    "Who plays an instrument in the orchestra, and on which day of the week does she play it?",
    "What did we hear last week?",
    "boats " * 40 + "and the timetable of ferries",
    "What did Bo say in May about beaches?",
    "zirconium lattices",
]


@needs_kernel
@pytest.mark.parametrize("rounds", [1, 40], ids=["small", "larger"])
@pytest.mark.parametrize("indexed", [True, False])
def test_recall_is_the_same_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int, indexed: bool
) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        for number in range(rounds):
            for place, (speaker, role, text) in enumerate(SAID):
                at = datetime(2025, 1 + number % 12, 1 + number % 28, 9, place, tzinfo=UTC)
                said = f"{text} ({number} {'so' * (number % 5)})"
                memory.remember(said, speaker=speaker, role=role, session=f"s{number}", at=at)
        if indexed:
            memory.flush()
        for query in ASKED:
            answers = []
            for available in (True, False):
                monkeypatch.setattr(accel, "available", available)
                answers.append(list(memory.recall(query, limit=20, now=NOW)))
            one, other = answers
            assert [hit.engram.id for hit in one] == [hit.engram.id for hit in other]
            for a, b in zip(one, other, strict=True):
                assert a.score == pytest.approx(b.score, rel=1e-5)
                assert a.why == pytest.approx(b.why, rel=1e-5, abs=1e-6)
                assert list(a.why) == list(b.why)


def test_recall_works_without_it(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "available", False)
    monkeypatch.setattr(accel, "_reading", None)
    monkeypatch.setattr(accel, "_kernel", None)
    memory.remember("My dog is called Biscuit.")
    memory.flush()
    assert [hit.engram.text for hit in memory.recall("What is my dog called?")] == ["My dog is called Biscuit."]


# How it is loaded and compiled.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(accel.FOLDER / "kernel.c", tmp_path)
    return tmp_path


def test_none_is_no_news(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert accel.load(folder) is None
    assert not caplog.records


@needs_kernel
def test_one_of_another_source_is_not_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(accel.FOLDER / "kernel.so", folder)
    assert accel.load(folder) is not None
    with (folder / "kernel.c").open("a") as source:
        source.write("/* changed since */\n")
    with caplog.at_level(logging.WARNING, "engram"):
        assert accel.load(folder) is None
    assert "another source" in caplog.text


def test_what_is_no_library_is_not_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "kernel.so").write_bytes(b"no library")
    assert accel.load(folder) is None
    assert "kernel.so is not used" in caplog.text


Compile = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def compile_in(tmp_path: Path) -> Compile:
    """Runs hatch_build.py on a copy of what it needs, with a $PATH and a $CC."""
    (tmp_path / "src/engram/accel").mkdir(parents=True)
    shutil.copy(REPOSITORY / "hatch_build.py", tmp_path)
    shutil.copy(accel.FOLDER / "kernel.c", tmp_path / "src/engram/accel")

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "hatch_build.py"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)

    return run


@needs_compiler
def test_it_is_compiled_in_place(compile_in: Compile, tmp_path: Path) -> None:
    done = compile_in(PATH=os.environ["PATH"])
    assert done.stdout.strip().endswith("kernel.so")
    assert accel.load(tmp_path / "src/engram/accel") is not None


@pytest.mark.parametrize("environment", [{"PATH": ""}, {"PATH": "", "CC": sys.executable}], ids=["none", "failing"])
def test_an_install_goes_on_without_a_compiler(
    compile_in: Compile, tmp_path: Path, environment: dict[str, str]
) -> None:
    done = compile_in(**environment)
    assert done.stderr.startswith("engram: ")
    assert "numpy" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "src/engram/accel/kernel.so").exists()
