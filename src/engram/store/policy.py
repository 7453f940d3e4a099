"""Policies: after which time the engrams of a namespace expire.

Owns the value and its limits. A policy is truth, like the engrams: it stands in the store and is never derived. Does
not know how a store keeps policies and leaves expired engrams out.

An engram is expired if its own time (`at`) is longer ago than its namespace's policy says. It stays in the store until
it is deleted for good, and a longer policy brings it back until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from engram.engram import check_name
from engram.errors import InvalidEngram

LONGEST = timedelta(days=36_500)
"""The longest time after which engrams can expire: a hundred years."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long the engrams of a namespace are kept. Raises `InvalidEngram` for a value outside its limits."""

    namespace: str | None
    """The namespace for which it was set. None: the default, for all namespaces without a policy of their own."""
    expire_after: timedelta | None
    """The age, by the time of the turn, above which an engram is expired: more than 0, at most 36,500 days. None: keep,
    whatever the default says."""

    def __post_init__(self) -> None:
        if self.namespace is not None:
            check_name("namespace", self.namespace)
        if self.expire_after is not None:
            check_age(self.expire_after)


def check_age(value: object) -> None:
    """Raise `InvalidEngram` unless `value` is an age at which engrams can expire."""
    if not isinstance(value, timedelta):
        raise InvalidEngram(f"expire_after is {type(value).__name__}; it must be timedelta, or None to keep")
    if not timedelta(0) < value <= LONGEST:
        raise InvalidEngram(f"expire_after is {value}; it must be more than 0 and at most {LONGEST.days:,} days")


KEEP = Policy(None, None)
"""The policy of every namespace while none is set."""


def expired_before(policy: Policy) -> datetime | None:
    """Return the time before which engrams under a policy are expired now; None if none expires."""
    return None if policy.expire_after is None else datetime.now(UTC) - policy.expire_after
