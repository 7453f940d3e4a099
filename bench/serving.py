"""Cost and durability of `engram serve` in front of a model, compared with requests straight to the model.

Owns the plan and the figures, which it computes from the results of the clients (`load`). Server, model and clients are
separate processes on one machine; the memory holds generated chats.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

from bench.figures import (
    COUNT,
    MEGABYTES,
    MILLISECONDS,
    PER_SECOND,
    SHARE,
    TIMES,
    Figure,
    Part,
    Progress,
    Reference,
    Table,
)
from bench.load import DIRECT, PROXIED, UNDER_LOAD
from bench.metrics import median, percentile
from bench.processes import run_task
from bench.servers import Server, StolenTime, Usage, running_server, scripted_model
from bench.worker import MEMORY, QUESTIONS
from engram.memory import Memory

MEGABYTE = 1e6
MISSING = "serve: {} is not installed: pip install 'engram-layer[serve]'"
REQUIRED_PACKAGES = ("uvicorn", "httpx")
USER = b'{"role": "user"'
"""The beginning of a user message in the requests of the clients."""
BATCHES = 4
"""Batches of requests in the growth measurement; the memory is measured after each."""

Result = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured, and how often."""

    engrams: int
    pairs: int
    """Questions of the single client in each round, each sent on both routes."""
    pair_tokens: int
    """Tokens of the replies to the questions in `pairs`."""
    warm: int
    """Questions before the timed ones, not counted."""
    streams: int
    rounds: int
    replies: int
    """Replies to each of the concurrent clients, in each round, on each route."""
    tokens: int
    per_second: float
    delay: float
    """Seconds before a reply's first token."""
    kills: int
    kill_seconds: tuple[float, float]
    """The shortest and the longest time from the first reply under load until the server is killed."""
    requests: int
    requests_warm: int
    """Requests before the measurement of growth."""
    clients: int
    """Clients that send the requests of the measurement of growth."""
    turns: int
    """Questions of the conversation whose requests are compared with each other."""
    settle: float = 0.5
    """Seconds between two samples of a server that is expected to become idle."""

    @property
    def pace(self) -> dict[str, float]:
        """The timing of replies."""
        return {"per_second": self.per_second, "delay": self.delay}


FULL = Plan(
    engrams=100_000,
    pairs=50,
    pair_tokens=10,
    warm=50,
    streams=50,
    rounds=6,
    replies=4,
    tokens=100,
    per_second=100,
    delay=0.01,
    kills=20,
    kill_seconds=(0.5, 2.0),
    requests=20_000,
    requests_warm=1_000,
    clients=6,
    turns=30,
)
SMALL = Plan(
    engrams=10_000,
    pairs=50,
    pair_tokens=10,
    warm=20,
    streams=50,
    rounds=3,
    replies=4,
    tokens=100,
    per_second=100,
    delay=0.01,
    kills=5,
    kill_seconds=(0.5, 2.0),
    requests=2_000,
    requests_warm=1_000,
    clients=6,
    turns=30,
)
PLANS = {"small": SMALL, "full": FULL}


@dataclass(frozen=True, slots=True)
class Bench:
    """The inputs of each measurement."""

    plan: Plan
    folder: Path
    namespace: str
    upstream: str
    seed: int
    progress: Progress

    @property
    def memory(self) -> Path:
        """The memory's file."""
        return self.folder / MEMORY / "memory.db"

    def server(self) -> Server:
        """Start a server; the caller kills it."""
        return Server(self.memory, self.upstream, self.folder / "server.log")

    def load(self, task: str, server: Server, label: str, **arguments: object) -> Result:
        """Run a task of the clients; returns its results."""
        return run_task(
            task,
            self.progress,
            f"serve: {label}",
            "load",
            urls={DIRECT: self.upstream, PROXIED: server.url},
            namespace=self.namespace,
            questions=self.folder / QUESTIONS,
            seed=self.seed,
            **arguments,
        )


def measure(plan: Plan, folder: Path, seed: int, progress: Progress) -> Part:
    """Run all measurements of the server."""
    missing = [name for name in REQUIRED_PACKAGES if find_spec(name) is None]
    if missing:
        return Part("serve", notes=[MISSING.format(missing[0])])
    subfolder = folder / "serve"
    label = f"serve: {plan.engrams:,} engrams"
    # Enough questions to ask each only once, if possible: a repeated question would be cached.
    question_count = plan.engrams // 4
    memory = run_task(
        "fill", progress, label, folder=subfolder, count=plan.engrams, question_count=question_count, seed=seed
    )
    part = Part("serve")
    with scripted_model(seed) as upstream:
        bench = Bench(plan, subfolder, memory["namespace"], upstream, seed, progress)
        with running_server(bench.memory, upstream, subfolder / "server.log") as server:
            measure_speed(bench, server, part)
        with running_server(bench.memory, upstream, subfolder / "server.log") as server:
            measure_growth(bench, server, part)
        measure_kills(bench, part)
        measure_prefixes(bench, part)
    shutil.rmtree(subfolder)
    return part


# Speed.


def measure_speed(bench: Bench, server: Server, part: Part) -> None:
    """Measure the time to the first token of one stream and of concurrent streams, and tokens per second."""
    plan = bench.plan
    sizes = {"tokens": plan.pair_tokens, "count": plan.rounds * plan.pairs, "warm": plan.warm}
    stolen = StolenTime()
    alone = bench.load("alone", server, "first token", **sizes, **plan.pace)
    stolen_alone, stolen, before = stolen.share, StolenTime(), server.usage()
    sizes = {"streams": plan.streams, "rounds": plan.rounds, "replies": plan.replies, "tokens": plan.tokens}
    together = bench.load("together", server, "first token", **sizes, **plan.pace)
    # Includes the warm-up round.
    replies = (plan.rounds + 1) * plan.replies * plan.streams
    cpu_milliseconds = (server.usage().cpu_seconds - before.cpu_seconds) * 1000 / replies
    part.figures += [
        first_token_figure("serve-first-token-alone", "one stream", alone, plan.rounds, stolen_alone),
        first_token_figure(
            "serve-first-token-together", f"{plan.streams} streams at once", together, plan.rounds, stolen.share
        ),
        tokens_figure(plan, together),
    ]
    rows = [
        *first_token_rows("one stream", alone),
        *first_token_rows(f"{plan.streams} streams", together),
    ]
    part.tables.append(
        Table(
            f"Time to the first token, {plan.engrams:,} engrams",
            ["", "streams", "replies", "median", "p95", "p99", "with notes", "memory failed", "memory, median"],
            rows,
            f"The model gives its first token after {plan.delay * 1000:g} ms and then {plan.per_second:g} a second;"
            f" replies have {plan.pair_tokens} tokens to one stream and {plan.tokens} to many. The server took"
            f" {MILLISECONDS.show(cpu_milliseconds)} of the processor for each of the latter. These are of all rounds.",
        )
    )


def first_token_figure(key: str, label: str, result: Result, rounds: int, stolen: float) -> Figure:
    """The latency added by the server: the difference between the two routes, for each question.

    `stolen`: the share of CPU time that the host took. A period in which the host takes much is long compared with a
    round, so the figure is the median of the rounds; the value over all questions is a reference.
    """
    direct, proxied = result[DIRECT]["first"], result[PROXIED]["first"]
    added = [through - alone for through, alone in zip(proxied, direct, strict=True)]
    each = len(added) // rounds
    of_rounds = [percentile(added[begin : begin + each], 95) for begin in range(0, each * rounds, each)]
    references = [
        Reference("p95 of all", percentile(added, 95), MILLISECONDS),
        Reference("median of all", median(added), MILLISECONDS),
        Reference("model alone, p95", percentile(direct, 95), MILLISECONDS),
        Reference("through the server, p95", percentile(proxied, 95), MILLISECONDS),
        Reference("share of processor time that the host took", stolen, SHARE),
    ]
    name = f"served: added to the time to the first token, {label}, p95 of {each}, median of {rounds} rounds"
    return Figure(key, name, median(of_rounds), MILLISECONDS, references)


def first_token_rows(streams: str, result: Result) -> list[list[str]]:
    """One row per route."""
    rows = []
    for route, name in ((DIRECT, "model alone"), (PROXIED, "through the server")):
        totals, times = result[route], result[route]["first"]
        shown = [MILLISECONDS.show(percentile(times, p)) for p in (50, 95, 99)]
        memory = [
            f"{totals['recalled']:,}",
            f"{totals['failed']:,}",
            MILLISECONDS.show(median(totals["memory"])),
        ]
        rows.append([name, streams, f"{len(times):,}", *shown, *(memory if route == PROXIED else ["", "", ""])])
    return rows


def tokens_figure(plan: Plan, result: Result) -> Figure:
    """Tokens per second of clients that send a request after their previous reply."""
    direct, proxied = (result[route]["tokens_per_second"] for route in (DIRECT, PROXIED))
    shares = [through / alone for through, alone in zip(proxied, direct, strict=True)]
    references = [
        Reference("of all rounds", sum(proxied) / sum(direct), TIMES),
        Reference("model alone", median(direct), PER_SECOND),
        Reference("through the server", median(proxied), PER_SECOND),
    ]
    name = (
        f"served: tokens a second, {plan.streams} streams at once, replies of {plan.tokens},"
        f" relative to the model alone, median of {plan.rounds} rounds"
    )
    return Figure("serve-tokens", name, median(shares), TIMES, references)


# Growth.


def measure_growth(bench: Bench, server: Server, part: Part) -> None:
    """Measure the growth of the server's memory over many requests."""
    plan, samples = bench.plan, []
    sizes = {"streams": plan.clients, "tokens": 5}
    bench.load("many", server, "growth, warming up", count=plan.requests_warm, begin=0, **sizes)
    samples.append(idle_usage(server, plan.settle))
    seconds, failed = 0.0, 0
    for batch in range(BATCHES):
        done = plan.requests * batch // BATCHES
        count = plan.requests * (batch + 1) // BATCHES - done
        label = f"growth, {done:,} of {plan.requests:,} requests"
        result = bench.load("many", server, label, count=count, begin=plan.requests_warm + done, **sizes)
        seconds, failed = seconds + result["seconds"], failed + result["failed"]
        samples.append(idle_usage(server, plan.settle))
    first, last = samples[0], samples[-1]
    references = [
        Reference("before", first.resident / MEGABYTE, MEGABYTES),
        Reference("of the growth, without mapped files", (last.anonymous - first.anonymous) / MEGABYTE, MEGABYTES),
    ]
    name = f"served: growth of the server's memory over {plan.requests:,} requests"
    growth = (last.resident - first.resident) / MEGABYTE
    part.figures.append(Figure("serve-growth", name, growth, MEGABYTES, references))
    rows = [
        [
            f"{plan.requests * number // BATCHES:,}",
            *(MEGABYTES.show(size / MEGABYTE) for size in (sample.resident, sample.anonymous)),
        ]
        for number, sample in enumerate(samples)
    ]
    note = (
        f"{plan.clients} clients, replies of 5 tokens at once, {plan.requests_warm:,} requests before;"
        f" {plan.requests / seconds:,.0f} requests a second, memory failed in {failed:,}."
    )
    part.tables.append(Table("The server's memory", ["requests", "resident", "without mapped files"], rows, note))


def idle_usage(server: Server, seconds: float) -> Usage:
    """The resources of a server once it is idle, or after 60 samples; `seconds` between two samples."""
    before = server.usage()
    for _ in range(60):
        sleep(seconds)
        now = server.usage()
        if now.cpu_seconds - before.cpu_seconds < 0.02:
            return now
        before = now
    return before


# Durability.


def measure_kills(bench: Bench, part: Part) -> None:
    """Count the acknowledged turns that are lost when the server is killed under load."""
    plan, began = bench.plan, datetime.now(UTC)
    generator = random.Random(bench.seed)  # noqa: S311
    finished: list[str] = []
    without_receipt = 0
    stored: set[str] = set()
    lost: set[str] = set()
    for number in range(plan.kills):
        label = f"kill {number + 1} of {plan.kills}"
        server = bench.server()
        sizes = {"streams": plan.streams, "tokens": plan.tokens, "mark": f"{number}", "limit": 60.0}
        under_load = Event()
        watched = replace(bench, progress=partial(watch_progress, bench.progress, under_load))
        with ThreadPoolExecutor(1) as pool:
            clients = pool.submit(watched.load, "until_killed", server, label, **sizes, **plan.pace)
            try:
                while not (under_load.is_set() or clients.done()):
                    sleep(0.01)
                sleep(generator.uniform(*plan.kill_seconds))
            finally:
                server.kill()
        result = clients.result()
        finished += result["finished"]
        without_receipt += result["without_receipt"]
        stored.update(*result["stored"])
        lost |= missing(bench, began, finished, stored)
    references = [
        Reference("turns with a receipt whose reply was complete", len(finished), COUNT),
        Reference("without a receipt", without_receipt, COUNT),
        Reference("engrams whose receipts said stored", len(stored), COUNT),
    ]
    name = f"served: acknowledged turns lost over {plan.kills} kill -9 under {plan.streams} streams"
    part.figures.append(Figure("serve-lost", name, len(lost), COUNT, references))


def watch_progress(progress: Progress, under_load: Event, text: str) -> None:
    """Forward progress, and set the event when the clients report that the server is under load."""
    progress(text)
    if text.endswith(UNDER_LOAD):
        under_load.set()


def missing(bench: Bench, began: datetime, texts: Sequence[str], ids: set[str]) -> set[str]:
    """Reopen the memory; returns the texts and the ids that it does not hold."""
    with Memory(bench.memory) as memory:
        engrams = list(memory.engrams(namespace=bench.namespace, after=began))
    return set(texts).difference(e.text for e in engrams) | ids.difference(e.id for e in engrams)


# The provider's cache.


def measure_prefixes(bench: Bench, part: Part) -> None:
    """Count the successive requests of a conversation that diverge too early, as the model receives them."""
    plan, begin = bench.plan, 0
    for key, name, options in (
        ("serve-prefix", "the earlier one's last user message", ()),
        ("serve-prefix-sticky", "the earlier one's end, with --sticky", ("--sticky",)),
    ):
        with running_server(bench.memory, bench.upstream, bench.folder / "server.log", options) as server:
            result = bench.load("conversation", server, "conversation", turns=plan.turns, begin=begin, tokens=30)
        begin += plan.turns
        bodies = [body.encode() for body in result["bodies"]]
        early = sum(
            common_prefix(former, latter) < (end_of_messages(former) if options else last_user(former))
            for former, latter in pairwise(bodies)
        )
        pairs = Reference("pairs", len(bodies) - 1, COUNT)
        notes = Reference("requests with notes", result["recalled"], COUNT)
        label = f"served: pairs of successive requests of {plan.turns} turns that differ before {name}"
        part.figures.append(Figure(key, label, early, COUNT, [pairs, notes]))


def common_prefix(former: bytes, latter: bytes) -> int:
    """Length in bytes of the longest common prefix of two requests."""
    different = (offset for offset, (one, other) in enumerate(zip(former, latter, strict=False)) if one != other)
    return next(different, min(len(former), len(latter)))


def last_user(body: bytes) -> int:
    """Offset of the last user message of a request."""
    return body.rindex(USER)


def end_of_messages(body: bytes) -> int:
    """Offset of the end of the last message of a request: only the brackets of list and body follow."""
    return len(body) - len(b"]}")
