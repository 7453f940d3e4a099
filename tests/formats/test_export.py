import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram.engram import ROLES, Engram, draft
from engram.formats.items import ImportSettings
from engram.formats.loading import load
from engram.formats.reading import ImportFile
from engram.formats.writing import export
from engram.memory import Memory
from engram.records import to_json, to_record

from .conftest import NOW

WORDS = ("dog", "Biscuit", "cheese", "running", "Paris", "May", "犬", "ест", "\u2028", "\x01", '"', "\\", "🐕", "\r\n")
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8).filter(
    lambda s: len(s.encode()) < 500
)
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda t: t.replace(tzinfo=UTC))  # noqa: DTZ001
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
engrams = st.builds(
    draft,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join) | names,
    namespace=st.sampled_from(["default", "ana"]),
    session=st.sampled_from(["s1", "s2"]) | names,
    role=st.sampled_from(ROLES),
    speaker=st.none() | st.sampled_from(["Ana", "Bo"]),
    at=times,
    recorded_at=times,
    kind=st.sampled_from(["turn", "fact"]) | names,
    source=st.none() | names,
    metadata=st.dictionaries(names, values, max_size=3),
)


def all_of(memory: Memory) -> list[Engram]:
    return list(memory.engrams())


def hits(memory: Memory, query: str) -> list[tuple[str, float]]:
    return [(hit.engram.id, hit.score) for hit in memory.recall(query, limit=50)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(engrams, max_size=12), st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join))
def test_export_and_import_give_the_same_memory(tmp_path: Path, originals: list[Engram], query: str):
    path = tmp_path / "x.jsonl"
    with Memory(":memory:") as first, Memory(":memory:") as second:
        first.add(originals)
        assert export(first.engrams(), path) == len(originals)
        outcome = load(ImportFile(str(path), ImportSettings(NOW)), second)
        assert (outcome.remembered, outcome.problems) == (len(originals), [])
        assert all_of(second) == all_of(first) == originals
        assert hits(second, query) == hits(first, query)
        again = load(ImportFile(str(path), ImportSettings(NOW + timedelta(hours=1))), second)
        assert (again.already_there, again.problems) == (len(originals), [])


def test_a_line_contains_every_field(tmp_path: Path):
    engram = draft("hi\u2028\x9b", id="018f1111-2222-7333-8444-555566667777", at=NOW, recorded_at=NOW)
    path = tmp_path / "x.jsonl"
    export([engram], path)
    assert path.read_text() == (
        '{"id": "018f1111-2222-7333-8444-555566667777", "namespace": "default", "session": "default", "role": "user",'
        ' "speaker": null, "text": "hi\\u2028\\u009b", "at": "2026-03-02T12:00:00+00:00",'
        ' "recorded_at": "2026-03-02T12:00:00+00:00", "kind": "turn", "source": null, "metadata": {},'
        ' "origin": "user", "quarantined": null}\n'
    )
    assert json.loads(to_json(to_record(engram)))["text"] == engram.text


def test_the_file_is_private_and_replaced_once_complete(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_text("old")

    def breaking():
        yield draft("one")
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        export(breaking(), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.jsonl"]
    export([draft("one")], path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_is_kept(tmp_path: Path):
    (tmp_path / "real").write_text("old")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    export([draft("one")], link)
    assert link.is_symlink()
    assert "one" in (tmp_path / "real").read_text()


def test_export_writes_to_a_pipe(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [sys.executable, "-c", f"print(open({str(pipe)!r}).read())"], stdout=subprocess.PIPE
    ) as reader:
        assert export([draft("one")], pipe) == 1
        assert b'"one"' in reader.communicate(timeout=20)[0]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
