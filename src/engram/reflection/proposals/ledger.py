"""The ledger: what calls of models cost, and what came of them.

Owns the budgets of a day. What a call may cost at most is reserved, durably, before the call begins, so that budgets
hold for several processes at once and for one that is killed during a call.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from engram.reflection.proposals.asking import FREE, Asking, ProposalStats
from engram.reflection.proposals.tables import DueSession

DAY = 86_400.0
"""Seconds."""
GRACE = 60.0
"""Seconds after the time of a call at which it counts as broken off."""
ACCEPTED, DROPPED, FAILED = "accepted", "dropped", "failed"
"""Kinds of counts."""
BUDGET, KILLED = "over budget", "broken off"
"""Reasons of failures that no model is the cause of."""


class Call(NamedTuple):
    """A call for which tokens are reserved."""

    number: int
    day: int
    model: str


class Spent(NamedTuple):
    """What a day has cost, with what is reserved."""

    tokens: int
    money: float


class Refused(NamedTuple):
    """Why no call may begin."""

    over_budget: bool
    """Whether the budget of the day is used up; else another process asks about the session."""


def reserve(
    db: sqlite3.Connection, due: DueSession, model: str, most: tuple[int, int], asking: Asking, now: float
) -> Call | Refused:
    """Reserve the tokens of a call, read and written at most, in a transaction of the caller."""
    fold_broken(db, now)
    query = "SELECT 1 FROM model_calls WHERE namespace = ? AND session = ?"
    known = "SELECT 1 FROM asked_sessions WHERE namespace = ? AND session = ? AND asked = ?"
    place = (due.namespace, due.session)
    if db.execute(query, place).fetchone() or not db.execute(known, (*place, due.asked)).fetchone():
        return Refused(over_budget=False)
    day, money = int(now // DAY), (asking.prices or FREE).of(*most)
    spent = spent_on(db, day)
    over = spent.tokens + sum(most) > asking.tokens_per_day
    over |= asking.money_per_day is not None and spent.money + money > asking.money_per_day
    if over:
        return Refused(over_budget=True)
    until = now + asking.seconds + GRACE
    cursor = db.execute(
        "INSERT INTO model_calls (day, model, namespace, session, until, tokens_in, tokens_out, money)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (day, model, *place, until, *most, money),
    )
    return Call(int(cursor.lastrowid or 0), day, model)


def settle(db: sqlite3.Connection, call: Call, tokens_in: int, tokens_out: int, money: float) -> None:
    """Put what a call has cost in the place of what was reserved for it. Does nothing if that was done."""
    if db.execute("DELETE FROM model_calls WHERE number = ?", (call.number,)).rowcount:
        add_to_day(db, call.day, call.model, (tokens_in, tokens_out, money))


def settle_as_reserved(db: sqlite3.Connection, call: Call) -> None:
    """Count a call whose cost is not known as what was reserved for it."""
    query = "SELECT tokens_in, tokens_out, money FROM model_calls WHERE number = ?"
    if row := db.execute(query, (call.number,)).fetchone():
        settle(db, call, *row)


def fold_broken(db: sqlite3.Connection, now: float) -> None:
    """Settle the calls that were broken off, as what was reserved for them, and count them as failures."""
    rows = db.execute("SELECT number, day, model FROM model_calls WHERE until < ?", (now,)).fetchall()
    for row in rows:
        settle_as_reserved(db, Call(*row))
    if rows:
        count(db, FAILED, {KILLED: len(rows)})


def add_to_day(db: sqlite3.Connection, day: int, model: str, cost: tuple[int, int, float]) -> None:
    """Add a call to the figures of its day."""
    db.execute(
        "INSERT INTO model_days VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + 1,"
        " tokens_in = tokens_in + excluded.tokens_in, tokens_out = tokens_out + excluded.tokens_out,"
        " money = money + excluded.money",
        (day, model, *cost),
    )


def count(db: sqlite3.Connection, kind: str, reasons: Mapping[str, int]) -> None:
    """Add to the counts of a kind."""
    db.executemany(
        "INSERT INTO model_counts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(kind, reason, number) for reason, number in reasons.items() if number],
    )


def spent_on(db: sqlite3.Connection, day: int) -> Spent:
    """Return what a day has cost, with what is reserved."""
    parts = [
        db.execute(f"SELECT total(tokens_in + tokens_out), total(money) FROM {table} WHERE day = ?", (day,)).fetchone()
        for table in ("model_days", "model_calls")
    ]
    return Spent(int(sum(tokens for tokens, _ in parts)), float(sum(money for _, money in parts)))


def figures(db: sqlite3.Connection, now: float) -> ProposalStats:
    """Return all figures."""
    query = "SELECT total(calls), total(tokens_in), total(tokens_out), total(money) FROM model_days"
    calls, tokens_in, tokens_out, money = db.execute(query).fetchone()
    running = db.execute("SELECT count(*) FROM model_calls").fetchone()[0]
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in (ACCEPTED, DROPPED, FAILED)}
    for kind, reason, number in db.execute("SELECT kind, reason, count FROM model_counts ORDER BY reason"):
        counts[kind][reason] = number
    spent = spent_on(db, int(now // DAY))
    waiting = db.execute("SELECT count(*) FROM asked_sessions WHERE newest > asked").fetchone()[0]
    return ProposalStats(
        calls=int(calls) + running,
        failures=dict(counts[FAILED]),
        tokens_in=int(tokens_in),
        tokens_out=int(tokens_out),
        money=float(money),
        tokens_today=spent.tokens,
        money_today=spent.money,
        accepted=dict(counts[ACCEPTED]),
        dropped=dict(counts[DROPPED]),
        waiting=waiting,
    )
