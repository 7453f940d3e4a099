"""The table of policies, and the SQL by which expired engrams are told from the others.

Owns both. The table is read with every query and cached nowhere, so that a change by any process applies at once. A
memory without policies pays one look into an empty table, and its queries stay as they are.

While there is a policy, the file has an index over sessions and times: with it, engrams that are not expired are
counted, and expired ones found, without reading every engram.
"""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

from engram.errors import InvalidEngram
from engram.store.policy import KEEP, LONGEST, Policy
from engram.store.sqlite.connections import Database
from engram.store.sqlite.errors import damaged
from engram.times import MICROSECOND

DEFAULT = ""
"""The name of the default policy in the table. No namespace has it."""

KEPT = 1 << 62
"""Microseconds in place of an age that is never reached: more than any two times differ, and no overflow."""

OF = "SELECT namespace, expire_after FROM policies WHERE namespace IN (?, '') ORDER BY namespace DESC LIMIT 1"
"""The own policy of a namespace is read before the default, whose name is less."""
LISTED = "SELECT namespace, expire_after FROM policies WHERE namespace > ? ORDER BY namespace LIMIT ?"
TIMES = "SELECT EXISTS (SELECT 1 FROM policies), ifnull((SELECT expire_after FROM policies WHERE namespace = ''), ?)"

DAMAGED = (
    "SELECT namespace, expire_after FROM policies WHERE typeof(expire_after) NOT IN ('integer', 'null')"
    " OR expire_after NOT BETWEEN 1 AND ? LIMIT 1"
)

CREATE_INDEX = "CREATE INDEX IF NOT EXISTS engrams_by_session_and_time ON engrams (session, at)"
DROP_INDEX = "DROP INDEX IF EXISTS engrams_by_session_and_time"


class Times(NamedTuple):
    """What a query needs to compare times with policies: the values of `since`."""

    now: int
    """Microseconds since 1970 in UTC."""
    default: int
    """Age in microseconds above which an engram is expired by the default policy; `KEPT`: it is not."""


class Condition(NamedTuple):
    """A part of an SQL condition, with AND in front, and its values; empty if nothing can be expired."""

    sql: str = ""
    values: tuple[int, ...] = ()


class SqlitePolicies:
    """The `Policies` of a SQLite store."""

    def __init__(self, file: Database) -> None:
        """`file`: of a memory."""
        self._file = file

    def set(self, policy: Policy) -> None:
        """Set a policy, in one durable commit."""
        if policy == KEEP:
            self.clear(None)
            return
        age = None if policy.expire_after is None else policy.expire_after // MICROSECOND
        with self._file.writing() as db:
            db.execute("INSERT OR REPLACE INTO policies VALUES (?, ?)", (policy.namespace or DEFAULT, age))
            db.execute(CREATE_INDEX)

    def clear(self, namespace: str | None) -> bool:
        """Remove a policy, in one durable commit. Returns whether there was one."""
        with self._file.writing() as db:
            gone = db.execute("DELETE FROM policies WHERE namespace = ?", (namespace or DEFAULT,)).rowcount == 1
            if gone and times_now(db) is None:
                db.execute(DROP_INDEX)
            return gone

    def of(self, namespace: str | None) -> Policy:
        """Return the policy that applies to a namespace; None: the default."""
        with self._file.reading() as db:
            row = db.execute(OF, (namespace or DEFAULT,)).fetchone()
        return KEEP if row is None else self._policy(row)

    def listed(self, limit: int | None = None, after: str = "") -> list[Policy]:
        """Return the policies of namespaces, without the default, by name."""
        with self._file.reading() as db:
            rows = db.execute(LISTED, (after, -1 if limit is None else limit)).fetchall()
        return list(map(self._policy, rows))

    def check(self, db: sqlite3.Connection) -> None:
        """Raise `MemoryDamaged` if any policy is damaged: by its age, engrams would be deleted that are not expired."""
        row = db.execute(DAMAGED, (LONGEST // MICROSECOND,)).fetchone()
        if row is not None:
            raise damaged(self._file.path, ValueError(f"the policy of {row[0]!r} is {row[1]!r}"))

    def _policy(self, row: tuple[str, int | None]) -> Policy:
        try:
            return policy_of(*row)
        except (InvalidEngram, TypeError, OverflowError) as error:
            raise damaged(self._file.path, error) from error


def policy_of(name: str, age: int | None) -> Policy:
    """Return the policy in a row of the table. Raises `InvalidEngram`, TypeError or OverflowError for a damaged one."""
    if not isinstance(age, int | None):
        raise TypeError(f"the policy of {name!r} is {age!r}")
    return Policy(None if name == DEFAULT else name, None if age is None else age * MICROSECOND)


def times_now(db: sqlite3.Connection) -> Times | None:
    """Return what a query needs to compare times with policies; None if there is no policy."""
    some, default = db.execute(TIMES, (KEPT,)).fetchone()
    return Times(time.time_ns() // 1_000, default) if some else None


def since(name: str, now: str = "?", default: str = "?") -> str:
    """Return the SQL expression of the time before which the engrams of a namespace are expired, as `at`.

    name: of the namespace, an SQL expression. now, default: the places of the values of `Times`.
    """
    own = f"SELECT ifnull(p.expire_after, {KEPT}) FROM policies p WHERE p.namespace = {name}"
    return f"{now} - ifnull(({own}), {default})"


def unexpired(db: sqlite3.Connection, at: str, name: str) -> Condition:
    """Return the condition that an engram is not expired. at, name: its time and the name of its namespace, as SQL."""
    times = times_now(db)
    # The plus: found by an index over times, the rows would have to be sorted for every page.
    return Condition() if times is None else Condition(f" AND +{at} >= {since(name)}", times)
