"""Properties that hold for any text, any names and any order of events."""

from __future__ import annotations

import string
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram.errors import InvalidEngram
from engram.memory import Memory
from engram.text.analyzer import TableAnalyzer
from engram.text.vectors import default_table

settings.register_profile("engram", deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
settings.load_profile("engram")

# Every character that UTF-8 can encode, except NUL.
ANY = st.characters(codec="utf-8", exclude_characters="\0")
TEXT = st.text(ANY, min_size=1, max_size=300)
NAME = st.text(ANY, min_size=1, max_size=40)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(ANY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(ANY), inner, max_size=4),
    max_leaves=10,
)
TIME = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001

WORDS = (
    "dog cat biscuit river garden piano berlin train coffee lamp meeting doctor violin paris mother birthday".split()
)
TURN = st.tuples(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join),
    st.sampled_from(["monday", "tuesday"]),
    st.sampled_from([None, "Ana", "Bo"]),
)


@contextmanager
def fresh() -> Iterator[tuple[Memory, Path]]:
    with tempfile.TemporaryDirectory() as folder, Memory(Path(folder) / "memory.db") as memory:
        yield memory, Path(folder)


@settings(max_examples=60)
@given(TEXT, NAME, NAME, st.none() | NAME, TIME, st.dictionaries(st.text(ANY), JSON, max_size=4))
def test_remembered_engram_is_returned_unchanged(
    text: str, namespace: str, session: str, speaker: str | None, at: datetime, metadata: dict[str, object]
) -> None:
    with Memory(":memory:") as memory:
        engram = memory.remember(
            text, namespace=namespace, session=session, speaker=speaker, at=at, metadata=metadata, kind="x", source="y"
        )
        again = memory.get(engram.id)
        assert again == engram
        assert again.text.encode() == text.encode()
        assert (again.namespace, again.session, again.speaker, again.at) == (namespace, session, speaker, at)
        assert again.metadata == metadata
        assert list(memory.engrams(namespace=namespace, session=session)) == [engram]


WITH_NUL = st.builds(lambda before, after: f"{before}\0{after}", st.text(ANY, max_size=20), st.text(ANY, max_size=20))


@settings(max_examples=60)
@given(st.sampled_from(["text", "namespace", "session", "speaker", "kind", "source"]), WITH_NUL, st.booleans())
def test_nul_is_refused_in_every_field(field: str, value: str, in_metadata: bool) -> None:
    fields: dict[str, Any] = {"text": "a dog"} | ({} if in_metadata else {field: value})
    position = value.index("\0")
    with Memory(":memory:") as memory, pytest.raises(InvalidEngram, match=f"NUL character at character {position}"):
        memory.remember(**fields, metadata={field: [{"x": value}]} if in_metadata else None)


QUERIES = Memory(":memory:")
QUERIES.remember_many({"text": f"{word} {i} {string.punctuation}"} for i, word in enumerate(WORDS))


@settings(max_examples=150)
@given(st.text(ANY | st.just("\0"), max_size=400) | st.text(string.punctuation + "aORNDT ^~", max_size=60))
def test_query_can_be_any_text(query: str) -> None:
    QUERIES.recall(query).context(100)
    QUERIES.explain(query, next(QUERIES.engrams()).id)


@settings(max_examples=25)
@given(st.lists(st.tuples(TURN, st.sampled_from(["a", "b", "ab"])), min_size=1, max_size=30), st.booleans())
def test_recall_never_crosses_a_namespace(turns: list[tuple[tuple[str, str, str | None], str]], flushed: bool) -> None:
    with fresh() as (memory, _):
        for (text, session, speaker), namespace in turns:
            memory.remember(text, session=session, speaker=speaker, namespace=namespace)
        if flushed:
            memory.flush()
        for namespace in ("a", "b", "ab", "none"):
            alone = Memory(":memory:")
            for (text, session, speaker), owner in turns:
                if owner == namespace:
                    alone.remember(text, session=session, speaker=speaker, namespace=namespace)
            hits = memory.recall("dog piano mother Ana", namespace=namespace, limit=50)
            assert all(hit.engram.namespace == namespace for hit in hits)
            # Engrams of other namespaces do not change a score either.
            same = alone.recall("dog piano mother Ana", namespace=namespace, limit=50)
            assert [h.engram.text for h in hits][:5] == [h.engram.text for h in same][:5]
            alone.close()


def scores(memory: Memory, query: str) -> list[float]:
    return [round(hit.score, 5) for hit in memory.recall(query, limit=10)]


@settings(max_examples=25)
@given(
    st.lists(TURN, min_size=2, max_size=40),
    st.integers(0, 40),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
    st.integers(0, 3),
)
def test_tail_and_index_rank_alike(
    turns: list[tuple[str, str, str | None]], half: int, query: str, forgotten: int
) -> None:
    with fresh() as (memory, _), Memory(":memory:") as tail:
        for index, (text, session, speaker) in enumerate(turns):
            engram = memory.remember(text, session=session, speaker=speaker)
            tail.add([engram])
            if index == half:
                memory.flush()
        for engram in list(memory.engrams(limit=forgotten if half > len(turns) else 0)):
            memory.forget(id=engram.id)
            tail.forget(id=engram.id)
        mixed = memory.recall(query, limit=10)
        memory.flush()
        indexed = memory.recall(query, limit=10)
        scanned = tail.recall(query, limit=10)
        for other in (mixed, indexed):
            assert len(other) == len(scanned)
            for one, two in zip(other, scanned, strict=True):
                assert abs(one.score - two.score) < 1e-5
                # Two engrams with almost equal scores can have any order.
                assert (
                    one.engram == two.engram
                    or any(hit.engram == one.engram and abs(hit.score - one.score) < 1e-5 for hit in scanned)
                    or abs(one.score - scanned[-1].score) < 1e-5
                )


def occurrences_of(folder: Path, words: list[str]) -> list[str]:
    """Return the files under `folder` that hold one of `words`."""
    occurrences = []
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes().lower()
            occurrences += [f"{word} in {file.name}" for word in words if word.encode() in content]
    return occurrences


SECRETS = [
    "xylophonist",
    "quizzically",
    "zugzwangs",
    "\u6c49\u5b57\u79d8\u5bc6",
    "\u0441\u0435\u043a\u0440\u0435\u0442\u044b",
]


@settings(max_examples=12)
@given(
    st.lists(st.sampled_from(SECRETS), min_size=1, max_size=6),
    st.sampled_from(["id", "session", "namespace", "before"]),
    st.sampled_from(["tail", "index", "both"]),
)
def test_forgotten_engrams_leave_no_trace(secrets: list[str], how: str, where: str) -> None:
    encoder = TableAnalyzer(default_table())
    stems = {term for secret in SECRETS for term in encoder.analyse(secret).terms}
    with fresh() as (memory, folder):
        memory.remember_many({"text": f"{word} stays here", "session": "stays"} for word in WORDS * 3)
        if where == "both":
            memory.flush()
        early = datetime(2001, 1, 1, tzinfo=UTC)
        forgotten = [
            memory.remember(f"my {secret} {i}", session="hush-session", namespace=ns, at=early, speaker="Hushspeaker")
            for i, secret in enumerate(secrets)
            for ns in ("hush-namespace", "default")
        ]
        if where == "index":
            memory.flush()
        if how == "id":
            count = sum(memory.forget(id=engram.id) for engram in forgotten)
        elif how == "before":
            count = memory.forget(before=datetime(2002, 1, 1, tzinfo=UTC))
        elif how == "session":
            count = memory.forget(session="hush-session")
        else:
            count = memory.forget(namespace="hush-namespace") + memory.forget(session="hush-session")
        assert count == len(forgotten)
        for flushed in (False, True):
            for namespace in ("hush-namespace", "default"):
                for query in (*secrets, "Hushspeaker", "stays"):
                    hits = memory.recall(query, namespace=namespace)
                    assert not any(hit.engram in forgotten for hit in hits)
                    assert not any(secret in hits.context(500) for secret in secrets)
            if not flushed:
                memory.flush()
        assert not any(engram in forgotten for engram in memory.engrams())
        memory.compact()
        assert memory.recall("biscuit")
        assert occurrences_of(folder, [*SECRETS, *stems, "hush-session", "hush-namespace", "hushspeaker"]) == []
    with Memory(folder / "memory.db") if folder.exists() else Memory(":memory:") as memory:
        assert not any(engram in forgotten for engram in memory.engrams())
