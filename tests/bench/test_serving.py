"""Measuring a server: the pace of the scripted model, the results of the clients, and the figures."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from bench import serving
from bench.figures import silent
from bench.load import DIRECT, PROXIED, unchunked
from bench.processes import WorkerFailed, run_task
from bench.servers import Server, StolenTime, cpu_ticks, scripted_model
from bench.upstream import Replies, chunk, pace, read_pace
from bench.worker import MEMORY
from engram.memory import Memory

QUESTIONS = [f"What about number {number}?" for number in range(40)]


@pytest.fixture(scope="module")
def upstream():
    with scripted_model(1) as url:
        yield url


@pytest.fixture
def load(tmp_path: Path, upstream: str):
    """A function that runs a task of the clients, with the scripted model on both routes."""
    (tmp_path / "questions.json").write_text(json.dumps(QUESTIONS))
    common = {
        "urls": {DIRECT: upstream, PROXIED: upstream},
        "namespace": "ida",
        "questions": tmp_path / "questions.json",
        "seed": 0,
    }

    def _load(task: str, **arguments: object):
        return run_task(task, silent, "", "load", **common, **arguments)

    return _load


def test_a_pace_is_encoded_in_the_model_name():
    assert read_pace(pace(9, 100, 0.5, recorded=True)) == (9, 100.0, 0.5, True)
    assert read_pace(pace(1)) == (1, 0.0, 0.0, False)


def test_a_streamed_reply_equals_the_whole_reply():
    replies = Replies(3)
    start = replies.begin(20)
    stream = b"".join(replies.word(start, number) for number in range(20)) + replies.end
    events = unchunked(stream).decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    deltas = [json.loads(event[6:])["choices"][0]["delta"] for event in events[:-2]]
    whole = json.loads(replies.whole(start, 20))["choices"][0]["message"]["content"]
    assert "".join(delta.get("content", "") for delta in deltas) == whole == " ".join(replies.words[start : start + 20])


def test_unchunked_joins_the_chunks_of_a_body():
    assert unchunked(chunk(b"a\r\nb") + chunk(b"c" * 20) + b"0\r\n\r\n") == b"a\r\nb" + b"c" * 20


def test_alone_times_each_question_on_both_routes(load):
    result = load("alone", count=6, warm=1, tokens=3, per_second=200, delay=0.02)
    for route in (DIRECT, PROXIED):
        totals = result[route]
        assert len(totals["first"]) == 6
        # The first token never comes before the delay of the request; the test has no upper limit.
        assert min(totals["first"]) > 19
        assert (totals["recalled"], totals["failed"], totals["memory"]) == (0, 0, [])


def test_together_measures_every_stream_on_both_routes(load):
    result = load("together", streams=4, rounds=2, replies=2, tokens=10, per_second=200, delay=0.01)
    for route in (DIRECT, PROXIED):
        assert len(result[route]["first"]) == 4 * 2 * 2
        assert len(result[route]["tokens_per_second"]) == 2
        assert all(0 < rate < 4 * 200 for rate in result[route]["tokens_per_second"])


def test_many_measures_every_request(load):
    assert len(load("many", count=120, streams=3, begin=7, tokens=2)["first"]) == 120


def test_conversation_returns_requests_that_extend_each_other(load):
    bodies = [json.loads(body) for body in load("conversation", turns=4, begin=0, tokens=3)["bodies"]]
    assert [len(body["messages"]) for body in bodies] == [1, 3, 5, 7]
    assert [message["content"] for message in bodies[-1]["messages"][::2]] == QUESTIONS[:4]
    for former, latter in pairwise(bodies):
        assert latter["messages"][: len(former["messages"])] == former["messages"]


def test_a_server_that_survives_the_kill_is_an_error(load):
    with pytest.raises(WorkerFailed, match="a client did not end by the kill of the server: .*still answers after 0 s"):
        load("until_killed", streams=1, tokens=1, per_second=100, delay=0, mark="0", limit=0)


def test_a_server_that_does_not_start_raises(tmp_path):
    (tmp_path / "memory.db").write_text("this file is not a memory " * 100)
    with pytest.raises(WorkerFailed, match="does not listen"):
        Server(tmp_path / "memory.db", "http://127.0.0.1:9", tmp_path / "log")


def test_common_prefix_ends_where_two_requests_diverge():
    former = b'{"messages": [{"role": "user", "content": "notes a"}]}'
    same = b'{"messages": [{"role": "user", "content": "notes a"}, {"role": "assistant", "content": "b"}]}'
    other = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    before = b'{"messages": [{"role": "system", "content": "a"}]}'
    assert serving.common_prefix(former, same) == serving.end_of_messages(former)
    assert serving.last_user(former) <= serving.common_prefix(former, other) < serving.end_of_messages(former)
    assert serving.common_prefix(former, before) < serving.last_user(former) + len(serving.USER)
    assert serving.common_prefix(former, former) == len(former)


def test_missing_returns_texts_and_ids_not_in_the_memory(tmp_path):
    bench = serving.Bench(serving.SMALL, tmp_path, "ida", "", 0, silent)
    bench.memory.parent.mkdir()
    assert bench.memory.parent.name == MEMORY
    began = datetime.now(UTC)
    with Memory(bench.memory) as memory:
        stored = memory.remember("a", namespace="ida")
        memory.remember("b", namespace="bo")
    assert serving.missing(bench, began, ["a", "b"], {stored.id, "x"}) == {"b", "x"}


def test_measure_without_its_packages_returns_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "REQUIRED_PACKAGES", ("httpx", "no_such_package"))
    part = serving.measure(serving.SMALL, tmp_path, 0, silent)
    assert part.figures == []
    assert part.notes == [serving.MISSING.format("no_such_package")]


def test_stolen_time_is_a_share_or_nan():
    share = StolenTime().share
    assert math.isnan(share) or 0 <= share <= 1
    stolen, busy = cpu_ticks()
    assert 0 <= stolen <= busy


def test_first_token_is_the_median_of_rounds():
    result = {DIRECT: {"first": [10.0] * 6}, PROXIED: {"first": [11.0, 12.0, 500.0, 900.0, 13.0, 14.0]}}
    figure = serving.first_token_figure("key", "one stream", result, 3, 0.25)
    assert 3.5 < figure.value <= 4.0
    references = {reference.name: reference.value for reference in figure.references}
    assert references["p95 of all"] > 400
    assert references["share of processor time that the host took"] == 0.25
