"""What every store must do. A store's own tests inherit this and give `store`: a fixture with an empty one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from engram.engram import Engram, draft
from engram.errors import InvalidEngram, MemoryClosed, NotFound
from engram.ids import uuid7
from engram.store.base import Filter, Store

T0 = datetime(2026, 3, 2, 12, tzinfo=UTC)


def day(number: int) -> datetime:
    return T0 + timedelta(days=number)


def one(text: str = "a dog", **fields: object) -> Engram:
    return draft(text, **{"at": T0, **fields})  # type: ignore[arg-type]


class StoreSuite:
    """Inherit, and give a fixture `store`."""

    @pytest.fixture
    def three(self, store: Store) -> list[Engram]:
        engrams = [
            one("first", namespace="a", session="s", speaker="Ana", at=day(0)),
            one("second", namespace="a", session="t", at=day(1), kind="fact"),
            one("third", namespace="b", session="s", speaker="Ana", at=day(2)),
        ]
        assert store.append(engrams) == [True] * 3
        return engrams

    def test_a_new_store_is_empty(self, store: Store) -> None:
        assert store.version() == (0, 0)
        assert list(store.engrams(Filter())) == []
        assert store.records(0, 10) == []
        assert store.forgotten() == []
        assert store.namespaces() == []
        assert store.count(Filter()) == 0
        assert not store.read_only
        assert store.identity

    def test_what_is_appended_is_got_back(self, store: Store) -> None:
        engram = draft(
            "NUL \0, \x1b[31m, emoji \U0001f98a, rtl \u05e9\u05dc\u05d5\u05dd, quotes \" ' ; DROP TABLE engrams",
            namespace="n\0",
            session="\U0001f98a",
            role="tool",
            speaker="O'Neil",
            at=datetime(1, 1, 1, tzinfo=UTC),
            recorded_at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            kind="fact",
            source="import:x",
            metadata={"deep": [1, {"x": None}], "float": 0.1, "big": 2**60, "": "\0"},
        )
        store.append([engram])
        assert store.get(engram.id) == engram
        assert list(store.engrams(Filter())) == [engram]
        assert store.by_seq([1]) == {1: engram}

    def test_an_unknown_id_is_none(self, store: Store) -> None:
        assert store.get(uuid7()) is None
        assert store.seq_of(uuid7()) is None

    def test_by_id_gives_what_is_there_and_keeps_to_the_namespace(self, store: Store, three: list[Engram]) -> None:
        store.append(three)
        ids = [engram.id for engram in three]
        assert store.by_id([*ids, uuid7()]) == {engram.id: engram for engram in three}
        for namespace in {engram.namespace for engram in three} | {"nobody's"}:
            expected = {engram.id: engram for engram in three if engram.namespace == namespace}
            assert store.by_id(ids, namespace) == expected
        assert store.by_id([]) == {}

    def test_the_same_again_is_not_written(self, store: Store, three: list[Engram]) -> None:
        assert store.append([three[0], one("new")]) == [False, True]
        assert store.append([three[1]]) == [False]
        assert store.count(Filter()) == 4

    def test_the_same_twice_in_one_batch_is_written_once(self, store: Store) -> None:
        engram = one()
        assert store.append([engram, one("b"), engram]) == [True, True, False]
        assert store.count(Filter()) == 2

    @pytest.mark.parametrize("others", [0, 2])
    def test_an_id_with_other_content_keeps_nothing_of_the_batch(
        self, store: Store, three: list[Engram], others: int
    ) -> None:
        conflict = one("other", id=three[0].id)
        with pytest.raises(InvalidEngram, match=three[0].id):
            store.append([*(one(f"good {i}") for i in range(others)), conflict])
        assert [e.text for e in store.engrams(Filter())] == ["first", "second", "third"]
        # A name that the batch brought is not there either, and can come again.
        store.append([one("again", namespace="new", session="new")])
        assert dict(store.namespaces())["new"] == 1

    def test_nothing_is_appended_from_nothing(self, store: Store) -> None:
        assert store.append([]) == []
        assert store.version() == (0, 0)

    def test_filters(self, store: Store, three: list[Engram]) -> None:
        def texts(where: Filter) -> list[str]:
            assert store.count(where) == len(list(store.engrams(where)))
            return [e.text for e in store.engrams(where)]

        assert texts(Filter("a")) == ["first", "second"]
        assert texts(Filter(session="s")) == ["first", "third"]
        assert texts(Filter("a", "s")) == ["first"]
        assert texts(Filter(before=day(1))) == ["first"]
        assert texts(Filter(after=day(1))) == ["second", "third"]
        assert texts(Filter(kinds=("turn",))) == ["first", "third"]
        assert texts(Filter(kinds=("fact", "none"))) == ["second"]
        assert texts(Filter(kinds=())) == []
        assert texts(Filter("none")) == []
        assert texts(Filter("b", "t")) == []

    def test_listing_in_pages(self, store: Store) -> None:
        engrams = [one(str(i)) for i in range(1203)]
        store.append(engrams)
        assert list(store.engrams(Filter())) == engrams
        assert list(store.engrams(Filter(), limit=7, after_id=engrams[500].id)) == engrams[501:508]
        assert list(store.engrams(Filter(), newest=True)) == engrams[::-1]
        assert list(store.engrams(Filter(), limit=7, after_id=engrams[500].id, newest=True)) == engrams[493:500][::-1]
        assert list(store.engrams(Filter(), limit=0)) == []
        assert len(list(store.engrams(Filter(), limit=1100))) == 1100
        with pytest.raises(NotFound):
            store.engrams(Filter(), after_id=uuid7())

    def test_records_hold_the_numbers(self, store: Store, three: list[Engram]) -> None:
        first, second, third = store.records(0, 10)
        assert [r.seq for r in (first, second, third)] == [store.seq_of(e.id) for e in three]
        assert first.namespace == second.namespace != third.namespace
        assert len({first.session, second.session, third.session}) == 3
        assert (second.speaker, second.kind, first.kind) == (0, "fact", "turn")
        assert first.speaker != third.speaker
        assert first.at == int(day(0).timestamp()) * 1_000_000
        assert store.namespace_number("a") == first.namespace
        assert store.namespace_number("none") is None
        assert store.speakers(first.namespace) == {"Ana": first.speaker}
        assert store.records(first.seq, 1) == [second]
        assert store.seqs(first.seq) == [second.seq, third.seq]
        assert store.session_seqs("a", "s", 5) == [first.seq]

    def test_records_with_long_texts_come_a_few_at_a_time(self, store: Store) -> None:
        store.append([one("x" * (1 << 20)) for _ in range(40)])
        seen, after = 0, 0
        while records := store.records(after, 100):
            assert sum(len(r.text) for r in records) <= 18 << 20
            seen, after = seen + len(records), records[-1].seq
        assert seen == 40

    def test_seqs_grow_and_are_never_given_out_twice(self, store: Store, three: list[Engram]) -> None:
        last, _ = store.version()
        store.forget(Filter(), three[-1].id)
        assert store.version()[0] == last
        store.append([one()])
        assert store.version()[0] == last + 1

    def test_the_turn_before(self, store: Store) -> None:
        store.append([one(session="s"), one(session="t"), one(session="s")])
        first, _, third = store.records(0, 3)
        assert store.previous_in_session(first.session, third.seq) == first.seq
        assert store.previous_in_session(first.session, first.seq) == 0

    @pytest.mark.parametrize(
        ("where", "left"),
        [
            (Filter("a"), ["third"]),
            (Filter("a", "s"), ["second", "third"]),
            (Filter(session="s"), ["second"]),
            (Filter(before=day(2)), ["third"]),
            (Filter("none"), ["first", "second", "third"]),
        ],
    )
    def test_forgetting(self, store: Store, three: list[Engram], where: Filter, left: list[str]) -> None:
        before = {e.text: store.seq_of(e.id) for e in three}
        gone = [e for e in three if e.text not in left]
        assert store.forget(where) == len(gone)
        assert [e.text for e in store.engrams(Filter())] == left
        assert store.forgotten() == [before[e.text] for e in gone]
        assert store.version() == (3, 1 if gone else 0)
        assert all(store.get(e.id) is None for e in gone)
        assert store.by_seq([1, 2, 3]).keys() == {before[text] for text in left}
        store.clear_forgotten(store.forgotten())
        assert store.forgotten() == []

    def test_forgetting_one_by_its_id(self, store: Store, three: list[Engram]) -> None:
        assert store.forget(Filter("b"), three[0].id) == 0
        assert store.forget(Filter("a"), three[0].id) == 1
        assert store.forget(Filter("a"), three[0].id) == 0

    def test_names_are_forgotten_with_the_last_that_bears_them(self, store: Store, three: list[Engram]) -> None:
        store.forget(Filter("b"))
        assert store.namespaces() == [("a", 2)]
        assert store.sessions("b") == []
        number = store.namespace_number("a")
        assert number is not None
        store.forget(Filter("a", "s"))
        assert store.speakers(number) == {}
        assert store.sessions("a") == [("t", 1)]
        # Its number is not given to another that comes later.
        store.append([one(namespace="c", session="s")])
        assert store.records(3, 1)[0].namespace > 2

    def test_counts(self, store: Store, three: list[Engram]) -> None:
        stats = store.stats()
        assert (stats.engrams, stats.namespaces, stats.sessions) == (3, 2, 3)
        assert store.namespaces() == [("a", 2), ("b", 1)]
        assert store.namespaces("a") == [("a", 2)]
        assert store.namespaces("ab") == store.namespaces("\U0010ffff") == []
        assert store.sessions("a") == [("s", 1), ("t", 1)]

    def test_compacting_keeps_everything_that_is_left(self, store: Store, three: list[Engram]) -> None:
        store.forget(Filter(), three[1].id)
        store.compact()
        assert list(store.engrams(Filter())) == [three[0], three[2]]
        assert store.seq_of(three[2].id) == 3

    def test_after_close_it_says_so(self, store: Store) -> None:
        store.close()
        store.close()
        calls: list[Callable[[], object]] = [
            lambda: store.append([one()]),
            lambda: store.get(uuid7()),
            store.version,
            store.compact,
        ]
        for call in calls:
            with pytest.raises(MemoryClosed, match="closed"):
                call()
