"""Tests that every store must pass.

`StoreSuite` is for `Store`, `PolicySuite` for its policies, `DocumentSuite` for its documents, `LogSuite` for `Log`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engram.documents import Document, DocumentInfo, DocumentKey
from engram.engram import ORIGINS, Engram, draft
from engram.errors import InvalidEngram, MemoryClosed, NotFound, StateConflict
from engram.ids import uuid7
from engram.store.base import CursorExpired, Filter, Key, LoggedStore, Record, Store
from engram.store.policy import KEEP, LONGEST, Policy

T0 = datetime(2026, 3, 2, 12, tzinfo=UTC)


def day(number: int) -> datetime:
    return T0 + timedelta(days=number)


def one(text: str = "a dog", **fields: object) -> Engram:
    return draft(text, **{"at": T0, **fields})  # type: ignore[arg-type]


class StoreSuite:
    """Inherit, and define a fixture `store` that returns an empty store."""

    @pytest.fixture
    def three(self, store: Store) -> list[Engram]:
        engrams = [
            one("first", namespace="a", session="s", speaker="Ana", at=day(0)),
            one("second", namespace="a", session="t", at=day(1), kind="fact"),
            one("third", namespace="b", session="s", speaker="Ana", at=day(2)),
        ]
        assert store.append(engrams) == [True] * 3
        return engrams

    def test_new_store_is_empty(self, store: Store) -> None:
        assert list(store.engrams(Filter())) == []
        assert store.namespaces() == []
        assert store.count(Filter()) == 0
        assert not store.read_only
        assert store.identity
        assert store.description

    def test_appended_engram_is_returned_unchanged(self, store: Store) -> None:
        engram = draft(
            "control \x01, \x1b[31m, emoji \U0001f98a, rtl \u05e9\u05dc\u05d5\u05dd, quotes \" ' ; DROP TABLE engrams",
            namespace="n\x7f",
            session="\U0001f98a",
            role="tool",
            speaker="O'Neil",
            at=datetime(1, 1, 1, tzinfo=UTC),
            recorded_at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            kind="fact",
            source="import:x",
            metadata={"deep": [1, {"x": None}], "float": 0.1, "big": 2**60, "": "\\u0000 \x01"},
        )
        store.append([engram])
        assert store.get(engram.id) == engram
        assert list(store.engrams(Filter())) == [engram]
        key = store.keys([engram.id])[engram.id]
        assert store.by_seq(key.namespace, [key.seq, key.seq + 1]) == {key.seq: engram}
        assert store.by_seq(key.namespace + 1, [key.seq]) == {}
        wrong = [key._replace(namespace=key.namespace + 1), key._replace(seq=key.seq + 1)]
        assert store.texts([*wrong, key]) == {key: engram.text}
        assert store.texts(wrong) == store.texts([]) == {}

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"text": "dog\0"}, "text holds a NUL character at character 3"),
            ({"namespace": "\0"}, "namespace holds a NUL character at character 0"),
            ({"session": "s\0"}, "session holds a NUL"),
            ({"speaker": "Ana\0"}, "speaker holds a NUL"),
            ({"kind": "\0turn"}, "kind holds a NUL"),
            ({"source": "chat\0"}, "source holds a NUL"),
            (
                {"metadata": {"a": ["x", {"b": "cd\0"}]}},
                r"metadata\['a'\]\[1\]\['b'\] holds a NUL .* 2",
            ),
            ({"metadata": {"a\0": 1}}, "a key of metadata holds a NUL character at character 1"),
        ],
    )
    def test_nul_is_refused(self, store: Store, fields: dict[str, object], message: str) -> None:
        with pytest.raises(InvalidEngram, match=message):
            store.append([one("good"), dataclasses.replace(one(), **fields)])  # type: ignore[arg-type]
        assert store.count(Filter()) == 0
        with pytest.raises(InvalidEngram, match=message):
            one(**{"text": "a dog", **fields})

    def test_unknown_id_is_none(self, store: Store) -> None:
        assert store.get(uuid7()) is None
        assert store.keys([uuid7()]) == {}

    def test_by_id_returns_known_ids_of_the_namespace(self, store: Store, three: list[Engram]) -> None:
        store.append(three)
        ids = [engram.id for engram in three]
        assert store.by_id([*ids, uuid7()]) == {engram.id: engram for engram in three}
        for namespace in {engram.namespace for engram in three} | {"unknown"}:
            expected = {engram.id: engram for engram in three if engram.namespace == namespace}
            assert store.by_id(ids, namespace) == expected
        assert store.by_id([]) == {}

    def test_equal_engram_is_not_written_again(self, store: Store, three: list[Engram]) -> None:
        assert store.append([three[0], one("new")]) == [False, True]
        assert store.append([three[1]]) == [False]
        assert store.count(Filter()) == 4

    def test_engram_that_is_twice_in_a_batch_is_written_once(self, store: Store) -> None:
        engram = one()
        assert store.append([engram, one("b"), engram]) == [True, True, False]
        assert store.count(Filter()) == 2

    @pytest.mark.parametrize("others", [0, 2])
    def test_open_fields_do_not_tell_an_engram_from_the_stored_one(
        self, store: Store, three: list[Engram], others: int
    ) -> None:
        later = dataclasses.replace(three[0], at=day(9), recorded_at=day(9))
        more = [one(f"good {i}") for i in range(others)]
        with pytest.raises(InvalidEngram, match=r"other content \(recorded_at\)"):
            store.append([*more, later], {later.id: {"at"}})
        assert store.append([*more, later], {later.id: {"at", "recorded_at"}}) == [*[True] * others, False]
        assert store.get(later.id) == three[0]

    @pytest.mark.parametrize("others", [0, 2])
    def test_id_in_use_with_other_content_rolls_the_batch_back(
        self, store: Store, three: list[Engram], others: int
    ) -> None:
        conflict = one("other", id=three[0].id)
        with pytest.raises(InvalidEngram, match=three[0].id):
            store.append([*(one(f"good {i}") for i in range(others)), conflict])
        assert [e.text for e in store.engrams(Filter())] == ["first", "second", "third"]
        # Names that were new in the batch are rolled back too, and can be used again.
        store.append([one("again", namespace="new", session="new")])
        assert dict(store.namespaces())["new"] == 1

    def test_empty_batch_appends_nothing(self, store: Store) -> None:
        assert store.append([]) == []
        assert store.count(Filter()) == 0

    def test_filters_admit_by_every_field(self, store: Store, three: list[Engram]) -> None:
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

    def test_origin_is_kept_and_filters_by_trust(self, store: Store) -> None:
        engrams = [one(origin, role=role, origin=origin) for origin in ORIGINS for role in ("user", "tool")]
        store.append(engrams)
        assert [e.origin for e in store.engrams(Filter())] == [e.text for e in engrams]
        for least in ORIGINS:
            where = Filter(trust=least)
            expected = [e for e in engrams if ORIGINS.index(e.text) <= ORIGINS.index(least)]
            assert list(store.engrams(where)) == [e for e in store.engrams(Filter()) if where.admits(e)] == expected
            assert store.count(where) == len(expected)

    def test_equal_engram_keeps_its_first_origin(self, store: Store) -> None:
        engram = one("once", origin="tool")
        assert store.append([engram]) == [True]
        for again in ([replace(engram, origin="user")], [replace(engram, quarantined="why"), one("other")]):
            assert store.append(again)[0] is False
        assert [e.origin for e in store.engrams(Filter()) if e == engram] == ["tool"]
        assert list(store.quarantined(Filter())) == []

    @pytest.fixture
    def held(self, store: Store, three: list[Engram]) -> list[Engram]:
        """Three engrams in quarantine, of a namespace that is in use and of one that is not."""
        engrams = [
            one("bad", namespace="a", session="s", speaker="Eve", at=day(0), quarantined="reads as an order"),
            one("worse", namespace="q", session="x", role="tool", at=day(1), kind="fact", quarantined="a link"),
            one("worst", namespace="q", session="y", source="web", metadata={"n": [1]}, at=day(3), quarantined="both"),
        ]
        assert store.append([engrams[0], one("good", namespace="b"), *engrams[1:]]) == [True] * 4
        return engrams

    def test_quarantine_is_in_no_list_and_no_count(self, store: Store, three: list[Engram], held: list[Engram]) -> None:
        assert [e.text for e in store.engrams(Filter())] == ["first", "second", "third", "good"]
        assert store.count(Filter()) == 4
        assert store.namespaces() == [("a", 2), ("b", 2)]
        assert store.sessions("a") == [("s", 1), ("t", 1)]
        assert store.namespace_number("q") is None
        number = store.namespace_number("a")
        assert number is not None
        assert store.speakers(number).keys() == {"Ana"}
        ids = [e.id for e in held]
        assert store.get(ids[0]) is None
        assert store.by_id(ids) == store.keys(ids) == {}
        stats = store.stats()
        assert (stats.engrams, stats.namespaces, stats.sessions, stats.quarantined) == (4, 2, 4, 3)
        with pytest.raises(NotFound):
            store.engrams(Filter(), after_id=ids[0])

    def test_quarantine_is_listed_by_filter_and_page(self, store: Store, held: list[Engram]) -> None:
        def fields(engrams: Iterable[Engram]) -> list[tuple[Engram, str | None, str]]:
            return [(e, e.quarantined, e.origin) for e in engrams]

        assert fields(store.quarantined(Filter())) == fields(held)
        assert fields(store.quarantined(Filter("q"))) == fields(held[1:])
        assert fields(store.quarantined(Filter("q", "x"))) == fields(held[1:2])
        assert fields(store.quarantined(Filter(session="s"))) == fields(held[:1])
        assert fields(store.quarantined(Filter(before=day(1)))) == fields(held[:1])
        assert fields(store.quarantined(Filter(after=day(1), kinds=("fact",)))) == fields(held[1:2])
        assert fields(store.quarantined(Filter(trust="user"))) == fields([held[0], held[2]])
        assert fields(store.quarantined(Filter(), held[1].id)) == fields(held[1:2])
        assert fields(store.quarantined(Filter("a"), held[1].id)) == []
        assert fields(store.quarantined(Filter(), limit=1, after_id=held[0].id)) == fields(held[1:2])
        with pytest.raises(NotFound, match="quarantine"):
            store.quarantined(Filter(), after_id=uuid7())

    def test_ids_are_unique_over_both(self, store: Store, three: list[Engram], held: list[Engram]) -> None:
        assert store.append([replace(held[0], quarantined=None)]) == [False]
        assert store.append([held[0], one("new"), replace(three[0], quarantined="why")]) == [False, True, False]
        for conflict in (one("x", id=held[0].id), one("x", id=three[0].id, quarantined="why")):
            for batch in ([conflict], [one("good 1"), conflict, one("good 2")]):
                with pytest.raises(InvalidEngram, match=conflict.id):
                    store.append(batch)
        assert store.count(Filter()) == 5
        assert store.stats().quarantined == 3

    def test_released_engram_is_appended_unchanged(self, store: Store, held: list[Engram]) -> None:
        assert not store.release(uuid7())
        assert store.release(held[2].id)
        assert not store.release(held[2].id)
        released = store.get(held[2].id)
        assert released == held[2]
        assert released is not None
        assert released.quarantined is None
        assert released.recorded_at == held[2].recorded_at
        assert [e.text for e in store.engrams(Filter())][-1] == "worst"
        assert [e.text for e in store.quarantined(Filter())] == ["bad", "worse"]
        assert store.sessions("q") == [("y", 1)]

    def test_remembered_engram_can_be_quarantined_and_released(self, store: Store, three: list[Engram]) -> None:
        key = store.keys([three[2].id])[three[2].id]
        assert not store.quarantine(uuid7(), "why")
        assert store.quarantine(three[2].id, "a doubt")
        assert not store.quarantine(three[2].id, "again")
        assert [(e, e.quarantined) for e in store.quarantined(Filter())] == [(three[2], "a doubt")]
        assert store.namespaces() == [("a", 2)]
        assert store.get(three[2].id) is None
        assert store.release(three[2].id)
        assert list(store.engrams(Filter("b"))) == [three[2]]
        # Neither the number of the namespace nor the seq is used again.
        assert store.keys([three[2].id])[three[2].id] > key

    @pytest.mark.parametrize(
        ("where", "left"),
        [
            (Filter(), []),
            (Filter("q"), ["bad"]),
            (Filter("q", "y"), ["bad", "worse"]),
            (Filter(session="s"), ["worse", "worst"]),
            (Filter(before=day(1)), ["worse", "worst"]),
        ],
    )
    def test_forget_reaches_the_quarantine(
        self, store: Store, held: list[Engram], where: Filter, left: list[str]
    ) -> None:
        admitted = store.count(where) + 3 - len(left)
        assert store.forget(where) == admitted
        assert [e.text for e in store.quarantined(Filter())] == left
        store.append([one("filler"), held[0], held[2]])
        assert store.forget(Filter("b"), held[0].id) == 0
        assert store.forget(Filter("a"), held[0].id) == 1
        assert held[0] not in list(store.quarantined(Filter()))

    def test_listing_continues_after_an_id_in_both_orders(self, store: Store) -> None:
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

    def test_names_have_numbers(self, store: Store, three: list[Engram]) -> None:
        first, second, third = (store.keys([engram.id])[engram.id] for engram in three)
        assert first.namespace == second.namespace != third.namespace
        assert store.namespace_number("a") == first.namespace
        assert store.namespace_number("none") is None
        assert store.speakers(first.namespace).keys() == {"Ana"}
        assert store.speakers(first.namespace) != store.speakers(third.namespace)

    def test_session_seqs_are_the_last_of_the_session(self, store: Store) -> None:
        engrams = [one(str(i), session="st"[i % 2]) for i in range(10)]
        store.append(engrams)
        seqs = [key.seq for key in store.keys([e.id for e in engrams[::2]]).values()]
        assert store.session_seqs("default", "s", 3) == sorted(seqs)[-3:]
        assert store.session_seqs("default", "s", 99) == sorted(seqs)
        assert store.session_seqs("default", "none", 5) == []

    def test_seqs_grow_within_a_namespace_and_are_never_reused(self, store: Store) -> None:
        engrams = [one(str(i), namespace="ab"[i % 2]) for i in range(8)]
        last: dict[int, int] = {}
        for engram in engrams:
            store.append([engram])
            namespace, seq = store.keys([engram.id])[engram.id]
            assert seq > last.get(namespace, 0)
            last[namespace] = seq
            store.forget(Filter(), engram.id)
            if engram is not engrams[-1]:
                # The namespace keeps its number only while an engram uses it.
                store.append([one("stays", namespace=engram.namespace)])
                (stays,) = list(store.engrams(Filter(engram.namespace)))[-1:]
                namespace, seq = store.keys([stays.id])[stays.id]
                assert seq > last.get(namespace, 0)
                last[namespace] = seq

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
    def test_forget_deletes_what_the_filter_admits(
        self, store: Store, three: list[Engram], where: Filter, left: list[str]
    ) -> None:
        keys = store.keys([e.id for e in three])
        deleted = [e for e in three if e.text not in left]
        assert store.forget(where) == len(deleted)
        assert [e.text for e in store.engrams(Filter())] == left
        for engram in three:
            namespace, seq = keys[engram.id]
            expected = {} if engram in deleted else {seq: engram}
            assert store.by_seq(namespace, [seq]) == expected
            assert len(store.texts([keys[engram.id]])) == len(expected)
            assert store.by_id([engram.id]) == {e.id: e for e in expected.values()}
        assert store.keys([e.id for e in three]).keys() == {e.id for e in three if e.text in left}

    def test_forget_deletes_one_by_its_id(self, store: Store, three: list[Engram]) -> None:
        assert store.forget(Filter("b"), three[0].id) == 0
        assert store.forget(Filter("a"), three[0].id) == 1
        assert store.forget(Filter("a"), three[0].id) == 0

    def test_names_are_deleted_with_their_last_engram(self, store: Store, three: list[Engram]) -> None:
        store.forget(Filter("b"))
        assert store.namespaces() == [("a", 2)]
        assert store.sessions("b") == []
        number = store.namespace_number("a")
        assert number is not None
        store.forget(Filter("a", "s"))
        assert store.speakers(number) == {}
        assert store.sessions("a") == [("t", 1)]
        # The number is not reused for another name.
        store.append([one(namespace="c", session="s")])
        assert (store.namespace_number("c") or 0) > number

    def test_stats_count(self, store: Store, three: list[Engram]) -> None:
        stats = store.stats()
        assert (stats.engrams, stats.namespaces, stats.sessions) == (3, 2, 3)
        assert store.namespaces() == [("a", 2), ("b", 1)]
        assert store.namespaces("a") == [("a", 2)]
        assert store.namespaces("ab") == store.namespaces("\U0010ffff") == []
        assert store.sessions("a") == [("s", 1), ("t", 1)]

    def test_names_are_listed_a_page_at_a_time(self, store: Store) -> None:
        names = ["a", "ab", "ab\U0010ffff", "b", "\ud7ff", "\ue000", "\U00010000"]
        store.append([one(namespace=name, session=f"s{i}") for i, name in enumerate(reversed(names))])
        store.append([one(namespace="a", session=session) for session in ("z", "y", "x")])
        assert [name for name, _ in store.namespaces()] == names
        assert [name for name, _ in store.namespaces(limit=2)] == names[:2]
        assert [name for name, _ in store.namespaces(limit=2, after="ab")] == names[2:4]
        assert [name for name, _ in store.namespaces("ab", 5, "ab")] == names[2:3]
        assert [name for name, _ in store.namespaces(after="aa")] == names[1:]
        assert store.namespaces(limit=0) == store.namespaces(after=names[-1]) == []
        assert store.sessions("a", 2) == [("s6", 1), ("z", 1)]
        assert store.sessions("a", 2, "z") == [("y", 1), ("x", 1)]
        assert store.sessions("a", None, "x") == []
        with pytest.raises(NotFound, match="s0"):
            store.sessions("a", 2, "s0")

    def test_compact_keeps_what_was_not_deleted(self, store: Store, three: list[Engram]) -> None:
        key = store.keys([three[2].id])[three[2].id]
        store.forget(Filter(), three[1].id)
        store.compact()
        assert list(store.engrams(Filter())) == [three[0], three[2]]
        assert store.keys([three[2].id]) == {three[2].id: key}

    def test_closed_store_refuses_calls(self, store: Store) -> None:
        store.close()
        store.close()
        calls: list[Callable[[], object]] = [
            lambda: store.append([one()]),
            lambda: store.get(uuid7()),
            lambda: store.count(Filter()),
            store.compact,
        ]
        for call in calls:
            with pytest.raises(MemoryClosed, match="closed"):
                call()


def ago(**age: float) -> datetime:
    return datetime.now(UTC) - timedelta(**age)


WEEK = timedelta(days=7)
ODD_NAMES = [
    "a/b",
    "x\n\x1b[2J",
    "' OR 1=1 --",
    "\u05e9\u05dc\u05d5\u05dd",
    "\U0001f98a",
    "default",
    " ",
    "%",
    "\U0010ffff" * 128,
]


class PolicySuite:
    """Inherit, and define a fixture `store` that returns an empty store which is its own log."""

    @pytest.fixture
    def aged(self, store: LoggedStore) -> dict[str, Engram]:
        """Engrams in two namespaces, and two in quarantine, by their texts; "old" ones are of ten days ago."""
        engrams = [
            one("old a", namespace="a", session="s", speaker="Ana", at=ago(days=10)),
            one("new a", namespace="a", session="s", at=ago(days=1)),
            one("old a 2", namespace="a", session="t", at=ago(days=10)),
            one("old b", namespace="b", session="s", at=ago(days=10)),
            one("held old", namespace="a", session="q", at=ago(days=10), quarantined="why"),
            one("held new", namespace="a", session="q", at=ago(days=1), quarantined="why"),
        ]
        store.append(engrams)
        return {engram.text: engram for engram in engrams}

    def present(self, store: LoggedStore) -> list[str]:
        """What a store lists, after a check that all of its methods agree."""
        listed = list(store.engrams(Filter()))
        assert list(store.engrams(Filter(), newest=True)) == listed[::-1]
        assert store.count(Filter()) == len(listed) == sum(n for _, n in store.namespaces())
        sessions = {name: store.sessions(name) for name, _ in store.namespaces()}
        assert sum(n for counted in sessions.values() for _, n in counted) == len(listed)
        held = list(store.quarantined(Filter()))
        stats = store.stats()
        assert (stats.engrams, stats.namespaces) == (len(listed), len(sessions))
        assert (stats.sessions, stats.quarantined) == (sum(map(len, sessions.values())), len(held))
        ids = [engram.id for engram in listed]
        assert store.keys(ids).keys() == store.by_id(ids).keys() == set(ids)
        assert [store.get(id) for id in ids] == listed
        return [engram.text for engram in (*listed, *held)]

    def test_expired_engrams_are_left_out_everywhere(self, store: LoggedStore, aged: dict[str, Engram]) -> None:
        assert self.present(store) == list(aged)
        keys = store.keys([engram.id for engram in aged.values()])
        store.policies.set(Policy("a", WEEK))
        assert self.present(store) == ["new a", "old b", "held new"]
        assert store.namespaces() == [("a", 1), ("b", 1)]
        assert store.namespaces("a", 5) == [("a", 1)]
        assert store.sessions("a") == [("s", 1)]
        old, new = aged["old a"], aged["new a"]
        assert store.get(old.id) is None
        assert store.by_id([old.id, new.id]) == store.by_id([old.id, new.id], "a") == {new.id: new}
        assert store.keys([old.id]) == {}
        key = keys[new.id]
        assert store.by_seq(key.namespace, [keys[old.id].seq, key.seq]) == {key.seq: new}
        assert store.session_seqs("a", "s", 9) == [key.seq]
        assert store.session_seqs("a", "t", 9) == []
        assert list(store.engrams(Filter("a", "s"), limit=1)) == [new]
        assert list(store.engrams(Filter("a", before=ago(days=5)))) == []
        assert list(store.quarantined(Filter(), aged["held old"].id)) == []
        for call in (
            lambda: store.engrams(Filter(), after_id=old.id),
            lambda: store.quarantined(Filter(), after_id=aged["held old"].id),
            lambda: store.sessions("a", after="t"),
        ):
            with pytest.raises(NotFound):
                call()
        assert not store.quarantine(old.id, "why")
        assert not store.release(aged["held old"].id)
        # Nothing was deleted.
        store.policies.clear("a")
        assert self.present(store) == list(aged)

    def test_own_policy_comes_before_the_default(self, store: LoggedStore, aged: dict[str, Engram]) -> None:
        store.policies.set(Policy(None, WEEK))
        assert self.present(store) == ["new a", "held new"]
        assert store.namespaces() == [("a", 1)]
        store.policies.set(Policy("b", None))
        assert self.present(store) == ["new a", "old b", "held new"]
        store.policies.set(Policy("a", timedelta(hours=1)))
        assert self.present(store) == ["old b"]
        store.policies.set(Policy("a", timedelta(days=30)))
        assert self.present(store) == list(aged)
        store.policies.set(Policy("a", None))
        store.policies.set(Policy(None, timedelta(microseconds=1)))
        assert self.present(store) == list(aged)
        assert [store.policies.clear(name) for name in ("a", "b", None)] == [True] * 3
        assert [store.policies.clear(name) for name in ("a", "b", None)] == [False] * 3
        assert self.present(store) == list(aged)

    def test_policies_are_listed_by_name(self, store: LoggedStore) -> None:
        assert store.policies.listed() == []
        assert store.policies.of(None) == store.policies.of("a") == KEEP
        policies = [Policy(name, timedelta(days=number + 1)) for number, name in enumerate(sorted(ODD_NAMES))]
        for policy in reversed(policies):
            store.policies.set(policy)
        store.policies.set(Policy(None, WEEK))
        assert store.policies.listed() == policies
        assert store.policies.listed(2) == policies[:2]
        assert store.policies.listed(2, policies[1].namespace or "") == policies[2:4]
        assert store.policies.listed(0) == store.policies.listed(None, "\U0010ffff" * 128) == []
        assert [store.policies.of(policy.namespace) for policy in policies] == policies
        assert store.policies.of("another") == store.policies.of(None) == Policy(None, WEEK)
        store.policies.set(KEEP)
        assert store.policies.of("another") == KEEP
        assert not store.policies.clear(None)
        store.policies.set(Policy("%", None))
        assert store.policies.of("%") == Policy("%", None)

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_a_policy_reaches_its_namespace_only(self, store: LoggedStore, name: str) -> None:
        store.append([one(other, namespace=other, at=ago(days=10)) for other in ODD_NAMES])
        store.policies.set(Policy(name, WEEK))
        assert self.present(store) == [other for other in ODD_NAMES if other != name]

    def test_the_time_of_the_turn_counts(self, store: LoggedStore) -> None:
        store.policies.set(Policy(None, WEEK))
        engrams = [
            one("of long ago", at=ago(days=8), recorded_at=ago()),
            one("stored long ago", at=ago(days=6), recorded_at=ago(days=900)),
            one("of the future", at=ago(days=-900)),
            one("of the year 1", at=datetime(1, 1, 1, tzinfo=UTC)),
            one("of the year 9999", at=datetime(9999, 12, 31, tzinfo=UTC)),
        ]
        assert store.append(engrams) == [True] * 5
        assert self.present(store) == ["stored long ago", "of the future", "of the year 9999"]
        store.policies.set(Policy(None, LONGEST))
        assert "of the year 1" not in self.present(store)
        store.policies.clear(None)
        assert len(self.present(store)) == 5

    def test_the_id_of_an_expired_engram_is_in_use(self, store: LoggedStore, aged: dict[str, Engram]) -> None:
        store.policies.set(Policy("a", WEEK))
        for text in ("old a", "held old"):
            assert store.append([aged[text]]) == [False]
            assert store.append([aged[text], one("filler", namespace="c")]) == [False, True]
            with pytest.raises(InvalidEngram, match="in use"):
                store.append([one("other", id=aged[text].id)])
        store.policies.clear("a")
        assert len(self.present(store)) == len(aged) + 2

    def test_forget_deletes_expired_engrams_too(self, store: LoggedStore, aged: dict[str, Engram]) -> None:
        store.policies.set(Policy("a", WEEK))
        assert store.forget(Filter("b"), aged["old a"].id) == 0
        assert store.forget(Filter("a"), aged["old a"].id) == 1
        assert store.forget(Filter("a", "t")) == 1
        assert store.forget(Filter("a", "q", before=ago(days=5))) == 1
        store.policies.clear("a")
        assert self.present(store) == ["new a", "old b", "held new"]

    def test_forget_expired_deletes_for_good(self, store: LoggedStore, aged: dict[str, Engram]) -> None:
        reader = Follower(store)
        assert store.forget_expired() == 0
        store.policies.set(Policy("a", WEEK))
        reader.read()
        # The log still has what is not deleted.
        assert len(reader.present) == 4
        assert store.forget_expired() == 3
        assert store.forget_expired() == 0
        reader.read()
        assert sorted(reader.texts()) == ["new a", "old b"]
        store.policies.set(Policy("a", None))
        assert self.present(store) == ["new a", "old b", "held new"]
        assert store.append([aged["old a"]]) == [True]
        number = store.namespace_number("a")
        assert number is not None
        assert store.speakers(number).keys() == {"Ana"}

    def test_names_go_with_the_last_expired_engram(self, store: LoggedStore, aged: dict[str, Engram]) -> None:
        store.policies.set(Policy(None, timedelta(hours=1)))
        assert self.present(store) == []
        assert store.forget_expired() == len(aged)
        assert store.namespace_number("a") is store.namespace_number("b") is None
        assert self.present(store) == []
        assert store.policies.of("a") == Policy(None, timedelta(hours=1))

    def test_closed_store_refuses_policies(self, store: LoggedStore) -> None:
        store.close()
        calls: list[Callable[[], object]] = [
            lambda: store.policies.set(Policy("a", WEEK)),
            lambda: store.policies.clear("a"),
            lambda: store.policies.of("a"),
            store.policies.listed,
            store.forget_expired,
        ]
        for call in calls:
            with pytest.raises(MemoryClosed, match="closed"):
                call()


PLAN = DocumentKey("a", "planner", "plan")


def put(
    store: Store,
    value: str,
    key: DocumentKey = PLAN,
    *,
    expect: int | None = None,
    keep: int | None = None,
    at: int = 0,
) -> int:
    return store.documents.put(key, value, day(at), expect=expect, keep=keep)


class DocumentSuite:
    """Inherit, and define a fixture `store` that returns an empty store."""

    def test_new_store_has_no_documents(self, store: Store) -> None:
        documents = store.documents
        assert documents.get(PLAN) is None
        assert documents.get(PLAN, 1) is None
        assert documents.versions(PLAN) == documents.infos() == documents.agents("a") == []
        assert documents.delete(PLAN) == 0
        assert store.stats().documents == 0

    def test_every_write_is_a_version(self, store: Store) -> None:
        assert [put(store, value, at=at) for at, value in enumerate(('{"a":[1]}', '"\U0001f98a"', '"\U0001f98a"'))] == [
            1,
            2,
            3,
        ]
        one = Document("a", "planner", "plan", 1, day(0), {"a": [1]})
        three = Document("a", "planner", "plan", 3, day(2), "\U0001f98a")
        assert store.documents.get(PLAN) == store.documents.get(PLAN, 3) == three
        assert store.documents.get(PLAN, 1) == one
        assert store.documents.get(PLAN, 4) is None
        assert [d.version for d in store.documents.versions(PLAN)] == [3, 2, 1]
        assert store.documents.versions(PLAN)[::2] == [three, one]
        assert [d.version for d in store.documents.versions(PLAN, 2)] == [3, 2]
        assert [d.version for d in store.documents.versions(PLAN, 5, 3)] == [2, 1]
        assert store.documents.versions(PLAN, 0) == store.documents.versions(PLAN, None, 1) == []
        assert store.stats().documents == 1

    def test_a_value_that_was_read_can_be_changed(self, store: Store) -> None:
        put(store, '{"a":[1]}')
        document = store.documents.get(PLAN)
        assert document is not None
        document.value["a"].append(2)
        again = store.documents.get(PLAN)
        assert again is not None
        assert again.value == {"a": [1]}

    def test_a_write_with_another_expected_version_is_refused(self, store: Store) -> None:
        with pytest.raises(StateConflict, match="does not exist") as caught:
            put(store, "1", expect=1)
        assert caught.value.current == 0
        assert put(store, "1", expect=0) == 1
        for expect in (0, 2):
            with pytest.raises(StateConflict, match="is at version 1") as caught:
                put(store, "2", expect=expect)
            assert caught.value.current == 1
            with pytest.raises(StateConflict):
                store.documents.delete(PLAN, expect)
        assert [d.value for d in store.documents.versions(PLAN)] == [1]
        assert put(store, "2", expect=1) == 2
        assert store.documents.delete(PLAN, 2) == 2

    def test_old_versions_are_deleted_beyond_the_number_to_keep(self, store: Store) -> None:
        for number in range(1, 7):
            put(store, str(number), keep=None if number < 5 else 3)
            put(store, "0", DocumentKey("a", "planner", "other"))
        assert [d.value for d in store.documents.versions(PLAN)] == [6, 5, 4]
        assert store.documents.get(PLAN, 3) is None
        assert put(store, "7", keep=1) == 7
        assert [d.version for d in store.documents.versions(PLAN)] == [7]
        assert len(store.documents.versions(DocumentKey("a", "planner", "other"))) == 6

    def test_a_deleted_version_is_not_used_again(self, store: Store) -> None:
        other, elsewhere = DocumentKey("a", "critic", "plan"), DocumentKey("b", "planner", "plan")
        put(store, "1", other)
        for number in (1, 2, 3):
            assert put(store, str(number)) == number
        assert store.documents.delete(PLAN) == 3
        assert store.documents.get(PLAN) is None
        assert store.documents.get(PLAN, 2) is None
        assert store.documents.versions(PLAN) == []
        with pytest.raises(StateConflict):
            put(store, "4", expect=3)
        assert put(store, "4", expect=0) == 4
        assert put(store, "2", other) == 2
        assert put(store, "1", elsewhere) == 1
        assert store.documents.delete(other) == 2
        assert put(store, "1", DocumentKey("a", "x", "x")) == 4

    def test_documents_of_other_names_agents_and_namespaces_are_apart(self, store: Store) -> None:
        keys = [DocumentKey(n, a, d) for n in ("a", "b") for a in ("p", "q") for d in ("x", "y")]
        for number, key in enumerate(keys):
            put(store, str(number), key)
        assert [store.documents.get(key).value for key in keys] == list(range(8))  # type: ignore[union-attr]
        assert store.documents.delete(keys[0]) == 1
        assert [store.documents.get(key) is None for key in keys] == [True] + [False] * 7

    def test_documents_are_listed_by_namespace_agent_and_name(self, store: Store) -> None:
        names = ["a", "ab", "ab\U0010ffff", "b", "\ud7ff", "\ue000", "\U00010000", "a%", "A"]
        for name in names:
            put(store, "1", DocumentKey("a", "p", name))
        for key in (DocumentKey("a", "q", "z"), DocumentKey("a", "p\U0001f98a", "z"), DocumentKey("b", "p", "a"), PLAN):
            put(store, "1", key)
        put(store, "2", at=1)
        infos = store.documents.infos()
        keys = [(info.namespace, info.agent, info.name) for info in infos]
        assert keys == sorted(keys)
        assert len(keys) == 13
        assert DocumentInfo("a", "planner", "plan", 2, day(1)) in infos
        assert [info.name for info in store.documents.infos("a", "p")] == sorted(names)
        assert [info.name for info in store.documents.infos("a", "p", "ab")] == ["ab", "ab\U0010ffff"]
        assert [info.name for info in store.documents.infos("a", "p", "a%")] == ["a%"]
        assert store.documents.infos("a", limit=2, after=("a", "p", "b"))[0].name == "\ud7ff"
        assert [info.namespace for info in store.documents.infos(agent="p")] == ["a"] * 9 + ["b"]
        paged, after = [], ("", "", "")
        while page := store.documents.infos(limit=4, after=after):
            paged += page
            after = (page[-1].namespace, page[-1].agent, page[-1].name)
        assert paged == infos
        assert store.documents.infos("c") == store.documents.infos(limit=0) == []
        assert store.documents.agents("a") == [("p", 9), ("planner", 1), ("p\U0001f98a", 1), ("q", 1)]
        assert store.documents.agents("a", 1, "planner") == [("p\U0001f98a", 1)]
        assert store.stats().documents == 13

    def test_forgetting_a_whole_namespace_erases_its_documents(self, store: Store) -> None:
        other = DocumentKey("b", "planner", "plan")
        store.append([one("turn", namespace="a")])
        for key in (PLAN, PLAN, other, DocumentKey("a", "critic", "plan")):
            put(store, "1", key)
        for where, id in (
            (Filter("a", "s"), None),
            (Filter("a", before=day(0)), None),
            (Filter(before=day(9)), uuid7()),
        ):
            store.forget(where, id)
        id = uuid7()
        assert store.forget(Filter("a"), id) == 0
        assert store.stats().documents == 3
        assert store.forget(Filter("a")) == 3
        assert [info.namespace for info in store.documents.infos()] == ["b"]
        assert store.documents.versions(PLAN) == []
        # Nothing is left of the namespace, not even its highest version.
        assert put(store, "1") == 1
        assert store.forget(Filter()) == 2
        assert store.documents.infos() == []

    def test_documents_do_not_expire(self, store: LoggedStore) -> None:
        store.append([one("turn", namespace="a", at=ago(days=10))])
        put(store, "1")
        put(store, "2", DocumentKey("b", "planner", "plan"))
        for namespace in ("a", None):
            store.policies.set(Policy(namespace, timedelta(microseconds=1)))
        before = store.stats()
        assert (before.engrams, before.namespaces, before.documents) == (0, 0, 2)
        assert store.forget_expired() == 1
        assert store.stats().documents == 2
        assert [document.value for document in store.documents.versions(PLAN)] == [1]
        assert store.forget(Filter("a")) == 1
        assert store.policies.of("a") == Policy("a", timedelta(microseconds=1))

    def test_documents_add_no_names_and_no_changes_to_the_log(self, store: LoggedStore) -> None:
        head = store.head()
        put(store, "1")
        store.documents.delete(PLAN)
        assert store.head() == head
        assert store.namespaces() == []
        assert store.namespace_number("a") is None
        assert store.count(Filter()) == 0

    def test_restored_versions_keep_their_numbers_and_times(self, store: Store) -> None:
        put(store, '"here"')
        versions = [Document("a", "planner", "plan", number, day(number), {"n": number}) for number in (4, 2, 1, 3)]
        other = Document("b", "x", "y", 7, day(0), None)
        assert store.documents.restore([*versions, other, other]) == 4
        assert [(d.version, d.value) for d in store.documents.versions(PLAN)] == [
            (4, {"n": 4}),
            (3, {"n": 3}),
            (2, {"n": 2}),
            (1, "here"),
        ]
        assert store.documents.get(PLAN) == versions[0]
        assert store.documents.get(DocumentKey("b", "x", "y")) == other
        assert put(store, "5", expect=4) == 5
        assert store.documents.restore([]) == 0

    def test_closed_store_refuses_documents(self, store: Store) -> None:
        store.close()
        for call in (lambda: put(store, "1"), lambda: store.documents.get(PLAN), store.documents.infos):
            with pytest.raises(MemoryClosed, match="closed"):
                call()


class Follower:
    """A reader of a log that records the changes."""

    def __init__(self, store: LoggedStore, limit: int = 100) -> None:
        self.store, self.limit = store, limit
        self.cursor = ""
        self.present: dict[Key, Record] = {}
        self.order: list[Key] = []

    def read(self) -> int:
        """Read all changes; returns the number of batches."""
        for batches in range(1, 10_000):
            changes = self.store.changes(self.cursor, self.limit)
            assert len(changes.appended) <= self.limit
            for record in changes.appended:
                key = Key(record.namespace, record.seq)
                assert key not in self.order
                self.present[key] = record
                self.order.append(key)
            for key in changes.deleted:
                self.present.pop(key, None)
            self.cursor = changes.cursor
            if not changes.more:
                return batches
        raise AssertionError("the log never ends")

    def texts(self) -> list[str]:
        return [record.text for record in self.present.values()]


def texts(engrams: Iterable[Engram]) -> list[str]:
    return [engram.text for engram in engrams]


class LogSuite:
    """Inherit, and define a fixture `store` that returns an empty store which is its own log."""

    def test_log_of_new_store_is_empty(self, store: LoggedStore) -> None:
        changes = store.changes("", 10)
        assert (changes.appended, changes.deleted, changes.more) == ([], [], False)
        assert changes.cursor == store.head()
        assert store.distance("", store.head()) == (0, 0)

    def test_records_hold_the_numbers_of_names(self, store: LoggedStore) -> None:
        engrams = [
            one("first", namespace="a", session="s", speaker="Ana", at=day(0)),
            one("second", namespace="a", session="t", role="tool", at=day(1), kind="fact"),
            one("third", namespace="b", session="s", speaker="Ana", at=day(2)),
        ]
        store.append(engrams)
        first, second, third = store.changes("", 10).appended
        keys = store.keys([e.id for e in engrams])
        assert [Key(r.namespace, r.seq) for r in (first, second, third)] == [keys[e.id] for e in engrams]
        assert len({first.session, second.session, third.session}) == 3
        assert (second.speaker, second.kind, first.kind, second.role) == (0, "fact", "turn", 3)
        assert first.speaker != third.speaker
        assert (first.at, first.text) == (int(day(0).timestamp()) * 1_000_000, "first")
        assert store.speakers(first.namespace) == {"Ana": first.speaker}

    def test_log_is_in_commit_order_for_every_reader(self, store: LoggedStore) -> None:
        slow, fast = Follower(store, 3), Follower(store, 1_000)
        for batch in range(5):
            store.append([one(f"{batch}.{i}", namespace="abc"[i % 3], session="st"[i % 2]) for i in range(7)])
            assert fast.read() == 1
        assert slow.read() > 10
        assert slow.order == fast.order
        assert slow.texts() == [f"{batch}.{i}" for batch in range(5) for i in range(7)]
        assert slow.cursor == fast.cursor == store.head()

    def test_deletions_reach_every_reader(self, store: LoggedStore) -> None:
        early, late = Follower(store), Follower(store)
        engrams = [one(str(i)) for i in range(10)]
        store.append(engrams)
        early.read()
        assert store.forget(Filter(), engrams[3].id) == 1
        head = store.head()
        assert store.distance(early.cursor, head) == (0, 1)
        early.read()
        assert early.cursor == head
        # Reading does not consume: another reader, and a second read, return the same changes.
        late.read()
        assert early.present == late.present
        assert sorted(early.texts()) == [str(i) for i in range(10) if i != 3]

    def test_engram_deleted_before_it_was_read_is_absent(self, store: LoggedStore) -> None:
        reader, engrams = Follower(store, 4), [one(str(i)) for i in range(10)]
        store.append(engrams)
        changes = store.changes("", 4)
        assert [r.text for r in changes.appended] == ["0", "1", "2", "3"]
        assert changes.more
        store.forget(Filter(), engrams[1].id)
        store.forget(Filter(), engrams[8].id)
        store.forget(Filter(), engrams[9].id)
        reader.read()
        assert reader.texts() == ["0", "2", "3", "4", "5", "6", "7"]
        assert reader.cursor == store.head()
        follow = store.changes(changes.cursor, 100)
        assert [r.text for r in follow.appended] == ["4", "5", "6", "7"]
        assert len(follow.deleted) >= 1
        assert follow.cursor == store.head()

    def test_long_texts_come_in_small_batches(self, store: LoggedStore) -> None:
        store.append([one("x" * (1 << 20)) for _ in range(40)])
        count, cursor, more = 0, "", True
        while more:
            records, _, cursor, more = store.changes(cursor, 100)
            assert sum(len(r.text) for r in records) <= 18 << 20
            count += len(records)
        assert count == 40

    def test_head_changes_with_every_change_only(self, store: LoggedStore) -> None:
        heads = [store.head()]
        engram = one()
        for change in (lambda: store.append([engram]), lambda: store.forget(Filter(), engram.id)):
            change()
            assert store.head() not in heads
            assert store.head() == store.head()
            heads.append(store.head())
        store.append([])
        store.forget(Filter())
        assert store.head() == heads[-1]

    def test_log_shows_the_quarantine_as_deletion_and_appending(self, store: LoggedStore) -> None:
        reader = Follower(store)
        engram = one("first", origin="agent")
        store.append([engram, one("second")])
        head = store.head()
        store.append([one("held", quarantined="why")])
        assert store.head() == head
        reader.read()
        store.quarantine(engram.id, "a doubt")
        reader.read()
        assert reader.texts() == ["second"]
        store.release(engram.id)
        reader.read()
        assert reader.texts() == ["second", "first"]
        assert [record.origin for record in reader.present.values()] == [0, ORIGINS.index("agent")]
        assert Follower(store).read() == 1

    def test_skip_keeps_the_last_engrams_and_all_deletions(self, store: LoggedStore) -> None:
        engrams = [one(str(i)) for i in range(50)]
        store.append(engrams[:10])
        reader = Follower(store)
        reader.read()
        first = reader.order[0]
        store.append(engrams[10:])
        store.forget(Filter(), engrams[0].id)
        start = store.skip(reader.cursor, 5)
        changes = store.changes(start, 100)
        assert [r.text for r in changes.appended] == texts(engrams[45:])
        assert changes.deleted == [first]
        assert store.distance(reader.cursor, start) == (35, 0)
        assert store.distance(start, reader.cursor) == (-35, 0)
        assert store.distance(store.skip(reader.cursor, 1_000), reader.cursor) == (0, 0)
        assert [r.text for r in store.changes(store.skip("", 7), 100).appended] == texts(engrams[43:])

    def test_seqs_grow_within_a_namespace(self, store: LoggedStore) -> None:
        for i in range(30):
            store.append([one(str(i), namespace="abc"[i % 3])])
        last: dict[int, int] = {}
        for record in store.changes("", 100).appended:
            assert record.seq > last.get(record.namespace, 0)
            last[record.namespace] = record.seq

    def test_foreign_cursors_are_refused(self, store: LoggedStore) -> None:
        store.append([one("a"), one("b")])
        head = store.head()
        for cursor in ("nonsense", head + ".1", "\u0663.0", "99999999999999999999999999.0"):
            with pytest.raises(CursorExpired):
                store.changes(cursor, 10)
            with pytest.raises(CursorExpired):
                store.skip(cursor, 10)
            with pytest.raises(CursorExpired):
                store.distance(cursor, head)

    def test_compact_keeps_a_current_cursor_valid(self, store: LoggedStore) -> None:
        reader, engrams = Follower(store), [one(str(i)) for i in range(5)]
        store.append(engrams)
        reader.read()
        store.forget(Filter(), engrams[2].id)
        store.compact()
        reader.read()
        store.forget(Filter(), engrams[0].id)
        store.compact()
        reader.read()
        assert reader.texts() == ["1", "3", "4"]
        assert Follower(store).read() == 1

    def test_closed_log_refuses_calls(self, store: LoggedStore) -> None:
        store.close()
        for call in (store.head, lambda: store.changes("", 1), lambda: store.skip("", 1)):
            with pytest.raises(MemoryClosed, match="closed"):
                call()
