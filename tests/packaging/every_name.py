"""Uses every public name of Engram once. `test_types.py` has mypy check this program, and runs it.

For each public class one variable has its name in lower case: the test looks up `memory.recall`, `hit.score` etc.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

from engram import (
    AgentState,
    Document,
    DocumentInfo,
    Engram,
    Explanation,
    Hit,
    Memory,
    Policy,
    Recall,
    Stats,
    __version__,
)


def use_engram(engram: Engram) -> None:
    assert_type(engram.id, str)
    assert_type(engram.namespace, str)
    assert_type(engram.session, str)
    assert_type(engram.role, str)
    assert_type(engram.speaker, str | None)
    assert_type(engram.text, str)
    assert_type(engram.at, datetime)
    assert_type(engram.recorded_at, datetime)
    assert_type(engram.kind, str)
    assert_type(engram.source, str | None)
    assert_type(engram.metadata, Mapping[str, object])
    assert_type(engram.origin, str)
    assert_type(engram.quarantined, str | None)


def use_recall(recall: Recall) -> None:
    assert_type(recall.query, str)
    assert_type(recall.namespace, str)
    assert_type(recall.unsearched, int)
    assert_type(recall.hits, tuple[Hit, ...])
    assert_type(iter(recall), Iterator[Hit])
    assert_type(len(recall), int)
    assert_type(recall[0], Hit)
    assert_type(recall[:2], Sequence[Hit])
    assert_type(recall.count(recall[0]), int)
    assert_type(recall.index(recall[0]), int)
    assert_type(recall.context(budget=100), str)
    assert_type(recall.context(100, count=len), str)
    for hit in recall:
        use_hit(hit)


def use_hit(hit: Hit) -> None:
    use_engram(hit.engram)
    assert_type(hit.score, float)
    assert_type(hit.why, Mapping[str, float])
    assert_type(hit.seq, int)
    assert_type(hit.passage, tuple[int, int])


def use_explanation(explanation: Explanation) -> None:
    assert_type(explanation.query, str)
    assert_type(explanation.engram, Engram)
    assert_type(explanation.place, int | None)
    assert_type(explanation.scored, int)
    assert_type(explanation.score, float)
    assert_type(explanation.why, Mapping[str, float])
    assert_type(explanation.winner, Hit | None)
    assert_type(explanation.words, Mapping[str, tuple[float, float]])
    assert_type(explanation.reason, str)


def use_stats(stats: Stats) -> None:
    assert_type(stats.path, str)
    assert_type(stats.engrams, int)
    assert_type(stats.quarantined, int)
    assert_type(stats.state_documents, int)
    assert_type(stats.namespaces, int)
    assert_type(stats.sessions, int)
    assert_type(stats.indexed_through, int)
    assert_type(stats.unindexed, int)
    assert_type(stats.unencoded, int)
    assert_type(stats.store_bytes, int)
    assert_type(stats.index_bytes, int)
    assert_type(stats.index_trouble, str | None)
    assert_type(stats.proposals.calls, int)


def write(memory: Memory) -> Engram:
    now = datetime.now(UTC)
    first = memory.remember(
        "My dog is called Biscuit.",
        namespace="ana",
        session="monday",
        role="user",
        speaker="Ana",
        at=now,
        kind="turn",
        source="chat",
        metadata={"page": 3},
        origin="user",
        id=None,
    )
    assert_type(first, Engram)
    assert_type(memory.remember_many([first, {"text": "I like tea.", "namespace": "ana"}], batch=10), list[Engram])
    assert_type(memory.remember_many({"text": f"number {n}", "metadata": {"n": n}} for n in range(3)), list[Engram])
    assert_type(memory.add([first]), list[bool])
    return first


def read(memory: Memory, first: Engram) -> None:
    now = datetime.now(UTC)
    assert_type(memory.path, str)
    assert_type(memory.strength, bool)
    memory.strengthen([first.id])
    assert_type(memory.flush(timeout=60.0), bool)
    memory.catch_up()
    memory.take_encoded(memory.encoded())
    recall = memory.recall(
        "What is my dog called?", namespace="ana", limit=5, session="monday", kinds=["turn"], now=now
    )
    assert_type(recall, Recall)
    assert recall[0].engram == first
    use_recall(recall)
    assert_type(memory.recall("tea", before=now, after=first.at, trust="import"), Recall)
    use_explanation(memory.explain("What is my dog called?", first.id, namespace="ana"))
    assert_type(memory.reflect(seconds=60.0, model=None, asking=None), int)
    assert_type(memory.propose("smollm2", asking=None, seconds=60.0).accepted, int)
    assert_type(memory.drop_proposals("gpt-4o", ask_again=True), int)
    assert_type(memory.titles("ana"), dict[str, str])
    facts = memory.facts(namespace="ana", slot="pet", own=True, at=now)
    assert_type(facts.unread, int)
    assert_type([fact.engram for fact in facts], list[Engram])
    profile = memory.profile(namespace="ana", at=now, budget=200, count=len)
    assert_type([fact.text for fact in (*profile.standing, *profile.who, *profile.now)], list[str])
    assert_type(profile.text, str)
    summary = memory.summary(
        namespace="ana", session="monday", since=first.at, until=None, period=None, budget=200, count=len
    )
    assert_type([quote.by for quote in summary.quotes], list[str])
    arcs = memory.arcs(namespace="ana", at=now, limit=3)
    assert_type([arc.title for arc in arcs], list[str])
    arc = memory.arc("tea", namespace="ana", at=now, limit=3)
    assert_type([quote.text for quote in arc.quotes], list[str])
    assert_type([end.kind for end in arc.open_ends], list[str])
    working = memory.working("tea", namespace="ana", budget=200, shares={"recalled": 1.0}, now=now, count=len)
    assert_type([part.tokens for part in working.parts], list[int])
    stopped = memory.working("tea", namespace="ana", agent="planner")
    assert_type([part.documents for part in stopped.parts], list[tuple[str, ...]])
    assert_type(memory.unread(), int)
    assert_type(memory.get(first.id, namespace="ana"), Engram)
    assert_type(memory.get_many([first.id], namespace="ana"), dict[str, Engram])
    assert_type(memory.is_indexed([first.id]), bool)
    assert_type(memory.engrams(namespace="ana", limit=5, after_id=first.id, newest=True), Iterator[Engram])
    assert_type(memory.namespaces(prefix="a"), list[tuple[str, int]])
    assert_type(memory.sessions("ana"), list[tuple[str, int]])
    use_stats(memory.stats())


def use_document(document: Document) -> None:
    assert_type(document.namespace, str)
    assert_type(document.agent, str)
    assert_type(document.name, str)
    assert_type(document.version, int)
    assert_type(document.at, datetime)
    # As `json.loads` returns it: its shape is the caller's.
    assert_type(document.value, Any)  # type: ignore[misc]


def use_document_info(documentinfo: DocumentInfo) -> None:
    assert_type(documentinfo.namespace, str)
    assert_type(documentinfo.agent, str)
    assert_type(documentinfo.name, str)
    assert_type(documentinfo.version, int)
    assert_type(documentinfo.at, datetime)


def next_step(value: object) -> object:
    assert value == {"step": 1}
    return {"step": 2}


def keep_state(memory: Memory) -> None:
    agentstate = memory.state("ana", "planner", keep=100)
    assert_type(agentstate, AgentState)
    assert_type(agentstate.namespace, str)
    assert_type(agentstate.agent, str)
    assert_type(agentstate.keep, int | None)
    use_document(agentstate.set("plan", {"step": 1}, expect=0))
    use_document(agentstate.update("plan", next_step))
    use_document(agentstate.rollback("plan", 1, expect=2))
    assert_type(agentstate.get("plan"), Document | None)
    assert_type(agentstate.get("plan", version=1), Document | None)
    assert_type(agentstate.history("plan", limit=5, before=3), list[Document])
    assert_type(agentstate.names("p", limit=5, after="a"), list[str])
    for documentinfo in agentstate.infos("p", limit=5):
        use_document_info(documentinfo)
    assert_type(memory.agents("ana", limit=5), list[tuple[str, int]])
    assert_type(memory.state_documents(namespace="ana", agent="planner"), Iterator[DocumentInfo])
    assert_type(agentstate.delete("plan", expect=3), int)


def doubt(memory: Memory, first: Engram) -> None:
    assert_type(memory.quarantine(first.id, "a doubt"), Engram)
    assert_type(memory.quarantined(namespace="ana", limit=5), Iterator[Engram])
    assert_type(memory.release(first.id), Engram)


def use_policy(policy: Policy) -> None:
    assert_type(policy.namespace, str | None)
    assert_type(policy.expire_after, timedelta | None)


def limit(memory: Memory) -> None:
    use_policy(memory.set_policy("ana", expire_after=timedelta(days=90)))
    assert_type(memory.set_policy(None, expire_after=None), Policy)
    assert_type(memory.policy("ana"), Policy)
    assert_type(memory.policies(limit=5, after=""), list[Policy])
    assert_type(memory.forget_expired(), int)
    assert_type(memory.clear_policy("ana"), bool)


def delete(memory: Memory, first: Engram) -> None:
    assert_type(memory.forget(id=first.id), int)
    assert_type(memory.forget(namespace="ana", session="monday", before=datetime.now(UTC)), int)
    memory.compact()
    assert_type(memory.reindex(timeout=60.0), bool)
    memory.close()


def main(path: Path) -> None:
    assert_type(__version__, str)
    with Memory(path, read_only=False, wait=10.0) as memory:
        assert_type(memory, Memory)
        first = write(memory)
        read(memory, first)
        keep_state(memory)
        doubt(memory, first)
        limit(memory)
        delete(memory, first)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
