"""The kernel gives the same features, errors and recall as numpy; compiling and loading of the kernel."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engram import accel
from engram.accel import compiled, plain
from engram.accel.library import SOURCES, Unusable
from engram.accel.loading import load_kernel
from engram.engram import draft
from engram.memory import Memory
from engram.search.base import GONE, ROW, IndexDamaged, Turns
from engram.search.local.directory import PASSAGE
from engram.search.local.forward import FACTORS, TOKEN_FACTOR, ForwardIndex, checksums, gathered
from engram.store.sqlite.store import SqliteStore
from engram.text.analyzer import TableAnalyzer
from engram.text.vectors import default_table

REPOSITORY = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAUSE = 6 * 3600 * 1_000_000

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler on this machine"
)
needs_kernel = pytest.mark.skipif(not accel.available, reason="the kernel was not compiled: python hatch_build.py")


Use = Callable[[bool], None]


@pytest.fixture
def use() -> Iterator[Use]:
    """A function that selects the kernel or numpy; the default of this installation is restored at the end."""

    def choose(kernel: bool) -> None:
        accel.use(compiled if kernel else plain, "chosen by a test", kernel=kernel)

    yield choose
    load_kernel(ROW)


@cache
def analyzer() -> TableAnalyzer:
    return TableAnalyzer(default_table())


def random_turns(rng: np.random.Generator, n: int, token_type: type = np.uint16, longest: int = 40) -> Turns:
    """n turns of a few sessions: some without neighbours, some with neighbours, near or distant in time."""
    rows = np.sort(rng.choice(np.arange(1, 3 * n + 2), n, replace=False)).astype(np.int64)
    columns = np.zeros(n, ROW)
    lengths = rng.integers(0, longest + 1, n)
    tokens = rng.choice([*range(400), 60_000, 65_535], lengths.sum()).astype(token_type)
    for field, top in (("session", max(1, n // 4)), ("speaker", 4), ("role", 4), ("marks", 8)):
        columns[field] = rng.integers(0, top, n)
    columns["previous"] = rng.choice([0, *rows, 10**6], n)
    columns["at"] = NOW.timestamp() * 10**6 + rng.integers(-(10**6), 10**6, n) * 20_000
    columns["centroid"] = rng.integers(-127, 128, columns["centroid"].shape)
    columns["length"], columns["start"] = lengths, lengths.cumsum() - lengths
    counts = rng.integers(1, 4, n)
    columns["passages"], columns["passage"] = counts, counts.cumsum() - counts
    parts = np.concatenate([*map(parted, lengths.tolist(), counts.tolist()), np.empty(0, np.int64)])
    columns["check"] = checksums(columns, tokens, lengths, parts)
    return Turns(rows, columns, tokens, lengths, counts, parts, np.empty((len(parts), 0), np.uint8))


def parted(length: int, count: int) -> np.ndarray:
    """Lengths of `count` passages, which are `length` together."""
    return np.diff(np.linspace(0, length, count + 1).astype(np.int64))


def records(turns: Turns) -> np.ndarray:
    """The passages of turns, as an index stores them."""
    passages = np.zeros(len(turns.passage_lengths), PASSAGE)
    passages["length"] = turns.passage_lengths
    return passages


def random_ids(rng: np.random.Generator, q: int) -> list[int]:
    return rng.choice([*range(400), 60_000, 65_535], q, replace=False).tolist()  # type: ignore[no-any-return]


def assert_same(one: Any, other: Any) -> None:
    """Assert that two named tuples of arrays are equal: floats to 1e-5, other values and types exactly."""
    for name, a, b in zip(one._fields, one, other, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        np.testing.assert_allclose(a, b, 1e-5 if a.dtype.kind == "f" else 0, 1e-6, err_msg=name)


def compare(turns: Turns, ids: list[int]) -> None:
    near = [analyzer().has_near(id) for id in ids]
    matching = turns.columns, turns.tokens, turns.lengths, ids, near, analyzer().language
    assert_same(compiled.match_tokens(*matching), plain.match_tokens(*matching))
    linking = turns.rows, turns.columns, PAUSE
    links = plain.find_neighbours(*linking)
    assert_same(compiled.find_neighbours(*linking), links)
    values = np.random.default_rng(1).random((len(ids), len(turns.rows) + 1)).astype(np.float32)
    best = [module.best_in_sessions(values, links.by_session, links.starts) for module in (compiled, plain)]
    assert np.array_equal(*best)


@needs_compiler
def test_kernel_is_available_where_a_compiler_is() -> None:
    assert accel.available
    assert accel.status == "compiled"


@needs_kernel
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("q", [1, 5, 16, 17, 32])
def test_kernel_finds_the_same_features_as_numpy(seed: int, q: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 200))
    compare(random_turns(rng, n, (np.uint16, np.uint32)[seed % 2]), random_ids(rng, q))


@needs_kernel
@pytest.mark.parametrize("seed", range(5))
def test_kernel_agrees_on_small_and_long_turns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for n, longest in ((1, 0), (1, 30), (2, 0), (2, 3), (65, 1), (64, 700)):
        compare(random_turns(rng, n, longest=longest), random_ids(rng, 3))


@needs_kernel
def test_kernel_agrees_on_equal_turns() -> None:
    rng = np.random.default_rng(0)
    one = random_turns(rng, 1)
    turns = Turns.whole(np.arange(1, 101), one.columns.repeat(100), np.tile(one.tokens, 100), one.lengths.repeat(100))
    turns.columns["previous"] = 0
    compare(turns, random_ids(rng, 4))


@needs_kernel
def test_kernel_accepts_no_turns() -> None:
    turns = random_turns(np.random.default_rng(0), 0)
    matches = compiled.match_tokens(turns.columns, turns.tokens, turns.lengths, [3], [True], analyzer().language)
    assert [array.shape for array in matches] == [(1, 0), (1, 0), (0,)]
    links = compiled.find_neighbours(turns.rows, turns.columns, PAUSE)
    assert (links.around.shape, len(links.starts), len(links.sessions)) == ((4, 0), 0, 0)


@needs_kernel
def test_arrays_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    turns, ids = random_turns(rng, 9), random_ids(rng, 3)
    columns, tokens, lengths = turns.columns, turns.tokens, turns.lengths
    for wrong in (
        (columns, tokens, lengths.astype(np.int32)),
        (columns, tokens[::2], lengths),
        (columns["at"], tokens, lengths),
        (columns, tokens, lengths + 1),
        (columns, tokens, lengths[1:]),
    ):
        with pytest.raises(ValueError):
            compiled.match_tokens(*wrong, ids, [True] * 3, analyzer().language)
    for rows in (turns.rows[1:], turns.rows.astype(np.int32), turns.rows[::2]):
        with pytest.raises(ValueError):
            compiled.find_neighbours(rows, columns, PAUSE)
    with pytest.raises(ValueError):
        compiled.best_in_sessions(np.zeros((2, 8), np.float32), np.arange(9), np.array([0]))


def random_signs(seed: int, n: int, words: int) -> np.ndarray:
    """Signs of n passages, of which many are at the same distance to any."""
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2**63, (n, words)).astype(np.uint64)
    return signs[rng.integers(0, n, n)] if seed % 2 else signs & np.uint64(0xFF)


@needs_kernel
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("words", [1, 2, 4, 5, 16])
def test_kernel_scans_as_numpy_does(seed: int, words: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 3_000))
    signs, query = random_signs(seed, n, words), rng.integers(0, 2**63, words).astype(np.uint64)
    start = int(rng.integers(0, n))
    chosen = np.sort(rng.choice(np.arange(start, n), int(rng.integers(0, n - start + 1)), replace=False))
    for limit in (1, 7, 256, 5_000):
        for places in (None, chosen.astype(np.uint32)):
            found = [
                sorted(zip(*(part.tolist() for part in scan(signs, start, n, places, query, limit)), strict=True))
                for scan in (compiled.nearest_signs, plain.nearest_signs)
            ]
            assert found[0] == found[1]
            assert len(found[0]) == min(limit, n - start if places is None else len(chosen))


@needs_kernel
@pytest.mark.parametrize("width", [2, 16, 128, 130])
def test_kernel_compares_codes_as_numpy_does(width: int) -> None:
    rng = np.random.default_rng(width)
    codes = rng.integers(0, 256, (300, width)).astype(np.uint8)
    codes[0], codes[1] = 0, 255
    query = rng.normal(size=4 * width).astype(np.float32)
    query /= np.linalg.norm(query)
    one, other = (module.compare_codes(codes, query, 0.45, 1.5) for module in (compiled, plain))
    assert (one.dtype, one.shape) == (np.float32, (300,))
    assert np.abs(one - other).max() < 1e-5
    for wrong in ((codes[:, 1:], query), (codes, query[1:]), (codes.view(np.int8), query), (codes[:, :0], query[:0])):
        with pytest.raises(ValueError):
            compiled.compare_codes(*wrong, 0.45, 1.5)


def test_scan_in_numpy_finds_the_least_distances() -> None:
    signs, query = random_signs(0, 500, 2), np.array([5, 1 << 62], np.uint64)
    distances = [sum((int(a) ^ int(b)).bit_count() for a, b in zip(row, query, strict=True)) for row in signs]
    places, found = plain.nearest_signs(signs, 100, 400, None, query, 20)
    expected = sorted((distance, place) for place, distance in enumerate(distances) if 100 <= place < 400)[:20]
    assert sorted(zip(found.tolist(), places.tolist(), strict=True)) == expected


def test_bits_are_counted_alike_without_the_function_of_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    signs = random_signs(3, 100, 3)
    expected = [sum(int(word).bit_count() for word in row) for row in signs]
    assert plain.bit_counts(signs).tolist() == expected
    monkeypatch.setattr(plain, "COUNTS", np.array([n.bit_count() for n in range(1 << 16)], np.uint8))
    assert plain.bit_counts(signs).tolist() == expected


@needs_kernel
def test_scan_outside_of_the_signs_is_refused() -> None:
    signs, query = random_signs(1, 10, 4), np.zeros(4, np.uint64)
    for wrong in (
        (signs, 0, 11, None, query),
        (signs, -1, 5, None, query),
        (signs, 6, 5, None, query),
        (signs, 0, 10, np.array([3, 10], np.uint32), query),
        (signs, 4, 10, np.array([3, 9], np.uint32), query),
        (signs, 0, 10, np.array([3, 9]), query),
        (signs, 0, 10, None, query[:3]),
        (signs[::2], 0, 5, None, query),
        (np.zeros((3, 17), np.uint64), 0, 3, None, np.zeros(17, np.uint64)),
    ):
        with pytest.raises(ValueError):
            compiled.nearest_signs(*wrong, 3)


def test_query_centroid_is_that_of_a_stored_text() -> None:
    for text in ("The ferry leaves at noon.", "my dog barks", "zxqv"):
        ids = analyzer().analyse(text).ids
        stored = analyzer().centroids([ids])[0]
        assert np.abs(plain.centroid_of(ids, analyzer().language) * 127 - stored).max() <= 0.5001


# Reading of files.


def both(columns: Any, tokens: Any, passages: Any, rows: Any, first: int = 1) -> str:
    """Assert that kernel and numpy report the same error, or return the same turns; returns the error."""
    one, other = (
        take(columns, tokens, passages, rows, first, FACTORS, TOKEN_FACTOR) for take in (compiled.gathered, gathered)
    )
    assert one[-1] == other[-1]
    if not other[-1]:
        for a, b in zip(one[:-1], other[:-1], strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)
    return other[-1]


@needs_kernel
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("token_type", [np.uint16, np.uint32])
def test_kernel_gathers_the_same_turns_as_numpy(seed: int, token_type: type) -> None:
    rng = np.random.default_rng(seed)
    turns = random_turns(rng, 120, token_type)
    turns.columns["length"][rng.integers(0, 120, 20)] = GONE
    rows = rng.integers(-20, 200, 300)
    arrays = turns.columns, turns.tokens, records(turns)
    assert both(*arrays, rows) == ""
    assert both(*arrays, rows[:0]) == ""
    assert both(turns.columns[:0], turns.tokens[:0], arrays[2][:0], rows) == ""
    assert both(*arrays, np.array([-(2**63), 2**63 - 1, 5]), -(2**40)) == ""


@needs_kernel
@pytest.mark.parametrize("seed", range(200))
def test_kernel_notices_the_same_damage_as_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turns = random_turns(rng, 30)
    columns, tokens, passages = turns.columns.copy(), turns.tokens.copy(), records(turns)
    damaged = (columns, tokens, passages)[seed % 3].view(np.uint8)
    at = int(rng.integers(0, len(damaged)))
    damaged[at : at + int(rng.choice([1, 8, 4_000]))] = rng.integers(0, 256)
    both(columns, tokens, passages, np.arange(1, 31))


@needs_kernel
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("start", value) for value in (-1, 2**63 - 1, -(2**63))),
        *((field, value) for field in ("length", "passages") for value in (-2, 2**31 - 1)),
        *(("passage", value) for value in (-1, 2**31 - 1)),
    ],
)
def test_rows_with_tokens_or_passages_outside_of_the_file_are_refused(field: str, value: int) -> None:
    turns = random_turns(np.random.default_rng(1), 10)
    turns.columns[field][4] = value
    assert both(turns.columns, turns.tokens, records(turns), np.arange(1, 11)) == compiled.UNFIT


@needs_kernel
def test_moved_border_of_passages_is_noticed() -> None:
    turns = random_turns(np.random.default_rng(1), 40)
    turns.columns["passages"] = turns.passages
    passages, places = records(turns), (turns.passages.cumsum() - turns.passages)[turns.passages > 1]
    passages["length"][places[:1]] -= 1
    passages["length"][places[:1] + 1] += 1
    assert both(turns.columns, turns.tokens, passages, np.arange(1, 41)) == compiled.CHANGED


@pytest.mark.parametrize("available", [pytest.param(True, marks=needs_kernel), False])
@pytest.mark.parametrize("file", ["rows", "tokens", "passages"])
def test_error_names_the_damaged_file(tmp_path: Path, use: Use, available: bool, file: str) -> None:
    use(available)
    turns = random_turns(np.random.default_rng(2), 50)
    passages = records(turns)
    for name, values in (("rows", turns.columns), ("tokens", turns.tokens), ("passages", passages)):
        (tmp_path / name).write_bytes(values.tobytes())
    path = tmp_path / file
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))
    columns = ForwardIndex(1, np.uint16, tmp_path)
    columns.truncate(50, len(turns.tokens), len(passages))
    with pytest.raises(IndexDamaged, match=r"rows( does not fit|,) .*tokens or .*passages"):
        columns.take(np.arange(1, 51))


# A whole recall.

CONVERSATION = [
    ("Ana", "user", "We are thinking of moving to a house near the harbour."),
    ("Bo", "assistant", "When would you move, and how many rooms do you need?"),
    ("Ana", "user", "In May, I hope. Three rooms, and a garden for my dog Biscuit."),
    ("Bo", "assistant", "Biscuit will like the beach there."),
    ("Ana", "user", "My sister plays the cello in the harbour orchestra on Fridays."),
    ("Bo", "assistant", "Did you hear her play last week?"),
    ("Ana", "user", "I did. The concert was wonderful, and the puppy slept through it."),
    ("Bo", "assistant", "The ferry timetable changes in autumn."),
]
QUERIES = [
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
def test_recall_is_the_same_with_and_without_the_kernel(tmp_path: Path, use: Use, rounds: int, indexed: bool) -> None:
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        for number in range(rounds):
            for minute, (speaker, role, text) in enumerate(CONVERSATION):
                at = datetime(2025, 1 + number % 12, 1 + number % 28, 9, minute, tzinfo=UTC)
                varied = f"{text} ({number} {'so' * (number % 5)})"
                store.append([draft(varied, speaker=speaker, role=role, session=f"s{number}", at=at)])
    # A read-only memory does not index; its readers encode, a few engrams each.
    with Memory(tmp_path / "memory.db", read_only=not indexed) as memory:
        if indexed:
            memory.flush()
        while memory._search.reader().unencoded:
            pass
        for query in QUERIES:
            answers = []
            for available in (True, False):
                use(available)
                answers.append(list(memory.recall(query, limit=20, now=NOW)))
            one, other = answers
            assert [hit.engram.id for hit in one] == [hit.engram.id for hit in other]
            for a, b in zip(one, other, strict=True):
                assert a.score == pytest.approx(b.score, rel=1e-5)
                assert a.why == pytest.approx(b.why, rel=1e-5, abs=1e-6)
                assert list(a.why) == list(b.why)


def test_recall_works_without_the_kernel(memory: Memory, use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    use(False)
    monkeypatch.setattr(compiled, "library", None)
    memory.remember("My dog is called Biscuit.")
    memory.flush()
    assert [hit.engram.text for hit in memory.recall("What is my dog called?")] == ["My dog is called Biscuit."]


# Loading and compiling.


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the kernel's sources to load it from; the real one is loaded again at the end."""
    for source in SOURCES:
        shutil.copy(compiled.FOLDER / source, tmp_path)
    yield tmp_path
    load_kernel(ROW)


def assert_numpy_in_use() -> None:
    assert not accel.available
    assert accel.in_use() is plain


def test_missing_kernel_is_not_logged_but_stated(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_kernel(ROW, folder)
    assert not accel.available
    assert "not compiled" in accel.status
    assert "python hatch_build.py" in accel.status
    assert not caplog.records


def test_first_recall_without_the_kernel_logs_one_warning(
    folder: Path, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    load_kernel(ROW, folder)
    memory.remember("My dog is called Biscuit.")
    assert not caplog.records
    for _ in range(2):
        memory.recall("What is my dog called?")
    (record,) = caplog.records
    assert record.message == f"recall runs {accel.status}"
    assert_numpy_in_use()


@needs_kernel
@pytest.mark.parametrize("source", SOURCES)
def test_kernel_of_another_source_is_not_used(folder: Path, source: str, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(compiled.FOLDER / "kernel.so", folder)
    load_kernel(ROW, folder)
    assert accel.available
    assert accel.in_use() is compiled
    with (folder / source).open("a") as file:
        file.write("/* changed since */\n")
    load_kernel(ROW, folder)
    assert_numpy_in_use()
    (record,) = caplog.records
    for text in (record.message, accel.status):
        assert "kernel.so is not used: it is out of date" in text
        assert "python hatch_build.py" in text


@needs_kernel
@pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's format of libraries")
def test_truncated_kernel_is_not_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = (compiled.FOLDER / "kernel.so").read_bytes()
    for size in (3_000, len(whole) - 1):
        (folder / "kernel.so").write_bytes(whole[:size])
        load_kernel(ROW, folder)
        assert_numpy_in_use()
        assert "kernel.so is not used: the file is cut off" in caplog.text
        caplog.clear()


def test_file_that_is_no_library_is_not_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "kernel.so").write_bytes(b"no library")
    load_kernel(ROW, folder)
    assert_numpy_in_use()
    assert "kernel.so is not used" in caplog.text


@needs_kernel
def test_row_with_a_renamed_or_moved_field_is_noticed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    described = [(name, *ROW.fields[name][:1]) for name in ROW.names]  # type: ignore[index,union-attr]
    shutil.copy(compiled.FOLDER / "kernel.so", folder)
    swapped = [*described[:2], described[3], described[2], *described[4:]]
    for fields, wrong in (
        (described, ""),
        (swapped, "'session' is at byte 12 with 4 bytes in Python, but at byte 16 with 4 bytes in the kernel"),
        ([(f"new_{name}" if name == "marks" else name, kind) for name, kind in described], "'new_marks' is missing in"),
        (described[:-1], "'check' is missing in Python"),
    ):
        caplog.clear()
        load_kernel(np.dtype(fields), folder)
        assert accel.available == (wrong == "")
        assert accel.in_use() is (plain if wrong else compiled)
        assert wrong in caplog.text


def test_importing_any_module_loads_the_kernel() -> None:
    code = "from engram import accel; print(accel.status); print(accel.in_use().__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [accel.status, accel.in_use().__name__]


@needs_kernel
def test_struct_with_fields_in_another_order_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(compiled.FOLDER / "kernel.so", folder)
    names = "n q *columns *tokens *lengths token_count token_width *ids *has_near *near near_width near_count"
    more = "*similarity *vectors stems *counts *nearness *cosines"

    class Match(compiled.ctypes.Structure):
        _fields_ = compiled.struct_fields(f"{names} {more}")

    wrong = "Match: the field 'tokens' is at byte 24 .* in Python, but at byte 32"
    with monkeypatch.context() as patch, pytest.raises(Unusable, match=wrong):
        patch.setattr(compiled, "Match", Match)
        compiled.start(ROW, folder)


def test_kernel_holds_no_weight() -> None:
    source = (compiled.FOLDER / "kernel.c").read_text()
    assert not re.search(r"\b(exp|pow|log)\(|weights\.py|score\.py", source)


Compile = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def compile_in(tmp_path: Path) -> Compile:
    """Runs hatch_build.py on a copy of its input files, with a given $PATH and $CC."""
    (tmp_path / "src/engram/accel").mkdir(parents=True)
    shutil.copy(REPOSITORY / "hatch_build.py", tmp_path)
    for source in SOURCES:
        shutil.copy(compiled.FOLDER / source, tmp_path / "src/engram/accel")

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "hatch_build.py"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)

    return run


@needs_compiler
def test_kernel_is_compiled_in_place(compile_in: Compile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = compile_in(PATH=os.environ["PATH"])
    assert done.stdout.strip().endswith("kernel.so")
    monkeypatch.setattr(compiled, "library", None)
    assert compiled.start(ROW, tmp_path / "src/engram/accel")


@pytest.mark.parametrize("environment", [{"PATH": ""}, {"PATH": "", "CC": sys.executable}], ids=["none", "failing"])
def test_install_continues_without_a_compiler(compile_in: Compile, tmp_path: Path, environment: dict[str, str]) -> None:
    done = compile_in(**environment)
    assert done.stderr.startswith("engram: ")
    assert "numpy" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "src/engram/accel/kernel.so").exists()
