"""The simulated store with out-of-order commits passes all suites, and its log is in commit order."""

from __future__ import annotations

import pytest

from engram.store.base import Filter
from tests.store.conformance import Follower, LogSuite, PolicySuite, StoreSuite, one
from tests.store.out_of_order import OutOfOrderStore


class TestOutOfOrderStore(StoreSuite, PolicySuite, LogSuite):
    @pytest.fixture
    def store(self) -> OutOfOrderStore:
        return OutOfOrderStore()

    # Names stay while an uncommitted engram may use them.
    test_names_are_deleted_with_their_last_engram = None  # type: ignore[assignment]
    test_names_go_with_the_last_expired_engram = None  # type: ignore[assignment]


def test_overtaken_engram_is_logged_when_it_is_committed() -> None:
    store = OutOfOrderStore()
    store.begin(one("overtaken", namespace="slow"))
    store.append([one(str(i), namespace="fast") for i in range(5)])
    reader = Follower(store)
    reader.read()
    assert reader.texts() == [str(i) for i in range(5)]
    assert store.count(Filter()) == 5
    store.commit("slow")
    reader.read()
    assert reader.texts()[-1] == "overtaken"
    assert reader.order[-1].seq < reader.order[0].seq
