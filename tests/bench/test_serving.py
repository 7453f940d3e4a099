"""Measuring a server: the scripted model keeps its pace, the clients see what came, and figures say what was seen."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from bench import serving
from bench.figures import silent
from bench.load import STRAIGHT, THROUGH, unchunked
from bench.processes import WorkerFailed, run_task
from bench.servers import Host, Server, processor_ticks, scripted
from bench.upstream import Replies, chunk, pace, read_pace
from bench.worker import MEMORY
from engram.memory import Memory

QUESTIONS = [f"What about number {number}?" for number in range(40)]


@pytest.fixture(scope="module")
def upstream():
    with scripted(1) as url:
        yield url


@pytest.fixture
def load(tmp_path: Path, upstream: str):
    """Runs a task of the clients with the scripted model at both ends."""
    (tmp_path / "questions.json").write_text(json.dumps(QUESTIONS))
    common = {
        "urls": {STRAIGHT: upstream, THROUGH: upstream},
        "namespace": "ida",
        "questions": tmp_path / "questions.json",
        "seed": 0,
    }

    def _load(task: str, **arguments: object):
        return run_task(task, silent, "", "load", **common, **arguments)

    return _load


def test_a_pace_is_encoded_in_the_model_name():
    assert read_pace(pace(9, 100, 0.5, kept=True)) == (9, 100.0, 0.5, True)
    assert read_pace(pace(1)) == (1, 0.0, 0.0, False)


def test_a_streamed_reply_equals_the_whole_reply():
    replies = Replies(3)
    start = replies.begin(20)
    pieces = b"".join(replies.piece(start, number) for number in range(20)) + replies.end
    events = unchunked(pieces).decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    deltas = [json.loads(event[6:])["choices"][0]["delta"] for event in events[:-2]]
    whole = json.loads(replies.whole(start, 20))["choices"][0]["message"]["content"]
    assert "".join(delta.get("content", "") for delta in deltas) == whole == " ".join(replies.words[start : start + 20])


def test_chunks():
    assert unchunked(chunk(b"a\r\nb") + chunk(b"c" * 20) + b"0\r\n\r\n") == b"a\r\nb" + b"c" * 20


def test_one_stream(load):
    found = load("alone", count=6, warm=1, tokens=3, per_second=200, delay=0.02)
    for way in (STRAIGHT, THROUGH):
        assert len(found[way]["first"]) == 6
        # The model does not answer sooner than it was told to; how much later is no matter of tests.
        assert min(found[way]["first"]) > 19
        assert (found[way]["recalled"], found[way]["failed"], found[way]["memory"]) == (0, 0, [])


def test_many_streams(load):
    found = load("together", streams=4, rounds=2, replies=2, tokens=10, per_second=200, delay=0.01)
    for way in (STRAIGHT, THROUGH):
        assert len(found[way]["first"]) == 4 * 2 * 2
        assert len(found[way]["tokens_per_second"]) == 2
        assert all(0 < rate < 4 * 200 for rate in found[way]["tokens_per_second"])


def test_many_requests(load):
    assert len(load("many", count=120, streams=3, begin=7, tokens=2)["first"]) == 120


def test_a_conversation(load):
    bodies = [json.loads(body) for body in load("conversation", turns=4, begin=0, tokens=3)["bodies"]]
    assert [len(body["messages"]) for body in bodies] == [1, 3, 5, 7]
    assert [message["content"] for message in bodies[-1]["messages"][::2]] == QUESTIONS[:4]
    for former, latter in pairwise(bodies):
        assert latter["messages"][: len(former["messages"])] == former["messages"]


def test_a_server_that_survives_the_kill_is_an_error(load):
    with pytest.raises(WorkerFailed, match="a client ended otherwise than by the kill: .*still there after 0 s"):
        load("until_killed", streams=1, tokens=1, per_second=100, delay=0, mark="0", limit=0)


def test_a_server_that_does_not_start_raises(tmp_path):
    (tmp_path / "memory.db").write_text("this is no memory, whatever its name says " * 100)
    with pytest.raises(WorkerFailed, match="does not listen"):
        Server(tmp_path / "memory.db", "http://127.0.0.1:9", tmp_path / "log")


def test_where_two_requests_diverge():
    former = b'{"messages": [{"role": "user", "content": "notes a"}]}'
    same = b'{"messages": [{"role": "user", "content": "notes a"}, {"role": "assistant", "content": "b"}]}'
    other = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    before = b'{"messages": [{"role": "system", "content": "a"}]}'
    assert serving.reach(former, same) == serving.end_of_messages(former)
    assert serving.last_user(former) <= serving.reach(former, other) < serving.end_of_messages(former)
    assert serving.reach(former, before) < serving.last_user(former) + len(serving.USER)
    assert serving.reach(former, former) == len(former)


def test_missing_returns_texts_and_ids_not_in_the_memory(tmp_path):
    bench = serving.Bench(serving.SMALL, tmp_path, "ida", "", 0, silent)
    bench.memory.parent.mkdir()
    assert bench.memory.parent.name == MEMORY
    began = datetime.now(UTC)
    with Memory(bench.memory) as memory:
        kept = memory.remember("a", namespace="ida")
        memory.remember("b", namespace="bo")
    assert serving.missing(bench, began, ["a", "b"], {kept.id, "x"}) == {"b", "x"}


def test_serving_is_skipped_without_its_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "NEEDED", ("httpx", "no_such_package"))
    part = serving.measure(serving.SMALL, tmp_path, 0, silent)
    assert part.figures == []
    assert part.notes == [serving.MISSING.format("no_such_package")]


def test_share_of_the_host():
    share = Host().share
    assert math.isnan(share) or 0 <= share <= 1
    stolen, busy = processor_ticks()
    assert 0 <= stolen <= busy


def test_first_token_is_the_median_of_rounds():
    found = {STRAIGHT: {"first": [10.0] * 6}, THROUGH: {"first": [11.0, 12.0, 500.0, 900.0, 13.0, 14.0]}}
    figure = serving.first_token_figure("key", "one stream", found, 3, 0.25)
    assert 3.5 < figure.value <= 4.0
    beside = {reference.name: reference.value for reference in figure.references}
    assert beside["p95 of all"] > 400
    assert beside["share of the processors that the host took"] == 0.25
