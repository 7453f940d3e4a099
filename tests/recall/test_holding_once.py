"""What knows what holds is asked to catch up once for a recall, whatever the parts of the message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from engram.engram import Engram, draft
from engram.opening import open_analyzer, open_encoder, open_search, open_store
from engram.recall.message import Part
from engram.recall.recaller import Recaller
from engram.recall.result import Hit
from engram.store.base import Filter

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Counting:
    """Leaves hits as they are, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def catch_up(self) -> None:
        self.asked.append("catch up")

    def ordered(self, part: Part, namespace: int, hits: Sequence[Hit], admits: Callable[[Engram], bool]) -> list[Hit]:
        self.asked.append(part.text)
        return list(hits)


def test_a_recall_of_several_parts_catches_up_once_and_first() -> None:
    store, analyzer, encoder, holding = open_store(":memory:"), open_analyzer(), open_encoder("use"), Counting()
    search = open_search(store, analyzer, encoder)
    try:
        store.append([draft("My dog is called Biscuit."), draft("My sister Marta lives in Bergen.")])
        recaller = Recaller(store, search, analyzer, encoder)
        message = "What is my dog called? And where does my sister live?"
        recaller.recall(message, "default", Filter("default"), 5, NOW, holding=holding)
        assert holding.asked.count("catch up") == 1
        assert holding.asked[0] == "catch up"
        assert len(holding.asked) > 2
        holding.asked.clear()
        recaller.recall("Which colour had it in March 2019?", "default", Filter("default"), 5, NOW, holding=holding)
        recaller.recall("Anything?", "empty", Filter("empty"), 5, NOW, holding=holding)
        assert holding.asked == []
    finally:
        search.close()
        store.close()
