"""Cost and durability of `engram serve` in front of a model, compared with requests straight to the model.

Owns the plan, and computes figures from the results of the clients (`load`). Server, model and clients are separate
processes on one machine; the memory holds generated chats.
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

from bench.figures import COUNT, MEGABYTES, MILLISECONDS, PER_SECOND, SHARE, TIMES, Figure, Part, Reference, Table, Tell
from bench.load import STRAIGHT, THROUGH, UNDER_LOAD
from bench.metrics import median, percentile
from bench.processes import run_task
from bench.servers import Host, Server, Usage, scripted, serving
from bench.worker import MEMORY, QUESTIONS
from engram.memory import Memory

MEGABYTE = 1e6
MISSING = "serve: {} is not installed: pip install 'engram-layer[serve]'"
NEEDED = ("uvicorn", "httpx")
USER = b'{"role": "user"'
"""How a user message begins in the requests of the clients."""
BATCHES = 4
"""Batches of requests in the growth measurement; the memory is measured after each."""

Result = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured, and how often."""

    engrams: int
    pairs: int
    """Questions of the single client in each round, each sent straight and through the server."""
    pair_tokens: int
    """Tokens of the replies to these."""
    warm: int
    """Questions before those, not counted."""
    streams: int
    rounds: int
    replies: int
    """Replies to each of the clients at once, in each round, each way."""
    tokens: int
    per_second: float
    delay: float
    """Seconds before a reply's first token."""
    kills: int
    kill_seconds: tuple[float, float]
    """The server is killed so long after the first reply under load: the shortest and the longest."""
    requests: int
    requests_warm: int
    """Requests before those over which growth is measured."""
    clients: int
    """Clients that make these requests."""
    turns: int
    """Questions of the conversation whose requests are compared."""
    settle: float = 0.5
    """Seconds between two looks at a server that is expected to become idle."""

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
    """The inputs of every measurement."""

    plan: Plan
    folder: Path
    namespace: str
    upstream: str
    seed: int
    tell: Tell

    @property
    def memory(self) -> Path:
        """The memory's file."""
        return self.folder / MEMORY / "memory.db"

    def server(self) -> Server:
        """A new server, to be killed."""
        return Server(self.memory, self.upstream, self.folder / "server.log")

    def load(self, task: str, server: Server, about: str, **arguments: object) -> Result:
        """The results of a task of the clients."""
        return run_task(
            task,
            self.tell,
            f"serve: {about}",
            "load",
            urls={STRAIGHT: self.upstream, THROUGH: server.url},
            namespace=self.namespace,
            questions=self.folder / QUESTIONS,
            seed=self.seed,
            **arguments,
        )


def measure(plan: Plan, folder: Path, seed: int, tell: Tell) -> Part:
    """All measurements of the server."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return Part("serve", notes=[MISSING.format(missing[0])])
    at = folder / "serve"
    about = f"serve: {plan.engrams:,} engrams"
    # Enough questions for each to be asked once, where possible: a repeated one would be cached.
    filled = run_task("fill", tell, about, folder=at, count=plan.engrams, asked=plan.engrams // 4, seed=seed)
    part = Part("serve")
    with scripted(seed) as upstream:
        bench = Bench(plan, at, filled["namespace"], upstream, seed, tell)
        with serving(bench.memory, upstream, at / "server.log") as server:
            measure_speed(bench, server, part)
        with serving(bench.memory, upstream, at / "server.log") as server:
            measure_growth(bench, server, part)
        measure_kills(bench, part)
        measure_prefixes(bench, part)
    shutil.rmtree(at)
    return part


# Speed.


def measure_speed(bench: Bench, server: Server, part: Part) -> None:
    """The time to the first token of one stream and of concurrent streams, and tokens per second."""
    plan = bench.plan
    sizes = {"tokens": plan.pair_tokens, "count": plan.rounds * plan.pairs, "warm": plan.warm}
    host = Host()
    alone = bench.load("alone", server, "first token", **sizes, **plan.pace)
    taken_alone, host, before = host.share, Host(), server.usage()
    sizes = {"streams": plan.streams, "rounds": plan.rounds, "replies": plan.replies, "tokens": plan.tokens}
    together = bench.load("together", server, "first token", **sizes, **plan.pace)
    # Includes the warm-up round.
    answered = (plan.rounds + 1) * plan.replies * plan.streams
    taken = (server.usage().processor - before.processor) * 1000 / answered
    part.figures += [
        first_token_figure("serve-first-token-alone", "one stream", alone, plan.rounds, taken_alone),
        first_token_figure(
            "serve-first-token-together", f"{plan.streams} streams at once", together, plan.rounds, host.share
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
            f" {MILLISECONDS.show(taken)} of the processor for each of the latter. These are of all rounds.",
        )
    )


def first_token_figure(key: str, about: str, found: Result, rounds: int, host: float) -> Figure:
    """The latency added by the server: the same question through it and straight, subtracted.

    `host`: the share of CPU time that the host took. A moment in which it takes much is long compared with a round, so
    the figure is the median of the rounds; the value over all questions is a reference.
    """
    straight, through = found[STRAIGHT]["first"], found[THROUGH]["first"]
    added = [ours - bare for ours, bare in zip(through, straight, strict=True)]
    each = len(added) // rounds
    of_rounds = [percentile(added[begin : begin + each], 95) for begin in range(0, each * rounds, each)]
    references = [
        Reference("p95 of all", percentile(added, 95), MILLISECONDS),
        Reference("median of all", median(added), MILLISECONDS),
        Reference("straight, p95", percentile(straight, 95), MILLISECONDS),
        Reference("through it, p95", percentile(through, 95), MILLISECONDS),
        Reference("share of the processors that the host took", host, SHARE),
    ]
    name = f"served: added to the time to the first token, {about}, p95 of {each}, median of {rounds} rounds"
    return Figure(key, name, median(of_rounds), MILLISECONDS, references)


def first_token_rows(streams: str, found: Result) -> list[list[str]]:
    """One row per way."""
    rows = []
    for way, name in ((STRAIGHT, "straight"), (THROUGH, "through Engram")):
        times, through = found[way]["first"], way == THROUGH
        shown = [MILLISECONDS.show(percentile(times, p)) for p in (50, 95, 99)]
        memory = [
            f"{found[way]['recalled']:,}",
            f"{found[way]['failed']:,}",
            MILLISECONDS.show(median(found[way]["memory"])),
        ]
        rows.append([name, streams, f"{len(times):,}", *shown, *(memory if through else ["", "", ""])])
    return rows


def tokens_figure(plan: Plan, found: Result) -> Figure:
    """Tokens per second of clients that send a request when they have their reply."""
    straight, through = (found[way]["tokens_per_second"] for way in (STRAIGHT, THROUGH))
    shares = [ours / bare for ours, bare in zip(through, straight, strict=True)]
    references = [
        Reference("of all rounds", sum(through) / sum(straight), TIMES),
        Reference("straight", median(straight), PER_SECOND),
        Reference("through it", median(through), PER_SECOND),
    ]
    name = (
        f"served: tokens a second, {plan.streams} streams at once, replies of {plan.tokens}, in times of straight,"
        f" median of {plan.rounds} rounds"
    )
    return Figure("serve-tokens", name, median(shares), TIMES, references)


# Growth.


def measure_growth(bench: Bench, server: Server, part: Part) -> None:
    """The growth of the server's memory over many requests."""
    plan, looks = bench.plan, []
    sizes = {"streams": plan.clients, "tokens": 5}
    bench.load("many", server, "growth, warming up", count=plan.requests_warm, begin=0, **sizes)
    looks.append(settled(server, plan.settle))
    seconds, failed = 0.0, 0
    for batch in range(BATCHES):
        done = plan.requests * batch // BATCHES
        count = plan.requests * (batch + 1) // BATCHES - done
        about = f"growth, {done:,} of {plan.requests:,} requests"
        found = bench.load("many", server, about, count=count, begin=plan.requests_warm + done, **sizes)
        seconds, failed = seconds + found["seconds"], failed + found["failed"]
        looks.append(settled(server, plan.settle))
    first, last = looks[0], looks[-1]
    references = [
        Reference("before", first.resident / MEGABYTE, MEGABYTES),
        Reference("of it its own, without mapped files", (last.own - first.own) / MEGABYTE, MEGABYTES),
    ]
    name = f"served: growth of the server's memory over {plan.requests:,} requests"
    growth = (last.resident - first.resident) / MEGABYTE
    part.figures.append(Figure("serve-growth", name, growth, MEGABYTES, references))
    rows = [
        [
            f"{plan.requests * number // BATCHES:,}",
            *(MEGABYTES.show(size / MEGABYTE) for size in (look.resident, look.own)),
        ]
        for number, look in enumerate(looks)
    ]
    note = (
        f"{plan.clients} clients, replies of 5 tokens at once, {plan.requests_warm:,} requests before;"
        f" {plan.requests / seconds:,.0f} requests a second, memory failed in {failed:,}."
    )
    part.tables.append(Table("The server's memory", ["requests", "resident", "of it its own"], rows, note))


def settled(server: Server, seconds: float) -> Usage:
    """The resources of a server once it is idle, or after 60 looks; `seconds` between two looks."""
    before = server.usage()
    for _ in range(60):
        sleep(seconds)
        now = server.usage()
        if now.processor - before.processor < 0.02:
            return now
        before = now
    return before


# Durability.


def measure_kills(bench: Bench, part: Part) -> None:
    """Count the acknowledged turns that are lost when the server is killed under load."""
    plan, began = bench.plan, datetime.now(UTC)
    seconds = random.Random(bench.seed)  # noqa: S311
    finished: list[str] = []
    without = 0
    stored: set[str] = set()
    lost: set[str] = set()
    for number in range(plan.kills):
        about = f"kill {number + 1} of {plan.kills}"
        server = bench.server()
        sizes = {"streams": plan.streams, "tokens": plan.tokens, "mark": f"{number}", "limit": 60.0}
        under_load = Event()
        told = replace(bench, tell=partial(tell_and_set, bench.tell, under_load))
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(told.load, "until_killed", server, about, **sizes, **plan.pace)
            try:
                while not (under_load.is_set() or found.done()):
                    sleep(0.01)
                sleep(seconds.uniform(*plan.kill_seconds))
            finally:
                server.kill()
        finished += found.result()["finished"]
        without += found.result()["without"]
        stored.update(*found.result()["stored"])
        lost |= missing(bench, began, finished, stored)
    references = [
        Reference("turns with a receipt whose reply had come", len(finished), COUNT),
        Reference("without a receipt", without, COUNT),
        Reference("engrams that receipts called stored", len(stored), COUNT),
    ]
    name = f"served: acknowledged turns lost over {plan.kills} kill -9 under {plan.streams} streams"
    part.figures.append(Figure("serve-lost", name, len(lost), COUNT, references))


def tell_and_set(tell: Tell, under_load: Event, text: str) -> None:
    """Pass progress on, and set the event when the clients report that the server is under load."""
    tell(text)
    if text.endswith(UNDER_LOAD):
        under_load.set()


def missing(bench: Bench, began: datetime, texts: Sequence[str], ids: set[str]) -> set[str]:
    """Those of the texts and ids that the memory does not hold after it is opened again."""
    with Memory(bench.memory) as memory:
        there = list(memory.engrams(namespace=bench.namespace, after=began))
    return set(texts).difference(e.text for e in there) | ids.difference(e.id for e in there)


# The provider's cache.


def measure_prefixes(bench: Bench, part: Part) -> None:
    """Find where two successive requests of a conversation diverge, as the model receives them."""
    plan, begin = bench.plan, 0
    for key, name, options in (
        ("serve-prefix", "the earlier one's last user message", ()),
        ("serve-prefix-sticky", "the earlier one's end, with --sticky", ("--sticky",)),
    ):
        with serving(bench.memory, bench.upstream, bench.folder / "server.log", options) as server:
            found = bench.load("conversation", server, "conversation", turns=plan.turns, begin=begin, tokens=30)
        begin += plan.turns
        bodies = [body.encode() for body in found["bodies"]]
        early = sum(
            reach(former, latter) < (end_of_messages(former) if options else last_user(former))
            for former, latter in pairwise(bodies)
        )
        pairs = Reference("pairs", len(bodies) - 1, COUNT)
        notes = Reference("requests with notes", found["recalled"], COUNT)
        about = f"served: pairs of successive requests of {plan.turns} turns that part before {name}"
        part.figures.append(Figure(key, about, early, COUNT, [pairs, notes]))


def reach(former: bytes, latter: bytes) -> int:
    """The bytes that two requests have in common, from the beginning."""
    different = (place for place, (one, other) in enumerate(zip(former, latter, strict=False)) if one != other)
    return next(different, min(len(former), len(latter)))


def last_user(body: bytes) -> int:
    """Where the last user message of a request begins."""
    return body.rindex(USER)


def end_of_messages(body: bytes) -> int:
    """Where the last message of a request ends; what comes behind it are the brackets of the list and of the body."""
    return len(body) - len(b"]}")
